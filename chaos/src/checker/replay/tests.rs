//! A small log and the state that it gives; then states and logs of a system that broke an invariant, each by one thing.
#![allow(clippy::unwrap_used)]

use prost::Message;

use super::*;
use crate::checker::verdict::Word;

fn id(number: u8) -> Id {
    Id::from(vec![number; 16])
}

const RUN_A: u8 = 10;
const RUN_B: u8 = 11;
const WORKER: u8 = 20;

fn definition() -> wire::TestDefinition {
    wire::TestDefinition {
        name: "t".to_owned(),
        groups: vec![wire::Group {
            name: "callers-5".to_owned(),
            endpoints: 6,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn place(run: u8, revision: u64) -> Command {
    Command::PlaceRun(wire::PlaceRun {
        run: id(run),
        revision,
        placements: vec![wire::Placement {
            worker: id(WORKER),
            group: 0,
            first: 0,
            count: 6,
        }],
        ..Default::default()
    })
}

fn report(seq: u64, event: wire::report::Event) -> Command {
    Command::Report(wire::Report {
        worker: id(WORKER),
        run: id(RUN_A),
        epoch: 1,
        seq,
        event: Some(event),
    })
}

/// Two runs of six endpoints, and a worker with room for ten: the second waits.
fn commands() -> Vec<(Command, Option<u64>)> {
    let start = |run| {
        Command::StartRun(wire::StartRun {
            run: id(run),
            test: id(1),
        })
    };
    let queue = |run, revision| {
        Command::QueueRun(wire::QueueRun {
            run: id(run),
            revision,
        })
    };
    let begin = |revision| {
        Command::BeginRun(wire::BeginRun {
            run: id(RUN_A),
            revision,
            ..Default::default()
        })
    };
    let progress = wire::Progress {
        offsets: (0..6).collect(),
        phases: vec![8; 6].into(),
        outcomes: vec![1, 1, 1, 1, 1, 7].into(),
    };
    use wire::report::Event;
    vec![
        (
            Command::ApplyTest(wire::ApplyTest {
                id: id(1),
                definition: Some(definition()),
                mode: 2,
                ..Default::default()
            }),
            None,
        ), // 1
        (
            Command::CreateWorker(wire::CreateWorker {
                id: id(WORKER),
                name: "w".to_owned(),
                profile: 1,
                token_hash: vec![7; 32].into(),
                ..Default::default()
            }),
            None,
        ), // 2
        (
            Command::ConnectWorker(wire::ConnectWorker {
                token_hash: vec![7; 32].into(),
                incarnation: id(30),
                capacity: 10,
                ..Default::default()
            }),
            None,
        ), // 3
        (start(RUN_A), None),                            // 4
        (start(RUN_B), None),                            // 5
        (queue(RUN_A, 4), Some(1)),                      // 6
        (queue(RUN_B, 5), Some(1)),                      // 7
        (queue(RUN_B, 5), Some(1)),                      // refused: it is queued
        (place(RUN_A, 6), Some(1)),                      // 8
        (place(RUN_B, 7), Some(1)),                      // refused: capacity
        (report(1, Event::Ready(wire::Empty {})), None), // 9
        (report(1, Event::Ready(wire::Empty {})), None), // nothing new
        (begin(8), Some(7)),                             // refused: another term's
        (begin(8), Some(1)),                             // 10
        (report(2, Event::Progress(progress)), None),    // 11
        (
            Command::CompleteRun(wire::CompleteRun {
                run: id(RUN_A),
                revision: 10,
            }),
            Some(1),
        ), // 12
        (
            Command::SetDrain(wire::SetDrain {
                worker: id(WORKER),
                drain: Some(wire::DrainOrder {
                    actor: Some(wire::DrainActor {
                        actor: Some(wire::drain_actor::Actor::Admin("a".to_owned())),
                    }),
                    reason: "chaos-1".to_owned(),
                    timeout_ms: 1_000,
                    then: 2,
                }),
            }),
            None,
        ), // 13
        (report(3, Event::Closed(wire::Empty {})), None), // 14
        (place(RUN_B, 7), Some(1)),                      // refused: it drains
    ]
}

fn entries(commands: Vec<(Command, Option<u64>)>) -> Vec<Entry> {
    let of = |(command, fence_term)| {
        let envelope = wire::Envelope {
            fence_term,
            command: Some(command),
            ..Default::default()
        };
        Bytes::from(envelope.encode_to_vec())
    };
    (1..)
        .zip(commands)
        .map(|(index, command)| Entry {
            index,
            term: 1,
            leader: 1,
            payload: Payload::Commands {
                stamp_ms: index * 10,
                envelopes: vec![of(command)],
            },
        })
        .collect()
}

fn run_row(run: u8, statuses: &[u32], assignments: u32, revision: u64) -> wire::Row {
    let timeline = statuses.iter().map(|status| wire::TimelineEntry {
        status: *status,
        ..Default::default()
    });
    wire::Row {
        row: Some(wire::row::Row::Run(wire::Run {
            id: id(run),
            test: id(1),
            timeline: timeline.collect(),
            assignments,
            revision,
            ..Default::default()
        })),
    }
}

fn assignment_row(run: u8, status: u32, acked_seq: u64) -> wire::Row {
    let done = status == 6;
    wire::Row {
        row: Some(wire::row::Row::Assignment(wire::Assignment {
            key: Some(wire::AssignmentKey {
                run: id(run),
                ordinal: 0,
            }),
            worker: id(WORKER),
            count: 6,
            epoch: 1,
            status,
            started: done,
            acked_seq,
            outcomes: if done {
                vec![5, 0, 0, 0, 0, 0, 1, 0]
            } else {
                vec![0; 8]
            },
            ..Default::default()
        })),
    }
}

fn worker_row() -> wire::Row {
    wire::Row {
        row: Some(wire::row::Row::Worker(wire::Worker {
            id: id(WORKER),
            name: "w".to_owned(),
            reported_capacity: Some(10),
            sip_capacity: None,
            token_hash: Some(vec![7; 32].into()),
            link: Some(wire::LinkFact {
                link: 2,
                ..Default::default()
            }),
            drain: Some(wire::Drain {
                reason: "chaos-1".to_owned(),
                ..Default::default()
            }),
            session: Some(wire::Session {
                epoch: 1,
                ..Default::default()
            }),
            last_epoch: 1,
            ..Default::default()
        })),
    }
}

fn good() -> Vec<Dump> {
    let entries = entries(commands());
    let applied = entries.len() as u64;
    let test = wire::Row {
        row: Some(wire::row::Row::Test(wire::Test {
            id: id(1),
            version: 1,
            definition: Some(definition()),
            ..Default::default()
        })),
    };
    let dump = |name: &str| Dump {
        name: name.to_owned(),
        term: 1,
        committed: Some(applied),
        entries: entries.clone(),
        applied,
        meta: wire::Meta {
            revision: 14,
            ..Default::default()
        },
        rows: vec![
            test.clone(),
            run_row(RUN_A, &[1, 2, 3, 4], 1, 12),
            run_row(RUN_B, &[1, 2], 0, 7),
            assignment_row(RUN_A, 6, 3),
            worker_row(),
        ],
        ..Dump::default()
    };
    vec![dump("n1"), dump("n2")]
}

fn violated(dumps: &[Dump]) -> Vec<(&'static str, String)> {
    let findings = all(dumps).findings;
    let broken = findings
        .into_iter()
        .filter(|finding| finding.word() == Word::Violated);
    broken
        .map(|finding| (finding.invariant, finding.violations.join("\n")))
        .collect()
}

/// Covers: R97, R113, R200.
#[test]
fn a_log_and_the_state_that_it_gives_pass() {
    let replayed = all(&good());
    for finding in &replayed.findings {
        assert!(finding.passed(), "{finding:?}");
    }
    let notes: Vec<&String> = replayed
        .findings
        .iter()
        .flat_map(|finding| &finding.notes)
        .collect();
    assert_eq!(
        notes,
        [
            "1 attempts refused",
            "1 attempts refused",
            "1 attempts refused",
            "1 attempts refused",
            "19 entries, 19 commands",
            "9 plans of 1 terms, 1 of another term rejected"
        ]
    );
    let truth = replayed.truth.unwrap();
    let of_run = &truth["run/0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a"];
    assert_eq!(
        of_run.keys().copied().collect::<Vec<u64>>(),
        [4, 6, 8, 9, 10, 11, 12, 14]
    );
    assert_eq!(truth["test/t"].len(), 1);
}

#[test]
fn a_state_that_shows_what_was_to_be_refused() {
    type Edit = fn(&mut Dump);
    let table: [(&str, &str, Edit); 5] = [
        ("I5", "Capacity", |dump| {
            // As if the capacity had not been looked at: then it is placed before the drain.
            dump.rows[2] = run_row(RUN_B, &[1, 2], 1, 9);
            dump.rows.push(assignment_row(RUN_B, 1, 0));
        }),
        ("I7", "StaleTerm", |dump| {
            let entry = |at: usize| dump.entries[at].clone();
            // Only what another term's leader proposed begins the run.
            let kept: Vec<Entry> = (0..13).map(entry).collect();
            dump.entries = kept;
            (dump.applied, dump.committed) = (13, Some(13));
            dump.rows[1] = run_row(RUN_A, &[1, 2, 3], 1, 10);
        }),
        ("I8", "Draining", |dump| {
            dump.entries.remove(9);
            for (index, entry) in (1..).zip(&mut dump.entries) {
                entry.index = index;
            }
            dump.applied -= 1;
            dump.committed = Some(dump.applied);
            dump.rows[2] = run_row(RUN_B, &[1, 2], 1, 15);
            dump.rows.push(assignment_row(RUN_B, 1, 0));
        }),
        ("I3", "went", |dump| {
            dump.rows[1] = run_row(RUN_A, &[1, 3, 4], 1, 12)
        }),
        ("I2", "version", |dump| {
            if let Some(wire::row::Row::Test(test)) = &mut dump.rows[0].row {
                test.version = 2;
            }
        }),
    ];
    for (invariant, word, edit) in table {
        let mut dumps = good();
        dumps.truncate(1);
        edit(&mut dumps[0]);
        let broken = violated(&dumps);
        let found = broken.iter().find(|(of, _)| *of == invariant);
        assert!(
            found.is_some_and(|(_, text)| text.contains(word)),
            "{invariant}: {broken:?}"
        );
    }
}

#[test]
fn logs_that_do_not_match() {
    let mut dumps = good();
    dumps[1].entries[4].payload = Payload::Blank;
    assert!(violated(&dumps).iter().any(|(of, _)| *of == "I11"));
    let mut dumps = good();
    dumps[1].entries[17].leader = 2;
    let broken = violated(&dumps);
    assert!(
        broken
            .iter()
            .any(|(of, text)| *of == "I7" && text.contains("after one of term 1 and node 2")),
        "{broken:?}"
    );
    let mut dumps = good();
    dumps[0].entries.remove(6);
    assert!(
        violated(&dumps)
            .iter()
            .any(|(of, text)| *of == "I2" && text.contains("missing"))
    );
    let mut dumps = good();
    dumps[0].entries.pop();
    assert!(
        violated(&dumps)
            .iter()
            .any(|(of, text)| *of == "I2" && text.contains("the log ends at 18"))
    );
}

#[test]
fn what_was_never_committed_may_differ_and_what_was_may_not() {
    let conflict = |knows: u64| {
        let mut dumps = good();
        let third = Dump {
            name: "n3".to_owned(),
            ..dumps[0].clone()
        };
        dumps.push(third);
        // An old leader wrote entry 19 in its own term, and was cut off.
        dumps[2].entries[18] = Entry {
            term: 0,
            payload: Payload::Blank,
            ..dumps[2].entries[18].clone()
        };
        dumps[2].committed = Some(knows);
        dumps[2].applied = knows;
        let findings = all(&dumps).findings;
        let matching = findings.into_iter().find(|finding| finding.invariant == "I11");
        matching.map(|finding| finding.word())
    };
    assert_eq!(conflict(18), Some(Word::Ok));
    assert_eq!(conflict(19), Some(Word::Violated));
}

#[test]
fn what_is_committed_is_on_a_majority() {
    let on_quorum = |dumps: &[Dump]| {
        let findings = all(dumps).findings;
        let mut found = findings.into_iter().filter(|finding| finding.invariant == "I11");
        found.nth(1).unwrap().violations
    };
    let mut dumps = good();
    assert_eq!(on_quorum(&dumps), Vec::<String>::new());
    for name in ["n3", "n4"] {
        let behind = Dump {
            name: name.to_owned(),
            applied: 18,
            committed: Some(18),
            entries: dumps[0].entries[..18].to_vec(),
            ..dumps[0].clone()
        };
        dumps.push(behind);
    }
    assert_eq!(
        on_quorum(&dumps),
        ["entry 19 of term 1 is committed and on 2 of 4 nodes"]
    );
    // What a snapshot stands for is there.
    dumps[3].purged = Some(19);
    dumps[3].entries.clear();
    assert_eq!(on_quorum(&dumps), Vec::<String>::new());
}

#[test]
fn a_log_that_was_cut_is_judged_by_that_of_another_node() {
    let mut dumps = good();
    for dump in &mut dumps[..1] {
        dump.purged = Some(9);
        dump.entries.retain(|entry| entry.index > 9);
    }
    let replayed = all(&dumps);
    for finding in &replayed.findings {
        assert!(finding.passed(), "{finding:?}");
    }
    assert!(replayed.truth.is_some());
    // It is not believed for that: its state is compared.
    dumps[0].rows[1] = run_row(RUN_A, &[1, 2, 3], 1, 12);
    assert!(
        violated(&dumps)
            .iter()
            .any(|(of, text)| *of == "I3" && text.contains("n1"))
    );
}

#[test]
fn a_log_that_nobody_has_whole_is_a_fault_of_the_harness() {
    let mut dumps = good();
    for dump in &mut dumps {
        dump.purged = Some(3);
        dump.entries.retain(|entry| entry.index > 3);
    }
    let replayed = all(&dumps);
    assert_eq!(replayed.findings[0].word(), Word::HarnessFault);
    assert!(replayed.truth.is_none());
}

#[test]
fn a_plan_without_a_term_is_found() {
    let mut commands = commands();
    commands[5].1 = None;
    let mut dumps = good();
    dumps.truncate(1);
    dumps[0].entries = entries(commands);
    let broken = violated(&dumps);
    assert!(
        broken
            .iter()
            .any(|(of, text)| *of == "I7" && text.contains("QueueRun was planned")),
        "{broken:?}"
    );
}

#[test]
fn what_was_committed_and_is_on_no_node_is_lost() {
    let mut dumps = good();
    for dump in &mut dumps {
        dump.entries.pop();
        dump.applied = 18;
    }
    let broken = violated(&dumps);
    assert!(
        broken
            .iter()
            .any(|(of, text)| *of == "I2" && text.contains("entry 19 was committed and is on no node")),
        "{broken:?}"
    );
}

/// The last entry of the log, after all others: more commands, and what they are answered.
fn after(commands: Vec<(Command, Option<u64>)>) -> Replay {
    let mut all = super::tests::commands();
    all.extend(commands);
    replayed(all)
}

fn replayed(all: Vec<(Command, Option<u64>)>) -> Replay {
    let entries = entries(all);
    let committed = Committed {
        upto: entries.len() as u64,
        entries: entries.iter().map(|entry| (entry.index, entry)).collect(),
    };
    let mut replay = Replay::new();
    replay.advance(&committed, committed.upto);
    replay
}

fn answers(replay: &Replay) -> Vec<(&str, Option<u64>, Option<&str>)> {
    let lines = replay.lines[19..].iter();
    lines
        .map(|line| (line.command.as_str(), line.revision, line.refused))
        .collect()
}

#[test]
fn runs_are_forgotten_only_after_their_time() {
    let purge = |retention_ms| {
        let command = wire::PurgeRun {
            run: id(RUN_A),
            retention_ms,
        };
        (Command::PurgeRun(command), None)
    };
    let replay = after(vec![purge(1_000), purge(5)]);
    assert_eq!(
        answers(&replay),
        [
            ("PurgeRun", None, Some("not true yet")),
            ("PurgeRun", Some(15), None)
        ]
    );
    assert_eq!(replay.world.runs.len(), 1);
    assert_eq!(replay.world.assignments.len(), 0);
    assert_eq!(replay.world.reserved(&id(WORKER)), 0);
}

#[test]
fn late_reports_are_kept_of_what_was_lost_only() {
    let late = |offsets: Vec<u32>| {
        let reports = wire::Progress {
            phases: vec![8; offsets.len()].into(),
            outcomes: vec![1; offsets.len()].into(),
            offsets,
        };
        let command = wire::KeepLateReports {
            worker: id(WORKER),
            run: id(RUN_A),
            epoch: 1,
            reports: Some(reports),
        };
        (Command::KeepLateReports(command), None)
    };
    let replay = after(vec![late(vec![1])]);
    assert_eq!(
        answers(&replay),
        [("KeepLateReports", None, Some("it does not fit the assignment"))]
    );
    let mut replay = after(Vec::new());
    let key = (id(RUN_A), 0);
    replay.world.assignments.get_mut(&key).unwrap().lost = true;
    let (Command::KeepLateReports(command), _) = late(vec![1, 2, 9]) else {
        unreachable!()
    };
    assert_eq!(replay.world.keep_late(&command), Ok(()));
    // Endpoint 9 of 6 there is not.
    assert_eq!(replay.world.assignments[&key].late.len(), 2);
    assert!(!replay.world.applied().1.is_empty());
    assert_eq!(replay.world.keep_late(&command), Ok(()));
    assert!(
        replay.world.applied().1.is_empty(),
        "the same again changes nothing"
    );
}

#[test]
fn what_a_deadline_ended_is_told() {
    // Everything up to the run's end, and an order to give its assignment up.
    let mut until = commands();
    let end = until
        .iter()
        .position(|(command, _)| matches!(command, Command::CompleteRun(_)));
    until.truncate(end.unwrap());
    let give_up = |ordinals| {
        let command = wire::AbandonAssignments {
            run: id(RUN_A),
            revision: 10,
            ordinals,
            ..Default::default()
        };
        (Command::AbandonAssignments(command), Some(1))
    };
    let replay = |ordinals| {
        let mut all = until.clone();
        // Its last report is not there either: nothing closes.
        all.pop();
        all.push(give_up(ordinals));
        replayed(all)
    };
    assert_eq!(replay(vec![0]).world.given_up, [(id(RUN_A), 1)].into());
    assert_eq!(replay(vec![1]).world.given_up, [].into());
}

#[test]
fn a_probe_fires_once_for_a_slot_and_keeps_its_test() {
    let put = Command::PutProbe(wire::PutProbe {
        id: id(40),
        definition: Some(wire::ProbeDefinition {
            name: "p".to_owned(),
            test: id(1),
            ..Default::default()
        }),
        mode: 1,
        ..Default::default()
    });
    let fire = |slot_ms, run, revision| {
        let command = wire::FireProbe {
            probe: id(40),
            slot_ms,
            run: id(run),
            revision,
        };
        (Command::FireProbe(command), Some(1))
    };
    let evaluate = Command::EvaluateProbe(wire::EvaluateProbe {
        probe: id(40),
        slot_ms: 205,
    });
    let pause = |paused| {
        let command = wire::PauseProbe {
            probe: id(40),
            paused,
        };
        (Command::PauseProbe(command), None)
    };
    let delete = Command::DeleteTest(wire::DeleteTest { test: id(1) });
    let replay = after(vec![
        (put, None),         // at 200 ms, revision 15
        fire(205, 50, 15),   // 16
        fire(205, 51, 16),   // the slot is settled
        fire(220, 51, 16),   // the one before is open
        (evaluate, Some(1)), // its run is not over
        pause(true),         // 17
        pause(true),         // nothing new
        (delete, None),      // it is probed, and has runs
    ]);
    assert_eq!(
        answers(&replay),
        [
            ("PutProbe", Some(15), None),
            ("FireProbe", Some(16), None),
            ("FireProbe", None, Some("the status does not allow it")),
            ("FireProbe", None, Some("not true yet")),
            ("EvaluateProbe", None, Some("not true yet")),
            ("PauseProbe", Some(17), None),
            ("PauseProbe", None, None),
            ("DeleteTest", None, Some("the status does not allow it")),
        ]
    );
    assert_eq!(replay.world.runs.len(), 3);
}

#[test]
fn workers_that_become_offline_are_told_with_their_cause() {
    let down = |link| {
        let command = wire::SetLink {
            worker: id(WORKER),
            epoch: 1,
            link,
            ..Default::default()
        };
        (Command::SetLink(command), Some(1))
    };
    let replay = after(vec![down(3), down(4), down(4)]);
    let expected = Offline {
        worker: "w".to_owned(),
        index: 21,
        revision: Some(16),
        silent: true,
    };
    assert_eq!(replay.offline, [expected]);
}

#[test]
fn of_two_attempts_to_connect_the_later_one_counts() {
    let hello = |attempt| {
        let command = wire::ConnectWorker {
            token_hash: vec![7; 32].into(),
            incarnation: id(30),
            attempt,
            ..Default::default()
        };
        (Command::ConnectWorker(command), None)
    };
    let replay = after(vec![hello(2), hello(1), hello(2), hello(3)]);
    let applied: Vec<bool> = answers(&replay)
        .iter()
        .map(|(_, revision, _)| revision.is_some())
        .collect();
    assert_eq!(applied, [true, false, false, true]);
}

#[test]
fn a_command_that_the_model_does_not_know_gives_no_verdict() {
    let mut dumps = good();
    dumps.truncate(1);
    if let Payload::Commands { envelopes, .. } = &mut dumps[0].entries[18].payload {
        // A field of a later program.
        envelopes[0] = Bytes::from_static(&[0xfa, 0x07, 0x00]);
    }
    let replayed = all(&dumps);
    let unknown = replayed
        .findings
        .iter()
        .filter(|finding| finding.word() == Word::Unknown);
    assert_eq!(unknown.count(), 5);
    assert!(replayed.truth.is_none());
}
