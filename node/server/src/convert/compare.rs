//! Two runs side by side, on the wire (R183).

use std::collections::{BTreeMap, BTreeSet};

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::id::WorkerId;
use reeve_state::record::{Assignment, Run};
use reeve_state::time::Time;
use reeve_state::transition::run::RunStatus;

use super::{enums, run, time};

/// To the wire.
pub fn comparison(state: &State, a: &Run, b: &Run) -> v1::RunComparison {
    let (shares_a, shares_b) = (shares(state, a), shares(state, b));
    let both: BTreeSet<WorkerId> = shares_a.keys().chain(shares_b.keys()).copied().collect();
    let workers = both.into_iter().map(|id| {
        let worker = state.worker(id);
        v1::WorkerComparison {
            worker_id: id.to_string(),
            worker_name: worker.map(|worker| worker.name.clone()).unwrap_or_default(),
            status: worker
                .map_or(v1::WorkerStatus::Unspecified, |worker| {
                    enums::worker_status(worker.status())
                })
                .into(),
            a: shares_a.get(&id).copied(),
            b: shares_b.get(&id).copied(),
        }
    });
    v1::RunComparison {
        a: Some(side(state, a, &shares_a)),
        b: Some(side(state, b, &shares_b)),
        same_definition: a.definition == b.definition,
        workers: workers.collect(),
        revision: run::revision(state, a).max(run::revision(state, b)).0,
    }
}

/// What each worker had of a run, over its assignments that started.
fn shares(state: &State, run: &Run) -> BTreeMap<WorkerId, v1::WorkerShare> {
    let mut shares: BTreeMap<WorkerId, v1::WorkerShare> = BTreeMap::new();
    for row in state.assignments(run.id).filter(|row| row.started) {
        let row: &Assignment = row;
        let share = shares.entry(row.worker).or_default();
        share.endpoints += row.count;
        share.completed += row.completed();
        share.interrupted += row.interrupted;
        share.lost |= row.lost;
    }
    shares
}

fn side(state: &State, run: &Run, shares: &BTreeMap<WorkerId, v1::WorkerShare>) -> v1::RunSide {
    let (concurrent_runs, concurrent_endpoints) = concurrent(state, run);
    let count = |wanted: fn(&v1::WorkerShare) -> bool| {
        u32::try_from(shares.values().filter(|share| wanted(share)).count()).unwrap_or(u32::MAX)
    };
    v1::RunSide {
        run_id: run.id.to_string(),
        test_name: run.definition.name.clone(),
        test_version: run.test_version,
        status: enums::run_status(run.life.status()).into(),
        reason: run.life.reason().map(run::reason),
        created_at: Some(time::timestamp(run.created_at)),
        durations: durations(run),
        endpoints: Some(run::counts(run.definition.endpoints(), &state.run_counts(run.id))),
        completed: shares.values().map(|share| share.completed).sum(),
        interrupted: shares.values().map(|share| share.interrupted).sum(),
        workers: count(|_| true),
        workers_lost: count(|share| share.lost),
        concurrent_runs,
        concurrent_endpoints,
        metrics: Vec::new(),
        metrics_complete: false,
    }
}

/// Statuses that the run left, in order.
fn durations(run: &Run) -> Vec<v1::StatusDuration> {
    let pairs = run.life.timeline().windows(2);
    pairs
        .map(|pair| v1::StatusDuration {
            status: enums::run_status(pair[0].status).into(),
            took: Some(time::duration(pair[1].at.since(pair[0].at))),
        })
        .collect()
}

/// How many other runs were in RUNNING while this one was, and with how many endpoints.
fn concurrent(state: &State, run: &Run) -> (u32, u64) {
    let Some(span) = running(run) else {
        return (0, 0);
    };
    let overlaps = |other: &Run| {
        other.id != run.id && running(other).is_some_and(|other| other.0 < span.1 && span.0 < other.1)
    };
    let others = state.runs().filter(|other| overlaps(other));
    others.fold((0, 0), |(runs, endpoints), other| {
        (runs + 1, endpoints + u64::from(other.definition.endpoints()))
    })
}

/// When a run was in RUNNING; one that still is has no end yet.
fn running(run: &Run) -> Option<(Time, Time)> {
    let from = run.life.entered(RunStatus::Running)?;
    let ended = run
        .life
        .timeline()
        .last()
        .filter(|last| last.status.is_terminal());
    Some((from, ended.map_or(Time(u64::MAX), |last| last.at)))
}
