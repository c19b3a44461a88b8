//! Commands on webhooks and on what is on its way to them.

use std::collections::BTreeSet;

use crate::id::{ProjectName, SigningSecret, TestId, WebhookId};
use crate::record::{DeliveryKey, WebhookEventKind};

/// Command 80. Of a new webhook what is not given is empty; of one that exists it stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutWebhook {
    /// Which.
    pub id: WebhookId,
    /// What only a new webhook is given; `None`: it exists.
    pub new: Option<NewWebhook>,
    /// Its name; empty: none.
    pub name: Option<String>,
    /// Where events are posted to.
    pub url: Option<String>,
    /// Only these kinds; none: all.
    pub events: Option<BTreeSet<WebhookEventKind>>,
    /// Only events about this test; `Some(None)`: about all.
    pub test: Option<Option<TestId>>,
}

/// What never changes, or not by [`PutWebhook`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhook {
    /// The project whose events it is told.
    pub project: ProjectName,
    /// What its messages are signed with.
    pub secret: SigningSecret,
}

/// Command 81.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteWebhook {
    /// Which.
    pub webhook: WebhookId,
}

/// Command 82. The secret that was current signs beside the new one for a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotateSecret {
    /// Whose.
    pub webhook: WebhookId,
    /// The new one.
    pub secret: SigningSecret,
}

/// Command 83. What is not about the next attempt of a delivery that is PENDING is skipped: it was overtaken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordDeliveries {
    /// At most a few hundred.
    pub results: Vec<DeliveryResult>,
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryResult {
    /// Of which event.
    pub key: DeliveryKey,
    /// Which attempt it was, counted from 1.
    pub attempt: u32,
    /// What came of it.
    pub outcome: AttemptOutcome,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The receiver answered with this HTTP status: 2xx is success, 410 ends the webhook, all else is failure.
    Answered(u16),
    /// There was no answer, for this reason.
    Failed(String),
}

/// Command 84.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayDelivery {
    /// The webhook.
    pub webhook: WebhookId,
    /// What of it.
    pub which: Replay,
}

/// What is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// One that is dead, or that waits for its next attempt.
    One(u64),
    /// All that are dead, as many as there is room for, oldest first.
    AllDead,
}

/// Command 85.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseWebhook {
    /// Which.
    pub webhook: WebhookId,
    /// True: events wait. False: they are sent, also to a receiver that was gone.
    pub paused: bool,
}

/// Command 86.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestWebhook {
    /// Which.
    pub webhook: WebhookId,
}
