//! Words for what SIP endpoints need.

use std::sync::Arc;

use reeve_state::command::*;
use reeve_state::id::*;
use reeve_state::record::*;

use super::*;

pub fn scoped(name: &str) -> ScopedName {
    ScopedName::new(&ProjectName::default(), name)
}

pub fn put_registrar(name: &str) -> PutRegistrar {
    PutRegistrar {
        key: scoped(name),
        domain: "lab.example".to_owned(),
        host: None,
        port: None,
        transport: SipTransport::Udp,
        outbound_proxy: None,
    }
}

/// Accounts `first` and up of a pool, each with a secret.
pub fn put_accounts(pool: &str, accounts: std::ops::Range<u32>) -> PutAccounts {
    let account = |number: u32| NewAccount {
        username: user(number),
        secret: Some(SealedSecret {
            key_id: [1; 8],
            sealed: vec![2; 48],
        }),
        realm: None,
    };
    PutAccounts {
        pool: scoped(pool),
        accounts: accounts.map(account).collect(),
    }
}

pub fn user(number: u32) -> Arc<str> {
    format!("{number:04}").into()
}

pub fn account_key(pool: &str, number: u32) -> SipAccountKey {
    SipAccountKey {
        pool: scoped(pool),
        username: user(number),
    }
}

pub fn delete_accounts(pool: &str, numbers: &[u32]) -> Command {
    Command::DeleteAccounts(DeleteAccounts {
        pool: scoped(pool),
        usernames: numbers.iter().copied().map(user).collect(),
    })
}

pub fn put_media(name: &str) -> PutMedia {
    PutMedia {
        key: scoped(name),
        sha256: [7; 32],
        bytes: 8_044,
        duration_ms: 1_000,
    }
}

/// Callers and receivers, so many each.
pub fn calls(name: &str, each: u32) -> TestDefinition {
    let mut definition = definition(name, 1);
    let mut callers = sip_group("callers", each);
    callers.callee = Some("receivers".to_owned());
    definition.groups = vec![callers, sip_group("receivers", each)];
    definition
}

impl World {
    /// Registrar lab, pool pool with so many accounts, test 1 with two groups of `each`, a worker with room for all.
    pub fn with_accounts(accounts: u32, each: u32) -> Self {
        let mut world = Self::with_workers(1, 100_000);
        world.ok(Command::PutRegistrar(put_registrar("lab")));
        if accounts > 0 {
            world.ok(Command::PutAccounts(put_accounts("pool", 0..accounts)));
        }
        world.apply_test(1, calls("calls", each));
        world
    }

    /// The user names that a group of a run has.
    pub fn leased(&self, run: u8, group: u32) -> Vec<String> {
        let key = SipLeaseKey {
            run: run_id(run),
            group,
        };
        let lease = self.state.sip_lease(key);
        lease.map_or(Vec::new(), |lease| {
            lease.usernames.iter().map(ToString::to_string).collect()
        })
    }
}
