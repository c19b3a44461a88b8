//! Why a placement failed: the typed reason, the filters one by one, and the smallest change that would help (D10).

use reeve_state::record::{
    Explanation, FilterCount, Group, GroupExplanation, PlacementFilter, Selector, WorkerVerdict,
};
use reeve_state::transition::run::RunReasonCode;

use super::{Ask, Unplaceable, idle_rooms, rooms, solve};
use crate::fleet::{Fleet, View, room};

impl Ask<'_> {
    /// The reason why it cannot be placed. If it can be, the suggestion is empty and the reason means nothing.
    /// Names at most `listed` workers one by one, over all groups.
    pub(crate) fn explain(&self, fleet: &Fleet<'_>, view: View<'_>, listed: usize) -> Unplaceable {
        let asked = self.definition.groups.iter().zip(0..);
        let asked: Vec<(&Group, u32)> = asked.filter(|(_, index)| self.count(*index) > 0).collect();
        let listed = listed / asked.len().max(1);
        let explained = asked
            .iter()
            .map(|(group, index)| self.explain_group(fleet, group, *index, view, listed))
            .collect();
        let (groups, online) = self.online_demands(fleet, view);
        let deserted: Vec<u32> = groups
            .iter()
            .zip(&online)
            .filter(|(_, demand)| demand.seats.is_empty())
            .map(|(group, _)| *group)
            .collect();
        let (short, view) = self.short_part(fleet, view, !deserted.is_empty());
        let (code, message) = if deserted.is_empty() {
            let (_, online) = short.online_demands(fleet, view);
            let enough = solve::shortage(&idle_rooms(fleet, view.sip), &online).is_empty();
            short.crowded(enough, view.sip)
        } else {
            (RunReasonCode::NoOnlineWorkers, self.deserted_message(&deserted))
        };
        let (suggestion, changes) = short.changes(fleet, view, code);
        Unplaceable {
            code,
            message,
            explanation: Explanation {
                groups: explained,
                suggestion,
                changes,
            },
        }
    }

    /// What does not fit: the SIP endpoints, if it is their room that is short, else all of it. All of it too if some have no worker at all.
    fn short_part<'v>(&self, fleet: &Fleet<'_>, view: View<'v>, deserted: bool) -> (Self, View<'v>) {
        let (sip, view) = (self.part(true), View { sip: true, ..view });
        let (_, demands) = sip.online_demands(fleet, view);
        let all_sip = sip.ranges.len() == self.ranges.len();
        let is_short = || !solve::shortage(&rooms(fleet, view), &demands).is_empty();
        if all_sip || (!deserted && is_short()) {
            return (sip, view);
        }
        let all = Self {
            definition: self.definition,
            ranges: self.ranges.clone(),
            whole: self.whole,
        };
        (all, View { sip: false, ..view })
    }

    fn explain_group(
        &self,
        fleet: &Fleet<'_>,
        group: &Group,
        index: u32,
        view: View<'_>,
        listed: usize,
    ) -> GroupExplanation {
        let sip = group.is_sip();
        let view = View { sip, ..view };
        let mut fates = Vec::new();
        let mut explained = GroupExplanation {
            group: group.name.clone(),
            endpoints: self.count(index),
            workers_considered: 0,
            removed: PlacementFilter::ALL
                .map(|filter| FilterCount { filter, workers: 0 })
                .to_vec(),
            capacity_total: 0,
            capacity_free: 0,
            workers: Vec::new(),
            workers_left_out: 0,
        };
        for (position, seat) in fleet.seats.iter().enumerate() {
            if view.exclude.contains(&seat.worker.id) {
                continue;
            }
            explained.workers_considered += 1;
            let filter = fleet.falls_to(seat, &group.selector, view);
            fates.push(Fate { filter, position });
            explained
                .removed
                .iter_mut()
                .filter(|count| Some(count.filter) == filter)
                .for_each(|count| count.workers += 1);
            if matches!(filter, None | Some(PlacementFilter::NoFreeCapacity)) {
                explained.capacity_total += u64::from(seat.capacity(view.sip));
                explained.capacity_free += u64::from(room(seat, view));
            }
        }
        let fates = furthest(fates, listed);
        explained.workers = fates.into_iter().map(|fate| fate.tell(fleet, view)).collect();
        let told = u32::try_from(explained.workers.len()).unwrap_or(u32::MAX);
        explained.workers_left_out = explained.workers_considered - told;
        explained
    }

    fn crowded(&self, enough: bool, sip: bool) -> (RunReasonCode, String) {
        let asked = self
            .ranges
            .iter()
            .map(|range| u64::from(range.count))
            .sum::<u64>();
        let kind = if sip { "SIP endpoints" } else { "endpoints" };
        if enough {
            let message = format!(
                "the workers that match are busy: not enough of their capacity is free for {asked} {kind}"
            );
            (RunReasonCode::WorkersBusy, message)
        } else {
            let message = format!("the workers that match cannot hold {asked} {kind}, even when idle");
            (RunReasonCode::InsufficientCapacity, message)
        }
    }

    fn deserted_message(&self, deserted: &[u32]) -> String {
        let place = |group: &u32| {
            self.group(*group)
                .map(|group| whereabouts(&group.selector))
                .unwrap_or_default()
        };
        format!(
            "no ONLINE worker {}",
            distinct(deserted.iter().map(place)).join(", nor ")
        )
    }
}

/// What became of a worker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fate {
    /// The first filter that it fell to.
    filter: Option<PlacementFilter>,
    /// Among the seats.
    position: usize,
}

impl Fate {
    /// Those that came furthest first; among them by worker.
    fn order(&self) -> (usize, usize) {
        let stage = self.filter.map_or(0, |filter| {
            let passed = PlacementFilter::ALL.iter().take_while(|other| **other != filter);
            PlacementFilter::ALL.len() - passed.count()
        });
        (stage, self.position)
    }

    fn tell(self, fleet: &Fleet<'_>, view: View<'_>) -> WorkerVerdict {
        let seat = &fleet.seats[self.position];
        WorkerVerdict {
            worker: seat.worker.id,
            name: seat.worker.name.clone(),
            region: seat.worker.region.clone(),
            status: seat.worker.status(),
            filter: self.filter,
            capacity: seat.capacity(view.sip),
            free: room(seat, view),
            held: seat.free(view.sip) - room(seat, view),
        }
    }
}

/// The first `most` in order.
fn furthest(mut fates: Vec<Fate>, most: usize) -> Vec<Fate> {
    if most == 0 {
        return Vec::new();
    }
    if fates.len() > most {
        fates.select_nth_unstable_by_key(most - 1, Fate::order);
        fates.truncate(most);
    }
    fates.sort_unstable_by_key(Fate::order);
    fates
}

/// Where a selector points, for people.
pub(super) fn whereabouts(selector: &Selector) -> String {
    let mut parts = Vec::new();
    if let Some(worker) = &selector.worker {
        parts.push(format!("with id {worker}"));
    }
    if let Some(region) = &selector.region {
        parts.push(format!("in region {region}"));
    }
    if !selector.labels.is_empty() {
        let labels = selector
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        parts.push(format!("with labels {}", labels.collect::<Vec<_>>().join(",")));
    }
    if parts.is_empty() {
        "in any region".to_owned()
    } else {
        parts.join(" ")
    }
}

pub(super) fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

pub(super) fn endpoints(count: u64) -> String {
    if count == 1 {
        "1 endpoint".to_owned()
    } else {
        format!("{count} endpoints")
    }
}
