//! Registration of session workers, their tokens, and deletion.

use reeve_proto::v1;
use reeve_state::command::{Command, CreateWorker, DeleteWorker, RegenerateToken};
use reeve_state::transition::worker::LivenessProfile;

use super::new_id;
use crate::api::keys::ttl;
use crate::api::secret::Secret;
use crate::api::write::Asked;
use crate::api::{Api, Call};
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
            id: new_id(),
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
        Ok(v1::CreateWorkerResponse {
            worker: Some(self.written(&written, call)?),
            token: once(token, written.replayed),
        })
    }

    /// A new token; the old one is refused from the moment of the answer (R91, R92).
    pub async fn regenerate_token(
        &self,
        mut request: v1::RegenerateTokenRequest,
        call: &Call,
    ) -> Result<v1::RegenerateTokenResponse, ApiError> {
        let asked = Asked::new(
            "RegenerateToken",
            std::mem::take(&mut request.request_id),
            &request,
        )?;
        let token = Secret::token();
        let command = Command::RegenerateToken(RegenerateToken {
            worker: self.worker_id(&request.id, call).await?,
            token_hash: token.token_hash(),
            token_ttl: ttl(request.token_ttl_s),
        });
        let written = self.write(call, asked, command).await?;
        Ok(v1::RegenerateTokenResponse {
            worker: Some(self.written(&written, call)?),
            token: once(token, written.replayed),
        })
    }

    /// Leaves a tombstone (D7).
    pub async fn delete_worker(
        &self,
        mut request: v1::DeleteWorkerRequest,
        call: &Call,
    ) -> Result<v1::DeleteWorkerResponse, ApiError> {
        let asked = Asked::new("DeleteWorker", std::mem::take(&mut request.request_id), &request)?;
        let command = Command::DeleteWorker(DeleteWorker {
            worker: self.worker_id(&request.id, call).await?,
            offline_for: None,
            force: request.force,
        });
        let written = self.write(call, asked, command).await?;
        Ok(v1::DeleteWorkerResponse {
            worker: Some(self.written(&written, call)?),
        })
    }
}

/// Of a repeated request the token is another one, and secrets are never replayed.
fn once(token: Secret, replayed: bool) -> String {
    if replayed { String::new() } else { token.reveal() }
}
