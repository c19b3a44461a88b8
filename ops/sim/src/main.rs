//! Runs simulated clusters, seed after seed, and shows the first that breaks a law.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use reeve_sim::{Mutant, Options, Outcome, cores, run, series};

/// So many seeds must meet everything.
const ENOUGH: u64 = 100;

/// Simulates clusters with everything drawn from a seed.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// One seed, with its whole trace
    #[arg(long)]
    seed: Option<u64>,
    /// Run so many seeds twice first, and compare their traces byte for byte
    #[arg(long, default_value_t = 0)]
    check: u64,
    /// Stop after so many ticks of 5 ms
    #[arg(long)]
    steps: Option<u64>,
    /// Short lives, as in the tests
    #[arg(long)]
    brief: bool,
    /// Break something on purpose
    #[arg(long, value_enum, default_value_t)]
    mutant: Mutant,
    /// Simulations at once; default: one a core
    #[arg(long)]
    jobs: Option<usize>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("REEVE_SIM_LOG"))
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    let options = Options {
        keep_all: args.seed.is_some(),
        mutant: args.mutant,
        brief: args.brief,
        most_ticks: args.steps,
    };
    if let Some(seed) = (args.from..args.from + args.check).find(|seed| !repeats(*seed, options)) {
        println!("seed {seed} gives one trace and then another: was this built with --cfg tokio_unstable?");
        return ExitCode::FAILURE;
    }
    match args.seed {
        Some(seed) => one(seed, options),
        None => many(&args, options),
    }
}

/// Whether a seed gives the same trace twice.
fn repeats(seed: u64, options: Options) -> bool {
    let options = Options {
        keep_all: true,
        ..options
    };
    let (one, other) = (run(seed, options), run(seed, options));
    let (one, other) = (one.trace, other.trace);
    let lines = [&one, &other].map(|trace| trace.all().unwrap_or_default());
    let differs = lines[0].iter().zip(lines[1]).find(|(one, other)| one != other);
    if let Some((one, other)) = differs {
        println!("seed {seed}:\n  {one}\n  {other}");
    }
    one == other
}

fn one(seed: u64, options: Options) -> ExitCode {
    let outcome = run(seed, options);
    for line in outcome.trace.all().unwrap_or_default() {
        println!("{line}");
    }
    println!(
        "trace {:016x}, {} lines",
        outcome.trace.hash(),
        outcome.trace.lines()
    );
    print!("{}", outcome.coverage);
    match &outcome.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn many(args: &Args, options: Options) -> ExitCode {
    let begun = Instant::now();
    let seeds = args.from..args.from.saturating_add(args.seeds);
    let ran = series(seeds, args.jobs.unwrap_or_else(cores), options);
    ran.failed.iter().for_each(|outcome| show(outcome, args));
    let took_s = begun.elapsed().as_secs_f64();
    print!("{}", ran.coverage);
    let hours = ran.coverage.simulated_ms as f64 / 3_600_000.0;
    println!(
        "{} seeds in {took_s:.1} s: {:.1} a second; {hours:.2} simulated hours, {:.2} a minute",
        ran.seeds,
        ran.seeds as f64 / took_s,
        hours / took_s * 60.0
    );
    let mut failures = ran.failed.len() as u64;
    if failures == 0 && args.seeds >= ENOUGH && args.steps.is_none() {
        for what in ran.coverage.missing() {
            println!("nothing was met of: {what}");
            failures += 1;
        }
    }
    println!("{} passed, {failures} failed", ran.seeds.saturating_sub(failures));
    ExitCode::from(u8::from(failures > 0))
}

fn show(outcome: &Outcome, args: &Args) {
    println!("\nseed {}: the last lines of its trace", outcome.seed);
    outcome.trace.last().for_each(|line| println!("  {line}"));
    if let Some(violation) = &outcome.violation {
        println!("seed {}: {violation}", outcome.seed);
    }
    let mutant = clap::ValueEnum::to_possible_value(&args.mutant)
        .filter(|_| args.mutant != Mutant::None)
        .map_or_else(String::new, |value| format!(" --mutant {}", value.get_name()));
    let brief = if args.brief { " --brief" } else { "" };
    println!("replay: reeve-sim --seed {}{brief}{mutant}\n", outcome.seed);
}
