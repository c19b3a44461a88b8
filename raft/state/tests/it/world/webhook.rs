//! The vocabulary of webhooks.

use std::collections::BTreeSet;
use std::sync::Arc;

use reeve_state::command::*;
use reeve_state::id::{ProjectName, SigningSecret, WebhookId};
use reeve_state::record::*;
use reeve_state::time::{Millis, Time};

use super::World;

pub fn webhook_id(n: u8) -> WebhookId {
    WebhookId::from_bytes([n; 16])
}

/// A new webhook that wants everything of the project `default`.
pub fn new_webhook(n: u8) -> PutWebhook {
    PutWebhook {
        id: webhook_id(n),
        new: Some(NewWebhook {
            project: ProjectName::default(),
            secret: SigningSecret([n; 32]),
        }),
        name: Some(format!("h{n}")),
        url: Some("https://example.test/hook".to_owned()),
        events: None,
        test: None,
    }
}

/// A change of a webhook, which changes nothing yet.
pub fn update_webhook(n: u8) -> PutWebhook {
    PutWebhook {
        id: webhook_id(n),
        new: None,
        name: None,
        url: None,
        events: None,
        test: None,
    }
}

pub fn only(kind: WebhookEventKind) -> Option<BTreeSet<WebhookEventKind>> {
    Some(BTreeSet::from([kind]))
}

pub fn delivery_key(n: u8, seq: u64) -> DeliveryKey {
    DeliveryKey {
        webhook: webhook_id(n),
        seq,
    }
}

pub fn pause(n: u8, paused: bool) -> Command {
    Command::PauseWebhook(PauseWebhook {
        webhook: webhook_id(n),
        paused,
    })
}

pub fn test_webhook(n: u8) -> Command {
    Command::TestWebhook(TestWebhook {
        webhook: webhook_id(n),
    })
}

pub fn replay(n: u8, which: Replay) -> Command {
    Command::ReplayDelivery(ReplayDelivery {
        webhook: webhook_id(n),
        which,
    })
}

pub fn delete_webhook(n: u8) -> Command {
    Command::DeleteWebhook(DeleteWebhook {
        webhook: webhook_id(n),
    })
}

pub fn rotate(n: u8, secret: u8) -> Command {
    Command::RotateSecret(RotateSecret {
        webhook: webhook_id(n),
        secret: SigningSecret([secret; 32]),
    })
}

pub fn answered(status: u16) -> AttemptOutcome {
    AttemptOutcome::Answered(status)
}

impl World {
    pub fn webhook(&self, n: u8) -> Arc<Webhook> {
        Arc::clone(self.state.webhook(webhook_id(n)).expect("the webhook exists"))
    }

    pub fn delivery(&self, n: u8, seq: u64) -> Arc<Delivery> {
        let row = self.state.delivery(delivery_key(n, seq));
        Arc::clone(row.expect("the delivery exists"))
    }

    /// What came of the next attempt of an event.
    pub fn attempted(&self, n: u8, seq: u64, outcome: AttemptOutcome) -> Command {
        let attempts = self
            .state
            .delivery(delivery_key(n, seq))
            .map_or(0, |row| row.attempts);
        Command::RecordDeliveries(RecordDeliveries {
            results: vec![DeliveryResult {
                key: delivery_key(n, seq),
                attempt: attempts + 1,
                outcome,
            }],
        })
    }

    pub fn answers(&mut self, n: u8, seq: u64, status: u16) {
        self.ok(self.attempted(n, seq, answered(status)));
    }

    /// Numbers of the events that may be sent now.
    pub fn sendable(&self, n: u8) -> Vec<u64> {
        let now = Time(self.now);
        let due = self.state.due_deliveries(webhook_id(n));
        let mut seqs: Vec<u64> = due.filter(|(at, _)| *at <= now).map(|(_, key)| key.seq).collect();
        seqs.sort_unstable();
        seqs
    }

    /// How long until an event is tried again.
    pub fn waits(&self, n: u8, seq: u64) -> Millis {
        self.delivery(n, seq).next_attempt_at.since(Time(self.now))
    }
}
