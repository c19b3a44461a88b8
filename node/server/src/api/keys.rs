//! The service `Keys`.

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{Command, CreateKey, Envelope, KeyFault, ObjectKind, Refusal, RevokeKey};
use reeve_state::id::{KeyHash, KeyId};
use reeve_state::record::{ApiKey, Role};
use reeve_state::time::Millis;
use reeve_store::Lane;

use super::page::PageRequest;
use super::secret::Secret;
use super::write::Asked;
use super::{Api, Call, call};
use crate::convert::{enums, time};
use crate::error::ApiError;

/// Project of callers that were given none.
const DEFAULT_PROJECT: &str = "default";
/// Name of the first key unless another is asked for.
const BOOTSTRAP_NAME: &str = "bootstrap";

/// The first key of a cluster, an admin's.
pub(crate) fn bootstrap_command(name: &str, hash: KeyHash) -> Command {
    let name = if name.is_empty() { BOOTSTRAP_NAME } else { name };
    Command::CreateKey(CreateKey {
        id: new_id(),
        name: name.to_owned(),
        role: Role::Admin,
        project: DEFAULT_PROJECT.to_owned(),
        hash,
        ttl: None,
        bootstrap: true,
    })
}

fn new_id() -> KeyId {
    KeyId::from_bytes(uuid::Uuid::now_v7().into_bytes())
}

impl Api {
    /// The first admin key of a cluster that has none; needs none.
    pub async fn bootstrap_key(
        &self,
        request: v1::BootstrapKeyRequest,
        timeout: Option<std::time::Duration>,
    ) -> Result<v1::BootstrapKeyResponse, ApiError> {
        let deadline = call::deadline(timeout);
        let secret = Secret::key_given(&request.secret)
            .ok_or_else(|| ApiError::invalid("secret", "must be cmk_ and 32 hex digits, or be left out"))?;
        let hash = secret.key_hash();
        // A cluster that has keys has them for ever: whoever calls without one costs no entry of the log then.
        let state = if self.has_no_keys() {
            let envelope = Envelope::internal(bootstrap_command(&request.name, hash));
            let applied = self
                .context
                .store
                .propose(envelope, Lane::Users, deadline)
                .await?;
            match applied.result {
                Ok(_) => tracing::warn!("the first admin key was given out"),
                Err(Refusal::KeysExist) => {}
                Err(refusal) => return Err(refusal.into()),
            }
            self.state_at(applied.revision, deadline).await?
        } else {
            self.context.store.local()
        };
        let now = self.context.store.cluster_now();
        let key = state
            .key_by_hash(hash)
            .filter(|key| key.in_force(now))
            .ok_or(Refusal::KeysExist)?;
        Ok(v1::BootstrapKeyResponse {
            key: Some(message(key)),
            secret: secret.reveal(),
        })
    }

    /// A new key.
    pub async fn create_key(
        &self,
        mut request: v1::CreateKeyRequest,
        call: &Call,
    ) -> Result<v1::CreateKeyResponse, ApiError> {
        let asked = Asked::new("CreateKey", std::mem::take(&mut request.request_id), &request)?;
        let secret = Secret::key();
        let project = if request.project.is_empty() {
            call.caller.project.clone()
        } else {
            request.project
        };
        let command = Command::CreateKey(CreateKey {
            id: new_id(),
            role: enums::role_from(request.role)?,
            name: request.name,
            project,
            hash: secret.key_hash(),
            ttl: ttl(request.ttl_s),
            bootstrap: false,
        });
        let written = self.write(call, asked, command).await?;
        let key = message(row(&written.state, written.key()?)?);
        Ok(v1::CreateKeyResponse {
            key: Some(key),
            // Of a repeated request the secret is another one, and secrets are never replayed.
            secret: if written.replayed {
                String::new()
            } else {
                secret.reveal()
            },
        })
    }

    /// Keys, oldest first.
    pub async fn list_keys(
        &self,
        request: v1::ListKeysRequest,
        call: &Call,
    ) -> Result<v1::ListKeysResponse, ApiError> {
        let list = format!("keys ended={}", request.include_ended);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let state = self.read(request.consistency, call).await?;
        let after = page.after(|key| key.try_into().ok().map(KeyId::from_bytes))?;
        let now = self.context.store.cluster_now();
        let rows = state
            .keys()
            .filter(|row| after.is_none_or(|after| row.id > after))
            .filter(|row| request.include_ended || row.in_force(now));
        let (rows, next_page_token) = page.take(rows, |row| row.id.as_bytes().to_vec());
        Ok(v1::ListKeysResponse {
            keys: rows.into_iter().map(|row| message(row)).collect(),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// Takes a key back.
    pub async fn revoke_key(
        &self,
        mut request: v1::RevokeKeyRequest,
        call: &Call,
    ) -> Result<v1::RevokeKeyResponse, ApiError> {
        let asked = Asked::new("RevokeKey", std::mem::take(&mut request.request_id), &request)?;
        let state = self.read_latest(call).await?;
        let key = find_key(&state, &request.id)?.id;
        let written = self
            .write(call, asked, Command::RevokeKey(RevokeKey { key }))
            .await?;
        Ok(v1::RevokeKeyResponse {
            key: Some(message(row(&written.state, key)?)),
        })
    }

    /// The caller's own key.
    pub fn who_am_i(&self, call: &Call) -> Result<v1::WhoAmIResponse, ApiError> {
        let state = self.context.store.local();
        // This node may not have the key yet that another one knew when the call was admitted.
        let unknown = Refusal::KeyRejected {
            reason: KeyFault::Unknown,
        };
        let key = state.key(call.caller.key).ok_or(unknown)?;
        Ok(v1::WhoAmIResponse {
            key: Some(message(key)),
        })
    }
}

/// How long a secret is good; 0 of the wire: for ever.
pub(super) fn ttl(seconds: u64) -> Option<Millis> {
    (seconds > 0).then(|| Millis(seconds.saturating_mul(1_000)))
}

fn row(state: &State, id: KeyId) -> Result<&ApiKey, ApiError> {
    let gone = || ApiError::NotFound {
        kind: ObjectKind::Key,
        id: id.to_string(),
    };
    state.key(id).map(AsRef::as_ref).ok_or_else(gone)
}

/// The key of this id, or the one in force of this name.
fn find_key<'a>(state: &'a State, id: &str) -> Result<&'a ApiKey, ApiError> {
    if id.is_empty() {
        return Err(ApiError::invalid("id", "is required"));
    }
    let by_id = id.parse().ok().and_then(|id| state.key(id));
    by_id
        .or_else(|| state.key_named(id))
        .map(AsRef::as_ref)
        .ok_or_else(|| ApiError::NotFound {
            kind: ObjectKind::Key,
            id: id.to_owned(),
        })
}

fn message(key: &ApiKey) -> v1::Key {
    v1::Key {
        id: key.id.to_string(),
        name: key.name.clone(),
        role: enums::role(key.role).into(),
        project: key.project.clone(),
        created_at: Some(time::timestamp(key.created_at)),
        expires_at: key.expires_at.map(time::timestamp),
        revoked_at: key.revoked_at.map(time::timestamp),
        revision: key.revision.0,
    }
}
