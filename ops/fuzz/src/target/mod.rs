//! What is fuzzed: one file for each reader of bytes. A target panics when the input does what no input may.

mod apply;
mod definition;
mod log;
mod rest;
mod row;
mod session;
mod sip;

use anyhow::Result;
use rand::rngs::StdRng;

/// Something that reads bytes.
pub trait Target {
    /// The name of its corpus.
    fn name(&self) -> &'static str;

    /// Inputs to begin with, beside those of the corpus.
    fn seeds(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Another input made of this one, perhaps with parts of the other.
    fn mutate(&self, rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8>;

    /// Takes the input; how it answered.
    fn run(&mut self, input: &[u8]) -> String;
}

/// The names of all targets.
pub const NAMES: [&str; 9] = [
    "log",
    "row",
    "apply",
    "json",
    "yaml",
    "definition",
    "session",
    "rest",
    "sip",
];

/// The target of this name.
///
/// # Errors
/// There is none, or it does not start.
pub fn named(name: &str) -> Result<Box<dyn Target>> {
    Ok(match name {
        "log" => Box::new(log::Log),
        "row" => Box::new(row::Row),
        "apply" => Box::new(apply::Apply),
        "json" => Box::new(definition::Json),
        "yaml" => Box::new(definition::Yaml),
        "definition" => Box::new(definition::Wire),
        "session" => Box::new(session::Session),
        "rest" => Box::new(rest::Rest::start()?),
        "sip" => Box::new(sip::Sip),
        other => anyhow::bail!("{other} is not one of {}", NAMES.join(", ")),
    })
}

/// The golden bytes of every command, as they stand in logs.
fn golden_commands() -> Vec<Vec<u8>> {
    let lines = include_str!("../../../../raft/store/tests/golden/commands.hex").lines();
    lines.filter_map(|line| hex(line.split(' ').nth(2)?)).collect()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect()
}
