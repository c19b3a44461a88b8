//! One call, from the request to the line in the history.

use tonic::Status;

use super::Client;
use super::calls::{self, Answer};
use super::common::Token;
use crate::definition::definition;
use crate::history::op::{F, Input};

impl Client {
    /// One call, written down with its answer.
    pub(super) async fn attempt(
        &mut self,
        node: usize,
        f: F,
        name: &str,
        id: &str,
        value: u64,
    ) -> Result<Answer, Status> {
        let kind = match f {
            F::CreateTest | F::ApplyTest | F::DeleteTest | F::GetTest => "test",
            F::StartRun => "request",
            F::StopRun | F::GetRun => "run",
            F::CreateWorker
            | F::DrainWorker
            | F::UndrainWorker
            | F::RegenerateToken
            | F::UseToken
            | F::GetWorker => "worker",
            F::List => "list",
        };
        let object = if f == F::StartRun { id } else { name };
        let writes = matches!(f, F::CreateTest | F::ApplyTest | F::DrainWorker);
        let input = Input {
            request: id.to_owned(),
            value: writes.then_some(value),
            token: None,
        };
        let called = self.recorder.call(f, format!("{kind}/{object}"), input, node);
        let to = self.nodes[node].clone();
        // From the value, so that a repeated request is the same request.
        let spread = u64::from(self.mix.endpoints.end - self.mix.endpoints.start);
        let endpoints = self.mix.endpoints.start + u32::try_from(value % spread).unwrap_or(0);
        let answer = match f {
            F::CreateTest => calls::create_test(to, id, definition(name, endpoints, value)).await,
            F::ApplyTest => calls::apply_test(to, id, definition(name, endpoints, value)).await,
            F::DeleteTest => calls::delete_test(to, id, name).await,
            F::GetTest => calls::get_test(to, name).await,
            F::StartRun => calls::start_run(to, id, name).await,
            F::StopRun => calls::stop_run(to, id, name).await,
            F::GetRun => calls::get_run(to, name).await,
            F::List => calls::list(to).await,
            F::CreateWorker => calls::create_worker(to, id, name).await,
            F::RegenerateToken => calls::regenerate_token(to, id, name).await,
            F::DrainWorker => calls::drain_worker(to, id, name, value).await,
            F::UndrainWorker => calls::undrain_worker(to, id, name).await,
            F::GetWorker => calls::get_worker(to, name).await,
            F::UseToken => Err(Status::unimplemented("tokens are shown to the gateway")),
        };
        match &answer {
            Ok(answer) => {
                self.recorder.ok(called, answer.out.clone(), answer.revision);
                // Only now may others use it: their calls begin after this answer.
                if let Some(secret) = answer.secret.clone() {
                    let request = id.to_owned();
                    self.common.got_token(name, Token { request, secret });
                }
            }
            Err(status) => self.recorder.error(called, status),
        }
        answer
    }
}
