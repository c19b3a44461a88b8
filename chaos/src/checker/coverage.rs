//! What a run must have been, over all its scenarios: one in which nothing was asked or nothing broke has shown nothing.

use std::collections::BTreeMap;

use serde::Serialize;

use super::tally::Tally;
use super::verdict::{Finding, Word};

/// The least that a profile asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Minimums {
    /// Calls that are answered before the first fault, per cent.
    pub ok_percent: usize,
    /// Kinds of faults, as the report calls them: each must have bitten once.
    pub faults: Vec<String>,
    /// How often another node must begin to lead.
    pub leader_changes: usize,
    /// How often a node must take the whole state from another.
    pub snapshot_installs: usize,
    /// Calls that change something and are answered.
    pub mutations: usize,
}

/// What a run lacks.
pub fn lacks(tally: &Tally, minimums: &Minimums) -> Vec<String> {
    let mut lacks = Vec::new();
    let mut least = |what: &str, is: usize, least: usize| {
        if is < least {
            lacks.push(format!("{what}: {is}, at least {least} are wanted"));
        }
    };
    least(
        "changes of the leader",
        tally.leader_changes,
        minimums.leader_changes,
    );
    least(
        "snapshots installed",
        tally.snapshot_installs,
        minimums.snapshot_installs,
    );
    least("writes acknowledged", tally.mutations.ok, minimums.mutations);
    let warm = tally.warm_up;
    let percent = warm.ok * 100 / warm.total.max(1);
    least(
        "per cent of calls answered in warm-up",
        percent,
        minimums.ok_percent,
    );
    for kind in &minimums.faults {
        let count = tally.faults.get(kind).cloned().unwrap_or_default();
        if count.effective == 0 {
            lacks.push(format!(
                "fault {kind}: none hit anything ({} planned, {} installed, {} skipped, {} indeterminate)",
                count.planned, count.installed, count.skipped, count.indeterminate
            ));
        }
    }
    lacks
}

/// Rules that looked at nothing in any scenario.
pub fn unexamined(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .filter(|finding| finding.word() == Word::NotCovered)
        .map(|finding| format!("{}: {}", finding.invariant, finding.rule))
        .collect()
}

/// The same checks of all scenarios, as one each.
pub fn merged<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Finding> {
    let mut order: Vec<(&str, &str)> = Vec::new();
    let mut merged: BTreeMap<(&str, &str), Finding> = BTreeMap::new();
    for finding in findings {
        let key = (finding.invariant, finding.rule);
        let sum = merged.entry(key).or_insert_with(|| {
            order.push(key);
            Finding::of(finding.invariant, finding.rule)
        });
        sum.examined += finding.examined;
        sum.violations.extend(finding.violations.iter().cloned());
        sum.unknown.extend(finding.unknown.iter().cloned());
        sum.harness.extend(finding.harness.iter().cloned());
        sum.notes.extend(finding.notes.iter().cloned());
    }
    order.iter().filter_map(|key| merged.remove(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::tally::{FaultCount, OpCount};

    fn tally() -> Tally {
        let effective = FaultCount {
            planned: 1,
            installed: 1,
            effective: 1,
            ..FaultCount::default()
        };
        let count = |ok| OpCount {
            total: 100,
            ok,
            ..OpCount::default()
        };
        Tally {
            faults: [("kill".to_owned(), effective)].into(),
            warm_up: count(99),
            mutations: count(50),
            leader_changes: 2,
            snapshot_installs: 1,
            ..Tally::default()
        }
    }

    fn minimums() -> Minimums {
        Minimums {
            ok_percent: 95,
            faults: vec!["kill".to_owned()],
            leader_changes: 2,
            snapshot_installs: 1,
            mutations: 50,
        }
    }

    #[test]
    fn a_run_that_reached_everything_lacks_nothing() {
        assert_eq!(lacks(&tally(), &minimums()), Vec::<String>::new());
    }

    #[test]
    fn each_minimum_that_is_missed_is_said() {
        type Edit = fn(&mut Tally);
        let table: [(&str, Edit); 6] = [
            ("changes of the leader: 1", |tally| tally.leader_changes = 1),
            ("snapshots installed: 0", |tally| tally.snapshot_installs = 0),
            ("writes acknowledged: 49", |tally| tally.mutations.ok = 49),
            ("answered in warm-up: 94", |tally| tally.warm_up.ok = 94),
            ("fault kill: none hit anything (0 planned", |tally| {
                tally.faults.clear();
            }),
            ("1 planned, 0 installed, 1 skipped", |tally| {
                let count = FaultCount {
                    planned: 1,
                    skipped: 1,
                    ..FaultCount::default()
                };
                tally.faults.insert("kill".to_owned(), count);
            }),
        ];
        for (text, edit) in table {
            let mut tally = tally();
            edit(&mut tally);
            let lacks = lacks(&tally, &minimums());
            assert!(lacks.len() == 1 && lacks[0].contains(text), "{text}: {lacks:?}");
        }
    }

    #[test]
    fn a_run_without_calls_has_no_share_of_answers() {
        let mut tally = tally();
        tally.warm_up = OpCount::default();
        assert_eq!(lacks(&tally, &minimums()).len(), 1);
    }

    #[test]
    fn a_rule_must_be_looked_at_in_one_scenario_at_least() {
        let finding = |rule, examined| Finding {
            examined,
            ..Finding::of("I9", rule)
        };
        let all = [finding("a", 0), finding("b", 0), finding("a", 3), finding("b", 0)];
        let merged = merged(&all);
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[0].examined, 3);
        assert_eq!(unexamined(&merged), ["I9: b"]);
    }
}
