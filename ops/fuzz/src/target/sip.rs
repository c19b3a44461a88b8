//! What peers of SIP endpoints send: messages, descriptions, RTP and RTCP, and the sound files of users.

use std::net::SocketAddr;
use std::time::Instant;

use rand::Rng;
use rand::rngs::StdRng;
use reeve_media::{dtmf, rtcp, rtp, wav};
use reeve_sip::head::Head;
use reeve_sip::sdp;
use reeve_sip::tap::{Seen, Tap, Transport, Way};

use super::Target;
use crate::mutate;

pub struct Sip;

const INVITE: &str = "INVITE sip:e7@10.0.0.2:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKa;rport\r\n\
    From: \"a\" <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: abc\r\nCSeq: 7 INVITE\r\nContent-Length: 120\r\n\r\n\
    v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n\
    a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp:4001\r\na=sendrecv\r\n";
const RINGING: &str = "SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP h;branch=z1\r\nt: <sip:b@x>;tag=9\r\ni: q\r\nCSeq: 2 INVITE\r\n\r\n";

impl Target for Sip {
    fn name(&self) -> &'static str {
        "sip"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let (_, body) = INVITE.split_once("\r\n\r\n").unwrap_or_default();
        let mut packet = vec![0x80, 0x00, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4];
        packet.extend([0xff; 160]);
        // A receiver report with one block, and a BYE.
        let mut report = vec![0x81, 201, 0, 7];
        report.extend([0; 28]);
        report.extend([0x81, 203, 0, 1, 1, 2, 3, 4]);
        let mut sound =
            b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x04\0\0\0"
                .to_vec();
        sound.extend([0, 1, 2, 3]);
        vec![INVITE.into(), RINGING.into(), body.into(), packet, report, sound]
    }

    fn mutate(&self, rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
        if rng.random_bool(0.5) {
            mutate::text(rng, input, other)
        } else {
            mutate::bytes(rng, input, other)
        }
    }

    fn run(&mut self, input: &[u8]) -> String {
        let head = Head::of(input);
        let local = SocketAddr::from(([127, 0, 0, 1], 5060));
        let tap = Tap::default();
        let seen = Seen {
            way: Way::Received,
            at: Instant::now(),
            local,
            remote: local,
            transport: Transport::Udp,
            bytes: input,
        };
        tap.note(&seen, &head);
        assert_eq!(tap.take().len(), 1, "every message is kept");
        let stack = rsipstack::sip::SipMessage::try_from(input).is_ok();
        let description = match sdp::parse(input) {
            Ok(_) => "described",
            Err(sdp::Unusable::Missing) => "missing",
            Err(sdp::Unusable::Rubbish(_)) => "rubbish",
            Err(sdp::Unusable::NoAudio) => "no audio",
            Err(sdp::Unusable::NoCodec) => "no codec",
        };
        let parts = rtcp::Compound::new(input).count();
        let packet = rtp::Packet::parse(input).map(|packet| packet.payload.len() > 4);
        let event = dtmf::TelephoneEvent::parse(input).is_some_and(|event| event.end);
        let sound = wav::read(input).is_ok();
        let kind = (
            head.request().is_some(),
            head.status().map(|code| code / 100),
            stack,
        );
        format!(
            "{kind:?} {description} {packet:?} {} {event} {sound:?}",
            parts.min(3)
        )
    }
}
