//! Settings of SIP endpoints, as people write them and as they go over the wire.

use prost_types::Duration;

use super::FieldViolation;
use super::document::{DurationText, SipActionDocument, SipDocument};
use super::duration::format_duration;
use super::to_wire::{duration, required};
use crate::names::{Named, name_of};
use crate::v1;

/// Milliseconds in a second.
const SECOND_MS: u32 = 1_000;
/// Nanoseconds in a millisecond.
const MS_NANOS: u32 = 1_000_000;

pub(super) fn to_wire(path: &str, sip: SipDocument, violations: &mut Vec<FieldViolation>) -> v1::SipExecutor {
    let codecs = sip.codecs.iter().enumerate();
    let codecs = codecs.filter_map(|(at, name)| {
        let found = v1::SipCodec::from_name(name);
        if found.is_none() {
            let rule = format!("{name:?} is not a codec; expected PCMU or PCMA");
            violations.push(FieldViolation::new(format!("{path}.codecs[{at}]"), rule));
        }
        Some(found?.into())
    });
    let codecs = codecs.collect();
    let actions = sip.actions.into_iter().enumerate();
    let actions = actions
        .filter_map(|(at, action)| to_action(&format!("{path}.actions[{at}]"), action, violations))
        .collect();
    let span = |name: &str, text, violations: &mut _| duration(&format!("{path}.{name}"), text, violations);
    v1::SipExecutor {
        registrar: required(&format!("{path}.registrar"), sip.registrar, violations),
        accounts: required(&format!("{path}.accounts"), sip.accounts, violations),
        codecs,
        media: sip.media.unwrap_or_default(),
        packet_loss_concealment: sip.plc,
        answer_timeout: span("answer_timeout", sip.answer_timeout, violations),
        ring: span("ring", sip.ring, violations),
        register_expires: span("register_expires", sip.register_expires, violations),
        register_buildup: span("register_buildup", sip.register_buildup, violations),
        actions,
        trace_credentials: sip.trace_credentials,
    }
}

fn to_action(
    path: &str,
    action: SipActionDocument,
    violations: &mut Vec<FieldViolation>,
) -> Option<v1::SipAction> {
    let mut wrong = |field: String, rule: &str| {
        violations.push(FieldViolation::new(field, rule));
        None
    };
    let kind = match (action.dtmf, action.hold) {
        (Some(digits), None) => Some(v1::sip_action::Action::Dtmf(digits)),
        (None, Some(hold)) => Some(v1::sip_action::Action::Hold(hold)),
        (None, None) => wrong(path.to_owned(), "must have dtmf or hold"),
        (Some(_), Some(_)) => wrong(path.to_owned(), "has both dtmf and hold: write two actions"),
    };
    let field = format!("{path}.at");
    if action.at.is_none() {
        violations.push(FieldViolation::new(&field, "is required"));
    }
    let at = duration(&field, action.at, violations)?;
    let Some(at_ms) = whole_ms(&at) else {
        let rule = "must be whole milliseconds, at most 49 days";
        violations.push(FieldViolation::new(field, rule));
        return None;
    };
    Some(v1::SipAction {
        at_ms,
        action: Some(kind?),
    })
}

fn whole_ms(duration: &Duration) -> Option<u32> {
    let nanos = u32::try_from(duration.nanos).ok()?;
    let seconds = u32::try_from(duration.seconds).ok()?;
    let whole = nanos.is_multiple_of(MS_NANOS);
    let ms = seconds.checked_mul(SECOND_MS)?.checked_add(nanos / MS_NANOS)?;
    whole.then_some(ms)
}

impl From<&v1::SipExecutor> for SipDocument {
    fn from(sip: &v1::SipExecutor) -> Self {
        let set = |text: &String| (!text.is_empty()).then(|| text.clone());
        let text = |span: &Option<Duration>| span.as_ref().map(|span| DurationText(format_duration(span)));
        Self {
            registrar: set(&sip.registrar),
            accounts: set(&sip.accounts),
            codecs: sip
                .codecs
                .iter()
                .map(|codec| name_of::<v1::SipCodec>(*codec).to_owned())
                .collect(),
            media: set(&sip.media),
            plc: sip.packet_loss_concealment,
            answer_timeout: text(&sip.answer_timeout),
            ring: text(&sip.ring),
            register_expires: text(&sip.register_expires),
            register_buildup: text(&sip.register_buildup),
            actions: sip.actions.iter().map(SipActionDocument::from).collect(),
            trace_credentials: sip.trace_credentials,
        }
    }
}

impl From<&v1::SipAction> for SipActionDocument {
    fn from(action: &v1::SipAction) -> Self {
        let nanos = i32::try_from(action.at_ms % SECOND_MS * MS_NANOS).unwrap_or_default();
        let at = Duration {
            seconds: i64::from(action.at_ms / SECOND_MS),
            nanos,
        };
        let (dtmf, hold) = match &action.action {
            Some(v1::sip_action::Action::Dtmf(digits)) => (Some(digits.clone()), None),
            Some(v1::sip_action::Action::Hold(hold)) => (None, Some(*hold)),
            None => (None, None),
        };
        Self {
            at: Some(DurationText(format_duration(&at))),
            dtmf,
            hold,
        }
    }
}
