//! Histories turned into what the models understand, object by object, and checked.
//!
//! A write is answered with the object as it is once the write is applied, or as it is still later: each such answer is a write, and a
//! read within the same time.

use std::collections::BTreeMap;
use std::time::Instant;

use super::model::run::{RunModel, RunOp, Seen as RunSeen, Status};
use super::model::test::{TestModel, TestOp};
use super::model::worker::{Seen as WorkerSeen, WorkerModel, WorkerOp};
use super::verdict::Finding;
use super::wgl::{Entry, Explanation, Model, Verdict, check};
use crate::history::op::{F, Op, Res};

/// How many calls of an explanation are shown.
const SHOWN: usize = 6;

/// Checks every test, run and worker.
pub fn all(ops: &[Op], deadline: Instant) -> Vec<Finding> {
    let numbers = Numbers::of(ops);
    let tests = by_key(ops, "test/", |entries, op, last| {
        test(entries, op, last, &numbers)
    });
    let runs = by_key(&runs_by_id(ops), "run/", |entries, op, _| {
        run(entries, op, &numbers)
    });
    let workers = by_key(ops, "worker/", |entries, op, _| worker(entries, op, &numbers));
    vec![
        findings("tests are linearizable", |_| TestModel, &tests, deadline),
        findings("runs are linearizable", |_| RunModel, &runs, deadline),
        findings("workers are linearizable", worker_model, &workers, deadline),
    ]
}

type ByKey<O> = BTreeMap<String, Vec<Entry<O>>>;

fn by_key<O>(ops: &[Op], kind: &str, mut add: impl FnMut(&mut Vec<Entry<O>>, &Op, bool)) -> ByKey<O> {
    let mut keys: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.k.starts_with(kind)) {
        keys.entry(&op.k).or_default().push(op);
    }
    let mut entries = ByKey::new();
    for (key, ops) in keys {
        let begins_again = ops.iter().any(|op| op.f == F::DeleteTest);
        let of_key = entries.entry(key.to_owned()).or_default();
        ops.iter().for_each(|op| add(of_key, op, begins_again));
    }
    entries
}

/// Workers that run are created before the clients begin. One that was missed once cannot be one of them.
fn worker_model(entries: &[Entry<WorkerOp>]) -> WorkerModel {
    let tells = |entry: &Entry<WorkerOp>| matches!(entry.op, WorkerOp::Create { .. } | WorkerOp::Read(None));
    WorkerModel {
        existed: !entries.iter().any(tells),
    }
}

fn findings<M: Model>(
    rule: &'static str,
    model: impl Fn(&[Entry<M::Op>]) -> M,
    keys: &ByKey<M::Op>,
    deadline: Instant,
) -> Finding {
    let mut finding = Finding::of("I1", rule);
    for (key, entries) in keys {
        finding.examined += entries.len();
        match check(&model(entries), entries, deadline) {
            Verdict::Ok => {}
            Verdict::Unknown => finding
                .unknown
                .push(format!("{key}: no verdict in time for {} calls", entries.len())),
            Verdict::Illegal(explanation) => finding.violations.push(explain(key, entries, &explanation)),
        }
    }
    finding
}

fn explain<O: std::fmt::Debug>(key: &str, entries: &[Entry<O>], explanation: &Explanation) -> String {
    let show = |at: usize| {
        let Entry { op, call, ret } = &entries[at];
        let ret = ret.map_or_else(|| "…".to_owned(), |ret| ret.to_string());
        format!("{op:?} [{call}, {ret}]")
    };
    let longest = &explanation.longest;
    let last: Vec<String> = longest[longest.len().saturating_sub(SHOWN)..]
        .iter()
        .map(|at| show(*at))
        .collect();
    let stuck = explanation.stuck.map_or_else(String::new, show);
    format!(
        "{key}: {} of {} calls have an order; it ends in {}; state {}; then impossible: {stuck}",
        longest.len(),
        entries.len(),
        last.join(" → "),
        explanation.state
    )
}

/// Numbers of the requests that were sent more than once.
struct Numbers<'a>(BTreeMap<&'a str, u32>);

impl<'a> Numbers<'a> {
    fn of(ops: &'a [Op]) -> Self {
        let mut sent: BTreeMap<&str, u32> = BTreeMap::new();
        for op in ops
            .iter()
            .filter(|op| op.f.mutates() && !op.input.request.is_empty())
        {
            *sent.entry(&op.input.request).or_default() += 1;
        }
        let repeated = sent.into_iter().filter(|(_, times)| *times > 1);
        Self(repeated.map(|(id, _)| id).zip(0..).collect())
    }

    fn get(&self, op: &Op) -> Option<u32> {
        self.0.get(op.input.request.as_str()).copied()
    }
}

/// The calls on runs, with starts under the id of the run that their request gave. Starts that gave none to anybody are left out:
/// nobody can have read what they made.
pub fn runs_by_id(ops: &[Op]) -> Vec<Op> {
    let mut given: BTreeMap<&str, &str> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.f == F::StartRun) {
        if let Some(run) = &op.out.run {
            given.entry(&op.input.request).or_insert(run);
        }
    }
    let mut runs = Vec::new();
    for op in ops {
        let mut op = op.clone();
        if op.f == F::StartRun {
            let of_request = given.get(op.input.request.as_str()).map(|run| (*run).to_owned());
            let Some(run) = op.out.run.clone().or(of_request) else {
                continue;
            };
            op.k = format!("run/{run}");
        }
        runs.push(op);
    }
    runs
}

fn push<O>(entries: &mut Vec<Entry<O>>, op: &Op, made: O) {
    entries.push(Entry {
        op: made,
        call: op.inv,
        ret: op.ret,
    });
}

fn test(entries: &mut Vec<Entry<TestOp>>, op: &Op, begins_again: bool, numbers: &Numbers<'_>) {
    let seen = op.out.version.zip(op.out.value);
    let certain = op.res == Res::Ok;
    match (op.f, op.res) {
        (F::CreateTest | F::ApplyTest, Res::Ok | Res::Info) => {
            let write = TestOp::Write {
                create_only: op.f == F::CreateTest,
                value: op.input.value.unwrap_or_default(),
                request: numbers.get(op),
                created: op.out.created,
                shown: op.out.version.filter(|_| !begins_again),
                certain,
            };
            push(entries, op, write);
            if certain && seen.is_some() {
                push(entries, op, TestOp::Read(seen));
            }
        }
        (F::CreateTest, Res::Fail) if refused_with(op, "AlreadyExists") => push(entries, op, TestOp::Taken),
        (F::DeleteTest, Res::Ok | Res::Info) => {
            let request = numbers.get(op);
            push(entries, op, TestOp::Delete { request, certain });
        }
        (F::GetTest, Res::Ok) => push(entries, op, TestOp::Read(seen.filter(|_| !op.out.absent))),
        // They tell nothing of a test.
        _ => {}
    }
}

fn refused_with(op: &Op, code: &str) -> bool {
    op.out.error.as_ref().is_some_and(|error| error.starts_with(code))
}

fn run_seen(op: &Op) -> Option<RunSeen> {
    Some(RunSeen {
        status: Status::named(op.out.status.as_ref()?)?,
        revision: op.revision?,
        stop: op.out.stop,
    })
}

fn run(entries: &mut Vec<Entry<RunOp>>, op: &Op, numbers: &Numbers<'_>) {
    let seen = run_seen(op);
    match (op.f, op.res) {
        (F::StartRun, Res::Ok | Res::Info) => {
            push(entries, op, RunOp::Start);
            if seen.is_some() {
                push(entries, op, RunOp::Read(seen));
            }
        }
        (F::StopRun, Res::Ok | Res::Info) => {
            let request = numbers.get(op);
            push(entries, op, RunOp::Stop { request, shown: seen });
            if seen.is_some() {
                push(entries, op, RunOp::Read(seen));
            }
        }
        (F::StopRun, Res::Fail) if refused_with(op, "FailedPrecondition") => {
            push(entries, op, RunOp::StopRefused);
        }
        (F::GetRun, Res::Ok) if seen.is_some() || op.out.absent => push(entries, op, RunOp::Read(seen)),
        // They tell nothing of a run.
        _ => {}
    }
}

fn worker(entries: &mut Vec<Entry<WorkerOp>>, op: &Op, numbers: &Numbers<'_>) {
    let request = numbers.get(op);
    let seen = op.revision.map(|revision| WorkerSeen {
        drain: op.out.value,
        revision,
    });
    let token = || op.input.token.clone().unwrap_or_else(|| op.input.request.clone());
    let made = match (op.f, op.res) {
        (F::CreateWorker, Res::Ok | Res::Info) => WorkerOp::Create {
            token: token(),
            request,
            certain: op.res == Res::Ok,
        },
        (F::CreateWorker, Res::Fail) if refused_with(op, "AlreadyExists") => WorkerOp::Taken,
        (F::DrainWorker, Res::Ok | Res::Info) => WorkerOp::Drain {
            value: op.input.value.unwrap_or_default(),
            request,
        },
        (F::UndrainWorker, Res::Ok | Res::Info) => WorkerOp::Undrain { request },
        (F::RegenerateToken, Res::Ok | Res::Info) => WorkerOp::Regenerate {
            token: token(),
            request,
        },
        (F::UseToken, Res::Ok) => match op.out.accepted {
            Some(accepted) => WorkerOp::Use {
                token: token(),
                accepted,
            },
            None => return,
        },
        (F::GetWorker, Res::Ok) => {
            if seen.is_some() || op.out.absent {
                push(entries, op, WorkerOp::Read(seen));
            }
            return;
        }
        // They tell nothing of a worker.
        _ => return,
    };
    push(entries, op, made);
    if op.res == Res::Ok && op.f.mutates() && seen.is_some() {
        push(entries, op, WorkerOp::Read(seen));
    }
}
