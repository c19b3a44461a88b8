//! A made-up scenario of three nodes and a worker; seconds for µs, to be readable.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::fault::Proof;

pub const SECOND: u64 = 1_000_000;

/// Three nodes and two workers that are given up after three seconds.
pub fn setting() -> Setting {
    Setting {
        scenario: "made-up".to_owned(),
        nodes: ["n1", "n2", "n3"].map(str::to_owned).into(),
        workers: ["w1", "w2"].map(str::to_owned).into(),
        down_after_ms: 3_000,
        heartbeat_interval_ms: 300,
        exchange_interval_ms: 250,
        reconnect_timeout_ms: 1_000,
        rehome_grace_ms: 1_000,
        election_max_ms: 600,
        ..Setting::default()
    }
}

/// Something at a second.
pub fn at(second: u64, what: What) -> Event {
    Event {
        at: second * SECOND,
        what,
    }
}

/// A process starts.
pub fn started(process: &str) -> What {
    What::Started {
        process: process.to_owned(),
        pid: 1,
    }
}

/// A fault is in force.
pub fn injected(number: u32, fault: Fault) -> What {
    What::Injected {
        number,
        fault,
        result: Injection::Installed(Proof::new(1, "seen".to_owned())),
    }
}

/// And is not any more.
pub fn healed(number: u32) -> What {
    What::Healed {
        number,
        result: Healing::Healed(Proof::new(5, "seen".to_owned())),
    }
}

/// SIGKILL.
pub fn kill(target: &str) -> Fault {
    Fault::Kill {
        target: target.to_owned(),
    }
}

/// SIGSTOP.
pub fn pause(target: &str) -> Fault {
    Fault::Pause {
        target: target.to_owned(),
    }
}

/// Nothing passes between these and those.
pub fn cut(these: &[u8], those: &[u8]) -> Fault {
    Fault::Net(NetFault::Cut {
        links: Link::between(these, those),
    })
}

/// A node leads in a term, as another sees it.
pub fn seen(node: &str, term: u64, leader: u64) -> What {
    What::Seen {
        node: node.to_owned(),
        term,
        leader,
        applied: 10,
        sessions: 0,
        pid: 1,
    }
}

/// Everybody starts in the first second.
pub fn beginning() -> Vec<Event> {
    let mut events: Vec<Event> = ["n1", "n2", "n3", "w1", "w2"]
        .map(|name| at(1, started(name)))
        .into();
    events.push(at(2, seen("n1", 1, 1)));
    events
}

#[test]
fn who_was_killed_is_away_until_it_starts_again() {
    let mut events = beginning();
    events.extend([
        at(10, injected(0, kill("n1"))),
        at(12, started("n1")),
        at(13, healed(0)),
    ]);
    let setting = setting();
    let story = Story::of(&setting, &events);
    let away: Vec<bool> = [5, 10, 11, 12]
        .map(|second| story.is_away("n1", second * SECOND))
        .into();
    assert_eq!(away, [false, true, true, false]);
    assert!(story.is_away("n1", SECOND / 2), "before its first start");
    assert_eq!(story.faults[0].span(), (10 * SECOND, 13 * SECOND));
}

#[test]
fn who_stands_still_is_away_until_it_goes_on() {
    let mut events = beginning();
    events.extend([
        at(10, injected(0, pause("w1"))),
        at(14, healed(0)),
        at(20, healed(9)),
    ]);
    let setting = setting();
    let story = Story::of(&setting, &events);
    assert_eq!(story.outages("w1"), [(10 * SECOND, 14 * SECOND)]);
    assert_eq!(story.outages("w2"), []);
}

#[test]
fn a_fault_that_was_not_installed_does_nothing() {
    let mut events = beginning();
    let skipped = What::Injected {
        number: 0,
        fault: pause("w1"),
        result: Injection::Skipped("no".to_owned()),
    };
    events.extend([at(10, skipped), at(20, healed(9))]);
    let setting = setting();
    assert_eq!(Story::of(&setting, &events).outages("w1"), []);
}

#[test]
fn a_worker_that_no_node_reaches_is_out_of_reach() {
    let setting = setting();
    // Hosts: nodes 1 to 3, a spare one, workers from 5.
    for (links, outages) in [
        (cut(&[5], &[1, 2, 3]), vec![(10 * SECOND, 14 * SECOND)]),
        (cut(&[5], &[1, 2]), vec![]),
        (cut(&[6], &[1, 2, 3]), vec![]),
        (
            Fault::Net(NetFault::LinkDown { host: 5 }),
            vec![(10 * SECOND, 14 * SECOND)],
        ),
    ] {
        let mut events = beginning();
        events.extend([at(10, injected(0, links)), at(14, healed(0)), at(20, healed(9))]);
        assert_eq!(Story::of(&setting, &events).outages("w1"), outages);
    }
}

#[test]
fn a_majority_runs_and_reaches_each_other() {
    let setting = setting();
    let ring = Fault::Net(NetFault::Cut {
        links: Link::between(&[1], &[2]),
    });
    let apart = Fault::Net(NetFault::Cut {
        links: [Link::between(&[1], &[2, 3]), Link::between(&[2], &[3])].concat(),
    });
    let one_way = Fault::Net(NetFault::Cut {
        links: vec![Link::new(1, 2), Link::new(1, 3), Link::new(2, 3)],
    });
    for (faults, majority) in [
        (vec![kill("n1")], true),
        (vec![kill("n1"), pause("n2")], false),
        (vec![cut(&[1], &[2, 3])], true),
        (vec![cut(&[1], &[2, 3]), kill("n2")], false),
        (vec![ring], true),
        (vec![apart], false),
        (vec![one_way], false),
    ] {
        let mut events = beginning();
        events.extend(
            (0..)
                .zip(faults.clone())
                .map(|(number, fault)| at(10, injected(number, fault))),
        );
        let story = Story::of(&setting, &events);
        assert_eq!(story.majority(11 * SECOND), majority, "{faults:?}");
    }
}

#[test]
fn it_is_calm_between_what_happens_to_nodes() {
    let setting = setting();
    let mut events = beginning();
    events.extend([
        at(10, injected(0, kill("n1"))),
        at(11, seen("n2", 2, 2)),
        at(15, injected(1, pause("w1"))),
        at(20, started("n1")),
        at(20, healed(0)),
        at(30, injected(2, pause("n2"))),
        at(30, injected(3, pause("n1"))),
        at(40, healed(2)),
    ]);
    let story = Story::of(&setting, &events);
    let seconds: Vec<(u64, u64)> = story
        .calm()
        .iter()
        .map(|(from, to)| (from / SECOND, to / SECOND))
        .collect();
    assert_eq!(seconds, [(1, 2), (2, 10), (10, 11), (11, 20), (20, 30)]);
    assert_eq!(story.excused((25 * SECOND, 35 * SECOND)), 5 * SECOND);
}

#[test]
fn slow_nodes_are_not_calm_and_slow_workers_are() {
    let setting = setting();
    for (target, calm) in [("n1", false), ("w1", true)] {
        let slow = Fault::Cpu {
            target: target.to_owned(),
            percent: 10,
        };
        let mut events = beginning();
        events.extend([at(10, injected(0, slow)), at(20, healed(0))]);
        let story = Story::of(&setting, &events);
        let (from, to) = (10 * SECOND, 20 * SECOND);
        let covered = story.calm().iter().any(|span| span.0 <= from && to <= span.1);
        assert_eq!(covered, calm, "{target}");
    }
}

#[test]
fn what_is_between_workers_and_nodes_leaves_nodes_in_peace() {
    let setting = setting();
    let loss = |these: &[u8], those: &[u8]| {
        Fault::Net(NetFault::Loss {
            links: Link::between(these, those),
            permille: 20,
        })
    };
    for (fault, calm) in [
        (cut(&[5], &[1, 2, 3]), true),
        (loss(&[5, 6], &[1]), true),
        (cut(&[1], &[2]), false),
        (loss(&[1], &[2, 5]), false),
    ] {
        let mut events = beginning();
        events.extend([
            at(10, injected(0, fault.clone())),
            at(15, healed(0)),
            at(20, healed(9)),
        ]);
        let story = Story::of(&setting, &events);
        let (from, to) = (9 * SECOND, 16 * SECOND);
        let covered = story.calm().iter().any(|span| span.0 <= from && to <= span.1);
        assert_eq!(covered, calm, "{fault:?}");
    }
}

#[test]
fn the_leader_is_the_one_of_the_newest_term() {
    let setting = setting();
    let mut events = beginning();
    events.extend([
        at(5, seen("n2", 3, 2)),
        at(6, seen("n1", 1, 1)),
        at(7, seen("n3", 4, 0)),
        at(9, seen("n3", 5, 3)),
    ]);
    let story = Story::of(&setting, &events);
    assert_eq!(story.leader(8 * SECOND).as_deref(), Some("n2"));
    assert_eq!(story.leader(10 * SECOND).as_deref(), Some("n3"));
    assert_eq!(story.leader(0), None);
}
