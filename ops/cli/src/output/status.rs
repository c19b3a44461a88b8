//! The cluster, its workers by status and its runs by status on one screen.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::Cell;
use reeve_proto::names::Named;
use reeve_proto::v1::{EndpointPhase, Run, RunStatus, Worker, WorkerStatus};
use serde::Serialize;

use super::cluster::{ClusterJson, NodeView, cluster_json, cluster_table};
use super::run::in_phase;
use super::table::{Table, status_cell};

/// What is shown.
pub(crate) struct StatusView {
    pub(crate) nodes: Vec<NodeView>,
    pub(crate) workers: Vec<Worker>,
    /// The latest ones.
    pub(crate) runs: Vec<Run>,
    /// Whether there are older ones.
    pub(crate) more_runs: bool,
}

/// `reeve status -o json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusJson {
    cluster: ClusterJson,
    workers: BTreeMap<&'static str, usize>,
    runs: BTreeMap<&'static str, usize>,
    /// Whether older runs are not counted.
    more_runs: bool,
    flapping: Vec<FlappingJson>,
}

/// A worker that left ONLINE for ERROR or UNREACHABLE in the last hour.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlappingJson {
    id: String,
    name: String,
    session_node: String,
    flaps_last_hour: u32,
}

/// The document for `-o json`.
pub(crate) fn status_json(view: &StatusView) -> StatusJson {
    let flapping = flapping(&view.workers).into_iter().map(|worker| FlappingJson {
        id: worker.id.clone(),
        name: worker.name.clone(),
        session_node: worker.session_node.clone(),
        flaps_last_hour: flaps_last_hour(worker),
    });
    StatusJson {
        cluster: cluster_json(&view.nodes),
        workers: counts(view.workers.iter().map(|worker| worker.status().name())),
        runs: counts(view.runs.iter().map(|run| run.status().name())),
        more_runs: view.more_runs,
        flapping: flapping.collect(),
    }
}

fn counts(names: impl Iterator<Item = &'static str>) -> BTreeMap<&'static str, usize> {
    names.fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}

/// The screen.
pub(crate) fn status_text(view: &StatusView) -> String {
    let mut text = format!(
        "{}\n\n{}\n\n{}",
        cluster_table(&view.nodes, true),
        worker_table(&view.workers),
        run_table(&view.runs)
    );
    // Writing to a String cannot fail.
    if view.more_runs {
        let _ = write!(text, "\nOnly the latest {} runs are counted.", view.runs.len());
    }
    let flapping = flapping(&view.workers);
    if !flapping.is_empty() {
        let _ = write!(text, "\n\n{}", flapping_table(&flapping));
    }
    text
}

fn worker_table(workers: &[Worker]) -> String {
    let mut table = Table::new(&["WORKERS", "#COUNT", "#CAPACITY", "#RESERVED", "#FREE", "#ACTIVE"]);
    for status in WorkerStatus::all() {
        let these: Vec<&Worker> = workers
            .iter()
            .filter(|worker| worker.status() == status)
            .collect();
        if these.is_empty() {
            continue;
        }
        let sum = |of: fn(&Worker) -> u32| these.iter().map(|worker| u64::from(of(worker))).sum::<u64>();
        table.row(vec![
            status_cell(status.name()),
            Cell::new(these.len()),
            Cell::new(sum(|worker| worker.capacity.unwrap_or_default().total)),
            Cell::new(sum(|worker| worker.capacity.unwrap_or_default().reserved)),
            Cell::new(sum(|worker| worker.capacity.unwrap_or_default().free)),
            Cell::new(sum(|worker| worker.active_endpoints)),
        ]);
    }
    if workers.is_empty() {
        return "No workers.".to_owned();
    }
    table.render()
}

fn run_table(runs: &[Run]) -> String {
    let mut table = Table::new(&["RUNS", "#COUNT", "#ENDPOINTS", "#CLOSED"]);
    for status in RunStatus::all() {
        let these: Vec<&Run> = runs.iter().filter(|run| run.status() == status).collect();
        if these.is_empty() {
            continue;
        }
        let counts = || these.iter().filter_map(|run| run.endpoints.as_ref());
        table.row(vec![
            status_cell(status.name()),
            Cell::new(these.len()),
            Cell::new(counts().map(|counts| u64::from(counts.total)).sum::<u64>()),
            Cell::new(
                counts()
                    .map(|counts| u64::from(in_phase(counts, EndpointPhase::Closed)))
                    .sum::<u64>(),
            ),
        ]);
    }
    if runs.is_empty() {
        return "No runs.".to_owned();
    }
    table.render()
}

fn flaps_last_hour(worker: &Worker) -> u32 {
    worker.flaps.unwrap_or_default().last_hour
}

/// Workers that flapped in the last hour, node by node, the worst of each first.
fn flapping(workers: &[Worker]) -> Vec<&Worker> {
    let mut flapping: Vec<&Worker> = workers
        .iter()
        .filter(|worker| flaps_last_hour(worker) > 0)
        .collect();
    flapping.sort_by_key(|worker| (&worker.session_node, std::cmp::Reverse(flaps_last_hour(worker))));
    flapping
}

fn flapping_table(flapping: &[&Worker]) -> String {
    const MOST: usize = 10;
    let mut table = Table::new(&["NODE", "FLAPPING WORKER", "STATUS", "#FLAPS/H", "#FLAPS"]);
    for worker in flapping.iter().take(MOST) {
        table.row(vec![
            Cell::new(super::table::or_dash(&worker.session_node)),
            Cell::new(&worker.name),
            status_cell(worker.status().name()),
            Cell::new(flaps_last_hour(worker)),
            Cell::new(worker.flaps.unwrap_or_default().total),
        ]);
    }
    let mut text = table.render();
    if flapping.len() > MOST {
        let _ = write!(text, "\n… and {} more", flapping.len() - MOST);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use reeve_proto::v1::{WorkerCapacity, WorkerFlaps};

    use super::*;

    fn worker(name: &str, node: &str, status: WorkerStatus, last_hour: u32) -> Worker {
        Worker {
            name: name.to_owned(),
            session_node: node.to_owned(),
            status: status.into(),
            capacity: Some(WorkerCapacity {
                total: 100,
                reserved: 40,
                free: 60,
                ..Default::default()
            }),
            flaps: Some(WorkerFlaps { total: 12, last_hour }),
            ..Default::default()
        }
    }

    // Covers: R4, R108
    #[test]
    fn workers_and_runs_are_counted_by_status_and_flapping_ones_named_by_node() {
        let view = StatusView {
            nodes: Vec::new(),
            workers: vec![
                worker("w1", "n2", WorkerStatus::Online, 1),
                worker("w2", "n1", WorkerStatus::Error, 2),
                worker("w3", "n1", WorkerStatus::Online, 5),
                worker("w4", "n1", WorkerStatus::Online, 0),
            ],
            runs: vec![Run {
                status: RunStatus::Failed.into(),
                ..Default::default()
            }],
            more_runs: false,
        };
        let text = status_text(&view);
        let line = |begin: &str| {
            let line = text.lines().find(|line| line.starts_with(begin));
            line.unwrap_or_else(|| panic!("{begin:?} is not in\n{text}"))
                .split_whitespace()
                .collect::<Vec<_>>()
        };
        assert_eq!(line("ONLINE"), ["ONLINE", "3", "300", "120", "180", "0"]);
        assert_eq!(line("ERROR"), ["ERROR", "1", "100", "40", "60", "0"]);
        assert_eq!(line("FAILED"), ["FAILED", "1", "0", "0"]);
        let tail: Vec<&str> = text.lines().rev().take(3).map(|line| &line[..2]).collect();
        assert_eq!(tail, ["n2", "n1", "n1"], "{text}");
        assert!(
            text.find("w3").unwrap() < text.find("w2").unwrap(),
            "the worst first"
        );
        let json = serde_json::to_value(status_json(&view)).unwrap();
        assert_eq!(json["workers"]["ONLINE"], 3);
        assert_eq!(json["flapping"][0]["name"], "w3");
    }

    #[test]
    fn an_empty_cluster_is_not_an_empty_screen() {
        let view = StatusView {
            nodes: Vec::new(),
            workers: Vec::new(),
            runs: Vec::new(),
            more_runs: false,
        };
        assert!(status_text(&view).contains("No workers.\n\nNo runs."));
    }
}
