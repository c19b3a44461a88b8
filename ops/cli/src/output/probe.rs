//! Probes and their slots as lines.

use comfy_table::Cell;
use reeve_proto::json::{ProbeJson, ProbeSlotJson};
use reeve_proto::names::name_of;
use reeve_proto::probe::from_milli;
use reeve_proto::v1::probe_definition::Schedule;
use reeve_proto::v1::{
    MetricResult, Probe, ProbeDefinition, ProbeHealth, ProbeSlot, ProbeStatus, RunReasonCode, RunStatus,
    SkipReason, Statistic, Threshold,
};

use super::Resource;
use super::colour::Colour;
use super::table::{Table, age, coloured_cell, instant, or_dash, until};

impl Resource for Probe {
    type Json = ProbeJson;

    fn id(&self) -> &str {
        &self.id
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        let mut headings = vec![
            "NAME",
            "HEALTH",
            "SINCE",
            "TEST",
            "SCHEDULE",
            "LAST SLOT",
            "NEXT",
            "ID",
        ];
        if wide {
            headings.extend(["PROJECT", "LAST RUN", "#REVISION"]);
        }
        Table::new(&headings)
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let definition = self.definition.clone().unwrap_or_default();
        let health = self.health.clone().unwrap_or_default();
        let next = if self.paused_at.is_some() {
            "paused".to_owned()
        } else {
            until(self.next_due.as_ref())
        };
        let mut cells = vec![
            Cell::new(&definition.name),
            health_cell(health.status),
            Cell::new(age(health.since.as_ref())),
            Cell::new(or_dash(&self.test_name)),
            Cell::new(schedule(&definition)),
            Cell::new(instant(self.last_slot.as_ref())),
            Cell::new(next),
            Cell::new(&self.id),
        ];
        if wide {
            cells.extend([
                Cell::new(&self.project),
                Cell::new(or_dash(&self.last_run_id)),
                Cell::new(self.revision),
            ]);
        }
        table.row(cells);
    }

    fn details(&self) -> String {
        let (definition, health) = (
            self.definition.clone().unwrap_or_default(),
            self.health.clone().unwrap_or_default(),
        );
        let why = format!("{}: {}", name_of::<ProbeStatus>(health.status), health.reason);
        if definition.thresholds.is_empty() {
            return why;
        }
        let mut table = Table::new(&[
            "METRIC",
            "STATISTIC",
            "#WARNING",
            "#CRITICAL",
            "#LAST VALUE",
            "RESULT",
        ]);
        for threshold in &definition.thresholds {
            table.row(metric_row(threshold, &health));
        }
        format!("{why}\n\n{}", table.render())
    }
}

fn metric_row(threshold: &Threshold, health: &ProbeHealth) -> Vec<Cell> {
    let found = health
        .results
        .iter()
        .find(|result| (&result.metric, result.statistic) == (&threshold.metric, threshold.statistic));
    vec![
        Cell::new(&threshold.metric),
        Cell::new(name_of::<Statistic>(threshold.statistic)),
        Cell::new(number(threshold.warning_milli)),
        Cell::new(number(threshold.critical_milli)),
        Cell::new(number(found.and_then(|result| result.value_milli))),
        found.map_or_else(|| Cell::new("-"), |result| health_cell(result.status)),
    ]
}

fn number(milli: Option<i64>) -> String {
    milli.map_or_else(|| "-".to_owned(), |milli| from_milli(milli).to_string())
}

fn schedule(definition: &ProbeDefinition) -> String {
    match &definition.schedule {
        Some(Schedule::EveryMinutes(minutes)) => format!("every {minutes}m"),
        Some(Schedule::Cron(cron)) => cron.clone(),
        None => "-".to_owned(),
    }
}

fn health_cell(status: i32) -> Cell {
    let colour = match ProbeStatus::try_from(status) {
        Ok(ProbeStatus::Healthy) => Some(Colour::Green),
        Ok(ProbeStatus::Degraded) => Some(Colour::Yellow),
        Ok(ProbeStatus::Unhealthy) => Some(Colour::Red),
        Ok(ProbeStatus::Unknown) => Some(Colour::Grey),
        Ok(ProbeStatus::Unspecified) | Err(_) => None,
    };
    coloured_cell(name_of::<ProbeStatus>(status), colour)
}

impl Resource for ProbeSlot {
    type Json = ProbeSlotJson;

    fn id(&self) -> &str {
        &self.run_id
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        let mut headings = vec!["SLOT", "END", "ERRORS", "HEALTH", "METRICS", "RUN"];
        if wide {
            headings.push("AT");
        }
        Table::new(&headings)
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let errors = if self.run_status == i32::from(RunStatus::Completed) {
            format!("{}/{}", self.errors, self.endpoints)
        } else {
            "-".to_owned()
        };
        let metrics: Vec<String> = self.results.iter().map(metric).collect();
        let mut cells = vec![
            Cell::new(instant(self.slot.as_ref())),
            Cell::new(end(self)),
            Cell::new(errors),
            if self.health == 0 {
                Cell::new("-")
            } else {
                health_cell(self.health)
            },
            Cell::new(or_dash(&metrics.join(", "))),
            Cell::new(or_dash(&self.run_id)),
        ];
        if wide {
            cells.push(Cell::new(instant(self.at.as_ref())));
        }
        table.row(cells);
    }
}

fn metric(result: &MetricResult) -> String {
    format!("{} {}", result.metric, number(result.value_milli))
}

/// What became of a slot.
fn end(slot: &ProbeSlot) -> String {
    if slot.skipped != 0 {
        let reason = name_of::<SkipReason>(slot.skipped);
        return if slot.count > 1 {
            format!("{} skipped ({reason})", slot.count)
        } else {
            format!("skipped ({reason})")
        };
    }
    match (slot.run_status, slot.run_reason) {
        (0, _) if slot.evaluated_at.is_some() => "gone".to_owned(),
        (0, _) => "running".to_owned(),
        (status, 0) => name_of::<RunStatus>(status).to_owned(),
        (status, reason) => format!(
            "{} ({})",
            name_of::<RunStatus>(status),
            name_of::<RunReasonCode>(reason)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threshold() -> Threshold {
        Threshold {
            metric: "mos".into(),
            statistic: Statistic::Mean.into(),
            direction: 1,
            warning_milli: Some(3_500),
            critical_milli: Some(2_500),
        }
    }

    fn result() -> MetricResult {
        MetricResult {
            metric: "mos".into(),
            statistic: Statistic::Mean.into(),
            value_milli: Some(3_200),
            status: ProbeStatus::Degraded.into(),
        }
    }

    // Covers: R230, R231, R232, R233
    #[test]
    fn a_probe_shows_its_health_and_each_metric_against_its_limits() {
        let probe = Probe {
            definition: Some(ProbeDefinition {
                name: "fra".into(),
                schedule: Some(Schedule::EveryMinutes(5)),
                thresholds: vec![threshold()],
                ..Default::default()
            }),
            health: Some(ProbeHealth {
                status: ProbeStatus::Degraded.into(),
                reason: "mos mean is 3.2".into(),
                results: vec![result()],
                ..Default::default()
            }),
            paused_at: Some(prost_types::Timestamp::default()),
            ..Default::default()
        };
        let mut table = Probe::table(true);
        probe.row(true, &mut table);
        let text = table.render();
        assert!(
            text.contains("fra   DEGRADED") && text.contains("every 5m") && text.contains("paused"),
            "{text}"
        );
        let details = probe.details();
        assert!(details.starts_with("DEGRADED: mos mean is 3.2\n"), "{details}");
        let line = details.lines().last().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["mos", "MEAN", "3.5", "2.5", "3.2", "DEGRADED"]);
    }

    #[test]
    fn a_slot_tells_what_became_of_it() {
        let slot = |edit: fn(&mut ProbeSlot)| {
            let mut slot = ProbeSlot {
                count: 1,
                ..Default::default()
            };
            edit(&mut slot);
            end(&slot)
        };
        assert_eq!(slot(|_| ()), "running");
        assert_eq!(slot(|slot| slot.skipped = 1), "skipped (PREVIOUS_STILL_RUNNING)");
        let many = |slot: &mut ProbeSlot| (slot.skipped, slot.count) = (2, 40);
        assert_eq!(slot(many), "40 skipped (MISSED)");
        assert_eq!(slot(|slot| slot.run_status = 4), "COMPLETED");
        let refused = |slot: &mut ProbeSlot| (slot.run_status, slot.run_reason) = (6, 2);
        assert_eq!(slot(refused), "CANNOT_RUN_FOR_NOW (WORKERS_BUSY)");
        let mut table = ProbeSlot::table(true);
        ProbeSlot {
            results: vec![result()],
            run_status: RunStatus::Completed.into(),
            endpoints: 10,
            errors: 1,
            health: ProbeStatus::Degraded.into(),
            ..Default::default()
        }
        .row(true, &mut table);
        let text = table.render();
        assert!(
            text.contains("1/10") && text.contains("DEGRADED") && text.contains("mos 3.2"),
            "{text}"
        );
    }
}
