//! What happens to webhooks, at random.

use std::collections::BTreeSet;

use proptest::prelude::*;
use reeve_state::command::*;
use reeve_state::record::{DeliveryStatus, WebhookEventKind, WebhookStatus};
use reeve_state::time::Millis;

use crate::world::webhook::*;
use crate::world::*;

use super::{Act, perform, run_act};

const WEBHOOKS: u8 = 2;

#[derive(Clone, Debug)]
pub enum WebhookAct {
    Create(u8),
    Choose(u8, bool, bool),
    Delete(u8),
    Rotate(u8, u8),
    /// What came of attempts: from which PENDING one on, how many, and how each ended.
    Attempts(u8, usize, usize, u16),
    Late(u8, u64, u32),
    Replay(u8, Option<u64>),
    Pause(u8, bool),
    Test(u8),
}

pub fn webhook_act() -> impl Strategy<Value = WebhookAct> {
    use WebhookAct as A;
    let hook = || 1..=WEBHOOKS;
    let status = prop::sample::select(vec![200_u16, 204, 302, 410, 500, 500, 503]);
    prop_oneof![
        6 => hook().prop_map(A::Create),
        2 => (hook(), any::<bool>(), any::<bool>()).prop_map(|(h, runs, test)| A::Choose(h, runs, test)),
        1 => hook().prop_map(A::Delete),
        1 => (hook(), any::<u8>()).prop_map(|(h, secret)| A::Rotate(h, secret)),
        12 => (hook(), 0..3_usize, 1..4_usize, status).prop_map(|(h, from, n, s)| A::Attempts(h, from, n, s)),
        1 => (hook(), 0..9_u64, 0..9_u32).prop_map(|(h, seq, attempt)| A::Late(h, seq, attempt)),
        1 => (hook(), prop::option::of(0..9_u64)).prop_map(|(h, seq)| A::Replay(h, seq)),
        2 => (hook(), prop::bool::weighted(0.3)).prop_map(|(h, paused)| A::Pause(h, paused)),
        2 => hook().prop_map(A::Test),
    ]
}

pub fn webhook_command(world: &World, act: &WebhookAct) -> Command {
    match act {
        WebhookAct::Create(n) => Command::PutWebhook(new_webhook(*n)),
        WebhookAct::Choose(n, runs, test) => {
            let kind = if *runs {
                WebhookEventKind::RunStatusChanged
            } else {
                WebhookEventKind::ProbeHealthChanged
            };
            Command::PutWebhook(PutWebhook {
                events: only(kind),
                test: Some(test.then(|| test_id(1))),
                ..update_webhook(*n)
            })
        }
        WebhookAct::Delete(n) => delete_webhook(*n),
        WebhookAct::Rotate(n, secret) => rotate(*n, *secret),
        WebhookAct::Attempts(n, from, count, status) => {
            let pending = world.state.deliveries(webhook_id(*n));
            let results = pending
                .filter(|row| row.status == DeliveryStatus::Pending)
                .skip(*from)
                .take(*count)
                .map(|row| DeliveryResult {
                    key: row.key,
                    attempt: row.attempts + 1,
                    outcome: answered(*status),
                });
            Command::RecordDeliveries(RecordDeliveries {
                results: results.collect(),
            })
        }
        WebhookAct::Late(n, seq, attempt) => Command::RecordDeliveries(RecordDeliveries {
            results: vec![DeliveryResult {
                key: delivery_key(*n, *seq),
                attempt: *attempt,
                outcome: AttemptOutcome::Failed("late".to_owned()),
            }],
        }),
        WebhookAct::Replay(n, seq) => replay(*n, seq.map_or(Replay::AllDead, Replay::One)),
        WebhookAct::Pause(n, paused) => pause(*n, *paused),
        WebhookAct::Test(n) => test_webhook(*n),
    }
}

/// Runs that come and go, and mostly what is said about webhooks.
pub(super) fn much() -> impl Strategy<Value = Act> {
    let spans = vec![1_000, 600_000, 86_400_000];
    prop_oneof![
        4 => (1..=3_u8).prop_map(Act::Help),
        1 => run_act(),
        6 => webhook_act().prop_map(Act::Webhook),
        1 => prop::sample::select(spans).prop_map(|ms| Act::Pass(Millis(ms))),
    ]
}

#[test]
fn random_acts_reach_every_status_of_a_delivery_and_of_a_webhook() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut deliveries, mut hooks) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..500 {
        if deliveries.len() == DeliveryStatus::ALL.len() && hooks.len() == WebhookStatus::ALL.len() {
            break;
        }
        let acts = prop::collection::vec(much(), 100..150);
        let acts = acts.new_tree(&mut runner).unwrap().current();
        let mut world = super::world();
        for act in &acts {
            let _ = perform(&mut world, act);
            hooks.extend(world.state.webhooks().map(|hook| hook.status));
            let rows = (1..=WEBHOOKS).flat_map(|n| world.state.deliveries(webhook_id(n)));
            deliveries.extend(rows.map(|row| row.status));
        }
    }
    assert_eq!(deliveries.into_iter().collect::<Vec<_>>(), DeliveryStatus::ALL);
    assert_eq!(hooks.into_iter().collect::<Vec<_>>(), WebhookStatus::ALL);
}
