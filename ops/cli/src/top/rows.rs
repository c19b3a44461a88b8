//! The lines of both lists: filtered, sorted, as text with colours.

use std::cmp::Reverse;

use reeve_proto::names::Named;
use reeve_proto::v1::{EndpointPhase, Run, RunStatus, Worker, WorkerStatus};

use super::keys::{RunSort, WorkerSort};
use crate::output::{Colour, age, in_phase, kind_label, or_dash, phase_counts, resource_texts};

/// One field of a line.
pub(super) type Field = (String, Option<Colour>);

/// Headings of the workers; `#` heads a column of numbers.
pub(super) const WORKER_HEADINGS: [&str; 12] = [
    "NAME",
    "STATUS",
    "KIND",
    "REGION",
    "NODE",
    "#ENDPOINTS",
    "#CPU",
    "#MEM",
    "#DISK",
    "#MISSED",
    "#FLAPS/H",
    "#HEARD",
];

/// Headings of the runs.
pub(super) const RUN_HEADINGS: [&str; 6] = ["TEST", "STATUS", "#CLOSED", "#AGE", "PHASES", "ID"];

pub(super) fn worker_rows(
    workers: &[Worker],
    sort: WorkerSort,
    filter: &str,
) -> Vec<[Field; WORKER_HEADINGS.len()]> {
    let mut workers: Vec<&Worker> = workers.iter().collect();
    // The list comes by name, and sorting keeps that order among equals.
    match sort {
        WorkerSort::Name => {}
        WorkerSort::Status => workers.sort_by_key(|worker| urgency(worker.status())),
        WorkerSort::Load => workers.sort_by_key(|worker| Reverse(load_per_mille(worker))),
        WorkerSort::Cpu => {
            workers.sort_by_key(|worker| Reverse(worker.resources.map_or(0, |used| used.cpu_percent)));
        }
        WorkerSort::Flaps => {
            workers.sort_by_key(|worker| Reverse(worker.flaps.unwrap_or_default().last_hour));
        }
        WorkerSort::Heard => workers.sort_by_key(|worker| {
            // Never heard is the longest silence.
            let heard = worker.last_heard_at.as_ref();
            heard.map_or((i64::MIN, 0), |heard| (heard.seconds, heard.nanos))
        }),
    }
    let rows = workers.into_iter().map(worker_row);
    rows.filter(|row| matches(row, filter)).collect()
}

pub(super) fn run_rows(runs: &[Run], sort: RunSort, filter: &str) -> Vec<[Field; RUN_HEADINGS.len()]> {
    let mut runs: Vec<&Run> = runs.iter().collect();
    runs.sort_by_key(|run| {
        let created = run.created_at.as_ref();
        Reverse(created.map_or((0, 0), |created| (created.seconds, created.nanos)))
    });
    match sort {
        RunSort::Newest => {}
        RunSort::Status => runs.sort_by_key(|run| progress(run.status())),
        RunSort::Endpoints => {
            runs.sort_by_key(|run| Reverse(run.endpoints.as_ref().map_or(0, |counts| counts.total)));
        }
    }
    let rows = runs.into_iter().map(run_row);
    rows.filter(|row| matches(row, filter)).collect()
}

fn worker_row(worker: &Worker) -> [Field; WORKER_HEADINGS.len()] {
    let status = worker.status().name();
    let plain = |text: &str| (text.to_owned(), None);
    let alarming = |count: u32| (count.to_string(), (count > 0).then_some(Colour::Yellow));
    let [cpu, memory, disk] = resource_texts(worker);
    [
        plain(&worker.name),
        (status.to_owned(), Colour::of(status)),
        plain(kind_label(worker.kind())),
        plain(or_dash(&worker.region)),
        plain(or_dash(&worker.session_node)),
        // What it carries against what it may (R112).
        plain(&format!(
            "{}/{}",
            worker.active_endpoints,
            worker.capacity.unwrap_or_default().total
        )),
        (cpu, None),
        (memory, None),
        (disk, None),
        alarming(worker.missed_heartbeats),
        alarming(worker.flaps.unwrap_or_default().last_hour),
        plain(&age(worker.last_heard_at.as_ref())),
    ]
}

fn run_row(run: &Run) -> [Field; RUN_HEADINGS.len()] {
    let status = run.status().name();
    let counts = run.endpoints.clone().unwrap_or_default();
    [
        (or_dash(&run.test_name).to_owned(), None),
        (status.to_owned(), Colour::of(status)),
        (
            format!("{}/{}", in_phase(&counts, EndpointPhase::Closed), counts.total),
            None,
        ),
        (age(run.created_at.as_ref()), None),
        (phase_counts(run), None),
        (run.id.clone(), None),
    ]
}

/// Whether any field has the text, which is in lower case.
fn matches(row: &[Field], filter: &str) -> bool {
    filter.is_empty() || row.iter().any(|(text, _)| text.to_lowercase().contains(filter))
}

/// What needs someone comes first.
fn urgency(status: WorkerStatus) -> u8 {
    match status {
        WorkerStatus::Error => 0,
        WorkerStatus::Unreachable => 1,
        WorkerStatus::Draining => 2,
        WorkerStatus::Offline => 3,
        WorkerStatus::Online => 4,
        WorkerStatus::Deleted | WorkerStatus::Unspecified => 5,
    }
}

/// What is going comes first.
fn progress(status: RunStatus) -> u8 {
    match status {
        RunStatus::Running => 0,
        RunStatus::Queued => 1,
        RunStatus::Pending => 2,
        RunStatus::Failed => 3,
        RunStatus::CannotRunForNow => 4,
        RunStatus::Completed => 5,
        RunStatus::Unspecified => 6,
    }
}

fn load_per_mille(worker: &Worker) -> u64 {
    let total = worker.capacity.unwrap_or_default().total;
    u64::from(worker.active_endpoints) * 1_000 / u64::from(total.max(1))
}

#[cfg(test)]
mod tests {
    use reeve_proto::v1::{EndpointCounts, WorkerCapacity, WorkerFlaps, WorkerResources};

    use super::*;

    fn worker(name: &str, status: WorkerStatus, active: u32, cpu_percent: u32, last_hour: u32) -> Worker {
        Worker {
            name: name.to_owned(),
            status: status.into(),
            active_endpoints: active,
            capacity: Some(WorkerCapacity {
                total: 100,
                ..Default::default()
            }),
            resources: Some(WorkerResources {
                cpu_percent,
                ..Default::default()
            }),
            flaps: Some(WorkerFlaps {
                total: last_hour.into(),
                last_hour,
            }),
            ..Default::default()
        }
    }

    fn first_fields<const N: usize>(rows: &[[Field; N]]) -> Vec<&str> {
        rows.iter()
            .filter_map(|row| row.first())
            .map(|(text, _)| text.as_str())
            .collect()
    }

    #[test]
    fn workers_are_sorted_by_what_was_chosen_and_by_name_among_equals() {
        let mut workers = [
            worker("a", WorkerStatus::Online, 10, 90, 0),
            worker("b", WorkerStatus::Error, 50, 10, 0),
            worker("c", WorkerStatus::Online, 50, 20, 7),
        ];
        workers[1].last_heard_at = Some(prost_types::Timestamp { seconds: 5, nanos: 0 });
        workers[2].last_heard_at = Some(prost_types::Timestamp { seconds: 4, nanos: 0 });
        for (sort, order) in [
            (WorkerSort::Name, ["a", "b", "c"]),
            (WorkerSort::Status, ["b", "a", "c"]),
            (WorkerSort::Load, ["b", "c", "a"]),
            (WorkerSort::Cpu, ["a", "c", "b"]),
            (WorkerSort::Flaps, ["c", "a", "b"]),
            (WorkerSort::Heard, ["a", "c", "b"]),
        ] {
            assert_eq!(first_fields(&worker_rows(&workers, sort, "")), order, "{sort:?}");
        }
    }

    #[test]
    fn a_filter_finds_any_field_in_any_case() {
        let workers = [
            worker("a", WorkerStatus::Online, 0, 0, 0),
            worker("Bee", WorkerStatus::Error, 0, 0, 0),
        ];
        for (filter, found) in [
            ("error", vec!["Bee"]),
            ("bee", vec!["Bee"]),
            ("", vec!["a", "Bee"]),
            ("nothing", vec![]),
        ] {
            let rows = worker_rows(&workers, WorkerSort::Name, filter);
            assert_eq!(first_fields(&rows), found, "{filter}");
        }
    }

    #[test]
    fn runs_come_newest_first_or_as_chosen() {
        let run = |name: &str, seconds, status: RunStatus, total| Run {
            test_name: name.to_owned(),
            created_at: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            status: status.into(),
            endpoints: Some(EndpointCounts {
                total,
                ..Default::default()
            }),
            ..Default::default()
        };
        let runs = [
            run("old", 1, RunStatus::Running, 5),
            run("new", 3, RunStatus::Completed, 7),
            run("mid", 2, RunStatus::Queued, 9),
        ];
        for (sort, order) in [
            (RunSort::Newest, ["new", "mid", "old"]),
            (RunSort::Status, ["old", "mid", "new"]),
            (RunSort::Endpoints, ["mid", "new", "old"]),
        ] {
            assert_eq!(first_fields(&run_rows(&runs, sort, "")), order, "{sort:?}");
        }
    }
}
