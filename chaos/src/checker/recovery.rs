//! Whether, and how soon, the cluster serves (I12): after faults, with a minority away, and between any two writes.

use std::collections::BTreeMap;

use super::story::{FaultSpan, Span, Story};
use super::verdict::Finding;
use crate::event::{Phase, What};
use crate::fault::Fault;
use crate::history::op::{Op, Res};
use crate::net::{Link, NetFault};

/// What is promised.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From the last fault healed, or the one that stays, until it serves.
    pub serves_ms: u64,
    /// Between two acknowledged writes, beyond what faults of a majority account for.
    pub write_gap_ms: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            serves_ms: 30_000,
            write_gap_ms: 30_000,
        }
    }
}

/// What was measured, for the report.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// From a fault of the leader to the next acknowledged write, milliseconds.
    pub failovers_ms: Vec<u64>,
    /// The longest time between acknowledged writes that a fault fell into, by its kind, milliseconds.
    pub gaps_ms: BTreeMap<&'static str, u64>,
    /// The longest of all, milliseconds.
    pub gap_ms: u64,
}

/// All of them.
pub fn all(story: &Story<'_>, ops: &[Op], bounds: Bounds) -> Vec<Finding> {
    vec![serves(story, bounds), writes(story, ops, bounds)]
}

fn serves(story: &Story<'_>, bounds: Bounds) -> Finding {
    let mut finding = Finding::of("I12", "the cluster serves again in time");
    let mut phase: Option<(Phase, u64)> = None;
    let mut served = 0;
    for event in story.events {
        if let What::Phase { phase: next } = &event.what {
            never_served(phase, served, &mut finding);
            (phase, served) = (Some((*next, event.at)), 0);
        }
        if let What::Serves { what, after_ms } = &event.what {
            finding.examined += 1;
            served += 1;
            if *after_ms > bounds.serves_ms {
                finding.violations.push(format!(
                    "{what} at {} µs: after {after_ms} ms, more than {}",
                    event.at, bounds.serves_ms
                ));
            }
        }
    }
    never_served(phase, served, &mut finding);
    finding
}

fn never_served(phase: Option<(Phase, u64)>, served: usize, finding: &mut Finding) {
    if let Some((phase @ (Phase::Recovery | Phase::Minority), at)) = phase
        && served == 0
    {
        let what = format!("{phase:?}, begun at {at} µs: the cluster was not found to serve");
        finding.violations.push(what);
    }
}

/// When each acknowledged write was sent and answered, µs, in the order of answers.
fn acknowledged(ops: &[Op]) -> Vec<Span> {
    let mut writes: Vec<Span> = ops
        .iter()
        .filter(|op| op.f.mutates() && op.res == Res::Ok)
        .filter_map(|op| Some((op.inv / 1_000, op.ret? / 1_000)))
        .collect();
    writes.sort_by_key(|(_, answered)| *answered);
    writes
}

/// The times between acknowledged writes, while somebody asked for some.
fn gaps(ops: &[Op]) -> Vec<Span> {
    let writes = acknowledged(ops);
    let mut ends: Vec<u64> = writes.iter().map(|(_, answered)| *answered).collect();
    // A write that was asked for last and had no answer: nothing came after it.
    let asked = ops
        .iter()
        .filter(|op| op.f.mutates())
        .map(|op| op.inv / 1_000)
        .max();
    ends.extend(asked.filter(|asked| ends.last().is_some_and(|last| asked > last)));
    ends.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

fn writes(story: &Story<'_>, ops: &[Op], bounds: Bounds) -> Finding {
    let mut finding = Finding::of("I12", "writes go on while a majority is well");
    let gaps = gaps(ops);
    finding.examined = gaps.len();
    for gap in &gaps {
        let length = gap.1 - gap.0;
        if length <= bounds.write_gap_ms * 1_000 {
            continue;
        }
        // After the majority is back it has the same time once more.
        let excused = story.excused(*gap);
        if length > excused + bounds.write_gap_ms * 1_000 {
            finding.violations.push(format!(
                "no write was acknowledged from {} µs to {} µs, {} ms; no majority was well for {} of them",
                gap.0,
                gap.1,
                length / 1_000,
                excused / 1_000
            ));
        }
    }
    let measured = measure(story, ops);
    let mut failovers = measured.failovers_ms;
    failovers.sort_unstable();
    if let Some(max) = failovers.last() {
        let at = |percent: usize| failovers[(failovers.len() - 1) * percent / 100];
        finding.notes.push(format!(
            "{} failovers: a write after p50 {} ms, p99 {} ms, max {max} ms",
            failovers.len(),
            at(50),
            at(99)
        ));
    }
    let longest = format!("longest time between writes: {} ms", measured.gap_ms);
    finding.notes.push(longest);
    finding
}

/// How long it took.
pub fn measure(story: &Story<'_>, ops: &[Op]) -> Measured {
    let writes = acknowledged(ops);
    let gaps = gaps(ops);
    let mut measured = Measured {
        gap_ms: gaps.iter().map(|gap| (gap.1 - gap.0) / 1_000).max().unwrap_or(0),
        ..Measured::default()
    };
    for span in story.faults.iter().filter(|span| span.installed()) {
        let (from, to) = span.span();
        let within = gaps.iter().filter(|gap| gap.0 < to && from < gap.1);
        if let Some(longest) = within.map(|gap| (gap.1 - gap.0) / 1_000).max() {
            let known = measured.gaps_ms.entry(span.fault.label()).or_default();
            *known = longest.max(*known);
        }
        if takes_leader(story, span) {
            let next = writes.iter().find(|(sent, _)| *sent >= from);
            measured
                .failovers_ms
                .extend(next.map(|(_, answered)| (answered - from) / 1_000));
        }
    }
    measured
}

/// Whether the fault took the node that led from the others: another must lead.
fn takes_leader(story: &Story<'_>, span: &FaultSpan<'_>) -> bool {
    let Some(leader) = story.leader(span.at) else {
        return false;
    };
    let host = story.host(&leader);
    if let Fault::Net(NetFault::Cut { links }) = span.fault {
        let mut others = story.setting.nodes.iter().filter(|node| **node != leader);
        return others.all(|node| {
            let other = story.host(node);
            links.contains(&Link::new(host, other)) || links.contains(&Link::new(other, host))
        });
    }
    if let Fault::Net(NetFault::LinkDown { host: down }) = span.fault {
        return *down == host;
    }
    let ends = matches!(
        span.fault,
        Fault::Kill { .. } | Fault::Pause { .. } | Fault::PowerCut { .. }
    );
    ends && span.fault.target() == Some(leader.as_str())
}

#[cfg(test)]
mod tests;
