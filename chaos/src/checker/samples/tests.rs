//! What holds, and what breaks each rule.
#![allow(clippy::unwrap_used)]

use super::super::story::tests::{at, beginning, injected, seen, setting};
use super::*;
use crate::checker::verdict::Word;
use crate::event::Event;

fn sample(term: u64, applied: u64, pid: u64) -> What {
    What::Seen {
        node: "n1".to_owned(),
        term,
        leader: 1,
        applied,
        sessions: 0,
        pid,
    }
}

fn judged(events: Vec<Event>) -> Vec<Finding> {
    let mut all_events = beginning();
    all_events.extend(events);
    let setting = setting();
    all(&Story::of(&setting, &all_events))
}

#[test]
fn terms_and_positions_that_rise_pass() {
    let findings = judged(vec![
        at(3, sample(1, 15, 1)),
        at(4, sample(1, 19, 1)),
        // Another process applies again what its state lacks.
        at(5, sample(1, 2, 7)),
        at(6, sample(2, 12, 7)),
    ]);
    assert!(findings.iter().all(Finding::passed), "{findings:?}");
}

#[test]
fn a_term_that_falls_even_over_a_restart() {
    let events = vec![at(3, sample(2, 15, 1)), at(5, sample(1, 5, 7))];
    assert!(judged(events)[0].violations[0].contains("n1 went from term 2 to 1 at 5000000 µs"));
}

#[test]
fn a_disk_that_lies_may_lose_a_term() {
    let lie = Fault::Sync {
        target: "n1".to_owned(),
        how: disk::Sync::Lie,
    };
    let events = vec![
        at(3, sample(2, 15, 1)),
        at(4, injected(0, lie)),
        at(5, sample(1, 5, 7)),
    ];
    assert!(judged(events)[0].passed());
}

#[test]
fn a_position_that_falls_while_the_process_runs() {
    let events = vec![at(3, sample(1, 50, 1)), at(5, sample(1, 49, 1))];
    assert!(judged(events)[0].violations[0].contains("n1 had applied entry 50, then 49"));
}

#[test]
fn nothing_seen_is_nothing_covered() {
    let setting = setting();
    let findings = all(&Story::of(&setting, &[]));
    assert!(findings.iter().all(|finding| finding.word() == Word::NotCovered));
}

#[test]
fn leaders_change_with_the_terms_that_have_one() {
    let setting = setting();
    let mut events = beginning();
    assert_eq!(leader_changes(&Story::of(&setting, &events)), 0);
    events.extend([
        at(3, seen("n2", 2, 0)),
        at(4, seen("n2", 3, 2)),
        at(5, seen("n1", 3, 2)),
    ]);
    assert_eq!(leader_changes(&Story::of(&setting, &events)), 1);
}
