//! The checkers against histories of a small server that does everything right, and against the same histories spoilt in ways
//! that a checker must not overlook.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::order::{Content, Truth};
use super::random::Random;
use super::verdict::{Finding, Word};
use super::{linear, lost, order};
use crate::checker::model::run::Status;
use crate::history::op::{F, Input, Op, Output, Res, unsound};

const WRITERS: usize = 4;
const STATUSES: [(&str, Status); 4] = [
    ("RUN_STATUS_PENDING", Status::Pending),
    ("RUN_STATUS_QUEUED", Status::Queued),
    ("RUN_STATUS_RUNNING", Status::Running),
    ("RUN_STATUS_COMPLETED", Status::Completed),
];

/// A server that does one thing after the other.
#[derive(Default)]
struct Server {
    revision: u64,
    tests: BTreeMap<u64, (u32, u64, u64)>,
    /// Place in [`STATUSES`], stop, revision.
    runs: Vec<(usize, bool, u64)>,
    /// Drain, revision.
    workers: BTreeMap<u64, (Option<u64>, u64)>,
    truth: Truth,
}

impl Server {
    fn bump(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    fn says(&mut self, key: String, content: Content) {
        self.truth.entry(key).or_default().insert(self.revision, content);
    }

    fn run(&self, at: usize) -> (Output, Option<u64>) {
        let (status, stop, revision) = self.runs[at];
        let out = Output {
            run: Some(at.to_string()),
            status: Some(STATUSES[status].0.to_owned()),
            stop,
            ..Output::default()
        };
        (out, Some(revision))
    }

    fn put_run(&mut self, at: usize, status: usize, stop: bool) {
        let revision = self.bump();
        self.runs[at] = (status, stop, revision);
        self.says(format!("run/{at}"), Content::Run(STATUSES[status].1, stop));
    }

    /// Does a call; what it was, and what it gave.
    fn call(&mut self, random: &mut Random, value: u64) -> (F, String, Output, Option<u64>) {
        let key = random.below(3);
        let test = format!("test/{key}");
        let worker = format!("worker/{key}");
        match random.below(10) {
            0..3 => {
                let before = self.tests.get(&key).map_or(0, |held| held.0);
                let revision = self.bump();
                self.tests.insert(key, (before + 1, value, revision));
                self.says(test.clone(), Content::Test(before + 1, value));
                let out = Output {
                    created: Some(before == 0),
                    ..self.test(key).0
                };
                (F::ApplyTest, test, out, Some(revision))
            }
            3..6 => {
                let (out, revision) = self.test(key);
                (F::GetTest, test, out, revision)
            }
            6 => {
                self.runs.push((0, false, 0));
                let at = self.runs.len() - 1;
                self.put_run(at, 0, false);
                let (out, revision) = self.run(at);
                (F::StartRun, format!("request/r{value}"), out, revision)
            }
            7 if !self.runs.is_empty() => {
                let at = random.below(self.runs.len() as u64) as usize;
                let (status, stop, _) = self.runs[at];
                if status < 3 && random.below(2) == 0 {
                    self.put_run(at, status + 1, stop);
                }
                let (out, revision) = self.run(at);
                (F::GetRun, format!("run/{at}"), out, revision)
            }
            8 => {
                let drain = self.workers.get(&key).is_some_and(|_| random.below(2) == 0);
                let f = if !self.workers.contains_key(&key) {
                    F::CreateWorker
                } else if drain {
                    F::DrainWorker
                } else {
                    F::UndrainWorker
                };
                let revision = self.bump();
                self.workers.insert(key, (drain.then_some(value), revision));
                self.says(worker.clone(), Content::Worker);
                (f, worker.clone(), self.worker(key).0, Some(revision))
            }
            9 => {
                let (out, revision) = self.worker(key);
                (F::GetWorker, worker, out, revision)
            }
            _ => (
                F::List,
                "list/runs".to_owned(),
                Output::default(),
                Some(self.revision),
            ),
        }
    }

    fn test(&self, key: u64) -> (Output, Option<u64>) {
        let held = self.tests.get(&key);
        let out = Output {
            absent: held.is_none(),
            version: held.map(|held| held.0),
            value: held.map(|held| held.1),
            ..Output::default()
        };
        (out, held.map(|held| held.2))
    }

    fn worker(&self, key: u64) -> (Output, Option<u64>) {
        let held = self.workers.get(&key);
        let out = Output {
            absent: held.is_none(),
            value: held.and_then(|held| held.0),
            ..Output::default()
        };
        (out, held.map(|held| held.1))
    }
}

/// Histories of several writers whose calls overlap, and what the log would say.
fn good(seed: u64) -> (Vec<Vec<Op>>, Truth) {
    let mut random = Random(seed);
    let mut server = Server::default();
    let mut histories: Vec<Vec<Op>> = vec![Vec::new(); WRITERS];
    let mut process: Vec<u64> = (0..WRITERS as u64).collect();
    let mut free_at = [0; WRITERS];
    let mut now = 0;
    for value in 1..200 {
        now += 10;
        let writer = random.below(WRITERS as u64) as usize;
        let inv = now - random.below(10).min(now - free_at[writer].min(now));
        now = now.max(free_at[writer]);
        let inv = inv.max(free_at[writer]);
        let ret = now + random.below(30);
        free_at[writer] = ret + 1;
        let (f, k, out, revision) = server.call(&mut random, value);
        let lost = f.mutates() && f != F::StartRun && random.below(20) == 0;
        let op = Op {
            p: process[writer],
            seq: histories[writer].len() as u64,
            f,
            k,
            input: Input {
                request: format!("r{value}"),
                value: Some(value),
                token: None,
            },
            inv,
            ret: (!lost).then_some(ret),
            res: if lost { Res::Info } else { Res::Ok },
            out: if lost { Output::default() } else { out },
            revision: revision.filter(|_| !lost),
            node: 0,
        };
        process[writer] += if lost { WRITERS as u64 } else { 0 };
        histories[writer].push(op);
    }
    (histories, server.truth)
}

fn flat(histories: &[Vec<Op>]) -> Vec<Op> {
    histories.iter().flatten().cloned().collect()
}

fn linear(histories: &[Vec<Op>]) -> Vec<Finding> {
    linear::all(&flat(histories), Instant::now() + Duration::from_secs(60))
}

fn violated(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.word() == Word::Violated)
}

#[test]
fn a_good_history_passes_every_checker() {
    for seed in 0..100 {
        let (histories, truth) = good(seed);
        assert_eq!(unsound(&histories), Vec::<String>::new(), "seed {seed}");
        for finding in linear(&histories) {
            assert!(finding.passed(), "seed {seed}: {finding:?}");
        }
        for finding in order::all(&flat(&histories), Some(&truth)) {
            assert!(finding.passed(), "seed {seed}: {finding:?}");
        }
    }
}

/// Where a line is whose loss another line shows: the version that it wrote is read by somebody.
fn seen_write(histories: &[Vec<Op>]) -> Option<(usize, usize)> {
    let ops = flat(histories);
    for (writer, ops_of) in histories.iter().enumerate() {
        for (at, op) in ops_of.iter().enumerate() {
            let read = ops
                .iter()
                .any(|other| other.f == F::GetTest && other.k == op.k && other.out.value == op.input.value);
            if op.f == F::ApplyTest && op.res == Res::Ok && read {
                return Some((writer, at));
            }
        }
    }
    None
}

#[test]
fn a_line_that_is_dropped_is_missed() {
    let mut dropped = 0;
    for seed in 0..100 {
        let (mut histories, _) = good(seed);
        let Some((writer, at)) = seen_write(&histories) else {
            continue;
        };
        dropped += 1;
        histories[writer].remove(at);
        assert_ne!(unsound(&histories), Vec::<String>::new(), "seed {seed}");
        // Even if the numbers of the lines did not tell.
        assert!(violated(&linear(&histories)), "seed {seed}");
    }
    assert!(dropped > 90, "{dropped}");
}

#[test]
fn a_history_that_lost_a_line_looks_sound_and_is_found_out() {
    let mut found = 0;
    for seed in 0..100 {
        let (mut histories, _) = good(seed);
        let before = histories.clone();
        let Some(line) = lost::lose_line(&mut histories, seed) else {
            assert_eq!(histories, before, "seed {seed}");
            continue;
        };
        found += 1;
        assert_eq!((line.f, line.res), (F::ApplyTest, Res::Ok));
        assert_eq!(flat(&histories).len() + 1, flat(&before).len());
        assert_eq!(unsound(&histories), Vec::<String>::new(), "seed {seed}");
        assert!(violated(&linear(&histories)), "seed {seed}: {line:?}");
    }
    assert!(found > 90, "{found}");
}

#[test]
fn a_line_that_is_doubled_or_out_of_order_is_noticed() {
    for seed in 0..100 {
        let (histories, _) = good(seed);
        let mut doubled = histories.clone();
        let line = doubled[1][5].clone();
        doubled[1].insert(5, line);
        assert_ne!(unsound(&doubled), Vec::<String>::new(), "seed {seed}");
        let mut swapped = histories.clone();
        swapped[2].swap(3, 4);
        assert_ne!(unsound(&swapped), Vec::<String>::new(), "seed {seed}");
        // With numbers that fit, their times do not.
        for (seq, op) in (0..).zip(&mut swapped[2]) {
            op.seq = seq;
        }
        assert_ne!(unsound(&swapped), Vec::<String>::new(), "seed {seed}");
    }
}

/// Lets a read of a test show what an answer before its call already was behind. None: there is no such read.
fn make_stale(histories: &mut [Vec<Op>]) -> Option<()> {
    let ops = flat(histories);
    for op in histories.iter_mut().flatten() {
        if op.f != F::GetTest || op.out.absent {
            continue;
        }
        let same = |other: &&Op| other.f == F::ApplyTest && other.k == op.k && other.res == Res::Ok;
        let newest = ops
            .iter()
            .filter(same)
            .filter(|other| other.ret < Some(op.inv))
            .max_by_key(|other| other.revision)?;
        let older = ops
            .iter()
            .filter(same)
            .find(|other| other.revision < newest.revision)?;
        op.out.version = older.out.version;
        op.out.value = older.out.value;
        op.revision = older.revision;
        return Some(());
    }
    None
}

#[test]
fn a_stale_read_is_caught_by_the_search_by_the_order_and_by_the_log() {
    let mut spoilt = 0;
    for seed in 0..100 {
        let (mut histories, truth) = good(seed);
        if make_stale(&mut histories).is_none() {
            continue;
        }
        spoilt += 1;
        assert!(violated(&linear(&histories)), "seed {seed}");
        let ops = flat(&histories);
        let by_order = order::all(&ops, None);
        assert!(by_order[2].word() == Word::Violated, "seed {seed}: {by_order:?}");
        let by_log = order::all(&ops, Some(&truth));
        assert!(by_log[5].word() == Word::Violated, "seed {seed}: {by_log:?}");
    }
    assert!(spoilt > 50, "{spoilt}");
}

#[test]
fn answers_that_do_not_fit_each_other_are_caught_by_the_order() {
    type Edit = fn(&mut [Op]) -> Option<()>;
    let table: [(usize, &str, Edit); 4] = [
        (0, "another value at the same revision", |ops| {
            let read = ops.iter_mut().find(|op| op.f == F::GetTest && !op.out.absent)?;
            read.out.value = Some(7_777);
            Some(())
        }),
        (1, "a run that goes back", |ops| {
            let ended = ops
                .iter()
                .find(|op| op.f == F::GetRun && op.out.status.as_deref() == Some("RUN_STATUS_COMPLETED"))?;
            let later = Op {
                out: Output {
                    status: Some("RUN_STATUS_RUNNING".to_owned()),
                    ..ended.out.clone()
                },
                revision: ended.revision.map(|revision| revision + 100_000),
                ..ended.clone()
            };
            ops[0] = later;
            Some(())
        }),
        (3, "a write that is older than what was seen", |ops| {
            let last = ops
                .iter_mut()
                .filter(|op| op.f == F::ApplyTest && op.res == Res::Ok)
                .max_by_key(|op| op.inv)?;
            last.revision = Some(1);
            Some(())
        }),
        (4, "two runs of one request", |ops| {
            let request = ops.iter().find(|op| op.f == F::StartRun)?.input.request.clone();
            let other = ops
                .iter_mut()
                .filter(|op| op.f == F::StartRun)
                .find(|op| op.input.request != request)?;
            other.input.request = request;
            Some(())
        }),
    ];
    for (finding, what, edit) in table {
        let mut spoilt = 0;
        for seed in 0..60 {
            let (histories, _) = good(seed);
            let mut ops = flat(&histories);
            if edit(&mut ops).is_none() {
                continue;
            }
            spoilt += 1;
            let findings = order::all(&ops, None);
            assert_eq!(findings[finding].word(), Word::Violated, "{what}, seed {seed}");
        }
        assert!(spoilt > 20, "{what}: {spoilt}");
    }
}

/// The rules of runs and workers, in histories made by hand.
#[test]
fn runs_and_workers_that_break_their_rules() {
    let op = |p: u64, f, k: &str, at: u64, res, out: Output, revision: u64| Op {
        p,
        seq: at,
        f,
        k: k.to_owned(),
        input: Input {
            request: if f == F::StartRun {
                "a".to_owned()
            } else {
                format!("r{at}")
            },
            value: Some(at),
            token: None,
        },
        inv: at * 10,
        ret: (res != Res::Info).then_some(at * 10 + 5),
        res,
        out,
        revision: (revision > 0).then_some(revision),
        node: 0,
    };
    let run = |status: &str, stop| Output {
        run: Some("1".to_owned()),
        status: Some(format!("RUN_STATUS_{status}")),
        stop,
        ..Output::default()
    };
    let refused = Output {
        error: Some("FailedPrecondition: it has ended".to_owned()),
        ..Output::default()
    };
    let start = op(0, F::StartRun, "request/a", 1, Res::Ok, run("PENDING", false), 3);
    let read = |at, status: &str, stop, revision| {
        op(0, F::GetRun, "run/1", at, Res::Ok, run(status, stop), revision)
    };
    let stop =
        |at, status: &str, revision| op(0, F::StopRun, "run/1", at, Res::Ok, run(status, true), revision);
    let not_stopped = op(0, F::StopRun, "run/1", 2, Res::Fail, refused, 0);
    let lost_stop = op(0, F::StopRun, "run/1", 2, Res::Info, Output::default(), 0);
    let drain = |value| Output {
        value,
        ..Output::default()
    };
    let worker = |at, f, value, revision| op(0, f, "worker/w", at, Res::Ok, drain(value), revision);
    let created = worker(1, F::CreateWorker, None, 1);
    let nothing = Output {
        absent: true,
        ..Output::default()
    };
    // The token of the request at a moment, shown at another.
    let shows = |at, made: u64, accepted| {
        let mut shown = op(0, F::UseToken, "worker/w", at, Res::Ok, Output::default(), 0);
        shown.input.token = Some(format!("r{made}"));
        shown.out.accepted = Some(accepted);
        shown
    };
    let lost_token = op(
        1,
        F::RegenerateToken,
        "worker/w",
        3,
        Res::Info,
        Output::default(),
        0,
    );
    let absent = |at| op(0, F::GetWorker, "worker/w", at, Res::Ok, nothing.clone(), 0);
    let table: [(&str, bool, Vec<Op>); 18] = [
        (
            "a run moves on",
            true,
            vec![start.clone(), read(2, "RUNNING", false, 5)],
        ),
        (
            "and not back",
            false,
            vec![
                start.clone(),
                read(2, "RUNNING", false, 5),
                read(3, "QUEUED", false, 6),
            ],
        ),
        (
            "an end is final",
            false,
            vec![
                start.clone(),
                read(2, "FAILED", false, 5),
                read(3, "COMPLETED", false, 6),
            ],
        ),
        (
            "a stop is shown",
            true,
            vec![
                start.clone(),
                stop(2, "RUNNING", 6),
                read(3, "COMPLETED", true, 7),
            ],
        ),
        (
            "and not forgotten",
            false,
            vec![
                start.clone(),
                stop(2, "RUNNING", 6),
                read(3, "COMPLETED", false, 7),
            ],
        ),
        (
            "a stop is refused at the end only",
            false,
            vec![start.clone(), not_stopped, read(3, "RUNNING", false, 7)],
        ),
        (
            "a stop that was lost may show late",
            true,
            vec![
                start.clone(),
                lost_stop.clone(),
                read(3, "RUNNING", false, 5),
                read(4, "RUNNING", true, 6),
            ],
        ),
        (
            "a stop that nobody asked for",
            false,
            vec![start.clone(), read(4, "RUNNING", true, 6)],
        ),
        (
            "a drain is shown, and may end by itself",
            true,
            vec![
                created.clone(),
                worker(2, F::DrainWorker, Some(2), 4),
                worker(3, F::GetWorker, None, 6),
            ],
        ),
        (
            "a drain that is taken back is over",
            false,
            vec![
                created.clone(),
                worker(2, F::DrainWorker, Some(2), 4),
                worker(3, F::UndrainWorker, None, 5),
                worker(4, F::GetWorker, Some(2), 6),
            ],
        ),
        (
            "a read behind the drain",
            false,
            vec![
                created.clone(),
                worker(2, F::DrainWorker, Some(2), 4),
                worker(3, F::GetWorker, None, 1),
            ],
        ),
        (
            "a token that was replaced is refused, and the new one is not",
            true,
            vec![
                created.clone(),
                shows(2, 1, true),
                worker(3, F::RegenerateToken, None, 4),
                shows(4, 1, false),
                shows(5, 3, true),
            ],
        ),
        (
            "a token that was replaced is accepted",
            false,
            vec![
                created.clone(),
                worker(3, F::RegenerateToken, None, 4),
                shows(4, 1, true),
            ],
        ),
        (
            "a request that was lost may replace a token late",
            true,
            vec![
                created.clone(),
                lost_token.clone(),
                shows(4, 1, true),
                shows(5, 1, false),
            ],
        ),
        (
            "but the old one does not come back",
            false,
            vec![created.clone(), lost_token, shows(4, 1, false), shows(5, 1, true)],
        ),
        (
            "a worker that was there before",
            true,
            vec![
                worker(2, F::DrainWorker, Some(2), 4),
                worker(3, F::GetWorker, Some(2), 4),
            ],
        ),
        ("a worker that nobody created", true, vec![absent(2), absent(3)]),
        (
            "and that is there for one moment",
            false,
            vec![absent(2), worker(3, F::GetWorker, None, 4), absent(5)],
        ),
    ];
    for (what, legal, ops) in table {
        assert_eq!(!violated(&linear(&[ops])), legal, "{what}");
    }
}
