//! Whether what SIP groups name is there for a run (R120–R122). Apply asks this when a run is queued, and the planner before it, so
//! that both say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::command::{SIP_FAULT_RUNS, SipFault};
use crate::id::{ProjectName, ScopedName};
use crate::record::TestDefinition;
use crate::state::State;
use crate::transition::run::RunReasonCode;

/// How many accounts of which pool.
pub type AccountNeeds = BTreeMap<ScopedName, u32>;

/// The accounts that a run of this definition needs, by pool: one for each endpoint.
pub fn accounts_needed(project: &ProjectName, definition: &TestDefinition) -> AccountNeeds {
    let mut needs = AccountNeeds::new();
    for group in &definition.groups {
        if let Some(sip) = group.sip() {
            let sum = needs.entry(ScopedName::new(project, &sip.accounts)).or_default();
            *sum = sum.saturating_add(group.endpoints);
        }
    }
    needs
}

impl State {
    /// Whether there is everything that the SIP groups of a definition name. `ahead` is what runs take that will be queued before
    /// this one and are not yet.
    ///
    /// # Errors
    /// The first thing that is missing.
    pub fn admit_sip(
        &self,
        project: &ProjectName,
        definition: &TestDefinition,
        ahead: &AccountNeeds,
    ) -> Result<(), SipFault> {
        for group in &definition.groups {
            let Some(sip) = group.sip() else { continue };
            if self
                .registrar(&ScopedName::new(project, &sip.registrar))
                .is_none()
            {
                return Err(SipFault::NoRegistrar {
                    group: group.name.clone(),
                    registrar: sip.registrar.clone(),
                    project: project.clone(),
                });
            }
            let media = sip.media.as_ref();
            if let Some(media) =
                media.filter(|name| self.media_file(&ScopedName::new(project, name)).is_none())
            {
                return Err(SipFault::NoMedia {
                    group: group.name.clone(),
                    media: media.clone(),
                    project: project.clone(),
                });
            }
        }
        for (pool, needed) in accounts_needed(project, definition) {
            self.enough_accounts(&pool, needed, ahead.get(&pool).copied().unwrap_or(0), definition)?;
        }
        Ok(())
    }

    fn enough_accounts(
        &self,
        pool: &ScopedName,
        needed: u32,
        ahead: u32,
        definition: &TestDefinition,
    ) -> Result<(), SipFault> {
        let total = self.pool_size(pool);
        let (mut in_use, mut runs) = (0_u32, BTreeSet::new());
        for account in self.pool_accounts(pool, None) {
            if let Some(run) = self.account_user(&account.key) {
                in_use += 1;
                runs.insert(run);
            }
        }
        let free = total.saturating_sub(in_use);
        if needed <= free.saturating_sub(ahead) {
            return Ok(());
        }
        let groups = definition.groups.iter();
        let of_pool = groups.filter(|group| group.sip().is_some_and(|sip| *sip.accounts == *pool.name));
        let names: Vec<&str> = of_pool.map(|group| group.name.as_str()).collect();
        let noun = if names.len() == 1 { "group" } else { "groups" };
        Err(SipFault::TooFewAccounts {
            group: format!("{noun} {}", names.join(", ")),
            pool: pool.name.to_string(),
            project: pool.project.clone(),
            needed,
            total,
            free,
            in_use,
            runs: runs.into_iter().take(SIP_FAULT_RUNS).collect(),
        })
    }

    /// The first accounts of a pool that no run uses, by user name.
    pub(crate) fn free_accounts<'a>(&'a self, pool: &'a ScopedName) -> impl Iterator<Item = Arc<str>> + 'a {
        let free = self
            .pool_accounts(pool, None)
            .filter(|account| self.account_user(&account.key).is_none());
        free.map(|account| Arc::clone(&account.key.username))
    }
}

impl SipFault {
    /// The reason with which a run ends that broke it (D9, D10).
    pub const fn code(&self) -> RunReasonCode {
        match self {
            Self::NoRegistrar { .. } | Self::NoMedia { .. } => RunReasonCode::InvalidConfiguration,
            Self::TooFewAccounts { .. } => RunReasonCode::AccountsUnavailable,
        }
    }

    /// The smallest change that would let the run start (D10).
    pub fn suggestion(&self) -> String {
        match self {
            Self::NoRegistrar { registrar, .. } => format!("a registrar {registrar}"),
            Self::NoMedia { media, .. } => format!("a media file {media}"),
            Self::TooFewAccounts {
                pool, needed, free, ..
            } => format!(
                "{} more free accounts in pool {pool}",
                needed.saturating_sub(*free)
            ),
        }
    }
}
