//! Reads: how fresh, and by id or by name.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::ObjectKind;
use reeve_state::id::NodeId;
use reeve_state::record::{Run, Test, Worker};

use super::scope::Scope;
use super::{Api, Call};
use crate::convert::{enums, worker};
use crate::error::ApiError;

impl Api {
    /// A snapshot that is as fresh as the caller asks for.
    pub(super) async fn read(&self, consistency: i32, call: &Call) -> Result<Arc<State>, ApiError> {
        let consistency = enums::consistency(consistency)?;
        let state = self.context.store.read(consistency, call.deadline).await?;
        self.still_admitted(&state, call)?;
        Ok(state)
    }

    /// A snapshot that shows every write that was answered before.
    pub(super) async fn read_latest(&self, call: &Call) -> Result<Arc<State>, ApiError> {
        self.read(v1::Consistency::Linearizable.into(), call).await
    }

    /// Encodes one worker.
    pub(super) fn worker_message(&self, state: &State, row: &Worker, call: &Call) -> v1::Worker {
        self.worker_messages(state, [row], call).pop().unwrap_or_default()
    }

    /// Encodes workers, looking the names of the nodes up once.
    pub(super) fn worker_messages<'a>(
        &self,
        state: &State,
        rows: impl IntoIterator<Item = &'a Worker>,
        call: &Call,
    ) -> Vec<v1::Worker> {
        let nodes = self.node_names();
        let view = worker::View {
            state,
            liveness: &self.context.liveness,
            nodes: &nodes,
            now: self.context.store.cluster_now(),
        };
        rows.into_iter()
            .map(|row| without_others(state, call, worker::worker(view, row)))
            .collect()
    }

    /// The nodes' names, members only.
    pub(super) fn node_names(&self) -> BTreeMap<NodeId, String> {
        let members = self.context.store.status().members;
        members
            .into_iter()
            .map(|member| (member.info.id, member.info.name))
            .collect()
    }
}

/// Stands for the test of a run that the caller may not see.
pub(super) const OTHERS: &str = "(of another project)";

/// Workers are shared by all projects: that a drain waits for a run of another one is told, and for which it is not (D27a).
fn without_others(state: &State, call: &Call, mut worker: v1::Worker) -> v1::Worker {
    let waits = worker.drain.iter_mut().flat_map(|drain| &mut drain.waits_for);
    for wait in waits {
        let run = wait.run_id.parse().ok().and_then(|id| state.run(id));
        if !run.is_some_and(|run| call.caller.sees(&run.project)) {
            wait.run_id = String::new();
            OTHERS.clone_into(&mut wait.test);
        }
    }
    worker
}

/// The test of this id or name, where the call looks.
pub(super) fn find_test<'a>(state: &'a State, scope: &Scope, id: &str) -> Result<&'a Arc<Test>, ApiError> {
    required("id", id)?;
    let by_id = id.parse().ok().and_then(|id| state.test(id));
    by_id
        .or_else(|| state.test_named(&scope.project, id))
        .filter(|test| scope.shows(&test.project))
        .ok_or_else(|| not_found(ObjectKind::Test, id))
}

/// The run of this id, if the caller may see it.
pub(super) fn find_run<'a>(state: &'a State, call: &Call, id: &str) -> Result<&'a Arc<Run>, ApiError> {
    state
        .run(parse_id("id", id)?)
        .filter(|run| call.caller.sees(&run.project))
        .ok_or_else(|| not_found(ObjectKind::Run, id))
}

/// The worker of this id or name; deleted ones by id only.
pub(super) fn find_worker<'a>(state: &'a State, id: &str) -> Result<&'a Arc<Worker>, ApiError> {
    required("id", id)?;
    let by_id = id.parse().ok().and_then(|id| state.worker(id));
    by_id
        .or_else(|| state.worker_named(id))
        .ok_or_else(|| not_found(ObjectKind::Worker, id))
}

/// An id, or the rule that it breaks.
pub(super) fn parse_id<T: FromStr<Err: ToString>>(field: &str, text: &str) -> Result<T, ApiError> {
    required(field, text)?;
    text.parse()
        .map_err(|error: T::Err| ApiError::invalid(field, error.to_string()))
}

fn required(field: &str, text: &str) -> Result<(), ApiError> {
    if text.is_empty() {
        Err(ApiError::invalid(field, "is required"))
    } else {
        Ok(())
    }
}

fn not_found(kind: ObjectKind, id: &str) -> ApiError {
    ApiError::NotFound {
        kind,
        id: id.to_owned(),
    }
}
