//! The numbered reports of one assignment: built when they are due, one at a time unacknowledged, repeated until they
//! are acknowledged (D30). No I/O and no clock.
//!
//! The order is: Ready or NotReady, then StartedLate if it was, then Progress as endpoints move, in the end Closed.

use std::time::Duration;

use reeve_proto::v1::report::Event;
use reeve_proto::v1::{Closed, NotReady, Ready, Report, StartedLate};

use super::ledger::Ledger;
use crate::clock::MonoMs;
use crate::executor::{AssignmentKey, EndpointChange};

/// A report that nobody answered is sent again after this time, even though the session stands.
const REPEAT_AFTER: Duration = Duration::from_secs(5);
/// One that was answered with "this one is still expected" is sent again after this time.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// One that was refused in words is sent again after this time: it may have come before something that it depends on.
const RETRY_REFUSED_AFTER: Duration = Duration::from_secs(1);
/// Due at once, whatever the clock says.
const AT_ONCE: MonoMs = MonoMs(i64::MIN);

/// What opens the sequence.
#[derive(Clone, Debug, PartialEq)]
enum Opening {
    /// Not known yet.
    Undecided,
    Ready,
    NotReady(String),
    /// Nothing to say but Closed: the epoch was abandoned, or we never had it.
    Nothing,
}

#[derive(Debug)]
struct InFlight {
    seq: u64,
    event: Event,
    /// When it is to be sent (again).
    due: MonoMs,
    sent: bool,
}

/// A report to be sent now.
#[derive(Debug)]
pub struct Outgoing {
    /// The message.
    pub report: Report,
    /// Whether it was sent before.
    pub again: bool,
}

/// What an acknowledgement led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progressed {
    /// There is or will be more to report.
    Open,
    /// Closed is committed: nothing is left to say.
    Finished,
}

/// The sequence of reports of one assignment epoch.
#[derive(Debug)]
pub struct Reporter {
    key: AssignmentKey,
    ledger: Ledger,
    opening: Opening,
    acked: u64,
    in_flight: Option<InFlight>,
    last_progress: MonoMs,
    /// Closed is not said before, once all endpoints are.
    closed_due: MonoMs,
    /// How late the work began, until that is under way.
    late: Option<Duration>,
}

impl Reporter {
    /// Nothing was reported yet.
    #[must_use]
    pub fn new(key: AssignmentKey, endpoints: u32) -> Self {
        let ledger = Ledger::new(endpoints);
        Self {
            key,
            ledger,
            opening: Opening::Undecided,
            acked: 0,
            in_flight: None,
            last_progress: AT_ONCE,
            closed_due: AT_ONCE,
            late: None,
        }
    }

    /// Closed waits for something else, but not beyond `until`.
    pub fn hold_closed(&mut self, until: MonoMs) {
        self.closed_due = until;
    }

    /// Closed need not wait any more.
    pub fn release_closed(&mut self) {
        self.closed_due = AT_ONCE;
    }

    /// Whether every endpoint is CLOSED.
    #[must_use]
    pub fn all_closed(&self) -> bool {
        self.ledger.all_closed()
    }

    /// The work is prepared.
    pub fn ready(&mut self) {
        if self.opening == Opening::Undecided {
            self.opening = Opening::Ready;
        }
    }

    /// The work cannot be taken. Closed follows, since nothing is held.
    pub fn not_ready(&mut self, reason: String) {
        if self.opening == Opening::Undecided {
            self.opening = Opening::NotReady(reason);
        }
    }

    /// The work began so long after its start instant.
    pub fn started_late(&mut self, by: Duration) {
        self.late = Some(by);
    }

    /// Nothing is held any more and nothing but Closed is of interest.
    pub fn abandon(&mut self) {
        if self.opening == Opening::Nothing {
            return;
        }
        self.opening = Opening::Nothing;
        let after = self.in_flight.take().map_or(self.acked, |report| report.seq);
        // Behind what may still be committed; renumbered if the answer says that it was not.
        self.in_flight = Some(InFlight {
            seq: after + 1,
            event: Event::Closed(Closed {}),
            due: AT_ONCE,
            sent: false,
        });
    }

    /// Notes what an endpoint did. True if that is news.
    pub fn record(&mut self, change: EndpointChange) -> bool {
        self.opening != Opening::Nothing && self.ledger.record(change)
    }

    /// Endpoints that began and have not closed.
    #[must_use]
    pub fn active(&self) -> u32 {
        if self.opening == Opening::Nothing {
            0
        } else {
            self.ledger.active()
        }
    }

    /// The last report that is known to be committed.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// When [`Reporter::poll`] next has something; None if only an event can change that.
    #[must_use]
    pub fn due(&self, interval: Duration) -> Option<MonoMs> {
        if let Some(report) = &self.in_flight {
            return Some(report.due);
        }
        match &self.opening {
            Opening::Undecided => None,
            Opening::NotReady(_) | Opening::Nothing => Some(AT_ONCE),
            Opening::Ready if self.acked == 0 || self.late.is_some() => Some(AT_ONCE),
            Opening::Ready if self.ledger.all_closed() && !self.ledger.has_changes() => Some(self.closed_due),
            Opening::Ready if self.ledger.all_closed() => Some(AT_ONCE),
            Opening::Ready => self
                .ledger
                .has_changes()
                .then(|| self.last_progress.after(interval)),
        }
    }

    /// The report to send now, if one is due. It counts as sent.
    pub fn poll(&mut self, now: MonoMs, interval: Duration) -> Option<Outgoing> {
        if self.due(interval)? > now {
            return None;
        }
        if self.in_flight.is_none() {
            let event = self.next_event()?;
            if matches!(event, Event::Progress(_)) {
                self.last_progress = now;
            }
            self.in_flight = Some(InFlight {
                seq: self.acked + 1,
                event,
                due: now,
                sent: false,
            });
        }
        let report = self.in_flight.as_mut()?;
        let again = std::mem::replace(&mut report.sent, true);
        report.due = now.after(REPEAT_AFTER);
        let event = Some(report.event.clone());
        let (run_id, epoch) = (self.key.run_id.to_string(), self.key.epoch);
        Some(Outgoing {
            report: Report {
                run_id,
                epoch,
                seq: report.seq,
                event,
            },
            again,
        })
    }

    /// The node's answer to a report: everything up to `acked` is committed. An older answer than the last is ignored.
    pub fn acknowledged(&mut self, acked: u64, refused: bool, now: MonoMs) -> Progressed {
        if acked < self.acked {
            return Progressed::Open;
        }
        let wait = if refused { RETRY_REFUSED_AFTER } else { RETRY_AFTER };
        self.settle(acked, now.after(wait))
    }

    /// The first word of a new session: what the cluster has of this assignment. What it does not have is sent again
    /// at once.
    pub fn resumed(&mut self, acked: u64) -> Progressed {
        if acked < self.acked {
            // It lost what it had acknowledged. Phases only move forward, so telling everything again is harmless.
            self.restate(acked);
            return Progressed::Open;
        }
        self.settle(acked, AT_ONCE)
    }

    fn settle(&mut self, acked: u64, retry: MonoMs) -> Progressed {
        let expected = acked + 1;
        let Some(report) = self.in_flight.as_mut() else {
            if acked > self.acked {
                self.restate(acked);
            }
            return Progressed::Open;
        };
        if report.seq <= acked {
            let finished = matches!(report.event, Event::Closed(_));
            let unexpected = acked > report.seq;
            self.in_flight = None;
            self.acked = acked;
            if unexpected && !finished {
                self.restate(acked);
            }
            return if finished {
                Progressed::Finished
            } else {
                Progressed::Open
            };
        }
        self.acked = acked;
        report.seq = expected;
        report.due = report.due.min(retry);
        Progressed::Open
    }

    /// Begins again behind report `acked`, with everything that is known.
    fn restate(&mut self, acked: u64) {
        self.acked = acked;
        self.in_flight = None;
        self.ledger.mark_all();
    }

    fn next_event(&mut self) -> Option<Event> {
        match &self.opening {
            Opening::Undecided => None,
            Opening::Nothing => Some(Event::Closed(Closed {})),
            Opening::NotReady(reason) if self.acked == 0 => Some(Event::NotReady(NotReady {
                reason: reason.clone(),
            })),
            Opening::NotReady(_) => Some(Event::Closed(Closed {})),
            Opening::Ready if self.acked == 0 => Some(Event::Ready(Ready {})),
            Opening::Ready if self.late.is_some() => self.late.take().map(|by| {
                let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
                Event::StartedLate(StartedLate { by_ms })
            }),
            Opening::Ready if self.ledger.has_changes() => Some(Event::Progress(self.ledger.take())),
            Opening::Ready => self.ledger.all_closed().then_some(Event::Closed(Closed {})),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]
mod tests {
    use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn reporter(endpoints: u32) -> Reporter {
        Reporter::new(AssignmentKey::new("r", 1), endpoints)
    }

    fn moved(reporter: &mut Reporter, offset: u32, phase: Phase) {
        let outcome = if phase == Phase::Closed {
            Outcome::Success
        } else {
            Outcome::Unspecified
        };
        assert!(reporter.record(EndpointChange {
            offset,
            phase,
            outcome
        }));
    }

    /// `(seq, kind, offsets, sent before)` of the report that is due.
    fn sent(reporter: &mut Reporter, at: i64) -> Option<(u64, &'static str, Vec<u32>, bool)> {
        let outgoing = reporter.poll(MonoMs(at), SECOND)?;
        let (kind, offsets) = match outgoing.report.event.unwrap() {
            Event::Ready(_) => ("ready", Vec::new()),
            Event::NotReady(_) => ("not ready", Vec::new()),
            Event::Progress(progress) => ("progress", progress.offsets),
            Event::Closed(_) => ("closed", Vec::new()),
            Event::StartedLate(late) => ("late", vec![u32::try_from(late.by_ms).unwrap()]),
        };
        Some((outgoing.report.seq, kind, offsets, outgoing.again))
    }

    fn open(reporter: &mut Reporter) {
        reporter.ready();
        assert_eq!(sent(reporter, 0), Some((1, "ready", vec![], false)));
        assert_eq!(reporter.acknowledged(1, false, MonoMs(1)), Progressed::Open);
    }

    #[test]
    fn closed_waits_for_what_it_is_held_for_and_no_longer() {
        for (released, due) in [(false, 5_000), (true, 10)] {
            let mut reporter = reporter(1);
            open(&mut reporter);
            moved(&mut reporter, 0, Phase::Closed);
            reporter.hold_closed(MonoMs(5_000));
            assert_eq!(sent(&mut reporter, 5), Some((2, "progress", vec![0], false)));
            assert_eq!(reporter.acknowledged(2, false, MonoMs(6)), Progressed::Open);
            assert_eq!(sent(&mut reporter, 7), None);
            if released {
                reporter.release_closed();
            }
            assert_eq!(sent(&mut reporter, due), Some((3, "closed", vec![], false)));
        }
    }

    #[test]
    fn reports_are_numbered_and_wait_for_the_acknowledgement_of_the_one_before() {
        let mut reporter = reporter(2);
        assert_eq!(sent(&mut reporter, 0), None, "not prepared yet");
        open(&mut reporter);
        assert_eq!(sent(&mut reporter, 10), None, "nothing happened");
        moved(&mut reporter, 0, Phase::Initializing);
        assert_eq!(sent(&mut reporter, 20), Some((2, "progress", vec![0], false)));
        moved(&mut reporter, 0, Phase::Closed);
        moved(&mut reporter, 1, Phase::Closed);
        assert_eq!(sent(&mut reporter, 30), None, "one at a time");
        assert_eq!(reporter.acknowledged(2, false, MonoMs(40)), Progressed::Open);
        assert_eq!(
            sent(&mut reporter, 41),
            Some((3, "progress", vec![0, 1], false)),
            "the last one does not wait"
        );
        assert_eq!(reporter.acknowledged(3, false, MonoMs(42)), Progressed::Open);
        assert_eq!(sent(&mut reporter, 43), Some((4, "closed", vec![], false)));
        assert_eq!(reporter.acknowledged(4, false, MonoMs(44)), Progressed::Finished);
    }

    // Covers: R134, R141
    #[test]
    fn a_late_start_is_told_at_once_and_before_any_progress() {
        let mut reporter = reporter(1);
        open(&mut reporter);
        reporter.started_late(Duration::from_millis(2_500));
        moved(&mut reporter, 0, Phase::Closed);
        assert_eq!(sent(&mut reporter, 10), Some((2, "late", vec![2_500], false)));
        reporter.acknowledged(2, false, MonoMs(11));
        assert_eq!(sent(&mut reporter, 12), Some((3, "progress", vec![0], false)));
        reporter.acknowledged(3, false, MonoMs(13));
        assert_eq!(sent(&mut reporter, 14), Some((4, "closed", vec![], false)));
    }

    #[test]
    fn progress_is_sent_at_most_once_per_interval() {
        let mut reporter = reporter(2);
        open(&mut reporter);
        moved(&mut reporter, 0, Phase::Initializing);
        assert!(sent(&mut reporter, 100).is_some());
        reporter.acknowledged(2, false, MonoMs(110));
        moved(&mut reporter, 0, Phase::Incall);
        assert_eq!(reporter.due(SECOND), Some(MonoMs(1_100)));
        assert_eq!(sent(&mut reporter, 1_099), None);
        assert_eq!(sent(&mut reporter, 1_100), Some((3, "progress", vec![0], false)));
    }

    #[test]
    fn an_unanswered_report_is_repeated_unchanged() {
        let mut reporter = reporter(2);
        open(&mut reporter);
        moved(&mut reporter, 0, Phase::Initializing);
        sent(&mut reporter, 100);
        moved(&mut reporter, 1, Phase::Initializing);
        assert_eq!(sent(&mut reporter, 5_099), None);
        assert_eq!(sent(&mut reporter, 5_100), Some((2, "progress", vec![0], true)));
        assert_eq!(
            reporter.acknowledged(1, false, MonoMs(5_200)),
            Progressed::Open,
            "still expected"
        );
        assert_eq!(sent(&mut reporter, 5_400), Some((2, "progress", vec![0], true)));
    }

    #[test]
    fn a_refused_report_is_repeated_less_often() {
        let mut reporter = reporter(2);
        open(&mut reporter);
        moved(&mut reporter, 0, Phase::Initializing);
        sent(&mut reporter, 100);
        assert_eq!(reporter.acknowledged(1, true, MonoMs(200)), Progressed::Open);
        assert_eq!(reporter.due(SECOND), Some(MonoMs(1_200)));
    }

    #[test]
    fn after_a_reconnect_what_the_cluster_has_is_not_sent_again_and_what_it_lacks_is() {
        for (has, expected) in [
            (2, (3, "progress", vec![1], false)),
            (1, (2, "progress", vec![0], true)),
        ] {
            let mut reporter = reporter(2);
            open(&mut reporter);
            moved(&mut reporter, 0, Phase::Initializing);
            sent(&mut reporter, 100);
            moved(&mut reporter, 1, Phase::Initializing);
            assert_eq!(reporter.resumed(has), Progressed::Open);
            assert_eq!(sent(&mut reporter, 1_200), Some(expected));
        }
    }

    #[test]
    fn answers_that_come_late_or_twice_change_nothing() {
        let mut reporter = reporter(1);
        open(&mut reporter);
        moved(&mut reporter, 0, Phase::Initializing);
        sent(&mut reporter, 100);
        reporter.acknowledged(2, false, MonoMs(101));
        assert_eq!(reporter.acknowledged(1, false, MonoMs(102)), Progressed::Open);
        assert_eq!(reporter.acknowledged(2, false, MonoMs(103)), Progressed::Open);
        assert_eq!(reporter.acked(), 2);
        assert_eq!(reporter.due(SECOND), None);
    }

    #[test]
    fn a_cluster_that_was_restored_from_a_backup_is_told_everything_again() {
        let mut reporter = reporter(2);
        open(&mut reporter);
        moved(&mut reporter, 0, Phase::Closed);
        sent(&mut reporter, 100);
        reporter.acknowledged(2, false, MonoMs(101));
        assert_eq!(reporter.resumed(0), Progressed::Open);
        assert_eq!(sent(&mut reporter, 200), Some((1, "ready", vec![], false)));
        reporter.acknowledged(1, false, MonoMs(201));
        assert_eq!(sent(&mut reporter, 1_200), Some((2, "progress", vec![0], false)));
    }

    #[test]
    fn work_that_cannot_be_taken_is_refused_and_closed() {
        let mut reporter = reporter(2);
        reporter.not_ready("draining".to_owned());
        assert_eq!(sent(&mut reporter, 0), Some((1, "not ready", vec![], false)));
        reporter.acknowledged(1, false, MonoMs(1));
        assert_eq!(sent(&mut reporter, 2), Some((2, "closed", vec![], false)));
        assert_eq!(reporter.acknowledged(2, false, MonoMs(3)), Progressed::Finished);
    }

    // Covers: R22
    #[test]
    fn an_abandoned_assignment_reports_closed_and_nothing_else() {
        // Whether the report that was under way is committed or refused, Closed gets the number after the last one.
        for (committed, number) in [(2, 3), (1, 2)] {
            let mut reporter = reporter(1);
            open(&mut reporter);
            moved(&mut reporter, 0, Phase::Incall);
            sent(&mut reporter, 100);
            reporter.abandon();
            reporter.abandon();
            assert_eq!(reporter.active(), 0);
            assert!(!reporter.record(EndpointChange {
                offset: 0,
                phase: Phase::Closed,
                outcome: Outcome::Success
            }));
            assert_eq!(sent(&mut reporter, 110), Some((3, "closed", vec![], false)));
            assert_eq!(
                reporter.acknowledged(committed, false, MonoMs(120)),
                Progressed::Open
            );
            assert_eq!(sent(&mut reporter, 400), Some((number, "closed", vec![], true)));
            assert_eq!(
                reporter.acknowledged(number, false, MonoMs(410)),
                Progressed::Finished
            );
        }
    }
}
