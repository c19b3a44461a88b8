//! Two runs side by side (R183).

use std::collections::BTreeSet;
use std::time::Duration;

use comfy_table::Cell;
use reeve_proto::names::{Named, name_of};
use reeve_proto::v1::{
    EndpointOutcome, RunComparison, RunReasonCode, RunSide, RunStatus, WorkerShare, WorkerStatus,
};

use super::table::{Table, or_dash, status_cell};

/// All of it.
pub(crate) fn comparison_text(comparison: &RunComparison) -> String {
    let (a, b) = (
        comparison.a.clone().unwrap_or_default(),
        comparison.b.clone().unwrap_or_default(),
    );
    let same = if comparison.same_definition {
        "Both executed the same definition."
    } else {
        "The definitions differ."
    };
    let mut text = format!("{}\n\n{same}", facts(&a, &b));
    if !comparison.workers.is_empty() {
        text.push_str("\n\n");
        text.push_str(&workers(comparison));
    }
    text
}

fn facts(a: &RunSide, b: &RunSide) -> String {
    let mut table = Table::new(&["", "A", "B"]);
    let mut row = |name: &str, value: &dyn Fn(&RunSide) -> String| {
        table.row(vec![Cell::new(name), Cell::new(value(a)), Cell::new(value(b))]);
    };
    row("run", &|side| side.run_id.clone());
    row("test", &|side| {
        format!("{} v{}", side.test_name, side.test_version)
    });
    row("status", &|side| name_of::<RunStatus>(side.status).to_owned());
    row("reason", &|side| {
        let reason = side.reason.as_ref().filter(|reason| reason.code != 0);
        let code = reason.map(|reason| name_of::<RunReasonCode>(reason.code));
        code.unwrap_or("-").to_owned()
    });
    for status in [RunStatus::Pending, RunStatus::Queued, RunStatus::Running] {
        row(&format!("{} took", status.name()), &|side| took(side, status));
    }
    row("endpoints", &|side| {
        let total = side.endpoints.as_ref().map(|counts| counts.total);
        total.unwrap_or_default().to_string()
    });
    row("completed", &|side| side.completed.to_string());
    row("interrupted", &|side| side.interrupted.to_string());
    for outcome in EndpointOutcome::all() {
        if ended(a, outcome) + ended(b, outcome) > 0 {
            row(outcome.name(), &|side| ended(side, outcome).to_string());
        }
    }
    let metrics: BTreeSet<&str> = [a, b]
        .into_iter()
        .flat_map(|side| &side.metrics)
        .map(|metric| metric.metric.as_str())
        .collect();
    for metric in metrics {
        row(metric, &|side| measured(side, metric));
    }
    row("workers", &|side| match side.workers_lost {
        0 => side.workers.to_string(),
        lost => format!("{} ({lost} lost)", side.workers),
    });
    row("other runs meanwhile", &|side| match side.concurrent_runs {
        0 => "none".to_owned(),
        runs => format!("{runs} ({} endpoints)", side.concurrent_endpoints),
    });
    table.render()
}

fn took(side: &RunSide, status: RunStatus) -> String {
    let found = side.durations.iter().find(|one| one.status() == status);
    let took = found.and_then(|one| Duration::try_from(one.took?).ok());
    took.map_or_else(|| "-".to_owned(), |took| format!("{:.3}s", took.as_secs_f64()))
}

/// A single value, or its middle and its upper end; marked where evidence is missing.
fn measured(side: &RunSide, metric: &str) -> String {
    let Some(figures) = side.metrics.iter().find(|one| one.metric == metric) else {
        return "-".to_owned();
    };
    let partial = if side.metrics_complete { "" } else { " (partial)" };
    if figures.count == 1 {
        return format!("{:.1}{partial}", figures.mean);
    }
    format!("p50 {:.1}, p95 {:.1}{partial}", figures.p50, figures.p95)
}

fn ended(side: &RunSide, outcome: EndpointOutcome) -> u32 {
    let counts = side.endpoints.iter().flat_map(|counts| &counts.by_outcome);
    counts
        .filter(|count| count.outcome() == outcome)
        .map(|count| count.count)
        .sum()
}

fn workers(comparison: &RunComparison) -> String {
    let mut table = Table::new(&["WORKER", "STATUS NOW", "#A", "A ENDED", "#B", "B ENDED"]);
    for worker in &comparison.workers {
        let status = if worker.status == 0 {
            "-"
        } else {
            name_of::<WorkerStatus>(worker.status)
        };
        table.row(vec![
            Cell::new(or_dash(&worker.worker_name)),
            status_cell(status),
            Cell::new(worker.a.map_or(0, |share| share.endpoints)),
            Cell::new(share(worker.a)),
            Cell::new(worker.b.map_or(0, |share| share.endpoints)),
            Cell::new(share(worker.b)),
        ]);
    }
    table.render()
}

/// `40 completed, 10 interrupted`.
fn share(share: Option<WorkerShare>) -> String {
    match share {
        None => "-".to_owned(),
        Some(share) if share.lost => {
            format!("{} completed, {} interrupted", share.completed, share.interrupted)
        }
        Some(share) => format!("{} completed", share.completed),
    }
}

#[cfg(test)]
mod tests {
    use reeve_proto::v1::{MetricAggregate, StatusDuration, WorkerComparison};

    use super::*;

    // Covers: R183, R184
    #[test]
    fn two_runs_stand_side_by_side() {
        let side = |id: &str, interrupted| RunSide {
            run_id: id.to_owned(),
            test_name: "smoke".to_owned(),
            test_version: 1,
            status: RunStatus::Completed.into(),
            durations: vec![StatusDuration {
                status: RunStatus::Running.into(),
                took: Some(prost_types::Duration {
                    seconds: 9,
                    nanos: 500_000_000,
                }),
            }],
            completed: 10 - interrupted,
            interrupted,
            workers: 1,
            workers_lost: interrupted.min(1),
            concurrent_runs: interrupted,
            concurrent_endpoints: 70,
            metrics: vec![MetricAggregate {
                metric: "setup_time_ms".to_owned(),
                count: 10,
                p50: 400.0,
                p95: 780.5,
                ..Default::default()
            }],
            metrics_complete: interrupted == 0,
            ..Default::default()
        };
        let comparison = RunComparison {
            a: Some(side("r1", 0)),
            b: Some(side("r2", 4)),
            same_definition: true,
            workers: vec![WorkerComparison {
                worker_name: "w1".to_owned(),
                status: WorkerStatus::Online.into(),
                a: None,
                b: Some(WorkerShare {
                    endpoints: 10,
                    completed: 6,
                    interrupted: 4,
                    lost: true,
                }),
                ..Default::default()
            }],
            ..Default::default()
        };
        let text = comparison_text(&comparison);
        for line in [
            "interrupted           0                     4",
            "setup_time_ms         p50 400.0, p95 780.5  p50 400.0, p95 780.5 (partial)",
            "workers               1                     1 (1 lost)",
            "other runs meanwhile  none                  4 (70 endpoints)",
            "Both executed the same definition.",
            "w1      ONLINE      0  -        10  6 completed, 4 interrupted",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
    }
}
