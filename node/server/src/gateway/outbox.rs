//! What a worker is told, derived from the committed state: the same after a reconnect as in the happy case.

use std::collections::BTreeMap;

use reeve_proto::v1;
use reeve_proto::v1::session_response::Message;
use reeve_state::State;
use reeve_state::id::{AssignmentEpoch, RunId, WorkerId};
use reeve_state::record::Assignment;
use reeve_state::time::Time;
use reeve_state::transition::assignment::AssignmentStatus;

use super::encode;
use super::notices::Notices;
use crate::seal::Sealer;

/// What the worker knows of an assignment, as far as this stream can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    /// The process held it when the stream began.
    held: bool,
    offered: bool,
    started: bool,
    stopped: bool,
    abandoned: bool,
}

/// A message that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Offer,
    Start,
    Stop { abandon: bool },
}

/// Names an assignment: epochs are unique within their run only.
type Key = (RunId, AssignmentEpoch);

/// What one stream has already carried.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    told: BTreeMap<Key, Told>,
    notices: Notices,
    /// Opens the secrets of accounts; none without a cluster secret.
    sealer: Option<Sealer>,
}

impl Outbox {
    /// A stream whose worker already holds some assignments.
    pub(super) fn new(held: impl IntoIterator<Item = Key>, sealer: Option<Sealer>) -> Self {
        let told = held
            .into_iter()
            .map(|key| {
                (
                    key,
                    Told {
                        held: true,
                        ..Told::default()
                    },
                )
            })
            .collect();
        Self {
            told,
            notices: Notices::default(),
            sealer,
        }
    }

    /// The messages that are due now, each once per stream and assignment. `now` is cluster time.
    pub(super) fn due(&mut self, state: &State, worker: WorkerId, now: Time) -> Vec<v1::SessionResponse> {
        let mut messages = Vec::new();
        let mut told = BTreeMap::new();
        for assignment in state.worker_assignments(worker) {
            let key = (assignment.key.run, assignment.epoch);
            let mut known = self.told.get(&key).copied().unwrap_or_default();
            if let Some(due) = next(&mut known, assignment)
                && let Some(message) = message(state, self.sealer.as_ref(), assignment, due, now)
            {
                messages.push(v1::SessionResponse {
                    message: Some(message),
                });
            }
            told.insert(key, known);
        }
        // Assignments that are closed need no memory.
        self.told = told;
        if let Some(row) = state.worker(worker) {
            let notices = self.notices.due(row, self.told.is_empty(), now);
            messages.extend(notices.into_iter().map(|notice| v1::SessionResponse {
                message: Some(notice),
            }));
        }
        messages
    }

    /// The worker was told to abandon an assignment in answer to a report.
    pub(super) fn note_abandoned(&mut self, run: RunId, epoch: AssignmentEpoch) {
        self.told.entry((run, epoch)).or_default().abandoned = true;
    }
}

/// What the assignment's status asks for and the stream has not carried.
fn next(told: &mut Told, assignment: &Assignment) -> Option<Due> {
    let (flag, due) = match assignment.life.status() {
        AssignmentStatus::Offered => (&mut told.offered, Due::Offer),
        AssignmentStatus::Ready if told.held => return None,
        AssignmentStatus::Ready => (&mut told.offered, Due::Offer),
        AssignmentStatus::Started => (&mut told.started, Due::Start),
        AssignmentStatus::Stopping => (&mut told.stopped, Due::Stop { abandon: false }),
        AssignmentStatus::Lost => (&mut told.abandoned, Due::Stop { abandon: true }),
        AssignmentStatus::Closed => return None,
    };
    let first = !*flag;
    *flag = true;
    first.then_some(due)
}

fn message(
    state: &State,
    sealer: Option<&Sealer>,
    assignment: &Assignment,
    due: Due,
    now: Time,
) -> Option<Message> {
    let run = state.run(assignment.key.run)?;
    match due {
        Due::Offer => encode::offer(state, sealer, run, assignment).map(Message::Offer),
        Due::Start => encode::start(run, assignment, now).map(Message::Start),
        Due::Stop { abandon } => Some(Message::Stop(encode::stop(run, assignment, abandon))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use reeve_state::id::{Revision, RunId};
    use reeve_state::record::{AssignmentKey, EndpointCounts};
    use reeve_state::transition::assignment::AssignmentLife;

    use super::*;

    fn assignment(status: AssignmentStatus) -> Assignment {
        Assignment {
            key: AssignmentKey {
                run: RunId::from_bytes([1; 16]),
                ordinal: 0,
            },
            worker: WorkerId::from_bytes([2; 16]),
            group: 0,
            first: 0,
            count: 10,
            epoch: AssignmentEpoch(5),
            life: AssignmentLife::restore(status),
            started: false,
            lost: false,
            interrupted: 0,
            start_late: None,
            late: Vec::new(),
            late_left_out: 0,
            detail: None,
            acked_seq: 0,
            counts: EndpointCounts::default(),
            revision: Revision(5),
        }
    }

    /// What a stream carries while an assignment goes through these statuses.
    fn carried(mut told: Told, statuses: &[AssignmentStatus]) -> Vec<Option<Due>> {
        statuses
            .iter()
            .map(|status| next(&mut told, &assignment(*status)))
            .collect()
    }

    // Covers: R134, R141
    #[test]
    fn each_status_is_told_once_per_stream() {
        use AssignmentStatus as S;
        let path = [
            S::Offered,
            S::Offered,
            S::Ready,
            S::Started,
            S::Started,
            S::Stopping,
            S::Stopping,
            S::Lost,
        ];
        let expected = [
            Some(Due::Offer),
            None,
            None,
            Some(Due::Start),
            None,
            Some(Due::Stop { abandon: false }),
            None,
            Some(Due::Stop { abandon: true }),
        ];
        assert_eq!(carried(Told::default(), &path), expected);
        assert_eq!(
            carried(Told::default(), &[S::Lost, S::Lost]),
            [Some(Due::Stop { abandon: true }), None]
        );
        assert_eq!(carried(Told::default(), &[S::Closed]), [None]);
    }

    #[test]
    fn a_new_stream_tells_again_what_its_worker_may_have_missed() {
        use AssignmentStatus as S;
        let held = Told {
            held: true,
            ..Told::default()
        };
        for (status, due) in [
            (S::Offered, Some(Due::Offer)),
            (S::Ready, None),
            (S::Started, Some(Due::Start)),
            (S::Stopping, Some(Due::Stop { abandon: false })),
            (S::Lost, Some(Due::Stop { abandon: true })),
            (S::Closed, None),
        ] {
            assert_eq!(carried(held, &[status]), [due], "{status}");
        }
    }

    #[test]
    fn a_worker_that_does_not_hold_what_is_ready_is_offered_it() {
        use AssignmentStatus as S;
        assert_eq!(
            carried(Told::default(), &[S::Ready, S::Ready]),
            [Some(Due::Offer), None]
        );
    }
}
