//! Workers by node, with those that flap: whether it is the worker's network or the node's (R105, R108).

use std::collections::BTreeMap;

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::id::NodeId;
use reeve_state::record::{Worker, WorkerEvent};
use reeve_state::time::Time;

use crate::convert::worker::HOUR;

/// What is known of the workers of each node.
#[derive(Debug, Default)]
pub(super) struct Connections(BTreeMap<NodeId, OfNode>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OfNode {
    /// Workers connected there.
    workers: u32,
    /// Workers that flapped there within the last hour.
    flapping: u32,
    /// How often.
    flaps: u32,
}

impl Connections {
    /// O(workers + their events of the last hour).
    pub(super) fn of(state: &State, now: Time) -> Self {
        let mut all = Self::default();
        for worker in state.workers() {
            all.add(state, worker, now);
        }
        all
    }

    fn add(&mut self, state: &State, worker: &Worker, now: Time) {
        if let Some(session) = worker.session {
            self.0.entry(session.node).or_default().workers += 1;
        }
        let mut flaps: BTreeMap<NodeId, u32> = BTreeMap::new();
        let recent = |event: &&std::sync::Arc<WorkerEvent>| now.since(event.at) < HOUR;
        for event in state.worker_events(worker.id).rev().take_while(recent) {
            if let Some(node) = event.node.filter(|_| event.is_flap()) {
                *flaps.entry(node).or_default() += 1;
            }
        }
        for (node, flaps) in flaps {
            let of_node = self.0.entry(node).or_default();
            of_node.flapping += 1;
            of_node.flaps += flaps;
        }
    }

    /// A member with what is known of its workers.
    pub(super) fn shown(&self, member: v1::Member) -> v1::Member {
        let of_node = self.0.get(&NodeId(member.node_id)).copied().unwrap_or_default();
        v1::Member {
            workers: of_node.workers,
            flapping_workers: of_node.flapping,
            flaps_last_hour: of_node.flaps,
            ..member
        }
    }
}
