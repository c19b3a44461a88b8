//! What is counted of a made-up scenario.
#![allow(clippy::unwrap_used)]

use super::super::story::tests::{at, beginning, cut, healed, injected, kill, setting};
use super::*;
use crate::checker::verdict::Word;
use crate::disk;
use crate::event::Event;
use crate::fault::Proof;
use crate::history::op::{F, Input, Output};

fn op(second: u64, f: F, res: Res) -> Op {
    Op {
        p: 0,
        seq: 0,
        f,
        k: "test/a".to_owned(),
        input: Input::default(),
        inv: second * 1_000_000_000,
        ret: (res != Res::Info).then_some(second * 1_000_000_000 + 1_000),
        res,
        out: Output::default(),
        revision: None,
        node: 0,
    }
}

fn tallied(events: Vec<Event>, ops: &[Op], dumps: &[Dump]) -> Tally {
    let mut all_events = beginning();
    all_events.extend(events);
    let setting = setting();
    Tally::of(&Story::of(&setting, &all_events), ops, dumps, Vec::new())
}

fn count(count: u64) -> Proof {
    Proof::new(count, format!("calls hit ({count})"))
}

#[test]
fn calls_are_counted_by_their_end_and_before_the_first_fault() {
    let faults = What::Phase { phase: Phase::Faults };
    let cut = Fault::PowerCut {
        target: "n1".to_owned(),
    };
    let ops = [
        op(3, F::ApplyTest, Res::Ok),
        op(4, F::GetTest, Res::Fail),
        op(6, F::ApplyTest, Res::Info),
        op(9, F::ApplyTest, Res::Ok),
    ];
    let tally = tallied(vec![at(5, faults), at(8, injected(0, cut))], &ops, &[]);
    let of = |count: OpCount| [count.total, count.ok, count.fail, count.info];
    assert_eq!(of(tally.ops), [4, 2, 1, 1]);
    assert_eq!(of(tally.warm_up), [2, 1, 1, 0]);
    assert_eq!(of(tally.mutations), [3, 2, 0, 1]);
    assert_eq!(tally.before_power_cuts, 1);
}

#[test]
fn a_fault_has_bitten_when_something_was_hit() {
    let sync = Fault::Sync {
        target: "n1".to_owned(),
        how: disk::Sync::Fail,
    };
    let table = [
        (kill("n1"), 1, Some(0), true),
        (kill("n1"), 0, Some(1), false),
        // Waits to be hit.
        (sync.clone(), 1, Some(3), true),
        (sync.clone(), 1, Some(0), false),
        (sync, 1, None, false),
        // Three are our own datagrams.
        (cut(&[1], &[2]), 3, Some(3), false),
        (cut(&[1], &[2]), 3, Some(4), true),
    ];
    for (fault, installed, healed, bitten) in table {
        let mut events = vec![at(
            5,
            What::Injected {
                number: 0,
                fault: fault.clone(),
                result: Injection::Installed(count(installed)),
            },
        )];
        events.extend(healed.map(|hits| {
            at(
                9,
                What::Healed {
                    number: 0,
                    result: Healing::Healed(count(hits)),
                },
            )
        }));
        let tally = tallied(events, &[], &[]);
        let of = &tally.faults[fault.label()];
        assert_eq!(of.installed, 1);
        assert_eq!(
            of.effective,
            usize::from(bitten),
            "{fault:?} {installed} {healed:?}"
        );
        assert_eq!(of.proof["calls hit"], installed + healed.unwrap_or(0));
    }
}

#[test]
fn what_the_harness_does_not_know_is_its_fault_and_what_it_skips_is_none() {
    let result = |result| What::Injected {
        number: 0,
        fault: kill("n1"),
        result,
    };
    let setting = setting();
    let word = |events: Vec<Event>| {
        let finding = faults_known(&Story::of(&setting, &events));
        (finding.word(), finding.notes.len())
    };
    assert_eq!(
        word(vec![at(3, injected(0, kill("n1"))), at(4, healed(0))]),
        (Word::Ok, 0)
    );
    let skipped = Injection::Skipped("no root".to_owned());
    assert_eq!(word(vec![at(3, result(skipped.clone()))]), (Word::Ok, 1));
    let unknown = Injection::Indeterminate("late".to_owned());
    assert_eq!(
        word(vec![at(3, result(unknown.clone()))]),
        (Word::HarnessFault, 0)
    );
    let failed = What::Healed {
        number: 0,
        result: Healing::Failed("busy".to_owned()),
    };
    let stuck = vec![at(3, injected(0, kill("n1"))), at(4, failed)];
    assert_eq!(word(stuck), (Word::HarnessFault, 0));
    let tally = tallied(vec![at(3, result(skipped)), at(4, result(unknown))], &[], &[]);
    let of = &tally.faults["kill"];
    assert_eq!(
        (of.planned, of.installed, of.skipped, of.indeterminate),
        (2, 0, 1, 1)
    );
}

#[test]
fn a_state_that_was_begun_anew_is_a_snapshot_that_was_installed() {
    let dump = |generation| Dump {
        generation,
        ..Dump::default()
    };
    assert_eq!(tallied(Vec::new(), &[], &[dump(1), dump(1)]).snapshot_installs, 0);
    assert_eq!(tallied(Vec::new(), &[], &[dump(1), dump(3)]).snapshot_installs, 2);
    let told = What::StateReplaced {
        node: "n3".to_owned(),
    };
    assert_eq!(tallied(vec![at(9, told)], &[], &[]).snapshot_installs, 1);
}

#[test]
fn two_scenarios_add_up() {
    let events = || vec![at(5, injected(0, kill("n1"))), at(9, healed(0))];
    let ops = [op(3, F::ApplyTest, Res::Ok), op(7, F::ApplyTest, Res::Ok)];
    let mut sum = tallied(events(), &ops, &[]);
    sum.plus(&tallied(events(), &ops, &[]));
    assert_eq!(sum.ops.total, 4);
    assert_eq!(sum.faults["kill"].installed, 2);
    assert_eq!(sum.failovers_ms, [2_000, 2_000]);
    assert_eq!((sum.gap_ms, sum.gaps_ms["kill"]), (4_000, 4_000));
}
