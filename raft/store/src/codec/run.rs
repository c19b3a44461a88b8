//! Bytes of runs, assignments and chunks of endpoints.

use std::sync::Arc;

use reeve_proto::internal as wire;
use reeve_state::id::{AssignmentEpoch, ProbeId, Revision, RunId, TestId, WorkerId};
use reeve_state::record::{Assignment, AssignmentKey, ChunkKey, EndpointCounts, Explanation, Run};
use reeve_state::time::Time;
use reeve_state::transition::assignment::AssignmentLife;
use reeve_state::transition::endpoint::EndpointChunk;
use reeve_state::transition::run::{RunLife, RunReason, TimelineEntry};

use super::command::{progress_from_proto, progress_to_proto};
use super::enums::Numbered;
use super::record::{definition, project_name, project_text};
use super::{DecodeError, Wire, fixed, id_bytes, list, message, ms, optional, protos, required, span, time};

impl Wire for Run {
    type Proto = wire::Run;

    fn to_proto(&self) -> Self::Proto {
        wire::Run {
            id: id_bytes(self.id.as_bytes()),
            test: id_bytes(self.test.as_bytes()),
            test_version: self.test_version,
            definition: Some(self.definition.to_proto()),
            timeline: protos(self.life.timeline()),
            created_at_ms: self.created_at.0,
            queue_deadline_ms: ms(self.queue_deadline),
            ready_deadline_ms: ms(self.ready_deadline),
            start_at_ms: ms(self.start_at),
            execution_deadline_ms: ms(self.execution_deadline),
            stop_requested_at_ms: ms(self.stop_requested_at),
            stop_deadline_ms: ms(self.stop_deadline),
            assignments: self.assignments,
            replacements: self.replacements,
            explanation: self
                .explanation
                .as_ref()
                .map(|explanation| explanation.to_proto()),
            probe: self.probe.map(|probe| id_bytes(probe.as_bytes())),
            created_by: self.created_by.as_ref().map(Wire::to_proto),
            revision: self.revision.0,
            project: project_text(&self.project),
            credits_reserved: self.credits_reserved,
            credits_used: self.credits_used,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let life = RunLife::restore(list::<TimelineEntry>(proto.timeline)?).ok_or(
            DecodeError::Inconsistent("a run's timeline is no path through the table"),
        )?;
        let probe = proto.probe.as_ref().map(|id| fixed("probe", id)).transpose()?;
        Ok(Self {
            id: RunId::from_bytes(fixed("id", &proto.id)?),
            test: TestId::from_bytes(fixed("test", &proto.test)?),
            project: project_name(&proto.project),
            test_version: proto.test_version,
            definition: definition(proto.definition)?,
            life,
            created_at: Time(proto.created_at_ms),
            queue_deadline: time(proto.queue_deadline_ms),
            ready_deadline: time(proto.ready_deadline_ms),
            start_at: time(proto.start_at_ms),
            execution_deadline: time(proto.execution_deadline_ms),
            stop_requested_at: time(proto.stop_requested_at_ms),
            stop_deadline: time(proto.stop_deadline_ms),
            assignments: proto.assignments,
            replacements: proto.replacements,
            explanation: optional::<Explanation>(proto.explanation)?.map(Arc::new),
            credits_reserved: proto.credits_reserved,
            credits_used: proto.credits_used,
            probe: probe.map(ProbeId::from_bytes),
            created_by: optional(proto.created_by)?,
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for RunReason {
    type Proto = wire::RunReason;

    fn to_proto(&self) -> Self::Proto {
        wire::RunReason {
            code: self.code.number(),
            message: self.message.clone(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            code: Numbered::numbered("code", proto.code)?,
            message: proto.message,
        })
    }
}

impl Wire for TimelineEntry {
    type Proto = wire::TimelineEntry;

    fn to_proto(&self) -> Self::Proto {
        wire::TimelineEntry {
            status: self.status.number(),
            at_ms: self.at.0,
            reason: self.reason.as_ref().map(Wire::to_proto),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            status: Numbered::numbered("status", proto.status)?,
            at: Time(proto.at_ms),
            reason: optional(proto.reason)?,
        })
    }
}

impl Wire for AssignmentKey {
    type Proto = wire::AssignmentKey;

    fn to_proto(&self) -> Self::Proto {
        wire::AssignmentKey {
            run: id_bytes(self.run.as_bytes()),
            ordinal: self.ordinal,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            run: RunId::from_bytes(fixed("run", &proto.run)?),
            ordinal: proto.ordinal,
        })
    }
}

impl Wire for Assignment {
    type Proto = wire::Assignment;

    fn to_proto(&self) -> Self::Proto {
        wire::Assignment {
            key: Some(self.key.to_proto()),
            worker: id_bytes(self.worker.as_bytes()),
            group: self.group,
            first: self.first,
            count: self.count,
            epoch: self.epoch.0,
            status: self.life.status().number(),
            started: self.started,
            lost: self.lost,
            detail: self.detail.clone(),
            acked_seq: self.acked_seq,
            phases: self.counts.phases.to_vec(),
            outcomes: self.counts.outcomes.to_vec(),
            revision: self.revision.0,
            interrupted: self.interrupted,
            start_late_ms: self.start_late.map(|late| late.0),
            late: (!self.late.is_empty()).then(|| progress_to_proto(&self.late)),
            late_left_out: self.late_left_out,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let counts = EndpointCounts {
            phases: eight("phases", &proto.phases)?,
            outcomes: eight("outcomes", &proto.outcomes)?,
        };
        Ok(Self {
            key: message("key", proto.key)?,
            worker: WorkerId::from_bytes(fixed("worker", &proto.worker)?),
            group: proto.group,
            first: proto.first,
            count: proto.count,
            epoch: AssignmentEpoch(proto.epoch),
            life: AssignmentLife::restore(Numbered::numbered("status", proto.status)?),
            started: proto.started,
            lost: proto.lost,
            detail: proto.detail,
            acked_seq: proto.acked_seq,
            counts,
            interrupted: proto.interrupted,
            start_late: proto.start_late_ms.map(span),
            late: match &proto.late {
                Some(late) => progress_from_proto(late)?,
                None => Vec::new(),
            },
            late_left_out: proto.late_left_out,
            revision: Revision(proto.revision),
        })
    }
}

fn eight(field: &'static str, numbers: &[u32]) -> Result<[u32; 8], DecodeError> {
    <[u32; 8]>::try_from(numbers).map_err(|_| DecodeError::Length {
        field,
        expected: 8,
        got: numbers.len(),
    })
}

impl Wire for EndpointChunk {
    type Proto = wire::EndpointChunk;

    fn to_proto(&self) -> Self::Proto {
        wire::EndpointChunk {
            phases: id_bytes(self.phases()),
            outcomes: id_bytes(self.outcomes()),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Self::restore(proto.phases.to_vec(), proto.outcomes.to_vec()).ok_or(DecodeError::Inconsistent(
            "a chunk of endpoints has a byte that is no phase or outcome",
        ))
    }
}

/// A chunk with its key, as a row.
pub(super) fn chunk_to_proto(key: &ChunkKey, chunk: &EndpointChunk) -> wire::Chunk {
    wire::Chunk {
        assignment: Some(key.assignment.to_proto()),
        chunk: key.chunk,
        endpoints: Some(chunk.to_proto()),
    }
}

/// A chunk with its key, from a row.
pub(super) fn chunk_from_proto(proto: wire::Chunk) -> Result<(ChunkKey, EndpointChunk), DecodeError> {
    let assignment = message("assignment", proto.assignment)?;
    let endpoints = required("endpoints", proto.endpoints)?;
    Ok((
        ChunkKey {
            assignment,
            chunk: proto.chunk,
        },
        EndpointChunk::from_proto(endpoints)?,
    ))
}
