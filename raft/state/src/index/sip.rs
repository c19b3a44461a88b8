//! Which SIP accounts are used, and by whom.

use imbl::OrdMap;

use crate::change::Delta;
use crate::id::{RunId, ScopedName};
use crate::record::{SipAccount, SipAccountKey, SipLease, SipLeaseKey};

/// Accounts that runs use, and counts per pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SipIndex {
    /// Accounts that are used, by which run.
    pub(crate) used: OrdMap<SipAccountKey, RunId>,
    /// How many accounts each pool has; pools without any are not in here.
    pub(crate) pools: OrdMap<ScopedName, u32>,
}

impl SipIndex {
    pub(super) fn account(&mut self, delta: &Delta<SipAccountKey, SipAccount>) {
        let pool = &delta.key.pool;
        let count = self.pools.get(pool).copied().unwrap_or(0);
        let count = match (delta.before.is_some(), delta.after.is_some()) {
            (false, true) => count.saturating_add(1),
            (true, false) => count.saturating_sub(1),
            (true, true) | (false, false) => return,
        };
        if count == 0 {
            self.pools.remove(pool);
        } else {
            self.pools.insert(pool.clone(), count);
        }
    }

    pub(super) fn lease(&mut self, delta: &Delta<SipLeaseKey, SipLease>) {
        if let Some(row) = &delta.before {
            for username in &row.usernames {
                self.used.remove(&key(row, username));
            }
        }
        if let Some(row) = &delta.after {
            for username in &row.usernames {
                self.used.insert(key(row, username), row.key.run);
            }
        }
    }
}

fn key(row: &SipLease, username: &std::sync::Arc<str>) -> SipAccountKey {
    SipAccountKey {
        pool: row.pool.clone(),
        username: std::sync::Arc::clone(username),
    }
}
