//! The checks: pure functions of what happened and of what the nodes hold in the end. Each says what it looked at, so that
//! a check of nothing counts as failed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::checker::verdict::Finding;
use crate::finals::{NodeFinal, is_terminal};
use crate::history::{Attempt, Call, Outcome, Records};

/// Each rule, and the invariant that it is about.
const RULES: [(&str, &str); 10] = [
    ("I2", ACKNOWLEDGED_RUNS),
    ("I2", ACKNOWLEDGED_TESTS),
    ("I2", ONE_RUN),
    ("I2", NO_OTHER_RUNS),
    ("I12", OUTCOMES),
    ("I12", NO_REFUSALS),
    ("I1", FRESH_READS),
    ("I12", ALL_END),
    ("I6", SUMS),
    ("I11", SAME_STATES),
];
const ACKNOWLEDGED_RUNS: &str = "every run that was acknowledged exists on every node";
const ACKNOWLEDGED_TESTS: &str = "no acknowledged version of a test is lost";
const ONE_RUN: &str = "one request id gives one run";
const NO_OTHER_RUNS: &str = "no run exists that nobody asked for";
const OUTCOMES: &str = "every request got an outcome in the end";
const NO_REFUSALS: &str = "no good request is refused";
const FRESH_READS: &str = "a linearizable read sees what was acknowledged before it";
const ALL_END: &str = "every run ends";
const SUMS: &str = "endpoints by outcome sum to the size in every run that began";
const SAME_STATES: &str = "all nodes hold the same state at the same entry";

/// What these checks found, in the directory of a scenario: they need what was in memory then.
pub const FILE: &str = "checks.json";

/// Reads [`FILE`].
///
/// # Errors
/// It cannot be read, or has a rule that is not one of these.
pub fn load(path: &Path) -> Result<Vec<Finding>> {
    #[derive(Deserialize)]
    struct Stored {
        rule: String,
        examined: usize,
        violations: Vec<String>,
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let stored: Vec<Stored> = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let each = stored.into_iter().map(|stored| {
        let rule = RULES.iter().find(|(_, rule)| *rule == stored.rule);
        let (_, rule) = rule.with_context(|| format!("{}: {:?}?", path.display(), stored.rule))?;
        Ok(checked(rule, stored.examined, stored.violations))
    });
    each.collect()
}

/// Everything that is judged.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What happened.
    pub records: Records,
    /// What each node holds.
    pub nodes: Vec<NodeFinal>,
}

/// Every check, in the order of the report.
pub fn all(evidence: &Evidence) -> Vec<Finding> {
    let attempts = &evidence.records.attempts;
    vec![
        acknowledged_runs(attempts, &evidence.nodes),
        acknowledged_tests(attempts, &evidence.nodes),
        one_run_a_request(attempts),
        no_other_runs(attempts, &evidence.nodes),
        every_outcome_known(attempts),
        no_refusals(attempts),
        fresh_reads(evidence),
        all_terminal(&evidence.nodes),
        endpoints_sum_up(&evidence.nodes),
        same_states(&evidence.nodes),
    ]
}

fn checked(rule: &'static str, examined: usize, violations: Vec<String>) -> Finding {
    let invariant = RULES.iter().find(|(_, of)| *of == rule).map_or("H", |(of, _)| of);
    Finding {
        examined,
        violations,
        ..Finding::of(invariant, rule)
    }
}

/// Requests to start a run, each with the runs that were answered to it.
fn runs_by_request(attempts: &[Attempt]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut by_request: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for attempt in attempts
        .iter()
        .filter(|attempt| matches!(attempt.call, Call::StartRun { .. }))
    {
        let runs = by_request.entry(&attempt.request_id).or_default();
        if let Outcome::RunStarted { run } = &attempt.outcome {
            runs.insert(run);
        }
    }
    by_request
}

fn acknowledged_runs(attempts: &[Attempt], nodes: &[NodeFinal]) -> Finding {
    let by_request = runs_by_request(attempts);
    let acknowledged: BTreeSet<&str> = by_request.values().flatten().copied().collect();
    let mut violations = Vec::new();
    for node in nodes {
        let lost = acknowledged.iter().filter(|run| !node.runs.contains_key(**run));
        violations.extend(lost.map(|run| format!("run {run} was acknowledged and is not on {}", node.name)));
    }
    checked(ACKNOWLEDGED_RUNS, acknowledged.len() * nodes.len(), violations)
}

fn acknowledged_tests(attempts: &[Attempt], nodes: &[NodeFinal]) -> Finding {
    let mut newest: BTreeMap<&str, u32> = BTreeMap::new();
    for attempt in attempts {
        if let (Call::ApplyTest { name }, Outcome::TestStored { version }) = (&attempt.call, &attempt.outcome)
        {
            let known = newest.entry(name).or_default();
            *known = (*known).max(*version);
        }
    }
    let mut violations = Vec::new();
    for node in nodes {
        for (name, version) in &newest {
            let held = node.tests.get(*name).copied().unwrap_or(0);
            if held < *version {
                violations.push(format!(
                    "test {name}: version {version} was acknowledged, {} has {held}",
                    node.name
                ));
            }
        }
    }
    checked(ACKNOWLEDGED_TESTS, newest.len() * nodes.len(), violations)
}

fn one_run_a_request(attempts: &[Attempt]) -> Finding {
    let by_request = runs_by_request(attempts);
    let several = by_request.iter().filter(|(_, runs)| runs.len() > 1);
    let violations = several
        .map(|(id, runs)| format!("request {id} gave {runs:?}"))
        .collect();
    checked(ONE_RUN, by_request.len(), violations)
}

fn no_other_runs(attempts: &[Attempt], nodes: &[NodeFinal]) -> Finding {
    let by_request = runs_by_request(attempts);
    let answered: BTreeSet<&str> = by_request.values().flatten().copied().collect();
    let unanswered = by_request.values().filter(|runs| runs.is_empty()).count();
    let mut violations = Vec::new();
    let mut examined = 0;
    for node in nodes {
        examined += node.runs.len();
        let others: Vec<&String> = node
            .runs
            .keys()
            .filter(|run| !answered.contains(run.as_str()))
            .collect();
        if others.len() > unanswered {
            violations.push(format!(
                "{} has {} runs that answer no request, and only {unanswered} requests have no answer: {others:?}",
                node.name,
                others.len()
            ));
        }
    }
    checked(NO_OTHER_RUNS, examined, violations)
}

/// Once faults are over, repeating a request must tell its outcome.
fn every_outcome_known(attempts: &[Attempt]) -> Finding {
    let mut known: BTreeMap<&str, bool> = BTreeMap::new();
    for attempt in attempts {
        let unknown = matches!(attempt.outcome, Outcome::Unknown { .. });
        *known.entry(&attempt.request_id).or_default() |= !unknown;
    }
    let open = known.iter().filter(|(_, known)| !**known);
    let violations = open
        .map(|(id, _)| format!("request {id} never got an outcome"))
        .collect();
    checked(OUTCOMES, known.len(), violations)
}

fn no_refusals(attempts: &[Attempt]) -> Finding {
    let refused = attempts.iter().filter_map(|attempt| match &attempt.outcome {
        Outcome::Refused { reason } => Some(format!("request {}: {reason}", attempt.request_id)),
        Outcome::TestStored { .. } | Outcome::RunStarted { .. } | Outcome::Unknown { .. } => None,
    });
    checked(NO_REFUSALS, attempts.len(), refused.collect())
}

fn fresh_reads(evidence: &Evidence) -> Finding {
    let reads = &evidence.records.reads;
    let stale = reads.iter().filter(|read| read.seen < read.acknowledged);
    let violations = stale.map(|read| {
        format!(
            "client {} read version {} of {} at node {} after version {} was acknowledged",
            read.client, read.seen, read.name, read.node, read.acknowledged
        )
    });
    checked(FRESH_READS, reads.len(), violations.collect())
}

fn all_terminal(nodes: &[NodeFinal]) -> Finding {
    let runs = || {
        nodes
            .iter()
            .flat_map(|node| node.runs.iter().map(move |(id, run)| (node, id, run)))
    };
    let open = runs().filter(|(_, _, run)| !is_terminal(run.status));
    let violations = open.map(|(node, id, run)| format!("run {id} on {} is {:?}", node.name, run.status));
    checked(ALL_END, runs().count(), violations.collect())
}

fn endpoints_sum_up(nodes: &[NodeFinal]) -> Finding {
    let mut examined = 0;
    let mut violations = Vec::new();
    for node in nodes {
        for (id, run) in node.runs.iter().filter(|(_, run)| run.began) {
            examined += 1;
            let accounted: u32 = run.outcomes.values().sum();
            if accounted != run.total || run.closed != run.total {
                violations.push(format!(
                    "run {id} on {}: {} endpoints, {} closed, {accounted} with an outcome: {:?}",
                    node.name, run.total, run.closed, run.outcomes
                ));
            }
        }
    }
    checked(SUMS, examined, violations)
}

fn same_states(nodes: &[NodeFinal]) -> Finding {
    let mut violations = Vec::new();
    if let Some(first) = nodes.first() {
        for other in nodes {
            if (other.index, &other.hash) != (first.index, &first.hash) || other.hash.is_empty() {
                violations.push(format!(
                    "{} at entry {} has {:?}, {} at entry {} has {:?}",
                    first.name, first.index, first.hash, other.name, other.index, other.hash
                ));
            }
        }
    }
    // One node alone proves nothing.
    checked(SAME_STATES, nodes.len().saturating_sub(1), violations)
}

#[cfg(test)]
mod tests;
