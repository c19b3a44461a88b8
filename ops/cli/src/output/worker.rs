//! Workers as lines, and the reasons behind their status.

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
                "REGION",
                "#FREE",
                "#TOTAL",
                "#ACTIVE",
                "#MISSED",
                "HEARD",
                "NODE",
                "KIND",
                "LABELS",
                "ID",
                "#REVISION",
            ])
        } else {
            Table::new(&[
                "NAME", "STATUS", "REGION", "#FREE", "#TOTAL", "#ACTIVE", "HEARD", "NODE", "ID",
            ])
        }
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let capacity = self.capacity.unwrap_or_default();
        let mut cells = vec![
            Cell::new(&self.name),
            status_cell(name_of::<WorkerStatus>(self.status)),
            Cell::new(or_dash(&self.region)),
            Cell::new(capacity.free),
            Cell::new(capacity.total),
            Cell::new(self.active_endpoints),
        ];
        if wide {
            cells.push(Cell::new(self.missed_heartbeats));
        }
        cells.push(Cell::new(age(self.last_heard_at.as_ref())));
        cells.push(Cell::new(or_dash(&self.session_node)));
        if wide {
            let labels: Vec<String> = self
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            cells.push(Cell::new(name_of::<WorkerKind>(self.kind)));
            cells.push(Cell::new(or_dash(&labels.join(","))));
        }
        cells.push(Cell::new(&self.id));
        if wide {
            cells.push(Cell::new(self.revision));
        }
        table.row(cells);
    }

    fn details(&self) -> String {
        if self.conditions.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&["CONDITION", "STATE", "REASON", "SINCE", "ACTOR", "MESSAGE"]);
        for condition in &self.conditions {
            table.row(vec![
                Cell::new(&condition.r#type),
                Cell::new(or_dash(&condition.state)),
                Cell::new(or_dash(&condition.reason)),
                Cell::new(age(condition.since.as_ref())),
                Cell::new(or_dash(&condition.actor)),
                Cell::new(or_dash(&condition.message)),
            ]);
        }
        table.render()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use reeve_proto::v1::{WorkerCapacity, WorkerCondition};

    use super::*;

    #[test]
    fn a_worker_is_one_line_and_its_conditions_are_the_details() {
        let worker = Worker {
            id: "0190".into(),
            name: "w1".into(),
            status: WorkerStatus::Online.into(),
            region: "eu-west".into(),
            capacity: Some(WorkerCapacity {
                total: 100,
                reserved: 40,
                free: 60,
                ..Default::default()
            }),
            conditions: vec![WorkerCondition {
                r#type: "Link".into(),
                state: "CONNECTED".into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let mut table = Worker::table(false);
        worker.row(false, &mut table);
        let text = table.render();
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            words,
            ["w1", "ONLINE", "eu-west", "60", "100", "0", "-", "-", "0190"]
        );
        assert!(
            worker.details().contains("Link       CONNECTED"),
            "{}",
            worker.details()
        );
        let mut wide = Worker::table(true);
        worker.row(true, &mut wide);
        assert!(wide.render().starts_with("NAME  STATUS"));
    }
}
