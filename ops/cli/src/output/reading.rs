//! What a run's timeline tells those who know how to read it (R207 to R209, and the signs of R174 to R177).

use std::time::Duration;

use reeve_proto::v1::{Assignment, Run, RunReasonCode, RunStatus, TestDefinition};

use super::table::{between, duration_text};

/// Longer in PENDING is not usual (R127).
const SLOW_VALIDATION: Duration = Duration::from_secs(2);
/// Longer in QUEUED is not usual (R138).
const SLOW_START: Duration = Duration::from_secs(5);
/// Most workers that are named.
const NAMED: usize = 3;

/// One remark a line, none if there is nothing to remark.
pub(crate) fn reading(run: &Run) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(took) = took(run, RunStatus::Pending).filter(|took| *took > SLOW_VALIDATION) {
        remarks.push(format!(
            "PENDING took {}: validation was slow; was there a quorum, is the leader busy? (reeve cluster status)",
            duration_text(took)
        ));
    }
    if let Some(took) = took(run, RunStatus::Queued).filter(|took| *took > SLOW_START) {
        remarks.push(queued(run, took));
    }
    if let Some(took) = took(run, RunStatus::Running) {
        remarks.extend(running(run, took));
    }
    remarks.extend(failed(run));
    remarks
}

/// How long it was in a status that it left.
fn took(run: &Run, status: RunStatus) -> Option<Duration> {
    let at = run.timeline.iter().position(|entry| entry.status() == status)?;
    let next = run.timeline.get(at + 1)?;
    between(run.timeline[at].at.as_ref(), next.at.as_ref())
}

fn queued(run: &Run, took: Duration) -> String {
    let took = duration_text(took);
    if run.assignments.is_empty() {
        format!("QUEUED took {took}: it waited for capacity in vain")
    } else {
        format!(
            "QUEUED took {took}: capacity came late, or workers were slow to confirm (overloaded, far away)"
        )
    }
}

/// Well below build-up and call means that endpoints ended early.
fn running(run: &Run, took: Duration) -> Option<String> {
    let definition = run.definition.as_ref()?;
    let planned = planned(definition);
    let early = run.status() == RunStatus::Completed && run.stop_requested_at.is_none() && took < planned;
    early.then(|| {
        format!(
            "RUNNING took {}, build-up and call alone take {}: endpoints ended early, look at their outcomes",
            duration_text(took),
            duration_text(planned)
        )
    })
}

/// The last endpoint starts at the end of the build-up and stays for the duration of the call.
fn planned(definition: &TestDefinition) -> Duration {
    let part = |duration: Option<prost_types::Duration>| {
        duration
            .and_then(|duration| Duration::try_from(duration).ok())
            .unwrap_or_default()
    };
    // The last endpoint of n starts a step before the end.
    let most = definition.groups.iter().map(|group| group.endpoints).max();
    let buildup = part(definition.buildup);
    let step = buildup / most.unwrap_or(1).max(1);
    buildup.saturating_sub(step) + part(definition.duration)
}

fn failed(run: &Run) -> Option<String> {
    let code = run.reason.as_ref().map(|reason| reason.code())?;
    match code {
        RunReasonCode::AllWorkersDisconnected | RunReasonCode::WorkerLost => Some(format!(
            "endpoints were CLOSED together with their workers: {}; look at the network between and at memory limits of their \
             containers (reeve worker history)",
            lost(&run.assignments)
        )),
        RunReasonCode::ExecutionTimeoutExceeded => Some(
            "it did not end within max_execution: endpoints hang, or the limit is too low for this test"
                .to_owned(),
        ),
        RunReasonCode::UnrecoverablePlatformError => {
            Some("this is a fault of the platform: look at the logs of the nodes, and report it".to_owned())
        }
        RunReasonCode::Unspecified
        | RunReasonCode::NoOnlineWorkers
        | RunReasonCode::WorkersBusy
        | RunReasonCode::InsufficientCapacity
        | RunReasonCode::PlanLimitExceeded
        | RunReasonCode::CreditsExhausted
        | RunReasonCode::SubscriptionInactive
        | RunReasonCode::InvalidConfiguration
        | RunReasonCode::WorkersNotReady
        | RunReasonCode::Cancelled
        | RunReasonCode::StoppedByUser
        | RunReasonCode::AccountsUnavailable => None,
    }
}

/// `w1 (40 interrupted), w2 (60 interrupted) and 3 more`.
fn lost(assignments: &[Assignment]) -> String {
    let lost: Vec<String> = assignments
        .iter()
        .filter(|assignment| assignment.interrupted > 0)
        .map(|assignment| {
            format!(
                "{} ({} interrupted)",
                assignment.worker_name, assignment.interrupted
            )
        })
        .collect();
    let named = lost.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match lost.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use reeve_proto::v1::{RunReason, TimelineEntry};

    use super::*;

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    /// A run that was so long in PENDING, QUEUED and RUNNING, of a test that takes 30 s.
    fn run(spans: [i64; 3], code: RunReasonCode) -> Run {
        let well = matches!(code, RunReasonCode::Unspecified | RunReasonCode::StoppedByUser);
        let ended = if well {
            RunStatus::Completed
        } else {
            RunStatus::Failed
        };
        let statuses = [RunStatus::Pending, RunStatus::Queued, RunStatus::Running, ended];
        let mut at = 0;
        let timeline = statuses
            .iter()
            .zip(spans.into_iter().chain([0]))
            .map(|(status, span)| {
                let entry = TimelineEntry {
                    status: (*status).into(),
                    at: Some(prost_types::Timestamp {
                        seconds: at,
                        nanos: 0,
                    }),
                    reason: None,
                };
                at += span;
                entry
            });
        let timeline: Vec<TimelineEntry> = timeline.collect();
        Run {
            status: ended.into(),
            timeline,
            reason: Some(RunReason {
                code: code.into(),
                message: String::new(),
            }),
            definition: Some(TestDefinition {
                duration: seconds(20),
                buildup: seconds(10),
                ..Default::default()
            }),
            assignments: vec![Assignment {
                worker_name: "w1".to_owned(),
                interrupted: 40,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    // Covers: R127, R138, R173, R174, R175, R176, R177, R207, R208, R209
    #[test]
    fn a_timeline_is_read_for_people() {
        use RunReasonCode as C;
        for (spans, code, words) in [
            ([0, 1, 31], C::Unspecified, &[][..]),
            (
                [3, 1, 31],
                C::Unspecified,
                &["PENDING took 3.0s: validation was slow"],
            ),
            (
                [0, 8, 31],
                C::Unspecified,
                &["QUEUED took 8.0s", "slow to confirm"],
            ),
            ([0, 1, 5], C::Unspecified, &["RUNNING took 5.0s", "ended early"]),
            (
                [0, 1, 5],
                C::AllWorkersDisconnected,
                &["w1 (40 interrupted)", "network", "memory"],
            ),
            ([0, 1, 5], C::WorkerLost, &["w1 (40 interrupted)"]),
            ([0, 1, 500], C::ExecutionTimeoutExceeded, &["max_execution"]),
            ([0, 1, 5], C::UnrecoverablePlatformError, &["logs of the nodes"]),
        ] {
            let text = reading(&run(spans, code)).join("\n");
            assert_eq!(text.is_empty(), words.is_empty(), "{spans:?} {code:?}: {text}");
            for word in words {
                assert!(text.contains(word), "{word:?} is not in {text:?}");
            }
        }
        let mut stopped = run([0, 1, 5], C::StoppedByUser);
        stopped.stop_requested_at = Some(prost_types::Timestamp::default());
        assert_eq!(reading(&stopped), Vec::<String>::new());
    }
}
