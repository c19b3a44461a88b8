//! What happened around a failure: everything that is known about the objects that it names, in the order of time.
//!
//! Calls and events have the clock of the histories. Entries of the log have not: they are put where somebody was first shown their
//! revision or a later one, so that they happened then or before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::checker::replay::Line;
use crate::checker::verdict::Finding;
use crate::event::What;
use crate::history::op::Op;
use crate::judge::Evidence;

/// Before and after each instant that a failure names, or that its objects are seen at.
const AROUND_US: u64 = 2_000_000;
/// Most failures of one rule that get a timeline, and most lines of one.
const FAILURES: usize = 3;
const LINES: usize = 2_000;

/// Something at an instant.
struct Moment {
    at: u64,
    text: String,
    /// It is about what failed; the others are what was done to the cluster meanwhile.
    about: bool,
}

/// Writes a timeline for each of the first failures of each rule into the scenario's directory.
///
/// # Errors
/// It cannot be written.
pub fn write(evidence: &Evidence, failed: &[Finding]) -> Result<Vec<PathBuf>> {
    let lines = dated(evidence, evidence.replay().lines);
    let mut paths = Vec::new();
    for finding in failed {
        let details = finding
            .violations
            .iter()
            .chain(&finding.harness)
            .chain(&finding.unknown);
        for detail in details.take(FAILURES) {
            let path =
                evidence
                    .directory
                    .join(format!("timeline-{}-{}.txt", finding.invariant, paths.len() + 1));
            let text = timeline(evidence, &lines, finding, detail);
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Entries with the time at which somebody saw their revision, or one after it.
fn dated(evidence: &Evidence, lines: Vec<Line>) -> Vec<(u64, Line)> {
    let mut shown: BTreeMap<u64, u64> = BTreeMap::new();
    let mut show = |revision: u64, at: u64| {
        let first = shown.entry(revision).or_insert(at);
        *first = at.min(*first);
    };
    for op in &evidence.ops {
        if let (Some(revision), Some(ret)) = (op.revision, op.ret) {
            show(revision, ret / 1_000);
        }
    }
    for event in &evidence.events {
        if let What::RunSeen { revision, .. } | What::WorkerSeen { revision, .. } = &event.what {
            show(*revision, event.at);
        }
    }
    let end = evidence.events.last().map_or(0, |event| event.at);
    let mut at = end;
    let mut latest: BTreeMap<u64, u64> = BTreeMap::new();
    for (revision, first) in shown.iter().rev() {
        at = if at == 0 { *first } else { at.min(*first) };
        latest.insert(*revision, at);
    }
    let mut revision = 0;
    let dated = lines.into_iter().map(|line| {
        revision = line.revision.unwrap_or(revision);
        let at = latest.range(revision..).next().map_or(end, |(_, at)| *at);
        (at, line)
    });
    dated.collect()
}

fn timeline(evidence: &Evidence, lines: &[(u64, Line)], finding: &Finding, detail: &str) -> String {
    let names = names(evidence, detail);
    let mut moments: Vec<Moment> = Vec::new();
    let about = |text: &str| names.iter().any(|name| text.contains(name.as_str()));
    for op in &evidence.ops {
        let at = op.inv / 1_000;
        let text = show_op(op);
        let about = about(&text);
        moments.push(Moment { at, text, about });
    }
    for event in &evidence.events {
        let text = serde_json::to_string(&event.what).unwrap_or_default();
        let sighting = matches!(event.what, What::RunSeen { .. } | What::WorkerSeen { .. });
        let about = about(&text) && (sighting || !matches!(event.what, What::Used { .. }));
        moments.push(Moment {
            at: event.at,
            text,
            about,
        });
    }
    for beat in &evidence.beats {
        let text = format!("{} beat {:?}", beat.worker, beat.beat);
        let about = about(&text);
        moments.push(Moment {
            at: beat.at,
            text,
            about,
        });
    }
    for (at, line) in lines {
        let text = show_line(line);
        let about = about(&text);
        moments.push(Moment { at: *at, text, about });
    }
    let anchors = anchors(evidence, lines, detail, &moments);
    moments.retain(|moment| {
        moment.about && near(&anchors, moment.at) || done(&moment.text, &anchors, moment.at)
    });
    moments.sort_by_key(|moment| moment.at);
    let origin = evidence.events.first().map_or(0, |event| event.at);
    let mut text = format!(
        "{} {}: {}\n{detail}\n\nabout {names:?}\nseconds since the first event; µs of the clock of all files; what\n\n",
        finding.invariant,
        finding.word().name(),
        finding.rule
    );
    for moment in moments.iter().take(LINES) {
        let since = moment.at.saturating_sub(origin);
        let _ = writeln!(
            text,
            "{:>4}.{:06} {:>16}  {}",
            since / 1_000_000,
            since % 1_000_000,
            moment.at,
            moment.text
        );
    }
    if moments.len() > LINES {
        let _ = writeln!(text, "… and {} more", moments.len() - LINES);
    }
    text
}

/// What was done to the cluster, and who led: shown whatever a failure is about.
fn done(text: &str, anchors: &BTreeSet<u64>, at: u64) -> bool {
    const KINDS: [&str; 8] = [
        "injected",
        "healed",
        "administered",
        "started",
        "ended",
        "phase",
        "serves",
        "state_replaced",
    ];
    let Some(rest) = text.strip_prefix(r#"{"event":""#) else {
        return false;
    };
    near(anchors, at) && KINDS.iter().any(|kind| rest.starts_with(kind))
}

fn near(anchors: &BTreeSet<u64>, at: u64) -> bool {
    let from = at.saturating_sub(AROUND_US);
    anchors.range(from..=at + AROUND_US).next().is_some()
}

/// Ids and names in the text of a failure that are of this scenario.
fn names(evidence: &Evidence, detail: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '/' | '_');
    let words = detail
        .split(|letter| !is_part(letter))
        .filter(|word| !word.is_empty());
    let known = |word: &str| {
        let process = evidence
            .setting
            .nodes
            .iter()
            .chain(&evidence.setting.workers)
            .any(|name| name == word);
        let id = word.len() == 36 && word.matches('-').count() == 4;
        let key = ["test/", "run/", "worker/", "request/"];
        process || id || key.iter().any(|kind| word.starts_with(kind))
    };
    let mut names: BTreeSet<String> = words.filter(|word| known(word)).map(str::to_owned).collect();
    // A node's name is in nearly everything: if there is more to go by, it says only where.
    let nodes = &evidence.setting.nodes;
    if names.iter().any(|name| !nodes.contains(name)) {
        names.retain(|name| !nodes.contains(name));
    }
    names
}

/// The numbers that follow a word, as in `at 12 µs`.
fn numbers_after(detail: &str, word: &str) -> Vec<u64> {
    let mut words = detail
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .peekable();
    let mut found = Vec::new();
    while let Some(one) = words.next() {
        if one == word
            && let Some(number) = words.peek().and_then(|next| next.parse().ok())
        {
            found.push(number);
        }
    }
    found
}

/// The instants that a failure names: itself, by a call, by an entry or a revision. If it names none, all that its objects are seen at.
fn anchors(evidence: &Evidence, lines: &[(u64, Line)], detail: &str, moments: &[Moment]) -> BTreeSet<u64> {
    let begins = evidence.events.first().map_or(0, |event| event.at);
    let mut anchors: BTreeSet<u64> = ["at", "from", "to", "since"]
        .iter()
        .flat_map(|word| numbers_after(detail, word))
        .filter(|at| begins > 0 && *at >= begins)
        .collect();
    let processes = numbers_after(detail, "process");
    let numbers = numbers_after(detail, "line");
    for (process, line) in processes.iter().zip(&numbers) {
        let op = evidence
            .ops
            .iter()
            .find(|op| op.p == *process && op.seq + 1 == *line);
        anchors.extend(op.map(|op| op.inv / 1_000));
    }
    let entries: BTreeSet<u64> = numbers_after(detail, "entry").into_iter().collect();
    let revisions: BTreeSet<u64> = numbers_after(detail, "revision").into_iter().collect();
    for (at, line) in lines {
        let named = line
            .revision
            .is_some_and(|revision| revisions.contains(&revision));
        if named || entries.contains(&line.index) {
            anchors.insert(*at);
        }
    }
    if anchors.is_empty() {
        anchors.extend(
            moments
                .iter()
                .filter(|moment| moment.about)
                .map(|moment| moment.at),
        );
    }
    anchors
}

fn show_op(op: &Op) -> String {
    let took = op.ret.map_or("no end".to_owned(), |ret| {
        format!("{} µs", (ret - op.inv) / 1_000)
    });
    let revision = op
        .revision
        .map_or(String::new(), |revision| format!(" revision {revision}"));
    let out = serde_json::to_string(&op.out).unwrap_or_default();
    format!(
        "process {} (line {}) {:?} {} at n{}: {:?} after {took}{revision} {out} request {}",
        op.p,
        op.seq + 1,
        op.f,
        op.k,
        op.node + 1,
        op.res,
        op.input.request
    )
}

fn show_line(line: &Line) -> String {
    let fence = line
        .fence
        .map_or(String::new(), |fence| format!(" planned in term {fence}"));
    let came = match (line.revision, line.refused) {
        (_, Some(why)) => format!("refused: {why}"),
        (Some(revision), None) => format!("revision {revision}"),
        (None, None) => "changed nothing".to_owned(),
    };
    format!(
        "log entry {} term {} by node {}: {}{fence}, {came} {}",
        line.index,
        line.term,
        line.leader,
        line.command,
        line.wrote.join(" ")
    )
}
