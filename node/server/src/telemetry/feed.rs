//! Counts what the change feed says: transitions, waits and outcomes.

use metrics::{counter, histogram};
use reeve_proto::names::Named;
use reeve_state::change::{Change, Delta};
use reeve_state::id::RunId;
use reeve_state::record::{Assignment, AssignmentKey, Run, WorkerEvent, WorkerEventKey};
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::run::{RunStatus, TimelineEntry};
use reeve_store::FeedItem;

use super::{ENDPOINT_OUTCOMES, RUN_QUEUE_SECONDS, RUN_TRANSITIONS, WORKER_FLAPS};
use crate::context::Context;
use crate::convert::enums;

/// Counts until the node stops. What changed before it began, or while the feed was reset, is not counted.
pub async fn follow(context: Context) {
    let Ok(mut feed) = context.store.watch(None) else {
        return;
    };
    loop {
        let item = tokio::select! {
            () = context.shutdown.cancelled() => return,
            item = feed.next() => item,
        };
        match item {
            Some(FeedItem::Changes { revision: _, changes }) => changes.iter().for_each(count),
            Some(FeedItem::Reset { .. }) => {}
            None => return,
        }
    }
}

fn count(change: &Change) {
    match change {
        Change::Run(delta) => count_run(delta),
        Change::Assignment(delta) => count_assignment(delta),
        Change::Event(delta) => count_event(delta),
        Change::Test(_)
        | Change::Chunk(_)
        | Change::Worker(_)
        | Change::Request(_)
        | Change::Key(_)
        | Change::Webhook(_)
        | Change::Delivery(_)
        | Change::Probe(_)
        | Change::ProbeSlot(_)
        | Change::Manifest(_)
        | Change::Summary(_)
        | Change::Project(_)
        | Change::Registrar(_)
        | Change::SipAccount(_)
        | Change::SipLease(_)
        | Change::Media(_) => {}
    }
}

fn count_run(delta: &Delta<RunId, Run>) {
    for (before, entry) in new_transitions(delta) {
        let reason = entry
            .reason
            .as_ref()
            .map_or("", |reason| enums::run_reason(reason.code).name());
        let from = before.map_or("", |before| before.status.name());
        counter!(RUN_TRANSITIONS, "from" => from, "to" => entry.status.name(), "reason" => reason)
            .increment(1);
        if let Some(before) = before.filter(|before| before.status == RunStatus::Queued) {
            // A day in milliseconds is far below 2^53.
            #[expect(clippy::cast_precision_loss, reason = "a wait is far shorter than 2^53 ms")]
            histogram!(RUN_QUEUE_SECONDS).record(entry.at.since(before.at).0 as f64 / 1_000.0);
        }
    }
}

/// The transitions that this change added, each with the one before it.
fn new_transitions(delta: &Delta<RunId, Run>) -> Vec<(Option<&TimelineEntry>, &TimelineEntry)> {
    let Some(after) = &delta.after else {
        return Vec::new();
    };
    let known = delta
        .before
        .as_ref()
        .map_or(0, |before| before.life.timeline().len());
    let timeline = after.life.timeline();
    (known..timeline.len())
        .map(|at| (at.checked_sub(1).map(|before| &timeline[before]), &timeline[at]))
        .collect()
}

fn count_assignment(delta: &Delta<AssignmentKey, Assignment>) {
    let Some(after) = &delta.after else { return };
    for outcome in EndpointOutcome::ALL {
        let before = delta
            .before
            .as_ref()
            .map_or(0, |before| before.counts.outcome(outcome));
        // One that gives way to a worse one (D13) is not taken back: counters never fall.
        let more = after.counts.outcome(outcome).saturating_sub(before);
        if more > 0 {
            counter!(ENDPOINT_OUTCOMES, "outcome" => enums::outcome(outcome).name())
                .increment(u64::from(more));
        }
    }
}

/// Counts on every node, so that it is there whichever is asked; events that are forgotten are no news.
fn count_event(delta: &Delta<WorkerEventKey, WorkerEvent>) {
    if delta.after.as_ref().is_some_and(|event| event.is_flap()) {
        counter!(WORKER_FLAPS).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reeve_state::id::{ProjectName, Revision, TestId};
    use reeve_state::record::TestDefinition;
    use reeve_state::time::{Millis, Time};
    use reeve_state::transition::run::RunLife;

    use super::*;

    fn run(statuses: &[RunStatus]) -> Arc<Run> {
        let entry = |(at, status): (usize, &RunStatus)| TimelineEntry {
            status: *status,
            at: Time(u64::try_from(at).unwrap_or(0) * 1_000),
            reason: None,
        };
        let life = RunLife::restore(statuses.iter().enumerate().map(entry).collect());
        let definition = TestDefinition {
            name: "t".to_owned(),
            duration: Millis(1),
            buildup: Millis(0),
            queue_timeout: Millis(1),
            max_execution: Millis(1),
            on_worker_loss: Default::default(),
            groups: Vec::new(),
        };
        Arc::new(Run {
            id: RunId::from_bytes([1; 16]),
            test: TestId::from_bytes([2; 16]),
            project: ProjectName::default(),
            test_version: 1,
            definition: Arc::new(definition),
            life: life.unwrap_or_else(|| RunLife::begin(Time(0))),
            created_at: Time(0),
            queue_deadline: None,
            ready_deadline: None,
            start_at: None,
            execution_deadline: None,
            stop_requested_at: None,
            stop_deadline: None,
            assignments: 0,
            replacements: 0,
            explanation: None,
            credits_reserved: None,
            credits_used: None,
            probe: None,
            created_by: None,
            revision: Revision(1),
        })
    }

    #[test]
    fn only_new_transitions_are_counted_each_with_where_it_came_from() {
        let before = run(&[RunStatus::Pending]);
        let after = run(&[RunStatus::Pending, RunStatus::Queued, RunStatus::Running]);
        let delta = Delta {
            key: before.id,
            before: Some(before),
            after: Some(Arc::clone(&after)),
        };
        let edges: Vec<_> = new_transitions(&delta)
            .into_iter()
            .map(|(from, to)| (from.map(|from| from.status), to.status))
            .collect();
        assert_eq!(
            edges,
            [
                (Some(RunStatus::Pending), RunStatus::Queued),
                (Some(RunStatus::Queued), RunStatus::Running)
            ]
        );
        let created = Delta {
            key: after.id,
            before: None,
            after: Some(run(&[RunStatus::Pending])),
        };
        assert_eq!(new_transitions(&created).len(), 1);
        let removed = Delta {
            key: after.id,
            before: Some(after),
            after: None,
        };
        assert!(new_transitions(&removed).is_empty());
    }
}
