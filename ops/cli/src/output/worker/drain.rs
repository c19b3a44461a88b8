//! A drain: who asked, until when, what it waits for, and what it would mean.

use comfy_table::Cell;
use reeve_proto::json::{DrainedWorkerJson, WorkerJson};
use reeve_proto::names::{Named, name_of};
use reeve_proto::v1::{AfterDrain, DrainEffect, RunReasonCode, RunStatus, Worker, WorkerDrain};

use crate::args::OutputFormat;
use crate::error::CliError;
use crate::output::Output;
use crate::output::table::{Table, age, or_dash, status_cell, until};

/// `Worker w1 drains since 3m05s, asked by key:ops (“kernel”); then it leaves; deadline …`.
pub(crate) fn drain_line(worker: &Worker, drain: &WorkerDrain) -> String {
    let reason = if drain.reason.is_empty() {
        String::new()
    } else {
        format!(" ({})", drain.reason)
    };
    format!(
        "Worker {} drains since {}, asked by {}{reason}; at the end it {}; deadline {}",
        worker.name,
        age(drain.since.as_ref()),
        or_dash(&drain.actor),
        then_text(drain.then()),
        until(drain.deadline.as_ref()),
    )
}

fn then_text(then: AfterDrain) -> &'static str {
    match then {
        AfterDrain::Resume => "takes work again",
        AfterDrain::Disconnect | AfterDrain::Unspecified => "leaves",
    }
}

/// What a drain waits for, run by run, with a heading.
pub(crate) fn wait_lines(drain: &WorkerDrain) -> Vec<String> {
    if drain.waits_for.is_empty() {
        return vec!["It waits for nothing.".to_owned()];
    }
    let mut table = Table::new(&[
        "WAITS FOR",
        "TEST",
        "STATUS",
        "#ENDPOINTS",
        "EXPECTED END",
        "IN TIME",
    ]);
    for wait in &drain.waits_for {
        table.row(vec![
            Cell::new(&wait.run_id),
            Cell::new(or_dash(&wait.test)),
            status_cell(name_of::<RunStatus>(wait.run_status)),
            Cell::new(wait.open_endpoints),
            Cell::new(until(wait.expected_end.as_ref())),
            Cell::new(if wait.ends_in_time {
                "yes"
            } else {
                "no, will be hung up"
            }),
        ]);
    }
    table.render().lines().map(str::to_owned).collect()
}

/// Prints what a drain now would mean.
pub(crate) fn print_dry_run(
    output: &Output,
    worker: &Worker,
    queued: &[DrainEffect],
) -> Result<(), CliError> {
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&DrainedWorkerJson {
            worker: WorkerJson::from(worker),
            queued: queued.iter().map(Into::into).collect(),
        }),
        OutputFormat::Name => output.line(&worker.id),
        OutputFormat::Table | OutputFormat::Wide => output.line(&dry_run(worker, queued)),
    }
}

fn dry_run(worker: &Worker, queued: &[DrainEffect]) -> String {
    let drain = worker.drain.clone().unwrap_or_default();
    let mut lines = vec![
        format!(
            "Nothing was changed. If worker {} were drained now, until {}, at the end it {}.",
            worker.name,
            until(drain.deadline.as_ref()),
            then_text(drain.then())
        ),
        String::new(),
    ];
    lines.extend(wait_lines(&drain));
    lines.push(String::new());
    if queued.is_empty() {
        lines.push("No run waits for capacity.".to_owned());
    } else {
        lines.push(effects(queued));
    }
    lines.join("\n")
}

/// Runs that wait for capacity, and what the drain changes for them.
fn effects(queued: &[DrainEffect]) -> String {
    let mut table = Table::new(&[
        "RUN THAT WAITS",
        "TEST",
        "STATUS",
        "FITS NOW",
        "FITS THEN",
        "WHY NOT",
    ]);
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    for effect in queued {
        let reason = if effect.reason == 0 {
            String::new()
        } else {
            format!("{} {}", name_of::<RunReasonCode>(effect.reason), effect.message)
        };
        table.row(vec![
            Cell::new(&effect.run_id),
            Cell::new(or_dash(&effect.test)),
            status_cell(effect.run_status().name()),
            Cell::new(yes(effect.fits_before)),
            Cell::new(yes(effect.fits_after)),
            Cell::new(or_dash(reason.trim())),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use reeve_proto::v1::DrainWait;

    use super::*;

    fn worker() -> Worker {
        let in_an_hour = jiff::Timestamp::now().as_second() + 3_600;
        let at = |seconds| {
            Some(prost_types::Timestamp {
                seconds,
                nanos: 999_000_000,
            })
        };
        Worker {
            name: "w1".into(),
            drain: Some(WorkerDrain {
                actor: "key:ops".into(),
                reason: "new kernel".into(),
                deadline: at(in_an_hour),
                then: AfterDrain::Disconnect.into(),
                waits_for: vec![
                    DrainWait {
                        run_id: "r1".into(),
                        test: "smoke".into(),
                        run_status: RunStatus::Running.into(),
                        open_endpoints: 12,
                        expected_end: at(in_an_hour - 3_000),
                        ends_in_time: true,
                    },
                    DrainWait {
                        run_id: "r2".into(),
                        test: "soak".into(),
                        run_status: RunStatus::Running.into(),
                        open_endpoints: 3,
                        expected_end: at(in_an_hour + 60),
                        ends_in_time: false,
                    },
                ],
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    // Covers: R27, R36, R67
    #[test]
    fn a_drain_shows_who_asked_and_what_it_waits_for_run_by_run() {
        let worker = worker();
        let drain = worker.drain.clone().unwrap_or_default();
        let line = drain_line(&worker, &drain);
        assert!(
            line.contains("asked by key:ops (new kernel); at the end it leaves"),
            "{line}"
        );
        assert!(line.contains("(in 1h00m)"), "{line}");
        let lines = wait_lines(&drain);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[1].starts_with("r1         smoke  RUNNING"), "{lines:?}");
        assert!(
            lines[1].contains("(in 10m00s)") && lines[1].ends_with("yes"),
            "{lines:?}"
        );
        assert!(lines[2].ends_with("no, will be hung up"), "{lines:?}");
        assert_eq!(wait_lines(&WorkerDrain::default()), ["It waits for nothing."]);
    }

    #[test]
    fn a_dry_run_says_which_waiting_runs_would_no_longer_fit_and_why() {
        let queued = [DrainEffect {
            run_id: "r3".into(),
            test: "big".into(),
            run_status: RunStatus::Queued.into(),
            fits_before: true,
            fits_after: false,
            reason: RunReasonCode::InsufficientCapacity.into(),
            message: "40 endpoints short".into(),
        }];
        let text = dry_run(&worker(), &queued);
        assert!(text.starts_with("Nothing was changed."), "{text}");
        let last = text.lines().last().unwrap_or_default();
        assert!(last.starts_with("r3") && last.contains("yes       no"), "{last}");
        assert!(
            last.ends_with("INSUFFICIENT_CAPACITY 40 endpoints short"),
            "{last}"
        );
        assert!(dry_run(&worker(), &[]).ends_with("No run waits for capacity."));
    }
}
