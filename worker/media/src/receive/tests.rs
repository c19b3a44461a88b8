use proptest::prelude::*;

use super::*;
use crate::rtp::Header;

const PEER: &str = "192.0.2.7:4000";
const ELSEWHERE: &str = "198.51.100.9:4002";

fn receiver() -> Receiver {
    Receiver::new(PEER.parse().unwrap(), 0, Some(101), Duration::from_millis(60))
}

fn datagram(ssrc: u32, payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        payload_type,
        marker: false,
        sequence,
        timestamp,
        ssrc,
    };
    [&header.bytes()[..], payload].concat()
}

/// Packets of sound, one each 20 ms.
fn sound(receiver: &mut Receiver, from: &str, ssrc: u32, numbers: impl IntoIterator<Item = u16>) {
    for number in numbers {
        let bytes = datagram(ssrc, 0, number, u32::from(number) * 160, &[0xff; 160]);
        receiver.receive(
            from.parse().unwrap(),
            &bytes,
            Mono(u64::from(number) * 20_000_000),
        );
    }
}

#[test]
fn the_first_valid_packet_latches_its_source_and_others_are_foreign() {
    let mut receiver = receiver();
    receiver.receive(ELSEWHERE.parse().unwrap(), b"nonsense", Mono(0));
    receiver.receive(ELSEWHERE.parse().unwrap(), &datagram(1, 34, 1, 160, &[]), Mono(0));
    sound(&mut receiver, ELSEWHERE, 5, 10..20);
    sound(&mut receiver, "203.0.113.1:9", 6, 10..13);
    receiver.flush();
    let received = receiver.received();
    assert_eq!((received.counts.rx, received.counts.lost), (10, 0));
    assert_eq!(received.foreign, 5);
    assert_eq!(received.bytes, 10 * 172);
    assert_eq!(receiver.ssrc(), Some(5));
}

#[test]
fn where_the_peer_said_it_is_it_is_believed_whoever_was_heard_before() {
    let mut receiver = receiver();
    sound(&mut receiver, ELSEWHERE, 5, 10..13);
    sound(&mut receiver, PEER, 6, 100..110);
    sound(&mut receiver, ELSEWHERE, 5, 13..15);
    assert_eq!(receiver.received().counts.rx, 13);
    assert_eq!(receiver.received().foreign, 2);
    assert_eq!(receiver.ssrc(), Some(6));
}

#[test]
fn a_new_target_is_latched_anew_and_the_same_one_is_not() {
    let mut receiver = receiver();
    sound(&mut receiver, ELSEWHERE, 5, 10..13);
    receiver.retarget(PEER.parse().unwrap());
    sound(&mut receiver, "203.0.113.1:9", 5, 13..15);
    assert_eq!(receiver.received().foreign, 2);
    receiver.retarget("203.0.113.1:7".parse().unwrap());
    sound(&mut receiver, "203.0.113.1:9", 5, 13..15);
    assert_eq!(receiver.received().counts.rx, 5);
}

#[test]
fn an_ipv4_address_in_its_ipv6_form_is_the_same() {
    let mut receiver = receiver();
    sound(&mut receiver, ELSEWHERE, 5, 10..12);
    sound(&mut receiver, "[::ffff:192.0.2.7]:4000", 5, 12..14);
    assert_eq!(receiver.received().counts.rx, 4);
}

#[test]
fn a_single_packet_of_another_source_changes_nothing_and_two_end_the_first() {
    let mut receiver = receiver();
    sound(&mut receiver, PEER, 5, 10..15);
    sound(&mut receiver, PEER, 6, [900]);
    sound(&mut receiver, PEER, 5, [15]);
    assert_eq!(receiver.ssrc(), Some(5));
    sound(&mut receiver, PEER, 6, [800]);
    sound(&mut receiver, PEER, 6, [900]);
    assert_eq!(receiver.ssrc(), Some(5), "they do not follow each other");
    sound(&mut receiver, PEER, 6, 901..905);
    receiver.flush();
    assert_eq!(receiver.ssrc(), Some(6));
    let received = receiver.received();
    assert_eq!(
        (received.counts.rx, received.counts.expected, received.counts.lost),
        (11, 11, 0)
    );
    assert_eq!(received.bytes, 11 * 172);
}

#[test]
fn a_new_numbering_of_the_same_source_is_not_loss() {
    let mut receiver = receiver();
    sound(&mut receiver, PEER, 5, 10..20);
    sound(&mut receiver, PEER, 5, 30_000..30_010);
    receiver.flush();
    let received = receiver.received();
    assert_eq!((received.counts.rx, received.counts.lost), (20, 0));
    assert_eq!(received.bytes, 20 * 172);
    assert_eq!(received.foreign, 0);
}

#[test]
fn a_digit_is_counted_once_and_is_no_jitter() {
    let mut receiver = receiver();
    let from = PEER.parse().unwrap();
    sound(&mut receiver, PEER, 5, 0..3);
    for number in 3..13_u16 {
        let event = TelephoneEvent {
            event: 4,
            end: number > 9,
            volume: 10,
            duration: (number - 2) * 160,
        };
        let bytes = datagram(5, 101, number, 480, &event.bytes());
        receiver.receive(from, &bytes, Mono(u64::from(number) * 20_000_000));
    }
    sound(&mut receiver, PEER, 5, 13..20);
    let received = receiver.received();
    assert_eq!((received.digits, received.counts.rx), (1, 20));
    assert_eq!(receiver.jitter().unwrap().estimate(), Duration::ZERO);
    assert_eq!(received.discarded, 0);
}

proptest! {
    #[test]
    fn no_datagrams_make_it_panic_and_each_is_counted_at_most_once(
        datagrams in proptest::collection::vec(
            (any::<bool>(), 0..3_u32, prop_oneof![Just(0_u8), Just(101), any::<u8>()], any::<u16>(), any::<u32>(), any::<u64>(),
             proptest::collection::vec(any::<u8>(), 0..8)),
            0..100,
        ),
    ) {
        let mut receiver = receiver();
        let count = datagrams.len() as u64;
        for (elsewhere, ssrc, payload_type, number, timestamp, at, payload) in datagrams {
            let from = if elsewhere { ELSEWHERE } else { PEER };
            let bytes = datagram(ssrc, payload_type, number, timestamp, &payload);
            receiver.receive(from.parse().unwrap(), &bytes, Mono(at));
        }
        receiver.flush();
        let received = receiver.received();
        prop_assert!(received.counts.rx + received.counts.dup + received.foreign <= count);
        prop_assert!(received.counts.lost >= 0);
        prop_assert!(received.discarded <= received.counts.rx);
    }
}
