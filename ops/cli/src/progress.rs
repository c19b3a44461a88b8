//! The progress of a run on stderr: a bar on a terminal, elsewhere a line whenever the status changes.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use reeve_proto::names::name_of;
use reeve_proto::v1::{EndpointPhase, Run, RunStatus};

use crate::output::{duration_text, in_phase, note, phase_counts, stderr_is_terminal};

const REDRAW: Duration = Duration::from_millis(200);

/// Shows a run while it is followed.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    status: i32,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = stderr_is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            // The template is fixed and valid; were it not, the default one would do.
            if let Ok(style) =
                ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} closed  {elapsed}  {msg}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(REDRAW);
            bar
        });
        Self {
            bar,
            began: Instant::now(),
            status: 0,
        }
    }

    /// Shows the run as it is now.
    pub(crate) fn show(&mut self, run: &Run) {
        let status = name_of::<RunStatus>(run.status);
        if let Some(bar) = &self.bar {
            let counts = run.endpoints.clone().unwrap_or_default();
            bar.set_length(u64::from(counts.total));
            bar.set_position(u64::from(in_phase(&counts, EndpointPhase::Closed)));
            bar.set_prefix(status);
            bar.set_message(phase_counts(run));
        } else if run.status != self.status {
            let elapsed = duration_text(self.began.elapsed());
            note(format!("{elapsed:>7}  {status}  {}", phase_counts(run)).trim_end());
        }
        self.status = run.status;
    }

    /// A word about the connection, which does not disturb the bar.
    pub(crate) fn remark(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => note(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
