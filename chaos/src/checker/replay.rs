//! The logs of stopped nodes, compared with each other, replayed through a model of our own, and compared with the states on disk.
//!
//! A log holds what was asked, not what was done about it: the model decides that by its own rules. Where the system decided
//! otherwise, the states differ in the end, and the first command that the model refused and whose effect is there says which
//! invariant is broken: a placement beyond the capacity I5, on a worker that drains I8, by a leader of another term I7.

mod compare;
mod evidence;
mod execute;
mod logs;
mod probes;
mod runs;
mod workers;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost::bytes::Bytes;
use reeve_proto::internal as wire;
use wire::envelope::Command;

use super::model::run::Status;
use super::order::Truth;
use super::verdict::Finding;
use crate::dump::{Dump, Entry, Payload};
use execute::Outcome;
use logs::Committed;
use world::{Id, Refused, Touched, WorkerStatus, World};

/// What the logs gave.
#[derive(Default)]
pub struct Replayed {
    /// What was found.
    pub findings: Vec<Finding>,
    /// What every answer can be compared with; none if the log is not whole, has commands that the model does not know, or revisions
    /// that it knows roughly.
    pub truth: Option<Truth>,
    /// Every command, for timelines.
    pub lines: Vec<Line>,
    /// Every time that a worker became OFFLINE.
    pub offline: Vec<Offline>,
    /// Assignments that a deadline of a stop or a drain ended: run and epoch.
    pub given_up: BTreeSet<(String, u64)>,
}

impl Replayed {
    /// Who became OFFLINE, if the log was replayed.
    pub fn log(&self) -> Option<&[Offline]> {
        (!self.lines.is_empty()).then_some(self.offline.as_slice())
    }
}

/// A command, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its entry.
    pub index: u64,
    /// The entry's term.
    pub term: u64,
    /// The entry's leader.
    pub leader: u64,
    /// The term in which a leader planned it.
    pub fence: Option<u64>,
    /// What it is called.
    pub command: String,
    /// The revision that it took, if it took one that is known.
    pub revision: Option<u64>,
    /// Why it changed nothing.
    pub refused: Option<&'static str>,
    /// What it wrote, by the keys of histories.
    pub wrote: Vec<String>,
}

/// A worker became OFFLINE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offline {
    /// Its name.
    pub worker: String,
    /// The entry.
    pub index: u64,
    /// The revision, if it is known.
    pub revision: Option<u64>,
    /// It was given up for its silence; otherwise it left, or was deleted.
    pub silent: bool,
}

/// A command that the model refused, and what would be there if it had not been.
#[derive(Clone, Debug)]
struct Refusal {
    index: u64,
    why: Refused,
    enters: Option<Status>,
    places_on: Vec<Id>,
}

/// What was replayed, counted.
#[derive(Default)]
struct Counts {
    entries: usize,
    commands: usize,
    fenced: usize,
    placements: usize,
    transitions: usize,
    refused: BTreeMap<Refused, usize>,
    unknown: BTreeMap<String, usize>,
}

struct Replay {
    world: World,
    /// Up to which entry it is.
    upto: Option<u64>,
    counts: Counts,
    /// By run.
    refusals: BTreeMap<Id, Vec<Refusal>>,
    lines: Vec<Line>,
    offline: Vec<Offline>,
    /// Of workers, to see when one becomes another.
    statuses: BTreeMap<Id, WorkerStatus>,
    /// Nodes that planned, by term, in the order of the log.
    planners: BTreeMap<u64, Vec<u64>>,
    /// Plans that name no term: entry and command.
    unfenced: Vec<(u64, String)>,
}

/// Everything that logs and states on disk can show.
pub fn all(dumps: &[Dump]) -> Replayed {
    let committed = logs::committed(dumps);
    let whole = logs::whole(dumps, &committed);
    let mut findings = vec![
        logs::matching(dumps, &committed),
        logs::on_quorum(dumps, &committed),
        logs::one_leader(dumps),
    ];
    let mut replayed = Replayed::default();
    if whole.passed() {
        let mut replay = Replay::new();
        let mut compared: Option<Vec<Finding>> = None;
        let mut in_order: Vec<&Dump> = dumps.iter().collect();
        in_order.sort_by_key(|dump| dump.applied);
        for dump in in_order {
            replay.advance(&committed, dump.applied);
            merge(&mut compared, compare::all(&replay, dump));
        }
        // What is committed and was not yet written to the state was answered all the same.
        replay.advance(&committed, committed.upto);
        findings.extend(compared.unwrap_or_default());
        findings.push(replay.fences());
        let certain = replay.counts.unknown.is_empty() && !replay.world.inexact;
        let given_up = replay.world.given_up.iter();
        replayed.given_up = given_up.map(|(run, epoch)| (world::uuid(run), *epoch)).collect();
        replayed.truth = certain.then_some(replay.world.truth);
        replayed.lines = replay.lines;
        replayed.offline = replay.offline;
    }
    findings.insert(0, whole);
    replayed.findings = findings;
    replayed
}

/// The same checks of every node, as one. Nodes come in the order of what they applied: notes of the last are about the most.
fn merge(all: &mut Option<Vec<Finding>>, found: Vec<Finding>) {
    let Some(all) = all else {
        *all = Some(found);
        return;
    };
    for (sum, one) in all.iter_mut().zip(found) {
        sum.examined += one.examined;
        sum.violations.extend(one.violations);
        sum.unknown.extend(one.unknown);
        sum.harness.extend(one.harness);
        sum.notes = one.notes;
    }
}

impl Replay {
    fn new() -> Self {
        Self {
            world: World::begin(),
            upto: None,
            counts: Counts::default(),
            refusals: BTreeMap::new(),
            lines: Vec::new(),
            offline: Vec::new(),
            statuses: BTreeMap::new(),
            planners: BTreeMap::new(),
            unfenced: Vec::new(),
        }
    }

    /// Replays what comes next, up to an entry.
    fn advance(&mut self, log: &Committed<'_>, upto: u64) {
        let after = self.upto.map_or(0, |upto| upto + 1);
        if after > upto {
            return;
        }
        self.upto = Some(upto);
        for entry in log.entries.range(after..=upto).map(|(_, entry)| *entry) {
            self.counts.entries += 1;
            let Payload::Commands { stamp_ms, envelopes } = &entry.payload else {
                continue;
            };
            self.world.now = self.world.now.max(*stamp_ms);
            for bytes in envelopes {
                self.command(entry, bytes);
            }
        }
    }

    fn command(&mut self, entry: &Entry, bytes: &Bytes) {
        self.counts.commands += 1;
        let envelope = wire::Envelope::decode(bytes.clone()).unwrap_or_default();
        let mut line = Line {
            index: entry.index,
            term: entry.term,
            leader: entry.leader,
            fence: envelope.fence_term,
            command: "unreadable".to_owned(),
            ..Line::default()
        };
        let Some(command) = &envelope.command else {
            self.unknown(&line.command);
            return self.lines.push(line);
        };
        line.command = name(command);
        self.look_at_fence(entry, &envelope, command);
        if let Command::PlaceRun(place) = command {
            self.counts.placements += place.placements.len();
        }
        match self.apply(entry.term, &envelope, command) {
            Ok(true) => {
                self.counts.transitions += usize::from(enters(command).is_some());
                let (revision, wrote) = self.world.applied();
                line.revision = revision;
                self.workers_moved(&line, command, &wrote);
                line.wrote = wrote.iter().filter_map(|what| self.world.key(what)).collect();
            }
            Ok(false) => line.refused = Some("answered before"),
            Err(Outcome::Beside) => self.world.not_known(),
            Err(Outcome::Unknown) => self.unknown(&line.command),
            Err(Outcome::Refused(why)) => {
                self.refused(entry, command, why);
                line.refused = Some(why.name());
                let about = about_run(command).map(|run| format!("run/{}", world::uuid(run)));
                line.wrote.extend(about);
            }
        }
        self.lines.push(line);
    }

    fn unknown(&mut self, command: &str) {
        *self.counts.unknown.entry(command.to_owned()).or_default() += 1;
        self.world.not_known();
    }

    fn refused(&mut self, entry: &Entry, command: &Command, why: Refused) {
        self.world.refused();
        *self.counts.refused.entry(why).or_default() += 1;
        if let Some(run) = about_run(command) {
            self.refusals.entry(run.clone()).or_default().push(Refusal {
                index: entry.index,
                why,
                enters: enters(command),
                places_on: places_on(command),
            });
        }
    }

    fn look_at_fence(&mut self, entry: &Entry, envelope: &wire::Envelope, command: &Command) {
        match envelope.fence_term {
            Some(fence) => {
                self.counts.fenced += 1;
                if fence == entry.term {
                    let planners = self.planners.entry(fence).or_default();
                    if planners.last() != Some(&entry.leader) {
                        planners.push(entry.leader);
                    }
                }
            }
            None if is_plan(command) => self.unfenced.push((entry.index, name(command))),
            None => {}
        }
    }

    /// Notes who became OFFLINE.
    fn workers_moved(&mut self, line: &Line, command: &Command, wrote: &[Touched]) {
        for what in wrote {
            let Touched::Worker(id) = what else { continue };
            let Some(worker) = self.world.workers.get(id) else {
                continue;
            };
            let status = worker.status();
            let before = self.statuses.insert(id.clone(), status);
            let was_there = before.is_some_and(|before| before != WorkerStatus::Offline);
            if status == WorkerStatus::Offline && was_there {
                self.offline.push(Offline {
                    worker: worker.name.clone(),
                    index: line.index,
                    revision: line.revision,
                    silent: matches!(command, Command::SetLink(_)),
                });
            }
        }
    }

    /// Who plans: one leader of a term after the other, and never without saying in which term.
    fn fences(&self) -> Finding {
        let mut finding = Finding::of(
            "I7",
            "plans name the term they were made in, and nobody plans once another has taken over",
        );
        finding.examined = self.counts.fenced;
        for (index, command) in &self.unfenced {
            finding.examined += 1;
            let what = format!("entry {index}: {command} was planned by a leader and names no term");
            finding.violations.push(what);
        }
        for (term, leaders) in self.planners.iter().filter(|(_, of)| !of.is_sorted()) {
            let what = format!("nodes {leaders:?} planned in term {term}");
            finding.violations.push(what);
        }
        let stale = self.counts.refused.get(&Refused::StaleTerm).copied();
        finding.notes.push(format!(
            "{} plans of {} terms, {} of another term rejected",
            self.counts.fenced,
            self.planners.len(),
            stale.unwrap_or(0)
        ));
        finding
    }
}

/// What it is called in the log's protocol.
fn name(command: &Command) -> String {
    let debug = format!("{command:?}");
    debug.split('(').next().unwrap_or_default().to_owned()
}

/// Whether only a leader's planners propose it.
#[allow(clippy::wildcard_enum_match_arm)]
fn is_plan(command: &Command) -> bool {
    matches!(
        command,
        Command::QueueRun(_)
            | Command::PlaceRun(_)
            | Command::BeginRun(_)
            | Command::CompleteRun(_)
            | Command::FailRun(_)
            | Command::RejectRun(_)
            | Command::AbandonAssignments(_)
            | Command::SetLink(_)
            | Command::ExpireToken(_)
            | Command::PurgeWorker(_)
            | Command::FireProbe(_)
            | Command::SkipSlot(_)
            | Command::EvaluateProbe(_)
    )
}

#[allow(clippy::wildcard_enum_match_arm)]
fn about_run(command: &Command) -> Option<&Id> {
    match command {
        Command::StartRun(command) => Some(&command.run),
        Command::StopRun(command) => Some(&command.run),
        Command::QueueRun(command) => Some(&command.run),
        Command::PlaceRun(command) => Some(&command.run),
        Command::BeginRun(command) => Some(&command.run),
        Command::CompleteRun(command) => Some(&command.run),
        Command::FailRun(command) => Some(&command.run),
        Command::RejectRun(command) => Some(&command.run),
        Command::AbandonAssignments(command) => Some(&command.run),
        Command::Report(command) => Some(&command.run),
        Command::FireProbe(command) => Some(&command.run),
        Command::PurgeRun(command) => Some(&command.run),
        Command::KeepLateReports(command) => Some(&command.run),
        _ => None,
    }
}

#[allow(clippy::wildcard_enum_match_arm)]
fn places_on(command: &Command) -> Vec<Id> {
    match command {
        Command::PlaceRun(place) => place.placements.iter().map(|one| one.worker.clone()).collect(),
        _ => Vec::new(),
    }
}

/// The status that a run would have after the command.
#[allow(clippy::wildcard_enum_match_arm)]
fn enters(command: &Command) -> Option<Status> {
    match command {
        Command::StartRun(_) | Command::FireProbe(_) => Some(Status::Pending),
        Command::QueueRun(_) => Some(Status::Queued),
        Command::BeginRun(_) => Some(Status::Running),
        Command::CompleteRun(_) => Some(Status::Completed),
        Command::FailRun(_) => Some(Status::Failed),
        Command::RejectRun(_) | Command::StopRun(_) => Some(Status::CannotRunForNow),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
