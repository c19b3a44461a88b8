//! Reads of workers.

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::id::WorkerId;
use reeve_state::record::Worker;
use reeve_state::transition::worker::WorkerStatus;

use crate::api::page::PageRequest;
use crate::api::read::find_worker;
use crate::api::{Api, Call};
use crate::convert::enums;
use crate::error::ApiError;

impl Api {
    /// One worker.
    pub async fn get_worker(
        &self,
        request: v1::GetWorkerRequest,
        call: &Call,
    ) -> Result<v1::GetWorkerResponse, ApiError> {
        let state = self.read(request.consistency, call).await?;
        let row = find_worker(&state, &request.id)?;
        Ok(v1::GetWorkerResponse {
            worker: Some(self.worker_message(&state, row, call)),
        })
    }

    /// Workers by name; where deleted ones are among them, by id, because their names are free again.
    pub async fn list_workers(
        &self,
        request: v1::ListWorkersRequest,
        call: &Call,
    ) -> Result<v1::ListWorkersResponse, ApiError> {
        let state = self.read(request.consistency, call).await?;
        self.page_of_workers(&state, &request, call)
    }

    /// Workers that take work, and how many there are on all pages (R363, R374).
    pub async fn online_workers(
        &self,
        mut request: v1::ListWorkersRequest,
        call: &Call,
    ) -> Result<(v1::ListWorkersResponse, u64), ApiError> {
        request.status = v1::WorkerStatus::Online.into();
        request.find_deleted = false;
        let state = self.read(request.consistency, call).await?;
        let online = |row: &&std::sync::Arc<Worker>| {
            row.status() == WorkerStatus::Online && in_region(row, &request.region)
        };
        let count = state.workers().filter(online).count();
        let page = self.page_of_workers(&state, &request, call)?;
        Ok((page, u64::try_from(count).unwrap_or(u64::MAX)))
    }

    fn page_of_workers(
        &self,
        state: &State,
        request: &v1::ListWorkersRequest,
        call: &Call,
    ) -> Result<v1::ListWorkersResponse, ApiError> {
        let status = enums::worker_status_filter(request.status)?;
        let deleted_too = request.find_deleted || status == Some(WorkerStatus::Deleted);
        let list = format!(
            "workers status={} region={} deleted={deleted_too}",
            request.status, request.region
        );
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let wanted = |row: &Worker| {
            status.is_none_or(|status| row.status() == status) && in_region(row, &request.region)
        };
        let (rows, next_page_token) = if deleted_too {
            let after = page.after(|key| key.try_into().ok().map(WorkerId::from_bytes))?;
            let rows = state
                .workers()
                .skip_while(|row| after.is_some_and(|after| row.id <= after));
            page.take(rows.filter(|row| wanted(row)), |row| row.id.as_bytes().to_vec())
        } else {
            let after = page.after(|key| String::from_utf8(key.to_vec()).ok())?;
            let rows = state.workers_after(after.as_deref());
            page.take(rows.filter(|row| wanted(row)), |row| {
                row.name.clone().into_bytes()
            })
        };
        Ok(v1::ListWorkersResponse {
            workers: self.worker_messages(state, rows.into_iter().map(AsRef::as_ref), call),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }
}

/// An empty region is any.
fn in_region(row: &Worker, region: &str) -> bool {
    region.is_empty() || row.region == region
}
