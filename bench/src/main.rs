//! `reeve-bench`: measures Reeve beside its peers, on one machine, in one invocation.
//!
//! Figures are reported, never asserted: the exit status says only whether the measurements could be made.

mod confine;
mod experiment;
mod fleet;
mod herd;
mod load;
mod machine;
mod numbers;
mod peer;
mod probe;
mod report;
mod spread;
mod stats;
mod subject;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use reeve_testkit::reeve_program;

use experiment::sessions::Sizes;
use experiment::sip;
use experiment::{Bed, Options};
use machine::{Machine, load_average};
use report::Report;

/// Measures Reeve beside etcd and a bare gRPC server, all on this machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    experiment: Experiment,
    /// Short rounds, to see that everything works; no figures to publish
    #[arg(long, global = true)]
    quick: bool,
    /// Measure the peers alone
    #[arg(long, global = true)]
    only_peers: bool,
    /// The reeve program [default: the one beside this program]
    #[arg(long, global = true, value_name = "FILE")]
    reeve: Option<PathBuf>,
    /// On which disk everyone's data is kept [default: where this program is]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the results go
    #[arg(long, global = true, value_name = "DIR", default_value = "bench/results")]
    out: PathBuf,
    /// Rounds of each system [default: 3, quick 1]
    #[arg(long, global = true)]
    rounds: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
enum Experiment {
    /// Everything below
    All,
    /// P8: memory of an idle node
    Memory,
    /// P1: durable writes at 1, 64 and 256 clients
    Writes,
    /// P2: linearizable reads at 256 clients
    Reads,
    /// P3: the leader is killed, and leadership handed over
    Failover,
    /// P3: a minute of full load without a failure; counts elections
    SoakElections,
    /// P4: placement of runs of 10,000 endpoints on 1,000 and 10,000 workers
    Placement,
    /// P4: from submission to reservation, with 1,000 sessions
    Submission,
    /// Runs from submission to RUNNING, alone and as many as there can be, of 1 and of 1,000 endpoints
    Runs,
    /// 1,000 watchers of one node and of all three: until the last one knows of a change
    Watch,
    /// A million endpoints in flight in one run, on a cluster of its own; not part of all
    Million {
        /// Endpoints [default: 1000000, quick 10000]
        #[arg(long)]
        endpoints: Option<u32>,
    },
    /// P5: sessions of up to 100,000 workers on a cluster of its own, and a node killed; minutes long, not part of all
    Sessions {
        /// Sessions of the last step [default: 100000, quick 1000]
        #[arg(long)]
        most: Option<usize>,
    },
    /// SIP calls of one worker beside SIPp, on a cluster of its own; minutes long, not part of all
    Sip {
        /// Only this one
        part: Option<sip::Part>,
        /// Calls that are held at once [default: 1000, quick 100]
        #[arg(long)]
        calls: Option<u32>,
        /// Only this many calls a second, in rate
        #[arg(long)]
        rate: Option<u32>,
    },
    /// Internal: the peer that does nothing
    #[command(hide = true)]
    EchoServer {
        /// Where it listens
        address: SocketAddr,
    },
}

impl Experiment {
    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Memory => "memory",
            Self::Writes => "writes",
            Self::Reads => "reads",
            Self::Failover => "failover",
            Self::SoakElections => "soak-elections",
            Self::Placement => "placement",
            Self::Submission => "submission",
            Self::Runs => "runs",
            Self::Watch => "watch",
            Self::Million { .. } => "million",
            Self::Sessions { .. } => "sessions",
            Self::Sip { .. } => "sip",
            Self::EchoServer { .. } => "echo-server",
        }
    }

    fn includes(self, other: Self) -> bool {
        self == Self::All || self == other
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if let Experiment::EchoServer { address } = args.experiment {
        return peer::echo::serve(address).await;
    }
    // Dropping what runs ends every process that was started.
    tokio::select! {
        result = measure(&args) => result,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            bail!("interrupted; nothing was written")
        }
    }
}

async fn measure(args: &Args) -> Result<()> {
    let program = match args.only_peers {
        true => None,
        false => Some(reeve_program(args.reeve.as_deref())?),
    };
    let own = std::env::current_exe()?;
    let beside = own.parent().unwrap_or(Path::new("."));
    let root = args.data_dir.as_deref().unwrap_or(beside);
    let directory = tempfile::Builder::new()
        .prefix("reeve-bench-")
        .tempdir_in(root)
        .with_context(|| root.display().to_string())?;
    let options = options(args);
    let mut report = Report::new(args.experiment.name(), Machine::look(directory.path())?);
    settings(&mut report, &options, args.quick);
    report.machine.remark(&mut report.remarks);
    if let Experiment::Sessions { most } = args.experiment {
        let program = program.context("sessions are of our own nodes: --only-peers leaves none")?;
        say("sessions");
        let sizes = sizes(args.quick, most);
        experiment::sessions::run(program, directory.path(), &sizes, &mut report).await?;
        return finish(report, args);
    }
    if let Experiment::Sip { part, calls, rate } = args.experiment {
        let program = program.context("SIP is measured on our own worker: --only-peers leaves none")?;
        let sizes = if args.quick {
            sip::Sizes::quick(calls, rate)
        } else {
            sip::Sizes::full(calls, rate)
        };
        sip::run(program, directory.path(), part, &sizes, &mut report).await?;
        return finish(report, args);
    }
    if let Experiment::Million { endpoints } = args.experiment {
        let program =
            program.context("a million endpoints are on our own nodes: --only-peers leaves none")?;
        say("million");
        let endpoints = endpoints.unwrap_or(if args.quick { 10_000 } else { 1_000_000 });
        experiment::million::run(&program, directory.path(), endpoints, &mut report).await?;
        return finish(report, args);
    }
    let mut bed = Bed::start(program, directory, &mut report).await?;
    run(args.experiment, &mut bed, &options, &mut report).await?;
    finish(report, args)
}

fn sizes(quick: bool, most: Option<usize>) -> Sizes {
    let sizes = if quick { Sizes::quick() } else { Sizes::full() };
    let Some(most) = most else { return sizes };
    let mut steps: Vec<usize> = sizes.steps.into_iter().filter(|step| *step < most).collect();
    steps.push(most);
    Sizes { steps, ..sizes }
}

/// Prints what was found, and writes it down.
fn finish(mut report: Report, args: &Args) -> Result<()> {
    report.machine.load_average_at_end = load_average();
    let mut out = std::io::stdout().lock();
    report.print(&mut out, std::io::stdout().is_terminal())?;
    let file = report.save(&args.out)?;
    writeln!(out, "\nwritten to {}", file.display())?;
    Ok(())
}

/// Memory first, while nothing has been loaded yet.
async fn run(which: Experiment, bed: &mut Bed, options: &Options, report: &mut Report) -> Result<()> {
    if which.includes(Experiment::Memory) {
        say("memory");
        experiment::memory::run(bed, options, report).await?;
    }
    if which.includes(Experiment::Writes) {
        say("writes");
        experiment::writes::run(bed, options, report).await?;
    }
    if which.includes(Experiment::Reads) {
        say("reads");
        experiment::reads::run(bed, options, report).await?;
    }
    if which.includes(Experiment::Placement) {
        say("placement");
        experiment::placement::run(report)?;
    }
    if which.includes(Experiment::SoakElections) {
        say("soak-elections");
        experiment::elections::run(bed, options, report).await?;
    }
    if which.includes(Experiment::Failover) {
        say("failover");
        experiment::failover::run(bed, options, report).await?;
    }
    if which.includes(Experiment::Submission) {
        say("submission");
        experiment::submission::run(bed, options, report).await?;
    }
    if which.includes(Experiment::Runs) {
        say("runs");
        experiment::runs::run(bed, options, report).await?;
    }
    if which.includes(Experiment::Watch) {
        say("watch");
        experiment::watch::run(bed, options, report).await?;
    }
    Ok(())
}

/// Progress goes to stderr, the result to stdout.
pub(crate) fn say(what: &str) {
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "measuring {what} …");
}

fn options(args: &Args) -> Options {
    let options = if args.quick {
        Options::quick()
    } else {
        Options::full()
    };
    Options {
        rounds: args.rounds.unwrap_or(options.rounds).max(1),
        ..options
    }
}

fn settings(report: &mut Report, options: &Options, quick: bool) {
    let seconds = |time: std::time::Duration| format!("{} s", time.as_secs_f64());
    for (name, value) in [
        ("quick", quick.to_string()),
        ("rounds", options.rounds.to_string()),
        ("round", seconds(options.shape.measured)),
        ("warm-up", seconds(options.shape.warm_up)),
        (
            "build",
            if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            }
            .to_owned(),
        ),
    ] {
        report.settings.insert(name, value);
    }
    if cfg!(debug_assertions) {
        report
            .remarks
            .push("a debug build: the figures say nothing".to_owned());
    }
}
