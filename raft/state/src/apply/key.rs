//! Commands on callers' keys.

use crate::apply::project;
use crate::apply::tx::Tx;
use crate::command::{CreateKey, ObjectKind, Refusal, Reply, RevokeKey};
use crate::definition;
use crate::id::ProjectName;
use crate::record::{ApiKey, ObjectRef, RequestKey, Role};

pub(super) fn create(
    tx: &mut Tx<'_>,
    command: &CreateKey,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    if command.bootstrap && tx.state().keys().next().is_some() {
        return Err(Refusal::KeysExist);
    }
    let violations = definition::validate_key(command);
    if !violations.is_empty() {
        return Err(Refusal::Invalid { violations });
    }
    project::must_exist(tx, "project", &ProjectName::from(command.project.as_str()))?;
    let taken = tx.state().key_named(&command.name).is_some()
        || tx.state().key(command.id).is_some()
        || tx.state().key_by_hash(command.hash).is_some();
    if taken {
        return Err(Refusal::AlreadyExists {
            kind: ObjectKind::Key,
            name: command.name.clone(),
        });
    }
    let now = tx.now();
    tx.put_key(ApiKey {
        id: command.id,
        name: command.name.clone(),
        role: command.role,
        project: command.project.clone(),
        hash: command.hash,
        created_at: now,
        expires_at: command.ttl.map(|ttl| now + ttl),
        revoked_at: None,
        created_by,
        revision: tx.revision(),
    });
    Ok(answer(command.id, true))
}

/// Revoking a key twice changes nothing the second time. One that ran out administers nothing any more.
pub(super) fn revoke(tx: &mut Tx<'_>, command: &RevokeKey) -> Result<Reply, Refusal> {
    let key = tx.key(command.key)?;
    if key.revoked_at.is_some() {
        return Ok(answer(key.id, false));
    }
    let now = tx.now();
    let administers = |other: &ApiKey| other.role == Role::Admin && other.in_force(now) && other.id != key.id;
    let last = || !tx.state().keys().any(|other| administers(other));
    if key.role == Role::Admin && key.in_force(now) && last() {
        return Err(Refusal::LastAdminKey {
            id: key.id.to_string(),
        });
    }
    tx.put_key(ApiKey {
        revoked_at: Some(now),
        ..ApiKey::clone(&key)
    });
    Ok(answer(key.id, false))
}

fn answer(key: crate::id::KeyId, created: bool) -> Reply {
    Reply::Object {
        object: ObjectRef::Key(key),
        created,
        replayed: false,
    }
}
