//! Reports on their way into the log: in order within an assignment, side by side over assignments, bounded in all.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use reeve_proto::v1;
use reeve_proto::v1::session_response::Message;
use reeve_state::command::{Command, Envelope, KeepLateReports, Refusal, Reply, Report, ReportEvent};
use reeve_state::id::{AssignmentEpoch, RunId};
use reeve_store::{Lane, ProposeError, Store, UnavailableReason};
use tokio::time::Instant;

use super::encode;
use super::end::SessionEnd;
use crate::mutants;

/// Most reports of a session that wait for the log.
const MOST_REPORTS: usize = 1_024;
/// Most endpoints in the reports of a session that wait for the log.
const MOST_ENDPOINTS: usize = 200_000;
/// How long one attempt may wait for the log.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between the first attempts; doubled up to [`RETRY_MOST`].
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(1);
/// How long evidence may wait for the log.
const LATE_TIMEOUT: Duration = Duration::from_secs(1);

/// Names an assignment in a report.
type Key = (RunId, AssignmentEpoch);

/// Reports that wait behind one of the same assignment.
///
/// What does not fit is dropped without a word: it is not acknowledged, so the worker repeats it (D30), and heartbeats that come
/// behind it are read even while nothing can be committed.
#[derive(Debug, Default)]
pub(super) struct Reports {
    waiting: HashMap<Key, VecDeque<Report>>,
    reports: usize,
    endpoints: usize,
}

impl Reports {
    /// Takes a report. Returns it if it can be proposed now; then [`Reports::next`] is due once it is answered.
    pub(super) fn push(&mut self, report: Report) -> Option<Report> {
        let key = (report.run, report.epoch);
        let weight = weight(&report);
        let full = self.reports >= MOST_REPORTS || self.endpoints + weight > MOST_ENDPOINTS;
        let Some(queue) = self.waiting.get_mut(&key) else {
            self.waiting.insert(key, VecDeque::new());
            return Some(report);
        };
        if full || queue.iter().any(|waiting| waiting.seq == report.seq) {
            return None;
        }
        self.reports += 1;
        self.endpoints += weight;
        queue.push_back(report);
        None
    }

    /// A report was answered; the next of its assignment, if one waits.
    pub(super) fn next(&mut self, answered: &Report) -> Option<Report> {
        let key = (answered.run, answered.epoch);
        let next = self.waiting.get_mut(&key).and_then(VecDeque::pop_front);
        match &next {
            Some(report) => {
                self.reports -= 1;
                self.endpoints -= weight(report);
            }
            None => {
                self.waiting.remove(&key);
            }
        }
        next
    }

    /// Whether none is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn weight(report: &Report) -> usize {
    match &report.event {
        ReportEvent::Progress(endpoints) => endpoints.len(),
        ReportEvent::Ready
        | ReportEvent::NotReady { .. }
        | ReportEvent::StartedLate { .. }
        | ReportEvent::Closed => 0,
    }
}

/// Proposes a report until the log has answered. Repeating is harmless: the number of the report makes it idempotent.
pub(super) async fn commit(store: &Store, report: &Report) -> Result<Result<Reply, Refusal>, SessionEnd> {
    let (mut pause, mut left) = (RETRY_FIRST, None);
    loop {
        let report = left.as_ref().unwrap_or(report);
        let envelope = Envelope::internal(Command::Report(report.clone()));
        let deadline = Instant::now() + mutants::report_timeout(ATTEMPT_TIMEOUT);
        let error = match store.propose(envelope, Lane::Reports, deadline).await {
            Ok(applied) => return Ok(applied.result),
            Err(error) => error,
        };
        match error {
            ProposeError::Fatal(_)
            | ProposeError::Unavailable {
                reason: UnavailableReason::ShuttingDown,
            } => return Err(SessionEnd::ShuttingDown),
            ProposeError::LaneFull { retry_after } => pause = pause.max(retry_after),
            ProposeError::Unavailable {
                reason: UnavailableReason::NoLeader | UnavailableReason::NoQuorum | UnavailableReason::Overdue,
            }
            | ProposeError::OutcomeUnknown
            | ProposeError::NotLeader => {}
        }
        left = mutants::left_of(report);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_MOST);
    }
}

/// Keeps what was reported of endpoints after their epoch was over (D14). Evidence only: should it not come through, nothing
/// depends on it.
pub(super) async fn keep_late(
    store: &Store,
    report: &Report,
    result: &Result<Result<Reply, Refusal>, SessionEnd>,
) {
    if let Some(command) = late(report, result) {
        let deadline = Instant::now() + LATE_TIMEOUT;
        let kept = store
            .propose(Envelope::internal(command), Lane::Reports, deadline)
            .await;
        if let Err(error) = kept {
            tracing::debug!(%error, run = %report.run, "a late report was not kept");
        }
    }
}

fn late(report: &Report, result: &Result<Result<Reply, Refusal>, SessionEnd>) -> Option<Command> {
    let (Ok(Err(Refusal::EpochOver { .. })), ReportEvent::Progress(reports)) = (result, &report.event) else {
        return None;
    };
    Some(Command::KeepLateReports(KeepLateReports {
        worker: report.worker,
        run: report.run,
        epoch: report.epoch,
        reports: reports.clone(),
    }))
}

/// What the worker is told about a report that the log has answered.
pub(super) fn answer(report: &Report, result: &Result<Reply, Refusal>) -> Vec<Message> {
    let before = report.seq - 1;
    let ack = match result {
        Ok(Reply::Reported { acked_seq }) => encode::ack(report, *acked_seq),
        Err(Refusal::ReportOutOfOrder { expected, .. }) => encode::ack(report, expected.saturating_sub(1)),
        Err(Refusal::EpochOver {
            confirm: false,
            acked_seq,
            ..
        }) => v1::ReportAck {
            over: true,
            ..encode::ack(report, *acked_seq)
        },
        Err(Refusal::EpochOver {
            confirm: true,
            acked_seq,
            ..
        }) => {
            let ack = v1::ReportAck {
                refused: "EPOCH_OVER".to_owned(),
                ..encode::ack(report, *acked_seq)
            };
            let stop = encode::abandon(report.run, report.epoch);
            return vec![Message::Stop(stop), Message::ReportAck(ack)];
        }
        Err(Refusal::ReportInvalid { rule }) => v1::ReportAck {
            refused: rule.clone(),
            ..encode::ack(report, before)
        },
        Ok(reply @ (Reply::Done | Reply::Object { .. } | Reply::Session(_))) => {
            tracing::error!(?reply, "a report was answered with something else");
            v1::ReportAck {
                refused: "INTERNAL".to_owned(),
                ..encode::ack(report, before)
            }
        }
        Err(
            refusal @ (Refusal::NotFound { .. }
            | Refusal::AlreadyExists { .. }
            | Refusal::RequestIdReused { .. }
            | Refusal::Invalid { .. }
            | Refusal::WrongStatus { .. }
            | Refusal::TestInUse { .. }
            | Refusal::Stale { .. }
            | Refusal::StaleTerm { .. }
            | Refusal::SessionOver { .. }
            | Refusal::TokenRejected
            | Refusal::TokenExpired { .. }
            | Refusal::KeyRejected { .. }
            | Refusal::RoleTooLow { .. }
            | Refusal::KeysExist
            | Refusal::LastAdminKey { .. }
            | Refusal::WorkerBusy { .. }
            | Refusal::WorkerOfAnotherKey { .. }
            | Refusal::OtherProject { .. }
            | Refusal::OverPlan(_)
            | Refusal::SipUnavailable(_)
            | Refusal::InUse { .. }
            | Refusal::ProjectInUse { .. }
            | Refusal::WrongProfile { .. }
            | Refusal::TestProbed { .. }
            | Refusal::SlotNotOpen { .. }
            | Refusal::Placement(_)
            | Refusal::NotYet { .. }
            | Refusal::ClusterVersion { .. }),
        ) => v1::ReportAck {
            refused: refusal.to_string(),
            ..encode::ack(report, before)
        },
    };
    vec![Message::ReportAck(ack)]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use reeve_state::command::EndpointReport;
    use reeve_state::id::WorkerId;
    use reeve_state::transition::endpoint::EndpointPhase;

    use super::*;

    fn report(run: u8, seq: u64) -> Report {
        Report {
            worker: WorkerId::from_bytes([9; 16]),
            run: RunId::from_bytes([run; 16]),
            epoch: AssignmentEpoch(1),
            seq,
            event: ReportEvent::Ready,
        }
    }

    #[test]
    fn reports_of_an_assignment_go_one_by_one_and_assignments_side_by_side() {
        let mut reports = Reports::default();
        assert_eq!(reports.push(report(1, 1)), Some(report(1, 1)));
        assert_eq!(reports.push(report(1, 2)), None);
        assert_eq!(reports.push(report(1, 3)), None);
        assert_eq!(
            reports.push(report(2, 1)),
            Some(report(2, 1)),
            "another run does not wait"
        );
        assert_eq!(reports.next(&report(1, 1)), Some(report(1, 2)));
        assert_eq!(reports.next(&report(1, 2)), Some(report(1, 3)));
        assert_eq!(reports.next(&report(1, 3)), None);
        assert_eq!(reports.next(&report(2, 1)), None);
        assert!(reports.is_idle());
    }

    // Covers: R212
    #[test]
    fn a_report_that_waits_already_is_not_kept_twice() {
        let mut reports = Reports::default();
        reports.push(report(1, 1));
        reports.push(report(1, 2));
        reports.push(report(1, 2));
        assert_eq!(reports.next(&report(1, 1)), Some(report(1, 2)));
        assert_eq!(reports.next(&report(1, 2)), None);
    }

    #[test]
    fn a_flood_is_bounded_by_number_and_by_size() {
        let mut reports = Reports::default();
        reports.push(report(1, 1));
        for seq in 2..10_000 {
            reports.push(report(1, seq));
        }
        assert_eq!(reports.reports, MOST_REPORTS);
        let endpoint = EndpointReport {
            offset: 0,
            phase: EndpointPhase::Closed,
            outcome: None,
        };
        let mut reports = Reports::default();
        for seq in 1..100 {
            let event = ReportEvent::Progress(vec![endpoint; 20_000]);
            reports.push(Report {
                event,
                ..report(1, seq)
            });
        }
        assert_eq!(reports.endpoints, MOST_ENDPOINTS);
        let mut answered = report(1, 1);
        while let Some(next) = reports.next(&answered) {
            answered = next;
        }
        assert_eq!((reports.reports, reports.endpoints), (0, 0));
    }

    fn ack(message: &Message) -> &v1::ReportAck {
        let Message::ReportAck(ack) = message else {
            panic!("{message:?} is no acknowledgement")
        };
        ack
    }

    // Covers: R211, R212
    #[test]
    fn every_answer_of_the_log_has_its_answer_to_the_worker() {
        let said = report(1, 5);
        let (run, epoch) = (said.run, said.epoch);
        let over = |confirm| {
            Err(Refusal::EpochOver {
                run,
                epoch,
                confirm,
                acked_seq: 3,
            })
        };
        let rows = [
            (Ok(Reply::Reported { acked_seq: 7 }), 7, false, ""),
            (
                Err(Refusal::ReportOutOfOrder { seq: 5, expected: 3 }),
                2,
                false,
                "",
            ),
            (Err(Refusal::ReportInvalid { rule: "no".into() }), 4, false, "no"),
            (over(false), 3, true, ""),
        ];
        for (result, acked_seq, is_over, refused) in rows {
            let messages = answer(&said, &result);
            assert_eq!(messages.len(), 1);
            let ack = ack(&messages[0]);
            assert_eq!(
                (ack.acked_seq, ack.over, ack.refused.as_str()),
                (acked_seq, is_over, refused),
                "{result:?}"
            );
        }
        let messages = answer(&said, &over(true));
        assert!(matches!(&messages[0], Message::Stop(stop) if stop.abandon && stop.epoch == epoch.0));
        assert_eq!(ack(&messages[1]).refused, "EPOCH_OVER");
    }
}
