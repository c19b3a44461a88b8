//! What nodes said of themselves while they ran (I11): terms and positions only rise.
//!
//! That a term has one leader is no rule: openraft orders votes by term and node, so that two nodes may be elected in a term, the one with the lower
//! number for nothing, and may hear of it in any order. What must hold stands in the logs (`replay/logs.rs`).

use std::collections::{BTreeMap, BTreeSet};

use super::story::Story;
use super::verdict::Finding;
use crate::disk;
use crate::event::What;
use crate::fault::Fault;

/// All of them.
pub fn all(story: &Story<'_>) -> Vec<Finding> {
    vec![rises(story)]
}

/// The term of a node never falls, restarts included: it is on disk before it is said. What it has applied never falls while it
/// runs: after a start it applies again from its log what its state on disk lacks.
fn rises(story: &Story<'_>) -> Finding {
    let rule = "the term of a node never falls, and what it has applied not while it runs";
    let mut finding = Finding::of("I11", rule);
    let mut last: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for event in story.events {
        let What::Seen {
            node,
            term,
            applied,
            pid,
            ..
        } = &event.what
        else {
            continue;
        };
        finding.examined += 1;
        let known = last.entry(node).or_default();
        if *term < known.0 && !lied_to(story, node) {
            let what = format!("{node} went from term {} to {term} at {} µs", known.0, event.at);
            finding.violations.push(what);
        }
        if *pid == known.2 && *applied < known.1 {
            let what = format!(
                "{node} had applied entry {}, then {applied} at {} µs",
                known.1, event.at
            );
            finding.violations.push(what);
        }
        *known = (*term, *applied, *pid);
    }
    finding
}

/// A disk that lies about syncing may lose a vote: that is no fault of the node.
fn lied_to(story: &Story<'_>, node: &str) -> bool {
    let lies =
        |fault: &Fault| matches!(fault, Fault::Sync { target, how: disk::Sync::Lie } if target == node);
    story.faults.iter().any(|span| lies(span.fault))
}

/// How often another leader was seen: terms with a leader, but for the first.
pub fn leader_changes(story: &Story<'_>) -> usize {
    let mut terms = BTreeSet::new();
    for event in story.events {
        if let What::Seen { term, leader, .. } = &event.what
            && *leader != 0
        {
            terms.insert(*term);
        }
    }
    terms.len().saturating_sub(1)
}

#[cfg(test)]
mod tests;
