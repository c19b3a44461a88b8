//! A scenario in numbers: what was asked and answered, which faults bit, what the cluster went through. For the report, and for what a
//! run must reach.

use std::collections::BTreeMap;

use serde::Serialize;

use super::recovery::{self, Measured};
use super::samples;
use super::story::{FaultSpan, Story};
use super::verdict::Finding;
use crate::dump::Dump;
use crate::event::{Phase, What};
use crate::fault::{Fault, Healing, Injection};
use crate::history::op::{Op, Res};
use crate::net::NetFault;

/// Faults of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultCount {
    /// How many were to be injected.
    pub planned: usize,
    /// How many were in force.
    pub installed: usize,
    /// How many of them hit something.
    pub effective: usize,
    /// How many could not be had here.
    pub skipped: usize,
    /// How many may have been in force, or may still be.
    pub indeterminate: usize,
    /// What was seen of them, summed by what it was.
    pub proof: BTreeMap<String, u64>,
}

/// Calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OpCount {
    /// All.
    pub total: usize,
    /// Answered.
    pub ok: usize,
    /// Refused, or reads without an answer.
    pub fail: usize,
    /// Without a known end.
    pub info: usize,
}

/// Everything.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// Faults by kind.
    pub faults: BTreeMap<String, FaultCount>,
    /// All calls.
    pub ops: OpCount,
    /// Calls before the first fault.
    pub warm_up: OpCount,
    /// Those that may change something.
    pub mutations: OpCount,
    /// Writes that were acknowledged before a power cut of a node.
    pub before_power_cuts: usize,
    /// How often another node began to lead.
    pub leader_changes: usize,
    /// How often a node took the whole state from another.
    pub snapshot_installs: usize,
    /// From faults of leaders to writes, milliseconds.
    pub failovers_ms: Vec<u64>,
    /// Longest time between writes by kind of fault, milliseconds.
    pub gaps_ms: BTreeMap<String, u64>,
    /// The longest of all, milliseconds.
    pub gap_ms: u64,
    /// How much later than its threshold each worker was OFFLINE that was silent, milliseconds.
    pub offline_ms: Vec<i64>,
}

impl OpCount {
    fn add(&mut self, op: &Op) {
        self.total += 1;
        match op.res {
            Res::Ok => self.ok += 1,
            Res::Fail => self.fail += 1,
            Res::Info => self.info += 1,
        }
    }

    /// The same of two scenarios.
    pub fn plus(&mut self, other: Self) {
        self.total += other.total;
        self.ok += other.ok;
        self.fail += other.fail;
        self.info += other.info;
    }
}

impl Tally {
    /// Of a scenario.
    pub fn of(story: &Story<'_>, ops: &[Op], dumps: &[Dump], offline_ms: Vec<i64>) -> Self {
        let Measured {
            failovers_ms,
            gaps_ms,
            gap_ms,
        } = recovery::measure(story, ops);
        let mut tally = Self {
            leader_changes: samples::leader_changes(story),
            snapshot_installs: snapshot_installs(story, dumps),
            failovers_ms,
            gaps_ms: gaps_ms
                .into_iter()
                .map(|(kind, gap)| (kind.to_owned(), gap))
                .collect(),
            gap_ms,
            offline_ms,
            ..Self::default()
        };
        let warm_until = phase_begins(story, Phase::Faults).unwrap_or(0);
        let cut = power_cuts(story).max().unwrap_or(0);
        for op in ops {
            tally.ops.add(op);
            if op.inv / 1_000 < warm_until {
                tally.warm_up.add(op);
            }
            if op.f.mutates() {
                tally.mutations.add(op);
                let before = op.res == Res::Ok && op.ret.is_some_and(|ret| ret / 1_000 < cut);
                tally.before_power_cuts += usize::from(before);
            }
        }
        for span in &story.faults {
            tally
                .faults
                .entry(span.fault.label().to_owned())
                .or_default()
                .add(span);
        }
        tally
    }

    /// The same of two scenarios.
    pub fn plus(&mut self, other: &Self) {
        for (kind, count) in &other.faults {
            self.faults.entry(kind.clone()).or_default().plus(count);
        }
        self.ops.plus(other.ops);
        self.warm_up.plus(other.warm_up);
        self.mutations.plus(other.mutations);
        self.before_power_cuts += other.before_power_cuts;
        self.leader_changes += other.leader_changes;
        self.snapshot_installs += other.snapshot_installs;
        self.failovers_ms.extend(&other.failovers_ms);
        for (kind, gap) in &other.gaps_ms {
            let known = self.gaps_ms.entry(kind.clone()).or_default();
            *known = (*known).max(*gap);
        }
        self.gap_ms = self.gap_ms.max(other.gap_ms);
        self.offline_ms.extend(&other.offline_ms);
    }
}

impl FaultCount {
    fn add(&mut self, span: &FaultSpan<'_>) {
        self.planned += 1;
        self.effective += usize::from(effective(span));
        match span.result {
            Injection::Installed(proof) => {
                self.installed += 1;
                let seen = self.proof.entry(what(&proof.seen)).or_default();
                *seen += proof.count;
            }
            Injection::Skipped(_) => self.skipped += 1,
            Injection::Indeterminate(_) => self.indeterminate += 1,
        }
        match span.healed {
            Some((_, Healing::Healed(proof))) => {
                *self.proof.entry(what(&proof.seen)).or_default() += proof.count
            }
            Some((_, Healing::Failed(_))) => self.indeterminate += 1,
            None => {}
        }
    }

    fn plus(&mut self, other: &Self) {
        self.planned += other.planned;
        self.installed += other.installed;
        self.effective += other.effective;
        self.skipped += other.skipped;
        self.indeterminate += other.indeterminate;
        for (what, count) in &other.proof {
            *self.proof.entry(what.clone()).or_default() += count;
        }
    }
}

/// What was seen, without whom it was seen of: that is behind brackets.
fn what(seen: &str) -> String {
    seen.split(" (").next().unwrap_or(seen).to_owned()
}

/// Whether a fault hit something. What only waits to be hit says how often it was when it is healed; our own datagrams, by which
/// it was found to be installed, do not count.
pub fn effective(span: &FaultSpan<'_>) -> bool {
    let Injection::Installed(installed) = span.result else {
        return false;
    };
    let hits = match span.healed {
        Some((_, Healing::Healed(proof))) => proof.count,
        Some((_, Healing::Failed(_))) | None => 0,
    };
    match span.fault {
        Fault::Net(NetFault::LinkDown { .. } | NetFault::Reset { .. })
        | Fault::Kill { .. }
        | Fault::Pause { .. }
        | Fault::PowerCut { .. }
        | Fault::DiskFull { .. }
        | Fault::SlowDisk { .. }
        | Fault::Flip { .. }
        | Fault::Clock { .. } => installed.count > 0,
        Fault::Net(
            NetFault::Cut { .. }
            | NetFault::Loss { .. }
            | NetFault::Duplicate { .. }
            | NetFault::Delay { .. },
        ) => hits > installed.count,
        Fault::Cpu { .. } | Fault::Memory { .. } | Fault::Sync { .. } | Fault::Write { .. } => hits > 0,
    }
}

/// Whether the harness knows of every fault whether it was in force.
pub fn faults_known(story: &Story<'_>) -> Finding {
    let mut finding = Finding::of(
        "H",
        "every fault was in force, and healed, or is known not to have been",
    );
    for span in &story.faults {
        finding.examined += 1;
        let label = span.fault.label();
        match span.result {
            Injection::Installed(_) => {}
            Injection::Skipped(why) => finding.notes.push(format!("{label} was skipped: {why}")),
            Injection::Indeterminate(why) => {
                let what = format!("{label} may be in force since {} µs: {why}", span.at);
                finding.harness.push(what);
            }
        }
        if let Some((at, Healing::Failed(why))) = span.healed {
            let what = format!("{label} may still be in force at {at} µs: {why}");
            finding.harness.push(what);
        }
    }
    finding
}

fn phase_begins(story: &Story<'_>, wanted: Phase) -> Option<u64> {
    let begins = |what: &What| matches!(what, What::Phase { phase } if *phase == wanted);
    let mut events = story.events.iter();
    events.find(|event| begins(&event.what)).map(|event| event.at)
}

fn power_cuts(story: &Story<'_>) -> impl Iterator<Item = u64> {
    let cuts = story.faults.iter().filter(|span| span.installed());
    cuts.filter(|span| matches!(span.fault, Fault::PowerCut { .. }))
        .map(|span| span.at)
}

/// By the disks: each snapshot that is installed begins the state anew. A node that is not there any more may have told its watcher.
fn snapshot_installs(story: &Story<'_>, dumps: &[Dump]) -> usize {
    let on_disk: u64 = dumps.iter().map(|dump| dump.generation.saturating_sub(1)).sum();
    let told = story
        .events
        .iter()
        .filter(|event| matches!(event.what, What::StateReplaced { .. }));
    usize::try_from(on_disk).unwrap_or(usize::MAX).max(told.count())
}

#[cfg(test)]
mod tests;
