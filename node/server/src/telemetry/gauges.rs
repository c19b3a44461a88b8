//! Gauges computed from the state when they are asked for, so that none of them is ever stale.

use std::collections::BTreeMap;
use std::fmt::Write;

use reeve_proto::names::Named;
use reeve_state::State;
use reeve_state::record::{EndpointCounts, WorkerKind};
use reeve_state::transition::endpoint::EndpointPhase;
use reeve_state::transition::run::RunStatus;
use reeve_state::transition::worker::WorkerStatus;

use crate::context::Context;
use crate::convert::enums;

/// All of them, in Prometheus' text format.
pub fn render(context: &Context) -> String {
    let state = context.store.local();
    let mut text = String::new();
    gauge(
        &mut text,
        "reeve_build_info",
        "What runs here; always 1.",
        [(vec![("version", env!("CARGO_PKG_VERSION"))], 1)],
    );
    let sessions = u64::try_from(context.liveness.session_count()).unwrap_or(u64::MAX);
    gauge(
        &mut text,
        "reeve_worker_sessions",
        "Workers with a session on this node.",
        [(vec![], sessions)],
    );
    workers(&mut text, &state);
    capacity(&mut text, &state);
    runs(&mut text, &state);
    endpoints(&mut text, &state);
    webhooks(&mut text, &state);
    text
}

/// How many events wait, by whether they may still be sent.
fn webhooks(text: &mut String, state: &State) {
    let (mut pending, mut dead) = (0, 0);
    for webhook in state.webhooks() {
        let counts = state.delivery_counts(webhook.id);
        pending += u64::from(counts.pending);
        dead += u64::from(counts.dead);
    }
    gauge(
        text,
        "reeve_webhook_pending",
        "Events on their way to webhooks.",
        [(vec![], pending)],
    );
    gauge(
        text,
        "reeve_webhook_dead",
        "Events that were given up and can be replayed.",
        [(vec![], dead)],
    );
}

fn workers(text: &mut String, state: &State) {
    let mut counts: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for worker in state.workers() {
        let kind = match worker.kind {
            WorkerKind::UserOwned => "USER_OWNED",
            WorkerKind::Cloud => "CLOUD",
        };
        *counts
            .entry((worker.status().name(), kind, worker.region.as_str()))
            .or_default() += 1;
    }
    let rows = counts.into_iter().map(|((status, kind, region), count)| {
        (
            vec![("status", status), ("kind", kind), ("region", region)],
            count,
        )
    });
    gauge(text, "reeve_workers", "Workers by status, kind and region.", rows);
}

/// Only workers that take work count as free; what is reserved counts wherever it is.
fn capacity(text: &mut String, state: &State) {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for worker in state.workers() {
        let region = worker.region.as_str();
        *counts.entry((region, "reserved")).or_default() += u64::from(state.reserved(worker.id));
        let free = if worker.status() == WorkerStatus::Online {
            state.free(worker)
        } else {
            0
        };
        *counts.entry((region, "free")).or_default() += u64::from(free);
    }
    let rows = counts
        .into_iter()
        .map(|((region, state), count)| (vec![("region", region), ("state", state)], count));
    gauge(
        text,
        "reeve_capacity_endpoints",
        "Capacity in endpoints by region, free or reserved.",
        rows,
    );
}

fn runs(text: &mut String, state: &State) {
    let mut counts: BTreeMap<RunStatus, u64> = RunStatus::ALL.into_iter().map(|status| (status, 0)).collect();
    for run in state.runs() {
        *counts.entry(run.life.status()).or_default() += 1;
    }
    let rows = counts
        .into_iter()
        .map(|(status, count)| (vec![("status", status.name())], count));
    gauge(text, "reeve_runs", "Runs by status.", rows);
}

fn endpoints(text: &mut String, state: &State) {
    let mut sum = EndpointCounts::default();
    for run in state.live_runs() {
        sum.add(&state.run_counts(run.id));
    }
    let rows = EndpointPhase::ALL.into_iter().map(|phase| {
        (
            vec![("phase", enums::phase(phase).name())],
            u64::from(sum.phase(phase)),
        )
    });
    gauge(
        text,
        "reeve_endpoints",
        "Endpoints of runs that are not terminal, by phase.",
        rows,
    );
}

fn gauge<'a>(
    text: &mut String,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, u64)>,
) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (labels, value) in rows {
        let labels: Vec<_> = labels
            .into_iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escape(value)))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_of_users_are_escaped() {
        let mut text = String::new();
        gauge(&mut text, "g", "Help.", [(vec![("region", "a\"b\\c\nd")], 3)]);
        assert_eq!(
            text,
            "# HELP g Help.\n# TYPE g gauge\ng{region=\"a\\\"b\\\\c\\nd\"} 3\n"
        );
    }

    #[test]
    fn every_status_and_phase_is_there_even_at_zero() {
        let state = State::default();
        let mut text = String::new();
        runs(&mut text, &state);
        endpoints(&mut text, &state);
        for status in RunStatus::ALL {
            assert!(
                text.contains(&format!("reeve_runs{{status=\"{status}\"}} 0\n")),
                "{text}"
            );
        }
        assert!(text.contains("reeve_endpoints{phase=\"INCALL\"} 0\n"), "{text}");
    }
}
