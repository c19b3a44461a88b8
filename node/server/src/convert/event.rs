//! An event of a worker's history on the wire.

use std::collections::BTreeMap;

use reeve_proto::v1;
use reeve_state::id::NodeId;
use reeve_state::record::WorkerEvent;

use super::worker::node_name;
use super::{enums, time};

/// To the wire.
pub fn worker_event(nodes: &BTreeMap<NodeId, String>, event: &WorkerEvent) -> v1::WorkerEvent {
    let unspecified = v1::WorkerStatus::Unspecified;
    v1::WorkerEvent {
        seq: event.key.seq,
        at: Some(time::timestamp(event.at)),
        kind: enums::worker_event_kind(event.kind).into(),
        status_before: event
            .status_before
            .map_or(unspecified, enums::worker_status)
            .into(),
        status: enums::worker_status(event.status).into(),
        node: event.node.map(|node| node_name(nodes, node)).unwrap_or_default(),
        session_epoch: event.epoch.0,
        actor: event.actor.clone(),
        message: event.message.clone(),
        revision: event.revision.0,
    }
}
