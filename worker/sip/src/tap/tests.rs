//! Times and codes are those of the wire.
#![allow(clippy::unwrap_used)]

use super::*;

/// Plays messages a second apart: those that begin with `<` came to us.
fn played(messages: &[&str]) -> (Tap, Instant) {
    let tap = Tap::default();
    let begin = Instant::now();
    for (second, text) in (0..).zip(messages) {
        let (way, text) = match text.strip_prefix('<') {
            Some(text) => (Way::Received, text),
            None => (Way::Sent, *text),
        };
        let whole = format!("{text}\r\nCall-ID: q\r\n\r\n").replace('|', "\r\n");
        let seen = Seen {
            way,
            at: begin + Duration::from_secs(second),
            local: "10.0.0.1:5060".parse().unwrap(),
            remote: "10.0.0.2:5060".parse().unwrap(),
            transport: Transport::Udp,
            bytes: whole.as_bytes(),
        };
        tap.note(&seen, &Head::of(whole.as_bytes()));
    }
    (tap, begin)
}

const INVITE: &str = "INVITE sip:b@x SIP/2.0|Via: SIP/2.0/UDP h;branch=z1|CSeq: 1 INVITE|To: <sip:b@x>";
const AGAIN: &str = "INVITE sip:b@x SIP/2.0|Via: SIP/2.0/UDP h;branch=z2|CSeq: 2 INVITE|To: <sip:b@x>";

#[test]
fn a_call_with_a_challenge_has_all_its_times() {
    let (tap, begin) = played(&[
        INVITE,
        "<SIP/2.0 407 No|Via: SIP/2.0/UDP h;branch=z1|CSeq: 1 INVITE|To: <sip:b@x>;tag=p",
        "ACK sip:b@x SIP/2.0|Via: SIP/2.0/UDP h;branch=z1|CSeq: 1 ACK|To: <sip:b@x>;tag=p",
        AGAIN,
        "<SIP/2.0 100 Trying|CSeq: 2 INVITE|Via: SIP/2.0/UDP h;branch=z2|To: <sip:b@x>",
        "<SIP/2.0 180 Ringing|CSeq: 2 INVITE|Via: SIP/2.0/UDP h;branch=z2|To: <sip:b@x>;tag=1",
        "<SIP/2.0 200 OK|CSeq: 2 INVITE|Via: SIP/2.0/UDP h;branch=z2|To: <sip:b@x>;tag=1",
        "ACK sip:b@x SIP/2.0|CSeq: 2 ACK|Via: SIP/2.0/UDP h;branch=z3|To: <sip:b@x>;tag=1",
        "BYE sip:b@x SIP/2.0|CSeq: 3 BYE|Via: SIP/2.0/UDP h;branch=z4|To: <sip:b@x>;tag=1",
        "<SIP/2.0 200 OK|CSeq: 3 BYE|Via: SIP/2.0/UDP h;branch=z4|To: <sip:b@x>;tag=1",
    ]);
    let second = |at: Option<Instant>| at.map(|at| (at - begin).as_secs());
    let times = tap.times();
    assert_eq!(second(times.invite), Some(0));
    assert_eq!(second(times.invite_again), Some(3));
    assert_eq!(second(times.trying), Some(4));
    assert_eq!(second(times.ringing), Some(5));
    assert_eq!(second(times.answered), Some(6));
    assert_eq!(second(times.ack), Some(7));
    assert_eq!(second(times.bye_sent), Some(8));
    let codes = Codes {
        register: None,
        invite: Some(200),
        bye: Some(200),
    };
    assert_eq!(tap.codes(), codes);
    assert_eq!(tap.repeated(), 0);
}

/// Covers: R154.
#[test]
fn what_is_sent_twice_is_kept_twice_and_happened_once() {
    let (tap, begin) = played(&[
        INVITE,
        INVITE,
        "<SIP/2.0 503 No|CSeq: 1 INVITE|Via: SIP/2.0/UDP h;branch=z1",
        INVITE,
    ]);
    assert_eq!(tap.repeated(), 2);
    assert_eq!(tap.times().invite, Some(begin));
    assert_eq!(tap.codes().invite, Some(503));
    let repeats: Vec<_> = tap.take().iter().map(|message| message.repeats).collect();
    assert_eq!(repeats, [None, Some(0), None, Some(0)]);
    assert!(tap.take().is_empty(), "given once");
}

#[test]
fn a_re_invite_is_no_second_call() {
    let (tap, begin) = played(&[
        "<INVITE sip:b@x SIP/2.0|Via: SIP/2.0/UDP h;branch=z1|CSeq: 1 INVITE|To: <sip:b@x>",
        "SIP/2.0 200 OK|CSeq: 1 INVITE|Via: SIP/2.0/UDP h;branch=z1|To: <sip:b@x>;tag=1",
        "<INVITE sip:b@x SIP/2.0|Via: SIP/2.0/UDP h;branch=z2|CSeq: 2 INVITE|To: <sip:b@x>;tag=1",
        "SIP/2.0 488 No|CSeq: 2 INVITE|Via: SIP/2.0/UDP h;branch=z2|To: <sip:b@x>;tag=1",
    ]);
    assert_eq!(tap.times().invite, Some(begin));
    assert_eq!(tap.times().invite_again, None);
    assert_eq!(tap.codes().invite, Some(200));
}

#[test]
fn long_messages_are_cut_and_many_are_counted() {
    let tap = Tap::default();
    let long = vec![b'x'; MOST_BYTES + 1];
    let seen = Seen {
        way: Way::Received,
        at: Instant::now(),
        local: "10.0.0.1:5060".parse().unwrap(),
        remote: "10.0.0.2:5060".parse().unwrap(),
        transport: Transport::Udp,
        bytes: &long,
    };
    for _ in 0..=MOST_MESSAGES {
        tap.note(&seen, &Head::of(&long));
    }
    let messages = tap.take();
    assert_eq!(messages.len(), MOST_MESSAGES as usize);
    assert_eq!(tap.dropped(), 1);
    assert!(messages[0].truncated && messages[0].bytes.len() == MOST_BYTES);
}

#[test]
fn what_could_not_be_sent_is_known_until_it_is_sent() {
    let (tap, _) = played(&[INVITE]);
    let why = Unsent {
        fault: Fault::Theirs,
        why: "refused".to_owned(),
    };
    let unsent = |text: &str| {
        let whole = format!("{text}\r\n\r\n").replace('|', "\r\n");
        tap.unsent(&Head::of(whole.as_bytes()), &why);
    };
    let sent = |text: &str| {
        let whole = format!("{text}\r\n\r\n").replace('|', "\r\n");
        let seen = Seen {
            way: Way::Sent,
            at: Instant::now(),
            local: "10.0.0.1:5060".parse().unwrap(),
            remote: "10.0.0.2:5060".parse().unwrap(),
            transport: Transport::Udp,
            bytes: whole.as_bytes(),
        };
        tap.note(&seen, &Head::of(whole.as_bytes()));
    };
    unsent(AGAIN);
    unsent("SIP/2.0 200 OK|CSeq: 1 BYE");
    sent("REGISTER sip:x SIP/2.0|CSeq: 1 REGISTER");
    sent("ACK sip:b@x SIP/2.0|CSeq: 1 ACK");
    assert_eq!(tap.why_unsent("INVITE"), Some(why.clone()));
    assert_eq!(tap.why_unsent("REGISTER"), None, "another's does not count");
    assert_eq!(tap.why_unsent("BYE"), None, "a response was not sent");
    sent(AGAIN);
    assert_eq!(tap.why_unsent("INVITE"), None);
}
