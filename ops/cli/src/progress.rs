//! The progress of a run on stderr: a line whenever the status changes and, on a terminal, a bar with its counts below; elsewhere the
//! counts are a line too, now and then.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use reeve_proto::names::name_of;
use reeve_proto::v1::{EndpointPhase, Run, RunReasonCode, RunStatus};

use crate::output::{duration_text, in_phase, note, outcome_counts, phase_counts, stderr_is_terminal};

const REDRAW: Duration = Duration::from_millis(200);
/// Between lines about counts where there is no bar.
const COUNTS_EVERY: Duration = Duration::from_secs(10);

/// Shows a run while it is followed.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    lines: Lines,
}

/// The lines that are said.
struct Lines {
    began: Instant,
    /// The last status that was said.
    status: i32,
    /// Counts were last said here.
    counted: Instant,
    counts: String,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = stderr_is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            // The template is fixed and valid; were it not, the default one would do.
            if let Ok(style) = ProgressStyle::with_template("[{bar:30}] {pos}/{len} closed  {elapsed}  {msg}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(REDRAW);
            bar
        });
        Self {
            bar,
            lines: Lines::new(Instant::now()),
        }
    }

    /// Shows the run as it is now.
    pub(crate) fn show(&mut self, run: &Run) {
        if let Some(bar) = &self.bar {
            let counts = run.endpoints.clone().unwrap_or_default();
            bar.set_length(u64::from(counts.total));
            bar.set_position(u64::from(in_phase(&counts, EndpointPhase::Closed)));
            bar.set_message(counts_text(run));
        }
        if let Some(line) = self.lines.status(run, Instant::now()) {
            self.remark(&line);
        } else if self.bar.is_none()
            && let Some(line) = self.lines.counts(run, Instant::now())
        {
            self.remark(&line);
        }
    }

    /// A word about the connection, which does not disturb the bar.
    pub(crate) fn remark(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => note(text),
        }
    }
}

impl Lines {
    fn new(now: Instant) -> Self {
        Self {
            began: now,
            status: 0,
            counted: now,
            counts: String::new(),
        }
    }

    /// A line for a status that was not said yet.
    fn status(&mut self, run: &Run, now: Instant) -> Option<String> {
        if run.status == self.status {
            return None;
        }
        self.status = run.status;
        let reason = run.reason.as_ref().filter(|reason| reason.code != 0);
        let reason = reason.map_or("", |reason| name_of::<RunReasonCode>(reason.code));
        Some(self.line(run, reason, now))
    }

    /// A line for counts that were not said yet, unless there was one a moment ago.
    fn counts(&mut self, run: &Run, now: Instant) -> Option<String> {
        let due = now.duration_since(self.counted) >= COUNTS_EVERY;
        (due && counts_text(run) != self.counts).then(|| self.line(run, "", now))
    }

    fn line(&mut self, run: &Run, reason: &str, now: Instant) -> String {
        self.counted = now;
        self.counts = counts_text(run);
        let elapsed = duration_text(now.duration_since(self.began));
        let status = name_of::<RunStatus>(run.status);
        let text = format!("{elapsed:>7}  {status}  {reason}  {}", self.counts);
        text.replace("    ", "  ").trim_end().to_owned()
    }
}

/// Phases, then outcomes.
fn counts_text(run: &Run) -> String {
    let (phases, outcomes) = (phase_counts(run), outcome_counts(run));
    match outcomes.is_empty() {
        true => phases,
        false => format!("{phases}  {outcomes}"),
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use reeve_proto::v1::{EndpointCounts, EndpointOutcome, OutcomeCount, PhaseCount, RunReason};

    use super::*;

    fn run(status: RunStatus, closed: u32) -> Run {
        Run {
            status: status.into(),
            endpoints: Some(EndpointCounts {
                total: 10,
                by_phase: vec![PhaseCount {
                    phase: EndpointPhase::Closed.into(),
                    count: closed,
                }],
                by_outcome: vec![OutcomeCount {
                    outcome: EndpointOutcome::Success.into(),
                    count: closed,
                }],
            }),
            ..Default::default()
        }
    }

    // Covers: R144, R173, R196
    #[test]
    fn every_status_is_said_once_and_counts_now_and_then() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut lines = Lines::new(begin);
        assert!(
            lines
                .status(&run(RunStatus::Queued, 0), at(1))
                .unwrap()
                .ends_with("QUEUED")
        );
        assert_eq!(lines.status(&run(RunStatus::Queued, 0), at(2)), None);
        let running = lines.status(&run(RunStatus::Running, 2), at(3)).unwrap();
        assert!(running.ends_with("RUNNING  CLOSED 2  SUCCESS 2"), "{running:?}");
        assert_eq!(lines.counts(&run(RunStatus::Running, 3), at(5)), None);
        assert!(
            lines
                .counts(&run(RunStatus::Running, 3), at(13))
                .unwrap()
                .contains("CLOSED 3")
        );
        assert_eq!(
            lines.counts(&run(RunStatus::Running, 3), at(40)),
            None,
            "nothing new"
        );
        let mut ended = run(RunStatus::CannotRunForNow, 0);
        ended.reason = Some(RunReason {
            code: RunReasonCode::WorkersBusy.into(),
            message: String::new(),
        });
        let line = lines.status(&ended, at(41)).unwrap();
        assert!(line.ends_with("CANNOT_RUN_FOR_NOW  WORKERS_BUSY"), "{line:?}");
    }
}
