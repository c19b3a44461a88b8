//! What a worker is told of SIP endpoints.

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::definition::{register_before, register_buildup, sip_wait};
use reeve_state::id::ScopedName;
use reeve_state::record::{
    Assignment, Group, Registrar, Run, SipAccountKey, SipExecutor, SipLease, SipLeaseKey,
};
use reeve_state::time::Millis;

use crate::convert;
use crate::seal::{Sealer, Unreadable};

/// What each endpoint of the assignment is, and whom it calls. What apply rules out, such as a registrar that is gone, is left empty, and the
/// worker refuses the offer.
pub(super) fn offer(
    state: &State,
    sealer: Option<&Sealer>,
    run: &Run,
    assignment: &Assignment,
    sip: &SipExecutor,
) -> v1::SipOffer {
    let named = |name: &str| ScopedName::new(&run.project, name);
    let registrar = state.registrar(&named(&sip.registrar));
    let media = sip.media.as_ref().and_then(|name| state.media_file(&named(name)));
    let (accounts, problem) = match credentials(state, sealer, run, assignment) {
        Ok(accounts) => (accounts, String::new()),
        Err(problem) => {
            tracing::error!(run = %run.id, problem, "an offer has no credentials");
            (Vec::new(), problem)
        }
    };
    let group = assignment.group as usize;
    v1::SipOffer {
        register_before_ms: register_before(&run.definition, group).map(|span| span.0),
        register_buildup_ms: register_buildup(&run.definition, group).unwrap_or_default().0,
        without_registration: sip.register_expires == Millis(0),
        registrar: registrar.map(|row| encode_registrar(row)),
        accounts,
        targets: targets(state, run, assignment, sip),
        codecs: convert::sip::codecs(sip),
        media_sha256: media.map_or(Vec::new(), |row| row.sha256.to_vec()),
        packet_loss_concealment: sip.packet_loss_concealment,
        answer_timeout_ms: millis(sip.answer_timeout),
        ring_ms: millis(sip.ring),
        wait_ms: sip_wait(&run.definition, group).0,
        register_expires_s: u32::try_from(sip.register_expires.0 / 1_000).unwrap_or(u32::MAX),
        actions: convert::sip::actions(sip),
        trace_credentials: sip.trace_credentials,
        problem,
    }
}

fn encode_registrar(row: &Registrar) -> v1::SipRegistrar {
    v1::SipRegistrar {
        domain: row.domain.clone(),
        host: row.host.clone().unwrap_or_default(),
        port: row.port.map_or(0, u32::from),
        transport: convert::sip::transport(row.transport).into(),
        outbound_proxy: row.outbound_proxy.clone().unwrap_or_default(),
    }
}

fn lease<'a>(state: &'a State, run: &Run, group: usize) -> Option<&'a SipLease> {
    let key = SipLeaseKey {
        run: run.id,
        group: u32::try_from(group).ok()?,
    };
    state.sip_lease(key).map(AsRef::as_ref)
}

/// The accounts of the assignment's endpoints, in their order; or what people are to do about it.
fn credentials(
    state: &State,
    sealer: Option<&Sealer>,
    run: &Run,
    assignment: &Assignment,
) -> Result<Vec<v1::SipCredentials>, String> {
    let lease = lease(state, run, assignment.group as usize).ok_or("the run has no accounts any more")?;
    let first = assignment.first as usize;
    let usernames = lease
        .usernames
        .get(first..first + assignment.count as usize)
        .ok_or("the run has too few accounts")?;
    let one = |username: &std::sync::Arc<str>| {
        let key = SipAccountKey {
            pool: lease.pool.clone(),
            username: username.clone(),
        };
        let account = state
            .sip_account(&key)
            .ok_or_else(|| format!("account {username} is gone"))?;
        let secret = match (&account.secret, sealer) {
            (None, _) => Ok(String::new()),
            (Some(_), None) => Err(Unreadable::NoClusterSecret),
            (Some(sealed), Some(sealer)) => sealer.open(&key, sealed),
        };
        Ok(v1::SipCredentials {
            username: username.to_string(),
            secret: secret
                .map_err(|why| format!("the secret of account {username} of pool {}: {why}", lease.pool))?,
            realm: account.realm.clone().unwrap_or_default(),
        })
    };
    usernames.iter().map(one).collect()
}

/// Whom each endpoint calls: the URI, or the account that the endpoint i mod its size of the called group has.
fn targets(state: &State, run: &Run, assignment: &Assignment, sip: &SipExecutor) -> Vec<String> {
    let count = assignment.count as usize;
    if let Some(uri) = &sip.uri {
        return vec![uri.clone(); count];
    }
    let Some((lease, domain)) = called(state, run, assignment) else {
        return Vec::new();
    };
    let first = assignment.first as usize;
    let usernames = lease
        .usernames
        .iter()
        .cycle()
        .skip(first % lease.usernames.len().max(1));
    usernames
        .take(count)
        .map(|username| format!("sip:{username}@{domain}"))
        .collect()
}

/// The accounts of the group that this one calls, and the domain that they are of.
fn called<'a>(state: &'a State, run: &Run, assignment: &Assignment) -> Option<(&'a SipLease, &'a str)> {
    let groups = &run.definition.groups;
    let name = groups.get(assignment.group as usize)?.callee.as_ref()?;
    let position = groups.iter().position(|group| group.name == *name)?;
    let registrar = &groups.get(position).and_then(Group::sip)?.registrar;
    let registrar = state.registrar(&ScopedName::new(&run.project, registrar))?;
    Some((lease(state, run, position)?, registrar.domain.as_str()))
}

fn millis(span: Millis) -> u32 {
    u32::try_from(span.0).unwrap_or(u32::MAX)
}
