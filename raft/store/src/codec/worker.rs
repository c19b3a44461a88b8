//! Bytes of workers, the facts about them and their events, and of keys.

use reeve_proto::internal as wire;
use reeve_state::id::{Incarnation, KeyHash, KeyId, NodeId, Revision, SessionEpoch, TokenHash, WorkerId};
use reeve_state::record::{ApiKey, ConnectAttempt, Session, Worker, WorkerEvent, WorkerEventKey};
use reeve_state::time::Time;
use reeve_state::transition::worker::{
    CredentialRejected, Drain, DrainActor, Facts, HealthFact, HealthIssue, LinkFact,
};

use super::enums::Numbered;
use super::{DecodeError, Wire, fixed, id_bytes, list, message, ms, optional, protos, time};

impl Wire for Worker {
    type Proto = wire::Worker;

    fn to_proto(&self) -> Self::Proto {
        wire::Worker {
            id: id_bytes(self.id.as_bytes()),
            name: self.name.clone(),
            kind: self.kind.number(),
            profile: self.profile.number(),
            region: self.region.clone(),
            labels: self.labels.clone(),
            configured_capacity: self.configured_capacity,
            reported_capacity: self.reported_capacity,
            sip_capacity: self.sip_capacity,
            token_hash: self.token_hash.map(|hash| id_bytes(&hash.0)),
            link: Some(self.facts.link.to_proto()),
            health: Some(self.facts.health.to_proto()),
            drain: self.facts.drain.as_ref().map(Wire::to_proto),
            credential_rejected: self.facts.credential_rejected.as_ref().map(Wire::to_proto),
            deleted_at_ms: ms(self.facts.deleted_at),
            session: self.session.as_ref().map(Wire::to_proto),
            last_epoch: self.last_epoch.0,
            attempt: self.attempt.as_ref().map(Wire::to_proto),
            created_at_ms: self.created_at.0,
            created_by: self.created_by.as_ref().map(Wire::to_proto),
            revision: self.revision.0,
            token_expires_at_ms: ms(self.token_expires_at),
            function_blocks: self.function_blocks.iter().cloned().collect(),
            version: self.version.clone(),
            ip_address: self.ip_address.clone(),
            flaps: self.flaps,
            events: self.events,
            registered_by: self.registered_by.map(|key| id_bytes(key.as_bytes())),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let facts = Facts {
            link: message("link", proto.link)?,
            health: message("health", proto.health)?,
            drain: optional(proto.drain)?,
            credential_rejected: optional(proto.credential_rejected)?,
            deleted_at: time(proto.deleted_at_ms),
        };
        Ok(Self {
            id: WorkerId::from_bytes(fixed("id", &proto.id)?),
            name: proto.name,
            kind: Numbered::numbered("kind", proto.kind)?,
            profile: Numbered::numbered("profile", proto.profile)?,
            region: proto.region,
            labels: proto.labels,
            configured_capacity: proto.configured_capacity,
            reported_capacity: proto.reported_capacity,
            sip_capacity: proto.sip_capacity,
            token_hash: match &proto.token_hash {
                Some(bytes) => Some(TokenHash(fixed("token_hash", bytes)?)),
                None => None,
            },
            token_expires_at: time(proto.token_expires_at_ms),
            function_blocks: proto.function_blocks.into_iter().collect(),
            version: proto.version,
            ip_address: proto.ip_address,
            flaps: proto.flaps,
            events: proto.events,
            registered_by: match &proto.registered_by {
                Some(bytes) => Some(KeyId::from_bytes(fixed("registered_by", bytes)?)),
                None => None,
            },
            facts,
            session: optional(proto.session)?,
            last_epoch: SessionEpoch(proto.last_epoch),
            attempt: optional(proto.attempt)?,
            created_at: Time(proto.created_at_ms),
            created_by: optional(proto.created_by)?,
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for WorkerEvent {
    type Proto = wire::WorkerEvent;

    fn to_proto(&self) -> Self::Proto {
        wire::WorkerEvent {
            worker: id_bytes(self.key.worker.as_bytes()),
            seq: self.key.seq,
            at_ms: self.at.0,
            kind: self.kind.number(),
            status_before: self.status_before.map(|status| status.number()),
            status: self.status.number(),
            node: self.node.map(|node| node.0),
            epoch: self.epoch.0,
            actor: self.actor.clone(),
            message: self.message.clone(),
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let status = |number| Numbered::numbered("status", number);
        Ok(Self {
            key: WorkerEventKey {
                worker: WorkerId::from_bytes(fixed("worker", &proto.worker)?),
                seq: proto.seq,
            },
            at: Time(proto.at_ms),
            kind: Numbered::numbered("kind", proto.kind)?,
            status_before: proto.status_before.map(status).transpose()?,
            status: status(proto.status)?,
            node: proto.node.map(NodeId),
            epoch: SessionEpoch(proto.epoch),
            actor: proto.actor,
            message: proto.message,
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for ApiKey {
    type Proto = wire::ApiKey;

    fn to_proto(&self) -> Self::Proto {
        wire::ApiKey {
            id: id_bytes(self.id.as_bytes()),
            name: self.name.clone(),
            role: self.role.number(),
            project: self.project.clone(),
            hash: id_bytes(&self.hash.0),
            created_at_ms: self.created_at.0,
            expires_at_ms: ms(self.expires_at),
            revoked_at_ms: ms(self.revoked_at),
            created_by: self.created_by.as_ref().map(Wire::to_proto),
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            id: KeyId::from_bytes(fixed("id", &proto.id)?),
            name: proto.name,
            role: Numbered::numbered("role", proto.role)?,
            project: proto.project,
            hash: KeyHash(fixed("hash", &proto.hash)?),
            created_at: Time(proto.created_at_ms),
            expires_at: time(proto.expires_at_ms),
            revoked_at: time(proto.revoked_at_ms),
            created_by: optional(proto.created_by)?,
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for Session {
    type Proto = wire::Session;

    fn to_proto(&self) -> Self::Proto {
        wire::Session {
            epoch: self.epoch.0,
            node: self.node.0,
            incarnation: id_bytes(&self.incarnation.0),
            since_ms: self.since.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: SessionEpoch(proto.epoch),
            node: NodeId(proto.node),
            incarnation: Incarnation(fixed("incarnation", &proto.incarnation)?),
            since: Time(proto.since_ms),
        })
    }
}

impl Wire for ConnectAttempt {
    type Proto = wire::ConnectAttempt;

    fn to_proto(&self) -> Self::Proto {
        wire::ConnectAttempt {
            incarnation: id_bytes(&self.incarnation.0),
            number: self.number,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            incarnation: Incarnation(fixed("incarnation", &proto.incarnation)?),
            number: proto.number,
        })
    }
}

impl Wire for LinkFact {
    type Proto = wire::LinkFact;

    fn to_proto(&self) -> Self::Proto {
        wire::LinkFact {
            link: self.link.number(),
            reason: self.reason.clone(),
            since_ms: self.since.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let link = Numbered::numbered("link", proto.link)?;
        Ok(Self {
            link,
            reason: proto.reason,
            since: Time(proto.since_ms),
        })
    }
}

impl Wire for HealthIssue {
    type Proto = wire::HealthIssue;

    fn to_proto(&self) -> Self::Proto {
        wire::HealthIssue {
            resource: self.resource.number(),
            percent: u32::from(self.percent),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let percent = u8::try_from(proto.percent).map_err(|_| DecodeError::Unknown {
            field: "percent",
            value: u64::from(proto.percent),
        })?;
        Ok(Self {
            resource: Numbered::numbered("resource", proto.resource)?,
            percent,
        })
    }
}

impl Wire for HealthFact {
    type Proto = wire::HealthFact;

    fn to_proto(&self) -> Self::Proto {
        wire::HealthFact {
            issues: protos(&self.issues),
            since_ms: self.since.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            issues: list(proto.issues)?,
            since: Time(proto.since_ms),
        })
    }
}

impl Wire for DrainActor {
    type Proto = wire::DrainActor;

    fn to_proto(&self) -> Self::Proto {
        use wire::drain_actor::Actor;
        let actor = match self {
            Self::Worker(incarnation) => Actor::Worker(id_bytes(&incarnation.0)),
            Self::Admin(name) => Actor::Admin(name.clone()),
            Self::Platform => Actor::Platform(wire::Empty {}),
        };
        wire::DrainActor { actor: Some(actor) }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use wire::drain_actor::Actor;
        match proto.actor.ok_or(DecodeError::UnknownKind("actor of a drain"))? {
            Actor::Worker(incarnation) => Ok(Self::Worker(Incarnation(fixed("incarnation", &incarnation)?))),
            Actor::Admin(name) => Ok(Self::Admin(name)),
            Actor::Platform(wire::Empty {}) => Ok(Self::Platform),
        }
    }
}

impl Wire for Drain {
    type Proto = wire::Drain;

    fn to_proto(&self) -> Self::Proto {
        wire::Drain {
            actor: Some(self.actor.to_proto()),
            reason: self.reason.clone(),
            deadline_ms: self.deadline.0,
            then: self.then.number(),
            since_ms: self.since.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            actor: message("actor", proto.actor)?,
            reason: proto.reason,
            deadline: Time(proto.deadline_ms),
            then: Numbered::numbered("then", proto.then)?,
            since: Time(proto.since_ms),
        })
    }
}

impl Wire for CredentialRejected {
    type Proto = wire::CredentialRejected;

    fn to_proto(&self) -> Self::Proto {
        wire::CredentialRejected {
            reason: self.reason.clone(),
            since_ms: self.since.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            reason: proto.reason,
            since: Time(proto.since_ms),
        })
    }
}
