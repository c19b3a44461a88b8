//! A short series of seeds, and proof that it would notice what it looks for. The long one is `make sim`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use reeve_sim::{Mutant, Options, cores, run, series};

const BRIEF: Options = Options {
    keep_all: false,
    mutant: Mutant::None,
    brief: true,
    most_ticks: None,
};

#[test]
fn no_seed_breaks_a_law_and_every_kind_of_event_is_met() {
    let ran = series(1..25, cores(), BRIEF);
    let broken: Vec<String> = ran
        .failed
        .iter()
        .map(|outcome| format!("seed {}: {}", outcome.seed, outcome.violation.as_ref().unwrap()))
        .collect();
    assert!(broken.is_empty(), "{broken:?}");
    let met = ran.coverage;
    for (what, count) in [
        ("leaders", met.leaders),
        ("crashes", met.crashes),
        ("restarts", met.restarts),
        ("cuts", met.cuts + met.oneway),
        ("holds", met.holds),
        ("pauses", met.pauses),
        ("OFFLINE", met.offline),
        ("completed runs", met.completed),
        ("drains", met.drains),
        ("acknowledged commands", met.acked),
    ] {
        assert!(count > 0, "nothing was met of: {what}\n{met}");
    }
}

#[test]
fn what_is_broken_on_purpose_is_caught() {
    for (mutant, within) in [
        (Mutant::ForgetEntries, 10),
        (Mutant::Lonely, 2),
        (Mutant::LocalClock, 20),
        (Mutant::OwnTime, 2),
    ] {
        let options = Options { mutant, ..BRIEF };
        let ran = series(1..1 + within, cores(), options);
        assert!(
            !ran.failed.is_empty(),
            "{mutant:?} was not caught in {within} seeds"
        );
    }
}

#[test]
fn another_seed_leaves_another_trace() {
    let options = Options {
        most_ticks: Some(400),
        ..Options::default()
    };
    assert_ne!(run(1, options).trace.hash(), run(2, options).trace.hash());
}

/// Without the flag tokio draws numbers of its own (ADR 18); `make sim` has it.
#[cfg(tokio_unstable)]
#[test]
fn a_seed_leaves_the_same_trace_twice() {
    let options = Options {
        keep_all: true,
        ..Options::default()
    };
    for seed in 1..6 {
        assert_eq!(run(seed, options).trace, run(seed, options).trace, "seed {seed}");
    }
}
