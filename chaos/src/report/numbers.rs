//! Figures of a run that are not about one check.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::checker::ledger::{Event, Line};
use crate::checker::replay::Replayed;
use crate::history::op::Res;
use crate::judge::Evidence;

/// Summed over scenarios.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Numbers {
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Things that were acknowledged and are not there, as the checks of I2 say.
    pub lost: usize,
    /// Plans of leaders of an older term that the log rejected.
    pub stale_rejected: usize,
    /// How many endpoints were executed once, twice, …
    pub executions: BTreeMap<usize, usize>,
    /// What is on disks, and was replayed.
    pub entries: usize,
    /// Objects whose history was judged.
    pub keys: usize,
}

impl Numbers {
    /// Of one scenario.
    pub fn of(evidence: &Evidence, replayed: &Replayed, ledger: &[Line]) -> Self {
        let acknowledged = evidence
            .ops
            .iter()
            .filter(|op| op.f.mutates() && op.res == Res::Ok);
        let stale = replayed
            .lines
            .iter()
            .filter(|line| line.fence.is_some_and(|fence| fence != line.term));
        let keys: BTreeSet<&str> = evidence.ops.iter().map(|op| op.k.as_str()).collect();
        Self {
            acknowledged: acknowledged.count(),
            stale_rejected: stale.count(),
            executions: executions(ledger),
            entries: evidence.dumps.iter().map(|dump| dump.entries.len()).sum(),
            keys: keys.len(),
            lost: 0,
        }
    }

    /// One more scenario.
    pub fn plus(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.stale_rejected += other.stale_rejected;
        self.entries += other.entries;
        self.keys += other.keys;
        for (times, endpoints) in &other.executions {
            *self.executions.entry(*times).or_default() += endpoints;
        }
    }
}

fn executions(ledger: &[Line]) -> BTreeMap<usize, usize> {
    let mut by_endpoint: BTreeMap<(&str, &str, u32), usize> = BTreeMap::new();
    for line in ledger.iter().filter(|line| line.event == Event::Began) {
        *by_endpoint
            .entry((&line.run, &line.group, line.index))
            .or_default() += 1;
    }
    let mut executions = BTreeMap::new();
    for times in by_endpoint.into_values() {
        *executions.entry(times).or_default() += 1;
    }
    executions
}
