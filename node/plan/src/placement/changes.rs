//! The smallest changes that would let a run start: more capacity, fewer endpoints, or patience (D10).
//!
//! What is short is a maximum flow's shortfall, so it is exact: with it the run fits, with one endpoint less it does not.

use reeve_state::record::{ChangeKind, Selector, SuggestedChange};
use reeve_state::transition::run::RunReasonCode;

use super::explain::{distinct, endpoints, whereabouts};
use super::solve::{self, Demand, Room, Shortage};
use super::{Ask, rooms};
use crate::fleet::{Fleet, View};

/// Most places that are tried as alternatives.
const PLACES: usize = 4;

/// Capacity that is short in one place.
struct Missing {
    kind: ChangeKind,
    endpoints: u64,
    groups: Vec<String>,
    /// Any of them would do; at least one.
    places: Vec<Selector>,
}

impl Ask<'_> {
    /// In words, and step by step. Both are empty if nothing is short.
    pub(super) fn changes(
        &self,
        fleet: &Fleet<'_>,
        view: View<'_>,
        code: RunReasonCode,
    ) -> (String, Vec<SuggestedChange>) {
        let (groups, demands) = self.online_demands(fleet, view);
        let rooms = rooms(fleet, view);
        let shortages = solve::shortage(&rooms, &demands);
        if shortages.is_empty() {
            return (String::new(), Vec::new());
        }
        let missing = self.missing(fleet, &groups, &demands, &rooms, &shortages);
        let text = missing
            .iter()
            .map(|missing| missing.text(view.sip))
            .collect::<Vec<_>>()
            .join("; ");
        let mut options = capacity_options(&missing, view.sip);
        options.extend(self.fewer(&groups, &shortages));
        if code == RunReasonCode::WorkersBusy {
            options.push(vec![wait(shortages.iter().map(|shortage| shortage.short).sum())]);
        }
        let numbered = (1..).zip(options).flat_map(|(option, steps)| {
            steps
                .into_iter()
                .map(move |step| SuggestedChange { option, ..step })
        });
        (text, numbered.collect())
    }

    fn missing(
        &self,
        fleet: &Fleet<'_>,
        groups: &[u32],
        demands: &[Demand],
        rooms: &[Room],
        shortages: &[Shortage],
    ) -> Vec<Missing> {
        let mut missing: Vec<Missing> = Vec::new();
        for shortage in shortages {
            let deserted = |demand: &usize| demands[*demand].seats.is_empty();
            if shortage.members.iter().all(deserted) {
                for (demand, count) in &shortage.unmet {
                    self.miss(&mut missing, ChangeKind::AddWorker, groups[*demand], *count);
                }
                continue;
            }
            let places = self.places(fleet, groups, demands, rooms, shortage);
            if places.is_empty() {
                for (demand, count) in &shortage.unmet {
                    self.miss(&mut missing, ChangeKind::AddCapacity, groups[*demand], *count);
                }
            } else {
                missing.push(Missing {
                    kind: ChangeKind::AddCapacity,
                    endpoints: shortage.short,
                    groups: self.names(shortage.tight.iter().map(|demand| groups[*demand])),
                    places,
                });
            }
        }
        missing
    }

    /// Adds what a group lacks to what others lack in the same place.
    fn miss(&self, missing: &mut Vec<Missing>, kind: ChangeKind, group: u32, count: u64) {
        let place = self
            .group(group)
            .map(|group| group.selector.clone())
            .unwrap_or_default();
        let name = self.names([group]);
        let same = |known: &&mut Missing| known.kind == kind && known.places == [place.clone()];
        match missing.iter_mut().find(same) {
            Some(known) => {
                known.endpoints += count;
                known.groups.extend(name);
            }
            None => missing.push(Missing {
                kind,
                endpoints: count,
                groups: name,
                places: vec![place],
            }),
        }
    }

    /// The places where all that is short could be added; none if it takes several at once.
    fn places(
        &self,
        fleet: &Fleet<'_>,
        groups: &[u32],
        demands: &[Demand],
        rooms: &[Room],
        shortage: &Shortage,
    ) -> Vec<Selector> {
        let mut places: Vec<Selector> = Vec::new();
        for demand in &shortage.tight {
            if let Some(group) = self.group(groups[*demand])
                && !places.contains(&group.selector)
            {
                places.push(group.selector.clone());
            }
        }
        places.truncate(PLACES);
        let extra = u32::try_from(shortage.short).unwrap_or(u32::MAX);
        places.retain(|place| {
            let may_use = |demand: usize| {
                self.group(groups[demand])
                    .is_some_and(|group| reaches(fleet, place, &group.selector))
            };
            solve::fits_with(rooms, demands, &shortage.members, extra, may_use)
        });
        places
    }

    /// Fewer endpoints, for a definition as a whole only; none if nothing would be left of it.
    fn fewer(&self, groups: &[u32], shortages: &[Shortage]) -> Option<Vec<SuggestedChange>> {
        if !self.whole {
            return None;
        }
        let unmet = || shortages.iter().flat_map(|shortage| &shortage.unmet);
        let less: u64 = unmet().map(|(_, count)| count).sum();
        if less >= u64::from(self.definition.endpoints()) {
            return None;
        }
        let step = |(demand, count): &(usize, u64)| {
            let group = self.group(groups[*demand])?;
            let (kind, text) = if *count >= u64::from(group.endpoints) {
                let text = format!("leave out group {} ({})", group.name, endpoints(*count));
                (ChangeKind::RemoveGroup, text)
            } else {
                let text = format!("{} fewer in group {}", endpoints(*count), group.name);
                (ChangeKind::ReduceEndpoints, text)
            };
            Some(SuggestedChange {
                option: 0,
                kind,
                endpoints: *count,
                groups: vec![group.name.clone()],
                place: Selector::default(),
                text,
            })
        };
        Some(unmet().filter_map(step).collect())
    }

    fn names(&self, groups: impl IntoIterator<Item = u32>) -> Vec<String> {
        let name = |index| self.group(index).map(|group| group.name.clone());
        groups.into_iter().filter_map(name).collect()
    }
}

impl Missing {
    /// `sip`: it is of what workers carry of SIP endpoints.
    fn text(&self, sip: bool) -> String {
        let places = distinct(self.places.iter().map(whereabouts));
        self.at(&places.join(" or "), sip)
    }

    fn at(&self, place: &str, sip: bool) -> String {
        let kind = if sip { "SIP capacity" } else { "capacity" };
        if self.kind == ChangeKind::AddWorker {
            return format!(
                "an ONLINE worker {place} with {kind} for {}",
                endpoints(self.endpoints)
            );
        }
        let more = if self.endpoints == 1 {
            "1 more endpoint".to_owned()
        } else {
            format!("{} more endpoints", self.endpoints)
        };
        format!("{more} of {kind} {place}")
    }

    fn step(&self, place: &Selector, sip: bool) -> SuggestedChange {
        SuggestedChange {
            option: 0,
            kind: self.kind,
            endpoints: self.endpoints,
            groups: self.groups.clone(),
            place: place.clone(),
            text: self.at(&whereabouts(place), sip),
        }
    }
}

/// All that is missing, each in the first place that would do; and if there is one thing missing, its other places.
fn capacity_options(missing: &[Missing], sip: bool) -> Vec<Vec<SuggestedChange>> {
    if let [one] = missing {
        return one
            .places
            .iter()
            .map(|place| vec![one.step(place, sip)])
            .collect();
    }
    let first = |missing: &Missing| Some(missing.step(missing.places.first()?, sip));
    vec![missing.iter().filter_map(first).collect()]
}

fn wait(short: u64) -> SuggestedChange {
    SuggestedChange {
        option: 0,
        kind: ChangeKind::Wait,
        endpoints: short,
        groups: Vec::new(),
        place: Selector::default(),
        text: format!("wait until other runs give back {}", endpoints(short)),
    }
}

/// Whether capacity that is added where `place` points is of use to a group with this selector, for certain.
fn reaches(fleet: &Fleet<'_>, place: &Selector, wanted: &Selector) -> bool {
    if let Some(id) = place.worker {
        let mut seats = fleet.seats.iter();
        return seats.any(|seat| seat.worker.id == id && wanted.matches(seat.worker));
    }
    let region = wanted.region.is_none() || wanted.region == place.region;
    let labels = wanted
        .labels
        .iter()
        .all(|(key, value)| place.labels.get(key) == Some(value));
    wanted.worker.is_none() && region && labels
}
