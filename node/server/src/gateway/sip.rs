//! What a worker is told of SIP endpoints.

use reeve_proto::v1;
use reeve_state::definition::sip_wait;
use reeve_state::record::{Assignment, Run, SipExecutor};
use reeve_state::time::Millis;

use crate::convert;

/// What each endpoint of the assignment is, and whom it calls.
pub(super) fn offer(run: &Run, assignment: &Assignment, sip: &SipExecutor) -> v1::SipOffer {
    let count = assignment.count as usize;
    let targets = sip
        .uri
        .iter()
        .flat_map(|uri| std::iter::repeat_n(uri.clone(), count));
    v1::SipOffer {
        without_registration: false,
        registrar: None,
        accounts: Vec::new(),
        targets: targets.collect(),
        codecs: convert::sip::codecs(sip),
        media_sha256: Vec::new(),
        packet_loss_concealment: sip.packet_loss_concealment,
        answer_timeout_ms: millis(sip.answer_timeout),
        ring_ms: millis(sip.ring),
        wait_ms: sip_wait(&run.definition, assignment.group as usize).0,
        register_expires_s: u32::try_from(sip.register_expires.0 / 1_000).unwrap_or(u32::MAX),
        actions: convert::sip::actions(sip),
        trace_credentials: sip.trace_credentials,
    }
}

fn millis(span: Millis) -> u32 {
    u32::try_from(span.0).unwrap_or(u32::MAX)
}
