//! What happens to the registry and to keys, at random.

use proptest::prelude::*;
use reeve_state::command::*;
use reeve_state::id::SessionEpoch;
use reeve_state::record::Role;
use reeve_state::time::Millis;
use reeve_state::transition::worker::Link;

use crate::world::registry::{
    HOUR, cpu, delete_if, expire, new_key, ping_with, purge, register, revoke, unregister,
};
use crate::world::*;

/// Session workers 1 to 3; ping workers come after them.
pub const WORKERS: u8 = 3;
/// All workers there ever are.
pub const ALL_WORKERS: u8 = WORKERS + 2;
const KEYS: u8 = 3;

#[derive(Clone, Debug)]
pub enum RegistryAct {
    Create(u8),
    Register(u8),
    Ping(u8, bool),
    Unregister(u8),
    Link(u8, Link),
    Leave(u8),
    Ill(u8, bool),
    Regenerate(u8, u8),
    Expire(u8),
    Delete(u8, bool, bool),
    Purge(u8),
    CreateKey(u8, Role, bool),
    Revoke(u8),
}

pub fn any_worker() -> impl Strategy<Value = u8> {
    1..=ALL_WORKERS
}

pub fn key() -> impl Strategy<Value = u8> {
    1..=KEYS
}

pub fn registry_act() -> impl Strategy<Value = RegistryAct> {
    use RegistryAct as A;
    let role = prop::sample::select(Role::ALL.to_vec());
    prop_oneof![
        1 => (1..=WORKERS).prop_map(A::Create),
        3 => (WORKERS + 1..=ALL_WORKERS).prop_map(A::Register),
        4 => (any_worker(), prop::bool::weighted(0.2)).prop_map(|(w, ill)| A::Ping(w, ill)),
        1 => any_worker().prop_map(A::Unregister),
        3 => (any_worker(), prop::sample::select(Link::ALL.to_vec())).prop_map(|(w, l)| A::Link(w, l)),
        1 => any_worker().prop_map(A::Leave),
        2 => (any_worker(), any::<bool>()).prop_map(|(w, ill)| A::Ill(w, ill)),
        1 => (any_worker(), 0..3u8).prop_map(|(w, generation)| A::Regenerate(w, generation)),
        2 => any_worker().prop_map(A::Expire),
        1 => (any_worker(), any::<bool>(), any::<bool>()).prop_map(|(w, force, offline)| A::Delete(w, force, offline)),
        1 => any_worker().prop_map(A::Purge),
        2 => (key(), role, any::<bool>()).prop_map(|(k, role, first)| A::CreateKey(k, role, first)),
        1 => key().prop_map(A::Revoke),
    ]
}

fn epoch(world: &World, n: u8) -> SessionEpoch {
    let worker = world.state.worker(worker_id(n));
    worker.map(|worker| worker.last_epoch).unwrap_or_default()
}

pub fn registry_command(world: &World, act: &RegistryAct) -> Command {
    match act {
        RegistryAct::Create(n) => Command::CreateWorker(CreateWorker {
            token_ttl: Some(HOUR),
            ..create_worker(*n, 40)
        }),
        RegistryAct::Register(n) => register(*n),
        RegistryAct::Ping(n, ill) => ping_with(*n, if *ill { cpu(99) } else { Vec::new() }),
        RegistryAct::Unregister(n) => unregister(*n),
        RegistryAct::Link(n, link) => Command::SetLink(SetLink {
            worker: worker_id(*n),
            epoch: epoch(world, *n),
            link: *link,
            reason: format!("{link:?}"),
        }),
        RegistryAct::Leave(n) => Command::DisconnectWorker(DisconnectWorker {
            worker: worker_id(*n),
            epoch: epoch(world, *n),
            reason: "bye".into(),
        }),
        RegistryAct::Ill(n, ill) => Command::SetHealth(SetHealth {
            worker: worker_id(*n),
            epoch: epoch(world, *n),
            issues: if *ill { cpu(99) } else { Vec::new() },
        }),
        RegistryAct::Regenerate(n, generation) => Command::RegenerateToken(RegenerateToken {
            worker: worker_id(*n),
            token_hash: token(n + 10 * generation),
            token_ttl: (*generation > 0).then_some(Millis(200)),
        }),
        RegistryAct::Expire(n) => expire(*n),
        RegistryAct::Delete(n, force, offline) => delete_if(*n, offline.then_some(HOUR), *force),
        RegistryAct::Purge(n) => purge(*n, Millis(0)),
        RegistryAct::CreateKey(n, role, first) => Command::CreateKey(CreateKey {
            ttl: (!first).then_some(HOUR),
            bootstrap: *first,
            ..new_key(*n, *role)
        }),
        RegistryAct::Revoke(n) => revoke(*n),
    }
}
