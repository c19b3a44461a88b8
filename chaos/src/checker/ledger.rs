//! What endpoints did, written down outside of the system by whoever executed them, against what the API says of them (I6).
//!
//! The ledger is JSON lines, appended by the worker's side, one file a process, before anything is reported:
//!
//! ```json
//! {"at":1200,"worker":"w1","run":"…","epoch":1,"group":"callers","index":7,"event":"began"}
//! {"at":2400,"worker":"w1","run":"…","epoch":1,"group":"callers","index":7,"event":"ended","outcome":"ENDPOINT_OUTCOME_SUCCESS"}
//! ```
//!
//! `skipped`, with an outcome, is an endpoint that was told to hang up before it began; `dropped` one that the worker was told to
//! forget while it executed. A process that is killed leaves endpoints that began and did not end. The last line of its file may be torn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::verdict::Finding;
use crate::lines;

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Microseconds of [`crate::time`].
    pub at: u64,
    /// The worker's name.
    pub worker: String,
    /// The run's id.
    pub run: String,
    /// The epoch of the assignment.
    pub epoch: u64,
    /// The group's name.
    pub group: String,
    /// The endpoint within the group.
    pub index: u32,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It began to execute.
    Began,
    /// It ended.
    Ended {
        /// With this outcome, by its name in the API.
        outcome: String,
    },
    /// It ended before it had begun.
    Skipped {
        /// With this outcome, by its name in the API.
        outcome: String,
    },
    /// It executes no more, and has no outcome.
    Dropped,
}

/// What the API says of a run in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSaid {
    /// Its endpoints, if it ever began.
    pub endpoints: Vec<EndpointSaid>,
    /// Endpoints by outcome.
    pub outcomes: BTreeMap<String, u32>,
    /// Its size.
    pub total: u32,
    /// Whether it ever began.
    pub began: bool,
}

/// What the API says of an endpoint in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSaid {
    /// The group's name.
    pub group: String,
    /// The endpoint within the group.
    pub index: u32,
    /// The name of the worker that had it.
    pub worker: String,
    /// The epoch of the assignment.
    pub epoch: u64,
    /// The outcome, by its name; empty: none.
    pub outcome: String,
}

/// Who may have lost endpoints that ended well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Workers whose process ended, or that were OFFLINE, at whatever time.
    pub workers: BTreeSet<String>,
    /// Assignments that a deadline of a stop or a drain ended before the worker's word came: run and epoch.
    pub given_up: BTreeSet<(String, u64)>,
}

impl Lost {
    fn may_be(&self, run: &str, endpoint: &EndpointSaid) -> bool {
        self.workers.contains(&endpoint.worker) || self.given_up.contains(&(run.to_owned(), endpoint.epoch))
    }
}

/// What the platform says of an endpoint that was lost with its worker.
const LOST: &str = "ENDPOINT_OUTCOME_OSERROR";

/// Reads the ledger of one process; a killed one may leave a torn last line.
///
/// # Errors
/// The file cannot be read.
pub fn load(path: &Path) -> Result<Vec<Line>> {
    lines::load(path)
}

type Execution<'a> = (&'a str, u64);

/// What the ledger tells of one endpoint of a run.
#[derive(Default)]
struct Told<'a> {
    /// Worker and epoch of each time that it began.
    began: Vec<Execution<'a>>,
    /// What each ended with.
    ended: BTreeMap<Execution<'a>, &'a str>,
    /// Which were dropped.
    dropped: BTreeSet<Execution<'a>>,
}

impl<'a> Told<'a> {
    /// Takes a line in; false: it does not follow from those before.
    fn note(&mut self, execution: Execution<'a>, event: &'a Event) -> bool {
        let began = self.began.contains(&execution);
        let open = !self.dropped.contains(&execution) && !self.ended.contains_key(&execution);
        match event {
            Event::Began => {
                self.began.push(execution);
                open
            }
            Event::Ended { outcome } => {
                self.ended.insert(execution, outcome);
                began && open
            }
            Event::Skipped { outcome } => {
                self.ended.insert(execution, outcome);
                !began && open
            }
            Event::Dropped => {
                self.dropped.insert(execution);
                began && open
            }
        }
    }
}

/// What can be said without a ledger.
pub fn without(runs: &BTreeMap<String, RunSaid>) -> Vec<Finding> {
    vec![once_each(runs), sums(runs)]
}

/// Compares both sides.
pub fn all(ledger: &[Line], runs: &BTreeMap<String, RunSaid>, lost: &Lost) -> Vec<Finding> {
    let mut told: BTreeMap<(&str, &str, u32), Told<'_>> = BTreeMap::new();
    let mut sound = Finding::of("H", "the ledger is whole");
    for line in ledger {
        sound.examined += 1;
        let of = told.entry((&line.run, &line.group, line.index)).or_default();
        let execution = (line.worker.as_str(), line.epoch);
        if !of.note(execution, &line.event) {
            let what = format!("{line:?} does not follow from the lines before");
            sound.harness.push(what);
        }
    }
    vec![
        sound,
        once_each(runs),
        sums(runs),
        as_told(&told, runs, lost),
        only_assigned(&told, runs),
        executions(&told),
    ]
}

fn once_each(runs: &BTreeMap<String, RunSaid>) -> Finding {
    let mut finding = Finding::of(
        "I6",
        "every endpoint of a run that began is accounted for exactly once",
    );
    for (id, run) in runs.iter().filter(|(_, run)| run.began) {
        let mut seen = BTreeSet::new();
        for endpoint in &run.endpoints {
            finding.examined += 1;
            if !seen.insert((&endpoint.group, endpoint.index)) {
                finding
                    .violations
                    .push(format!("run {id}: {} {} twice", endpoint.group, endpoint.index));
            }
            if endpoint.outcome.is_empty() {
                let what = format!("run {id}: {} {} has no outcome", endpoint.group, endpoint.index);
                finding.violations.push(what);
            }
        }
        if seen.len() != run.total as usize {
            finding
                .violations
                .push(format!("run {id}: {} endpoints of {}", seen.len(), run.total));
        }
    }
    finding
}

fn sums(runs: &BTreeMap<String, RunSaid>) -> Finding {
    let mut finding = Finding::of("I6", "endpoints by outcome are the outcomes of the endpoints");
    for (id, run) in runs.iter().filter(|(_, run)| run.began) {
        finding.examined += 1;
        let mut counted: BTreeMap<String, u32> = BTreeMap::new();
        for endpoint in run.endpoints.iter().filter(|one| !one.outcome.is_empty()) {
            *counted.entry(endpoint.outcome.clone()).or_default() += 1;
        }
        if counted != run.outcomes {
            finding.violations.push(format!(
                "run {id} says {:?}, its endpoints {counted:?}",
                run.outcomes
            ));
        }
    }
    finding
}

fn as_told(
    told: &BTreeMap<(&str, &str, u32), Told<'_>>,
    runs: &BTreeMap<String, RunSaid>,
    may_be_lost: &Lost,
) -> Finding {
    let rule = "an outcome is what the worker wrote down, or a loss with its worker or by a deadline";
    let mut finding = Finding::of("I6", rule);
    let mut lost = 0;
    for (id, run) in runs {
        for endpoint in &run.endpoints {
            finding.examined += 1;
            let of = told.get(&(id.as_str(), endpoint.group.as_str(), endpoint.index));
            let execution = (endpoint.worker.as_str(), endpoint.epoch);
            let wrote = of.and_then(|of| of.ended.get(&execution)).copied();
            if wrote == Some(&endpoint.outcome) {
                continue;
            }
            let excused = wrote.is_none() || may_be_lost.may_be(id, endpoint);
            if endpoint.outcome == LOST && excused {
                lost += 1;
                continue;
            }
            finding.violations.push(format!(
                "run {id}: {} {} on {} in epoch {} ended with {:?} says the API, {wrote:?} says the ledger",
                endpoint.group, endpoint.index, endpoint.worker, endpoint.epoch, endpoint.outcome
            ));
        }
    }
    finding
        .notes
        .push(format!("{lost} endpoints were lost with their worker"));
    finding
}

fn only_assigned(told: &BTreeMap<(&str, &str, u32), Told<'_>>, runs: &BTreeMap<String, RunSaid>) -> Finding {
    let mut finding = Finding::of("I6", "nothing is executed but what was assigned");
    let mut assigned: BTreeSet<(&str, &str, u32, &str, u64)> = BTreeSet::new();
    for (id, run) in runs {
        for endpoint in &run.endpoints {
            assigned.insert((
                id,
                &endpoint.group,
                endpoint.index,
                &endpoint.worker,
                endpoint.epoch,
            ));
        }
    }
    for ((run, group, index), of) in told {
        for (worker, epoch) in &of.began {
            finding.examined += 1;
            if !assigned.contains(&(*run, *group, *index, *worker, *epoch)) {
                finding.violations.push(format!(
                    "run {run}: {worker} executed {group} {index} in epoch {epoch}, which it was not assigned"
                ));
            }
        }
    }
    finding
}

/// Not a rule: endpoints may be executed more than once where a worker was lost, and how often is told.
fn executions(told: &BTreeMap<(&str, &str, u32), Told<'_>>) -> Finding {
    let mut finding = Finding::of("I6", "executions of an endpoint, counted");
    let mut by_count: BTreeMap<usize, usize> = BTreeMap::new();
    for of in told.values().filter(|of| !of.began.is_empty()) {
        finding.examined += 1;
        *by_count.entry(of.began.len()).or_default() += 1;
    }
    let shown = by_count
        .iter()
        .map(|(times, endpoints)| format!("{endpoints} endpoints {times}×"));
    finding.notes.extend(shown);
    finding
}

/// Counts each process by itself: what one executed that was killed ended with it.
pub fn within_capacity(processes: &[Vec<Line>], capacities: &BTreeMap<String, u32>) -> Finding {
    let mut finding = Finding::of("I5", "no worker executes more endpoints at once than it takes");
    let mut peaks: BTreeMap<&str, usize> = BTreeMap::new();
    for lines in processes {
        let mut open: BTreeSet<(&str, u64, &str, u32)> = BTreeSet::new();
        for line in lines {
            let endpoint = (line.run.as_str(), line.epoch, line.group.as_str(), line.index);
            match &line.event {
                Event::Began => open.insert(endpoint),
                Event::Ended { .. } | Event::Dropped => open.remove(&endpoint),
                Event::Skipped { .. } => continue,
            };
            finding.examined += 1;
            let peak = peaks.entry(&line.worker).or_default();
            // Said once for each height that is too much.
            if open.len() > *peak {
                *peak = open.len();
                finding.violations.extend(too_many(line, *peak, capacities));
            }
        }
    }
    for (worker, peak) in peaks {
        match capacities.get(worker) {
            Some(capacity) => finding
                .notes
                .push(format!("{worker}: at most {peak} of {capacity}")),
            None => finding.harness.push(format!("nobody says what {worker} takes")),
        }
    }
    finding
}

fn too_many(line: &Line, open: usize, capacities: &BTreeMap<String, u32>) -> Option<String> {
    let capacity = *capacities.get(&line.worker)?;
    (open > capacity as usize).then(|| {
        format!(
            "{} executes {open} endpoints at {} µs and takes {capacity}",
            line.worker, line.at
        )
    })
}

#[cfg(test)]
mod tests;
