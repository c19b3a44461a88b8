//! Why a run is where it is, for people: the verdict, what was found group by group and worker by worker, and what would help.

use std::fmt::Write;

use comfy_table::Cell;
use reeve_proto::names::name_of;
use reeve_proto::v1::{Explanation, RunExplanation, RunReasonCode, RunStatus, SuggestedChange, WorkerStatus};

use super::table::{Table, or_dash, status_cell, until};

/// Workers shown one by one unless asked for all.
const SHOWN: usize = 20;

/// All of it; `wide` names every worker that the answer names.
pub(crate) fn explanation_text(explained: &RunExplanation, wide: bool) -> String {
    let mut text = headline(explained);
    let explanation = explained.explanation.clone().unwrap_or_default();
    let sections = [
        parts(explained),
        groups(&explanation),
        workers(&explanation, wide),
        holders(explained),
        ahead(explained),
        changes(&explanation.changes),
    ];
    for section in sections.iter().filter(|section| !section.is_empty()) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n\n{section}");
    }
    text
}

/// `run 0190… of smoke is QUEUED and WAITS until …`, and the reason below it.
fn headline(explained: &RunExplanation) -> String {
    let what = if explained.run_id.is_empty() {
        format!("A run of {}", explained.test_name)
    } else {
        format!(
            "Run {} of {} ({})",
            explained.run_id,
            explained.test_name,
            name_of::<RunStatus>(explained.status)
        )
    };
    let mut text = format!("{what}: {}", explained.verdict);
    if explained.until.is_some() {
        let _ = write!(text, " until {}", until(explained.until.as_ref()));
    }
    if let Some(reason) = explained.reason.as_ref().filter(|reason| reason.code != 0) {
        let _ = write!(
            text,
            "\n{}: {}",
            name_of::<RunReasonCode>(reason.code),
            explained.message
        );
    } else if !explained.message.is_empty() {
        let _ = write!(text, "\n{}", explained.message);
    }
    text
}

fn parts(explained: &RunExplanation) -> String {
    if explained.parts.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        "WORKER",
        "REGION",
        "GROUP",
        "#ENDPOINTS",
        "#STARTS",
        "#UTILISATION",
    ]);
    for part in &explained.parts {
        let offset = part.start_offset.unwrap_or_default();
        table.row(vec![
            Cell::new(&part.worker_name),
            Cell::new(or_dash(&part.region)),
            Cell::new(&part.group),
            Cell::new(part.endpoints),
            Cell::new(format!("+{}", reeve_proto::definition::format_duration(&offset))),
            Cell::new(utilisation(part.reserved, part.capacity)),
        ]);
    }
    table.render()
}

fn utilisation(reserved: u32, capacity: u32) -> String {
    if capacity == 0 {
        return "-".to_owned();
    }
    let percent = u64::from(reserved) * 100 / u64::from(capacity);
    format!("{reserved} of {capacity} ({percent} %)")
}

pub(super) fn groups(explanation: &Explanation) -> String {
    if explanation.groups.is_empty() {
        return String::new();
    }
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
    table.render()
}

fn workers(explanation: &Explanation, wide: bool) -> String {
    let rows = explanation
        .groups
        .iter()
        .flat_map(|group| group.workers.iter().map(move |worker| (group, worker)));
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    let shown = if wide { rows.len() } else { SHOWN };
    let mut table = Table::new(&[
        "WORKER",
        "STATUS",
        "REGION",
        "GROUP",
        "#FREE",
        "#CAPACITY",
        "#HELD",
        "WHY NOT",
    ]);
    for (group, worker) in rows.iter().take(shown) {
        table.row(vec![
            Cell::new(&worker.worker_name),
            status_cell(name_of::<WorkerStatus>(worker.status)),
            Cell::new(or_dash(&worker.region)),
            Cell::new(&group.group),
            Cell::new(worker.free),
            Cell::new(worker.capacity),
            Cell::new(worker.held),
            Cell::new(or_dash(&worker.filter)),
        ]);
    }
    let left_out: u64 = explanation
        .groups
        .iter()
        .map(|group| u64::from(group.workers_left_out))
        .sum::<u64>()
        + rows.len().saturating_sub(shown) as u64;
    let rest = match left_out {
        0 => String::new(),
        more if wide => format!("\n… and {more} more"),
        more => format!("\n… and {more} more (-o wide, -o json)"),
    };
    format!("{}{rest}", table.render())
}

fn holders(explained: &RunExplanation) -> String {
    if explained.holders.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["CAPACITY IS WITH", "TEST", "#ENDPOINTS", "EXPECTED END"]);
    for holder in &explained.holders {
        let run = if holder.run_id.is_empty() {
            "a run of another project"
        } else {
            &holder.run_id
        };
        table.row(vec![
            Cell::new(run),
            Cell::new(or_dash(&holder.test_name)),
            Cell::new(holder.endpoints),
            Cell::new(until(holder.expected_end.as_ref())),
        ]);
    }
    table.render()
}

fn ahead(explained: &RunExplanation) -> String {
    let known: Vec<&str> = explained
        .ahead
        .iter()
        .filter(|id| !id.is_empty())
        .take(SHOWN)
        .map(String::as_str)
        .collect();
    match (explained.ahead.len(), known.len()) {
        (0, _) => String::new(),
        (all, 0) => format!("Served first: {all} runs of other projects"),
        (all, named) if all > named => {
            format!("Served first: {} and {} more", known.join(", "), all - named)
        }
        _ => format!("Served first: {}", known.join(", ")),
    }
}

/// One way a line; the steps of a way that belong together on the same line.
pub(super) fn changes(changes: &[SuggestedChange]) -> String {
    let mut ways: Vec<(u32, Vec<&str>)> = Vec::new();
    for change in changes {
        match ways.last_mut().filter(|(option, _)| *option == change.option) {
            Some((_, steps)) => steps.push(&change.text),
            None => ways.push((change.option, vec![&change.text])),
        }
    }
    match ways.as_slice() {
        [] => String::new(),
        [(_, steps)] => format!("Would help: {}", steps.join("; ")),
        several => {
            let lines = several
                .iter()
                .map(|(option, steps)| format!("\n  {option}. {}", steps.join("; ")));
            format!("Would help, any one of:{}", lines.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use reeve_proto::v1::{
        CapacityHolder, FilterCount, GroupExplanation, PlannedPart, RunReason, WorkerVerdict,
    };

    use super::*;

    fn change(option: u32, text: &str) -> SuggestedChange {
        SuggestedChange {
            option,
            text: text.to_owned(),
            ..Default::default()
        }
    }

    // Covers: R137, R189, R194, R197
    #[test]
    fn a_run_that_waits_says_for_what_and_what_would_help() {
        let worker = |name: &str, status: WorkerStatus, free, filter: &str| WorkerVerdict {
            worker_name: name.to_owned(),
            region: "eu".to_owned(),
            status: status.into(),
            capacity: 100,
            free,
            filter: filter.to_owned(),
            ..Default::default()
        };
        let explained = RunExplanation {
            run_id: "r1".to_owned(),
            test_name: "smoke".to_owned(),
            status: RunStatus::Queued.into(),
            verdict: "WAITS".to_owned(),
            reason: Some(RunReason {
                code: RunReasonCode::WorkersBusy.into(),
                message: "busy".to_owned(),
            }),
            message: "busy; 1 run that waited longer comes first".to_owned(),
            explanation: Some(Explanation {
                groups: vec![GroupExplanation {
                    group: "callers".to_owned(),
                    endpoints: 40,
                    workers_considered: 3,
                    removed: vec![FilterCount {
                        filter: "NOT_ONLINE".to_owned(),
                        workers: 1,
                    }],
                    capacity_total: 100,
                    capacity_free: 30,
                    workers: vec![
                        worker("w1", WorkerStatus::Online, 30, ""),
                        worker("w2", WorkerStatus::Offline, 0, "NOT_ONLINE"),
                    ],
                    workers_left_out: 1,
                }],
                suggestion: String::new(),
                changes: vec![
                    change(1, "10 more in eu"),
                    change(1, "5 more in us"),
                    change(2, "wait"),
                ],
            }),
            ahead: vec!["r0".to_owned(), String::new()],
            holders: vec![CapacityHolder {
                endpoints: 70,
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(
            explanation_text(&explained, false),
            "Run r1 of smoke (QUEUED): WAITS\n\
             WORKERS_BUSY: busy; 1 run that waited longer comes first\n\
             \n\
             GROUP    ENDPOINTS  CONSIDERED  FREE  CAPACITY  REMOVED\n\
             callers         40           3    30       100  NOT_ONLINE 1\n\
             \n\
             WORKER  STATUS   REGION  GROUP    FREE  CAPACITY  HELD  WHY NOT\n\
             w1      ONLINE   eu      callers    30       100     0  -\n\
             w2      OFFLINE  eu      callers     0       100     0  NOT_ONLINE\n\
             … and 1 more (-o wide, -o json)\n\
             \n\
             CAPACITY IS WITH          TEST  ENDPOINTS  EXPECTED END\n\
             a run of another project  -            70  -\n\
             \n\
             Served first: r0 and 1 more\n\
             \n\
             Would help, any one of:\n  1. 10 more in eu; 5 more in us\n  2. wait"
        );
    }

    // Covers: R98
    #[test]
    fn a_plan_shows_where_the_endpoints_would_be() {
        let explained = RunExplanation {
            test_name: "smoke".to_owned(),
            verdict: "CAN_START".to_owned(),
            message: "it can start now: 50 endpoints on 1 worker".to_owned(),
            parts: vec![PlannedPart {
                worker_name: "w1".to_owned(),
                region: "eu".to_owned(),
                group: "callers".to_owned(),
                endpoints: 50,
                capacity: 200,
                reserved: 110,
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(
            explanation_text(&explained, false),
            "A run of smoke: CAN_START\n\
             it can start now: 50 endpoints on 1 worker\n\
             \n\
             WORKER  REGION  GROUP    ENDPOINTS  STARTS        UTILISATION\n\
             w1      eu      callers         50     +0s  110 of 200 (55 %)"
        );
    }
}
