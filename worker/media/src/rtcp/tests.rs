use proptest::prelude::*;

use super::*;

const INFO: SenderInfo = SenderInfo {
    ntp: Ntp(0x0102_0304_0506_0708),
    timestamp: 0x1112_1314,
    packets: 50,
    octets: 8_000,
};
const OF_PEER: Block = Block {
    ssrc: 9,
    fraction_lost: 13,
    lost: -2,
    highest: 0x0001_0002,
    jitter: 80,
    last_report: 0x0304_0506,
    delay: 65_536,
};
const CNAME: &str = "reeve-0123456789abcdef";

fn written(report: &Report) -> Vec<u8> {
    let mut into = [0xaa; LARGEST];
    let len = report.write(&mut into);
    into[..len].to_vec()
}

fn report(sender: Option<SenderInfo>, block: Option<Block>, bye: bool) -> Report<'static> {
    Report {
        ssrc: 7,
        sender,
        block,
        cname: CNAME,
        bye,
    }
}

#[test]
fn a_sender_report_with_a_bye_is_read_as_it_was_written() {
    let bytes = written(&report(Some(INFO), Some(OF_PEER), true));
    let mut messages = Compound::new(&bytes);
    let Some(Message::Sender { ssrc, info, blocks }) = messages.next() else {
        panic!("no sender report")
    };
    assert_eq!((ssrc, info), (7, INFO));
    assert_eq!(blocks.collect::<Vec<_>>(), [OF_PEER]);
    let Some(Message::Bye(mut sources)) = messages.next() else {
        panic!("no BYE after the description")
    };
    assert_eq!((sources.next(), sources.next()), (Some(7), None));
    assert_eq!(messages.next(), None);
}

#[test]
fn the_bytes_of_a_receiver_report_are_those_of_the_rfc() {
    let mut wanted = vec![0x81, 201, 0, 7, 0, 0, 0, 7];
    wanted.extend([0, 0, 0, 9, 13, 0xff, 0xff, 0xfe, 0, 1, 0, 2, 0, 0, 0, 80]);
    wanted.extend([3, 4, 5, 6, 0, 1, 0, 0]);
    // 22 bytes of name and the zero that ends the list fill whole words with their two bytes of head and one of padding.
    wanted.extend([0x81, 202, 0, 8, 0, 0, 0, 7, 1, 22]);
    wanted.extend(CNAME.as_bytes());
    wanted.extend([0, 0, 0, 0]);
    assert_eq!(written(&report(None, Some(OF_PEER), false)), wanted);
}

#[test]
fn the_list_of_names_always_ends_with_a_zero() {
    for len in 0..40 {
        let cname = "x".repeat(len);
        let report = Report {
            cname: &cname,
            ..report(None, None, false)
        };
        let bytes = written(&report);
        assert_eq!(bytes.len() % 4, 0, "{len}");
        assert_eq!(bytes.last(), Some(&0), "{len}");
        assert_eq!(bytes[..8], [0x80, 201, 0, 1, 0, 0, 0, 7]);
        assert_eq!(usize::from(bytes[17]), len.min(32));
    }
}

#[test]
fn the_largest_report_has_room() {
    let cname = "y".repeat(100);
    let report = Report {
        cname: &cname,
        ..report(Some(INFO), Some(OF_PEER), true)
    };
    let bytes = written(&report);
    assert!(bytes.len() < LARGEST, "{}", bytes.len());
    assert_eq!(Compound::new(&bytes).count(), 2);
}

#[test]
fn lost_packets_are_a_number_of_24_bits_with_a_sign() {
    for (lost, back) in [(5, 5), (-1, -1), (9_000_000, 0x7f_ffff), (-9_000_000, -0x80_0000)] {
        let block = Block { lost, ..OF_PEER };
        assert_eq!(Block::parse(&block.bytes()).lost, back);
    }
}

#[test]
fn a_packet_that_says_more_than_it_has_ends_the_reading() {
    let bytes = written(&report(Some(INFO), Some(OF_PEER), true));
    let mut no_room = bytes.clone();
    no_room[0] = 0x82;
    assert!(matches!(Compound::new(&no_room).next(), Some(Message::Bye(_))));
    let mut longer = bytes.clone();
    longer[2] = 0xff;
    assert_eq!(Compound::new(&longer).count(), 0);
    let mut version = bytes;
    version[0] = 0x41;
    assert_eq!(Compound::new(&version).count(), 0);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_go_on_for_ever(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 198..206_u8, words in 0..40_u8,
    ) {
        let read = |bytes: &[u8]| {
            let mut count = 0;
            for message in Compound::new(bytes) {
                count += match message {
                    Message::Sender { blocks, .. } | Message::Receiver { blocks, .. } => blocks.count(),
                    Message::Bye(sources) => sources.count(),
                };
            }
            count
        };
        prop_assert!(read(&bytes) <= bytes.len());
        if bytes.len() >= 4 {
            bytes[0] = 0x80 | bytes[0] & 0x1f;
            bytes[1] = kind;
            bytes[2] = 0;
            bytes[3] = words;
            prop_assert!(read(&bytes) <= bytes.len());
        }
    }

    #[test]
    fn any_block_is_read_as_it_was_written(
        ssrc: u32, fraction_lost: u8, lost in -0x80_0000..0x80_0000_i32, highest: u32, jitter: u32, last_report: u32, delay: u32,
    ) {
        let block = Block { ssrc, fraction_lost, lost, highest, jitter, last_report, delay };
        prop_assert_eq!(Block::parse(&block.bytes()), block);
    }
}
