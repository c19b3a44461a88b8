//! Settings of SIP endpoints and what belongs to them, from the wire and back.

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::definition::{DEFAULT_ANSWER_TIMEOUT, DEFAULT_REGISTER_EXPIRES};
use reeve_state::id::ScopedName;
use reeve_state::record::{
    MediaFile, Registrar, SipAccount, SipAction, SipCodec, SipDeed, SipExecutor, SipTransport,
};
use reeve_state::time::Millis;

use super::definition::Decoder;
use super::time;
use crate::api::to_hex;
use crate::error::ApiError;

/// Fills in the defaults.
pub(super) fn decode(
    decoder: &mut Decoder,
    path: &str,
    wire: &v1::SipExecutor,
    uri: Option<&str>,
) -> SipExecutor {
    let set = |text: &String| (!text.is_empty()).then(|| text.clone());
    let mut span = |name: &str, wire| decoder.span(&format!("{path}.sip.{name}"), wire);
    let answer_timeout = span("answer_timeout", wire.answer_timeout.as_ref());
    let ring = span("ring", wire.ring.as_ref());
    let register_expires = span("register_expires", wire.register_expires.as_ref());
    let register_buildup = span("register_buildup", wire.register_buildup.as_ref());
    let mut codecs = decode_codecs(decoder, path, &wire.codecs);
    if codecs.is_empty() {
        codecs = SipCodec::ALL.to_vec();
    }
    let actions = wire.actions.iter().enumerate();
    SipExecutor {
        registrar: wire.registrar.clone(),
        accounts: wire.accounts.clone(),
        uri: uri.map(str::to_owned),
        codecs,
        media: set(&wire.media),
        packet_loss_concealment: wire.packet_loss_concealment.unwrap_or(true),
        answer_timeout: answer_timeout.unwrap_or(DEFAULT_ANSWER_TIMEOUT),
        ring: ring.unwrap_or_default(),
        register_expires: register_expires.unwrap_or(DEFAULT_REGISTER_EXPIRES),
        register_buildup,
        actions: actions
            .filter_map(|(at, action)| decode_action(decoder, &format!("{path}.sip.actions[{at}]"), action))
            .collect(),
        trace_credentials: wire.trace_credentials,
    }
}

fn decode_codecs(decoder: &mut Decoder, path: &str, wire: &[i32]) -> Vec<SipCodec> {
    let codec = |(at, number): (usize, &i32)| match v1::SipCodec::try_from(*number) {
        Ok(v1::SipCodec::Pcmu) => Some(SipCodec::Pcmu),
        Ok(v1::SipCodec::Pcma) => Some(SipCodec::Pcma),
        Ok(v1::SipCodec::Unspecified) | Err(_) => {
            let field = format!("{path}.sip.codecs[{at}]");
            decoder.violation(field, format!("{number} is not a SipCodec"));
            None
        }
    };
    wire.iter().enumerate().filter_map(codec).collect()
}

fn decode_action(decoder: &mut Decoder, path: &str, wire: &v1::SipAction) -> Option<SipAction> {
    let deed = match &wire.action {
        Some(v1::sip_action::Action::Dtmf(digits)) => SipDeed::Dtmf(digits.clone()),
        Some(v1::sip_action::Action::Hold(hold)) => SipDeed::Hold(*hold),
        None => {
            decoder.violation(path, "must have dtmf or hold");
            return None;
        }
    };
    Some(SipAction {
        at: Millis(u64::from(wire.at_ms)),
        deed,
    })
}

/// To the wire; the URI that it calls stands with the callee.
pub(super) fn encode(sip: &SipExecutor) -> v1::SipExecutor {
    v1::SipExecutor {
        registrar: sip.registrar.clone(),
        accounts: sip.accounts.clone(),
        codecs: codecs(sip),
        media: sip.media.clone().unwrap_or_default(),
        packet_loss_concealment: Some(sip.packet_loss_concealment),
        answer_timeout: Some(time::duration(sip.answer_timeout)),
        ring: Some(time::duration(sip.ring)),
        register_expires: Some(time::duration(sip.register_expires)),
        register_buildup: sip.register_buildup.map(time::duration),
        actions: actions(sip),
        trace_credentials: sip.trace_credentials,
    }
}

/// To the wire.
pub fn codecs(sip: &SipExecutor) -> Vec<i32> {
    let wire = sip.codecs.iter().map(|codec| match codec {
        SipCodec::Pcmu => v1::SipCodec::Pcmu,
        SipCodec::Pcma => v1::SipCodec::Pcma,
    });
    wire.map(i32::from).collect()
}

/// To the wire.
pub fn actions(sip: &SipExecutor) -> Vec<v1::SipAction> {
    let wire = sip.actions.iter().map(|action| v1::SipAction {
        at_ms: u32::try_from(action.at.0).unwrap_or(u32::MAX),
        action: Some(match &action.deed {
            SipDeed::Dtmf(digits) => v1::sip_action::Action::Dtmf(digits.clone()),
            SipDeed::Hold(hold) => v1::sip_action::Action::Hold(*hold),
        }),
    });
    wire.collect()
}

/// From the wire; unspecified is UDP.
///
/// # Errors
/// A number that stands for none.
pub fn transport_from(wire: i32) -> Result<SipTransport, ApiError> {
    match v1::SipTransport::try_from(wire) {
        Ok(v1::SipTransport::Unspecified | v1::SipTransport::Udp) => Ok(SipTransport::Udp),
        Ok(v1::SipTransport::Tcp) => Ok(SipTransport::Tcp),
        Ok(v1::SipTransport::Tls) => Ok(SipTransport::Tls),
        Err(_) => Err(ApiError::invalid(
            "transport",
            format!("{wire} is not a SipTransport"),
        )),
    }
}

/// To the wire.
pub const fn transport(transport: SipTransport) -> v1::SipTransport {
    match transport {
        SipTransport::Udp => v1::SipTransport::Udp,
        SipTransport::Tcp => v1::SipTransport::Tcp,
        SipTransport::Tls => v1::SipTransport::Tls,
    }
}

/// To the wire.
pub fn registrar(row: &Registrar) -> v1::Registrar {
    v1::Registrar {
        name: row.key.name.to_string(),
        project: row.key.project.to_string(),
        domain: row.domain.clone(),
        host: row.host.clone().unwrap_or_default(),
        port: row.port.map_or(0, u32::from),
        transport: transport(row.transport).into(),
        outbound_proxy: row.outbound_proxy.clone().unwrap_or_default(),
        created_at: Some(time::timestamp(row.created_at)),
        updated_at: Some(time::timestamp(row.updated_at)),
        revision: row.revision.0,
    }
}

/// To the wire, without its secret.
pub fn account(state: &State, row: &SipAccount) -> v1::SipAccount {
    v1::SipAccount {
        username: row.key.username.to_string(),
        pool: row.key.pool.name.to_string(),
        project: row.key.pool.project.to_string(),
        realm: row.realm.clone().unwrap_or_default(),
        has_secret: row.secret.is_some(),
        used_by_run: state
            .account_user(&row.key)
            .map(|run| run.to_string())
            .unwrap_or_default(),
        updated_at: Some(time::timestamp(row.updated_at)),
        revision: row.revision.0,
    }
}

/// To the wire. O(accounts).
pub fn pool(state: &State, pool: &ScopedName) -> v1::AccountPool {
    let used = state
        .pool_accounts(pool, None)
        .filter(|row| state.account_user(&row.key).is_some());
    v1::AccountPool {
        name: pool.name.to_string(),
        project: pool.project.to_string(),
        accounts: state.pool_size(pool),
        in_use: u32::try_from(used.count()).unwrap_or(u32::MAX),
    }
}

/// To the wire.
pub fn media(row: &MediaFile) -> v1::MediaFile {
    v1::MediaFile {
        name: row.key.name.to_string(),
        project: row.key.project.to_string(),
        sha256: to_hex(row.sha256),
        bytes: row.bytes,
        duration: Some(time::duration(Millis(row.duration_ms))),
        created_at: Some(time::timestamp(row.created_at)),
        updated_at: Some(time::timestamp(row.updated_at)),
        revision: row.revision.0,
    }
}
