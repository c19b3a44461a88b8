//! The cheap check, for every history however long: every answer carries a revision, and revisions are the order of the log.
//!
//! - A revision is of one object only, and shows one content of it.
//! - Along the revisions of an object its versions rise, and its status keeps to the edges.
//! - Real time is revision order: what was acknowledged before a call bounds what the call may show.
//! - If the log is known as well: an answer shows what the log says that the object was, and nothing that was over before the call.

use std::collections::{BTreeMap, BTreeSet};

use super::linear::runs_by_id;
use super::model::run::Status;
use super::verdict::Finding;
use crate::history::op::{F, Op, Res};

/// What the log says an object was, from a revision on: by key of the object, then by revision.
pub type Truth = BTreeMap<String, BTreeMap<u64, Content>>;

/// What can be told apart of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Version and value of a test.
    Test(u32, u64),
    /// Status of a run, and whether it was told to stop.
    Run(Status, bool),
    /// A worker: only its revision is compared.
    Worker,
    /// It was deleted.
    Gone,
}

/// An answer that shows an object.
struct Shown<'a> {
    op: &'a Op,
    revision: u64,
    content: Content,
}

/// All of them.
pub fn all(ops: &[Op], truth: Option<&Truth>) -> Vec<Finding> {
    let ops = runs_by_id(ops);
    let shown: Vec<Shown<'_>> = ops.iter().filter_map(shown).collect();
    let mut findings = vec![
        one_content(&shown),
        in_order(&shown),
        behind_nothing(&ops),
        writes_move_on(&ops),
        one_run_a_request(&ops),
    ];
    findings.extend(truth.map(|truth| as_the_log_says(&ops, &shown, truth)));
    findings
}

fn shown(op: &Op) -> Option<Shown<'_>> {
    if op.res != Res::Ok {
        return None;
    }
    let content = match op.f {
        F::CreateTest | F::ApplyTest | F::GetTest => Content::Test(op.out.version?, op.out.value?),
        F::StartRun | F::StopRun | F::GetRun => {
            Content::Run(Status::named(op.out.status.as_ref()?)?, op.out.stop)
        }
        F::CreateWorker | F::DrainWorker | F::UndrainWorker | F::RegenerateToken | F::GetWorker => {
            Content::Worker
        }
        F::DeleteTest | F::UseToken | F::List => return None,
    };
    Some(Shown {
        op,
        revision: op.revision?,
        content,
    })
}

fn line(op: &Op) -> String {
    format!("{:?} of {} by process {} (line {})", op.f, op.k, op.p, op.seq + 1)
}

fn one_content(shown: &[Shown<'_>]) -> Finding {
    let mut finding = Finding::of("I1", "a revision is of one object, with one content");
    finding.examined = shown.len();
    let mut tests: BTreeMap<u64, &str> = BTreeMap::new();
    let mut contents: BTreeMap<(&str, u64), &Shown<'_>> = BTreeMap::new();
    for answer in shown {
        let first = contents.entry((&answer.op.k, answer.revision)).or_insert(answer);
        if first.content != answer.content {
            finding.violations.push(format!(
                "revision {}: {:?} for {}, {:?} for {}",
                answer.revision,
                first.content,
                line(first.op),
                answer.content,
                line(answer.op)
            ));
        }
        // A revision may change a worker and its runs at once, but never two tests.
        if matches!(answer.content, Content::Test(..)) {
            let key = tests.entry(answer.revision).or_insert(&answer.op.k);
            if *key != answer.op.k {
                finding.violations.push(format!(
                    "revision {} is of {key} and of {}",
                    answer.revision, answer.op.k
                ));
            }
        }
    }
    finding
}

fn in_order(shown: &[Shown<'_>]) -> Finding {
    let mut finding = Finding::of("I3", "along its revisions an object only moves on");
    let mut keys: BTreeMap<&str, BTreeMap<u64, &Content>> = BTreeMap::new();
    for answer in shown {
        keys.entry(&answer.op.k)
            .or_default()
            .insert(answer.revision, &answer.content);
    }
    let deleted: BTreeSet<&str> = keys
        .iter()
        .filter(|(_, contents)| {
            contents
                .values()
                .filter(|content| matches!(content, Content::Test(1, _)))
                .count()
                > 1
        })
        .map(|(key, _)| *key)
        .collect();
    for (key, contents) in &keys {
        for (before, after) in contents.iter().zip(contents.iter().skip(1)) {
            finding.examined += 1;
            let moves_on = match (before.1, after.1) {
                (Content::Test(before, _), Content::Test(after, _)) => {
                    before < after || deleted.contains(key)
                }
                (Content::Run(before, stop), Content::Run(after, stopped)) => {
                    before.reaches(*after) && stop <= stopped
                }
                _ => true,
            };
            if !moves_on {
                finding.violations.push(format!(
                    "{key}: {:?} at revision {}, {:?} at {}",
                    before.1, before.0, after.1, after.0
                ));
            }
        }
    }
    finding
}

/// A moment at which a call begins or an answer arrives.
fn moments(ops: &[Op]) -> Vec<(u64, bool, &Op)> {
    let mut moments: Vec<(u64, bool, &Op)> = Vec::with_capacity(ops.len() * 2);
    for op in ops.iter().filter(|op| op.res == Res::Ok) {
        // At the same moment a call comes first: then it may not know of the answer.
        moments.push((op.inv, false, op));
        moments.extend(op.ret.map(|ret| (ret, true, op)));
    }
    moments.sort_by_key(|(at, is_answer, _)| (*at, *is_answer));
    moments
}

fn behind_nothing(ops: &[Op]) -> Finding {
    let mut finding = Finding::of("I1", "no answer is behind what was acknowledged before the call");
    let mut floors: BTreeMap<&str, u64> = BTreeMap::new();
    let mut highest = 0;
    for (_, is_answer, op) in moments(ops) {
        let list = op.f == F::List;
        if is_answer {
            let Some(revision) = op.revision else { continue };
            highest = highest.max(revision);
            if !list {
                let floor = floors.entry(&op.k).or_default();
                *floor = revision.max(*floor);
            }
            continue;
        }
        // A list shows the whole state, an object only its own last change.
        let floor = if list {
            highest
        } else {
            floors.get(op.k.as_str()).copied().unwrap_or(0)
        };
        let Some(revision) = op.revision else { continue };
        finding.examined += 1;
        if revision < floor {
            finding.violations.push(format!(
                "{} shows revision {revision}; {floor} was acknowledged before",
                line(op)
            ));
        }
    }
    finding
}

/// Whether a write certainly changed something: it is sent once, and writes what nobody else does.
fn writes_move_on(ops: &[Op]) -> Finding {
    let mut finding = Finding::of(
        "I1",
        "what is written is newer than all that was seen before the call",
    );
    let mut sent: BTreeMap<&str, u32> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.f.mutates()) {
        *sent.entry(&op.input.request).or_default() += 1;
    }
    let mut highest = 0;
    for (_, is_answer, op) in moments(ops) {
        let Some(revision) = op.revision else { continue };
        if is_answer {
            highest = highest.max(revision);
            continue;
        }
        let writes = matches!(op.f, F::StartRun | F::CreateTest | F::ApplyTest | F::CreateWorker);
        if writes && sent.get(op.input.request.as_str()) == Some(&1) {
            finding.examined += 1;
            if revision <= highest {
                finding.violations.push(format!(
                    "{} was written at revision {revision} or before; {highest} was seen before the call",
                    line(op)
                ));
            }
        }
    }
    finding
}

fn one_run_a_request(ops: &[Op]) -> Finding {
    let mut finding = Finding::of("I2", "a request gives one run, and a run is of one request");
    let mut runs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut requests: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.f == F::StartRun && op.res == Res::Ok) {
        let run = op.out.run.as_deref().unwrap_or_default();
        runs.entry(&op.input.request).or_default().insert(run);
        requests.entry(run).or_default().insert(&op.input.request);
    }
    finding.examined = runs.len();
    for (key, several) in runs.iter().chain(&requests).filter(|(_, of)| of.len() > 1) {
        finding.violations.push(format!("{key}: {several:?}"));
    }
    finding
}

fn as_the_log_says(ops: &[Op], shown: &[Shown<'_>], truth: &Truth) -> Finding {
    let mut finding = Finding::of(
        "I1",
        "an answer shows what the log says, and nothing that was over",
    );
    let floors = floors_at_call(ops);
    for answer in shown {
        let Some(contents) = truth.get(&answer.op.k) else {
            finding
                .violations
                .push(format!("{} is not in the log", line(answer.op)));
            continue;
        };
        finding.examined += 1;
        let at = contents.get(&answer.revision);
        if at != Some(&answer.content) {
            finding.violations.push(format!(
                "{} shows {:?} at revision {}; the log says {at:?}",
                line(answer.op),
                answer.content,
                answer.revision
            ));
        }
        let floor = floors.get(&(answer.op.p, answer.op.seq)).copied().unwrap_or(0);
        let over = contents.range(answer.revision + 1..).next();
        if let Some((next, _)) = over.filter(|(next, _)| **next <= floor) {
            finding.violations.push(format!(
                "{} shows revision {}, which was over at {next}; {floor} was acknowledged before the call",
                line(answer.op),
                answer.revision
            ));
        }
    }
    finding
}

/// The highest revision that anybody had seen when a call began.
fn floors_at_call(ops: &[Op]) -> BTreeMap<(u64, u64), u64> {
    let mut highest = 0;
    let mut floors = BTreeMap::new();
    for (_, is_answer, op) in moments(ops) {
        if is_answer {
            highest = highest.max(op.revision.unwrap_or(0));
        } else {
            floors.insert((op.p, op.seq), highest);
        }
    }
    floors
}
