//! `reeve-fuzz`: feeds targets with inputs until the time is over, keeps what breaks them, and exits with 1 if anything did.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use reeve_fuzz::corpus;
use reeve_fuzz::engine::{Until, fuzz};
use reeve_fuzz::target::{NAMES, named};

/// Fuzzes everything that reads bytes from outside.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Which targets; all of them if none is named
    targets: Vec<String>,
    /// How long, for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The same seed tries the same inputs in the same order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write inputs that answered in a new way into the corpus
    #[arg(long)]
    grow: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let names: Vec<&str> = match args.targets.is_empty() {
        true => NAMES.to_vec(),
        false => args.targets.iter().map(String::as_str).collect(),
    };
    let mut broken = 0;
    for name in names {
        broken += run(name, &args)?;
    }
    std::process::exit(i32::from(broken > 0));
}

fn run(name: &str, args: &Args) -> Result<usize> {
    let mut target = named(name)?;
    let mut seeds = target.seeds();
    seeds.extend(corpus::load(name)?.into_iter().map(|(_, bytes)| bytes));
    let count = seeds.len();
    // Panics are what is looked for: they are told once, below.
    let outcome = fuzz(
        &mut *target,
        seeds,
        args.seed,
        Until::Time(Duration::from_secs(args.seconds)),
    );
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{name}: {} inputs from {count} seeds in {} s, {} kinds of answers, {} findings",
        outcome.inputs,
        args.seconds,
        outcome.signatures.len(),
        outcome.findings.len()
    )?;
    for finding in &outcome.findings {
        let path = corpus::keep(name, "crash", &finding.input)?;
        writeln!(out, "  {}: {}", path.display(), finding.message)?;
    }
    if args.grow {
        for seed in &outcome.new_seeds {
            corpus::keep(name, "seed", seed)?;
        }
    }
    Ok(outcome.findings.len())
}
