//! What holds, and what breaks each rule.
#![allow(clippy::unwrap_used)]

use reeve_proto::internal as wire;

use super::super::story::tests::{at, beginning, setting};
use super::*;
use crate::checker::verdict::Word;
use crate::event::Event;
use crate::history::op::{F, Input, Output};

const RUN: &str = "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a";

fn told(node: &str, status: &str, revision: u64) -> What {
    What::RunSeen {
        node: node.to_owned(),
        run: RUN.to_owned(),
        status: format!("RUN_STATUS_{status}"),
        revision,
    }
}

fn read(second: u64, status: &str, revision: u64) -> Op {
    Op {
        p: 0,
        seq: 0,
        f: F::GetRun,
        k: format!("run/{RUN}"),
        input: Input::default(),
        inv: second * 1_000_000_000,
        ret: Some(second * 1_000_000_000 + 1),
        res: Res::Ok,
        out: Output {
            status: Some(format!("RUN_STATUS_{status}")),
            ..Output::default()
        },
        revision: Some(revision),
        node: 0,
    }
}

/// A node that ended knows the run in a status.
fn disk(status: u32, applied: u64) -> Dump {
    let entry = wire::TimelineEntry {
        status,
        ..Default::default()
    };
    let run = wire::Run {
        id: vec![10; 16].into(),
        timeline: vec![entry],
        ..Default::default()
    };
    Dump {
        name: "n2".to_owned(),
        applied,
        rows: vec![wire::Row {
            row: Some(wire::row::Row::Run(run)),
        }],
        ..Dump::default()
    }
}

fn judged(events: Vec<Event>, ops: &[Op], dumps: &[Dump]) -> Vec<Finding> {
    let mut all_events = beginning();
    all_events.extend(events);
    let setting = setting();
    all(&Story::of(&setting, &all_events), ops, dumps)
}

fn good() -> Vec<Event> {
    vec![
        at(3, told("n1", "PENDING", 3)),
        at(4, told("n1", "RUNNING", 5)),
        at(4, told("n2", "RUNNING", 5)),
        at(6, told("n1", "COMPLETED", 9)),
    ]
}

fn broken(findings: &[Finding]) -> Vec<&str> {
    let broken = findings.iter().filter(|finding| finding.word() == Word::Violated);
    broken
        .flat_map(|finding| finding.violations.iter().map(String::as_str))
        .collect()
}

#[test]
fn a_run_that_moves_on_and_ends_once_passes() {
    let findings = judged(
        good(),
        &[read(5, "RUNNING", 7), read(7, "COMPLETED", 9)],
        &[disk(4, 1)],
    );
    assert!(findings.iter().all(Finding::passed), "{findings:?}");
}

#[test]
fn a_watcher_that_is_told_of_what_was_before() {
    let mut events = good();
    events.push(at(7, told("n1", "RUNNING", 5)));
    let findings = judged(events.clone(), &[], &[]);
    assert_eq!(broken(&findings).len(), 1, "{findings:?}");
    assert!(broken(&findings)[0].contains("n1 told of run"));
    // One that began anew may be told again.
    let again = What::Watching {
        node: "n1".to_owned(),
    };
    events.insert(4, at(7, again));
    assert_eq!(broken(&judged(events, &[], &[])), Vec::<&str>::new());
}

#[test]
fn a_status_that_goes_backward_between_watcher_and_client() {
    let findings = judged(good(), &[read(7, "QUEUED", 8)], &[]);
    assert!(findings[1].violations[0].contains("Running at revision 5"));
}

#[test]
fn a_revision_with_two_statuses() {
    let mut events = good();
    events.push(at(7, told("n3", "QUEUED", 5)));
    assert_eq!(judged(events, &[], &[])[1].word(), Word::Violated);
}

#[test]
fn an_end_that_is_not_the_end() {
    let mut events = good();
    events.push(at(7, told("n3", "FAILED", 12)));
    assert!(judged(events, &[], &[])[2].violations[0].contains("ended Completed"));
    let on_disk = judged(good(), &[], &[disk(5, 1)]);
    assert!(
        on_disk[2].violations[0].contains("on the disk of n2"),
        "{on_disk:?}"
    );
    // A disk that is behind another does not know yet.
    let behind = judged(good(), &[], &[disk(3, 1), disk(4, 2)]);
    assert!(behind[2].passed());
}

#[test]
fn a_status_without_a_name_is_a_fault_of_the_harness() {
    let findings = judged(vec![at(3, told("n1", "PURPLE", 1))], &[], &[]);
    assert_eq!(findings[0].word(), Word::HarnessFault);
}
