//! What a call is said to cost on this machine, several times: compare it with what `media-load` takes.
#![allow(clippy::print_stdout)]

use reeve_media::{EngineConfig, cost_of_a_call};

fn main() -> std::io::Result<()> {
    for _ in 0..5 {
        println!(
            "{:?} CPU for a second of a call",
            cost_of_a_call(&EngineConfig::default())?
        );
    }
    Ok(())
}
