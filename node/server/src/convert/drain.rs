//! A drain on the wire: who asked, until when, and what it waits for, run by run.

use std::collections::BTreeMap;

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::definition::expected_execution;
use reeve_state::id::RunId;
use reeve_state::record::{Assignment, Run, Worker};
use reeve_state::time::Time;
use reeve_state::transition::endpoint::EndpointPhase;
use reeve_state::transition::worker::{Drain, DrainActor};

use super::worker::actor_worker;
use super::{enums, time};

/// The drain in force, if there is one. `now` is cluster time.
pub fn message(state: &State, worker: &Worker, now: Time) -> Option<v1::WorkerDrain> {
    let drain = worker.facts.drain.as_ref()?;
    Some(v1::WorkerDrain {
        actor: actor(worker, drain),
        reason: drain.reason.clone(),
        since: Some(time::timestamp(drain.since)),
        deadline: Some(time::timestamp(drain.deadline)),
        then: enums::after_drain(drain.then).into(),
        waits_for: waits_for(state, worker, drain, now),
    })
}

/// Who asked for a drain.
pub fn actor(worker: &Worker, drain: &Drain) -> String {
    match &drain.actor {
        DrainActor::Worker(_) => actor_worker(worker),
        DrainActor::Admin(name) => name.clone(),
        DrainActor::Platform => "platform".to_owned(),
    }
}

fn waits_for(state: &State, worker: &Worker, drain: &Drain, now: Time) -> Vec<v1::DrainWait> {
    let mut open: BTreeMap<RunId, u32> = BTreeMap::new();
    for assignment in state.worker_assignments(worker.id) {
        let count = open_endpoints(assignment);
        if count > 0 {
            *open.entry(assignment.key.run).or_default() += count;
        }
    }
    let wait = |(id, open_endpoints)| {
        let run = state.run(id)?;
        let end = expected_end(run, now);
        Some(v1::DrainWait {
            run_id: id.to_string(),
            test: run.definition.name.clone(),
            run_status: enums::run_status(run.life.status()).into(),
            open_endpoints,
            expected_end: Some(time::timestamp(end)),
            ends_in_time: end <= drain.deadline,
        })
    };
    open.into_iter().filter_map(wait).collect()
}

/// Endpoints that are not CLOSED; those of an epoch that is over are accounted for already.
fn open_endpoints(assignment: &Assignment) -> u32 {
    if !assignment.life.status().is_current() {
        return 0;
    }
    if !assignment.started {
        return assignment.count;
    }
    let closed = assignment.counts.phase(EndpointPhase::Closed);
    assignment.count.saturating_sub(closed)
}

/// When a run's endpoints are expected to have ended: counted from its start, or from now if it has none yet. A run that was stopped
/// ends at its own deadline at the latest.
fn expected_end(run: &Run, now: Time) -> Time {
    let end = run.start_at.unwrap_or(now) + expected_execution(&run.definition);
    run.stop_deadline.map_or(end, |stop| stop.min(end))
}
