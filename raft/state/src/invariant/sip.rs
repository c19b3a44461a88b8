//! The laws of SIP accounts and of what runs need (R120–R122).

use std::collections::BTreeMap;

use crate::id::ScopedName;
use crate::record::{SipAccountKey, SipLeaseKey};
use crate::state::State;
use crate::transition::run::RunStatus;

/// Counted over the leases, account by account.
pub(super) fn one_run_an_account(state: &State, broken: &mut Vec<String>) {
    let mut users: BTreeMap<SipAccountKey, SipLeaseKey> = BTreeMap::new();
    for lease in state.sip_leases.values() {
        let status = state.run(lease.key.run).map(|run| run.life.status());
        if !matches!(status, Some(RunStatus::Queued | RunStatus::Running)) {
            broken.push(format!("{:?} is leased to a run that is {status:?}", lease.key));
        }
        for username in &lease.usernames {
            let key = SipAccountKey {
                pool: lease.pool.clone(),
                username: username.clone(),
            };
            if state.sip_account(&key).is_none() {
                broken.push(format!("{key:?} is used by {:?} and does not exist", lease.key));
            }
            if let Some(other) = users.insert(key.clone(), lease.key) {
                broken.push(format!("{key:?} is used by {other:?} and {:?}", lease.key));
            }
        }
    }
}

pub(super) fn runs_have_what_they_need(state: &State, broken: &mut Vec<String>) {
    for run in state.live_runs() {
        if !matches!(run.life.status(), RunStatus::Queued | RunStatus::Running) {
            continue;
        }
        for (position, group) in (0..).zip(&run.definition.groups) {
            let Some(sip) = group.sip() else { continue };
            let key = SipLeaseKey {
                run: run.id,
                group: position,
            };
            let lease = state.sip_lease(key);
            let leased = lease.map_or(0, |lease| lease.usernames.len());
            let of_pool = lease.is_some_and(|lease| *lease.pool.name == *sip.accounts);
            if leased != group.endpoints as usize || !of_pool {
                broken.push(format!(
                    "{key:?} has {leased} accounts for {} endpoints",
                    group.endpoints
                ));
            }
            let name = |name: &str| ScopedName::new(&run.project, name);
            let registrar = state.registrar(&name(&sip.registrar)).is_some();
            let media = sip
                .media
                .as_ref()
                .is_none_or(|media| state.media_file(&name(media)).is_some());
            if !registrar || !media {
                broken.push(format!("{key:?}: registrar {registrar}, media {media}"));
            }
        }
    }
}
