//! Where a run's endpoints are: the allocation view (R5), with each worker's status.

use std::collections::BTreeMap;

use comfy_table::Cell;
use reeve_proto::definition::format_duration;
use reeve_proto::names::name_of;
use reeve_proto::v1::{AssignmentStatus, EndpointPhase, Run, Worker, WorkerStatus};

use super::run::in_phase;
use super::table::{Table, or_dash, status_cell};

/// One line per assignment; empty without any. `workers` by id, those that could be read. `wide` tells completed endpoints from
/// interrupted ones (R184), and how late a worker began.
pub(crate) fn assignment_table(run: &Run, workers: &BTreeMap<String, Worker>, wide: bool) -> String {
    if run.assignments.is_empty() {
        return String::new();
    }
    let mut headings = vec!["WORKER", "STATUS", "REGION", "GROUP", "#ENDPOINTS", "#CLOSED"];
    if wide {
        headings.extend(["#COMPLETED", "#INTERRUPTED", "#LATE REPORTS", "#STARTED LATE"]);
    }
    headings.extend(["ASSIGNMENT", "DETAIL"]);
    let mut table = Table::new(&headings);
    for assignment in &run.assignments {
        let worker = workers.get(&assignment.worker_id);
        let counts = assignment.counts.clone().unwrap_or_default();
        let name = if assignment.worker_name.is_empty() {
            &assignment.worker_id
        } else {
            &assignment.worker_name
        };
        let mut cells = vec![
            Cell::new(name),
            worker.map_or_else(
                || Cell::new("-"),
                |worker| status_cell(name_of::<WorkerStatus>(worker.status)),
            ),
            Cell::new(worker.map_or("-", |worker| or_dash(&worker.region))),
            Cell::new(&assignment.group),
            Cell::new(assignment.endpoints),
            Cell::new(in_phase(&counts, EndpointPhase::Closed)),
        ];
        if wide {
            let late = assignment.start_late.as_ref().map(format_duration);
            cells.extend([
                Cell::new(assignment.completed),
                Cell::new(assignment.interrupted),
                Cell::new(assignment.late_endpoints),
                Cell::new(late.unwrap_or_else(|| "-".to_owned())),
            ]);
        }
        cells.extend([
            Cell::new(name_of::<AssignmentStatus>(assignment.status)),
            Cell::new(or_dash(&assignment.detail)),
        ]);
        table.row(cells);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use reeve_proto::v1::Assignment;

    use super::*;

    fn assignment(worker: &str, detail: &str, status: AssignmentStatus) -> Assignment {
        Assignment {
            worker_id: format!("id-{worker}"),
            worker_name: worker.to_owned(),
            group: "callers".to_owned(),
            endpoints: 50,
            status: status.into(),
            detail: detail.to_owned(),
            ..Default::default()
        }
    }

    // Covers: R5
    #[test]
    fn the_allocation_view_shows_each_workers_name_and_status() {
        let run = Run {
            assignments: vec![
                assignment("w1", "", AssignmentStatus::Started),
                assignment("w2", "worker down", AssignmentStatus::Lost),
            ],
            ..Default::default()
        };
        let online = Worker {
            status: WorkerStatus::Online.into(),
            region: "eu-west".to_owned(),
            ..Default::default()
        };
        let offline = Worker {
            status: WorkerStatus::Offline.into(),
            ..Default::default()
        };
        let workers = [("id-w1".to_owned(), online), ("id-w2".to_owned(), offline)].into();
        assert_eq!(
            assignment_table(&run, &workers, false),
            "WORKER  STATUS   REGION   GROUP    ENDPOINTS  CLOSED  ASSIGNMENT  DETAIL\n\
             w1      ONLINE   eu-west  callers         50       0  STARTED     -\n\
             w2      OFFLINE  -        callers         50       0  LOST        worker down"
        );
        assert_eq!(assignment_table(&Run::default(), &workers, false), "");
        // Covers: R184
        let mut run = run;
        run.assignments[1].completed = 30;
        run.assignments[1].interrupted = 20;
        run.assignments[1].start_late = Some(prost_types::Duration {
            seconds: 2,
            nanos: 500_000_000,
        });
        let wide = assignment_table(&run, &workers, true);
        let words: Vec<&str> = wide
            .lines()
            .last()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        assert_eq!(words[5..9], ["0", "30", "20", "0"]);
        assert_eq!(words[9], "2s500ms");
    }
}
