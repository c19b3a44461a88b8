//! Bytes of workers and the facts about them.

use reeve_proto::internal as wire;
use reeve_state::id::{Incarnation, NodeId, Revision, SessionEpoch, TokenHash, WorkerId};
use reeve_state::record::{Session, Worker};
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
            token_hash: id_bytes(&self.token_hash.0),
            link: Some(self.facts.link.to_proto()),
            health: Some(self.facts.health.to_proto()),
            drain: self.facts.drain.as_ref().map(Wire::to_proto),
            credential_rejected: self.facts.credential_rejected.as_ref().map(Wire::to_proto),
            deleted_at_ms: ms(self.facts.deleted_at),
            session: self.session.as_ref().map(Wire::to_proto),
            last_epoch: self.last_epoch.0,
            created_at_ms: self.created_at.0,
            created_by: self.created_by.as_ref().map(Wire::to_proto),
            revision: self.revision.0,
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
            token_hash: TokenHash(fixed("token_hash", &proto.token_hash)?),
            facts,
            session: optional(proto.session)?,
            last_epoch: SessionEpoch(proto.last_epoch),
            created_at: Time(proto.created_at_ms),
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
