//! Deletion of many workers at once (R369, R370).

use futures::{StreamExt, TryStreamExt};
use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{Command, DeleteWorker, Refusal};
use reeve_state::id::WorkerId;
use reeve_state::record::Worker;
use reeve_state::time::Millis;
use reeve_state::transition::worker::{LivenessProfile, WorkerStatus};

use crate::api::{Api, Call};
use crate::convert::time;
use crate::error::ApiError;

/// How many deletions wait for the log at once.
const AT_ONCE: usize = 32;

impl Api {
    /// Deletes workers that are OFFLINE, each by itself: one that came back meanwhile, or still holds endpoints, stays.
    pub async fn cleanup_workers(
        &self,
        request: v1::CleanupWorkersRequest,
        call: &Call,
    ) -> Result<v1::CleanupWorkersResponse, ApiError> {
        let offline_for = if request.all_offline {
            Millis(0)
        } else {
            time::millis(self.context.config.ping.delete_after)
        };
        let state = self.read_latest(call).await?;
        let due = self.due(&state, offline_for, request.include_session_workers);
        let deleted: Vec<Option<WorkerId>> = futures::stream::iter(due)
            .map(|worker| self.delete_if_offline(worker, offline_for, call))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(v1::CleanupWorkersResponse {
            deleted: deleted.into_iter().flatten().map(|id| id.to_string()).collect(),
        })
    }

    fn due(&self, state: &State, offline_for: Millis, sessions_too: bool) -> Vec<WorkerId> {
        let now = self.context.store.cluster_now();
        let concerned = |worker: &Worker| match worker.profile {
            LivenessProfile::Ping => true,
            LivenessProfile::Session => sessions_too,
        };
        state
            .workers()
            .filter(|worker| worker.status() == WorkerStatus::Offline && concerned(worker))
            .filter(|worker| now.since(worker.facts.link.since) >= offline_for)
            .map(|worker| worker.id)
            .collect()
    }

    async fn delete_if_offline(
        &self,
        worker: WorkerId,
        offline_for: Millis,
        call: &Call,
    ) -> Result<Option<WorkerId>, ApiError> {
        let command = DeleteWorker {
            worker,
            offline_for: Some(offline_for),
            force: false,
        };
        match self.write_unnamed(call, Command::DeleteWorker(command)).await? {
            Ok(_) => Ok(Some(worker)),
            Err(Refusal::WrongStatus { .. } | Refusal::WorkerBusy { .. } | Refusal::NotFound { .. }) => {
                Ok(None)
            }
            Err(refusal) => Err(refusal.into()),
        }
    }
}
