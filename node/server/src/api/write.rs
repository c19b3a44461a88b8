//! Writes: a command with its request id into the log, and the state that shows its effect.

use std::sync::Arc;

use prost::Message;
use reeve_state::State;
use reeve_state::command::{Command, Envelope, Reply, RequestTag};
use reeve_state::id::{KeyId, ProjectName, Revision, WorkerId};
use reeve_state::record::{ObjectRef, RequestKey};
use reeve_store::{Lane, ProposeError};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{Api, Call};
use crate::error::ApiError;

/// Longest request id, in bytes.
const MAX_REQUEST_ID: usize = 128;

const OTHER_OBJECT: ApiError = ApiError::Internal("another kind of object was written than was answered");

/// A write that was applied.
pub(super) struct Written {
    /// What it was about.
    pub object: ObjectRef,
    /// Whether the object is new.
    pub created: bool,
    /// Whether the request was answered before.
    pub replayed: bool,
    /// This node's state, at the revision of the write or a later one.
    pub state: Arc<State>,
}

/// What was asked, so that a different request under the same id is noticed.
pub(super) struct Asked {
    request_id: String,
    hash: [u8; 32],
}

impl Asked {
    /// `request` is the message with its request id taken out.
    ///
    /// # Errors
    /// A request id that is too long or not printable.
    pub(super) fn new(method: &str, request_id: String, request: &impl Message) -> Result<Self, ApiError> {
        let printable = request_id.bytes().all(|byte| byte.is_ascii_graphic());
        if request_id.len() > MAX_REQUEST_ID || !printable {
            let rule = format!("must be at most {MAX_REQUEST_ID} printable ASCII characters without spaces");
            return Err(ApiError::invalid("request_id", rule));
        }
        let request_id = if request_id.is_empty() {
            uuid::Uuid::now_v7().hyphenated().to_string()
        } else {
            request_id
        };
        // The method is part of the hash: two messages of different kinds may have the same bytes.
        let hash = Sha256::new()
            .chain_update(method)
            .chain_update([0])
            .chain_update(request.encode_to_vec());
        Ok(Self {
            request_id,
            hash: hash.finalize().into(),
        })
    }

    /// The name under which the answer is remembered.
    pub(super) fn key(&self, call: &Call) -> RequestKey {
        RequestKey {
            caller: call.caller.key.to_string().into(),
            request_id: self.request_id.as_str().into(),
        }
    }
}

impl Written {
    /// The key that it was about.
    pub(super) fn key(&self) -> Result<KeyId, ApiError> {
        match self.object {
            ObjectRef::Key(id) => Ok(id),
            ObjectRef::Test(_)
            | ObjectRef::Run(_)
            | ObjectRef::Worker(_)
            | ObjectRef::Project(_)
            | ObjectRef::Probe(_)
            | ObjectRef::Webhook(_)
            | ObjectRef::Registrar(_)
            | ObjectRef::AccountPool(_)
            | ObjectRef::Media(_) => Err(OTHER_OBJECT),
        }
    }

    /// The project that it was about.
    pub(super) fn project(&self) -> Result<&ProjectName, ApiError> {
        match &self.object {
            ObjectRef::Project(name) => Ok(name),
            ObjectRef::Test(_)
            | ObjectRef::Run(_)
            | ObjectRef::Worker(_)
            | ObjectRef::Key(_)
            | ObjectRef::Probe(_)
            | ObjectRef::Webhook(_)
            | ObjectRef::Registrar(_)
            | ObjectRef::AccountPool(_)
            | ObjectRef::Media(_) => Err(OTHER_OBJECT),
        }
    }

    /// The worker that it was about.
    pub(super) fn worker(&self) -> Result<WorkerId, ApiError> {
        match self.object {
            ObjectRef::Worker(id) => Ok(id),
            ObjectRef::Test(_)
            | ObjectRef::Run(_)
            | ObjectRef::Key(_)
            | ObjectRef::Project(_)
            | ObjectRef::Probe(_)
            | ObjectRef::Webhook(_)
            | ObjectRef::Registrar(_)
            | ObjectRef::AccountPool(_)
            | ObjectRef::Media(_) => Err(OTHER_OBJECT),
        }
    }
}

impl Api {
    /// Proposes a user's command and waits until this node has applied it.
    pub(super) async fn write(
        &self,
        call: &Call,
        asked: Asked,
        command: Command,
    ) -> Result<Written, ApiError> {
        let envelope = Envelope {
            request: Some(RequestTag {
                key: asked.key(call),
                hash: asked.hash,
            }),
            fence_term: None,
            principal: Some(call.caller.key),
            command,
        };
        let applied = self
            .context
            .store
            .propose(envelope, Lane::Users, call.deadline)
            .await?;
        match applied.result? {
            Reply::Object {
                object,
                created,
                replayed,
            } => {
                let state = self.state_at(applied.revision, call.deadline).await?;
                Ok(Written {
                    object,
                    created,
                    replayed,
                    state,
                })
            }
            Reply::Done | Reply::Session(_) | Reply::Reported { .. } => Err(ApiError::Internal(
                "a user's command was not answered with its object",
            )),
        }
    }

    /// This node's state once it has reached a revision, which the leader may have reached before it.
    pub(super) async fn state_at(
        &self,
        revision: Revision,
        deadline: Instant,
    ) -> Result<Arc<State>, ApiError> {
        let reached = self.context.store.reached(revision);
        match tokio::time::timeout_at(deadline, reached).await {
            Ok(state) => Ok(state),
            // It is committed, but what it made cannot be shown from here in time.
            Err(_) => Err(ProposeError::OutcomeUnknown.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use reeve_proto::v1;

    use super::*;

    fn asked(method: &str, id: &str, test: &str) -> Asked {
        let request = v1::StartRunRequest {
            test: test.to_owned(),
            request_id: String::new(),
            ..Default::default()
        };
        Asked::new(method, id.to_owned(), &request).unwrap()
    }

    #[test]
    fn the_hash_tells_requests_apart_and_not_their_ids() {
        assert_eq!(asked("StartRun", "a", "t").hash, asked("StartRun", "b", "t").hash);
        assert_ne!(asked("StartRun", "a", "t").hash, asked("StartRun", "a", "u").hash);
        assert_ne!(asked("StartRun", "a", "t").hash, asked("StopRun", "a", "t").hash);
    }

    #[test]
    fn a_call_without_a_request_id_gets_one_of_its_own() {
        let (one, two) = (asked("StartRun", "", "t"), asked("StartRun", "", "t"));
        assert_ne!(one.request_id, two.request_id);
        assert_eq!(asked("StartRun", "mine", "t").request_id, "mine");
    }

    #[test]
    fn request_ids_are_bounded_and_printable() {
        for wrong in ["a b", "a\n", "é", &"x".repeat(129)] {
            let error = Asked::new("m", wrong.to_owned(), &v1::StartRunRequest::default())
                .err()
                .unwrap();
            assert!(error.to_string().contains("request_id"), "{error}");
        }
    }
}
