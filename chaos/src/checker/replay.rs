//! The logs of stopped nodes, compared with each other, replayed through a model of our own, and compared with the states on disk.
//!
//! A log holds what was asked, not what was done about it: the model decides that by its own rules. Where the system decided
//! otherwise, the states differ in the end, and the first command that the model refused and whose effect is there says which
//! invariant is broken: a placement beyond the capacity I5, on a worker that drains I8, by a leader of another term I7.

mod compare;
mod evidence;
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
use world::{ADMIN, Id, Object, Refused, Request, RequestId, WORKER_ROLE, World};

/// What the logs gave.
pub struct Replayed {
    /// What was found.
    pub findings: Vec<Finding>,
    /// What every answer can be compared with; none if the log is not whole, or has commands that the model does not know.
    pub truth: Option<Truth>,
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
    counts: Counts,
    /// By run.
    refusals: BTreeMap<Id, Vec<Refusal>>,
}

/// Everything that logs and states on disk can show.
pub fn all(dumps: &[Dump]) -> Replayed {
    let mut findings = vec![matching(dumps), one_leader(dumps)];
    let whole = whole(dumps);
    let mut truth = None;
    if whole.passed() {
        let mut worst: Option<Vec<Finding>> = None;
        for dump in dumps {
            let mut replay = Replay::new();
            replay.advance(dump, 0, dump.applied);
            let found = compare::all(&replay, dump);
            merge(&mut worst, found);
            // What is committed and was not yet written to the state was answered all the same.
            replay.advance(dump, dump.applied, committed(dumps));
            if replay.counts.unknown.is_empty() {
                truth = Some(replay.world.truth);
            }
        }
        findings.extend(worst.unwrap_or_default());
    }
    findings.insert(0, whole);
    Replayed { findings, truth }
}

/// The same checks of every node, as one.
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
    }
}

/// A log begins here, or one before.
const FIRST_INDEX: u64 = 1;

/// A log that was cut cannot be replayed from the beginning: then nothing is said, rather than something that is wrong.
fn whole(dumps: &[Dump]) -> Finding {
    let mut finding = Finding::of(
        "H",
        "logs are whole, from the first entry to what the state is after",
    );
    for dump in dumps {
        finding.examined += dump.entries.len();
        if let Some(purged) = dump.purged {
            finding.unknown.push(format!(
                "the log of {} was cut up to entry {purged}: keep more of it (--log-keep-entries)",
                dump.name
            ));
        }
        let first = dump.entries.first().map_or(0, |entry| entry.index);
        if first > FIRST_INDEX && dump.purged.is_none() {
            finding
                .violations
                .push(format!("{}: the log begins at entry {first}", dump.name));
        }
        let gap = (first..)
            .zip(&dump.entries)
            .find(|(index, entry)| entry.index != *index);
        if let Some((index, _)) = gap {
            finding
                .violations
                .push(format!("{}: entry {index} is missing", dump.name));
        }
        let last = dump.entries.last().map_or(0, |entry| entry.index);
        if last < dump.applied {
            finding.violations.push(format!(
                "{}: the state is after entry {}, the log ends at {last}",
                dump.name, dump.applied
            ));
        }
    }
    finding
}

/// Up to where the log is committed, as far as any node knows.
fn committed(dumps: &[Dump]) -> u64 {
    let known = dumps
        .iter()
        .filter_map(|dump| dump.committed.max(Some(dump.applied)));
    known.max().unwrap_or(0)
}

/// What is committed is the same on every node that has it (log matching).
fn matching(dumps: &[Dump]) -> Finding {
    let mut finding = Finding::of("I11", "committed entries are the same on every node");
    let committed = committed(dumps);
    let mut first: BTreeMap<u64, (&str, &Entry)> = BTreeMap::new();
    for dump in dumps {
        for entry in dump.entries.iter().filter(|entry| entry.index <= committed) {
            let (name, other) = first.entry(entry.index).or_insert((&dump.name, entry));
            finding.examined += usize::from(*name != dump.name);
            if *other != entry {
                finding.violations.push(format!(
                    "entry {} is of term {} on {name} and of term {} on {}",
                    entry.index, other.term, entry.term, dump.name
                ));
            }
        }
    }
    finding
}

fn one_leader(dumps: &[Dump]) -> Finding {
    let mut finding = Finding::of(
        "I7",
        "the entries of a term are of one leader, and terms rise along the log",
    );
    let mut leaders: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for dump in dumps {
        let mut term = 0;
        for entry in &dump.entries {
            finding.examined += 1;
            leaders.entry(entry.term).or_default().insert(entry.leader);
            if entry.term < term {
                finding.violations.push(format!(
                    "{}: entry {} is of term {}, after one of term {term}",
                    dump.name, entry.index, entry.term
                ));
            }
            term = entry.term;
        }
    }
    for (term, of) in leaders.iter().filter(|(_, of)| of.len() > 1) {
        finding
            .violations
            .push(format!("term {term} has entries of leaders {of:?}"));
    }
    finding
}

impl Replay {
    fn new() -> Self {
        Self {
            world: World::begin(),
            counts: Counts::default(),
            refusals: BTreeMap::new(),
        }
    }

    /// Replays the entries after one and up to another.
    fn advance(&mut self, dump: &Dump, after: u64, upto: u64) {
        // The first entry has the index 0 in some clusters: it holds no commands.
        let due = |entry: &&Entry| (after == 0 || entry.index > after) && entry.index <= upto;
        for entry in dump.entries.iter().filter(due) {
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
        let Some(command) = &envelope.command else {
            *self.counts.unknown.entry("unreadable".to_owned()).or_default() += 1;
            return self.world.not_known();
        };
        self.counts.fenced += usize::from(envelope.fence_term.is_some());
        if let Command::PlaceRun(place) = command {
            self.counts.placements += place.placements.len();
        }
        match self.apply(entry.term, &envelope, command) {
            Ok(true) => {
                self.counts.transitions += usize::from(enters(command).is_some());
                self.world.applied();
            }
            // Answered before.
            Ok(false) => {}
            Err(Outcome::Beside) => self.world.not_known(),
            Err(Outcome::Unknown) => {
                let debug = format!("{command:?}");
                let name = debug.split('(').next().unwrap_or_default().to_owned();
                *self.counts.unknown.entry(name).or_default() += 1;
                self.world.not_known();
            }
            Err(Outcome::Refused(why)) => {
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
        }
    }

    /// True: it was applied. False: it was answered before, and changes nothing.
    fn apply(&mut self, term: u64, envelope: &wire::Envelope, command: &Command) -> Result<bool, Outcome> {
        if envelope.fence_term.is_some_and(|fence| fence != term) {
            return Err(Refused::StaleTerm.into());
        }
        self.may(envelope.principal.as_ref(), command)?;
        let tag = envelope.request.as_ref();
        let request = tag
            .and_then(|tag| tag.key.as_ref())
            .map(|key| (key.caller.clone(), key.request_id.clone()));
        let hash = tag.map(|tag| tag.hash.clone()).unwrap_or_default();
        if let Some(known) = request.as_ref().and_then(|id| self.remembered(id)) {
            if known.hash != hash {
                return Err(Refused::RequestReused.into());
            }
            return Ok(false);
        }
        let (object, created) = self.execute(command, envelope.principal.as_ref(), request.clone())?;
        if let (Some(id), Some(object)) = (request, object) {
            let expires = (!created).then_some(self.world.now + KEPT_MS);
            let row = Request {
                hash,
                object,
                expires,
            };
            self.world.requests.insert(id, row);
            self.world.touch(world::Touched::Other);
        }
        Ok(true)
    }

    fn remembered(&self, id: &RequestId) -> Option<&Request> {
        let known = self.world.requests.get(id)?;
        let lives = match &known.object {
            Object::Test(_) => true,
            Object::Run(id) => self.world.runs.contains_key(id),
            Object::Worker(id) => self.world.workers.contains_key(id),
            Object::Key(id) => self.world.keys.contains_key(id),
        };
        let over = known.expires.is_some_and(|at| at <= self.world.now);
        (lives && !over).then_some(known)
    }

    /// Whether the caller may: what nodes and workers say has none.
    #[allow(clippy::wildcard_enum_match_arm)]
    fn may(&self, principal: Option<&Id>, command: &Command) -> Result<(), Outcome> {
        let Some(principal) = principal else {
            return Ok(());
        };
        let key = self.world.key_in_force(principal)?;
        let operates = matches!(key.role, 2 | ADMIN);
        let allowed = match command {
            Command::ApplyTest(_)
            | Command::DeleteTest(_)
            | Command::StartRun(_)
            | Command::StopRun(_)
            | Command::CreateWorker(_)
            | Command::SetDrain(_)
            | Command::RegenerateToken(_)
            | Command::DeleteWorker(_) => operates,
            Command::CreateKey(_) | Command::RevokeKey(_) => key.role == ADMIN,
            Command::RegisterWorker(_) | Command::PingWorker(_) | Command::UnregisterWorker(_) => {
                operates || key.role == WORKER_ROLE
            }
            _ => false,
        };
        let project = match command {
            Command::ApplyTest(command) => Some(runs::project(&command.project)),
            Command::DeleteTest(command) => self.project_of_test(&command.test),
            Command::StartRun(command) => self.project_of_test(&command.test),
            Command::StopRun(command) => self.world.runs.get(&command.run).map(|run| run.project.clone()),
            _ => None,
        };
        let reaches = key.role == ADMIN || project.is_none_or(|project| project == key.project);
        if allowed && reaches {
            Ok(())
        } else {
            Err(Refused::Caller.into())
        }
    }

    fn project_of_test(&self, id: &Id) -> Option<String> {
        self.world.tests.get(id).map(|test| test.project.clone())
    }

    /// What the command was about, and whether it created it; no object: its answer is not remembered.
    #[allow(clippy::wildcard_enum_match_arm)]
    fn execute(
        &mut self,
        command: &Command,
        principal: Option<&Id>,
        by: Option<RequestId>,
    ) -> Result<(Option<Object>, bool), Outcome> {
        let world = &mut self.world;
        let made = match command {
            Command::ApplyTest(command) => {
                let id = world.apply_test(command, by)?;
                let created = id == command.id;
                (Object::Test(id), created)
            }
            Command::DeleteTest(command) => {
                world.delete_test(command)?;
                (Object::Test(command.test.clone()), false)
            }
            Command::StartRun(command) => {
                world.start_run(command)?;
                (Object::Run(command.run.clone()), true)
            }
            Command::CreateWorker(command) => {
                world.create_worker(command, by)?;
                (Object::Worker(command.id.clone()), true)
            }
            Command::RegisterWorker(command) => {
                let id = world.register(command, by, principal)?;
                let created = id == command.id;
                (Object::Worker(id), created)
            }
            Command::CreateKey(command) => {
                world.create_key(command)?;
                (Object::Key(command.id.clone()), true)
            }
            Command::RevokeKey(command) => {
                world.revoke_key(command)?;
                (Object::Key(command.key.clone()), false)
            }
            Command::RaiseClusterVersion(command) => {
                world.raise_cluster_version(command.version)?;
                return Ok((None, false));
            }
            Command::Report(command) => {
                world.report(command)?;
                return Ok((None, false));
            }
            Command::RecordChunk(command) => {
                world.record_chunk(command)?;
                return Ok((None, false));
            }
            Command::RecordSummary(command) => {
                world.record_summary(command)?;
                return Ok((None, false));
            }
            other => return self.execute_on(other, principal).map(|object| (object, false)),
        };
        Ok((Some(made.0), made.1))
    }

    /// Commands on what exists: on runs, or else on workers.
    #[allow(clippy::wildcard_enum_match_arm)]
    fn execute_on(&mut self, command: &Command, principal: Option<&Id>) -> Result<Option<Object>, Outcome> {
        let world = &mut self.world;
        match command {
            Command::StopRun(command) => world.stop_run(command),
            Command::QueueRun(command) => world.queue_run(command),
            Command::PlaceRun(command) => world.place_run(command),
            Command::BeginRun(command) => world.begin_run(command),
            Command::CompleteRun(command) => world.complete_run(command),
            Command::FailRun(command) => world.fail_run(command),
            Command::RejectRun(command) => world.reject_run(command),
            Command::AbandonAssignments(command) => world.abandon(command),
            other => return self.execute_on_worker(other, principal),
        }?;
        Ok(about_run(command).cloned().map(Object::Run))
    }

    #[allow(clippy::wildcard_enum_match_arm)]
    fn execute_on_worker(
        &mut self,
        command: &Command,
        principal: Option<&Id>,
    ) -> Result<Option<Object>, Outcome> {
        let world = &mut self.world;
        let worker = match command {
            Command::ConnectWorker(command) => world.connect(command).map(|()| None),
            Command::DisconnectWorker(command) => world.disconnect(command).map(|()| None),
            Command::SetLink(command) => world.set_link(command).map(|()| None),
            Command::SetHealth(command) => world.set_health(command).map(|()| None),
            Command::ExpireToken(command) => world.expire_token(command).map(|()| None),
            Command::PurgeWorker(command) => world.purge_worker(command).map(|()| None),
            Command::SetDrain(command) => world.set_drain(command).map(|()| Some(&command.worker)),
            Command::PingWorker(command) => world.ping(command, principal).map(|()| Some(&command.worker)),
            Command::UnregisterWorker(command) => world
                .unregister(command, principal)
                .map(|()| Some(&command.worker)),
            Command::RegenerateToken(command) => {
                world.regenerate_token(command).map(|()| Some(&command.worker))
            }
            Command::DeleteWorker(command) => world.delete_worker(command).map(|()| Some(&command.worker)),
            other if is_beside(other) => return Err(Outcome::Beside),
            // Newer than this model: counted, so that the replay gives no verdict that it cannot give.
            _ => return Err(Outcome::Unknown),
        }?;
        Ok(worker.cloned().map(Object::Worker))
    }
}

/// How long the answer to a request that created nothing is remembered, ms.
const KEPT_MS: u64 = 3_600_000;

enum Outcome {
    Refused(Refused),
    /// It changes nothing that is modelled here, or is refused; either way the revision is known only roughly.
    Beside,
    Unknown,
}

/// Projects, probes that start nothing, and webhooks: no run, worker, test or key is another afterwards.
fn is_beside(command: &Command) -> bool {
    matches!(
        command,
        Command::PutProject(_)
            | Command::DeleteProject(_)
            | Command::AdjustCredits(_)
            | Command::PutProbe(_)
            | Command::DeleteProbe(_)
            | Command::PauseProbe(_)
            | Command::SkipSlot(_)
            | Command::EvaluateProbe(_)
            | Command::PutWebhook(_)
            | Command::DeleteWebhook(_)
            | Command::RotateSecret(_)
            | Command::RecordDeliveries(_)
            | Command::ReplayDelivery(_)
            | Command::PauseWebhook(_)
            | Command::TestWebhook(_)
    )
}

impl From<Refused> for Outcome {
    fn from(why: Refused) -> Self {
        Self::Refused(why)
    }
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
        Command::StartRun(_) => Some(Status::Pending),
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
