//! The first admin key of a cluster that is told it: a node that starts gives it to the cluster, unless that has keys already.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use reeve_state::command::{Envelope, Refusal};
use reeve_state::id::KeyHash;
use reeve_store::Lane;
use serde::Deserialize;
use tokio::time::Instant;

use crate::api::keys::bootstrap_command;
use crate::api::secret;
use crate::context::Context;

/// How long one attempt may wait for the log.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between attempts, while there is no leader.
const PAUSE: Duration = Duration::from_millis(100);

/// The first admin key as an operator gives it; checked late, because the parser of flags repeats bad values. Never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct BootstrapKey(String);

impl BootstrapKey {
    /// What it hashes to; `None` if it is not `cmk_` and 32 hex digits.
    pub(crate) fn hash(&self) -> Option<KeyHash> {
        secret::key_hash(self.0.trim())
    }
}

impl FromStr for BootstrapKey {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for BootstrapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BootstrapKey(…)")
    }
}

/// Until the cluster has a key. Every node may try: the first one counts.
pub(crate) async fn run(context: Context, hash: KeyHash) {
    let shutdown = context.shutdown.clone();
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = give(&context, hash) => {}
    }
}

async fn give(context: &Context, hash: KeyHash) {
    let store = &context.store;
    while store.local().keys().next().is_none() {
        let envelope = Envelope::internal(bootstrap_command("", hash));
        let deadline = Instant::now() + ATTEMPT_TIMEOUT;
        match store.propose(envelope, Lane::Users, deadline).await {
            Ok(applied) => match applied.result {
                Ok(_) => return tracing::info!("the cluster has its first admin key"),
                Err(Refusal::KeysExist) => return,
                Err(refusal) => return tracing::error!(%refusal, "the first admin key was refused"),
            },
            Err(error) => tracing::debug!(%error, "the first admin key is not committed yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
