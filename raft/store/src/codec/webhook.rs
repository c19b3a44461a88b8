//! Bytes of webhooks, of the commands on them, and of what is on its way to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use reeve_proto::internal as wire;
use reeve_state::command::{
    AttemptOutcome, DeleteWebhook, DeliveryResult, NewWebhook, PauseWebhook, PutWebhook, RecordDeliveries,
    Replay, ReplayDelivery, RotateSecret, TestWebhook,
};
use reeve_state::id::{ProbeId, Revision, RunId, SigningSecret, TestId, WebhookId};
use reeve_state::record::{
    Attempt, Delivery, DeliveryKey, EventFacts, PreviousSecret, ProbeFacts, RunFacts, Webhook, WebhookEvent,
    WebhookEventKind,
};
use reeve_state::time::Time;

use super::enums::Numbered;
use super::{DecodeError, Wire, fixed, id_bytes, list, message, ms, optional, protos, time};

fn webhook_id(bytes: &Bytes) -> Result<WebhookId, DecodeError> {
    Ok(WebhookId::from_bytes(fixed("webhook", bytes)?))
}

fn test_id(bytes: &Bytes) -> Result<TestId, DecodeError> {
    Ok(TestId::from_bytes(fixed("test", bytes)?))
}

/// One `impl Wire`: the message's fields from `$c`, the type's fields from `$p`.
macro_rules! wire {
    ($state:ty, $proto:ident, |$c:ident| { $($to:tt)* }, |$p:ident| { $($from:tt)* }) => {
        impl Wire for $state {
            type Proto = wire::$proto;

            fn to_proto(&self) -> Self::Proto {
                let $c = self;
                wire::$proto { $($to)* }
            }

            fn from_proto($p: Self::Proto) -> Result<Self, DecodeError> {
                Ok(Self { $($from)* })
            }
        }
    };
}

impl Wire for SigningSecret {
    type Proto = wire::SigningSecret;

    fn to_proto(&self) -> Self::Proto {
        wire::SigningSecret {
            secret: id_bytes(&self.0),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self(fixed("secret", &proto.secret)?))
    }
}

impl Wire for BTreeSet<WebhookEventKind> {
    type Proto = wire::WebhookEventKinds;

    fn to_proto(&self) -> Self::Proto {
        wire::WebhookEventKinds {
            kinds: self.iter().map(Numbered::number).collect(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let kind = |number| Numbered::numbered("kinds", number);
        proto.kinds.into_iter().map(kind).collect()
    }
}

wire!(NewWebhook, NewWebhook,
    |c| { project: c.project.to_string(), secret: Some(c.secret.to_proto()) },
    |p| { project: p.project.as_str().into(), secret: message("secret", p.secret)? });

wire!(PutWebhook, PutWebhook,
|c| {
    id: id_bytes(c.id.as_bytes()),
    new: c.new.as_ref().map(Wire::to_proto),
    name: c.name.clone(),
    url: c.url.clone(),
    events: c.events.as_ref().map(Wire::to_proto),
    test: c.test.map(|test| wire::TestFilter { test: test.map(|id| id_bytes(id.as_bytes())) }),
},
|p| {
    id: webhook_id(&p.id)?,
    new: optional(p.new)?,
    name: p.name,
    url: p.url,
    events: optional(p.events)?,
    test: match p.test {
        Some(filter) => Some(filter.test.as_ref().map(test_id).transpose()?),
        None => None,
    },
});

wire!(DeleteWebhook, DeleteWebhook,
    |c| { webhook: id_bytes(c.webhook.as_bytes()) },
    |p| { webhook: webhook_id(&p.webhook)? });

wire!(RotateSecret, RotateSecret,
    |c| { webhook: id_bytes(c.webhook.as_bytes()), secret: Some(c.secret.to_proto()) },
    |p| { webhook: webhook_id(&p.webhook)?, secret: message("secret", p.secret)? });

impl Wire for DeliveryResult {
    type Proto = wire::DeliveryResult;

    fn to_proto(&self) -> Self::Proto {
        use wire::delivery_result::Outcome;
        wire::DeliveryResult {
            webhook: id_bytes(self.key.webhook.as_bytes()),
            seq: self.key.seq,
            attempt: self.attempt,
            outcome: Some(match &self.outcome {
                AttemptOutcome::Answered(status) => Outcome::Answered(u32::from(*status)),
                AttemptOutcome::Failed(error) => Outcome::Failed(error.clone()),
            }),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use wire::delivery_result::Outcome;
        let outcome = match proto.outcome.ok_or(DecodeError::UnknownKind("outcome"))? {
            Outcome::Answered(number) => AttemptOutcome::Answered(http_status(number)?),
            Outcome::Failed(error) => AttemptOutcome::Failed(error),
        };
        Ok(Self {
            key: DeliveryKey {
                webhook: webhook_id(&proto.webhook)?,
                seq: proto.seq,
            },
            attempt: proto.attempt,
            outcome,
        })
    }
}

fn http_status(number: u32) -> Result<u16, DecodeError> {
    u16::try_from(number).map_err(|_| DecodeError::Unknown {
        field: "http_status",
        value: u64::from(number),
    })
}

wire!(RecordDeliveries, RecordDeliveries,
    |c| { results: protos(&c.results) },
    |p| { results: list(p.results)? });

impl Wire for ReplayDelivery {
    type Proto = wire::ReplayDelivery;

    fn to_proto(&self) -> Self::Proto {
        use wire::replay_delivery::Which;
        wire::ReplayDelivery {
            webhook: id_bytes(self.webhook.as_bytes()),
            which: Some(match self.which {
                Replay::One(seq) => Which::One(seq),
                Replay::AllDead => Which::AllDead(wire::Empty {}),
            }),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use wire::replay_delivery::Which;
        let which = match proto.which.ok_or(DecodeError::UnknownKind("replay"))? {
            Which::One(seq) => Replay::One(seq),
            Which::AllDead(wire::Empty {}) => Replay::AllDead,
        };
        Ok(Self {
            webhook: webhook_id(&proto.webhook)?,
            which,
        })
    }
}

wire!(PauseWebhook, PauseWebhook,
    |c| { webhook: id_bytes(c.webhook.as_bytes()), paused: c.paused },
    |p| { webhook: webhook_id(&p.webhook)?, paused: p.paused });

wire!(TestWebhook, TestWebhook,
    |c| { webhook: id_bytes(c.webhook.as_bytes()) },
    |p| { webhook: webhook_id(&p.webhook)? });

wire!(PreviousSecret, PreviousSecret,
    |c| { secret: Some(c.secret.to_proto()), until_ms: c.until.0 },
    |p| { secret: message("secret", p.secret)?, until: Time(p.until_ms) });

wire!(Webhook, Webhook,
|c| {
    id: id_bytes(c.id.as_bytes()),
    name: c.name.clone(),
    project: c.project.to_string(),
    url: c.url.clone(),
    events: Some(c.events.to_proto()),
    test: c.test.map(|id| id_bytes(id.as_bytes())),
    status: c.status.number(),
    status_since_ms: c.status_since.0,
    secret: Some(c.secret.to_proto()),
    previous: c.previous.as_ref().map(Wire::to_proto),
    last_seq: c.last_seq,
    delivered: c.delivered,
    overflowed: c.overflowed,
    forgotten: c.forgotten,
    created_at_ms: c.created_at.0,
    created_by: c.created_by.as_ref().map(Wire::to_proto),
    revision: c.revision.0,
},
|p| {
    id: webhook_id(&p.id)?,
    name: p.name,
    project: p.project.as_str().into(),
    url: p.url,
    events: message("events", p.events)?,
    test: p.test.as_ref().map(test_id).transpose()?,
    status: Numbered::numbered("status", p.status)?,
    status_since: Time(p.status_since_ms),
    secret: message("secret", p.secret)?,
    previous: optional(p.previous)?,
    last_seq: p.last_seq,
    delivered: p.delivered,
    overflowed: p.overflowed,
    forgotten: p.forgotten,
    created_at: Time(p.created_at_ms),
    created_by: optional(p.created_by)?,
    revision: Revision(p.revision),
});

wire!(RunFacts, RunFacts,
|c| {
    run: id_bytes(c.run.as_bytes()),
    test: id_bytes(c.test.as_bytes()),
    test_name: c.test_name.clone(),
    from: c.from.map(|status| status.number()),
    to: c.to.number(),
    reason: c.reason.as_ref().map(Wire::to_proto),
},
|p| {
    run: RunId::from_bytes(fixed("run", &p.run)?),
    test: test_id(&p.test)?,
    test_name: p.test_name,
    from: p.from.map(|status| Numbered::numbered("from", status)).transpose()?,
    to: Numbered::numbered("to", p.to)?,
    reason: optional(p.reason)?,
});

wire!(ProbeFacts, ProbeFacts,
|c| {
    probe: id_bytes(c.probe.as_bytes()),
    name: c.name.clone(),
    test: id_bytes(c.test.as_bytes()),
    test_name: c.test_name.clone(),
    from: c.from.number(),
    to: c.to.number(),
    reason: c.reason.clone(),
},
|p| {
    probe: ProbeId::from_bytes(fixed("probe", &p.probe)?),
    name: p.name,
    test: test_id(&p.test)?,
    test_name: p.test_name,
    from: Numbered::numbered("from", p.from)?,
    to: Numbered::numbered("to", p.to)?,
    reason: p.reason,
});

impl Wire for WebhookEvent {
    type Proto = wire::WebhookEvent;

    fn to_proto(&self) -> Self::Proto {
        use wire::webhook_event::Facts;
        wire::WebhookEvent {
            facts: Some(match &self.facts {
                EventFacts::Run(facts) => Facts::Run(facts.to_proto()),
                EventFacts::Probe(facts) => Facts::Probe(facts.to_proto()),
                EventFacts::Test => Facts::Test(wire::Empty {}),
            }),
            sequence: self.sequence,
            at_ms: self.at.0,
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use wire::webhook_event::Facts;
        let facts = match proto.facts.ok_or(DecodeError::UnknownKind("event"))? {
            Facts::Run(facts) => EventFacts::Run(RunFacts::from_proto(facts)?),
            Facts::Probe(facts) => EventFacts::Probe(ProbeFacts::from_proto(facts)?),
            Facts::Test(wire::Empty {}) => EventFacts::Test,
        };
        Ok(Self {
            facts,
            sequence: proto.sequence,
            at: Time(proto.at_ms),
            revision: Revision(proto.revision),
        })
    }
}

wire!(Attempt, Attempt,
    |c| { at_ms: c.at.0, http_status: c.http_status.map(u32::from), error: c.error.clone() },
    |p| { at: Time(p.at_ms), http_status: p.http_status.map(http_status).transpose()?, error: p.error });

wire!(Delivery, Delivery,
|c| {
    webhook: id_bytes(c.key.webhook.as_bytes()),
    seq: c.key.seq,
    event: Some(c.event.to_proto()),
    status: c.status.number(),
    attempts: c.attempts,
    next_attempt_at_ms: c.next_attempt_at.0,
    first_failed_at_ms: ms(c.first_failed_at),
    last: c.last.as_ref().map(Wire::to_proto),
    enqueued_at_ms: c.enqueued_at.0,
    revision: c.revision.0,
},
|p| {
    key: DeliveryKey { webhook: webhook_id(&p.webhook)?, seq: p.seq },
    event: Arc::new(message("event", p.event)?),
    status: Numbered::numbered("status", p.status)?,
    attempts: p.attempts,
    next_attempt_at: Time(p.next_attempt_at_ms),
    first_failed_at: time(p.first_failed_at_ms),
    last: optional(p.last)?,
    enqueued_at: Time(p.enqueued_at_ms),
    revision: Revision(p.revision),
});
