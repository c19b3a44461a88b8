//! Bytes of evidence: commands, manifests and summaries.

use std::collections::BTreeMap;

use reeve_proto::internal as wire;
use reeve_state::command::{PurgeRun, RecordChunk, RecordSummary};
use reeve_state::id::{AssignmentEpoch, NodeId, Revision, RunId, WorkerId};
use reeve_state::record::{Aggregate, GroupFigures, Manifest, ManifestKey, RunSummary, SimQuality, Span};
use reeve_state::time::Time;

use super::enums::Numbered;
use super::{DecodeError, Wire, fixed, id_bytes, message, optional, span};

impl Wire for RecordChunk {
    type Proto = wire::RecordChunk;

    fn to_proto(&self) -> Self::Proto {
        wire::RecordChunk {
            run: id_bytes(self.run.as_bytes()),
            epoch: self.epoch.0,
            worker: id_bytes(self.worker.as_bytes()),
            kind: self.kind.number(),
            seq: self.seq,
            node: self.node.0,
            path: self.path.clone(),
            rows: self.rows,
            bytes: self.bytes,
            sha256: id_bytes(&self.sha256),
            first_at_ms: self.first_at.0,
            last_at_ms: self.last_at.0,
            last: self.last,
            dropped: self.dropped,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            run: RunId::from_bytes(fixed("run", &proto.run)?),
            epoch: AssignmentEpoch(proto.epoch),
            worker: WorkerId::from_bytes(fixed("worker", &proto.worker)?),
            kind: Numbered::numbered("kind", proto.kind)?,
            seq: proto.seq,
            node: NodeId(proto.node),
            path: proto.path,
            rows: proto.rows,
            bytes: proto.bytes,
            sha256: fixed("sha256", &proto.sha256)?,
            first_at: Time(proto.first_at_ms),
            last_at: Time(proto.last_at_ms),
            last: proto.last,
            dropped: proto.dropped,
        })
    }
}

impl Wire for PurgeRun {
    type Proto = wire::PurgeRun;

    fn to_proto(&self) -> Self::Proto {
        wire::PurgeRun {
            run: id_bytes(self.run.as_bytes()),
            retention_ms: self.retention.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            run: RunId::from_bytes(fixed("run", &proto.run)?),
            retention: span(proto.retention_ms),
        })
    }
}

impl Wire for RecordSummary {
    type Proto = wire::RecordSummary;

    fn to_proto(&self) -> Self::Proto {
        wire::RecordSummary {
            run: id_bytes(self.run.as_bytes()),
            metrics: metrics_to_proto(&self.metrics),
            complete: self.complete,
            missing: self.missing.clone(),
            responses: self.responses.clone(),
            groups: self.groups.iter().map(Wire::to_proto).collect(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            run: RunId::from_bytes(fixed("run", &proto.run)?),
            metrics: metrics_from_proto(proto.metrics)?,
            complete: proto.complete,
            missing: proto.missing,
            responses: proto.responses,
            groups: groups_from_proto(proto.groups)?,
        })
    }
}

fn metrics_to_proto(metrics: &BTreeMap<String, Aggregate>) -> BTreeMap<String, wire::Aggregate> {
    let one = |(name, aggregate): (&String, &Aggregate)| (name.clone(), aggregate.to_proto());
    metrics.iter().map(one).collect()
}

fn metrics_from_proto(
    metrics: BTreeMap<String, wire::Aggregate>,
) -> Result<BTreeMap<String, Aggregate>, DecodeError> {
    let one = |(name, aggregate)| Ok((name, Aggregate::from_proto(aggregate)?));
    metrics.into_iter().map(one).collect()
}

fn groups_from_proto(groups: Vec<wire::GroupFigures>) -> Result<Vec<GroupFigures>, DecodeError> {
    groups.into_iter().map(GroupFigures::from_proto).collect()
}

impl Wire for GroupFigures {
    type Proto = wire::GroupFigures;

    fn to_proto(&self) -> Self::Proto {
        wire::GroupFigures {
            group: self.group.clone(),
            metrics: metrics_to_proto(&self.metrics),
            responses: self.responses.clone(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            group: proto.group,
            metrics: metrics_from_proto(proto.metrics)?,
            responses: proto.responses,
        })
    }
}

impl Wire for Aggregate {
    type Proto = wire::Aggregate;

    fn to_proto(&self) -> Self::Proto {
        wire::Aggregate {
            count: self.count,
            min_milli: self.min_milli,
            mean_milli: self.mean_milli,
            p50_milli: self.p50_milli,
            p95_milli: self.p95_milli,
            p99_milli: self.p99_milli,
            max_milli: self.max_milli,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            count: proto.count,
            min_milli: proto.min_milli,
            mean_milli: proto.mean_milli,
            p50_milli: proto.p50_milli,
            p95_milli: proto.p95_milli,
            p99_milli: proto.p99_milli,
            max_milli: proto.max_milli,
        })
    }
}

impl Wire for Manifest {
    type Proto = wire::Manifest;

    fn to_proto(&self) -> Self::Proto {
        wire::Manifest {
            assignment: Some(self.key.assignment.to_proto()),
            kind: self.key.kind.number(),
            seq: self.key.seq,
            node: self.node.0,
            path: self.path.clone(),
            rows: self.rows,
            bytes: self.bytes,
            sha256: id_bytes(&self.sha256),
            first_at_ms: self.first_at.0,
            last_at_ms: self.last_at.0,
            last: self.last,
            dropped: self.dropped,
            late: self.late,
            recorded_at_ms: self.recorded_at.0,
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: ManifestKey {
                assignment: message("assignment", proto.assignment)?,
                kind: Numbered::numbered("kind", proto.kind)?,
                seq: proto.seq,
            },
            node: NodeId(proto.node),
            path: proto.path,
            rows: proto.rows,
            bytes: proto.bytes,
            sha256: fixed("sha256", &proto.sha256)?,
            first_at: Time(proto.first_at_ms),
            last_at: Time(proto.last_at_ms),
            last: proto.last,
            dropped: proto.dropped,
            late: proto.late,
            recorded_at: Time(proto.recorded_at_ms),
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for RunSummary {
    type Proto = wire::RunSummary;

    fn to_proto(&self) -> Self::Proto {
        wire::RunSummary {
            run: id_bytes(self.run.as_bytes()),
            metrics: metrics_to_proto(&self.metrics),
            complete: self.complete,
            missing: self.missing.clone(),
            responses: self.responses.clone(),
            groups: self.groups.iter().map(Wire::to_proto).collect(),
            at_ms: self.at.0,
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            run: RunId::from_bytes(fixed("run", &proto.run)?),
            metrics: metrics_from_proto(proto.metrics)?,
            complete: proto.complete,
            missing: proto.missing,
            responses: proto.responses,
            groups: groups_from_proto(proto.groups)?,
            at: Time(proto.at_ms),
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for SimQuality {
    type Proto = wire::SimQuality;

    fn to_proto(&self) -> Self::Proto {
        wire::SimQuality {
            mos: self.mos.as_ref().map(Wire::to_proto),
            jitter_ms: self.jitter_ms.as_ref().map(Wire::to_proto),
            rtt_ms: self.rtt_ms.as_ref().map(Wire::to_proto),
            fraction_lost: self.fraction_lost.as_ref().map(Wire::to_proto),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            mos: optional(proto.mos)?,
            jitter_ms: optional(proto.jitter_ms)?,
            rtt_ms: optional(proto.rtt_ms)?,
            fraction_lost: optional(proto.fraction_lost)?,
        })
    }
}

impl Wire for Span {
    type Proto = wire::MilliSpan;

    fn to_proto(&self) -> Self::Proto {
        wire::MilliSpan {
            min_milli: self.min_milli,
            max_milli: self.max_milli,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            min_milli: proto.min_milli,
            max_milli: proto.max_milli,
        })
    }
}
