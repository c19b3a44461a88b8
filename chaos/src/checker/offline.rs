//! When workers are OFFLINE (I9): never while they are heard, once in an outage, and in time.
//!
//! Three clocks meet here, and each bound is taken so that no rule is broken by their distance. A heartbeat that was sent at `s` and
//! acknowledged at `a` was heard in between. That a worker became OFFLINE is known from whoever was told first, which is later than it
//! happened. So the silence before it was at most from `s` to when it was told: if that is shorter than the threshold, it was too early.
//! What a node heard since it last told the others is lost with the node: only then the silence may be shorter by that.

use std::collections::BTreeMap;

use super::replay::Offline;
use super::story::{Span, Story};
use super::verdict::Finding;
use crate::beats::{Beat, Line};
use crate::event::What;

/// Thresholds are counted in whole milliseconds on both sides.
const ROUNDING_US: u64 = 20_000;
/// Watchers are told at most so late, on a machine that is busy.
const TOLD_LATE_US: u64 = 5_000_000;
/// For a look of the reconciler, an entry of the log and its way to a watcher, on a machine that is busy.
const SLACK_US: u64 = 2_000_000;
/// A new leader collects digests of who was heard before it judges, for three intervals at most.
const COLLECTS_US: u64 = 3_000_000;

/// A status that watchers were told of.
#[derive(Clone, Copy, Debug)]
struct Told<'a> {
    at: u64,
    revision: u64,
    status: &'a str,
}

/// A worker became OFFLINE.
#[derive(Clone, Copy, Debug)]
struct Fall<'a> {
    worker: &'a str,
    /// When the first watcher was told, µs.
    at: u64,
    revision: u64,
}

/// All of them. `log` is what the replayed log says, if there is one.
pub fn all(story: &Story<'_>, beats: &[Line], log: Option<&[Offline]>) -> Vec<Finding> {
    let told = told(story);
    let falls = falls(&told, log);
    let acked = acked(beats);
    vec![
        not_early(story, &falls, &acked),
        once(story, &falls, beats),
        in_time(story, &told),
    ]
}

/// How much later than the threshold each worker was OFFLINE that was silent, milliseconds; sooner is negative.
pub fn delays_ms(story: &Story<'_>, beats: &[Line], log: Option<&[Offline]>) -> Vec<i64> {
    let threshold = i64::try_from(story.setting.down_after_ms).unwrap_or(i64::MAX);
    let acked = acked(beats);
    let falls = falls(&told(story), log);
    let silences = falls.iter().filter_map(|fall| {
        let sent = last_sent(acked.get(fall.worker)?, fall.at)?;
        i64::try_from((fall.at - sent) / 1_000).ok()
    });
    silences.map(|silence| silence - threshold).collect()
}

/// By worker, in the order of revisions; of each revision what the first was told.
fn told<'a>(story: &Story<'a>) -> BTreeMap<&'a str, Vec<Told<'a>>> {
    let mut workers: BTreeMap<&str, BTreeMap<u64, Told<'_>>> = BTreeMap::new();
    for event in story.events {
        if let What::WorkerSeen {
            worker,
            status,
            revision,
            ..
        } = &event.what
        {
            let status = status.strip_prefix("WORKER_STATUS_").unwrap_or(status);
            let of = workers.entry(worker).or_default();
            of.entry(*revision).or_insert(Told {
                at: event.at,
                revision: *revision,
                status,
            });
        }
    }
    let in_order = workers.into_iter();
    in_order
        .map(|(worker, of)| (worker, of.into_values().collect()))
        .collect()
}

/// Those that a threshold was the cause of: whoever leaves by itself, or is deleted, is OFFLINE at once.
fn falls<'a>(told: &BTreeMap<&'a str, Vec<Told<'a>>>, log: Option<&[Offline]>) -> Vec<Fall<'a>> {
    let mut falls = Vec::new();
    for (worker, of) in told {
        for pair in of.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            if after.status != "OFFLINE" || matches!(before.status, "OFFLINE" | "DELETED") {
                continue;
            }
            let cause = log.into_iter().flatten().find(|fall| {
                fall.worker == *worker && fall.revision.is_some_and(|revision| revision == after.revision)
            });
            if cause.is_none_or(|cause| cause.silent) {
                falls.push(Fall {
                    worker,
                    at: after.at,
                    revision: after.revision,
                });
            }
        }
    }
    falls
}

/// When heartbeats that were acknowledged had been sent, and when they were, by worker.
fn acked(beats: &[Line]) -> BTreeMap<&str, Vec<(u64, u64)>> {
    let mut acked: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    for line in beats {
        if let Beat::Acked { sent, .. } = line.beat {
            acked.entry(&line.worker).or_default().push((sent, line.at));
        }
    }
    for of in acked.values_mut() {
        of.sort_unstable();
    }
    acked
}

fn not_early(story: &Story<'_>, falls: &[Fall<'_>], acked: &BTreeMap<&str, Vec<(u64, u64)>>) -> Finding {
    let mut finding = Finding::of(
        "I9",
        "no worker is OFFLINE that was heard within the threshold before",
    );
    finding.examined = acked.values().map(Vec::len).sum();
    let threshold = story.setting.down_after_ms * 1_000;
    let calm = story.calm();
    let mut silences = Vec::new();
    for fall in falls {
        let Some(of) = acked.get(fall.worker) else {
            continue;
        };
        let silence = longest_silence(of, fall.at);
        let since = last_sent(of, fall.at).unwrap_or(0);
        let in_peace = calm.iter().any(|(from, to)| *from <= since && fall.at <= *to);
        // Nodes tell each other once in an interval, and on a machine that is busy a bit later.
        let untold = if in_peace {
            0
        } else {
            2 * story.setting.exchange_interval_ms * 1_000
        };
        if silence + ROUNDING_US + untold < threshold {
            finding.violations.push(format!(
                "{} was OFFLINE at {} µs (revision {}), never silent for more than {} ms of {} before",
                fall.worker,
                fall.at,
                fall.revision,
                silence / 1_000,
                story.setting.down_after_ms
            ));
        }
        silences.extend(last_sent(of, fall.at).map(|sent| (fall.at - sent) / 1_000));
    }
    finding.notes.push(delays(silences, story.setting.down_after_ms));
    finding
}

/// The longest time without a heartbeat that was acknowledged, of those that ended shortly before, or at, an instant.
fn longest_silence(acked: &[(u64, u64)], at: u64) -> u64 {
    let sent: Vec<u64> = acked
        .iter()
        .map(|(sent, _)| *sent)
        .filter(|sent| *sent < at)
        .chain([at])
        .collect();
    let recent = sent
        .windows(2)
        .filter(|pair| pair[1] + TOLD_LATE_US >= at)
        .map(|pair| pair[1] - pair[0]);
    // Without any heartbeat nothing is known of when it was heard.
    if sent.len() < 2 {
        return u64::MAX / 2;
    }
    recent.max().unwrap_or(0)
}

/// When the last heartbeat was sent that was acknowledged before.
fn last_sent(acked: &[(u64, u64)], at: u64) -> Option<u64> {
    let before = acked.iter().filter(|(_, acked)| *acked <= at);
    before.map(|(sent, _)| *sent).max()
}

/// From the last heartbeat that was acknowledged until somebody was told, for people.
fn delays(mut silences: Vec<u64>, threshold_ms: u64) -> String {
    silences.sort_unstable();
    let Some(max) = silences.last() else {
        return format!("nobody was OFFLINE for silence (threshold {threshold_ms} ms)");
    };
    let at = |percent: usize| silences[(silences.len() - 1) * percent / 100];
    format!(
        "OFFLINE {} times after p50 {} ms, p99 {} ms, max {max} ms of silence (threshold {threshold_ms} ms)",
        silences.len(),
        at(50),
        at(99)
    )
}

/// Between two times that a worker is OFFLINE it had a session.
fn once(story: &Story<'_>, falls: &[Fall<'_>], beats: &[Line]) -> Finding {
    let mut finding = Finding::of("I9", "a worker is OFFLINE once in an outage");
    let mut last: BTreeMap<&str, &Fall<'_>> = BTreeMap::new();
    // Of others nobody writes down what they know: clients show their tokens and go away again.
    let known = |fall: &&Fall<'_>| story.setting.workers.iter().any(|worker| worker == fall.worker);
    for fall in falls.iter().filter(known) {
        finding.examined += 1;
        let before = last.insert(fall.worker, fall);
        let Some(before) = before else { continue };
        // What a watcher is told of the first may be late, and a line of the worker's may be before it.
        let since = before.at.saturating_sub(TOLD_LATE_US);
        let again = beats.iter().any(|beat| {
            beat.worker == fall.worker
                && matches!(beat.beat, Beat::Session { .. })
                && since < beat.at
                && beat.at < fall.at
        });
        if !again {
            finding.violations.push(format!(
                "{} was OFFLINE at {} µs (revision {}) and at {} µs (revision {}), without a session between",
                fall.worker, before.at, before.revision, fall.at, fall.revision
            ));
        }
    }
    finding
}

/// A worker that nobody hears is OFFLINE in time, if meanwhile a majority of nodes was left in peace for that long.
fn in_time(story: &Story<'_>, told: &BTreeMap<&str, Vec<Told<'_>>>) -> Finding {
    let mut finding = Finding::of("I9", "a worker that is out of reach is OFFLINE in time");
    let setting = story.setting;
    let threshold = setting.down_after_ms * 1_000 + SLACK_US;
    let grace_ms = setting.rehome_grace_ms.max(setting.reconnect_timeout_ms);
    let bounds = Bounds {
        settled: threshold,
        // Whoever led before may have led until just now, and have told nobody.
        after_turn: threshold + (grace_ms + 2 * setting.election_max_ms) * 1_000 + COLLECTS_US,
    };
    let calm = story.calm();
    for worker in &setting.workers {
        let of = told.get(worker.as_str()).map_or(&[][..], Vec::as_slice);
        for outage in story.outages(worker) {
            let Some(due) = due(outage, &calm, bounds) else {
                continue;
            };
            finding.examined += 1;
            let status = of.iter().rfind(|told| told.at <= due).map(|told| told.status);
            if !matches!(status, Some("OFFLINE" | "DELETED")) {
                finding.violations.push(format!(
                    "{worker} was out of reach from {} µs to {} µs, and {} at {due} µs",
                    outage.0,
                    outage.1,
                    status.unwrap_or("not known")
                ));
            }
        }
    }
    finding
}

/// How long it may take, µs.
#[derive(Clone, Copy)]
struct Bounds {
    /// From the beginning of an outage, if nodes were in peace long before.
    settled: u64,
    /// From when nodes were left in peace.
    after_turn: u64,
}

/// When an outage must have been noticed at the latest: the first calm within it that lasts.
fn due((from, to): Span, calm: &[Span], bounds: Bounds) -> Option<u64> {
    let within = calm.iter().filter_map(|(begin, end)| {
        let (since, bound) = if begin + COLLECTS_US + SLACK_US <= from {
            (from, bounds.settled)
        } else {
            (from.max(*begin), bounds.after_turn)
        };
        let due = since + bound;
        (due <= to.min(*end)).then_some(due)
    });
    within.min()
}

#[cfg(test)]
mod tests;
