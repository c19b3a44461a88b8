//! What must come back once everything is well again.

use std::sync::Arc;

use reeve_state::State;
use reeve_state::transition::worker::{Link, WorkerStatus};

use crate::cluster::Cluster;
use crate::setting::{DOWN, EXCHANGE};

/// A silent worker is OFFLINE so long after the others are well: the threshold, the grace of a lost node, an election and a look.
pub(crate) const DECLARED_MS: u64 = (DOWN.as_millis() * 4 / 3 + 4 * EXCHANGE.as_millis()) as u64 + 3_000;

/// What is still missing; none: all is well.
pub(crate) fn missing(cluster: &Cluster, lost: Option<usize>) -> Option<String> {
    let Some(leader) = cluster.leader() else {
        return Some("a leader".to_owned());
    };
    let newest = cluster.eye.lock().newest().map(|((index, _), _)| index);
    let mut states: Vec<Arc<State>> = Vec::new();
    for seat in &cluster.seats {
        let Some(context) = seat.context() else {
            return Some(format!("{} does not run", seat.host()));
        };
        let known = context.store.leadership().borrow().leader;
        if known != Some(cluster.seats[leader].id) {
            return Some(format!("{} follows {known:?}", seat.host()));
        }
        let (index, state) = context.store.local_with_index();
        if newest.is_some_and(|newest| index < newest) {
            return Some(format!("{} applied {index} of {newest:?}", seat.host()));
        }
        states.push(state);
    }
    let state = &states[leader];
    if let Some(run) = state.live_runs().next() {
        return Some(format!("{:?} is {}", run.id, run.life.status()));
    }
    workers(cluster, state, lost)
}

fn workers(cluster: &Cluster, state: &State, lost: Option<usize>) -> Option<String> {
    for (number, post) in cluster.posts.iter().enumerate() {
        let Some(worker) = state.worker(post.id) else {
            return Some(format!("{} is not registered", post.host()));
        };
        let well = if lost == Some(number) {
            worker.status() == WorkerStatus::Offline
        } else {
            worker.facts.link.link == Link::Up
        };
        if !well {
            return Some(format!(
                "{} is {}, its link {:?}",
                post.host(),
                worker.status(),
                worker.facts.link.link
            ));
        }
    }
    None
}

/// Nothing that was acknowledged is missing anywhere.
pub(crate) fn acknowledged(cluster: &Cluster) {
    for seat in &cluster.seats {
        let Some(context) = seat.context() else { continue };
        let state = context.store.local();
        let mut eye = cluster.eye.lock();
        let tests = eye
            .acked_tests
            .iter()
            .filter(|test| !eye.deleted_tests.contains(test))
            .find(|test| state.test(**test).is_none())
            .map(|test| format!("{test:?}"));
        let runs = eye.acked_runs.iter().find(|run| state.run(**run).is_none());
        let lost = tests.or(runs.map(|run| format!("{run:?}")));
        if let Some(lost) = lost {
            let detail = format!("{lost} is not on {}", seat.host());
            eye.broken("what was acknowledged is never lost", detail);
        }
    }
}
