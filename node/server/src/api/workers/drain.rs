//! Drains that callers ask for (R29, R30, R32).

use std::sync::Arc;

use reeve_proto::v1;
use reeve_state::command::{Command, DrainOrder, EntryMeta, Envelope, SetDrain};
use reeve_state::id::WorkerId;
use reeve_state::time::Millis;
use reeve_state::transition::worker::{AfterDrain, DrainActor};
use reeve_state::{State, apply};

use super::effect;
use crate::api::write::Asked;
use crate::api::{Api, Call};
use crate::convert::time;
use crate::error::ApiError;

impl Api {
    /// Begins a drain, changes the one in force, or says what one would mean.
    pub async fn drain_worker(
        &self,
        mut request: v1::DrainWorkerRequest,
        call: &Call,
    ) -> Result<v1::DrainWorkerResponse, ApiError> {
        let asked = Asked::new("DrainWorker", std::mem::take(&mut request.request_id), &request)?;
        let order = self.order(&request, call)?;
        if request.dry_run {
            return self.drain_dry_run(&request.id, order, call).await;
        }
        let command = SetDrain {
            worker: self.worker_id(&request.id, call).await?,
            drain: Some(order),
        };
        let written = self.write(call, asked, Command::SetDrain(command)).await?;
        Ok(v1::DrainWorkerResponse {
            worker: Some(self.written(&written, call)?),
            queued: Vec::new(),
        })
    }

    /// Takes a drain back.
    pub async fn undrain_worker(
        &self,
        mut request: v1::UndrainWorkerRequest,
        call: &Call,
    ) -> Result<v1::UndrainWorkerResponse, ApiError> {
        let asked = Asked::new("UndrainWorker", std::mem::take(&mut request.request_id), &request)?;
        let command = SetDrain {
            worker: self.worker_id(&request.id, call).await?,
            drain: None,
        };
        let written = self.write(call, asked, Command::SetDrain(command)).await?;
        Ok(v1::UndrainWorkerResponse {
            worker: Some(self.written(&written, call)?),
        })
    }

    fn order(&self, request: &v1::DrainWorkerRequest, call: &Call) -> Result<DrainOrder, ApiError> {
        if request.force && request.deadline_s > 0 {
            return Err(ApiError::invalid(
                "deadline_s",
                "cannot be given together with force, which is a deadline of now",
            ));
        }
        let timeout = match (request.force, request.deadline_s) {
            (true, _) => Millis(0),
            (false, 0) => time::millis(self.context.config.drain_timeout),
            (false, seconds) => Millis(seconds.saturating_mul(1_000)),
        };
        Ok(DrainOrder {
            actor: if request.maintenance {
                DrainActor::Platform
            } else {
                DrainActor::Admin(call.caller.name.clone())
            },
            reason: request.reason.clone(),
            timeout,
            then: then(request.then)?,
        })
    }

    /// The drain is applied to a copy of the state, so that it is checked and shown by the same rules; the store is not touched.
    async fn drain_dry_run(
        &self,
        id: &str,
        order: DrainOrder,
        call: &Call,
    ) -> Result<v1::DrainWorkerResponse, ApiError> {
        let before = self.read_latest(call).await?;
        let worker = crate::api::read::find_worker(&before, id)?.id;
        let after = Arc::new(self.drained(&before, worker, order, call)?);
        let look = {
            let (after, caller) = (Arc::clone(&after), call.caller.clone());
            move || effect::of_drain(&before, &after, worker, &caller)
        };
        // Placement looks at every worker for every run that waits.
        let queued = tokio::task::spawn_blocking(look)
            .await
            .map_err(|_| ApiError::Internal("the dry run failed"))?;
        Ok(v1::DrainWorkerResponse {
            worker: Some(self.shown(&after, worker, call)?),
            queued,
        })
    }

    fn drained(
        &self,
        before: &State,
        worker: WorkerId,
        order: DrainOrder,
        call: &Call,
    ) -> Result<State, ApiError> {
        let mut after = before.clone();
        let entry = EntryMeta {
            term: 0,
            index: before.meta().revision.0 + 1,
            stamp: self.context.store.cluster_now(),
        };
        let envelope = Envelope {
            principal: Some(call.caller.key),
            ..Envelope::internal(Command::SetDrain(SetDrain {
                worker,
                drain: Some(order),
            }))
        };
        apply(&mut after, &entry, &envelope).applied.result?;
        Ok(after)
    }
}

/// What follows; unspecified: the worker leaves.
fn then(number: i32) -> Result<AfterDrain, ApiError> {
    match v1::AfterDrain::try_from(number) {
        Ok(v1::AfterDrain::Unspecified | v1::AfterDrain::Disconnect) => Ok(AfterDrain::Disconnect),
        Ok(v1::AfterDrain::Resume) => Ok(AfterDrain::Resume),
        Err(_) => Err(ApiError::invalid(
            "then",
            format!("{number} is not an AfterDrain"),
        )),
    }
}
