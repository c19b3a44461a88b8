//! Requests that are repeated until it is known how they ended.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

use super::{BEFORE_REPEAT, Client};
use crate::history::op::F;
use crate::history::{Attempt, Call, Outcome};

/// A request that has no known outcome so long after the faults ended stays unknown.
const GIVE_UP: Duration = Duration::from_secs(30);

impl Client {
    /// Repeats a request under its id until its outcome is known; `None` if that does not happen.
    pub(super) async fn until_known(&mut self, id: &str, call: &Call, value: u64) -> Option<Outcome> {
        let mut give_up: Option<Instant> = None;
        loop {
            let node = self.any_node();
            let sent_us = self.history.now_us();
            let outcome = match call {
                Call::ApplyTest { name } => {
                    let answer = self.attempt(node, F::ApplyTest, name, id, value).await;
                    answer.map(|answer| Outcome::TestStored {
                        version: answer.out.version.unwrap_or(0),
                    })
                }
                Call::StartRun { name } => {
                    let answer = self.attempt(node, F::StartRun, name, id, value).await;
                    answer.map(|answer| Outcome::RunStarted {
                        run: answer.out.run.unwrap_or_default(),
                    })
                }
            };
            let outcome = outcome.unwrap_or_else(|status| classify(&status));
            self.history.attempt(Attempt {
                client: self.number,
                request_id: id.to_owned(),
                node,
                call: call.clone(),
                sent_us,
                answered_us: self.history.now_us(),
                outcome: outcome.clone(),
            });
            if !matches!(outcome, Outcome::Unknown { .. }) {
                return Some(outcome);
            }
            if *self.stop.borrow() {
                let limit = *give_up.get_or_insert_with(|| Instant::now() + GIVE_UP);
                if Instant::now() >= limit {
                    return None;
                }
            }
            sleep(BEFORE_REPEAT).await;
        }
    }
}

/// Only what a caller got wrong is known not to have happened. A broken connection shows itself in many codes.
pub fn classify(status: &Status) -> Outcome {
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => Outcome::Refused {
            reason: format!("{:?}: {}", status.code(), status.message()),
        },
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable => Outcome::Unknown {
            code: format!("{:?}", status.code()),
        },
    }
}
