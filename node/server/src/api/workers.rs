//! The service `Workers`.

use reeve_proto::v1;
use reeve_state::command::{Command, CreateWorker, ObjectKind};
use reeve_state::id::WorkerId;
use reeve_state::record::Worker;
use reeve_state::transition::worker::{LivenessProfile, WorkerStatus};

use super::keys::ttl;
use super::page::PageRequest;
use super::read::find_worker;
use super::secret::Secret;
use super::write::Asked;
use super::{Api, Call};
use crate::convert::enums;
use crate::error::ApiError;

impl Api {
    /// Registers a worker of the user's.
    pub async fn create_worker(
        &self,
        mut request: v1::CreateWorkerRequest,
        call: &Call,
    ) -> Result<v1::CreateWorkerResponse, ApiError> {
        let asked = Asked::new("CreateWorker", std::mem::take(&mut request.request_id), &request)?;
        let token = Secret::token();
        let command = Command::CreateWorker(CreateWorker {
            id: WorkerId::from_bytes(uuid::Uuid::now_v7().into_bytes()),
            kind: enums::worker_kind_from(request.kind)?,
            profile: LivenessProfile::Session,
            name: request.name,
            region: request.region,
            labels: request.labels,
            capacity: (request.capacity > 0).then_some(request.capacity),
            token_hash: token.token_hash(),
            token_ttl: ttl(request.token_ttl_s),
        });
        let written = self.write(call, asked, command).await?;
        let id = written.worker()?;
        let gone = || ApiError::NotFound {
            kind: ObjectKind::Worker,
            id: id.to_string(),
        };
        let row = written.state.worker(id).ok_or_else(gone)?;
        Ok(v1::CreateWorkerResponse {
            worker: Some(self.worker_message(&written.state, row)),
            // Of a repeated request the token is another one, and secrets are never replayed.
            token: if written.replayed {
                String::new()
            } else {
                token.reveal()
            },
        })
    }

    /// One worker.
    pub async fn get_worker(
        &self,
        request: v1::GetWorkerRequest,
        call: &Call,
    ) -> Result<v1::GetWorkerResponse, ApiError> {
        let state = self.read(request.consistency, call).await?;
        let row = find_worker(&state, &request.id)?;
        Ok(v1::GetWorkerResponse {
            worker: Some(self.worker_message(&state, row)),
        })
    }

    /// Workers by name; deleted ones, if asked for, by id, because their names are free again.
    pub async fn list_workers(
        &self,
        request: v1::ListWorkersRequest,
        call: &Call,
    ) -> Result<v1::ListWorkersResponse, ApiError> {
        let status = enums::worker_status_filter(request.status)?;
        let list = format!("workers status={} region={}", request.status, request.region);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let state = self.read(request.consistency, call).await?;
        let wanted = |row: &Worker| {
            status.is_none_or(|status| row.status() == status)
                && (request.region.is_empty() || row.region == request.region)
        };
        let (rows, next_page_token) = if status == Some(WorkerStatus::Deleted) {
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
            workers: self.worker_messages(&state, rows.into_iter().map(AsRef::as_ref)),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }
}
