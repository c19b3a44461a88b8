//! Placement: named properties over random fleets, and the answers to known cases.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use reeve_plan::placement::{explain, place};
use reeve_plan::{PlanConfig, Reservations};
use reeve_state::State;
use reeve_state::change::Row;
use reeve_state::command::Placement;
use reeve_state::id::{Incarnation, NodeId, Revision, SessionEpoch, WorkerId};
use reeve_state::record::{
    ChangeKind, Selector, Session, SuggestedChange, TestDefinition, Worker, WorkerKind,
};
use reeve_state::time::Time;
use reeve_state::transition::run::RunReasonCode;
use reeve_state::transition::worker::{Facts, Link, LinkFact, LivenessProfile, WorkerStatus};
use support::{bytes, definition, group, hash_of, region};

/// A worker: region, capacity, endpoints taken, ONLINE.
type Spec = (usize, u32, u32, bool);

const REGIONS: [&str; 3] = ["eu", "us", "ap"];

fn worker_id(index: usize) -> WorkerId {
    WorkerId::from_bytes(bytes(index as u64 + 1))
}

fn fleet(specs: &[Spec]) -> (State, Reservations) {
    let mut taken = Reservations::default();
    let mut rows = Vec::new();
    for (index, (region, capacity, used, online)) in specs.iter().enumerate() {
        let id = worker_id(index);
        taken.add(
            &wish(&[(1, None)]),
            &[Placement {
                worker: id,
                group: 0,
                first: 0,
                count: *used,
            }],
        );
        let link = if *online { Link::Up } else { Link::Suspect };
        let link = LinkFact {
            link,
            reason: String::new(),
            since: Time(0),
        };
        let (epoch, node, incarnation) = (SessionEpoch(1), NodeId(1), Incarnation([0; 16]));
        rows.push(Row::Worker(std::sync::Arc::new(Worker {
            id,
            name: format!("w{index}"),
            kind: WorkerKind::UserOwned,
            profile: LivenessProfile::Session,
            region: REGIONS[*region].to_owned(),
            labels: BTreeMap::new(),
            configured_capacity: Some(*capacity),
            reported_capacity: None,
            sip_capacity: None,
            token_hash: Some(hash_of(id)),
            token_expires_at: None,
            function_blocks: Default::default(),
            version: String::new(),
            ip_address: String::new(),
            registered_by: None,
            flaps: 0,
            events: 0,
            facts: Facts {
                link,
                ..Facts::registered(Time(0))
            },
            session: Some(Session {
                epoch,
                node,
                incarnation,
                since: Time(0),
            }),
            last_epoch: epoch,
            attempt: None,
            created_at: Time(0),
            created_by: None,
            revision: Revision(1),
        })));
    }
    (State::from_rows(Default::default(), rows), taken)
}

/// Groups: endpoints, and the region if one is named.
fn wish(groups: &[(u32, Option<usize>)]) -> TestDefinition {
    let selector = |at: Option<usize>| at.map_or_else(Selector::default, |at| region(REGIONS[at]));
    let groups = groups.iter().enumerate();
    definition(
        groups
            .map(|(index, (count, at))| group(&format!("g{index}"), *count, selector(*at)))
            .collect(),
    )
}

/// Does what a step of a suggestion says, with this many endpoints.
fn suggested(step: &SuggestedChange, count: u32, specs: &mut Vec<Spec>, groups: &mut [(u32, Option<usize>)]) {
    match step.kind {
        ChangeKind::AddCapacity | ChangeKind::AddWorker => {
            let named = |region: &str| REGIONS.iter().position(|known| *known == region);
            let region = step.place.region.as_deref().and_then(named).unwrap_or(0);
            specs.extend((count > 0).then_some((region, count, 0, true)));
        }
        ChangeKind::ReduceEndpoints | ChangeKind::RemoveGroup => {
            let index: usize = step.groups[0][1..].parse().unwrap();
            groups[index].0 -= count;
        }
        ChangeKind::Wait | ChangeKind::RaiseLimit | ChangeKind::ChangeDefinition | ChangeKind::StartAgain => {
            panic!("{step:?} is not for this")
        }
    }
}

fn chunks(min_chunk: u32) -> PlanConfig {
    PlanConfig {
        min_chunk,
        ..PlanConfig::default()
    }
}

fn on_worker(placements: &[Placement]) -> BTreeMap<WorkerId, u32> {
    let mut sums = BTreeMap::new();
    placements
        .iter()
        .for_each(|placement| *sums.entry(placement.worker).or_insert(0) += placement.count);
    sums
}

fn every_endpoint_is_covered_exactly_once(wish: &TestDefinition, placements: &[Placement]) {
    let mut next = 0;
    let mut group = 0;
    for placement in placements {
        while group < placement.group {
            assert_eq!(
                next, wish.groups[group as usize].endpoints,
                "group {group} is covered"
            );
            (group, next) = (group + 1, 0);
        }
        assert_eq!(
            (placement.group, placement.first),
            (group, next),
            "ordered by group, then first"
        );
        assert!(placement.count > 0);
        next += placement.count;
    }
    assert_eq!(group as usize + 1, wish.groups.len());
    assert_eq!(next, wish.groups[group as usize].endpoints);
}

fn never_above_capacity(specs: &[Spec], placements: &[Placement]) {
    for (worker, count) in on_worker(placements) {
        let (_, capacity, used, _) = specs[(0..specs.len())
            .find(|index| worker_id(*index) == worker)
            .unwrap()];
        assert!(
            used + count <= capacity,
            "{worker}: {used} + {count} of {capacity}"
        );
    }
}

fn only_eligible_workers(state: &State, wish: &TestDefinition, placements: &[Placement]) {
    for placement in placements {
        let worker = state.worker(placement.worker).unwrap();
        assert_eq!(worker.status(), WorkerStatus::Online);
        assert!(wish.groups[placement.group as usize].selector.matches(worker));
    }
}

/// The lowest highest utilisation of the workers used, as (endpoints, capacity), by trying everything.
fn brute_force(specs: &[Spec], groups: &[(u32, Option<usize>)], chunk: u32) -> Option<(u32, u32)> {
    fn worse(a: (u32, u32), b: (u32, u32)) -> (u32, u32) {
        if u64::from(a.0) * u64::from(b.1) >= u64::from(b.0) * u64::from(a.1) {
            a
        } else {
            b
        }
    }
    fn go(
        specs: &[Spec],
        groups: &[(u32, Option<usize>)],
        chunk: u32,
        taken: &mut Vec<u32>,
        at: (usize, usize, u32),
    ) -> Option<(u32, u32)> {
        let (group, worker, left) = at;
        if worker == specs.len() {
            if left > 0 {
                return None;
            }
            if group + 1 < groups.len() {
                return go(specs, groups, chunk, taken, (group + 1, 0, groups[group + 1].0));
            }
            let used = specs.iter().zip(taken.iter()).filter(|(_, count)| **count > 0);
            return used.map(|(spec, count)| (spec.2 + count, spec.1)).reduce(worse);
        }
        let (region, capacity, used, online) = specs[worker];
        let eligible = online && groups[group].1.is_none_or(|wanted| wanted == region);
        let most = if eligible {
            capacity.saturating_sub(used + taken[worker]).min(left)
        } else {
            0
        };
        let mut best: Option<(u32, u32)> = None;
        for count in (0..=most).filter(|count| *count == 0 || *count >= chunk.min(groups[group].0)) {
            taken[worker] += count;
            if let Some(found) = go(specs, groups, chunk, taken, (group, worker + 1, left - count)) {
                best = Some(best.map_or(
                    found,
                    |best| if worse(best, found) == best { found } else { best },
                ));
            }
            taken[worker] -= count;
        }
        best
    }
    go(
        specs,
        groups,
        chunk,
        &mut vec![0; specs.len()],
        (0, 0, groups[0].0),
    )
}

fn highest(specs: &[Spec], placements: &[Placement]) -> (u32, u32) {
    let sums = on_worker(placements);
    let touched = specs
        .iter()
        .enumerate()
        .filter_map(|(index, spec)| sums.get(&worker_id(index)).map(|count| (spec.2 + count, spec.1)));
    touched
        .max_by(|a, b| (u64::from(a.0) * u64::from(b.1)).cmp(&(u64::from(b.0) * u64::from(a.1))))
        .unwrap()
}

fn same_level(a: (u32, u32), b: (u32, u32)) -> bool {
    u64::from(a.0) * u64::from(b.1) == u64::from(b.0) * u64::from(a.1)
}

fn spec(capacity: u32) -> impl Strategy<Value = Spec> {
    (
        0..REGIONS.len(),
        1..=capacity,
        0..=capacity,
        prop::bool::weighted(0.85),
    )
        .prop_map(|(region, capacity, used, online)| (region, capacity, used % (capacity + 1), online))
}

fn groups(most: usize, endpoints: u32) -> impl Strategy<Value = Vec<(u32, Option<usize>)>> {
    prop::collection::vec((1..=endpoints, prop::option::of(0..REGIONS.len())), 1..=most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    // Covers: R94, R95, R97, R123, R132, R133
    #[test]
    fn what_is_placed_is_legal(
        specs in prop::collection::vec(spec(300), 0..40),
        groups in groups(4, 600),
        min_chunk in 0_u32..80,
    ) {
        let (state, taken) = fleet(&specs);
        let wish = wish(&groups);
        let first = place(&state, &wish, &taken, &chunks(min_chunk));
        prop_assert_eq!(&first, &place(&state, &wish, &taken, &chunks(min_chunk)), "deterministic");
        match first {
            Ok(placements) => {
                every_endpoint_is_covered_exactly_once(&wish, &placements);
                never_above_capacity(&specs, &placements);
                only_eligible_workers(&state, &wish, &placements);
                prop_assert_eq!(explain(&state, &wish, &taken).suggestion, "");
            }
            Err(why) => {
                prop_assert!(!why.explanation.suggestion.is_empty());
                for group in &why.explanation.groups {
                    let removed: u32 = group.removed.iter().map(|count| count.workers).sum();
                    prop_assert!(removed <= group.workers_considered);
                    prop_assert_eq!(group.workers_considered as usize, specs.len());
                }
            }
        }
    }

    // Covers: R98, R99
    #[test]
    fn one_group_is_placed_as_level_as_possible_in_the_largest_chunks_up_to_the_minimum(
        specs in prop::collection::vec(spec(7), 1..5),
        endpoints in 1_u32..14,
        min_chunk in 1_u32..5,
    ) {
        let (state, taken) = fleet(&specs);
        let groups = [(endpoints, None)];
        let forced = (1..=min_chunk).rev().find(|chunk| brute_force(&specs, &groups, *chunk).is_some());
        let placed = place(&state, &wish(&groups), &taken, &chunks(min_chunk));
        prop_assert_eq!(placed.is_ok(), forced.is_some());
        if let (Ok(placements), Some(chunk)) = (placed, forced) {
            prop_assert!(placements.iter().all(|placement| placement.count >= chunk.min(endpoints)));
            let best = brute_force(&specs, &groups, chunk).unwrap();
            let level = highest(&specs, &placements);
            prop_assert!(same_level(level, best), "{level:?} instead of {best:?}: {placements:?}");
        }
    }

    // Covers: R95, R98, R99
    #[test]
    fn overlapping_groups_are_placed_whenever_that_is_possible_and_level_without_chunks(
        specs in prop::collection::vec(spec(4), 1..5),
        groups in groups(3, 5),
        min_chunk in 1_u32..4,
    ) {
        let (state, taken) = fleet(&specs);
        let best = brute_force(&specs, &groups, 1);
        let placed = place(&state, &wish(&groups), &taken, &chunks(min_chunk));
        prop_assert_eq!(placed.is_ok(), best.is_some());
        if let (Ok(placements), Some(best), 1) = (placed, best, min_chunk) {
            let level = highest(&specs, &placements);
            prop_assert!(same_level(level, best), "{level:?} instead of {best:?}: {placements:?}");
        }
    }

    // Covers: R192, R197
    #[test]
    fn what_is_suggested_helps_and_one_less_does_not(
        specs in prop::collection::vec(spec(4), 0..5),
        groups in groups(3, 6),
    ) {
        let fits = |specs: &[Spec], groups: &[(u32, Option<usize>)]| {
            let (state, taken) = fleet(specs);
            place(&state, &wish(groups), &taken, &chunks(1)).is_ok()
        };
        let (state, taken) = fleet(&specs);
        let Err(why) = place(&state, &wish(&groups), &taken, &chunks(1)) else { return Ok(()) };
        let changes = why.explanation.changes;
        let options = changes.iter().map(|change| change.option).max().unwrap_or(0);
        for option in 1..=options {
            let steps: Vec<_> = changes.iter().filter(|step| step.option == option).collect();
            if steps.iter().any(|step| step.kind == ChangeKind::Wait) {
                continue;
            }
            for short in (0..steps.len()).map(Some).chain([None]) {
                let (mut specs, mut groups) = (specs.clone(), groups.clone());
                for (at, step) in steps.iter().enumerate() {
                    let count = u32::try_from(step.endpoints).unwrap() - u32::from(short == Some(at));
                    suggested(step, count, &mut specs, &mut groups);
                }
                groups.retain(|group| group.0 > 0);
                prop_assert_eq!(fits(&specs, &groups), short.is_none(), "{:?} short {:?}", steps, short);
            }
        }
    }

    // Covers: R188, R189, R192
    #[test]
    fn the_reason_follows_from_who_is_online_and_what_they_could_hold(
        specs in prop::collection::vec(spec(4), 0..5),
        groups in groups(3, 6),
    ) {
        let (state, taken) = fleet(&specs);
        let Err(why) = place(&state, &wish(&groups), &taken, &chunks(1)) else { return Ok(()) };
        let somebody = |at: Option<usize>| specs.iter().any(|spec| spec.3 && at.is_none_or(|at| at == spec.0));
        let idle: Vec<Spec> = specs.iter().map(|spec| (spec.0, spec.1, 0, spec.3)).collect();
        let expected = if !groups.iter().all(|group| somebody(group.1)) {
            RunReasonCode::NoOnlineWorkers
        } else if brute_force(&idle, &groups, 1).is_none() {
            RunReasonCode::InsufficientCapacity
        } else {
            RunReasonCode::WorkersBusy
        };
        prop_assert_eq!(why.code, expected);
    }
}

// Covers: R98
#[test]
fn a_hundred_endpoints_on_ten_idle_workers_use_two() {
    let (state, taken) = fleet(&[(0, 500, 0, true); 10]);
    let placements = place(&state, &wish(&[(100, None)]), &taken, &PlanConfig::default()).unwrap();
    let counts: Vec<(WorkerId, u32)> = placements.iter().map(|p| (p.worker, p.count)).collect();
    assert_eq!(
        counts,
        [(worker_id(0), 50), (worker_id(1), 50)],
        "ties by worker id"
    );
}

// Covers: R96
#[test]
fn a_group_that_names_a_worker_uses_only_that_one() {
    let (state, taken) = fleet(&[(0, 100, 0, true), (0, 100, 0, true)]);
    let selector = Selector {
        worker: Some(worker_id(1)),
        ..Selector::default()
    };
    let wish = definition(vec![group("g", 100, selector)]);
    let placements = place(&state, &wish, &taken, &PlanConfig::default()).unwrap();
    assert_eq!(
        placements,
        [Placement {
            worker: worker_id(1),
            group: 0,
            first: 0,
            count: 100
        }]
    );
}

#[test]
fn a_crowded_region_does_not_raise_the_level_of_another() {
    let specs = [(0, 100, 80, true), (1, 100, 0, true), (1, 100, 0, true)];
    let (state, taken) = fleet(&specs);
    let placements = place(
        &state,
        &wish(&[(20, Some(0)), (100, Some(1))]),
        &taken,
        &chunks(10),
    )
    .unwrap();
    assert_eq!(
        placements
            .iter()
            .map(|placement| placement.count)
            .collect::<Vec<_>>(),
        [20, 50, 50]
    );
}

#[test]
fn the_shortage_is_named_where_it_is() {
    let (state, taken) = fleet(&[(0, 100, 70, true), (1, 100, 0, true)]);
    let why = place(
        &state,
        &wish(&[(40, Some(0)), (40, Some(1))]),
        &taken,
        &PlanConfig::default(),
    )
    .unwrap_err();
    assert_eq!(why.code, RunReasonCode::WorkersBusy);
    assert_eq!(
        why.explanation.suggestion,
        "10 more endpoints of capacity in region eu"
    );
    let free: Vec<u64> = why
        .explanation
        .groups
        .iter()
        .map(|group| group.capacity_free)
        .collect();
    assert_eq!(free, [30, 100]);
}

// Covers: R94, R134
#[test]
fn groups_that_others_call_come_first() {
    let (state, taken) = fleet(&[(0, 500, 0, true)]);
    let mut wish = wish(&[(10, None), (10, None), (10, None)]);
    wish.groups[0].callee = Some("g2".to_owned());
    wish.groups[2].callee = Some("g1".to_owned());
    let placements = place(&state, &wish, &taken, &PlanConfig::default()).unwrap();
    let groups: Vec<u32> = placements.iter().map(|placement| placement.group).collect();
    assert_eq!(groups, [1, 2, 0], "receivers before callers");
}
