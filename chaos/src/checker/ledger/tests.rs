//! Each way in which the two sides can differ breaks the rule that is about it.
#![allow(clippy::unwrap_used)]

use super::*;

const OK: &str = "ENDPOINT_OUTCOME_SUCCESS";

fn line(index: u32, event: Event) -> Line {
    Line {
        at: 1,
        worker: "w1".to_owned(),
        run: "r".to_owned(),
        epoch: 1,
        group: "g".to_owned(),
        index,
        event,
    }
}

fn ended(index: u32) -> Line {
    let outcome = OK.to_owned();
    line(index, Event::Ended { outcome })
}

fn said(index: u32, outcome: &str) -> EndpointSaid {
    EndpointSaid {
        group: "g".to_owned(),
        index,
        worker: "w1".to_owned(),
        epoch: 1,
        outcome: outcome.to_owned(),
    }
}

struct Both {
    ledger: Vec<Line>,
    run: RunSaid,
}

/// Three endpoints: two succeeded, one was lost when its worker was killed.
fn good() -> Both {
    Both {
        ledger: vec![
            line(0, Event::Began),
            line(1, Event::Began),
            line(2, Event::Began),
            ended(0),
            ended(1),
        ],
        run: RunSaid {
            endpoints: vec![said(0, OK), said(1, OK), said(2, LOST)],
            outcomes: [(OK.to_owned(), 2), (LOST.to_owned(), 1)].into(),
            total: 3,
            began: true,
        },
    }
}

fn broken(edit: impl FnOnce(&mut Both)) -> Vec<&'static str> {
    let mut both = good();
    edit(&mut both);
    let findings = all(
        &both.ledger,
        &[("r".to_owned(), both.run)].into(),
        &Lost::default(),
    );
    let failed = findings.into_iter().filter(|finding| !finding.passed());
    failed.map(|finding| finding.rule).collect()
}

/// Covers: R22.
#[test]
fn two_sides_that_agree_pass() {
    assert_eq!(broken(|_| ()), Vec::<&str>::new());
}

#[test]
fn differences_break_the_rule_that_is_about_them() {
    let once = "every endpoint of a run that began is accounted for exactly once";
    let sums = "endpoints by outcome are the outcomes of the endpoints";
    let told = "an outcome is what the worker wrote down, or a loss with its worker or by a deadline";
    let assigned = "nothing is executed but what was assigned";
    let whole = "the ledger is whole";
    type Edit = fn(&mut Both);
    let table: [(&[&str], Edit); 10] = [
        (&[once, sums, assigned], |both| {
            both.run.endpoints.pop();
        }),
        (&[once, sums], |both| both.run.endpoints.push(said(1, OK))),
        (&[once, sums, told], |both| both.run.endpoints[2].outcome.clear()),
        // A success that nobody wrote down.
        (&[sums, told], |both| {
            both.run.endpoints[2].outcome = OK.to_owned()
        }),
        (&[sums], |both| {
            both.run.outcomes.insert(OK.to_owned(), 3);
        }),
        (&[assigned], |both| {
            both.ledger.push(Line {
                worker: "w2".to_owned(),
                ..line(1, Event::Began)
            });
        }),
        (&[whole], |both| both.ledger.push(ended(0))),
        // What was dropped cannot end, what began was not skipped, and what did not begin cannot be dropped.
        (&[whole], |both| {
            both.ledger.insert(3, line(0, Event::Dropped));
        }),
        (&[whole], |both| {
            let outcome = OK.to_owned();
            both.ledger[3].event = Event::Skipped { outcome };
        }),
        (&[whole], |both| {
            both.ledger.push(line(7, Event::Dropped));
        }),
    ];
    for (rules, edit) in table {
        assert_eq!(broken(edit), rules);
    }
}

#[test]
fn an_endpoint_that_never_began_has_the_outcome_that_it_was_skipped_with() {
    let mut both = good();
    let outcome = "ENDPOINT_OUTCOME_COMPLETED_WITH_WARNINGS".to_owned();
    both.run.endpoints[2].outcome.clone_from(&outcome);
    both.run.outcomes = [(OK.to_owned(), 2), (outcome.clone(), 1)].into();
    both.ledger[2].event = Event::Skipped { outcome };
    let findings = all(
        &both.ledger,
        &[("r".to_owned(), both.run)].into(),
        &Lost::default(),
    );
    assert!(findings.iter().all(Finding::passed), "{findings:?}");
}

/// Covers: R93.
#[test]
fn a_worker_that_executes_more_at_once_than_it_takes_is_found() {
    let of = |index| line(index, Event::Began);
    let takes = |capacity| [("w1".to_owned(), capacity)].into();
    let one_after_the_other = vec![of(0), of(1), ended(0), of(2), line(1, Event::Dropped), of(3)];
    let found = within_capacity(std::slice::from_ref(&one_after_the_other), &takes(2));
    assert!(found.passed());
    assert_eq!(found.notes, ["w1: at most 2 of 2"]);
    // A killed process leaves what it executed open; the next one begins with nothing.
    let killed = vec![of(4), of(5)];
    assert!(within_capacity(&[killed, one_after_the_other.clone()], &takes(2)).passed());
    let found = within_capacity(std::slice::from_ref(&one_after_the_other), &takes(1));
    assert_eq!(found.violations, ["w1 executes 2 endpoints at 1 µs and takes 1"]);
    let unknown = within_capacity(&[one_after_the_other], &BTreeMap::new());
    assert!(!unknown.passed() && !unknown.harness.is_empty());
}

#[test]
fn executing_twice_is_told_and_breaks_nothing() {
    let mut both = good();
    both.ledger.push(line(2, Event::Began));
    let findings = all(
        &both.ledger,
        &[("r".to_owned(), both.run)].into(),
        &Lost::default(),
    );
    let counted = findings.last().unwrap();
    assert_eq!(counted.notes, ["2 endpoints 1×", "1 endpoints 2×"]);
    assert!(findings.iter().all(Finding::passed));
}

#[test]
fn lines_read_back_and_only_a_torn_last_line_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.jsonl");
    let lines = [line(0, Event::Began), ended(0)];
    let mut text = lines
        .iter()
        .map(|line| serde_json::to_string(line).unwrap() + "\n")
        .collect::<String>();
    text.push_str("{\"at\":3,\"wor");
    std::fs::write(&path, &text).unwrap();
    assert_eq!(load(&path).unwrap(), lines);
    std::fs::write(&path, format!("{text}\n")).unwrap();
    assert!(load(&path).is_err());
}

#[test]
fn what_ended_well_is_lost_only_with_its_worker_or_by_a_deadline() {
    let mut both = good();
    both.run.endpoints[1].outcome = LOST.to_owned();
    both.run.outcomes = [(OK.to_owned(), 1), (LOST.to_owned(), 2)].into();
    let runs = [("r".to_owned(), both.run)].into();
    let broken = |workers: &[&str], given_up: &[(&str, u64)]| {
        let lost = Lost {
            workers: workers.iter().map(|worker| (*worker).to_owned()).collect(),
            given_up: given_up
                .iter()
                .map(|(run, epoch)| ((*run).to_owned(), *epoch))
                .collect(),
        };
        let findings = all(&both.ledger, &runs, &lost);
        findings
            .iter()
            .map(|finding| finding.violations.len())
            .sum::<usize>()
    };
    assert_eq!(broken(&[], &[]), 1);
    assert_eq!(broken(&["w1"], &[]), 0);
    assert_eq!(broken(&[], &[("r", 1)]), 0);
    assert_eq!(
        broken(&["w2"], &[("r", 2), ("s", 1)]),
        1,
        "of another worker, epoch or run"
    );
}
