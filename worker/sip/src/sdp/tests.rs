//! Descriptions of real peers, of rubbish, and of ourselves.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn audio(lines: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n{lines}")
}

#[test]
fn an_offer_of_ours_reads_back_as_what_it_says() {
    for rtp in ["10.0.0.1:4000", "[::1]:4000"] {
        let rtp: SocketAddr = rtp.parse().unwrap();
        let (codecs, events) = offered(&[Codec::Pcma, Codec::Pcmu]);
        let local = Local {
            rtp,
            session: 5,
            version: 6,
            direction: Direction::SendOnly,
            codecs: &codecs,
            events,
        };
        let read = parse(&local.write()).unwrap();
        assert_eq!(read.rtp, rtp);
        assert_eq!(read.rtcp, SocketAddr::new(rtp.ip(), 4001));
        assert_eq!(read.codecs, [(8, Codec::Pcma), (0, Codec::Pcmu)]);
        assert_eq!((read.events, read.direction), (Some(101), Direction::SendOnly));
    }
}

#[test]
fn the_answer_follows_the_order_of_the_offer() {
    let theirs =
        parse(audio("m=audio 4000 RTP/AVP 18 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\n").as_bytes())
            .unwrap();
    let agreed = agree(&theirs, &[Codec::Pcmu, Codec::Pcma]).unwrap();
    assert_eq!(
        (agreed.codec, agreed.payload_type, agreed.events),
        (Codec::Pcma, 8, Some(96))
    );
    assert_eq!(agree(&theirs, &[Codec::Pcmu]).unwrap().codec, Codec::Pcmu);
}

#[test]
fn a_map_counts_before_the_static_meaning_and_media_before_the_session() {
    let text = audio(
        "a=inactive\r\nm=video 1 RTP/AVP 96\r\nc=IN IP4 9.9.9.9\r\na=sendonly\r\nm=audio 4000 RTP/AVP 97\r\n\
         c=IN IP4 10.0.0.7/127\r\na=rtpmap:97 pcmu/8000/1\r\na=rtcp:5000 IN IP4 10.0.0.8\r\na=recvonly\r\n",
    );
    let read = parse(text.as_bytes()).unwrap();
    assert_eq!(read.rtp, "10.0.0.7:4000".parse().unwrap());
    assert_eq!(read.rtcp, "10.0.0.8:5000".parse().unwrap());
    assert_eq!(read.codecs, [(97, Codec::Pcmu)]);
    assert_eq!(read.direction, Direction::RecvOnly);
}

/// Covers: R164.
#[test]
fn what_is_of_no_use_says_why() {
    let cases = [
        (String::new(), Unusable::Missing),
        ("\r\n".to_owned(), Unusable::Missing),
        ("hello".to_owned(), Unusable::Rubbish("a line has no =")),
        (
            "m=audio 4000 RTP/AVP 0\r\n".to_owned(),
            Unusable::Rubbish("it does not begin with v="),
        ),
        (audio("m=audio 0 RTP/AVP 0\r\n"), Unusable::NoAudio),
        (audio("m=video 4000 RTP/AVP 96\r\n"), Unusable::NoAudio),
        (audio("m=audio 4000 RTP/SAVP 0\r\n"), Unusable::NoAudio),
        (audio("m=audio 4000 RTP/AVP 18\r\n"), Unusable::NoCodec),
        (
            audio("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 speex/8000\r\n"),
            Unusable::NoCodec,
        ),
        (
            audio("m=audio many RTP/AVP 0\r\n"),
            Unusable::Rubbish("the port of m= is no port"),
        ),
        (
            "v=0\r\nm=audio 4000 RTP/AVP 0\r\n".to_owned(),
            Unusable::Rubbish("no c= says where to send"),
        ),
        (
            "v=0\r\nc=IN IP4 somewhere\r\nm=audio 4000 RTP/AVP 0\r\n".to_owned(),
            Unusable::Rubbish("c= names no IP address"),
        ),
    ];
    for (text, why) in cases {
        assert_eq!(parse(text.as_bytes()), Err(why), "{text}");
    }
    assert_eq!(parse(b"v=\xff"), Err(Unusable::Rubbish("it is not UTF-8")));
}

#[test]
fn hold_is_seen_from_the_other_side() {
    assert_eq!(mirror(Direction::SendOnly), Direction::RecvOnly);
    assert_eq!(mirror(Direction::RecvOnly), Direction::SendOnly);
    assert_eq!(mirror(Direction::Inactive), Direction::Inactive);
    assert_eq!(mirror(Direction::SendRecv), Direction::SendRecv);
}

proptest! {
    #[test]
    fn any_bytes_give_a_verdict(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_lines_give_a_verdict(lines in "([a-z]=[ -~]{0,30}\r\n){0,12}") {
        let _ = parse(lines.as_bytes());
    }
}
