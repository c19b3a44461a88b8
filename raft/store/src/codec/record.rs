//! Bytes of what several records share: requests, objects, test definitions, explanations.

use std::sync::Arc;

use reeve_proto::internal as wire;
use reeve_state::id::{KeyId, ProbeId, ProjectName, Revision, RunId, TestId, WebhookId, WorkerId};
use reeve_state::record::{
    Executor, Explanation, FilterCount, Group, GroupExplanation, ObjectRef, OnWorkerLoss, OutcomeShare,
    RequestKey, RequestRecord, Selector, SimExecutor, SipExecutor, SuggestedChange, Test, TestDefinition,
    WorkerVerdict,
};
use reeve_state::time::Time;

use super::enums::Numbered;
use super::{DecodeError, Wire, fixed, id_bytes, list, message, ms, optional, protos, required, span, time};

impl Wire for RequestKey {
    type Proto = wire::RequestKey;

    fn to_proto(&self) -> Self::Proto {
        wire::RequestKey {
            caller: self.caller.to_string(),
            request_id: self.request_id.to_string(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            caller: proto.caller.into(),
            request_id: proto.request_id.into(),
        })
    }
}

impl Wire for ObjectRef {
    type Proto = wire::ObjectRef;

    fn to_proto(&self) -> Self::Proto {
        use wire::object_ref::Object;
        let object = match self {
            Self::Test(id) => Object::Test(id_bytes(id.as_bytes())),
            Self::Run(id) => Object::Run(id_bytes(id.as_bytes())),
            Self::Worker(id) => Object::Worker(id_bytes(id.as_bytes())),
            Self::Key(id) => Object::Key(id_bytes(id.as_bytes())),
            Self::Project(name) => Object::Project(name.to_string()),
            Self::Probe(id) => Object::Probe(id_bytes(id.as_bytes())),
            Self::Webhook(id) => Object::Webhook(id_bytes(id.as_bytes())),
            Self::Registrar(key) => Object::Registrar(key.to_proto()),
            Self::AccountPool(key) => Object::AccountPool(key.to_proto()),
            Self::Media(key) => Object::Media(key.to_proto()),
        };
        wire::ObjectRef { object: Some(object) }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use wire::object_ref::Object;
        match proto.object.ok_or(DecodeError::UnknownKind("object"))? {
            Object::Test(id) => Ok(Self::Test(TestId::from_bytes(fixed("test", &id)?))),
            Object::Run(id) => Ok(Self::Run(RunId::from_bytes(fixed("run", &id)?))),
            Object::Worker(id) => Ok(Self::Worker(WorkerId::from_bytes(fixed("worker", &id)?))),
            Object::Key(id) => Ok(Self::Key(KeyId::from_bytes(fixed("key", &id)?))),
            Object::Project(name) => Ok(Self::Project(ProjectName::from(name.as_str()))),
            Object::Probe(id) => Ok(Self::Probe(ProbeId::from_bytes(fixed("probe", &id)?))),
            Object::Webhook(id) => Ok(Self::Webhook(WebhookId::from_bytes(fixed("webhook", &id)?))),
            Object::Registrar(key) => Ok(Self::Registrar(Wire::from_proto(key)?)),
            Object::AccountPool(key) => Ok(Self::AccountPool(Wire::from_proto(key)?)),
            Object::Media(key) => Ok(Self::Media(Wire::from_proto(key)?)),
        }
    }
}

impl Wire for RequestRecord {
    type Proto = wire::RequestRecord;

    fn to_proto(&self) -> Self::Proto {
        wire::RequestRecord {
            key: Some(self.key.to_proto()),
            hash: id_bytes(&self.hash),
            object: Some(self.object.to_proto()),
            created: self.created,
            revision: self.revision.0,
            expires_at_ms: ms(self.expires_at),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: message("key", proto.key)?,
            hash: fixed("hash", &proto.hash)?,
            object: message("object", proto.object)?,
            created: proto.created,
            revision: Revision(proto.revision),
            expires_at: time(proto.expires_at_ms),
        })
    }
}

impl Wire for Test {
    type Proto = wire::Test;

    fn to_proto(&self) -> Self::Proto {
        wire::Test {
            id: id_bytes(self.id.as_bytes()),
            version: self.version,
            definition: Some(self.definition.to_proto()),
            created_at_ms: self.created_at.0,
            updated_at_ms: self.updated_at.0,
            created_by: self.created_by.as_ref().map(Wire::to_proto),
            revision: self.revision.0,
            project: project_text(&self.project),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            id: TestId::from_bytes(fixed("id", &proto.id)?),
            project: project_name(&proto.project),
            version: proto.version,
            definition: Arc::new(message("definition", proto.definition)?),
            created_at: Time(proto.created_at_ms),
            updated_at: Time(proto.updated_at_ms),
            created_by: optional(proto.created_by)?,
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for TestDefinition {
    type Proto = wire::TestDefinition;

    fn to_proto(&self) -> Self::Proto {
        wire::TestDefinition {
            name: self.name.clone(),
            duration_ms: self.duration.0,
            buildup_ms: self.buildup.0,
            queue_timeout_ms: self.queue_timeout.0,
            max_execution_ms: self.max_execution.0,
            groups: protos(&self.groups),
            on_worker_loss: loss_to_proto(self.on_worker_loss),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            name: proto.name,
            duration: span(proto.duration_ms),
            buildup: span(proto.buildup_ms),
            queue_timeout: span(proto.queue_timeout_ms),
            max_execution: span(proto.max_execution_ms),
            groups: list(proto.groups)?,
            on_worker_loss: loss_from_proto(proto.on_worker_loss)?,
        })
    }
}

/// The default is not written, so that definitions from before there was a choice are what they were.
fn loss_to_proto(policy: OnWorkerLoss) -> Option<wire::OnWorkerLoss> {
    let (policy, above_ppm) = match policy {
        OnWorkerLoss::Continue => return None,
        OnWorkerLoss::Fail => (2, 0),
        OnWorkerLoss::FailAbove { share_ppm } => (3, share_ppm),
    };
    Some(wire::OnWorkerLoss { policy, above_ppm })
}

fn loss_from_proto(proto: Option<wire::OnWorkerLoss>) -> Result<OnWorkerLoss, DecodeError> {
    let Some(proto) = proto else {
        return Ok(OnWorkerLoss::Continue);
    };
    match proto.policy {
        1 => Ok(OnWorkerLoss::Continue),
        2 => Ok(OnWorkerLoss::Fail),
        3 => Ok(OnWorkerLoss::FailAbove {
            share_ppm: proto.above_ppm,
        }),
        other => Err(DecodeError::Unknown {
            field: "on_worker_loss",
            value: u64::from(other),
        }),
    }
}

impl Wire for Group {
    type Proto = wire::Group;

    fn to_proto(&self) -> Self::Proto {
        let executor = match &self.executor {
            Executor::Sim(sim) => wire::group::Executor::Sim(sim.to_proto()),
            Executor::Sip(sip) => wire::group::Executor::Sip(sip.to_proto()),
        };
        wire::Group {
            name: self.name.clone(),
            endpoints: self.endpoints,
            selector: Some(self.selector.to_proto()),
            executor: Some(executor),
            callee: self.callee.clone(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let executor = match proto.executor.ok_or(DecodeError::UnknownKind("executor"))? {
            wire::group::Executor::Sim(sim) => Executor::Sim(SimExecutor::from_proto(sim)?),
            wire::group::Executor::Sip(sip) => Executor::Sip(SipExecutor::from_proto(sip)?),
        };
        let selector = message("selector", proto.selector)?;
        Ok(Self {
            name: proto.name,
            endpoints: proto.endpoints,
            selector,
            executor,
            callee: proto.callee,
        })
    }
}

impl Wire for Selector {
    type Proto = wire::Selector;

    fn to_proto(&self) -> Self::Proto {
        wire::Selector {
            region: self.region.clone(),
            worker: self.worker.map(|id| id_bytes(id.as_bytes())),
            labels: self.labels.clone(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let worker = match proto.worker {
            Some(id) => Some(WorkerId::from_bytes(fixed("worker", &id)?)),
            None => None,
        };
        Ok(Self {
            region: proto.region,
            worker,
            labels: proto.labels,
        })
    }
}

impl Wire for SimExecutor {
    type Proto = wire::SimExecutor;

    fn to_proto(&self) -> Self::Proto {
        wire::SimExecutor {
            setup_min_ms: self.setup_min.0,
            setup_max_ms: self.setup_max.0,
            outcomes: protos(&self.outcomes),
            quality: self.quality.as_ref().map(Wire::to_proto),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            setup_min: span(proto.setup_min_ms),
            setup_max: span(proto.setup_max_ms),
            outcomes: list(proto.outcomes)?,
            quality: optional(proto.quality)?,
        })
    }
}

impl Wire for OutcomeShare {
    type Proto = wire::OutcomeShare;

    fn to_proto(&self) -> Self::Proto {
        wire::OutcomeShare {
            outcome: self.outcome.number(),
            share_ppm: self.share_ppm,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            outcome: Numbered::numbered("outcome", proto.outcome)?,
            share_ppm: proto.share_ppm,
        })
    }
}

impl Wire for Explanation {
    type Proto = wire::Explanation;

    fn to_proto(&self) -> Self::Proto {
        wire::Explanation {
            groups: protos(&self.groups),
            suggestion: self.suggestion.clone(),
            changes: protos(&self.changes),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            groups: list(proto.groups)?,
            suggestion: proto.suggestion,
            changes: list(proto.changes)?,
        })
    }
}

impl Wire for SuggestedChange {
    type Proto = wire::SuggestedChange;

    fn to_proto(&self) -> Self::Proto {
        wire::SuggestedChange {
            option: self.option,
            kind: self.kind.number(),
            endpoints: self.endpoints,
            groups: self.groups.clone(),
            place: Some(self.place.to_proto()),
            text: self.text.clone(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            option: proto.option,
            kind: Numbered::numbered("kind", proto.kind)?,
            endpoints: proto.endpoints,
            groups: proto.groups,
            place: message("place", proto.place)?,
            text: proto.text,
        })
    }
}

impl Wire for WorkerVerdict {
    type Proto = wire::WorkerVerdict;

    fn to_proto(&self) -> Self::Proto {
        wire::WorkerVerdict {
            worker: id_bytes(self.worker.as_bytes()),
            name: self.name.clone(),
            region: self.region.clone(),
            status: self.status.number(),
            filter: self.filter.map(|filter| filter.number()),
            capacity: self.capacity,
            free: self.free,
            held: self.held,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let filter = proto.filter.map(|filter| Numbered::numbered("filter", filter));
        Ok(Self {
            worker: WorkerId::from_bytes(fixed("worker", &proto.worker)?),
            name: proto.name,
            region: proto.region,
            status: Numbered::numbered("status", proto.status)?,
            filter: filter.transpose()?,
            capacity: proto.capacity,
            free: proto.free,
            held: proto.held,
        })
    }
}

impl Wire for GroupExplanation {
    type Proto = wire::GroupExplanation;

    fn to_proto(&self) -> Self::Proto {
        wire::GroupExplanation {
            group: self.group.clone(),
            endpoints: self.endpoints,
            workers_considered: self.workers_considered,
            removed: protos(&self.removed),
            capacity_total: self.capacity_total,
            capacity_free: self.capacity_free,
            workers: protos(&self.workers),
            workers_left_out: self.workers_left_out,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            group: proto.group,
            endpoints: proto.endpoints,
            workers_considered: proto.workers_considered,
            removed: list(proto.removed)?,
            capacity_total: proto.capacity_total,
            capacity_free: proto.capacity_free,
            workers: list(proto.workers)?,
            workers_left_out: proto.workers_left_out,
        })
    }
}

impl Wire for FilterCount {
    type Proto = wire::FilterCount;

    fn to_proto(&self) -> Self::Proto {
        wire::FilterCount {
            filter: self.filter.number(),
            workers: self.workers,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            filter: Numbered::numbered("filter", proto.filter)?,
            workers: proto.workers,
        })
    }
}

/// The definition of a message that must be there.
pub(super) fn definition(proto: Option<wire::TestDefinition>) -> Result<Arc<TestDefinition>, DecodeError> {
    Ok(Arc::new(TestDefinition::from_proto(required(
        "definition",
        proto,
    )?)?))
}

/// A project in bytes: the default one is left out, as it was before there were others.
pub(super) fn project_text(name: &ProjectName) -> String {
    if name.is_default() {
        String::new()
    } else {
        name.to_string()
    }
}

/// A project from bytes.
pub(super) fn project_name(text: &str) -> ProjectName {
    if text.is_empty() {
        ProjectName::default()
    } else {
        ProjectName::from(text)
    }
}
