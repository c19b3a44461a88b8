//! Runs simulated clusters, seed after seed, and shows the first that breaks a law.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use parking_lot::Mutex;
use reeve_sim::{Coverage, Mutant, Options, Outcome, run};

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
    /// Stop after so many ticks of 5 ms
    #[arg(long)]
    steps: Option<u64>,
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
        most_ticks: args.steps,
    };
    match args.seed {
        Some(seed) => one(seed, options),
        None => many(&args, options),
    }
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
    let jobs = args
        .jobs
        .or(std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1);
    let (next, failed) = (AtomicU64::new(args.from), AtomicBool::new(false));
    let end = args.from.saturating_add(args.seeds);
    let sum = Mutex::new((0u64, Coverage::default()));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let outcome = run(seed, options);
                    let mut sum = sum.lock();
                    sum.0 += 1;
                    sum.1.add(&outcome.coverage);
                    if outcome.violation.is_some() {
                        failed.store(true, Ordering::Relaxed);
                        show(&outcome, args);
                    }
                }
            });
        }
    });
    let (seeds, coverage) = *sum.lock();
    let took_s = begun.elapsed().as_secs_f64();
    print!("{coverage}");
    let hours = coverage.simulated_ms as f64 / 3_600_000.0;
    println!(
        "{seeds} seeds in {took_s:.1} s: {:.1} a second, {hours:.2} simulated hours, {:.2} a minute",
        seeds as f64 / took_s,
        hours / took_s * 60.0
    );
    let failures = u64::from(failed.load(Ordering::Relaxed));
    println!("{} passed, {failures} failed", seeds - failures);
    ExitCode::from(u8::from(failures > 0))
}

fn show(outcome: &Outcome, args: &Args) {
    println!("\nseed {}: the last lines of its trace", outcome.seed);
    outcome.trace.last().for_each(|line| println!("  {line}"));
    if let Some(violation) = &outcome.violation {
        println!("seed {}: {violation}", outcome.seed);
    }
    let mutant = match args.mutant {
        Mutant::None => String::new(),
        mutant => format!(
            " --mutant {}",
            clap::ValueEnum::to_possible_value(&mutant)
                .map_or_else(String::new, |value| value.get_name().to_owned())
        ),
    };
    println!("replay: reeve-sim --seed {}{mutant}\n", outcome.seed);
}
