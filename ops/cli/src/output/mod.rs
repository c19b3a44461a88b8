//! The only place that prints. Data goes to stdout, notes to stderr; a reader that went away ends us quietly.

mod assignments;
mod cluster;
mod colour;
mod compare;
mod event;
mod evidence;
mod explain;
mod key;
mod probe;
mod project;
mod reading;
mod run;
mod sip;
mod status;
mod table;
mod test;
mod webhook;
mod worker;

pub(crate) use assignments::assignment_table;
pub(crate) use cluster::{NodeView, cluster_json, cluster_table, member_table};
pub(crate) use colour::{Colour, colours};
pub(crate) use compare::comparison_text;
pub(crate) use event::print_event;
pub(crate) use evidence::{
    endpoint_text, gaps as gaps_text, metrics_text, run_workers_text, sample_line, series_table,
};
pub(crate) use explain::explanation_text;
pub(crate) use run::{in_phase, outcome_counts, phase_counts, summary};
pub(crate) use status::{StatusView, status_json, status_text};
pub(crate) use table::{Table, age, duration_text, or_dash};
pub(crate) use worker::{drain_line, kind_label, print_dry_run, print_events, resource_texts, wait_lines};

use std::io::{IsTerminal, Write};

use reeve_proto::json::ListJson;
use serde::Serialize;

use crate::args::OutputFormat;
use crate::error::CliError;

/// Where data goes and in which form.
pub(crate) struct Output {
    pub(crate) format: OutputFormat,
}

/// Something that can be listed and shown.
pub(crate) trait Resource: Sized + 'static {
    /// Its JSON document.
    type Json: Serialize + for<'a> From<&'a Self>;

    /// What `-o name` prints.
    fn id(&self) -> &str;

    /// Rises with every change.
    fn revision(&self) -> u64;

    /// An empty table with the headings.
    fn table(wide: bool) -> Table;

    /// One line of that table.
    fn row(&self, wide: bool, table: &mut Table);

    /// What `get` shows below the line.
    fn details(&self) -> String {
        String::new()
    }
}

impl Output {
    pub(crate) fn new(format: OutputFormat) -> Self {
        Self { format }
    }

    /// Whether people read it.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.format, OutputFormat::Table | OutputFormat::Wide)
    }

    /// Prints text and ends the line.
    pub(crate) fn line(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", text.trim_end_matches('\n'))?;
        Ok(stdout.flush()?)
    }

    /// Prints bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }

    /// Prints one document, on one line for `jsonl`.
    pub(crate) fn json<T: Serialize>(&self, document: &T) -> Result<(), CliError> {
        let text = if self.format == OutputFormat::Jsonl {
            serde_json::to_string(document)
        } else {
            serde_json::to_string_pretty(document)
        };
        self.line(&text.map_err(std::io::Error::from)?)
    }

    /// Prints one document of a stream, on one line.
    pub(crate) fn json_line<T: Serialize>(&self, document: &T) -> Result<(), CliError> {
        self.line(&serde_json::to_string(document).map_err(std::io::Error::from)?)
    }

    /// Prints one object.
    pub(crate) fn one<R: Resource>(&self, object: &R) -> Result<(), CliError> {
        match self.format {
            OutputFormat::Json | OutputFormat::Jsonl => self.json(&R::Json::from(object)),
            OutputFormat::Name => self.line(object.id()),
            OutputFormat::Table | OutputFormat::Wide => {
                self.rows(std::slice::from_ref(object))?;
                let details = object.details();
                if details.is_empty() {
                    Ok(())
                } else {
                    self.line(&format!("\n{details}"))
                }
            }
        }
    }

    /// Prints a list.
    pub(crate) fn list<R: Resource>(&self, objects: &[R], revision: u64) -> Result<(), CliError> {
        match self.format {
            OutputFormat::Json => self.json(&ListJson::<R::Json>::new(objects, "", revision)),
            OutputFormat::Jsonl => objects
                .iter()
                .try_for_each(|object| self.json(&R::Json::from(object))),
            OutputFormat::Name => objects.iter().try_for_each(|object| self.line(object.id())),
            OutputFormat::Table | OutputFormat::Wide => self.rows(objects),
        }
    }

    /// Makes room for a list that is drawn again in place of the last one.
    pub(crate) fn clear_screen(&self) -> Result<(), CliError> {
        self.raw(b"\x1b[H\x1b[2J")
    }

    fn rows<R: Resource>(&self, objects: &[R]) -> Result<(), CliError> {
        let wide = self.format == OutputFormat::Wide;
        let mut table = R::table(wide);
        for object in objects {
            object.row(wide, &mut table);
        }
        self.line(&table.render())
    }
}

/// A line for people, on stderr. That nobody reads it is no reason to stop.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether a list can be drawn again in place.
pub(crate) fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether progress can be drawn.
pub(crate) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}
