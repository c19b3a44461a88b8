//! What holds, and what breaks each rule.
#![allow(clippy::unwrap_used)]

use super::super::story::tests::{at, beginning, cut, healed, injected, kill, pause, setting, started};
use super::*;
use crate::checker::verdict::Word;
use crate::event::Event;
use crate::history::op::{F, Input, Output};

const MS: u64 = 1_000_000;

/// A write that was sent, and answered a little later.
fn write(at_ms: u64, res: Res) -> Op {
    Op {
        p: 0,
        seq: 0,
        f: F::ApplyTest,
        k: "test/a".to_owned(),
        input: Input::default(),
        inv: at_ms * MS,
        ret: (res != Res::Info).then_some((at_ms + 10) * MS),
        res,
        out: Output::default(),
        revision: None,
        node: 0,
    }
}

fn writes_every_second(from: u64, to: u64) -> Vec<Op> {
    (from..to).map(|second| write(second * 1_000, Res::Ok)).collect()
}

fn phase(phase: Phase) -> What {
    What::Phase { phase }
}

fn serves_after(after_ms: u64) -> What {
    What::Serves {
        what: "a write".to_owned(),
        after_ms,
    }
}

fn judged(events: Vec<Event>, ops: &[Op]) -> Vec<Finding> {
    let mut all_events = beginning();
    all_events.extend(events);
    all_events.sort_by_key(|event| event.at);
    let setting = setting();
    all(&Story::of(&setting, &all_events), ops, Bounds::default())
}

#[test]
fn a_cluster_that_serves_soon_passes() {
    let events = vec![
        at(20, phase(Phase::Recovery)),
        at(22, serves_after(1_500)),
        at(23, phase(Phase::Final)),
    ];
    let findings = judged(events, &writes_every_second(2, 30));
    assert!(findings.iter().all(Finding::passed), "{findings:?}");
}

#[test]
fn a_cluster_that_serves_late_or_never() {
    let late = judged(vec![at(60, serves_after(31_000))], &[]);
    assert!(late[0].violations[0].contains("after 31000 ms"));
    for never in [Phase::Recovery, Phase::Minority] {
        let events = vec![at(20, phase(never)), at(60, phase(Phase::Final))];
        assert_eq!(judged(events, &[])[0].word(), Word::Violated);
        assert_eq!(judged(vec![at(20, phase(never))], &[])[0].word(), Word::Violated);
    }
}

#[test]
fn writes_that_stop_while_a_majority_is_well() {
    let mut ops = writes_every_second(2, 10);
    ops.extend(writes_every_second(45, 50));
    let one_down = |second| vec![at(10, injected(0, kill("n1"))), at(second, started("n1"))];
    let findings = judged(one_down(44), &ops);
    assert_eq!(findings[1].word(), Word::Violated, "{findings:?}");
    assert!(findings[1].violations[0].contains("from 9010000 µs to 45010000 µs, 36000 ms"));
    // While no majority runs nobody can write.
    let mut two_down = one_down(44);
    two_down.extend([at(10, injected(1, pause("n2"))), at(40, healed(1))]);
    assert!(judged(two_down, &ops)[1].passed());
}

#[test]
fn writes_that_stop_for_good() {
    let mut ops = writes_every_second(2, 10);
    ops.push(write(50_000, Res::Info));
    assert_eq!(judged(Vec::new(), &ops)[1].word(), Word::Violated);
    // Nobody asked for more.
    assert!(judged(Vec::new(), &writes_every_second(2, 10))[1].passed());
}

#[test]
fn without_writes_nothing_is_covered() {
    assert_eq!(judged(Vec::new(), &[])[1].word(), Word::NotCovered);
}

#[test]
fn a_failover_is_from_a_fault_of_the_leader_to_the_next_write() {
    let setting = setting();
    let measured = |fault: Fault| {
        let mut events = beginning();
        events.extend([at(10, injected(0, fault)), at(20, healed(0))]);
        // Sent before the fault, answered after it: that is no sign of a new leader.
        let ops = [
            write(9_995, Res::Ok),
            write(10_700, Res::Ok),
            write(12_000, Res::Ok),
        ];
        measure(&Story::of(&setting, &events), &ops)
    };
    for fault in [
        kill("n1"),
        pause("n1"),
        cut(&[1], &[2, 3]),
        Fault::Net(NetFault::LinkDown { host: 1 }),
    ] {
        assert_eq!(measured(fault.clone()).failovers_ms, [710], "{fault:?}");
    }
    for fault in [kill("n2"), cut(&[1], &[2]), cut(&[2], &[1, 3])] {
        assert_eq!(
            measured(fault.clone()).failovers_ms,
            Vec::<u64>::new(),
            "{fault:?}"
        );
    }
    let gaps = measured(kill("n2"));
    assert_eq!((gaps.gap_ms, gaps.gaps_ms.get("kill")), (1_300, Some(&1_300)));
}
