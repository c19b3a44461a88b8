//! Why a placement failed: the typed reason, the filters one by one, and the smallest change that would help (D10).

use reeve_state::record::{Explanation, FilterCount, Group, GroupExplanation, PlacementFilter, Selector};
use reeve_state::transition::run::RunReasonCode;

use super::{Ask, Unplaceable, idle_rooms, rooms, solve};
use crate::fleet::{Fleet, View, room};

impl Ask<'_> {
    /// The reason why it cannot be placed. If it can be, the suggestion is empty and the reason means nothing.
    pub(crate) fn explain(&self, fleet: &Fleet<'_>, view: View<'_>) -> Unplaceable {
        let groups = self.definition.groups.iter().zip(0..);
        let explained = groups.map(|(group, index)| self.explain_group(fleet, group, index, view));
        let explained = explained.filter(|group| group.endpoints > 0).collect();
        let (groups, online) = self.online_demands(fleet, view);
        let deserted: Vec<u32> = groups
            .iter()
            .zip(&online)
            .filter(|(_, demand)| demand.seats.is_empty())
            .map(|(group, _)| *group)
            .collect();
        let (code, message, suggestion) = if deserted.is_empty() {
            let enough = solve::shortage(&idle_rooms(fleet), &online).is_empty();
            let (code, message) = self.crowded(enough);
            (code, message, self.suggest_capacity(fleet, view))
        } else {
            (
                RunReasonCode::NoOnlineWorkers,
                self.deserted_message(&deserted),
                self.suggest_workers(&deserted),
            )
        };
        Unplaceable {
            code,
            message,
            explanation: Explanation {
                groups: explained,
                suggestion,
            },
        }
    }

    fn explain_group(
        &self,
        fleet: &Fleet<'_>,
        group: &Group,
        index: u32,
        view: View<'_>,
    ) -> GroupExplanation {
        let mut explained = GroupExplanation {
            group: group.name.clone(),
            endpoints: self.count(index),
            workers_considered: 0,
            removed: PlacementFilter::ALL
                .map(|filter| FilterCount { filter, workers: 0 })
                .to_vec(),
            capacity_total: 0,
            capacity_free: 0,
        };
        for seat in fleet
            .seats
            .iter()
            .filter(|seat| !view.exclude.contains(&seat.worker.id))
        {
            explained.workers_considered += 1;
            let filter = fleet.falls_to(seat, &group.selector, view);
            explained
                .removed
                .iter_mut()
                .filter(|count| Some(count.filter) == filter)
                .for_each(|count| count.workers += 1);
            if matches!(filter, None | Some(PlacementFilter::NoFreeCapacity)) {
                explained.capacity_total += u64::from(seat.capacity);
                explained.capacity_free += u64::from(room(seat, view));
            }
        }
        explained
    }

    fn crowded(&self, enough: bool) -> (RunReasonCode, String) {
        let asked = self
            .ranges
            .iter()
            .map(|range| u64::from(range.count))
            .sum::<u64>();
        if enough {
            let message = format!(
                "the workers that match are busy: not enough of their capacity is free for {asked} endpoints"
            );
            (RunReasonCode::WorkersBusy, message)
        } else {
            let message = format!("the workers that match cannot hold {asked} endpoints, even when idle");
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

    fn suggest_workers(&self, deserted: &[u32]) -> String {
        let mut wishes: Vec<(String, u64)> = Vec::new();
        for index in deserted {
            let Some(group) = self.group(*index) else { continue };
            let (place, count) = (whereabouts(&group.selector), u64::from(self.count(*index)));
            match wishes.iter_mut().find(|(known, _)| *known == place) {
                Some((_, sum)) => *sum += count,
                None => wishes.push((place, count)),
            }
        }
        let wish = |(place, count): &(String, u64)| {
            format!("an ONLINE worker {place} with capacity for {}", endpoints(*count))
        };
        wishes.iter().map(wish).collect::<Vec<_>>().join("; ")
    }

    /// What is short now, and where.
    fn suggest_capacity(&self, fleet: &Fleet<'_>, view: View<'_>) -> String {
        let (groups, demands) = self.online_demands(fleet, view);
        let wish = |(short, tight): (u64, Vec<usize>)| {
            let place = |index: usize| {
                self.group(groups[index])
                    .map(|group| whereabouts(&group.selector))
            };
            let places = distinct(tight.into_iter().filter_map(place)).join(" or ");
            let more = if short == 1 {
                "1 more endpoint".to_owned()
            } else {
                format!("{short} more endpoints")
            };
            format!("{more} of capacity {places}")
        };
        solve::shortage(&rooms(fleet, view), &demands)
            .into_iter()
            .map(wish)
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// Where a selector points, for people.
fn whereabouts(selector: &Selector) -> String {
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

fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

fn endpoints(count: u64) -> String {
    if count == 1 {
        "1 endpoint".to_owned()
    } else {
        format!("{count} endpoints")
    }
}
