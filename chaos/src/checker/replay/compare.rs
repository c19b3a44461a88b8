//! What the model says against what is on disk, and which invariant a difference is about.

use std::collections::BTreeMap;

use reeve_proto::internal as wire;
use wire::row::Row as Kind;

use super::world::{Assignment, Id, Refused, Run, uuid};
use super::{Refusal, Replay};
use crate::checker::model::run::Status;
use crate::checker::verdict::Finding;
use crate::dump::Dump;

/// The rules, by what a difference is about; in the order of the findings.
const EDGES: usize = 0;
const CAPACITY: usize = 1;
const FENCE: usize = 2;
const DRAIN: usize = 3;
const SAME: usize = 4;

struct Found(Vec<Finding>);

impl Found {
    fn new(replay: &Replay) -> Self {
        let counts = &replay.counts;
        let of = |invariant, rule, examined| Finding {
            examined,
            ..Finding::of(invariant, rule)
        };
        let mut found = vec![
            of(
                "I3",
                "a run takes only the edges, and none from where it ended",
                counts.transitions,
            ),
            of("I5", "no placement beyond the capacity", counts.placements),
            of(
                "I7",
                "what a leader proposed in another term is not applied",
                counts.fenced,
            ),
            of(
                "I8",
                "no placement on a worker that drains, or is not ONLINE",
                counts.placements,
            ),
            of("I2", "the state on disk is what the log gives", 0),
        ];
        let refused =
            |why: &[Refused]| -> usize { why.iter().filter_map(|why| counts.refused.get(why)).sum() };
        let notes = [
            (
                EDGES,
                refused(&[Refused::Status, Refused::NotYet, Refused::Stale]),
            ),
            (CAPACITY, refused(&[Refused::Capacity])),
            (FENCE, refused(&[Refused::StaleTerm])),
            (DRAIN, refused(&[Refused::Draining, Refused::NotOnline])),
        ];
        for (rule, count) in notes {
            found[rule].notes.push(format!("{count} attempts refused"));
        }
        found[SAME].notes.push(format!(
            "{} entries, {} commands",
            counts.entries, counts.commands
        ));
        if !counts.unknown.is_empty() {
            for finding in &mut found {
                let what = format!("the model does not know the commands {:?}", counts.unknown);
                finding.unknown.push(what);
            }
        }
        Self(found)
    }

    fn add(&mut self, rule: usize, violation: String) {
        self.0[rule].violations.push(violation);
    }
}

/// Compares every row that the model has as well.
pub fn all(replay: &Replay, dump: &Dump) -> Vec<Finding> {
    let mut found = Found::new(replay);
    let mut assignments: BTreeMap<(Id, u32), &wire::Assignment> = BTreeMap::new();
    let mut runs: BTreeMap<Id, &wire::Run> = BTreeMap::new();
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &dump.rows {
        match &row.row {
            Some(Kind::Test(row)) => {
                *rows.entry("tests").or_default() += 1;
                test(replay, dump, row, &mut found);
            }
            Some(Kind::Run(row)) => drop(runs.insert(row.id.clone(), row)),
            Some(Kind::Assignment(row)) => {
                let key = row.key.clone().unwrap_or_default();
                assignments.insert((key.run, key.ordinal), row);
            }
            Some(Kind::Worker(row)) => {
                *rows.entry("workers").or_default() += 1;
                worker(replay, dump, row, &mut found);
            }
            // What they hold follows from the others, or is about none of the invariants.
            _ => {}
        }
    }
    rows.insert("runs", runs.len());
    rows.insert("assignments", assignments.len());
    found.0[SAME].examined += rows.values().sum::<usize>() + 1;
    let world = &replay.world;
    let expected = [
        ("tests", world.tests.len()),
        ("workers", world.workers.len()),
        ("runs", world.runs.len()),
        ("assignments", world.assignments.len()),
    ];
    for (table, count) in expected {
        let there = rows.get(table).copied().unwrap_or(0);
        if there != count {
            let what = format!("{}: {there} {table} on disk, {count} in the replay", dump.name);
            found.add(SAME, what);
        }
    }
    for (id, row) in &runs {
        run(replay, dump, id, row, &mut found);
    }
    for (key, row) in &assignments {
        assignment(replay, dump, key, row, &mut found);
    }
    if let Some(revision) = world.revision.exact()
        && revision != dump.meta.revision
    {
        let what = format!(
            "{}: revision {} on disk, {revision} in the replay",
            dump.name, dump.meta.revision
        );
        found.add(SAME, what);
    }
    found.0
}

fn test(replay: &Replay, dump: &Dump, row: &wire::Test, found: &mut Found) {
    let model = replay.world.tests.get(&row.id);
    let same = model
        .is_some_and(|test| test.version == row.version && Some(&test.definition) == row.definition.as_ref());
    if !same {
        let what = format!(
            "{}: test {} has version {} on disk, {:?} in the replay",
            dump.name,
            uuid(&row.id),
            row.version,
            model.map(|test| test.version)
        );
        found.add(SAME, what);
    }
}

fn worker(replay: &Replay, dump: &Dump, row: &wire::Worker, found: &mut Found) {
    let disk = (
        row.link.as_ref().map_or(0, |link| link.link),
        row.drain.as_ref().map(|drain| drain.reason.clone()),
        row.deleted_at_ms,
        row.session.as_ref().map(|session| session.epoch),
        row.last_epoch,
        (row.configured_capacity, row.reported_capacity),
        row.token_hash.clone(),
        row.credential_rejected.is_some(),
    );
    let model = replay.world.workers.get(&row.id).map(|worker| {
        (
            worker.link,
            worker.drain.as_ref().map(|drain| drain.reason.clone()),
            worker.deleted_at,
            worker.session.as_ref().map(|(epoch, _)| *epoch),
            worker.last_epoch,
            (worker.configured, worker.reported),
            worker.token.clone(),
            worker.rejected,
        )
    });
    if model.as_ref() != Some(&disk) {
        let what = format!(
            "{}: worker {} is {disk:?} on disk, {model:?} in the replay",
            dump.name, row.name
        );
        found.add(SAME, what);
    }
}

fn run(replay: &Replay, dump: &Dump, id: &Id, row: &wire::Run, found: &mut Found) {
    let disk: Vec<Option<Status>> = row
        .timeline
        .iter()
        .map(|entry| Status::numbered(entry.status))
        .collect();
    let name = uuid(id);
    let broken = disk.windows(2).find(|pair| {
        let edge = pair[0].zip(pair[1]);
        !edge.is_some_and(|(from, to)| from.edge_to(to))
    });
    if broken.is_some() || disk.first() != Some(&Some(Status::Pending)) {
        found.add(EDGES, format!("{}: run {name} went {disk:?}", dump.name));
        return;
    }
    let Some(model) = replay.world.runs.get(id) else {
        let what = format!("{}: run {name} is on disk, and not in the replay", dump.name);
        return found.add(SAME, what);
    };
    let replayed: Vec<Option<Status>> = model.timeline.iter().copied().map(Some).collect();
    if disk != replayed {
        let first = disk
            .iter()
            .zip(&replayed)
            .take_while(|(one, other)| one == other)
            .count();
        let odd = disk.get(first).copied().flatten();
        let cause = refusals(replay, id).find(|refusal| odd.is_some() && refusal.enters == odd);
        let what = format!(
            "{}: run {name} went {disk:?} on disk, {replayed:?} in the replay{}",
            dump.name,
            because(cause)
        );
        return found.add(rule_of(cause, EDGES), what);
    }
    let stop = row.stop_requested_at_ms.is_some();
    if (stop, row.assignments) != (model.stop_requested, model.assignments) {
        let cause = refusals(replay, id).find(|refusal| !refusal.places_on.is_empty());
        let what = format!(
            "{}: run {name} has {} assignments and stop {stop} on disk, {} and {} in the replay{}",
            dump.name,
            row.assignments,
            model.assignments,
            model.stop_requested,
            because(cause)
        );
        found.add(rule_of(cause, SAME), what);
    } else if let Some(revision) = same_revision(model, row) {
        let what = format!(
            "{}: run {name} is of revision {} on disk, {revision} in the replay",
            dump.name, row.revision
        );
        found.add(SAME, what);
    }
}

fn same_revision(model: &Run, row: &wire::Run) -> Option<u64> {
    model
        .revision
        .exact()
        .filter(|revision| *revision != row.revision)
}

fn assignment(replay: &Replay, dump: &Dump, key: &(Id, u32), row: &wire::Assignment, found: &mut Found) {
    let disk = Placed {
        worker: row.worker.clone(),
        range: (row.group, row.first, row.count),
        epoch: row.epoch,
        status: row.status,
        started: row.started,
        lost: row.lost,
        acked: row.acked_seq,
        outcomes: row.outcomes.clone(),
    };
    let model = replay.world.assignments.get(key).map(placed);
    if model.as_ref() == Some(&disk) {
        return;
    }
    // Only a placement that should have been refused explains another worker.
    let placed_alike = model.as_ref().is_some_and(|model| model.worker == disk.worker);
    let cause =
        refusals(replay, &key.0).find(|refusal| !placed_alike && refusal.places_on.contains(&disk.worker));
    let what = format!(
        "{}: assignment {} of run {} is {disk:?} on disk, {model:?} in the replay{}",
        dump.name,
        key.1,
        uuid(&key.0),
        because(cause)
    );
    found.add(rule_of(cause, SAME), what);
}

#[derive(Debug, PartialEq, Eq)]
struct Placed {
    worker: Id,
    range: (u32, u32, u32),
    epoch: u64,
    status: u32,
    started: bool,
    lost: bool,
    acked: u64,
    outcomes: Vec<u32>,
}

fn placed(model: &Assignment) -> Placed {
    let mut outcomes = vec![0; 8];
    for (_, outcome) in &model.endpoints {
        if let Some(count) = usize::from(*outcome)
            .checked_sub(1)
            .and_then(|at| outcomes.get_mut(at))
        {
            *count += 1;
        }
    }
    Placed {
        worker: model.worker.clone(),
        range: (model.group, model.first, model.count),
        epoch: model.epoch,
        status: model.status,
        started: model.started,
        lost: model.lost,
        acked: model.acked,
        outcomes,
    }
}

fn refusals<'a>(replay: &'a Replay, run: &Id) -> impl Iterator<Item = &'a Refusal> {
    replay.refusals.get(run).into_iter().flatten()
}

fn because(cause: Option<&Refusal>) -> String {
    cause.map_or_else(String::new, |refusal| {
        format!("; entry {} was to be refused: {:?}", refusal.index, refusal.why)
    })
}

fn rule_of(cause: Option<&Refusal>, otherwise: usize) -> usize {
    match cause.map(|refusal| refusal.why) {
        Some(Refused::Capacity) => CAPACITY,
        Some(Refused::StaleTerm) => FENCE,
        Some(Refused::Draining | Refused::NotOnline) => DRAIN,
        Some(Refused::Status | Refused::NotYet | Refused::Stale) => EDGES,
        Some(
            Refused::Caller
            | Refused::RequestReused
            | Refused::Missing
            | Refused::Taken
            | Refused::Placement
            | Refused::Session
            | Refused::Report,
        )
        | None => otherwise,
    }
}
