//! `reeve-chaos`: real nodes and workers under load, broken by a seeded plan, and judged by what is true afterwards.

mod agent;
mod beats;
mod bench;
mod campaign;
mod check;
mod checker;
mod client;
mod clock;
mod definition;
mod disk;
mod dump;
mod event;
mod fault;
mod finals;
mod history;
mod judge;
mod lines;
mod mutants;
mod net;
mod observer;
mod orders;
mod process;
mod report;
mod sandbox;
mod scenario;
mod selftest;
mod setting;
mod stage;
mod standin;
mod time;
mod tool;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Breaks a cluster of real processes, and checks that nobody was lied to.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Breaks real clusters, scenario by scenario, then compares what was promised with what every node holds
    Run(orders::RunArgs),
    /// Lists which faults can be injected on this machine, or tries each of them
    Faults(FaultsArgs),
    /// Judges once more what a scenario left in its directory
    Check(CheckArgs),
    /// Prints the log of a node that does not run, entry by entry
    DumpLog {
        /// Its data directory
        #[arg(value_name = "DATA")]
        data: PathBuf,
    },
    /// One scenario, as a process of its own
    #[command(hide = true)]
    Perform(orders::PerformArgs),
    /// Small processes that this program starts by itself
    #[command(subcommand, hide = true)]
    StandIn(standin::StandIn),
}

#[derive(Debug, clap::Args)]
struct FaultsArgs {
    /// Injects every fault into small processes, and looks whether it bites and heals
    #[arg(long)]
    self_test: bool,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// The directory: with histories, ledgers, and the data of nodes that do not run
    #[arg(value_name = "DIR", required_unless_present = "bench")]
    directory: Option<PathBuf>,
    /// Times the checker of linearizability instead
    #[arg(long)]
    bench: bool,
    /// Loses a line of a history first: then something must be found
    #[arg(long, value_name = "SEED", hide = true, conflicts_with = "bench")]
    lose_line: Option<u64>,
}

fn main() -> Result<ExitCode> {
    match Args::parse().command {
        Command::Run(args) => orders::run(&args, &mut std::io::stdout().lock()).map(exit_code),
        Command::Perform(args) => orders::perform_one(args).map(|()| ExitCode::SUCCESS),
        Command::Faults(FaultsArgs { self_test: true }) => selftest::run().map(exit_code),
        Command::Faults(FaultsArgs { self_test: false }) => selftest::list().map(exit_code),
        Command::StandIn(stand_in) => standin::run(stand_in).map(|()| ExitCode::SUCCESS),
        Command::Check(args) => judge_again(&args),
        Command::DumpLog { data } => print_log(&data),
    }
}

fn judge_again(args: &CheckArgs) -> Result<ExitCode> {
    let out = &mut std::io::stdout().lock();
    match &args.directory {
        Some(directory) if !args.bench => judge::again(out, directory, args.lose_line).map(exit_code),
        Some(_) | None => bench::run(out).map(|()| ExitCode::SUCCESS),
    }
}

fn print_log(data: &Path) -> Result<ExitCode> {
    let out = &mut std::io::stdout().lock();
    let dump = dump::read("this node", data)?;
    writeln!(
        out,
        "term {}, cut up to {:?}, committed up to {:?}, state after {}",
        dump.term, dump.purged, dump.committed, dump.applied
    )?;
    for line in dump.entries.iter().flat_map(dump::show) {
        // Nobody may want to read on.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn exit_code(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
