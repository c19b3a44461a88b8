//! Runs as lines, and how one went: its reason, timeline and outcomes.

use std::fmt::Write;

use comfy_table::Cell;
use reeve_proto::json::RunJson;
use reeve_proto::names::{Named, name_of};
use reeve_proto::v1::{
    EndpointCounts, EndpointOutcome, EndpointPhase, Run, RunReason, RunReasonCode, RunStatus,
};

use super::Resource;
use super::table::{Table, age, between, or_dash, status_cell};

impl Resource for Run {
    type Json = RunJson;

    fn id(&self) -> &str {
        &self.id
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        if wide {
            Table::new(&[
                "ID",
                "TEST",
                "PROJECT",
                "#VERSION",
                "STATUS",
                "#ENDPOINTS",
                "#CLOSED",
                "#WORKERS",
                "AGE",
                "REASON",
                "#REVISION",
            ])
        } else {
            Table::new(&["ID", "TEST", "STATUS", "#ENDPOINTS", "#CLOSED", "AGE", "REASON"])
        }
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let counts = self.endpoints.clone().unwrap_or_default();
        let reason = self.reason.as_ref().map_or("", |reason| reason_code(reason));
        let mut cells = vec![Cell::new(&self.id), Cell::new(or_dash(&self.test_name))];
        if wide {
            cells.push(Cell::new(&self.project));
            cells.push(Cell::new(self.test_version));
        }
        cells.push(status_cell(name_of::<RunStatus>(self.status)));
        cells.push(Cell::new(counts.total));
        cells.push(Cell::new(in_phase(&counts, EndpointPhase::Closed)));
        if wide {
            let workers: std::collections::BTreeSet<&str> = self
                .assignments
                .iter()
                .map(|assignment| assignment.worker_id.as_str())
                .collect();
            cells.push(Cell::new(workers.len()));
        }
        cells.push(Cell::new(age(self.created_at.as_ref())));
        cells.push(Cell::new(or_dash(reason)));
        if wide {
            cells.push(Cell::new(self.revision));
        }
        table.row(cells);
    }

    fn details(&self) -> String {
        summary(self)
    }
}

/// How many endpoints are in a phase.
pub(crate) fn in_phase(counts: &EndpointCounts, phase: EndpointPhase) -> u32 {
    counts
        .by_phase
        .iter()
        .filter(|count| count.phase() == phase)
        .map(|count| count.count)
        .sum()
}

/// `INCALL 120  CLOSED 80`: the phases that have endpoints, in order.
pub(crate) fn phase_counts(run: &Run) -> String {
    let counts = run.endpoints.clone().unwrap_or_default();
    let parts: Vec<String> = EndpointPhase::all()
        .into_iter()
        .map(|phase| (phase, in_phase(&counts, phase)))
        .filter(|(_, count)| *count > 0)
        .map(|(phase, count)| format!("{} {count}", phase.name()))
        .collect();
    parts.join("  ")
}

/// The reason, the explanation, the timeline and the outcomes of a run.
pub(crate) fn summary(run: &Run) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(reason) = run
        .reason
        .as_ref()
        .filter(|reason| reason.code != 0 || !reason.message.is_empty())
    {
        let _ = writeln!(text, "Reason: {} {}\n", reason_code(reason), reason.message);
    }
    let _ = writeln!(text, "{}", timeline(run));
    let counts = run.endpoints.clone().unwrap_or_default();
    if counts
        .by_outcome
        .iter()
        .any(|count| count.outcome != 0 && count.count > 0)
    {
        let _ = writeln!(text, "\n{}", outcomes(&counts));
    }
    let explanation = explanation(run);
    if !explanation.is_empty() {
        let _ = writeln!(text, "\n{explanation}");
    }
    text.trim_end().to_owned()
}

fn reason_code(reason: &RunReason) -> &'static str {
    if reason.code == 0 {
        ""
    } else {
        name_of::<RunReasonCode>(reason.code)
    }
}

fn timeline(run: &Run) -> String {
    let mut table = Table::new(&["STATUS", "AT", "#TOOK", "REASON"]);
    for (index, entry) in run.timeline.iter().enumerate() {
        let next = run.timeline.get(index + 1).and_then(|next| next.at.as_ref());
        let took = between(entry.at.as_ref(), next)
            .map_or_else(String::new, |took| format!("{:.3}s", took.as_secs_f64()));
        let reason = entry.reason.as_ref().map_or_else(String::new, |reason| {
            format!("{} {}", reason_code(reason), reason.message)
                .trim()
                .to_owned()
        });
        table.row(vec![
            status_cell(name_of::<RunStatus>(entry.status)),
            Cell::new(
                entry
                    .at
                    .as_ref()
                    .and_then(reeve_proto::json::format_time)
                    .unwrap_or_default(),
            ),
            Cell::new(took),
            Cell::new(reason),
        ]);
    }
    table.render()
}

fn outcomes(counts: &EndpointCounts) -> String {
    let mut table = Table::new(&["OUTCOME", "#ENDPOINTS", "#SHARE"]);
    let total = f64::from(counts.total.max(1));
    for outcome in EndpointOutcome::all() {
        let count: u32 = counts
            .by_outcome
            .iter()
            .filter(|count| count.outcome() == outcome)
            .map(|count| count.count)
            .sum();
        if count > 0 {
            let share = format!("{:.1} %", f64::from(count) * 100.0 / total);
            table.row(vec![
                status_cell(outcome.name()),
                Cell::new(count),
                Cell::new(share),
            ]);
        }
    }
    table.render()
}

fn explanation(run: &Run) -> String {
    let Some(explanation) = &run.explanation else {
        return String::new();
    };
    let mut table = Table::new(&[
        "GROUP",
        "#ENDPOINTS",
        "#CONSIDERED",
        "#FREE",
        "#CAPACITY",
        "REMOVED",
    ]);
    for group in &explanation.groups {
        let removed: Vec<String> = group
            .removed
            .iter()
            .filter(|count| count.workers > 0)
            .map(|count| format!("{} {}", count.filter, count.workers))
            .collect();
        table.row(vec![
            Cell::new(&group.group),
            Cell::new(group.endpoints),
            Cell::new(group.workers_considered),
            Cell::new(group.capacity_free),
            Cell::new(group.capacity_total),
            Cell::new(or_dash(&removed.join(", "))),
        ]);
    }
    let mut text = if explanation.groups.is_empty() {
        String::new()
    } else {
        table.render()
    };
    if !explanation.suggestion.is_empty() {
        let _ = write!(text, "\nWould help: {}", explanation.suggestion);
    }
    text.trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use reeve_proto::v1::{OutcomeCount, PhaseCount, TimelineEntry};

    use super::*;

    fn at(millis: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp {
            seconds: millis / 1_000,
            nanos: (millis % 1_000) as i32 * 1_000_000,
        })
    }

    fn entry(status: RunStatus, millis: i64) -> TimelineEntry {
        TimelineEntry {
            status: status.into(),
            at: at(millis),
            reason: None,
        }
    }

    // Covers: R113, R142
    #[test]
    fn a_finished_run_shows_durations_between_transitions_and_outcomes() {
        let run = Run {
            status: RunStatus::Completed.into(),
            timeline: vec![
                entry(RunStatus::Pending, 0),
                entry(RunStatus::Queued, 250),
                entry(RunStatus::Running, 1_000),
                entry(RunStatus::Completed, 9_500),
            ],
            endpoints: Some(EndpointCounts {
                total: 200,
                by_phase: vec![PhaseCount {
                    phase: EndpointPhase::Closed.into(),
                    count: 200,
                }],
                by_outcome: vec![
                    OutcomeCount {
                        outcome: EndpointOutcome::CallFailed.into(),
                        count: 5,
                    },
                    OutcomeCount {
                        outcome: EndpointOutcome::Success.into(),
                        count: 195,
                    },
                ],
            }),
            ..Default::default()
        };
        assert_eq!(
            summary(&run),
            "STATUS     AT                          TOOK  REASON\n\
             PENDING    1970-01-01T00:00:00.000Z  0.250s\n\
             QUEUED     1970-01-01T00:00:00.250Z  0.750s\n\
             RUNNING    1970-01-01T00:00:01.000Z  8.500s\n\
             COMPLETED  1970-01-01T00:00:09.500Z\n\
             \n\
             OUTCOME      ENDPOINTS   SHARE\n\
             SUCCESS            195  97.5 %\n\
             CALL_FAILED          5   2.5 %"
        );
        assert_eq!(phase_counts(&run), "CLOSED 200");
    }

    #[test]
    fn a_run_that_could_not_be_placed_says_why_and_what_would_help() {
        let run = Run {
            reason: Some(RunReason {
                code: RunReasonCode::NoOnlineWorkers.into(),
                message: "no worker".into(),
            }),
            explanation: Some(reeve_proto::v1::Explanation {
                groups: vec![reeve_proto::v1::GroupExplanation {
                    group: "callers".into(),
                    endpoints: 10,
                    workers_considered: 3,
                    removed: vec![reeve_proto::v1::FilterCount {
                        filter: "OTHER_REGION".into(),
                        workers: 3,
                    }],
                    ..Default::default()
                }],
                suggestion: "a worker in eu-west".into(),
            }),
            ..Default::default()
        };
        let text = summary(&run);
        for part in [
            "Reason: NO_ONLINE_WORKERS no worker",
            "OTHER_REGION 3",
            "Would help: a worker in eu-west",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
