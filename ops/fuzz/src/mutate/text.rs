//! Changes of text: lines and words are doubled, dropped, swapped, and replaced by those that mean something in YAML.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

const WORDS: [&str; 30] = [
    ":",
    "- ",
    "  ",
    "\t",
    "\n",
    "|",
    ">",
    "&a",
    "*a",
    "<<: *a",
    "!!binary",
    "!!float",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "#",
    "%",
    "---",
    "...",
    "? ",
    ".nan",
    ".inf",
    "0x7fffffffffffffff",
    "1e999",
    "~",
    "\u{feff}",
    "20s",
];

/// Changes a text; what is not UTF-8 is changed as bytes.
pub fn text(rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(input) else {
        return super::bytes(rng, input, other);
    };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() || rng.random_bool(0.3) {
        return super::bytes(rng, input, other);
    }
    let at = rng.random_range(0..lines.len());
    match rng.random_range(0..6) {
        0 => {
            lines.remove(at);
        }
        1 => lines.insert(at, lines[at].clone()),
        2 => {
            let to = rng.random_range(0..lines.len());
            lines.swap(at, to);
        }
        3 => lines[at].insert_str(0, "  "),
        _ => {
            let line = &mut lines[at];
            let place = rng.random_range(0..=line.len());
            let place = line.floor_char_boundary(place);
            line.insert_str(place, WORDS.choose(rng).copied().unwrap_or_default());
        }
    }
    lines.join("\n").into_bytes()
}
