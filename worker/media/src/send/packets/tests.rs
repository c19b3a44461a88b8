use super::*;
use crate::rtp::Packet;

const START: Start = Start {
    ssrc: 9,
    sequence: 65_534,
    timestamp: u32::MAX - 159,
};

fn packets(sound: Vec<u8>) -> Packets {
    Packets::new(START, 8, Some(101), sound.into())
}

/// Sends one: payload type, marker, number, timestamp, payload.
fn send(packets: &mut Packets) -> (u8, bool, u16, u32, Vec<u8>) {
    let mut into = [0; LARGEST];
    let len = packets.write(&mut into);
    packets.sent(len);
    let packet = Packet::parse(&into[..len]).unwrap();
    assert_eq!(packet.ssrc, 9);
    (
        packet.payload_type,
        packet.marker,
        packet.sequence,
        packet.timestamp,
        packet.payload.to_vec(),
    )
}

#[test]
fn numbers_and_timestamps_go_on_by_1_and_160_and_only_the_first_is_marked() {
    let mut packets = packets(vec![7; 160]);
    let found: Vec<_> = (0..4)
        .map(|_| send(&mut packets))
        .map(|p| (p.0, p.1, p.2, p.3))
        .collect();
    assert_eq!(
        found,
        [
            (8, true, 65_534, u32::MAX - 159),
            (8, false, 65_535, 0),
            (8, false, 0, 160),
            (8, false, 1, 320)
        ]
    );
    let wanted = Sent {
        packets: 4,
        octets: 640,
        bytes: 688,
    };
    assert_eq!(packets.counts(), wanted);
}

#[test]
fn sound_is_played_round_and_round_whatever_its_length() {
    for len in [1, 3, 159, 160, 161, 200, 500] {
        let sound: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        let mut packets = packets(sound.clone());
        let played: Vec<u8> = (0..10).flat_map(|_| send(&mut packets).4).collect();
        let wanted: Vec<u8> = sound.iter().copied().cycle().take(1_600).collect();
        assert_eq!(played, wanted, "{len}");
    }
}

#[test]
fn a_slot_that_passes_moves_time_and_sound_but_not_the_numbers() {
    let mut packets = packets((0..=249).collect());
    send(&mut packets);
    packets.pass();
    let (_, marker, sequence, timestamp, payload) = send(&mut packets);
    assert_eq!((marker, sequence, timestamp), (true, 65_535, 160));
    assert_eq!(payload[0], (320 % 250) as u8);
    let mut into = [0; LARGEST];
    packets.write(&mut into);
    packets.refused();
    let (_, marker, sequence, timestamp, _) = send(&mut packets);
    assert_eq!((marker, sequence, timestamp), (true, 0, 480));
    assert_eq!(packets.counts().packets, 3);
}

#[test]
fn a_digit_takes_ten_packets_with_one_timestamp_and_the_end_is_sent_three_times() {
    let mut packets = packets(vec![7; 160]);
    send(&mut packets);
    packets.dial(Digit::try_from('#').unwrap());
    packets.dial(Digit::try_from('1').unwrap());
    let events: Vec<_> = (0..10).map(|_| send(&mut packets)).collect();
    for (n, (payload_type, marker, _, timestamp, payload)) in (1_u16..).zip(&events) {
        let event = TelephoneEvent::parse(payload).unwrap();
        assert_eq!((*payload_type, *marker, *timestamp), (101, n == 1, 0));
        assert_eq!(
            (event.event, event.duration, event.end),
            (11, (n * 160).min(1_280), n >= 8)
        );
    }
    let after: Vec<_> = (0..4)
        .map(|_| send(&mut packets))
        .map(|p| (p.0, p.1, p.3))
        .collect();
    assert_eq!(
        after,
        [
            (8, true, 1_600),
            (8, false, 1_760),
            (8, false, 1_920),
            (101, true, 2_080)
        ]
    );
    assert_eq!(packets.digits(), Digits { sent: 1, refused: 0 });
    packets.finish();
    assert_eq!(packets.digits(), Digits { sent: 1, refused: 1 });
}

#[test]
fn digits_without_a_payload_type_or_beyond_the_queue_are_refused() {
    let digit = Digit::try_from('5').unwrap();
    let mut none = Packets::new(START, 0, None, vec![0; 160].into());
    none.dial(digit);
    assert_eq!(none.digits().refused, 1);
    assert_eq!(send(&mut none).0, 0);
    let mut full = packets(vec![0; 160]);
    for _ in 0..70 {
        full.dial(digit);
    }
    assert_eq!(full.digits().refused, 6);
}
