//! The executor of SIP endpoints and its resources.

use reeve_proto::internal as wire;
use reeve_state::record::{SipAction, SipDeed, SipExecutor};

use super::enums::Numbered;
use super::{DecodeError, Wire, list, protos, span};

impl Wire for SipExecutor {
    type Proto = wire::SipExecutor;

    fn to_proto(&self) -> Self::Proto {
        wire::SipExecutor {
            registrar: self.registrar.clone(),
            accounts: self.accounts.clone(),
            uri: self.uri.clone(),
            codecs: self.codecs.iter().map(Numbered::number).collect(),
            media: self.media.clone(),
            packet_loss_concealment: self.packet_loss_concealment,
            answer_timeout_ms: self.answer_timeout.0,
            ring_ms: self.ring.0,
            register_expires_ms: self.register_expires.0,
            actions: protos(&self.actions),
            trace_credentials: self.trace_credentials,
            register_buildup_ms: self.register_buildup.map(|span| span.0),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let codecs = proto.codecs.into_iter();
        Ok(Self {
            registrar: proto.registrar,
            accounts: proto.accounts,
            uri: proto.uri,
            codecs: codecs
                .map(|number| Numbered::numbered("codecs", number))
                .collect::<Result<_, _>>()?,
            media: proto.media,
            packet_loss_concealment: proto.packet_loss_concealment,
            answer_timeout: span(proto.answer_timeout_ms),
            ring: span(proto.ring_ms),
            register_expires: span(proto.register_expires_ms),
            actions: list(proto.actions)?,
            trace_credentials: proto.trace_credentials,
            register_buildup: proto.register_buildup_ms.map(span),
        })
    }
}

impl Wire for SipAction {
    type Proto = wire::SipAction;

    fn to_proto(&self) -> Self::Proto {
        let action = match &self.deed {
            SipDeed::Dtmf(digits) => wire::sip_action::Action::Dtmf(digits.clone()),
            SipDeed::Hold(hold) => wire::sip_action::Action::Hold(*hold),
        };
        wire::SipAction {
            at_ms: self.at.0,
            action: Some(action),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let deed = match proto.action.ok_or(DecodeError::UnknownKind("action"))? {
            wire::sip_action::Action::Dtmf(digits) => SipDeed::Dtmf(digits),
            wire::sip_action::Action::Hold(hold) => SipDeed::Hold(hold),
        };
        Ok(Self {
            at: span(proto.at_ms),
            deed,
        })
    }
}
