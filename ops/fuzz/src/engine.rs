//! The loop: pick a seed, change it, run it, and keep what answers in a new way. What makes a target panic is made small and kept.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::target::Target;

/// Seeds that are kept beside those of the corpus, so that memory stays bounded.
const MOST_SEEDS: usize = 20_000;
/// Larger inputs are cut: what is wrong with them is wrong with smaller ones.
const MOST_BYTES: usize = 64 << 10;
/// An input that takes longer is a finding.
const SLOW: Duration = Duration::from_secs(5);
/// Attempts at making a finding smaller.
const SHRINKS: usize = 2_000;

/// What one session of fuzzing found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Inputs that were run.
    pub inputs: u64,
    /// Ways in which the target answered.
    pub signatures: BTreeSet<String>,
    /// Inputs that made it panic or took too long, made small, with what it said.
    pub findings: Vec<Finding>,
    /// Inputs that answered in a way that no seed did.
    pub new_seeds: Vec<Vec<u8>>,
}

/// An input that breaks the target.
#[derive(Debug)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// What the target said.
    pub message: String,
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After this time.
    Time(Duration),
    /// After so many inputs: the same every time.
    Inputs(u64),
}

/// Runs one input; how the target answered, or what it said when it broke.
pub fn run_one(target: &mut dyn Target, input: &[u8]) -> Result<String, String> {
    let began = Instant::now();
    let answer = catch_unwind(AssertUnwindSafe(|| target.run(input)));
    let took = began.elapsed();
    match answer {
        Ok(_) if took > SLOW => Err(format!("took {took:?}")),
        Ok(signature) => Ok(signature),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(text.unwrap_or_else(|| "a panic without words".to_owned()))
        }
    }
}

/// Fuzzes a target from these seeds.
pub fn fuzz(target: &mut dyn Target, mut seeds: Vec<Vec<u8>>, seed: u64, until: Until) -> Outcome {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut outcome = Outcome::default();
    let began = Instant::now();
    let mut messages = BTreeSet::new();
    if seeds.is_empty() {
        seeds.push(Vec::new());
    }
    let mut first = seeds.clone().into_iter();
    loop {
        let over = match until {
            Until::Time(limit) => began.elapsed() >= limit,
            Until::Inputs(most) => outcome.inputs >= most,
        };
        // The seeds themselves are always run.
        let (input, own) = match first.next() {
            Some(seed) => (seed, true),
            None if over => break,
            None => (next_input(target, &seeds, &mut rng), false),
        };
        outcome.inputs += 1;
        match run_one(target, &input) {
            Ok(signature) => {
                if outcome.signatures.insert(signature) && !own && seeds.len() < MOST_SEEDS {
                    outcome.new_seeds.push(input.clone());
                    seeds.push(input);
                }
            }
            Err(message) => {
                // The same words again are the same finding, most likely.
                if messages.insert(digits_out(&message)) {
                    let input = shrink(target, input, &message);
                    outcome.findings.push(Finding { input, message });
                }
            }
        }
    }
    outcome
}

fn next_input(target: &dyn Target, seeds: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    // New seeds are at the end: half of the time one of the last is taken.
    let pick = |rng: &mut StdRng| {
        let from = match rng.random_bool(0.5) {
            true => seeds.len().saturating_sub(64),
            false => 0,
        };
        rng.random_range(from..seeds.len())
    };
    let (one, other) = (pick(rng), pick(rng));
    let mut input = seeds[one].clone();
    for _ in 0..rng.random_range(1..=4) {
        input = target.mutate(rng, &input, &seeds[other]);
    }
    input.truncate(MOST_BYTES);
    input
}

/// A shorter input that breaks the target in the same way.
fn shrink(target: &mut dyn Target, mut input: Vec<u8>, message: &str) -> Vec<u8> {
    let mut part = input.len() / 2;
    let mut attempts = 0;
    while part > 0 && attempts < SHRINKS {
        let mut at = 0;
        while at + part <= input.len() && attempts < SHRINKS {
            attempts += 1;
            let mut shorter = input.clone();
            shorter.drain(at..at + part);
            let same = |said: &String| digits_out(said) == digits_out(message);
            match run_one(target, &shorter) {
                Err(said) if same(&said) => input = shorter,
                _ => at += part,
            }
        }
        part /= 2;
    }
    input
}

/// The text without its numbers, which differ from case to case.
pub fn digits_out(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars().take(400) {
        match char.is_ascii_digit() {
            true if out.ends_with('#') => {}
            true => out.push('#'),
            false => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fragile;

    impl Target for Fragile {
        fn name(&self) -> &'static str {
            "fragile"
        }

        fn mutate(&self, rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
            crate::mutate::bytes(rng, input, other)
        }

        fn run(&mut self, input: &[u8]) -> String {
            assert!(!input.contains(&0xfe), "byte {} is not liked", 0xfe);
            format!("{}", input.len().min(3))
        }
    }

    #[test]
    fn what_breaks_a_target_is_found_and_made_small() {
        let outcome = fuzz(&mut Fragile, vec![b"hello".to_vec()], 1, Until::Inputs(5_000));
        let inputs: Vec<_> = outcome
            .findings
            .iter()
            .map(|finding| finding.input.as_slice())
            .collect();
        assert_eq!(inputs, [[0xfe]]);
        assert!(outcome.signatures.len() >= 3 && outcome.inputs >= 5_000);
    }
}
