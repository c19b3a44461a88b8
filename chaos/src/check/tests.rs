//! Each check passes on a good history and fails on the history that breaks its rule, and only on that.
#![allow(clippy::unwrap_used)]

use reeve_proto::v1::{EndpointOutcome, RunReasonCode, RunStatus};

use super::*;
use crate::finals::RunFinal;
use crate::history::Read;

fn attempt(id: &str, call: Call, outcome: Outcome) -> Attempt {
    Attempt {
        client: 0,
        request_id: id.to_owned(),
        node: 0,
        call,
        sent_us: 1,
        answered_us: 2,
        outcome,
    }
}

fn start(id: &str, outcome: Outcome) -> Attempt {
    let name = "chaos-0".to_owned();
    attempt(id, Call::StartRun { name }, outcome)
}

fn store(id: &str, outcome: Outcome) -> Attempt {
    let name = "chaos-0".to_owned();
    attempt(id, Call::ApplyTest { name }, outcome)
}

fn unknown() -> Outcome {
    Outcome::Unknown {
        code: "Unavailable".to_owned(),
    }
}

fn started(run: &str) -> Outcome {
    Outcome::RunStarted { run: run.to_owned() }
}

fn completed() -> RunFinal {
    RunFinal {
        status: RunStatus::Completed,
        began: true,
        total: 30,
        closed: 30,
        reason: RunReasonCode::Unspecified,
        outcomes: [(EndpointOutcome::Success, 25), (EndpointOutcome::Oserror, 5)].into(),
    }
}

/// One test, one run that was started at the second attempt, three nodes that agree.
fn good() -> Evidence {
    let node = |name: &str| NodeFinal {
        name: name.to_owned(),
        index: 100,
        hash: "abc".to_owned(),
        tests: [("chaos-0".to_owned(), 2)].into(),
        runs: [("run-1".to_owned(), completed())].into(),
    };
    Evidence {
        records: Records {
            attempts: vec![
                store("a", Outcome::TestStored { version: 2 }),
                start("b", unknown()),
                start("b", started("run-1")),
            ],
            reads: vec![Read {
                client: 0,
                node: 1,
                name: "chaos-0".to_owned(),
                answered_us: 3,
                acknowledged: 2,
                seen: 2,
            }],
        },
        nodes: ["n1", "n2", "n3"].map(node).into(),
    }
}

/// The rules that an edited history breaks.
fn broken(edit: impl FnOnce(&mut Evidence)) -> Vec<&'static str> {
    let mut evidence = good();
    edit(&mut evidence);
    let failed = all(&evidence).into_iter().filter(|checked| !checked.passed());
    failed.map(|checked| checked.rule).collect()
}

#[test]
fn a_good_history_passes_every_check() {
    assert_eq!(broken(|_| ()), Vec::<&str>::new());
}

#[test]
fn nothing_at_all_passes_no_check() {
    assert!(all(&Evidence::default()).iter().all(|checked| !checked.passed()));
}

#[test]
fn a_run_that_one_node_lost() {
    let broken = broken(|evidence| {
        evidence.nodes[2].runs.clear();
        evidence.nodes[2].runs.insert("run-1b".to_owned(), completed());
    });
    assert_eq!(
        broken,
        [
            "every run that was acknowledged exists on every node",
            "no run exists that nobody asked for"
        ]
    );
}

#[test]
fn a_version_that_was_lost() {
    let broken = broken(|evidence| {
        evidence.nodes[1].tests.insert("chaos-0".to_owned(), 1);
    });
    assert_eq!(broken, ["no acknowledged version of a test is lost"]);
}

#[test]
fn a_request_that_gave_two_runs() {
    let broken = broken(|evidence| {
        evidence.records.attempts.push(start("b", started("run-2")));
        for node in &mut evidence.nodes {
            node.runs.insert("run-2".to_owned(), completed());
        }
    });
    assert_eq!(broken, ["one request id gives one run"]);
}

#[test]
fn a_run_that_a_repeated_request_left_behind() {
    let broken = broken(|evidence| {
        for node in &mut evidence.nodes {
            node.runs.insert("run-2".to_owned(), completed());
        }
    });
    assert_eq!(broken, ["no run exists that nobody asked for"]);
}

#[test]
fn a_request_that_stays_unknown_may_have_given_a_run() {
    let broken = broken(|evidence| {
        evidence.records.attempts.push(start("c", unknown()));
        for node in &mut evidence.nodes {
            node.runs.insert("run-2".to_owned(), completed());
        }
    });
    assert_eq!(broken, ["every request got an outcome in the end"]);
}

#[test]
fn a_good_request_that_is_refused() {
    let broken = broken(|evidence| {
        let reason = "NotFound: there is no test chaos-0".to_owned();
        evidence
            .records
            .attempts
            .push(start("c", Outcome::Refused { reason }));
    });
    assert_eq!(broken, ["no good request is refused"]);
}

#[test]
fn a_stale_read() {
    let broken = broken(|evidence| evidence.records.reads[0].seen = 1);
    assert_eq!(
        broken,
        ["a linearizable read sees what was acknowledged before it"]
    );
}

#[test]
fn a_run_that_never_ends() {
    let broken = broken(|evidence| {
        for node in &mut evidence.nodes {
            node.runs.insert(
                "run-1".to_owned(),
                RunFinal {
                    status: RunStatus::Running,
                    ..completed()
                },
            );
        }
    });
    assert_eq!(broken, ["every run ends"]);
}

#[test]
fn an_endpoint_that_was_counted_twice_or_not_at_all() {
    for (closed, oserrors) in [(30, 6), (30, 4), (29, 5)] {
        let broken = broken(|evidence| {
            for node in &mut evidence.nodes {
                let mut run = completed();
                run.closed = closed;
                run.outcomes.insert(EndpointOutcome::Oserror, oserrors);
                node.runs.insert("run-1".to_owned(), run);
            }
        });
        assert_eq!(
            broken,
            ["endpoints by outcome sum to the size in every run that began"]
        );
    }
}

#[test]
fn nodes_that_differ() {
    let rule = ["all nodes hold the same state at the same entry"];
    assert_eq!(broken(|evidence| evidence.nodes[1].hash = "abd".to_owned()), rule);
    assert_eq!(broken(|evidence| evidence.nodes[2].index = 99), rule);
}

#[test]
fn what_was_found_is_read_back_with_its_invariants() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let mut evidence = good();
    evidence.nodes[2].hash = "xyz".to_owned();
    let findings = all(&evidence);
    std::fs::write(&path, serde_json::to_string(&findings).unwrap()).unwrap();
    assert_eq!(load(&path).unwrap(), findings);
    assert!(findings.iter().all(|finding| finding.invariant != "H"));
    let strange = r#"[{"rule":"all is well","examined":1,"violations":[]}]"#;
    std::fs::write(&path, strange).unwrap();
    assert!(load(&path).is_err());
}
