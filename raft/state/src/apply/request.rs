//! Requests that are repeated (D15): the same request gets the same object, a different one under its id is refused.

use crate::apply::tx::Tx;
use crate::command::{Applied, Envelope, Refusal, Reply};
use crate::mutant::{self, Mutant};
use crate::record::{ObjectRef, RequestKey, RequestRecord};
use crate::state::State;
use crate::time::Millis;

/// How long a request that created nothing is remembered.
const KEPT: Millis = Millis::from_secs(3_600);
/// Most requests that are remembered for a time; beyond it the oldest are forgotten.
const MOST_EXPIRING: usize = 100_000;
/// How many expired requests one command clears away, so that no command has to clear many.
const CLEARED_AT_ONCE: usize = 8;

/// The answer to a request that was applied before.
pub(super) fn replayed(state: &State, envelope: &Envelope) -> Option<Applied> {
    if mutant::is(Mutant::NoIdempotency) {
        return None;
    }
    let tag = envelope.request.as_ref()?;
    let record = state.request(&tag.key)?;
    if !object_lives(state, &record.object)
        || record.expires_at.is_some_and(|at| at <= state.meta.cluster_time)
    {
        return None;
    }
    if record.hash != tag.hash {
        let request_id = tag.key.request_id.to_string();
        return Some(Applied {
            revision: state.meta.revision,
            result: Err(Refusal::RequestIdReused { request_id }),
        });
    }
    let reply = Reply::Object {
        object: record.object.clone(),
        created: record.created,
        replayed: true,
    };
    Some(Applied {
        revision: record.revision,
        result: Ok(reply),
    })
}

fn object_lives(state: &State, object: &ObjectRef) -> bool {
    match object {
        // A deletion is remembered although its object is gone; creations are forgotten with their object.
        ObjectRef::Test(_) | ObjectRef::Project(_) => true,
        // As of a test, a deletion is remembered.
        ObjectRef::Probe(_) => true,
        ObjectRef::Run(id) => state.run(*id).is_some(),
        ObjectRef::Worker(id) => state.worker(*id).is_some(),
        ObjectRef::Key(id) => state.key(*id).is_some(),
        // Deletions are remembered here too: one that is repeated is answered as the first was.
        ObjectRef::Webhook(_) | ObjectRef::Registrar(_) | ObjectRef::AccountPool(_) | ObjectRef::Media(_) => {
            true
        }
    }
}

/// Remembers a request that succeeded, and clears away a few that expired.
pub(super) fn remember(tx: &mut Tx<'_>, envelope: &Envelope, reply: &Reply) -> Result<(), Refusal> {
    let Some(tag) = &envelope.request else {
        return Ok(());
    };
    let Reply::Object { object, created, .. } = reply else {
        return Ok(());
    };
    clear_expired(tx);
    tx.put_request(RequestRecord {
        key: tag.key.clone(),
        hash: tag.hash,
        object: object.clone(),
        created: *created,
        revision: tx.revision(),
        expires_at: (!*created).then(|| tx.now() + KEPT),
    });
    Ok(())
}

fn clear_expired(tx: &mut Tx<'_>) {
    let now = tx.now();
    let expiring = &tx.state().index.expiring_requests;
    let surplus = expiring.len().saturating_sub(MOST_EXPIRING);
    let gone: Vec<RequestKey> = expiring
        .iter()
        .enumerate()
        .take(CLEARED_AT_ONCE)
        .take_while(|(position, (at, _))| *at <= now || *position < surplus)
        .map(|(_, (_, key))| key.clone())
        .collect();
    for key in &gone {
        tx.remove_request(key);
    }
}
