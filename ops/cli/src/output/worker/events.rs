//! What happened to a worker, newest first.

use comfy_table::Cell;
use reeve_proto::json::{ListJson, WorkerEventJson, format_time};
use reeve_proto::names::{Named, name_of};
use reeve_proto::v1::{WorkerEvent, WorkerEventKind, WorkerStatus};

use crate::args::OutputFormat;
use crate::error::CliError;
use crate::output::Output;
use crate::output::colour::Colour;
use crate::output::table::{Table, age, coloured_cell, or_dash};

/// Prints a worker's events; `-o name` their numbers.
pub(crate) fn print_events(output: &Output, events: &[WorkerEvent], revision: u64) -> Result<(), CliError> {
    match output.format {
        OutputFormat::Json => output.json(&ListJson::<WorkerEventJson>::new(events, "", revision)),
        OutputFormat::Jsonl => events
            .iter()
            .try_for_each(|event| output.json(&WorkerEventJson::from(event))),
        OutputFormat::Name => events
            .iter()
            .try_for_each(|event| output.line(&event.seq.to_string())),
        OutputFormat::Table => output.line(&event_table(events, false)),
        OutputFormat::Wide => output.line(&event_table(events, true)),
    }
}

fn event_table(events: &[WorkerEvent], wide: bool) -> String {
    let mut headings = vec!["AT", "AGO", "EVENT", "STATUS", "NODE"];
    if wide {
        headings.extend(["#SESSION", "#SEQ", "#REVISION"]);
    }
    headings.extend(["ACTOR", "MESSAGE"]);
    let mut table = Table::new(&headings);
    for event in events {
        let at = event.at.as_ref().and_then(format_time);
        let mut cells = vec![
            Cell::new(or_dash(&at.unwrap_or_default())),
            Cell::new(age(event.at.as_ref())),
            Cell::new(name_of::<WorkerEventKind>(event.kind)),
            coloured_cell(&statuses(event), Colour::of(event.status().name())),
            Cell::new(or_dash(&event.node)),
        ];
        if wide {
            cells.extend([
                Cell::new(event.session_epoch),
                Cell::new(event.seq),
                Cell::new(event.revision),
            ]);
        }
        cells.extend([
            Cell::new(or_dash(&event.actor)),
            Cell::new(or_dash(&event.message)),
        ]);
        table.row(cells);
    }
    table.render()
}

/// `ONLINE → ERROR`, or only `ERROR` where nothing changed or nothing was before.
fn statuses(event: &WorkerEvent) -> String {
    let (before, now) = (event.status_before(), event.status());
    if before == WorkerStatus::Unspecified || before == now {
        now.name().to_owned()
    } else {
        format!("{} → {}", before.name(), now.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use super::*;

    // Covers: R105
    #[test]
    fn each_event_is_a_line_with_the_change_of_status_the_node_and_why() {
        let events = [
            WorkerEvent {
                seq: 2,
                kind: WorkerEventKind::Suspect.into(),
                status_before: WorkerStatus::Online.into(),
                status: WorkerStatus::Error.into(),
                node: "n2".into(),
                session_epoch: 1,
                actor: "reconciler".into(),
                message: "1 heartbeat missed".into(),
                revision: 9,
                at: None,
            },
            WorkerEvent {
                seq: 1,
                kind: WorkerEventKind::Registered.into(),
                status: WorkerStatus::Offline.into(),
                ..Default::default()
            },
        ];
        let text = event_table(&events, true);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[1],
            [
                "-",
                "-",
                "SUSPECT",
                "ONLINE",
                "→",
                "ERROR",
                "n2",
                "1",
                "2",
                "9",
                "reconciler",
                "1",
                "heartbeat",
                "missed"
            ]
        );
        assert_eq!(lines[2][..5], ["-", "-", "REGISTERED", "OFFLINE", "-"]);
    }
}
