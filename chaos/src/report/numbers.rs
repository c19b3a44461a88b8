//! Figures of a run that are not about one check.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::checker::ledger::{Event, Line};
use crate::checker::verdict::Finding;
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
    /// From the last word of a worker until it was OFFLINE, as the checks of I9 measured it, by scenario.
    pub offline: Vec<String>,
    /// What is on disks, and was replayed.
    pub entries: usize,
    /// Objects whose history was judged.
    pub keys: usize,
}

impl Numbers {
    /// One more scenario.
    pub fn add(&mut self, evidence: &Evidence, findings: &[Finding], ledger: &[Line]) {
        let acknowledged = evidence
            .ops
            .iter()
            .filter(|op| op.f.mutates() && op.res == Res::Ok);
        self.acknowledged += acknowledged.count();
        let of = |invariant: &'static str| {
            findings
                .iter()
                .filter(move |finding| finding.invariant == invariant)
        };
        self.lost += of("I2").map(|finding| finding.violations.len()).sum::<usize>();
        let replayed = evidence.replay();
        self.entries += evidence.dumps.iter().map(|dump| dump.entries.len()).sum::<usize>();
        let stale = replayed
            .lines
            .iter()
            .filter(|line| line.fence.is_some_and(|fence| fence != line.term));
        self.stale_rejected += stale.count();
        let mut keys: Vec<&str> = evidence.ops.iter().map(|op| op.k.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        self.keys += keys.len();
        self.count_executions(ledger);
        let told = of("I9").flat_map(|finding| &finding.notes);
        self.offline
            .extend(told.map(|note| format!("{}: {note}", evidence.setting.scenario)));
    }

    fn count_executions(&mut self, ledger: &[Line]) {
        let mut by_endpoint: BTreeMap<(&str, &str, u32), usize> = BTreeMap::new();
        for line in ledger.iter().filter(|line| line.event == Event::Began) {
            *by_endpoint
                .entry((&line.run, &line.group, line.index))
                .or_default() += 1;
        }
        for times in by_endpoint.into_values() {
            *self.executions.entry(times).or_default() += 1;
        }
    }
}
