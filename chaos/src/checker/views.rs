//! What watchers were told of runs (I3, I4): along its revisions a run only moves on, no watcher goes back, and the first end that anybody
//! saw is the end.

use std::collections::BTreeMap;

use super::model::run::Status;
use super::story::Story;
use super::verdict::Finding;
use crate::dump::Dump;
use crate::event::What;
use crate::history::op::{Op, Res};

/// A run as somebody saw it.
struct Sight<'a> {
    at: u64,
    by: String,
    run: &'a str,
    status: Status,
    revision: u64,
}

/// All of them. What is on disk in the end is optional: then the last that was seen is final.
pub fn all(story: &Story<'_>, ops: &[Op], dumps: &[Dump]) -> Vec<Finding> {
    let mut odd = Vec::new();
    let told = told(story, &mut odd);
    let mut sights = asked(ops);
    let monotone = monotone(story, odd);
    sights.extend(told);
    vec![monotone, moves_on(&sights), ends_once(&sights, dumps)]
}

fn told<'a>(story: &Story<'a>, odd: &mut Vec<String>) -> Vec<Sight<'a>> {
    let mut told = Vec::new();
    for event in story.events {
        let What::RunSeen {
            node,
            run,
            status,
            revision,
        } = &event.what
        else {
            continue;
        };
        match Status::named(status) {
            Some(status) => told.push(Sight {
                at: event.at,
                by: node.clone(),
                run,
                status,
                revision: *revision,
            }),
            None => odd.push(format!("{node} told of a status {status:?} of run {run}")),
        }
    }
    told
}

fn asked(ops: &[Op]) -> Vec<Sight<'_>> {
    let ok = ops.iter().filter(|op| op.res == Res::Ok);
    ok.filter_map(|op| {
        Some(Sight {
            at: op.ret? / 1_000,
            by: format!("process {} (line {})", op.p, op.seq + 1),
            run: op.out.run.as_deref().or_else(|| op.k.strip_prefix("run/"))?,
            status: Status::named(op.out.status.as_deref()?)?,
            revision: op.revision?,
        })
    })
    .collect()
}

/// A watcher is told what it was told before only if it began anew.
fn monotone(story: &Story<'_>, odd: Vec<String>) -> Finding {
    let mut finding = Finding::of("I3", "what a watcher is told of a run never goes back");
    finding.harness = odd;
    let mut last: BTreeMap<(&str, &str), (u64, &str)> = BTreeMap::new();
    for event in story.events {
        if let What::Watching { node } = &event.what {
            last.retain(|(of, _), _| of != node);
        }
        let What::RunSeen {
            node,
            run,
            status,
            revision,
        } = &event.what
        else {
            continue;
        };
        finding.examined += 1;
        let before = last.insert((node, run), (*revision, status));
        if let Some((known, was)) = before.filter(|(known, _)| known > revision) {
            finding.violations.push(format!(
                "{node} told of run {run} at revision {known} ({was}), then at {revision} ({status}), at {} µs",
                event.at
            ));
        }
    }
    finding
}

fn by_run<'a, 'b>(sights: &'b [Sight<'a>]) -> BTreeMap<&'a str, Vec<&'b Sight<'a>>> {
    let mut runs: BTreeMap<&str, Vec<&Sight<'_>>> = BTreeMap::new();
    for sight in sights {
        runs.entry(sight.run).or_default().push(sight);
    }
    runs
}

fn moves_on(sights: &[Sight<'_>]) -> Finding {
    let mut finding = Finding::of(
        "I3",
        "along its revisions a run moves on, whoever of all watchers and clients sees it",
    );
    for (run, mut of) in by_run(sights) {
        of.sort_by_key(|sight| (sight.revision, sight.at));
        for pair in of.windows(2) {
            let (one, other) = (pair[0], pair[1]);
            finding.examined += 1;
            let fits = if one.revision == other.revision {
                one.status == other.status
            } else {
                one.status.reaches(other.status)
            };
            if !fits {
                finding.violations.push(format!(
                    "run {run} is {:?} at revision {} ({} at {} µs) and {:?} at {} ({} at {} µs)",
                    one.status,
                    one.revision,
                    one.by,
                    one.at,
                    other.status,
                    other.revision,
                    other.by,
                    other.at
                ));
            }
        }
    }
    finding
}

fn ends_once(sights: &[Sight<'_>], dumps: &[Dump]) -> Finding {
    let mut finding = Finding::of("I4", "the first end of a run that anybody sees is its end");
    let finals = finals(dumps);
    for (run, of) in by_run(sights) {
        let mut ends: Vec<&Sight<'_>> = of
            .into_iter()
            .filter(|sight| sight.status.is_terminal())
            .collect();
        ends.sort_by_key(|sight| sight.at);
        let Some(first) = ends.first() else { continue };
        finding.examined += 1;
        if let Some(other) = ends.iter().find(|sight| sight.status != first.status) {
            finding.violations.push(format!(
                "run {run} ended {:?} ({} at {} µs), then {:?} ({} at {} µs)",
                first.status, first.by, first.at, other.status, other.by, other.at
            ));
        }
        for (node, status) in finals.get(run).into_iter().flatten() {
            if *status != Some(first.status) {
                finding.violations.push(format!(
                    "run {run} ended {:?} ({} at {} µs), and is {status:?} on the disk of {node}",
                    first.status, first.by, first.at
                ));
            }
        }
    }
    finding
}

type Finals<'a> = BTreeMap<String, Vec<(&'a str, Option<Status>)>>;

/// The status of each run on each disk. A disk that is behind may not know of the end yet: only those that applied the most count.
fn finals(dumps: &[Dump]) -> Finals<'_> {
    let most = dumps.iter().map(|dump| dump.applied).max().unwrap_or(0);
    let mut finals = Finals::new();
    for dump in dumps.iter().filter(|dump| dump.applied == most) {
        for (run, status) in dump.run_statuses() {
            let status = Status::numbered(status);
            finals.entry(run).or_default().push((&dump.name, status));
        }
    }
    finals
}

#[cfg(test)]
mod tests;
