//! Who may call (D27a): every call but health, reflection and a worker's session is made with a key.
//!
//! A key is looked up in this node's own state first. What is refused there may only be news that this node does not have, so the
//! cluster is asked before a caller is turned away. Where a call takes effect its key is checked once more: writes in `apply`, reads
//! on the state that they read, streams with every change of a key.

use std::time::Duration;

use reeve_state::State;
use reeve_state::command::{KeyFault, Refusal};
use reeve_state::id::KeyHash;
use reeve_state::mutant::{self, Mutant};
use reeve_state::record::{Access, ApiKey};
use reeve_state::time::Time;
use reeve_store::Consistency;

use super::call::{self, Caller};
use super::secret;
use super::{Api, Call};
use crate::error::ApiError;
use crate::mutants;

impl Api {
    /// Begins a call with what stands in its `authorization` header.
    ///
    /// # Errors
    /// No key, one that is not in force, or one whose role does not allow it.
    pub async fn admit(
        &self,
        authorization: Option<&str>,
        access: Access,
        timeout: Option<Duration>,
    ) -> Result<Call, ApiError> {
        let deadline = call::deadline(timeout);
        let hash = authorization
            .and_then(bearer)
            .and_then(secret::key_hash)
            .ok_or(ApiError::KeyMissing)?;
        let store = &self.context.store;
        let now = store.cluster_now();
        let begin = |key: &ApiKey| Call {
            caller: Caller::from(key),
            access,
            deadline,
        };
        if let Some(key) = mutants::key_let_in(hash, access) {
            return Ok(begin(&key));
        }
        if let Ok(key) = admitted(&store.local(), hash, access, now) {
            mutants::let_key_in(hash, key);
            return Ok(begin(key));
        }
        let state = store.read(Consistency::Linearizable, deadline).await?;
        let key = admitted(&state, hash, access, now)?;
        Ok(begin(key))
    }

    /// Begins a call that every key allows.
    ///
    /// # Errors
    /// No key, or one that is not in force.
    pub async fn identify(
        &self,
        authorization: Option<&str>,
        timeout: Option<Duration>,
    ) -> Result<Call, ApiError> {
        match self.admit(authorization, Access::Read, timeout).await {
            Err(ApiError::Refused(Refusal::RoleTooLow { .. })) => {
                self.admit(authorization, Access::Ping, timeout).await
            }
            answered => answered,
        }
    }

    /// Whether nobody can have a key yet: then what a node says of itself is open, so that a cluster can be seen to come up.
    pub fn has_no_keys(&self) -> bool {
        self.context.store.local().keys().next().is_none()
    }

    /// The caller's key once more, on the state that a call reads.
    pub(super) fn still_admitted(&self, state: &State, call: &Call) -> Result<(), ApiError> {
        if mutant::is(Mutant::TokenCache) {
            return Ok(());
        }
        let now = self.context.store.cluster_now();
        state.authorize(call.caller.key, call.access, now)?;
        Ok(())
    }
}

fn admitted(state: &State, hash: KeyHash, access: Access, now: Time) -> Result<&ApiKey, Refusal> {
    let key = state.key_by_hash(hash).ok_or(Refusal::KeyRejected {
        reason: KeyFault::Unknown,
    })?;
    state.authorize(key.id, access, now).map(AsRef::as_ref)
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, secret) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(secret.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_given_as_a_bearer() {
        assert_eq!(bearer("Bearer cmk_1"), Some("cmk_1"));
        assert_eq!(bearer("bearer  cmk_1 "), Some("cmk_1"));
        for wrong in ["", "cmk_1", "Basic cmk_1", "Bearer"] {
            assert_eq!(bearer(wrong), None, "{wrong:?}");
        }
    }
}
