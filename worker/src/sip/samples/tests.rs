//! What is published, and what is not.
#![allow(clippy::unwrap_used)]

use std::time::SystemTime;

use reeve_proto::v1::EndpointOutcome as Outcome;
use reeve_sip::ending::Ending;

use super::*;

fn interval(valid: bool) -> Interval {
    Interval {
        seq: 0,
        at: SystemTime::UNIX_EPOCH,
        since_begin: Duration::from_secs(1),
        duration: Duration::from_secs(1),
        tx_due: 50,
        tx_sent: 50,
        tx_skipped: 0,
        tx_refused: 0,
        tx_late_max_us: 700,
        tx_bytes: 8_600,
        rx: 48,
        rx_bytes: 8_256,
        expected: 50,
        lost: 2,
        dup: 0,
        ooo: 0,
        discarded: 0,
        foreign: 0,
        jitter_us: Some(1_250),
        rtt_us: Some(40_200),
        remote_jitter_us: None,
        remote_lost: None,
        peer_sent: None,
        r: Some(91.5),
        mos: Some(4.3817),
        valid,
        expecting: true,
    }
}

fn value(samples: &Samples, metric: &str) -> Option<Milli> {
    let at = samples.metrics.iter().position(|name| *name == metric)?;
    Some(samples.values[at])
}

#[test]
fn a_second_has_its_figures_in_thousandths() {
    let samples = of_interval(MonoMs(5), 3, &interval(true));
    assert_eq!(samples.offsets, [3]);
    let of = |metric| value(&samples, metric);
    assert_eq!(
        (of("mos"), of("jitter_ms"), of("rtt_ms")),
        (Some(4_382), Some(1_250), Some(40_200))
    );
    assert_eq!(
        (of("fraction_lost"), of("packets_lost"), of("packets_received")),
        (Some(40), Some(2_000), Some(48_000))
    );
    assert_eq!(of("generator_late"), Some(0));
}

/// Not one quality figure of a second that the generator spoiled itself.
#[test]
fn a_second_of_a_late_generator_has_no_quality() {
    let samples = of_interval(MonoMs(5), 0, &interval(false));
    for metric in [
        "mos",
        "r_factor",
        "jitter_ms",
        "rtt_ms",
        "fraction_lost",
        "packets_lost",
    ] {
        assert_eq!(value(&samples, metric), None, "{metric}");
    }
    assert_eq!(value(&samples, "generator_late"), Some(1_000));
    assert_eq!(value(&samples, "packets_sent"), Some(50_000));
}

fn call(code: Option<u16>, rang: bool, answered: bool) -> Closed {
    Closed {
        ending: Ending::new(Outcome::Success, ""),
        figures: Figures {
            seized: true,
            pdd: rang.then_some(Duration::from_millis(120)),
            setup: answered.then_some(Duration::from_millis(900)),
            code,
            ..Figures::default()
        },
        responses: Vec::new(),
        media: None,
        dropped: 0,
    }
}

/// Covers: R155, R156.
#[test]
fn ratios_follow_the_table() {
    let cases = [
        // code, rang, answered: asr, ner, seer
        (Some(200), true, true, 100, 100, Some(100)),
        (Some(486), false, false, 0, 100, Some(100)),
        (Some(603), false, false, 0, 100, Some(100)),
        (Some(607), false, false, 0, 100, Some(0)),
        (Some(487), true, false, 0, 100, Some(0)),
        (Some(487), false, false, 0, 0, Some(0)),
        (Some(404), false, false, 0, 0, Some(0)),
        (Some(302), false, false, 0, 0, None),
        (None, false, false, 0, 0, Some(0)),
    ];
    for (code, rang, answered, asr, ner, seer) in cases {
        let samples = of_call(MonoMs(1), 0, &call(code, rang, answered), true);
        let of = |metric| value(&samples, metric).map(|milli| milli / 1_000);
        assert_eq!(
            (of("asr"), of("ner"), of("seer")),
            (Some(asr), Some(ner), seer),
            "{code:?} {rang}"
        );
    }
}

/// Covers: R158.
#[test]
fn responses_are_told_even_if_nothing_was_measured() {
    let responses = vec!["INVITE none came".parse().unwrap()];
    let closed = Closed {
        responses: responses.clone(),
        ..call(None, false, false)
    };
    let receiver = of_call(MonoMs(1), 7, &closed, false);
    assert_eq!((receiver.len(), receiver.metrics.len()), (1, 0));
    assert_eq!(
        (receiver.offsets, receiver.responses),
        (vec![7], responses.clone())
    );
    let caller = of_call(MonoMs(1), 7, &closed, true);
    assert_eq!((value(&caller, "asr"), caller.responses), (Some(0), responses));
}

/// Covers: R159, R160, R161.
#[test]
fn a_receiver_has_no_times_of_a_caller_and_seizes_nothing() {
    let samples = of_call(MonoMs(1), 0, &call(Some(200), true, true), false);
    assert!(samples.is_empty(), "{samples:?}");
    let samples = of_call(MonoMs(1), 0, &call(Some(200), true, true), true);
    assert_eq!(
        (value(&samples, "pdd_ms"), value(&samples, "call_setup_time_ms")),
        (Some(120_000), Some(900_000))
    );
    let mut unregistered = call(None, false, false);
    unregistered.figures.seized = false;
    assert_eq!(
        value(&of_call(MonoMs(1), 0, &unregistered, true), "asr"),
        None,
        "no seizure"
    );
}
