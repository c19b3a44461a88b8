//! The service `Workers`: the registry and its whole life.

mod cleanup;
mod drain;
mod effect;
mod events;
mod list;
mod ping;
mod registry;

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{Command, Envelope, ObjectKind, Refusal};
use reeve_state::id::{Revision, WorkerId};
use reeve_store::Lane;

use super::read::find_worker;
use super::write::Written;
use super::{Api, Call};
use crate::error::ApiError;

impl Api {
    /// The id of the worker of this id or name, as the cluster knows it: never as a node that lags does.
    async fn worker_id(&self, id: &str, call: &Call) -> Result<WorkerId, ApiError> {
        let state = self.read_latest(call).await?;
        Ok(find_worker(&state, id)?.id)
    }

    /// The worker of this id, encoded.
    fn shown(&self, state: &State, id: WorkerId, call: &Call) -> Result<v1::Worker, ApiError> {
        let row = state.worker(id).ok_or_else(|| no_worker(id))?;
        Ok(self.worker_message(state, row, call))
    }

    /// The worker that was written, encoded.
    fn written(&self, written: &Written, call: &Call) -> Result<v1::Worker, ApiError> {
        self.shown(&written.state, written.worker()?, call)
    }

    /// Proposes a command that is idempotent by itself, so that its answer needs no memory; when it was applied.
    async fn write_unnamed(
        &self,
        call: &Call,
        command: Command,
    ) -> Result<Result<Revision, Refusal>, ApiError> {
        let envelope = Envelope {
            principal: Some(call.caller.key),
            ..Envelope::internal(command)
        };
        let applied = self
            .context
            .store
            .propose(envelope, Lane::Users, call.deadline)
            .await?;
        Ok(applied.result.map(|_| applied.revision))
    }
}

fn no_worker(id: impl ToString) -> ApiError {
    ApiError::NotFound {
        kind: ObjectKind::Worker,
        id: id.to_string(),
    }
}

fn new_id() -> WorkerId {
    WorkerId::from_bytes(uuid::Uuid::now_v7().into_bytes())
}
