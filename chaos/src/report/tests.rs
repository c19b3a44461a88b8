//! The report of made-up scenarios, and what it says of each way to fail.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::checker::tally::FaultCount;
use crate::event::{self, Event, What};
use crate::fault::{Fault, Healing, Injection, Proof};
use crate::history::op::{F, Input, Op, Output, Res};

const START: u64 = 100_000_000;

fn event(at: u64, what: What) -> Event {
    Event { at: START + at, what }
}

fn write_at(seq: u64, at_us: u64) -> Op {
    Op {
        p: 0,
        seq,
        f: F::ApplyTest,
        k: format!("test/t{seq}"),
        input: Input {
            request: format!("r{seq}"),
            value: Some(seq),
            ..Input::default()
        },
        inv: (START + at_us) * 1_000,
        ret: Some((START + at_us) * 1_000 + 500_000),
        res: Res::Ok,
        out: Output {
            version: Some(1),
            value: Some(seq),
            ..Output::default()
        },
        revision: Some(seq + 1),
        node: 0,
    }
}

/// A leader that is killed after five seconds, and a write each second.
fn scenario(directory: &Path) {
    let setting = Setting {
        scenario: "S1".to_owned(),
        seed: 7,
        nodes: ["n1", "n2", "n3"].map(str::to_owned).into(),
        workers: vec!["w1".to_owned()],
        down_after_ms: 3_000,
        ..Setting::default()
    };
    setting.store(directory).unwrap();
    let node = "n1".to_owned();
    let seen = What::Seen {
        node: node.clone(),
        term: 1,
        leader: 1,
        applied: 1,
        sessions: 1,
        pid: 1,
    };
    let started = |process: &str| What::Started {
        process: process.to_owned(),
        pid: 1,
    };
    let kill = What::Injected {
        number: 0,
        fault: Fault::Kill { target: node },
        result: Injection::Installed(Proof::new(1, "process gone".to_owned())),
    };
    let healed = What::Healed {
        number: 0,
        result: Healing::Healed(Proof::new(1, "process runs again".to_owned())),
    };
    let mut events = [
        event(0, started("n1")),
        event(1, started("n2")),
        event(2, started("n3")),
        event(3, started("w1")),
        event(4, seen),
        event(5_200_000, kill),
        event(6_000_000, started("n1")),
        event(6_000_001, healed),
    ];
    events.sort_by_key(|event| event.at);
    let lines = |lines: Vec<String>| lines.join("\n") + "\n";
    let events = events.iter().map(|event| serde_json::to_string(event).unwrap());
    std::fs::write(directory.join(event::FILE), lines(events.collect())).unwrap();
    let ops = (0..9).map(|seq| serde_json::to_string(&write_at(seq, 1_000_000 * (seq + 1))).unwrap());
    std::fs::write(directory.join("ops-0000.jsonl"), lines(ops.collect())).unwrap();
}

fn reported(judged: &[Judged], run: &Run, mutants: &[MutantResult]) -> (bool, String, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut out = Vec::new();
    let passed = write(&mut out, directory.path(), run, judged, mutants).unwrap();
    (passed, String::from_utf8(out).unwrap(), directory)
}

/// As if every rule had been looked at, so that one thing at a time can be missing.
fn covered(directory: &Path) -> Judged {
    let mut judged = judged(directory).unwrap();
    for finding in &mut judged.findings {
        finding.examined = finding.examined.max(1);
    }
    judged
}

fn last(text: &str) -> &str {
    text.lines().last().unwrap()
}

#[test]
fn a_run_whose_scenarios_pass_says_so_in_its_last_line() {
    let directory = tempfile::tempdir().unwrap();
    scenario(directory.path());
    let judged = covered(directory.path());
    assert!(judged.passed(), "{:?}", judged.findings);
    let run = Run {
        profile: "ci".to_owned(),
        seed: 7,
        ..Run::default()
    };
    let (passed, text, written) = reported(&[judged.clone(), judged], &run, &[]);
    assert!(passed, "{text}");
    assert_eq!(last(&text), "2 passed, 0 failed");
    assert!(text.starts_with("chaos ci seed=7"), "{text}");
    assert!(
        text.contains("recovery    2 leaders taken away; next write after p50 800 ms"),
        "{text}"
    );
    assert!(text.contains("2 process gone, 2 process runs again"), "{text}");
    let json = std::fs::read_to_string(written.path().join("report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["passed"], 2);
    assert_eq!(json["tally"]["faults"]["kill"]["effective"], 2);
    let markdown = std::fs::read_to_string(written.path().join("report.md")).unwrap();
    assert!(markdown.contains("| kill | 2 | 2 | 2 | 0 | 0 |"), "{markdown}");
}

#[test]
fn a_scenario_that_fails_has_a_timeline_and_a_way_to_see_it_again() {
    let directory = tempfile::tempdir().unwrap();
    scenario(directory.path());
    let mut judged = covered(directory.path());
    let mut finding = Finding::of("I1", "a rule");
    finding.examined = 1;
    finding
        .violations
        .push("ApplyTest of test/t5 by process 0 (line 6) shows what was over".to_owned());
    judged.findings.push(finding);
    let (passed, text, _written) = reported(&[judged], &Run::default(), &[]);
    assert!(!passed);
    assert_eq!(last(&text), "0 passed, 1 failed");
    let path = directory.path().join("timeline-I1-1.txt");
    let repro = format!(
        "REPRO: reeve-chaos run --replay {}/plan.json",
        directory.path().display()
    );
    assert!(
        text.contains(&repro) && text.contains(path.to_str().unwrap()),
        "{text}"
    );
    let timeline = std::fs::read_to_string(path).unwrap();
    let about = timeline
        .lines()
        .filter(|line| line.contains("test/t5 at n1"))
        .count();
    assert_eq!(about, 1, "{timeline}");
    // What was done within two seconds is there, the beginning and other calls are not.
    assert!(timeline.contains(r#""event":"injected""#), "{timeline}");
    assert!(!timeline.contains(r#""process":"n2""#), "{timeline}");
    assert!(!timeline.contains("test/t4"), "{timeline}");
}

#[test]
fn what_a_run_did_not_cover_fails_it() {
    let directory = tempfile::tempdir().unwrap();
    scenario(directory.path());
    let mut judged = covered(directory.path());
    let run = Run {
        minimums: Minimums {
            leader_changes: 3,
            ..Minimums::default()
        },
        ..Run::default()
    };
    let (passed, text, _written) = reported(&[judged.clone()], &run, &[]);
    assert!(
        !passed && text.contains("NOT COVERED changes of the leader: 0"),
        "{text}"
    );
    assert_eq!(last(&text), "1 passed, 1 failed");
    judged.findings.push(Finding::of("I9", "never looked at"));
    let (passed, text, _written) = reported(&[judged], &Run::default(), &[]);
    assert!(
        !passed && text.contains("NOT COVERED I9: never looked at"),
        "{text}"
    );
}

#[test]
fn a_fault_of_the_harness_fails_and_is_not_called_a_violation() {
    let directory = tempfile::tempdir().unwrap();
    scenario(directory.path());
    let mut judged = covered(directory.path());
    let mut finding = Finding::of("H", "the evidence is there");
    finding.harness.push("a disk is missing".to_owned());
    judged.findings.push(finding);
    let (passed, text, _written) = reported(&[judged], &Run::default(), &[]);
    assert!(!passed && text.contains("HARNESS FAULT"), "{text}");
    assert!(!text.contains("VIOLATED"), "{text}");
}

#[test]
fn a_mutant_that_nobody_noticed_fails_the_run() {
    let mutant = |killed_by: Option<&str>| MutantResult {
        mutant: "no-fence".to_owned(),
        scenario: "S9".to_owned(),
        killed_by: killed_by.map(str::to_owned),
        after_ms: 20_000,
    };
    let (passed, text, _written) = reported(&[], &Run::default(), &[mutant(Some("I7"))]);
    assert!(passed && text.contains("1/1 killed"), "{text}");
    let both = [mutant(Some("I7")), mutant(None)];
    let (passed, text, _written) = reported(&[], &Run::default(), &both);
    assert!(
        !passed && text.contains("1/2 killed") && text.contains("ALIVE"),
        "{text}"
    );
}

#[test]
fn faults_that_were_skipped_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    scenario(directory.path());
    let mut judged = covered(directory.path());
    let skipped = FaultCount {
        planned: 2,
        skipped: 2,
        ..FaultCount::default()
    };
    judged.tally.faults.insert("cpu".to_owned(), skipped);
    let run = Run {
        minimums: Minimums {
            faults: vec!["cpu".to_owned(), "kill".to_owned()],
            ..Minimums::default()
        },
        ..Run::default()
    };
    let (passed, text, _written) = reported(&[judged], &run, &[]);
    assert!(!passed && text.contains("NOT COVERED fault cpu"), "{text}");
    assert!(!text.contains("NOT COVERED fault kill"), "{text}");
}
