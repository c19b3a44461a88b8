//! What broke a target once does not break it again, and a short session finds nothing new.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use reeve_fuzz::corpus;
use reeve_fuzz::engine::{Until, fuzz, run_one};
use reeve_fuzz::target::{NAMES, named};

#[test]
fn the_corpus_breaks_nothing() {
    for name in NAMES {
        let mut target = named(name).unwrap();
        for (file, bytes) in corpus::load(name).unwrap() {
            let answer = run_one(&mut *target, &bytes);
            assert!(answer.is_ok(), "{name}/{file}: {answer:?}");
        }
    }
}

#[test]
fn a_short_session_finds_nothing() {
    for name in NAMES {
        let mut target = named(name).unwrap();
        let mut seeds = target.seeds();
        seeds.extend(corpus::load(name).unwrap().into_iter().map(|(_, bytes)| bytes));
        let outcome = fuzz(&mut *target, seeds, 7, Until::Inputs(1_000));
        assert!(outcome.findings.is_empty(), "{name}: {:?}", outcome.findings);
        assert!(
            outcome.signatures.len() > 3,
            "{name} answers in several ways: {:?}",
            outcome.signatures
        );
    }
}
