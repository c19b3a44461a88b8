//! The checker against hand-made histories, against a search of all orders, and against another checker.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::checker::random::{Random, Register, RegisterOp, Shape, register, stale_read};
use RegisterOp::{Read, Write};

fn entry(op: RegisterOp, call: u64, ret: impl Into<Option<u64>>) -> Entry<RegisterOp> {
    Entry {
        op,
        call,
        ret: ret.into(),
    }
}

fn verdict(entries: &[Entry<RegisterOp>]) -> Verdict {
    check(&Register, entries, Instant::now() + Duration::from_secs(60))
}

#[test]
fn hand_made_histories() {
    let table: [(&str, &[Entry<RegisterOp>], bool); 8] = [
        ("nothing", &[], true),
        (
            "one after the other",
            &[entry(Write(1), 0, 1), entry(Read(1), 2, 3)],
            true,
        ),
        (
            "a stale read",
            &[entry(Write(1), 0, 1), entry(Read(0), 2, 3)],
            false,
        ),
        (
            "a read beside the write sees either",
            &[entry(Write(1), 0, 3), entry(Read(0), 1, 2)],
            true,
        ),
        (
            "a read goes back behind another",
            &[entry(Write(1), 0, 9), entry(Read(1), 1, 2), entry(Read(0), 3, 4)],
            false,
        ),
        (
            "a write without an end may never happen",
            &[entry(Write(1), 0, None), entry(Read(0), 5, 6)],
            true,
        ),
        (
            "a write without an end may happen late, but once",
            &[
                entry(Write(1), 0, None),
                entry(Read(0), 5, 6),
                entry(Read(1), 7, 8),
            ],
            true,
        ),
        (
            "and not before it is called",
            &[entry(Read(1), 0, 1), entry(Write(1), 2, None)],
            false,
        ),
    ];
    for (name, entries, legal) in table {
        assert_eq!(verdict(entries) == Verdict::Ok, legal, "{name}");
    }
}

#[test]
fn an_illegal_history_is_explained_by_the_longest_order() {
    let entries = [
        entry(Write(1), 0, 1),
        entry(Write(2), 2, 3),
        entry(Read(1), 4, 5),
        entry(Read(2), 6, 7),
    ];
    let Verdict::Illegal(explanation) = verdict(&entries) else {
        panic!("it is illegal")
    };
    assert_eq!(explanation.longest, [0, 1]);
    assert_eq!(explanation.stuck, Some(2));
    assert_eq!(explanation.state, "2");
}

#[test]
fn a_deadline_that_is_over_gives_no_verdict() {
    let mut random = Random(7);
    let shape = Shape {
        ops: 20_000,
        clients: 8,
        info_per_mille: 0,
    };
    let entries = register(&mut random, shape);
    assert_eq!(check(&Register, &entries, Instant::now()), Verdict::Unknown);
}

/// All orders, without any memory: for histories of a few calls.
fn any_order(entries: &[Entry<RegisterOp>], used: &mut Vec<bool>, state: u64) -> bool {
    let left: Vec<usize> = (0..entries.len()).filter(|at| !used[*at]).collect();
    if left.iter().all(|at| entries[*at].ret.is_none()) {
        return true;
    }
    let first_answer = left.iter().filter_map(|at| entries[*at].ret).min().unwrap();
    for at in left {
        if entries[at].call > first_answer {
            continue;
        }
        let Some(next) = Register.step(&state, &entries[at].op) else {
            continue;
        };
        used[at] = true;
        if any_order(entries, used, next) {
            return true;
        }
        used[at] = false;
    }
    false
}

#[test]
fn small_histories_get_the_verdict_of_trying_all_orders() {
    let mut verdicts = [0; 2];
    for seed in 0..4_000 {
        let mut random = Random(seed);
        let shape = Shape {
            ops: 3 + random.below(6) as usize,
            clients: 1 + random.below(4) as usize,
            info_per_mille: 200,
        };
        let mut entries = register(&mut random, shape);
        // Reads of anything: most histories are illegal in some small way.
        for entry in &mut entries {
            if matches!(entry.op, Read(_)) && random.below(3) == 0 {
                entry.op = Read(random.below(shape.ops as u64));
            }
        }
        let legal = any_order(&entries, &mut vec![false; entries.len()], 0);
        assert_eq!(
            verdict(&entries) == Verdict::Ok,
            legal,
            "seed {seed}: {entries:?}"
        );
        verdicts[usize::from(legal)] += 1;
    }
    assert!(verdicts.iter().all(|count| *count > 500), "{verdicts:?}");
}

#[derive(Clone, Debug)]
struct Other;

impl porcupine_rs::Model for Other {
    type State = u64;
    type Op = RegisterOp;
    type Metadata = ();

    fn init() -> u64 {
        0
    }

    fn step(state: &u64, op: &RegisterOp) -> (bool, u64) {
        match Register.step(state, op) {
            Some(next) => (true, next),
            None => (false, *state),
        }
    }
}

/// The other checker knows no optional calls: a register takes every write, so that one may as well come last.
fn other_verdict(entries: &[Entry<RegisterOp>]) -> bool {
    let operations: Vec<porcupine_rs::Operation<Other>> = entries
        .iter()
        .map(|entry| porcupine_rs::Operation {
            client_id: None,
            call_time: entry.call as i64,
            return_time: entry.ret.map_or(i64::MAX, |ret| ret as i64),
            op: entry.op,
            metadata: None,
        })
        .collect();
    match porcupine_rs::check_operations_timeout::<Other>(&operations, Duration::from_secs(60)) {
        porcupine_rs::CheckResult::Ok => true,
        porcupine_rs::CheckResult::Illegal => false,
        porcupine_rs::CheckResult::Unknown => panic!("the other checker gave up"),
    }
}

#[test]
fn random_histories_get_the_verdict_of_another_checker() {
    let mut spoilt = [0; 2];
    for seed in 0..400 {
        let mut random = Random(seed);
        let shape = Shape {
            ops: 300,
            clients: 2 + random.below(5) as usize,
            info_per_mille: if seed % 4 < 2 { 0 } else { 10 },
        };
        let mut entries = register(&mut random, shape);
        let stale = seed % 2 == 0 && stale_read(&mut random, &mut entries);
        let legal = verdict(&entries) == Verdict::Ok;
        assert_eq!(legal, other_verdict(&entries), "seed {seed}");
        assert!(
            legal || stale,
            "seed {seed}: made in a linear order, and nothing was changed"
        );
        spoilt[usize::from(legal)] += usize::from(stale);
    }
    // An old value may be legal where it was read; hardly ever.
    assert!(spoilt[0] >= 190 && spoilt[1] <= 10, "{spoilt:?}");
}
