//! Webhooks: where events are sent, and the outbox of what is on its way (R214).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::id::{ProbeId, ProjectName, Revision, RunId, SigningSecret, TestId, WebhookId};
use crate::record::RequestKey;
use crate::time::{Millis, Time};
use crate::transition::probe::ProbeStatus;
use crate::transition::run::{RunReason, RunStatus};

/// Pauses after failed attempts: the n-th after the n-th; after the attempt that follows the last, an event is dead (D3 of the neighbours).
pub const RETRIES: [Millis; 6] = [
    Millis::from_secs(30),
    Millis::from_secs(2 * 60),
    Millis::from_secs(10 * 60),
    Millis::from_secs(3_600),
    Millis::from_secs(6 * 3_600),
    Millis::from_secs(24 * 3_600),
];
/// An event that has failed for so long does not hold up later ones of its order any more.
pub const PASSED_AFTER: Millis = Millis::from_secs(10 * 60);
/// How long messages carry a signature by the secret before the current one too.
pub const PREVIOUS_SECRET_FOR: Millis = Millis::from_secs(24 * 3_600);
/// Most events on their way to one webhook; newer ones are counted and not kept.
pub const MAX_PENDING: u32 = 10_000;
/// Most dead letters of one webhook; the oldest are forgotten and counted.
pub const KEPT_DEAD: u32 = 10_000;
/// How many of the events that arrived are kept, the newest.
pub const KEPT_DELIVERED: u32 = 50;
/// Most webhooks of one project: each of them is told of each run.
pub const MAX_PROJECT_WEBHOOKS: usize = 100;

/// What a webhook can be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebhookEventKind {
    /// A run has another status, or is new.
    RunStatusChanged,
    /// A probe has another health.
    ProbeHealthChanged,
    /// Somebody asked for an event that says nothing.
    Test,
}

impl WebhookEventKind {
    /// What a webhook may choose from; tests are sent whatever it chose.
    pub const CHOICES: [Self; 2] = [Self::RunStatusChanged, Self::ProbeHealthChanged];

    /// The name that users and receivers see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunStatusChanged => "run.status_changed",
            Self::ProbeHealthChanged => "probe.health_changed",
            Self::Test => "webhook.test",
        }
    }

    /// The choice of this name.
    pub fn choice(name: &str) -> Option<Self> {
        Self::CHOICES.into_iter().find(|kind| kind.name() == name)
    }
}

/// Whether events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebhookStatus {
    /// They are.
    Active,
    /// A user paused it: events wait until it is taken up again.
    Paused,
    /// The receiver answered 410: nothing is sent, and nothing new is kept for it.
    Gone,
}

impl WebhookStatus {
    /// All statuses.
    pub const ALL: [Self; 3] = [Self::Active, Self::Paused, Self::Gone];

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Paused => "PAUSED",
            Self::Gone => "GONE",
        }
    }
}

impl fmt::Display for WebhookStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The secret before the current one: messages carry a signature by each until it runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PreviousSecret {
    /// The secret.
    pub secret: SigningSecret,
    /// From then on it is not used.
    pub until: Time,
}

/// Where events of a project are sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Unique among the project's webhooks where it is not empty.
    pub name: String,
    /// Only events of this project.
    pub project: ProjectName,
    /// Where events are posted to.
    pub url: String,
    /// Only these kinds; none: all.
    pub events: BTreeSet<WebhookEventKind>,
    /// Only events about this test.
    pub test: Option<TestId>,
    /// Whether events are sent.
    pub status: WebhookStatus,
    /// Since when it has this status.
    pub status_since: Time,
    /// What messages are signed with.
    pub secret: SigningSecret,
    /// What they are signed with as well.
    pub previous: Option<PreviousSecret>,
    /// How many events it ever got; they are numbered from 1.
    pub last_seq: u64,
    /// How many of them arrived.
    pub delivered: u64,
    /// How many were not kept because too many were on their way.
    pub overflowed: u64,
    /// How many dead letters were forgotten for newer ones.
    pub forgotten: u64,
    /// When it was created.
    pub created_at: Time,
    /// The request that created it.
    pub created_by: Option<RequestKey>,
    /// Of its last change.
    pub revision: Revision,
}

impl Webhook {
    /// Whether it is to be told of an event, its status left aside.
    pub fn wants(&self, kind: WebhookEventKind, test: Option<TestId>) -> bool {
        (self.events.is_empty() || self.events.contains(&kind))
            && self.test.is_none_or(|only| test == Some(only))
    }

    /// The secrets that a message is signed with at `now`, the newest first.
    pub fn secrets(&self, now: Time) -> impl Iterator<Item = &SigningSecret> {
        let previous = self.previous.as_ref().filter(|previous| now < previous.until);
        std::iter::once(&self.secret).chain(previous.map(|previous| &previous.secret))
    }
}

/// Identifies an event on its way to a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The webhook.
    pub webhook: WebhookId,
    /// Counts its events, from 1.
    pub seq: u64,
}

/// What events are put in order by: those of one key are sent one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderKey {
    /// A run.
    Run(RunId),
    /// A probe.
    Probe(ProbeId),
    /// The webhook itself.
    Webhook,
}

/// What happened, as it was when it happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebhookEvent {
    /// What it is about.
    pub facts: EventFacts,
    /// Counts the events of the object, from 1: a receiver notices a gap.
    pub sequence: u64,
    /// When it happened.
    pub at: Time,
    /// The revision that it came with (D28).
    pub revision: Revision,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventFacts {
    /// A run.
    Run(RunFacts),
    /// A probe.
    Probe(ProbeFacts),
    /// Nothing: somebody tries the webhook.
    Test,
}

/// A change of a run's status.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunFacts {
    /// The run.
    pub run: RunId,
    /// The test it was started from.
    pub test: TestId,
    /// The test's name then.
    pub test_name: String,
    /// `None`: the run is new.
    pub from: Option<RunStatus>,
    /// The status now.
    pub to: RunStatus,
    /// Why.
    pub reason: Option<RunReason>,
}

/// A change of a probe's health.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProbeFacts {
    /// The probe.
    pub probe: ProbeId,
    /// Its name then.
    pub name: String,
    /// The test that it runs.
    pub test: TestId,
    /// That test's name then.
    pub test_name: String,
    /// The health before.
    pub from: ProbeStatus,
    /// The health now.
    pub to: ProbeStatus,
    /// Why, for people.
    pub reason: String,
}

impl WebhookEvent {
    /// What kind of event it is.
    pub const fn kind(&self) -> WebhookEventKind {
        match &self.facts {
            EventFacts::Run(_) => WebhookEventKind::RunStatusChanged,
            EventFacts::Probe(_) => WebhookEventKind::ProbeHealthChanged,
            EventFacts::Test => WebhookEventKind::Test,
        }
    }

    /// What it is put in order by.
    pub const fn order(&self) -> OrderKey {
        match &self.facts {
            EventFacts::Run(facts) => OrderKey::Run(facts.run),
            EventFacts::Probe(facts) => OrderKey::Probe(facts.probe),
            EventFacts::Test => OrderKey::Webhook,
        }
    }

    /// The test that it is about.
    pub const fn test(&self) -> Option<TestId> {
        match &self.facts {
            EventFacts::Run(facts) => Some(facts.test),
            EventFacts::Probe(facts) => Some(facts.test),
            EventFacts::Test => None,
        }
    }
}

/// How far an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryStatus {
    /// To be sent, or sent again.
    Pending,
    /// Given up after the last retry; can be replayed.
    Dead,
    /// The receiver took it; the newest of them are kept to look at.
    Delivered,
}

impl DeliveryStatus {
    /// All statuses.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Dead, Self::Delivered];

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Dead => "DEAD",
            Self::Delivered => "DELIVERED",
        }
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What came of the last attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// When it ended.
    pub at: Time,
    /// What the receiver answered; `None`: it did not.
    pub http_status: Option<u16>,
    /// What went wrong, for people; empty if nothing did.
    pub error: String,
}

/// An event on its way to a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// Which.
    pub key: DeliveryKey,
    /// What happened; one event for all webhooks that are told.
    pub event: Arc<WebhookEvent>,
    /// How far it is.
    pub status: DeliveryStatus,
    /// Attempts so far; a replay counts anew.
    pub attempts: u32,
    /// When it is to be tried; of one that is not PENDING: when it was to be tried last.
    pub next_attempt_at: Time,
    /// When an attempt failed for the first time; later events of its order pass it ten minutes after that.
    pub first_failed_at: Option<Time>,
    /// What came of the last attempt.
    pub last: Option<Attempt>,
    /// When it was enqueued.
    pub enqueued_at: Time,
    /// Of its last change.
    pub revision: Revision,
}

/// How many events of a webhook are in each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeliveryCounts {
    /// To be sent.
    pub pending: u32,
    /// Given up.
    pub dead: u32,
    /// Arrived and kept.
    pub delivered: u32,
}

impl DeliveryCounts {
    /// How many are in a status.
    pub const fn of(&self, status: DeliveryStatus) -> u32 {
        match status {
            DeliveryStatus::Pending => self.pending,
            DeliveryStatus::Dead => self.dead,
            DeliveryStatus::Delivered => self.delivered,
        }
    }

    pub(crate) fn of_mut(&mut self, status: DeliveryStatus) -> &mut u32 {
        match status {
            DeliveryStatus::Pending => &mut self.pending,
            DeliveryStatus::Dead => &mut self.dead,
            DeliveryStatus::Delivered => &mut self.delivered,
        }
    }
}
