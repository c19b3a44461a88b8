//! Webhooks: who is told, in which order, how often it is tried, and what is kept (R214).

use std::collections::BTreeSet;

use reeve_state::command::*;
use reeve_state::definition::{MAX_URL_BYTES, WebhookUrl, parse_webhook_url};
use reeve_state::id::{ProjectName, SigningSecret};
use reeve_state::record::*;
use reeve_state::time::{Millis, Time};
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::probe::ProbeStatus;
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use reeve_state::{State, apply};

use crate::world::probes::*;
use crate::world::registry::fields;
use crate::world::webhook::*;
use crate::world::*;

/// Webhook 1 wants everything; test 1 exists.
fn with_webhook() -> World {
    let mut world = World::with_workers(1, 100);
    world.apply_test(1, definition("smoke", 10));
    world.ok(Command::PutWebhook(new_webhook(1)));
    world
}

/// The statuses that a webhook is told of a run, by number: from, to, and the event's own sequence.
fn told(world: &World, n: u8) -> Vec<(u64, Option<RunStatus>, RunStatus, u64)> {
    let run = |row: &Delivery| match &row.event.facts {
        EventFacts::Run(facts) => Some((row.key.seq, facts.from, facts.to, row.event.sequence)),
        EventFacts::Probe(_) | EventFacts::Test => None,
    };
    world
        .state
        .deliveries(webhook_id(n))
        .filter_map(|row| run(row))
        .collect()
}

fn complete(world: &mut World) {
    world.start_run(1, 1);
    world.queue_run(1);
    world.ok(world.place(1, Vec::new(), vec![World::placement(1, 0, 0, 10)]));
    world.ready(1, 0);
    world.ok(world.begin(1));
    world.close_all(1, 0, EndpointOutcome::Success);
    world.ok(world.complete(1));
}

// Covers: R214
#[test]
fn every_status_of_a_run_is_told_with_where_it_came_from_and_its_place() {
    let mut world = with_webhook();
    complete(&mut world);
    use RunStatus as S;
    assert_eq!(
        told(&world, 1),
        [
            (1, None, S::Pending, 1),
            (2, Some(S::Pending), S::Queued, 2),
            (3, Some(S::Queued), S::Running, 3),
            (4, Some(S::Running), S::Completed, 4),
        ]
    );
    let row = world.delivery(1, 4);
    assert_eq!(row.event.at, world.run(1).life.entered(S::Completed).unwrap());
    assert_eq!(row.event.revision, world.run(1).revision);
    assert_eq!(row.status, DeliveryStatus::Pending);
}

#[test]
fn the_reason_of_a_status_is_told() {
    let mut world = with_webhook();
    world.start_run(1, 1);
    world.ok(world.reject(1, RunReasonCode::WorkersBusy));
    let row = world.delivery(1, 2);
    let EventFacts::Run(facts) = &row.event.facts else {
        panic!("{row:?}")
    };
    assert_eq!(facts.reason.as_ref().unwrap().code, RunReasonCode::WorkersBusy);
    assert_eq!((facts.test, facts.test_name.as_str()), (test_id(1), "smoke"));
}

#[test]
fn only_what_a_webhook_chose_is_told_to_it() {
    let kinds = WebhookEventKind::CHOICES;
    let cases = [
        (None, None, true),
        (only(kinds[0]), None, true),
        (only(kinds[1]), None, false),
        (Some(BTreeSet::from(kinds)), None, true),
        (None, Some(Some(test_id(1))), true),
        (None, Some(Some(test_id(2))), false),
        (only(kinds[1]), Some(Some(test_id(1))), false),
    ];
    for (events, test, expected) in cases {
        let mut world = World::with_workers(1, 100);
        world.apply_test(1, definition("smoke", 10));
        world.apply_test(2, definition("other", 10));
        let hook = PutWebhook {
            events,
            test,
            ..new_webhook(1)
        };
        let shown = format!("{hook:?}");
        world.ok(Command::PutWebhook(hook));
        world.start_run(1, 1);
        assert_eq!(told(&world, 1).len() == 1, expected, "{shown}");
    }
}

#[test]
fn a_webhook_of_another_project_is_told_nothing() {
    let mut world = with_webhook();
    let mut other = new_webhook(2);
    other.new.as_mut().unwrap().project = "blue".into();
    world.ok(Command::PutWebhook(other));
    world.start_run(1, 1);
    assert_eq!((told(&world, 1).len(), told(&world, 2).len()), (1, 0));
}

#[test]
fn an_event_waits_by_the_schedule_and_is_dead_after_the_last_retry() {
    let mut world = with_webhook();
    world.start_run(1, 1);
    assert_eq!(world.sendable(1), [1]);
    let expected = [30, 120, 600, 3_600, 21_600, 86_400].map(Millis::from_secs);
    for (attempt, pause) in (1..).zip(expected) {
        world.answers(1, 1, 500);
        let row = world.delivery(1, 1);
        assert_eq!((row.attempts, row.status), (attempt, DeliveryStatus::Pending));
        assert_eq!(world.waits(1, 1), pause);
        assert_eq!(world.sendable(1), [0; 0]);
        world.pass(pause);
        assert_eq!(world.sendable(1), [1]);
    }
    world.answers(1, 1, 500);
    let row = world.delivery(1, 1);
    assert_eq!((row.attempts, row.status), (7, DeliveryStatus::Dead));
    assert_eq!(row.last.as_ref().unwrap().http_status, Some(500));
    assert_eq!(world.sendable(1), [0; 0]);
}

#[test]
fn what_an_attempt_ended_with_decides() {
    use DeliveryStatus as S;
    let cases = [
        (answered(200), S::Delivered, ""),
        (answered(204), S::Delivered, ""),
        (answered(299), S::Delivered, ""),
        (answered(100), S::Pending, "answered 100"),
        (
            answered(301),
            S::Pending,
            "answered 301; redirects are not followed",
        ),
        (answered(400), S::Pending, "answered 400"),
        (answered(404), S::Pending, "answered 404"),
        (answered(410), S::Pending, "answered 410: the receiver is gone"),
        (answered(429), S::Pending, "answered 429"),
        (answered(503), S::Pending, "answered 503"),
        (
            AttemptOutcome::Failed("timed out".into()),
            S::Pending,
            "timed out",
        ),
    ];
    for (outcome, status, error) in cases {
        let mut world = with_webhook();
        world.start_run(1, 1);
        world.ok(world.attempted(1, 1, outcome.clone()));
        let row = world.delivery(1, 1);
        assert_eq!(row.status, status, "{outcome:?}");
        assert_eq!(row.last.as_ref().unwrap().error, error);
        assert_eq!(world.webhook(1).delivered, u64::from(status == S::Delivered));
    }
    let mut world = with_webhook();
    world.start_run(1, 1);
    world.ok(world.attempted(1, 1, AttemptOutcome::Failed("é".repeat(1_000))));
    assert_eq!(world.delivery(1, 1).last.as_ref().unwrap().error.len(), 256);
}

#[test]
fn the_events_of_a_run_are_sent_one_after_the_other_and_those_of_others_beside_them() {
    let mut world = with_webhook();
    complete(&mut world);
    world.start_run(2, 1);
    assert_eq!(world.sendable(1), [1, 5]);
    world.answers(1, 1, 200);
    assert_eq!(world.sendable(1), [2, 5]);
    world.answers(1, 5, 500);
    world.answers(1, 2, 200);
    assert_eq!(world.sendable(1), [3]);
}

#[test]
fn later_events_pass_one_that_has_failed_for_ten_minutes() {
    let mut world = with_webhook();
    complete(&mut world);
    let minutes = |n: u64| Millis::from_secs(60 * n);
    world.answers(1, 1, 500);
    world.pass(minutes(1));
    world.answers(1, 1, 500);
    assert_eq!(world.sendable(1), [0; 0], "it waits, and nothing goes before it");
    world.pass(minutes(5));
    assert_eq!(world.sendable(1), [1]);
    world.answers(1, 1, 500);
    world.pass(minutes(4));
    assert_eq!(world.sendable(1), [2], "ten minutes after the first failure");
    world.answers(1, 2, 200);
    assert_eq!(world.sendable(1), [3]);
    world.answers(1, 3, 500);
    assert_eq!(
        world.sendable(1),
        [0; 0],
        "the next one holds up what is behind it"
    );
    world.pass(minutes(10));
    assert_eq!(world.sendable(1), [1, 3, 4]);
}

#[test]
fn what_comes_too_late_changes_nothing() {
    let mut world = with_webhook();
    world.start_run(1, 1);
    let first = world.attempted(1, 1, answered(500));
    let wrong = Command::RecordDeliveries(RecordDeliveries {
        results: vec![
            DeliveryResult {
                key: delivery_key(1, 1),
                attempt: 2,
                outcome: answered(200),
            },
            DeliveryResult {
                key: delivery_key(1, 9),
                attempt: 1,
                outcome: answered(200),
            },
            DeliveryResult {
                key: delivery_key(9, 1),
                attempt: 1,
                outcome: answered(200),
            },
        ],
    });
    world.ok(wrong);
    assert_eq!(world.last_changes.len(), 0, "of another attempt, or of nothing");
    world.ok(first.clone());
    world.ok(first);
    assert_eq!(world.delivery(1, 1).attempts, 1, "told twice, counted once");
    world.answers(1, 1, 200);
    let again = world.attempted(1, 1, answered(500));
    world.ok(again);
    assert_eq!(world.delivery(1, 1).status, DeliveryStatus::Delivered);
}

#[test]
fn a_receiver_that_is_gone_gets_nothing_more_until_it_is_taken_up_again() {
    let mut world = with_webhook();
    world.start_run(1, 1);
    world.answers(1, 1, 410);
    assert_eq!(world.webhook(1).status, WebhookStatus::Gone);
    world.queue_run(1);
    world.start_run(2, 1);
    assert_eq!(told(&world, 1).len(), 1, "nothing new is kept");
    let refusal = world.refused(test_webhook(1));
    assert!(matches!(refusal, Refusal::WrongStatus { .. }), "{refusal}");
    world.ok(pause(1, true));
    assert_eq!(world.webhook(1).status, WebhookStatus::Gone);
    world.ok(pause(1, false));
    assert_eq!(world.webhook(1).status, WebhookStatus::Active);
    assert_eq!(world.sendable(1), [1], "what it had refused is sent at once");
    world.ok(world.reject(2, RunReasonCode::WorkersBusy));
    assert_eq!(told(&world, 1).len(), 2);
}

#[test]
fn events_wait_for_a_webhook_that_is_paused() {
    let mut world = with_webhook();
    world.ok(pause(1, true));
    world.start_run(1, 1);
    assert_eq!(world.webhook(1).status, WebhookStatus::Paused);
    assert_eq!(told(&world, 1).len(), 1);
    let revision = world.state.meta().revision;
    world.ok(pause(1, true));
    assert_eq!(world.state.meta().revision, revision, "twice changes nothing");
}

#[test]
fn the_outbox_is_capped_and_counts_what_it_could_not_take() {
    let mut world = with_webhook();
    // Not through the world: it checks every law after every step.
    let mut state = world.state.clone();
    let mut run = |state: &mut State, command: Command| {
        world.now += 1;
        let entry = EntryMeta {
            term: TERM,
            index: world.now,
            stamp: Time(world.now),
        };
        apply(state, &entry, &Envelope::internal(command)).applied.result
    };
    for _ in 0..MAX_PENDING {
        run(&mut state, test_webhook(1)).unwrap();
    }
    let refusal = run(&mut state, test_webhook(1)).unwrap_err();
    assert_eq!(fields(&refusal), ["webhook"]);
    let start = StartRun {
        run: run_id(1),
        test: test_id(1),
    };
    run(&mut state, Command::StartRun(start)).unwrap();
    let hook = state.webhook(webhook_id(1)).unwrap();
    assert_eq!((hook.overflowed, hook.last_seq), (1, u64::from(MAX_PENDING)));
    assert_eq!(state.delivery_counts(webhook_id(1)).pending, MAX_PENDING);
    assert_eq!(reeve_state::invariant::check(&state), []);
}

#[test]
fn the_newest_that_arrived_are_kept_to_look_at() {
    let mut world = with_webhook();
    for seq in 1..=u64::from(KEPT_DELIVERED) + 3 {
        world.ok(test_webhook(1));
        world.answers(1, seq, 200);
    }
    let kept: Vec<u64> = world
        .state
        .deliveries(webhook_id(1))
        .map(|row| row.key.seq)
        .collect();
    assert_eq!(kept, (4..=u64::from(KEPT_DELIVERED) + 3).collect::<Vec<_>>());
    assert_eq!(world.webhook(1).delivered, u64::from(KEPT_DELIVERED) + 3);
}

/// Events 1 and 2 are dead, 3 arrived, 4 is pending.
fn with_dead() -> World {
    let mut world = with_webhook();
    for _ in 0..4 {
        world.ok(test_webhook(1));
    }
    for seq in [1, 2] {
        for _ in 0..=RETRIES.len() {
            world.answers(1, seq, 503);
        }
    }
    world.answers(1, 3, 200);
    world
}

#[test]
fn dead_letters_can_be_replayed_one_by_one_or_all() {
    let mut world = with_dead();
    world.ok(replay(1, Replay::One(2)));
    let row = world.delivery(1, 2);
    assert_eq!((row.status, row.attempts), (DeliveryStatus::Pending, 0));
    assert_eq!(row.last.as_ref().unwrap().http_status, Some(503));
    assert_eq!(world.sendable(1), [2], "and before what is behind it");
    world.answers(1, 2, 500);
    world.ok(replay(1, Replay::One(2)));
    assert_eq!(world.sendable(1), [2], "one that waits is tried at once");
    assert_eq!(world.delivery(1, 2).attempts, 1);
    let mut world = with_dead();
    world.ok(replay(1, Replay::AllDead));
    assert_eq!(world.state.delivery_counts(webhook_id(1)).dead, 0);
    assert_eq!(world.sendable(1), [1]);
    world.ok(replay(1, Replay::AllDead));
}

#[test]
fn what_arrived_or_never_was_cannot_be_replayed() {
    let mut world = with_dead();
    let refusal = world.refused(replay(1, Replay::One(3)));
    assert!(matches!(refusal, Refusal::WrongStatus { .. }), "{refusal}");
    let refusal = world.refused(replay(1, Replay::One(77)));
    assert!(
        matches!(
            refusal,
            Refusal::NotFound {
                kind: ObjectKind::Delivery,
                ..
            }
        ),
        "{refusal}"
    );
}

#[test]
fn a_rotated_secret_signs_beside_the_new_one_for_a_day() {
    let mut world = with_webhook();
    world.ok(rotate(1, 7));
    let rotated = Time(world.now);
    let signs = |world: &World, after: Millis| -> Vec<SigningSecret> {
        world.webhook(1).secrets(rotated + after).copied().collect()
    };
    let (old, new) = (SigningSecret([1; 32]), SigningSecret([7; 32]));
    assert_eq!(signs(&world, Millis(0)), [new, old]);
    assert_eq!(signs(&world, Millis(PREVIOUS_SECRET_FOR.0 - 1)), [new, old]);
    assert_eq!(signs(&world, PREVIOUS_SECRET_FOR), [new]);
    world.ok(rotate(1, 8));
    assert_eq!(signs(&world, Millis(0)), [SigningSecret([8; 32]), new]);
    assert!(
        !format!("{:?}", world.webhook(1)).contains("8, 8"),
        "never printed"
    );
}

#[test]
fn a_webhook_that_is_deleted_takes_its_events_with_it() {
    let mut world = with_dead();
    world.ok(delete_webhook(1));
    assert_eq!(world.state.deliveries(webhook_id(1)).count(), 0);
    assert!(matches!(
        world.refused(delete_webhook(1)),
        Refusal::NotFound { .. }
    ));
    world.ok(Command::PutWebhook(new_webhook(1)));
    assert_eq!(world.webhook(1).last_seq, 0);
}

#[test]
fn an_update_changes_what_it_names_and_nothing_else() {
    let mut world = with_webhook();
    let before = world.webhook(1);
    world.ok(Command::PutWebhook(PutWebhook {
        url: Some("https://other.test".to_owned()),
        ..update_webhook(1)
    }));
    let after = world.webhook(1);
    assert_eq!(after.url, "https://other.test");
    assert_eq!(
        (&after.name, &after.events, after.secret, after.test),
        (&before.name, &before.events, before.secret, before.test)
    );
    world.ok(Command::PutWebhook(PutWebhook {
        name: Some(String::new()),
        test: Some(Some(test_id(1))),
        ..update_webhook(1)
    }));
    assert!(world.state.webhook_named(&ProjectName::default(), "h1").is_none());
    assert!(matches!(
        world.refused(Command::PutWebhook(update_webhook(2))),
        Refusal::NotFound { .. }
    ));
}

#[test]
fn the_fields_of_a_webhook_are_checked() {
    let mut world = with_webhook();
    let mut bad = PutWebhook {
        name: Some("x".repeat(129)),
        url: Some("ftp://x".to_owned()),
        events: only(WebhookEventKind::Test),
        test: Some(Some(test_id(9))),
        ..new_webhook(2)
    };
    bad.new.as_mut().unwrap().project = "".into();
    let refusal = world.refused(Command::PutWebhook(bad));
    assert_eq!(fields(&refusal), ["name", "project", "url", "events", "test"]);
    for twice in [
        PutWebhook {
            name: Some("h1".to_owned()),
            ..new_webhook(2)
        },
        PutWebhook {
            name: None,
            ..new_webhook(1)
        },
    ] {
        let refusal = world.refused(Command::PutWebhook(twice));
        assert!(matches!(refusal, Refusal::AlreadyExists { .. }), "{refusal}");
    }
    for n in 2..=u8::try_from(MAX_PROJECT_WEBHOOKS).unwrap() {
        world.ok(Command::PutWebhook(new_webhook(n)));
    }
    let refusal = world.refused(Command::PutWebhook(new_webhook(200)));
    assert_eq!(fields(&refusal), ["project"]);
}

#[test]
fn addresses_are_read_one_way() {
    let url = |https, host: &str, port, authority: &str, target: &str| WebhookUrl {
        https,
        host: host.to_owned(),
        port,
        authority: authority.to_owned(),
        target: target.to_owned(),
    };
    let good = [
        ("https://a.test", url(true, "a.test", 443, "a.test", "/")),
        ("HTTPS://a.test?x=1", url(true, "a.test", 443, "a.test", "/?x=1")),
        (
            "http://127.0.0.1:8080/a/b?c=d",
            url(false, "127.0.0.1", 8_080, "127.0.0.1:8080", "/a/b?c=d"),
        ),
        ("https://[::1]:9/x", url(true, "::1", 9, "[::1]:9", "/x")),
        ("https://[::1]", url(true, "::1", 443, "[::1]", "/")),
    ];
    for (text, expected) in good {
        assert_eq!(parse_webhook_url(text), Ok(expected), "{text}");
    }
    let long = format!("https://a.test/{}", "x".repeat(MAX_URL_BYTES - 15));
    assert!(parse_webhook_url(&long).is_ok());
    let longer = format!("{long}x");
    let bad = [
        ("", "https://host/path"),
        ("a.test/x", "https://host/path"),
        ("//a.test/x", "https://host/path"),
        ("ftp://a.test", "must begin with https://"),
        ("https://", "must name a host"),
        ("https:///x", "must name a host"),
        ("https://u:p@a.test/", "user name or password"),
        ("https://a.test@b.test/", "user name or password"),
        ("https://a.test/#x", "fragment"),
        ("https://a.test:0/", "from 1 to 65535"),
        ("https://a.test:65536/", "from 1 to 65535"),
        ("https://a.test:+80/", "from 1 to 65535"),
        ("https://a.test:/", "from 1 to 65535"),
        ("https://[::1/", "has no ]"),
        ("https://[a]/", "not an IPv6 address"),
        ("https://[::1]x/", "other than a port"),
        ("https://a test/", "printable"),
        ("https://ä.test/", "printable"),
        ("https://a\\b/", "the host must be"),
        ("https://a.test/\n", "printable"),
        (longer.as_str(), "at most 2048 bytes, found 2049"),
    ];
    for (text, rule) in bad {
        let found = parse_webhook_url(text).unwrap_err();
        assert!(found.contains(rule), "{text}: {found}");
    }
}

#[test]
fn a_refused_command_tells_nobody() {
    let mut world = with_webhook();
    world.start_run(1, 1);
    let late = world.place(1, Vec::new(), vec![World::placement(1, 0, 0, 9)]);
    world.refused(late);
    assert_eq!(told(&world, 1).len(), 1);
}

#[test]
fn progress_is_no_event() {
    let mut world = World::running(1, 10);
    world.ok(Command::PutWebhook(new_webhook(1)));
    world.progress(1, 0, 0..5, EndpointPhase::Incall, None);
    assert_eq!(told(&world, 1), []);
    world.close_all(1, 0, EndpointOutcome::Success);
    world.ok(world.complete(1));
    let sequence = told(&world, 1)[0].3;
    assert_eq!(sequence, 4, "whoever came late sees that three are missing");
}

#[test]
fn a_change_of_a_probes_health_is_told_and_no_change_is_not() {
    let mut world = World::with_probe();
    world.ok(Command::PutWebhook(PutWebhook {
        events: only(WebhookEventKind::ProbeHealthChanged),
        ..new_webhook(1)
    }));
    for run in 7..=8 {
        let slot = world.fired(1, run);
        world.completed_with(run, 0);
        world.ok(evaluate_probe(1, slot));
    }
    assert_eq!(world.probe_status(1), ProbeStatus::Healthy);
    assert_eq!(
        world.state.deliveries(webhook_id(1)).count(),
        1,
        "HEALTHY twice is told once"
    );
    let row = world.delivery(1, 1);
    let EventFacts::Probe(facts) = &row.event.facts else {
        panic!("{row:?}")
    };
    assert_eq!(
        (facts.from, facts.to),
        (ProbeStatus::Unknown, ProbeStatus::Healthy)
    );
    assert_eq!(
        (facts.probe, &facts.name),
        (probe_id(1), &world.probe(1).definition.name)
    );
    assert_eq!((row.event.sequence, world.probe(1).health_changes), (1, 1));
}

#[test]
fn a_key_of_another_project_reaches_no_webhook() {
    use crate::world::registry::new_key;
    let mut world = with_webhook();
    world.ok(Command::PutProject(crate::world::project::create_project("blue")));
    for (n, project) in [(1, "default"), (2, "blue")] {
        world.ok(Command::CreateKey(CreateKey {
            project: project.to_owned(),
            ..new_key(n, Role::Operator)
        }));
    }
    let all = [
        Command::PutWebhook(update_webhook(1)),
        rotate(1, 9),
        pause(1, true),
        test_webhook(1),
        replay(1, Replay::AllDead),
        delete_webhook(1),
    ];
    for command in all.clone() {
        let refused = world.as_caller(2, command).unwrap_err();
        assert!(
            matches!(
                refused,
                Refusal::NotFound {
                    kind: ObjectKind::Webhook,
                    ..
                }
            ),
            "{refused}"
        );
    }
    let refused = world
        .as_caller(2, Command::PutWebhook(new_webhook(2)))
        .unwrap_err();
    assert!(matches!(refused, Refusal::OtherProject { .. }), "{refused}");
    for command in all {
        world.as_caller(1, command).unwrap();
    }
    let record = Command::RecordDeliveries(RecordDeliveries { results: Vec::new() });
    let refused = world.as_caller(1, record).unwrap_err();
    assert!(
        matches!(refused, Refusal::RoleTooLow { .. }),
        "nobody says for the leader what arrived"
    );
}
