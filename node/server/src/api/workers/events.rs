//! The history of a worker (R182).

use reeve_proto::v1;

use crate::api::read::find_worker;
use crate::api::{Api, Call};
use crate::convert::event;
use crate::error::ApiError;

impl Api {
    /// The events that are kept, newest first; of deleted workers by id.
    pub async fn list_worker_events(
        &self,
        request: v1::ListWorkerEventsRequest,
        call: &Call,
    ) -> Result<v1::ListWorkerEventsResponse, ApiError> {
        let state = self.read(request.consistency, call).await?;
        let worker = find_worker(&state, &request.id)?.id;
        let nodes = self.node_names();
        Ok(v1::ListWorkerEventsResponse {
            events: state
                .worker_events(worker)
                .rev()
                .map(|row| event::worker_event(&nodes, row))
                .collect(),
            revision: state.meta().revision.0,
        })
    }
}
