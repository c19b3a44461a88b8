//! Bytes of what several records share: requests, objects, test definitions, explanations.

use std::sync::Arc;

use reeve_proto::internal as wire;
use reeve_state::id::{KeyId, ProbeId, ProjectName, Revision, RunId, TestId, WebhookId, WorkerId};
use reeve_state::record::{
    Executor, Explanation, FilterCount, Group, GroupExplanation, ObjectRef, OutcomeShare, RequestKey,
    RequestRecord, Selector, SimExecutor, Test, TestDefinition,
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
            Self::Probe(id) => Object::Probe(id_bytes(id.as_bytes())),
            Self::Webhook(id) => Object::Webhook(id_bytes(id.as_bytes())),
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
            Object::Probe(id) => Ok(Self::Probe(ProbeId::from_bytes(fixed("probe", &id)?))),
            Object::Webhook(id) => Ok(Self::Webhook(WebhookId::from_bytes(fixed("webhook", &id)?))),
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
        })
    }
}

impl Wire for Group {
    type Proto = wire::Group;

    fn to_proto(&self) -> Self::Proto {
        let executor = match &self.executor {
            Executor::Sim(sim) => wire::group::Executor::Sim(sim.to_proto()),
        };
        wire::Group {
            name: self.name.clone(),
            endpoints: self.endpoints,
            selector: Some(self.selector.to_proto()),
            executor: Some(executor),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let executor = match proto.executor.ok_or(DecodeError::UnknownKind("executor"))? {
            wire::group::Executor::Sim(sim) => Executor::Sim(SimExecutor::from_proto(sim)?),
        };
        let selector = message("selector", proto.selector)?;
        Ok(Self {
            name: proto.name,
            endpoints: proto.endpoints,
            selector,
            executor,
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
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            groups: list(proto.groups)?,
            suggestion: proto.suggestion,
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
