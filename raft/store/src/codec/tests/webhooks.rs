//! The commands on webhooks, and the rows of webhooks and of what is on its way to them.

use std::collections::BTreeSet;
use std::sync::Arc;

use reeve_state::id::{SigningSecret, WebhookId};

use super::*;

pub(super) fn webhook() -> WebhookId {
    WebhookId::from_bytes([9; 16])
}

fn delivery_key(seq: u64) -> DeliveryKey {
    DeliveryKey {
        webhook: webhook(),
        seq,
    }
}

fn put() -> PutWebhook {
    PutWebhook {
        id: webhook(),
        new: Some(NewWebhook {
            project: "blue".into(),
            secret: SigningSecret([5; 32]),
        }),
        name: Some("pager".to_owned()),
        url: Some("https://a.test/x".to_owned()),
        events: Some(BTreeSet::from(WebhookEventKind::CHOICES)),
        test: Some(Some(test())),
    }
}

pub(super) fn webhook_commands() -> Vec<Command> {
    let result = |seq, outcome| DeliveryResult {
        key: delivery_key(seq),
        attempt: 2,
        outcome,
    };
    vec![
        Command::PutWebhook(put()),
        Command::DeleteWebhook(DeleteWebhook { webhook: webhook() }),
        Command::RotateSecret(RotateSecret {
            webhook: webhook(),
            secret: SigningSecret([6; 32]),
        }),
        Command::RecordDeliveries(RecordDeliveries {
            results: vec![
                result(3, AttemptOutcome::Answered(204)),
                result(4, AttemptOutcome::Failed("timed out".to_owned())),
            ],
        }),
        Command::ReplayDelivery(ReplayDelivery {
            webhook: webhook(),
            which: Replay::One(7),
        }),
        Command::PauseWebhook(PauseWebhook {
            webhook: webhook(),
            paused: true,
        }),
        Command::TestWebhook(TestWebhook { webhook: webhook() }),
    ]
}

fn delivery(seq: u64, facts: EventFacts) -> Delivery {
    Delivery {
        key: delivery_key(seq),
        event: Arc::new(WebhookEvent {
            facts,
            sequence: 3,
            at: Time(20),
            revision: Revision(21),
        }),
        status: DeliveryStatus::Dead,
        attempts: 7,
        next_attempt_at: Time(22),
        first_failed_at: Some(Time(23)),
        last: Some(Attempt {
            at: Time(24),
            http_status: Some(500),
            error: "answered 500".to_owned(),
        }),
        enqueued_at: Time(20),
        revision: Revision(25),
    }
}

pub(super) fn webhook_rows() -> Vec<Row> {
    let run_facts = RunFacts {
        run: run(),
        test: test(),
        test_name: "t".to_owned(),
        from: Some(RunStatus::Pending),
        to: RunStatus::CannotRunForNow,
        reason: Some(reason()),
    };
    let probe_facts = ProbeFacts {
        probe: reeve_state::id::ProbeId::from_bytes([7; 16]),
        name: "p".to_owned(),
        test: test(),
        test_name: "t".to_owned(),
        from: reeve_state::transition::probe::ProbeStatus::Healthy,
        to: reeve_state::transition::probe::ProbeStatus::Degraded,
        reason: "mos".to_owned(),
    };
    vec![
        Row::Webhook(Arc::new(Webhook {
            id: webhook(),
            name: "pager".to_owned(),
            project: "blue".into(),
            url: "https://a.test/x".to_owned(),
            events: BTreeSet::from(WebhookEventKind::CHOICES),
            test: Some(test()),
            status: WebhookStatus::Gone,
            status_since: Time(20),
            secret: SigningSecret([5; 32]),
            previous: Some(PreviousSecret {
                secret: SigningSecret([6; 32]),
                until: Time(21),
            }),
            last_seq: 22,
            delivered: 23,
            overflowed: 24,
            forgotten: 25,
            created_at: Time(26),
            created_by: Some(key()),
            revision: Revision(27),
        })),
        Row::Delivery(Arc::new(delivery(1, EventFacts::Run(run_facts)))),
        Row::Delivery(Arc::new(delivery(2, EventFacts::Probe(probe_facts)))),
        Row::Delivery(Arc::new(delivery(3, EventFacts::Test))),
    ]
}

#[test]
fn what_is_left_out_comes_back_left_out() {
    let bare = PutWebhook {
        new: None,
        name: None,
        url: None,
        events: None,
        test: None,
        ..put()
    };
    let emptied = PutWebhook {
        name: Some(String::new()),
        url: Some(String::new()),
        events: Some(BTreeSet::new()),
        test: Some(None),
        ..put()
    };
    for put in [bare, emptied] {
        round_trip(Envelope::internal(Command::PutWebhook(put)));
    }
    round_trip(Envelope::internal(Command::ReplayDelivery(ReplayDelivery {
        webhook: webhook(),
        which: Replay::AllDead,
    })));
}

#[test]
fn the_events_of_a_webhook_lie_in_order() {
    let at = |seq| key_of(&Row::Delivery(Arc::new(delivery(seq, EventFacts::Test))));
    assert!(at(9) < at(10) && at(255) < at(256) && at(256) < at(u64::MAX));
}

#[test]
fn secrets_are_in_the_bytes_and_not_in_what_is_printed() {
    let command = Command::PutWebhook(put());
    assert!(!format!("{command:?}").contains("5, 5"));
    let proto = NewWebhook::to_proto(put().new.as_ref().unwrap());
    let shown = format!("{proto:?}");
    assert!(!shown.contains("\\x05") && !shown.contains("5, 5"), "{shown}");
}
