//! What holds, and what breaks each rule.
#![allow(clippy::unwrap_used)]

use super::super::story::tests::{at, beginning, setting, started};
use super::*;
use crate::checker::verdict::Word;
use crate::event::Event;

fn used(rss_kib: u64, files: u64, disk_kib: u64) -> What {
    What::Used {
        process: "n1".to_owned(),
        rss_kib,
        files,
        disk_kib,
    }
}

fn judged(events: Vec<Event>, logs: &[PathBuf]) -> Vec<Finding> {
    let mut all_events = beginning();
    all_events.extend(events);
    let setting = setting();
    all(&Story::of(&setting, &all_events), logs).unwrap()
}

fn growing(by_kib: u64) -> Vec<Event> {
    (0..40)
        .map(|second| at(second + 2, used(100_000 + second * by_kib, 50, 100)))
        .collect()
}

#[test]
fn processes_that_live_and_stay_as_they_are_pass() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("n1.log");
    std::fs::write(&log, "ready\nnot heard for 3 s\n").unwrap();
    let mut events = growing(1_000);
    events.push(at(
        50,
        What::Ended {
            process: "n1".to_owned(),
            expected: true,
            how: "signal: 9".to_owned(),
        },
    ));
    events.push(at(
        51,
        What::Expected {
            rule: "it stops".to_owned(),
            met: true,
            seen: String::new(),
        },
    ));
    let findings = judged(events, &[log]);
    assert!(findings.iter().all(Finding::passed), "{findings:?}");
}

#[test]
fn a_process_that_ends_by_itself() {
    let ended = What::Ended {
        process: "n2".to_owned(),
        expected: false,
        how: "signal: 6".to_owned(),
    };
    let findings = judged(vec![at(9, ended)], &[]);
    assert_eq!(
        findings[0].violations,
        ["n2 ended by itself at 9000000 µs: signal: 6"]
    );
}

#[test]
fn a_log_with_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("w1.log");
    std::fs::write(&log, b"ready \xff\nthread 'main' panicked at src/x.rs:1:1:\n").unwrap();
    let findings = judged(Vec::new(), &[log]);
    assert_eq!(
        findings[1].violations,
        ["w1.log:2: thread 'main' panicked at src/x.rs:1:1:"]
    );
}

#[test]
fn a_system_that_does_not_do_what_it_must() {
    let expected = What::Expected {
        rule: "a node whose disk fails stops".to_owned(),
        met: false,
        seen: "it runs".to_owned(),
    };
    assert_eq!(judged(vec![at(9, expected)], &[])[2].word(), Word::Violated);
}

#[test]
fn a_process_that_grows_without_end() {
    assert!(judged(growing(8_000), &[])[3].passed(), "twice, and 256 MiB more");
    let findings = judged(growing(20_000), &[]);
    assert!(
        findings[3].violations[0].contains("KiB of memory"),
        "{findings:?}"
    );
    for grows in [(|at| used(1, 10 + at * 20, 1)) as fn(u64) -> What, |at| {
        used(1, 10, at * 100_000)
    }] {
        let events = (0..40).map(|second| at(second + 2, grows(second))).collect();
        assert_eq!(judged(events, &[])[3].word(), Word::Violated);
    }
}

#[test]
fn one_sample_alone_is_no_growth() {
    let mut events = growing(0);
    events[39] = at(41, used(10_000_000, 50, 100));
    assert!(judged(events, &[])[3].passed());
}

#[test]
fn a_process_that_begins_anew_begins_small() {
    let mut events = growing(6_000);
    events.push(at(43, started("n1")));
    events.extend((0..20).map(|second| at(second + 44, used(50_000, 50, 100))));
    assert!(judged(events, &[])[3].passed());
}

#[test]
fn too_few_samples_say_nothing() {
    let events = growing(0).into_iter().take(9).collect();
    assert_eq!(judged(events, &[])[3].word(), Word::NotCovered);
}
