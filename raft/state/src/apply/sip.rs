//! Commands on what SIP endpoints need, and which run uses which accounts.

use std::sync::Arc;

use crate::admission::AccountNeeds;
use crate::apply::project::must_exist;
use crate::apply::tx::{Tx, not_found};
use crate::command::{
    DeleteAccounts, DeleteMedia, DeleteRegistrar, ObjectKind, PutAccounts, PutMedia, PutRegistrar, Refusal,
    Reply,
};
use crate::definition;
use crate::id::{RunId, ScopedName};
use crate::record::{
    MediaFile, ObjectRef, Registrar, RequestKey, Run, SipAccount, SipAccountKey, SipLease, SipLeaseKey,
};

pub(super) fn put_registrar(
    tx: &mut Tx<'_>,
    command: &PutRegistrar,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    valid(definition::validate_registrar(command))?;
    must_exist(tx, "project", &command.key.project)?;
    let old = tx.state().registrar(&command.key).cloned();
    let (created_at, created_by) = match &old {
        Some(old) => (old.created_at, old.created_by.clone()),
        None => (tx.now(), created_by),
    };
    let row = Registrar {
        key: command.key.clone(),
        domain: command.domain.clone(),
        host: command.host.clone(),
        port: command.port,
        transport: command.transport,
        outbound_proxy: command.outbound_proxy.clone(),
        created_at,
        updated_at: tx.now(),
        created_by,
        revision: tx.revision(),
    };
    tx.set_registrar(command.key.clone(), Some(row));
    Ok(about(ObjectRef::Registrar(command.key.clone()), old.is_none()))
}

pub(super) fn delete_registrar(tx: &mut Tx<'_>, command: &DeleteRegistrar) -> Result<Reply, Refusal> {
    let key = &command.key;
    let Some(row) = tx.state().registrar(key).cloned() else {
        return Err(not_found(ObjectKind::Registrar, &key.name));
    };
    let user = tx
        .state()
        .sip_users(&key.project, |sip| *sip.registrar == *key.name)
        .next()
        .map(|run| run.id);
    unused(ObjectKind::Registrar, &key.name, user)?;
    forget_request(tx, row.created_by.as_ref());
    tx.set_registrar(key.clone(), None);
    Ok(about(ObjectRef::Registrar(key.clone()), false))
}

/// An account without a secret in the command keeps the one that it has: nobody can read it to write it again.
pub(super) fn put_accounts(tx: &mut Tx<'_>, command: &PutAccounts) -> Result<Reply, Refusal> {
    valid(definition::validate_accounts(command, tx.state()))?;
    must_exist(tx, "project", &command.pool.project)?;
    for account in &command.accounts {
        let key = SipAccountKey {
            pool: command.pool.clone(),
            username: Arc::clone(&account.username),
        };
        let old = tx.state().sip_account(&key).cloned();
        let kept = || old.as_ref().and_then(|old| old.secret.clone());
        let row = SipAccount {
            key: key.clone(),
            secret: account.secret.clone().or_else(kept),
            realm: account.realm.clone(),
            updated_at: tx.now(),
            revision: tx.revision(),
        };
        tx.set_account(key, Some(row));
    }
    // Not "created", whatever it made: the pool is no object of its own that could remember the request.
    Ok(about(ObjectRef::AccountPool(command.pool.clone()), false))
}

pub(super) fn delete_accounts(tx: &mut Tx<'_>, command: &DeleteAccounts) -> Result<Reply, Refusal> {
    let pool = &command.pool;
    if tx.state().pool_size(pool) == 0 {
        return Err(not_found(ObjectKind::AccountPool, &pool.name));
    }
    let all = || {
        let accounts = tx.state().pool_accounts(pool, None);
        accounts.map(|row| Arc::clone(&row.key.username)).collect()
    };
    let usernames: Vec<Arc<str>> = match command.usernames.as_slice() {
        [] => all(),
        some => some.to_vec(),
    };
    for username in usernames {
        let key = SipAccountKey {
            pool: pool.clone(),
            username,
        };
        if tx.state().sip_account(&key).is_none() {
            return Err(not_found(ObjectKind::Account, &key.username));
        }
        unused(ObjectKind::Account, &key.username, tx.state().account_user(&key))?;
        tx.set_account(key, None);
    }
    Ok(about(ObjectRef::AccountPool(pool.clone()), false))
}

pub(super) fn put_media(
    tx: &mut Tx<'_>,
    command: &PutMedia,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    valid(definition::validate_media(command))?;
    must_exist(tx, "project", &command.key.project)?;
    let old = tx.state().media_file(&command.key).cloned();
    let (created_at, created_by) = match &old {
        Some(old) => (old.created_at, old.created_by.clone()),
        None => (tx.now(), created_by),
    };
    let row = MediaFile {
        key: command.key.clone(),
        sha256: command.sha256,
        bytes: command.bytes,
        duration_ms: command.duration_ms,
        created_at,
        updated_at: tx.now(),
        created_by,
        revision: tx.revision(),
    };
    tx.set_media(command.key.clone(), Some(row));
    Ok(about(ObjectRef::Media(command.key.clone()), old.is_none()))
}

pub(super) fn delete_media(tx: &mut Tx<'_>, command: &DeleteMedia) -> Result<Reply, Refusal> {
    let key = &command.key;
    let Some(row) = tx.state().media_file(key).cloned() else {
        return Err(not_found(ObjectKind::Media, &key.name));
    };
    let names = |media: &Option<String>| media.as_deref() == Some(&*key.name);
    let user = tx
        .state()
        .sip_users(&key.project, |sip| names(&sip.media))
        .next()
        .map(|run| run.id);
    unused(ObjectKind::Media, &key.name, user)?;
    forget_request(tx, row.created_by.as_ref());
    tx.set_media(key.clone(), None);
    Ok(about(ObjectRef::Media(key.clone()), false))
}

/// Gives a run that is being queued its accounts: of each pool the first that are free, group by group (R121).
pub(super) fn lease(tx: &mut Tx<'_>, run: &Run) -> Result<(), Refusal> {
    tx.state()
        .admit_sip(&run.project, &run.definition, &AccountNeeds::new())
        .map_err(Refusal::SipUnavailable)?;
    for (position, group) in (0..).zip(&run.definition.groups) {
        let Some(sip) = group.sip() else { continue };
        let pool = ScopedName::new(&run.project, &sip.accounts);
        let usernames = tx
            .state()
            .free_accounts(&pool)
            .take(group.endpoints as usize)
            .collect();
        let key = SipLeaseKey {
            run: run.id,
            group: position,
        };
        let row = SipLease {
            key,
            pool,
            usernames,
            revision: tx.revision(),
        };
        tx.set_lease(key, Some(row));
    }
    Ok(())
}

/// The accounts of a run that ended are free.
pub(super) fn release(tx: &mut Tx<'_>, run: RunId) {
    let keys: Vec<SipLeaseKey> = tx.state().sip_leases(run).map(|row| row.key).collect();
    for key in keys {
        tx.set_lease(key, None);
    }
}

fn valid(violations: Vec<crate::command::FieldViolation>) -> Result<(), Refusal> {
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Invalid { violations })
    }
}

fn unused(kind: ObjectKind, name: &str, run: Option<RunId>) -> Result<(), Refusal> {
    match run {
        Some(run) => Err(Refusal::InUse {
            kind,
            name: name.to_owned(),
            by: format!("run {run} needs it until it ends"),
        }),
        None => Ok(()),
    }
}

fn forget_request(tx: &mut Tx<'_>, created_by: Option<&RequestKey>) {
    if let Some(key) = created_by {
        tx.remove_request(key);
    }
}

fn about(object: ObjectRef, created: bool) -> Reply {
    Reply::Object {
        object,
        created,
        replayed: false,
    }
}
