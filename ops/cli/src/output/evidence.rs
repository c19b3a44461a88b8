//! Evidence of runs for people.

use std::fmt::Write;

use comfy_table::Cell;
use reeve_proto::json::format_time;
use reeve_proto::names::name_of;
use reeve_proto::v1;

use super::table::{Table, or_dash};

/// Three digits behind the point are what is measured; whole numbers are shown as such.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn at(time: Option<&prost_types::Timestamp>) -> String {
    time.and_then(format_time).unwrap_or_default()
}

fn present(counts: &[v1::EndpointDistribution]) -> String {
    let some = counts.iter().filter(|count| count.count > 0);
    let parts: Vec<String> = some
        .map(|count| format!("{} {}", count.name, count.count))
        .collect();
    parts.join("  ")
}

/// Names with blanks and numbers in them need a mark before the count.
fn answered(counts: &[v1::EndpointDistribution]) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|count| format!("{}: {}", count.name, count.count))
        .collect();
    parts.join("  ")
}

pub(crate) fn gaps(text: &mut String, gaps: &[v1::EvidenceGap]) {
    if gaps.is_empty() {
        return;
    }
    let mut table = Table::new(&["MISSING", "GROUP", "ENDPOINTS", "WORKER", "DETAIL"]);
    for gap in gaps {
        let last = gap.first_endpoint + gap.endpoints.saturating_sub(1);
        table.row(vec![
            Cell::new(&gap.reason),
            Cell::new(or_dash(&gap.group)),
            Cell::new(format!("{}-{last}", gap.first_endpoint)),
            Cell::new(or_dash(&gap.worker_id)),
            Cell::new(&gap.detail),
        ]);
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "\n\n{}", table.render());
}

/// Figures of a run.
pub(crate) fn metrics_text(metrics: &v1::GetRunMetricsResponse) -> String {
    let whole = match (metrics.complete, metrics.summarised) {
        (true, _) => "complete",
        (false, true) => "partial",
        (false, false) => "so far",
    };
    let simulated = if metrics.simulated { ", simulated" } else { "" };
    let group = match metrics.group.as_str() {
        "" => String::new(),
        group => format!(", group {group}"),
    };
    let mut text = format!(
        "run {} {}{group}: {whole}{simulated}\n\n",
        metrics.run_id,
        name_of::<v1::RunStatus>(metrics.status)
    );
    let mut table = Table::new(&[
        "METRIC", "#COUNT", "#MIN", "#MEAN", "#P50", "#P95", "#P99", "#MAX",
    ]);
    for metric in &metrics.metrics {
        let figures = [
            metric.min,
            metric.mean,
            metric.p50,
            metric.p95,
            metric.p99,
            metric.max,
        ];
        let mut cells = vec![Cell::new(&metric.metric), Cell::new(metric.count)];
        cells.extend(figures.into_iter().map(|figure| Cell::new(number(figure))));
        table.row(cells);
    }
    let _ = write!(text, "{}", table.render());
    for (name, counts) in [
        ("Phases", present(&metrics.phases)),
        ("Outcomes", present(&metrics.outcomes)),
        ("Responses", answered(&metrics.responses)),
    ] {
        if !counts.is_empty() {
            let _ = write!(text, "\n\n{name}: {counts}");
        }
    }
    if metrics.group.is_empty() && metrics.groups.len() > 1 {
        let _ = write!(text, "\n\n{}", groups(&metrics.groups));
    }
    gaps(&mut text, &metrics.gaps);
    text
}

/// What became of each group; its figures are asked for with its name.
fn groups(groups: &[v1::GroupDistribution]) -> String {
    let mut table = Table::new(&["GROUP", "#ENDPOINTS", "OUTCOMES", "RESPONSES"]);
    for group in groups {
        table.row(vec![
            Cell::new(&group.group),
            Cell::new(group.endpoints),
            Cell::new(or_dash(&present(&group.outcomes))),
            Cell::new(or_dash(&answered(&group.responses))),
        ]);
    }
    table.render()
}

/// One metric over time.
pub(crate) fn series_table(series: &v1::GetRunSeriesResponse) -> String {
    let mut table = Table::new(&["AT", "#COUNT", "#MIN", "#MEAN", "#MAX"]);
    for point in &series.points {
        table.row(vec![
            Cell::new(at(point.at.as_ref())),
            Cell::new(point.count),
            Cell::new(number(point.min)),
            Cell::new(number(point.mean)),
            Cell::new(number(point.max)),
        ]);
    }
    let mut text = table.render();
    gaps(&mut text, &series.gaps);
    text
}

/// Everything about one endpoint.
pub(crate) fn endpoint_text(evidence: &v1::GetEndpointEvidenceResponse) -> String {
    let late = |late: bool| if late { "late" } else { "" };
    let mut log = Table::new(&["AT", "PHASE", "OUTCOME", ""]);
    for event in &evidence.events {
        let outcome = if event.outcome == 0 {
            "-"
        } else {
            name_of::<v1::EndpointOutcome>(event.outcome)
        };
        log.row(vec![
            Cell::new(at(event.at.as_ref())),
            Cell::new(name_of::<v1::EndpointPhase>(event.phase)),
            Cell::new(outcome),
            Cell::new(late(event.late)),
        ]);
    }
    let mut samples = Table::new(&["AT", "MEASURED", ""]);
    for sample in &evidence.samples {
        let values: Vec<String> = sample
            .values
            .iter()
            .map(|(metric, value)| format!("{metric} {}", number(*value)))
            .collect();
        samples.row(vec![
            Cell::new(at(sample.at.as_ref())),
            Cell::new(values.join("  ")),
            Cell::new(late(sample.late)),
        ]);
    }
    let mut text = format!("{}\n\n{}", log.render(), samples.render());
    gaps(&mut text, &evidence.gaps);
    text
}

/// One second on one line.
pub(crate) fn sample_line(sample: &v1::RunSample) -> String {
    let metrics: Vec<String> = sample
        .metrics
        .iter()
        .map(|metric| format!("{} {} ({})", metric.metric, number(metric.mean), metric.count))
        .collect();
    let parts = [
        at(sample.at.as_ref()),
        present(&sample.phases),
        present(&sample.outcomes),
        answered(&sample.responses),
        metrics.join("  "),
    ];
    let some: Vec<&str> = parts
        .iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    some.join("  |  ")
}

/// The workers of a run.
pub(crate) fn run_workers_text(workers: &[v1::RunWorker]) -> String {
    let mut table = Table::new(&[
        "WORKER",
        "#ENDPOINTS",
        "#INTERRUPTED",
        "AT",
        "EVENT",
        "STATUS",
        "NODE",
        "MESSAGE",
    ]);
    for worker in workers {
        let name = if worker.worker_name.is_empty() {
            &worker.worker_id
        } else {
            &worker.worker_name
        };
        let head = || {
            vec![
                Cell::new(name),
                Cell::new(worker.endpoints),
                Cell::new(worker.interrupted),
            ]
        };
        if worker.events.is_empty() {
            let mut cells = head();
            cells.extend(["-"; 5].map(Cell::new));
            table.row(cells);
        }
        for event in &worker.events {
            let mut cells = head();
            cells.extend([
                Cell::new(at(event.at.as_ref())),
                Cell::new(name_of::<v1::WorkerEventKind>(event.kind)),
                Cell::new(name_of::<v1::WorkerStatus>(event.status)),
                Cell::new(or_dash(&event.node)),
                Cell::new(or_dash(&event.message)),
            ]);
            table.row(cells);
        }
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_with_as_many_digits_as_they_have() {
        for (value, text) in [
            (4.0, "4"),
            (4.12, "4.12"),
            (0.0015, "0.002"),
            (20_000.0, "20000"),
            (0.0, "0"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_second_is_one_line_with_what_there_is() {
        let sample = v1::RunSample {
            phases: vec![
                v1::EndpointDistribution {
                    name: "INCALL".into(),
                    count: 7,
                },
                v1::EndpointDistribution {
                    name: "CLOSED".into(),
                    count: 0,
                },
            ],
            metrics: vec![v1::LiveAggregate {
                metric: "mos".into(),
                count: 7,
                min: 4.0,
                mean: 4.25,
                max: 4.4,
            }],
            ..v1::RunSample::default()
        };
        assert_eq!(sample_line(&sample), "INCALL 7  |  mos 4.25 (7)");
    }

    #[test]
    fn responses_are_shown_for_the_run_and_for_each_group() {
        let one = |name: &str, count| v1::EndpointDistribution {
            name: name.into(),
            count,
        };
        let group = |name: &str, responses| v1::GroupDistribution {
            group: name.into(),
            endpoints: 12,
            responses,
            ..v1::GroupDistribution::default()
        };
        let mut metrics = v1::GetRunMetricsResponse {
            responses: vec![one("INVITE 486", 12), one("REGISTER no response", 1)],
            groups: vec![
                group("callers", vec![one("INVITE 486", 12)]),
                group("receivers", Vec::new()),
            ],
            ..v1::GetRunMetricsResponse::default()
        };
        let text = metrics_text(&metrics);
        assert!(
            text.contains("Responses: INVITE 486: 12  REGISTER no response: 1"),
            "{text}"
        );
        assert!(
            text.lines()
                .any(|line| line.starts_with("callers") && line.contains("INVITE 486: 12"))
        );
        assert!(text.lines().any(|line| line.starts_with("receivers")));
        metrics.group = "callers".into();
        assert!(!metrics_text(&metrics).contains("receivers"), "one group alone");
    }
}
