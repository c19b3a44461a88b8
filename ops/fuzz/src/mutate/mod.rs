//! How inputs are changed: as bytes, as protobuf messages, as JSON documents, and as text.

mod json;
mod proto;
mod text;

pub use json::json;
pub use proto::proto;
pub use text::text;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Numbers at which things tend to break.
pub const NUMBERS: [u64; 18] = [
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    1_000,
    65_535,
    65_536,
    (1 << 31) - 1,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX,
];

/// One of [`NUMBERS`], or one beside it.
pub fn number(rng: &mut StdRng) -> u64 {
    let number = NUMBERS.choose(rng).copied().unwrap_or_default();
    match rng.random_range(0..4) {
        0 => number.wrapping_add(1),
        1 => number.wrapping_sub(1),
        2 => rng.random(),
        _ => number,
    }
}

/// A change of bytes that knows nothing of what they mean.
pub fn bytes(rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut output = input.to_vec();
    let at = rng.random_range(0..=output.len());
    match rng.random_range(0..8) {
        0 if at < output.len() => output[at] ^= 1 << rng.random_range(0..8),
        1 if at < output.len() => output[at] = rng.random(),
        2 => output.insert(at, rng.random()),
        3 => output.truncate(at),
        4 => {
            let end = rng.random_range(at..=output.len());
            output.drain(at..end);
        }
        5 => {
            let end = rng.random_range(at..=output.len().min(at + 64));
            let copy = output[at..end].to_vec();
            output.splice(at..at, copy);
        }
        6 if !other.is_empty() => {
            let from = rng.random_range(0..other.len());
            let to = rng.random_range(from..=other.len().min(from + 64));
            output.splice(at..at, other[from..to].iter().copied());
        }
        _ => {
            let word = number(rng).to_le_bytes();
            let width = rng.random_range(1..=8);
            output.splice(at..at, word[..width].iter().copied());
        }
    }
    output
}
