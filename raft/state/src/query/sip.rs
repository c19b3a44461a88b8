//! Questions about what SIP endpoints need.

use std::ops::Bound;
use std::sync::Arc;

use crate::id::{ProjectName, RunId, ScopedName};
use crate::record::{
    Executor, Group, MediaFile, Registrar, Run, SipAccount, SipAccountKey, SipExecutor, SipLease, SipLeaseKey,
};
use crate::state::State;
use crate::transition::run::RunStatus;

impl Group {
    /// Its settings, if its endpoints are SIP user agents.
    pub fn sip(&self) -> Option<&SipExecutor> {
        match &self.executor {
            Executor::Sip(sip) => Some(sip),
            Executor::Sim(_) => None,
        }
    }

    /// Whether its endpoints are SIP user agents.
    pub fn is_sip(&self) -> bool {
        self.sip().is_some()
    }
}

impl State {
    /// The registrar of this name.
    pub fn registrar(&self, key: &ScopedName) -> Option<&Arc<Registrar>> {
        self.registrars.get(key)
    }

    /// All registrars, by project and name.
    pub fn registrars(&self) -> impl DoubleEndedIterator<Item = &Arc<Registrar>> {
        self.registrars.values()
    }

    /// The media file of this name.
    pub fn media_file(&self, key: &ScopedName) -> Option<&Arc<MediaFile>> {
        self.media.get(key)
    }

    /// All media files, by project and name.
    pub fn media_files(&self) -> impl DoubleEndedIterator<Item = &Arc<MediaFile>> {
        self.media.values()
    }

    /// Whether any media file has these bytes.
    pub fn media_known(&self, sha256: &[u8; 32]) -> bool {
        self.media.values().any(|row| row.sha256 == *sha256)
    }

    /// The account with this key.
    pub fn sip_account(&self, key: &SipAccountKey) -> Option<&Arc<SipAccount>> {
        self.sip_accounts.get(key)
    }

    /// The accounts of a pool by user name, beginning after one: for pages.
    pub fn pool_accounts<'a>(
        &'a self,
        pool: &'a ScopedName,
        after: Option<Arc<str>>,
    ) -> impl Iterator<Item = &'a Arc<SipAccount>> {
        let key = |username: Arc<str>| SipAccountKey {
            pool: pool.clone(),
            username,
        };
        let from = match after {
            Some(username) => Bound::Excluded(key(username)),
            None => Bound::Included(key(Arc::from(""))),
        };
        self.sip_accounts
            .range((from, Bound::Unbounded))
            .take_while(move |(key, _)| key.pool == *pool)
            .map(|(_, row)| row)
    }

    /// The pools that have accounts, with how many, by project and name.
    pub fn account_pools(&self) -> impl Iterator<Item = (&ScopedName, u32)> {
        self.index.sip.pools.iter().map(|(pool, count)| (pool, *count))
    }

    /// How many accounts a pool has.
    pub fn pool_size(&self, pool: &ScopedName) -> u32 {
        self.index.sip.pools.get(pool).copied().unwrap_or(0)
    }

    /// The run that uses an account.
    pub fn account_user(&self, key: &SipAccountKey) -> Option<RunId> {
        self.index.sip.used.get(key).copied()
    }

    /// The accounts that a group of a run uses.
    pub fn sip_lease(&self, key: SipLeaseKey) -> Option<&Arc<SipLease>> {
        self.sip_leases.get(&key)
    }

    /// The accounts that the groups of a run use.
    pub fn sip_leases(&self, run: RunId) -> impl Iterator<Item = &Arc<SipLease>> {
        let from = SipLeaseKey { run, group: 0 };
        let to = SipLeaseKey { run, group: u32::MAX };
        self.sip_leases.range(from..=to).map(|(_, row)| row)
    }

    /// Runs of a project that are QUEUED or RUNNING and have a SIP group of which `uses` holds.
    pub(crate) fn sip_users<'a>(
        &'a self,
        project: &'a ProjectName,
        uses: impl Fn(&SipExecutor) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Arc<Run>> {
        self.live_runs().filter(move |run| {
            let active = matches!(run.life.status(), RunStatus::Queued | RunStatus::Running);
            active
                && run.project == *project
                && run.definition.groups.iter().filter_map(Group::sip).any(&uses)
        })
    }
}
