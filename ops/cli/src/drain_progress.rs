//! What a drain waits for, on stderr: kept up to date on a terminal, elsewhere lines whenever it waits for something else.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use reeve_proto::v1::Worker;

use crate::output::{drain_line, note, stderr_is_terminal, wait_lines};

const REDRAW: Duration = Duration::from_millis(200);

/// Shows a drain while it is followed.
pub(crate) struct DrainProgress {
    bar: Option<ProgressBar>,
    /// Runs, and the deadline, of which the last lines told.
    told: Option<String>,
}

impl DrainProgress {
    pub(crate) fn new() -> Self {
        let bar = stderr_is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            // The template is fixed and valid; were it not, the default one would do.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(REDRAW);
            bar
        });
        Self { bar, told: None }
    }

    /// Shows what the worker's drain waits for now.
    pub(crate) fn show(&mut self, worker: &Worker) {
        let Some(drain) = &worker.drain else {
            return;
        };
        let mut lines = vec![drain_line(worker, drain)];
        lines.extend(wait_lines(drain));
        let text = lines.join("\n");
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            return;
        }
        let runs = drain.waits_for.iter().map(|wait| wait.run_id.as_str());
        let deadline = drain.deadline.map_or(0, |deadline| deadline.seconds);
        let about = format!("{deadline} {}", runs.collect::<Vec<_>>().join(" "));
        if self.told.as_ref() != Some(&about) {
            note(&text);
            self.told = Some(about);
        }
    }
}

impl Drop for DrainProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
