//! The checks: pure functions of what happened and of what the nodes hold in the end. Each says what it looked at, so that
//! a check of nothing counts as failed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::finals::{NodeFinal, is_terminal};
use crate::history::{Attempt, Call, Outcome, Records};

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The rule.
    pub rule: &'static str,
    /// How many things were looked at.
    pub examined: usize,
    /// What breaks the rule.
    pub violations: Vec<String>,
}

impl Checked {
    /// Whether the rule was put to the test and held.
    pub fn passed(&self) -> bool {
        self.examined > 0 && self.violations.is_empty()
    }
}

/// Everything that is judged.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What happened.
    pub records: Records,
    /// What each node holds.
    pub nodes: Vec<NodeFinal>,
    /// Processes that ended although nobody killed them.
    pub unexpected_ends: Vec<String>,
    /// Processes that ran in the end.
    pub processes: usize,
}

/// Every check, in the order of the report.
pub fn all(evidence: &Evidence) -> Vec<Checked> {
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
        terms_rise(evidence),
        one_leader_a_term(evidence),
        processes_live(evidence),
    ]
}

fn checked(rule: &'static str, examined: usize, violations: Vec<String>) -> Checked {
    Checked {
        rule,
        examined,
        violations,
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

fn acknowledged_runs(attempts: &[Attempt], nodes: &[NodeFinal]) -> Checked {
    let by_request = runs_by_request(attempts);
    let acknowledged: BTreeSet<&str> = by_request.values().flatten().copied().collect();
    let mut violations = Vec::new();
    for node in nodes {
        let lost = acknowledged.iter().filter(|run| !node.runs.contains_key(**run));
        violations.extend(lost.map(|run| format!("run {run} was acknowledged and is not on {}", node.name)));
    }
    let rule = "every run that was acknowledged exists on every node";
    checked(rule, acknowledged.len() * nodes.len(), violations)
}

fn acknowledged_tests(attempts: &[Attempt], nodes: &[NodeFinal]) -> Checked {
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
    let rule = "no acknowledged version of a test is lost";
    checked(rule, newest.len() * nodes.len(), violations)
}

fn one_run_a_request(attempts: &[Attempt]) -> Checked {
    let by_request = runs_by_request(attempts);
    let several = by_request.iter().filter(|(_, runs)| runs.len() > 1);
    let violations = several
        .map(|(id, runs)| format!("request {id} gave {runs:?}"))
        .collect();
    checked("one request id gives one run", by_request.len(), violations)
}

fn no_other_runs(attempts: &[Attempt], nodes: &[NodeFinal]) -> Checked {
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
    checked("no run exists that nobody asked for", examined, violations)
}

/// Once faults are over, repeating a request must tell its outcome.
fn every_outcome_known(attempts: &[Attempt]) -> Checked {
    let mut known: BTreeMap<&str, bool> = BTreeMap::new();
    for attempt in attempts {
        let unknown = matches!(attempt.outcome, Outcome::Unknown { .. });
        *known.entry(&attempt.request_id).or_default() |= !unknown;
    }
    let open = known.iter().filter(|(_, known)| !**known);
    let violations = open
        .map(|(id, _)| format!("request {id} never got an outcome"))
        .collect();
    checked("every request got an outcome in the end", known.len(), violations)
}

fn no_refusals(attempts: &[Attempt]) -> Checked {
    let refused = attempts.iter().filter_map(|attempt| match &attempt.outcome {
        Outcome::Refused { reason } => Some(format!("request {}: {reason}", attempt.request_id)),
        Outcome::TestStored { .. } | Outcome::RunStarted { .. } | Outcome::Unknown { .. } => None,
    });
    checked("no good request is refused", attempts.len(), refused.collect())
}

fn fresh_reads(evidence: &Evidence) -> Checked {
    let reads = &evidence.records.reads;
    let stale = reads.iter().filter(|read| read.seen < read.acknowledged);
    let violations = stale.map(|read| {
        format!(
            "client {} read version {} of {} at node {} after version {} was acknowledged",
            read.client, read.seen, read.name, read.node, read.acknowledged
        )
    });
    let rule = "a linearizable read sees what was acknowledged before it";
    checked(rule, reads.len(), violations.collect())
}

fn all_terminal(nodes: &[NodeFinal]) -> Checked {
    let runs = || {
        nodes
            .iter()
            .flat_map(|node| node.runs.iter().map(move |(id, run)| (node, id, run)))
    };
    let open = runs().filter(|(_, _, run)| !is_terminal(run.status));
    let violations = open.map(|(node, id, run)| format!("run {id} on {} is {:?}", node.name, run.status));
    checked("every run ends", runs().count(), violations.collect())
}

fn endpoints_sum_up(nodes: &[NodeFinal]) -> Checked {
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
    let rule = "endpoints by outcome sum to the size in every run that began";
    checked(rule, examined, violations)
}

fn same_states(nodes: &[NodeFinal]) -> Checked {
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
    let rule = "all nodes hold the same state at the same entry";
    checked(rule, nodes.len().saturating_sub(1), violations)
}

fn terms_rise(evidence: &Evidence) -> Checked {
    let mut last: BTreeMap<usize, u64> = BTreeMap::new();
    let mut violations = Vec::new();
    for seen in &evidence.records.terms {
        let known = last.entry(seen.node).or_default();
        if seen.term < *known {
            violations.push(format!(
                "node {} went from term {known} to {} at {} µs",
                seen.node, seen.term, seen.at_us
            ));
        }
        *known = seen.term;
    }
    let rule = "the term of a node never falls, restarts included";
    checked(rule, evidence.records.terms.len(), violations)
}

fn one_leader_a_term(evidence: &Evidence) -> Checked {
    let mut leaders: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for seen in evidence.records.terms.iter().filter(|seen| seen.leader != 0) {
        leaders.entry(seen.term).or_default().insert(seen.leader);
    }
    let several = leaders.iter().filter(|(_, leaders)| leaders.len() > 1);
    let violations = several.map(|(term, leaders)| format!("term {term} had leaders {leaders:?}"));
    checked("a term has one leader", leaders.len(), violations.collect())
}

fn processes_live(evidence: &Evidence) -> Checked {
    let rule = "no process ends by itself";
    checked(rule, evidence.processes, evidence.unexpected_ends.clone())
}

#[cfg(test)]
mod tests;
