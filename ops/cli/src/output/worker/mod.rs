//! Workers as lines; what `get` shows below; what drains wait for; what happened.

mod details;
mod drain;
mod events;

pub(crate) use drain::{drain_line, print_dry_run, wait_lines};
pub(crate) use events::print_events;

use comfy_table::Cell;
use reeve_proto::json::WorkerJson;
use reeve_proto::names::name_of;
use reeve_proto::v1::{Worker, WorkerKind, WorkerStatus};

use super::Resource;
use super::table::{Table, age, or_dash, status_cell};

impl Resource for Worker {
    type Json = WorkerJson;

    fn id(&self) -> &str {
        &self.id
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        if wide {
            Table::new(&[
                "NAME",
                "STATUS",
                "KIND",
                "REGION",
                "#FREE",
                "#TOTAL",
                "#ACTIVE",
                "#CPU",
                "#MEMORY",
                "#DISK",
                "#MISSED",
                "#FLAPS",
                "HEARD",
                "NODE",
                "LABELS",
                "ID",
                "#REVISION",
            ])
        } else {
            Table::new(&[
                "NAME", "STATUS", "KIND", "REGION", "#FREE", "#TOTAL", "#ACTIVE", "HEARD", "NODE", "ID",
            ])
        }
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let capacity = self.capacity.unwrap_or_default();
        let mut cells = vec![
            Cell::new(&self.name),
            status_cell(name_of::<WorkerStatus>(self.status)),
            Cell::new(kind_label(self.kind())),
            Cell::new(or_dash(&self.region)),
            Cell::new(capacity.free),
            Cell::new(capacity.total),
            Cell::new(self.active_endpoints),
        ];
        if wide {
            cells.extend(resource_texts(self).map(Cell::new));
            cells.push(Cell::new(self.missed_heartbeats));
            cells.push(Cell::new(self.flaps.unwrap_or_default().total));
        }
        cells.push(Cell::new(age(self.last_heard_at.as_ref())));
        cells.push(Cell::new(or_dash(&self.session_node)));
        if wide {
            cells.push(Cell::new(or_dash(&labels(self))));
        }
        cells.push(Cell::new(&self.id));
        if wide {
            cells.push(Cell::new(self.revision));
        }
        table.row(cells);
    }

    fn details(&self) -> String {
        details::details(self)
    }
}

/// Who owns the machine, as a label (R88).
pub(crate) fn kind_label(kind: WorkerKind) -> &'static str {
    match kind {
        WorkerKind::UserOwned => "user-owned",
        WorkerKind::Cloud => "cloud",
        WorkerKind::Unspecified => "-",
    }
}

/// CPU, memory and disk in per cent, as last reported.
pub(crate) fn resource_texts(worker: &Worker) -> [String; 3] {
    match worker.resources {
        None => ["-", "-", "-"].map(str::to_owned),
        Some(used) => {
            [used.cpu_percent, used.memory_percent, used.disk_percent].map(|part| format!("{part}%"))
        }
    }
}

/// `k=v,k=v`.
fn labels(worker: &Worker) -> String {
    let labels: Vec<String> = worker
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    labels.join(",")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use reeve_proto::v1::{WorkerCapacity, WorkerResources};

    use super::*;

    fn worker(kind: WorkerKind, region: &str) -> Worker {
        Worker {
            id: "0190".into(),
            name: "w1".into(),
            kind: kind.into(),
            status: WorkerStatus::Online.into(),
            region: region.into(),
            labels: [("rack".to_owned(), "7".to_owned())].into(),
            active_endpoints: 39,
            capacity: Some(WorkerCapacity {
                total: 100,
                reserved: 40,
                free: 60,
                ..Default::default()
            }),
            resources: Some(WorkerResources {
                cpu_percent: 12,
                memory_percent: 34,
                disk_percent: 56,
            }),
            ..Default::default()
        }
    }

    fn line(worker: &Worker, wide: bool) -> Vec<String> {
        let mut table = Worker::table(wide);
        worker.row(wide, &mut table);
        let text = table.render();
        let line = text.lines().nth(1).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    }

    // Covers: R4, R81, R88
    #[test]
    fn a_worker_is_one_line_with_its_status_its_owner_and_its_region() {
        assert_eq!(
            line(&worker(WorkerKind::UserOwned, "eu-west"), false),
            [
                "w1",
                "ONLINE",
                "user-owned",
                "eu-west",
                "60",
                "100",
                "39",
                "-",
                "-",
                "0190"
            ]
        );
        assert_eq!(
            line(&worker(WorkerKind::Cloud, "us-east"), false)[..4],
            ["w1", "ONLINE", "cloud", "us-east"]
        );
    }

    // Covers: R59, R60, R112
    #[test]
    fn the_wide_line_has_what_it_used_and_its_labels() {
        assert_eq!(
            line(&worker(WorkerKind::UserOwned, "eu-west"), true),
            [
                "w1",
                "ONLINE",
                "user-owned",
                "eu-west",
                "60",
                "100",
                "39",
                "12%",
                "34%",
                "56%",
                "0",
                "0",
                "-",
                "-",
                "rack=7",
                "0190",
                "0"
            ]
        );
    }
}
