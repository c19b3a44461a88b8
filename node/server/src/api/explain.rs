//! Why a run is where it is, what would become of one, and two runs side by side.

use std::sync::Arc;

use reeve_plan::runs::{Explained, explain_definition, explain_run};
use reeve_proto::v1;
use reeve_state::State;
use reeve_state::definition::unknown_workers;
use reeve_state::id::{ProjectName, RunId};
use reeve_state::record::TestDefinition;

use super::evidence::aggregate;
use super::read::{find_run, find_test};
use super::{Api, Call};
use crate::convert::{compare, definition, explain};
use crate::error::ApiError;
use crate::reconciler::plan_config;

impl Api {
    /// Why a run is where it is.
    pub async fn explain_run(
        &self,
        request: v1::ExplainRunRequest,
        call: &Call,
    ) -> Result<v1::ExplainRunResponse, ApiError> {
        let state = self.read(request.consistency, call).await?;
        let run = Arc::clone(find_run(&state, call, &request.id)?);
        let (now, config) = (
            self.context().store.cluster_now(),
            plan_config(&self.context().config),
        );
        let explained = {
            let (state, run) = (Arc::clone(&state), Arc::clone(&run));
            planned(move || explain_run(&state, &run, now, &config)).await?
        };
        let about = explain::About {
            state: &state,
            run: Some(&run),
            definition: &run.definition,
            shows: &shows(&state, call),
        };
        Ok(v1::ExplainRunResponse {
            explanation: Some(explain::explained(&about, &explained)),
        })
    }

    /// What would become of a definition. Nothing is written.
    pub async fn plan_run(
        &self,
        request: v1::PlanRunRequest,
        call: &Call,
    ) -> Result<v1::PlanRunResponse, ApiError> {
        let scope = call.caller.scope(&request.project)?;
        let given = match (&request.definition, request.test.is_empty()) {
            (Some(_), false) => return Err(ApiError::invalid("test", "give either a definition or a test")),
            (None, true) => return Err(ApiError::invalid("definition", "is required, or a test")),
            (Some(wire), true) => Some(definition::decode(Some(wire))?),
            (None, false) => None,
        };
        let state = self.read(request.consistency, call).await?;
        let (wish, project) = match given {
            Some(definition) => {
                let unknown = unknown_workers(&definition, &state);
                if !unknown.is_empty() {
                    return Err(ApiError::Invalid(unknown));
                }
                (Arc::new(definition), scope.project)
            }
            None => {
                let test = find_test(&state, &scope, &request.test)?;
                (Arc::clone(&test.definition), test.project.clone())
            }
        };
        let explained = self.plan_definition(&state, &wish, project).await?;
        let about = explain::About {
            state: &state,
            run: None,
            definition: &wish,
            shows: &shows(&state, call),
        };
        Ok(v1::PlanRunResponse {
            explanation: Some(explain::explained(&about, &explained)),
        })
    }

    async fn plan_definition(
        &self,
        state: &Arc<State>,
        wish: &Arc<TestDefinition>,
        project: ProjectName,
    ) -> Result<Explained, ApiError> {
        let (now, config) = (
            self.context().store.cluster_now(),
            plan_config(&self.context().config),
        );
        let (state, wish) = (Arc::clone(state), Arc::clone(wish));
        planned(move || explain_definition(&state, &wish, &project, now, &config)).await
    }

    /// Two runs side by side.
    pub async fn compare_runs(
        &self,
        request: v1::CompareRunsRequest,
        call: &Call,
    ) -> Result<v1::CompareRunsResponse, ApiError> {
        let state = self.read(request.consistency, call).await?;
        let a = find_run(&state, call, &request.id)?;
        if request.with.is_empty() {
            return Err(ApiError::invalid("with", "is required: the other run's id"));
        }
        let b = find_run(&state, call, &request.with)?;
        let mut comparison = compare::comparison(&state, a, b);
        for (side, run) in [(&mut comparison.a, a), (&mut comparison.b, b)] {
            if let (Some(side), Some(summary)) = (side, state.summary(run.id)) {
                let metrics = summary.metrics.iter();
                side.metrics = metrics.map(|(name, figures)| aggregate(name, figures)).collect();
                side.metrics_complete = summary.complete;
            }
        }
        Ok(v1::CompareRunsResponse {
            comparison: Some(comparison),
        })
    }
}

/// Placement can take a while: it has a thread of its own.
async fn planned(plan: impl FnOnce() -> Explained + Send + 'static) -> Result<Explained, ApiError> {
    tokio::task::spawn_blocking(plan)
        .await
        .map_err(|_| ApiError::Internal("the planner failed"))
}

/// Whether the caller may learn of a run (D27a).
fn shows<'a>(state: &'a State, call: &'a Call) -> impl Fn(RunId) -> bool + 'a {
    |id| state.run(id).is_some_and(|run| call.caller.sees(&run.project))
}
