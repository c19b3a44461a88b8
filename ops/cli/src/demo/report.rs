//! What the demonstration says: lines with the time since it began.

use std::cell::Cell;
use std::time::{Duration, Instant};

use reeve_proto::names::Named;
use reeve_proto::v1::Run;

use crate::error::CliError;
use crate::output::{Output, note, phase_counts};

/// Between two lines of progress in the same status.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Prints lines with the time.
pub(super) struct Report<'a> {
    output: &'a Output,
    began: Instant,
    last_progress: Cell<Option<(i32, Instant)>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self {
            output,
            began: Instant::now(),
            last_progress: Cell::new(None),
        }
    }

    /// A step of the demonstration begins.
    pub(super) fn step(&self, text: &str) -> Result<(), CliError> {
        self.output.line(&format!("\n{} == {text}", self.clock()))
    }

    /// Something that happened.
    pub(super) fn say(&self, text: &str) -> Result<(), CliError> {
        self.output.line(&format!("{}    {text}", self.clock()))
    }

    /// A table.
    pub(super) fn block(&self, text: &str) -> Result<(), CliError> {
        self.output.line(&format!("\n{text}\n"))
    }

    /// How the run is, about once a second and whenever its status changes.
    pub(super) fn progress(&self, run: &Run) -> Result<(), CliError> {
        let fresh = self
            .last_progress
            .get()
            .is_some_and(|(status, at)| status == run.status && at.elapsed() < PROGRESS_INTERVAL);
        if fresh {
            return Ok(());
        }
        self.last_progress.set(Some((run.status, Instant::now())));
        self.say(format!("{:<10} {}", run.status().name(), phase_counts(run)).trim_end())
    }

    /// The end, if it is a bad one.
    pub(super) fn fail(&self, text: &str) {
        note(&format!("\n{} {text}", self.clock()));
    }

    fn clock(&self) -> String {
        format!("[{:5.1}s]", self.began.elapsed().as_secs_f64())
    }
}
