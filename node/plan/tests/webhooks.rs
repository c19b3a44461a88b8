//! The planner of webhooks: what is sent now, to whom first, and when to look again.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use reeve_plan::webhooks::{WebhookLimits, WebhookPlan, plan};
use reeve_state::command::*;
use reeve_state::id::{ProjectName, SigningSecret, WebhookId};
use reeve_state::record::DeliveryKey;
use reeve_state::time::{Millis, Time};
use reeve_state::{State, apply};

#[derive(Default)]
struct World {
    state: State,
    now: u64,
    under_way: BTreeSet<DeliveryKey>,
    last: Option<WebhookId>,
}

fn id(n: u8) -> WebhookId {
    WebhookId::from_bytes([n; 16])
}

fn key(n: u8, seq: u64) -> DeliveryKey {
    DeliveryKey { webhook: id(n), seq }
}

impl World {
    fn with_webhooks(count: u8) -> Self {
        let mut world = Self::default();
        for n in 1..=count {
            world.apply(Command::PutWebhook(PutWebhook {
                id: id(n),
                new: Some(NewWebhook {
                    project: ProjectName::default(),
                    secret: SigningSecret([n; 32]),
                }),
                name: None,
                url: Some("https://a.test".to_owned()),
                events: None,
                test: None,
            }));
        }
        world
    }

    fn apply(&mut self, command: Command) {
        let entry = EntryMeta {
            term: 1,
            index: 1,
            stamp: Time(self.now),
        };
        let step = apply(&mut self.state, &entry, &Envelope::internal(command));
        step.applied.result.unwrap();
    }

    /// Events of webhook `n` that do not wait for each other: each failed once, long ago.
    fn due(&mut self, n: u8, count: u64) {
        let first = self.state.webhook(id(n)).unwrap().last_seq + 1;
        for _ in 0..count {
            self.apply(Command::TestWebhook(TestWebhook { webhook: id(n) }));
        }
        for seq in first..first + count {
            self.attempted(n, seq, 500);
            self.now += 600_000;
        }
    }

    fn attempted(&mut self, n: u8, seq: u64, status: u16) {
        let attempt = self.state.delivery(key(n, seq)).unwrap().attempts + 1;
        self.apply(Command::RecordDeliveries(RecordDeliveries {
            results: vec![DeliveryResult {
                key: key(n, seq),
                attempt,
                outcome: AttemptOutcome::Answered(status),
            }],
        }));
    }

    fn plan(&self, in_all: usize, to_one: usize) -> WebhookPlan {
        let limits = WebhookLimits { in_all, to_one };
        plan(&self.state, Time(self.now), &self.under_way, self.last, limits)
    }
}

#[test]
fn nothing_is_sent_where_nothing_waits() {
    assert_eq!(World::default().plan(9, 9), WebhookPlan::default());
    assert_eq!(World::with_webhooks(2).plan(9, 9), WebhookPlan::default());
}

#[test]
fn every_webhook_gets_its_turn_within_the_limits() {
    let mut world = World::with_webhooks(3);
    (1..=3).for_each(|n| world.due(n, 5));
    let one = |n| key(n, 1);
    assert_eq!(world.plan(3, 9).send, [one(1), one(2), one(3)]);
    assert_eq!(world.plan(2, 9).send, [one(1), one(2)]);
    world.last = Some(id(2));
    assert_eq!(
        world.plan(2, 9).send,
        [one(3), one(1)],
        "after the last that was served"
    );
    world.last = None;
    let two_each = world.plan(100, 2).send;
    assert_eq!(
        two_each,
        [one(1), one(2), one(3), key(1, 2), key(2, 2), key(3, 2)]
    );
    world.under_way = BTreeSet::from([one(1), key(1, 2), one(2)]);
    assert_eq!(
        world.plan(5, 2).send,
        [key(2, 2), one(3)],
        "what is under way takes its place, of its webhook and of all"
    );
    world.under_way.extend([key(3, 1), key(3, 2)]);
    assert_eq!(world.plan(5, 2).send, []);
}

#[test]
fn it_looks_again_when_the_next_is_due() {
    let mut world = World::with_webhooks(2);
    world.apply(Command::TestWebhook(TestWebhook { webhook: id(1) }));
    assert_eq!(
        world.plan(9, 9),
        WebhookPlan {
            send: vec![key(1, 1)],
            next_wake: None
        }
    );
    world.attempted(1, 1, 500);
    let later = WebhookPlan {
        send: Vec::new(),
        next_wake: Some(Time(30_000)),
    };
    assert_eq!(world.plan(9, 9), later);
    world.now = 29_999;
    assert_eq!(world.plan(9, 9), later);
    world.now = 30_000;
    assert_eq!(world.plan(9, 9).send, [key(1, 1)]);
    world.apply(Command::PauseWebhook(PauseWebhook {
        webhook: id(1),
        paused: true,
    }));
    assert_eq!(world.plan(9, 9), WebhookPlan::default());
}

#[test]
fn of_a_full_outbox_only_what_may_be_sent_now_is_planned() {
    let mut world = World::with_webhooks(100);
    for n in 1..=100 {
        for _ in 0..200 {
            world.apply(Command::TestWebhook(TestWebhook { webhook: id(n) }));
        }
        world.attempted(n, 1, 500);
    }
    world.now += Millis::from_secs(30).0;
    assert_eq!(world.plan(32, 4).send.len(), 32);
    assert_eq!(
        world.plan(1_000, 4).send.len(),
        100,
        "one of each webhook: the others of its order wait for it"
    );
}
