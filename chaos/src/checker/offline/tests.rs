//! What holds, and what breaks each rule.
#![allow(clippy::unwrap_used)]

use super::super::story::tests::{
    SECOND, at, beginning, cut, healed, injected, kill, pause, seen, setting, started,
};
use super::*;
use crate::checker::verdict::Word;
use crate::event::Event;

fn told(node: &str, status: &str, revision: u64) -> What {
    What::WorkerSeen {
        node: node.to_owned(),
        worker: "w1".to_owned(),
        status: format!("WORKER_STATUS_{status}"),
        revision,
    }
}

fn line(at_ms: u64, beat: Beat) -> Line {
    Line {
        at: at_ms * 1_000,
        worker: "w1".to_owned(),
        beat,
    }
}

fn session(at_ms: u64) -> Line {
    let node = "a:1".to_owned();
    line(at_ms, Beat::Session { node })
}

/// A session, and a heartbeat each 300 ms.
fn beats(from_ms: u64, to_ms: u64) -> Vec<Line> {
    let mut beats = vec![session(from_ms)];
    beats.extend((from_ms..to_ms).step_by(300).map(|at_ms| {
        let (node, sent) = ("a:1".to_owned(), (at_ms - 10) * 1_000);
        line(at_ms, Beat::Acked { node, sent })
    }));
    beats
}

/// The worker stands still from 20 s to 30 s.
fn outage() -> Vec<Event> {
    let mut events = beginning();
    events.extend([
        at(3, told("n1", "OFFLINE", 2)),
        at(4, told("n1", "ONLINE", 3)),
        at(20, injected(0, pause("w1"))),
        at(24, told("n1", "OFFLINE", 9)),
        at(25, told("n2", "OFFLINE", 9)),
        at(30, healed(0)),
        at(31, told("n1", "ONLINE", 12)),
        at(60, healed(9)),
    ]);
    events
}

fn around() -> Vec<Line> {
    let mut all = beats(4_000, 20_000);
    all.extend(beats(31_000, 60_000));
    all
}

fn judged(events: &[Event], beats: &[Line], log: Option<&[Offline]>) -> Vec<Finding> {
    let setting = setting();
    all(&Story::of(&setting, events), beats, log)
}

#[test]
fn a_worker_that_is_offline_once_and_in_time_passes() {
    let findings = judged(&outage(), &around(), None);
    assert!(findings.iter().all(Finding::passed), "{findings:?}");
    let note = "OFFLINE 1 times after p50 4110 ms, p99 4110 ms, max 4110 ms of silence (threshold 3000 ms)";
    assert_eq!(findings[0].notes, [note]);
    let setting = setting();
    let events = outage();
    let late = delays_ms(&Story::of(&setting, &events), &around(), None);
    assert_eq!(late, [1_110]);
}

#[test]
fn a_worker_that_is_heard_all_the_time_and_is_offline() {
    let mut events = beginning();
    events.extend([at(4, told("n1", "ONLINE", 3)), at(24, told("n1", "OFFLINE", 9))]);
    let findings = judged(&events, &beats(4_000, 60_000), None);
    assert_eq!(findings[0].word(), Word::Violated);
    assert!(findings[0].violations[0].contains("w1 was OFFLINE at 24000000 µs"));
}

#[test]
fn a_worker_that_was_silent_for_less_than_the_threshold() {
    let early = |last_ms| {
        let mut events = beginning();
        events.extend([at(4, told("n1", "ONLINE", 3)), at(24, told("n1", "OFFLINE", 9))]);
        judged(&events, &beats(4_000, last_ms), None)[0].word()
    };
    assert_eq!(early(21_500), Word::Violated);
    assert_eq!(early(20_900), Word::Ok);
}

#[test]
fn what_a_node_heard_last_is_lost_with_it() {
    let early = |last_ms, killed: &str| {
        let mut events = beginning();
        events.push(at(4, told("n1", "ONLINE", 3)));
        events.push(at(22, injected(0, kill(killed))));
        events.push(at(24, told("n1", "OFFLINE", 9)));
        judged(&events, &beats(4_000, last_ms), None)[0].word()
    };
    // The last was sent 2,910 ms before: with its node more was lost than that.
    assert_eq!(early(21_200, "n2"), Word::Ok);
    assert_eq!(early(21_200, "w2"), Word::Violated);
    assert_eq!(early(21_900, "n2"), Word::Violated);
}

#[test]
fn a_worker_that_came_back_before_the_watcher_was_told() {
    let mut events = beginning();
    events.extend([at(4, told("n1", "ONLINE", 3)), at(26, told("n1", "OFFLINE", 9))]);
    let mut all = beats(4_000, 20_000);
    all.extend(beats(24_000, 60_000));
    assert!(judged(&events, &all, None)[0].passed());
    // So late is nobody told: these were other heartbeats.
    let mut all = beats(4_000, 15_000);
    all.extend(beats(19_000, 60_000));
    assert_eq!(judged(&events, &all, None)[0].word(), Word::Violated);
}

#[test]
fn a_worker_that_leaves_by_itself_is_offline_at_once() {
    let mut events = beginning();
    events.extend([at(4, told("n1", "ONLINE", 3)), at(24, told("n1", "OFFLINE", 9))]);
    let log = |silent| Offline {
        worker: "w1".to_owned(),
        index: 1,
        revision: Some(9),
        silent,
    };
    let word = |silent| judged(&events, &beats(4_000, 60_000), Some(&[log(silent)]))[0].word();
    assert_eq!(word(false), Word::Ok);
    assert_eq!(word(true), Word::Violated);
}

#[test]
fn a_worker_that_is_offline_twice_in_one_outage() {
    let mut events = outage();
    events.insert(events.len() - 3, at(26, told("n1", "UNREACHABLE", 10)));
    events.insert(events.len() - 3, at(29, told("n1", "OFFLINE", 11)));
    let silent = beats(4_000, 20_000);
    let findings = judged(&events, &silent, None);
    assert_eq!(findings[1].word(), Word::Violated, "{findings:?}");
    // With a session between these are two outages.
    let mut twice = silent;
    twice.push(session(25_500));
    assert!(judged(&events, &twice, None)[1].passed());
}

#[test]
fn a_worker_that_is_never_noticed() {
    let mut events = outage();
    events.retain(|event| !matches!(&event.what, What::WorkerSeen { revision: 9, .. }));
    let findings = judged(&events, &around(), None);
    let what = "w1 was out of reach from 20000000 µs to 30000000 µs, and ONLINE at 25000000 µs";
    assert_eq!(findings[2].violations, [what]);
}

#[test]
fn a_worker_that_is_noticed_too_late() {
    let mut events = outage();
    for event in &mut events {
        if matches!(&event.what, What::WorkerSeen { revision: 9, .. }) {
            event.at += 4 * SECOND;
        }
    }
    assert_eq!(judged(&events, &around(), None)[2].word(), Word::Violated);
}

#[test]
fn nobody_has_to_notice_while_nodes_are_broken() {
    for fault in [cut(&[1], &[2, 3]), kill("n2"), pause("n3")] {
        let mut events = outage();
        events.retain(|event| !matches!(&event.what, What::WorkerSeen { revision: 9, .. }));
        events.push(at(22, injected(1, fault)));
        events.push(at(23, started("n2")));
        events.push(at(28, healed(1)));
        events.sort_by_key(|event| event.at);
        let findings = judged(&events, &around(), None);
        assert_eq!(findings[2].word(), Word::NotCovered, "{findings:?}");
    }
}

#[test]
fn a_new_leader_has_its_time_and_no_more() {
    let of_length = |seconds: u64| {
        let mut events = beginning();
        events.extend([
            at(4, told("n1", "ONLINE", 3)),
            at(20, injected(0, pause("w1"))),
            at(21, seen("n2", 2, 2)),
            at(21 + seconds, healed(0)),
            at(60, healed(9)),
        ]);
        judged(&events, &around(), None)[2].word()
    };
    // 3 s of silence, 1 s to move, two elections, digests, and slack: 10.2 s.
    assert_eq!(of_length(10), Word::NotCovered);
    assert_eq!(of_length(11), Word::Violated);
}

#[test]
fn without_heartbeats_nothing_is_covered() {
    let findings = judged(&outage(), &[], None);
    assert_eq!(findings[0].word(), Word::NotCovered);
}
