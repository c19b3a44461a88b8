//! `reeve-chaos`: real nodes and workers under load, killed by a seeded plan, and judged by what is true afterwards.
//!
//! SIGKILL loses nothing that was written to the page cache: this does not test fsync.

mod agent;
mod beats;
mod bench;
mod check;
mod checker;
mod client;
mod clock;
mod definition;
mod disk;
mod dump;
#[allow(dead_code)]
mod event;
mod fault;
mod faults;
mod finals;
mod history;
mod judge;
mod lines;
mod net;
mod observer;
mod plan;
mod process;
mod report;
mod sandbox;
mod selftest;
#[allow(dead_code)]
mod setting;
mod standin;
mod time;
mod tool;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use reeve_proto::bearer::Connection;
use reeve_testkit::{Cluster, ClusterSpec, Program, WorkerProcess, create_worker, reeve_program, until};
use tokio::sync::watch;
use tokio::task::JoinSet;

use check::Evidence;
use checker::verdict::Finding;
use client::{Client, Common, Mix, Setup};
use faults::Victims;
use history::History;
use history::recorder::Recorder;

const NODES: usize = 3;
const START: Duration = Duration::from_secs(30);
/// Short liveness intervals, so that a dead worker is noticed within the time of a run. Raft as by default.
const NODE_FLAGS: [&str; 10] = [
    // The machine is loaded on purpose; that must not make its workers unhealthy.
    "--unhealthy-above-percent=100",
    "--heartbeat-interval-ms=500",
    "--exchange-interval-ms=250",
    "--shed-after-ms=1000",
    "--reconnect-timeout-ms=1500",
    "--down-after-ms=4000",
    "--ready-timeout-ms=5000",
    "--start-delay-ms=300",
    "--stop-grace-ms=5000",
    "--shutdown-timeout-ms=2000",
];

/// Breaks a cluster of real processes, and checks that nobody was lied to.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kills leaders, followers and workers under load, then compares what was promised with what every node holds
    Run(RunArgs),
    /// Lists which faults can be injected on this machine, or tries each of them
    Faults(FaultsArgs),
    /// Small processes that this program starts by itself
    #[command(subcommand, hide = true)]
    StandIn(standin::StandIn),

    /// Judges once more what a run left in its directory
    Check(CheckArgs),
    /// Prints the log of a node that does not run, entry by entry
    DumpLog {
        /// Its data directory
        #[arg(value_name = "DATA")]
        data: PathBuf,
    },
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
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// How long the faults go on
    #[arg(long, default_value_t = 45)]
    seconds: u64,
    /// Which plan, and which requests [default: drawn from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// How many clients
    #[arg(long, default_value_t = 6)]
    clients: usize,
    /// What clients do
    #[arg(long, value_enum, default_value = "usual")]
    mix: MixName,
    /// How many workers
    #[arg(long, default_value_t = 3)]
    workers: usize,
    /// How many endpoints each worker takes at once
    #[arg(long, default_value_t = 5_000)]
    capacity: u32,
    /// Keeps data, logs and history here; without it they are removed if every check passes
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The reeve program [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    reeve: Option<PathBuf>,
}

/// Which workload.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum MixName {
    /// Something of everything
    Usual,
    /// Workers are drained all the time
    Drains,
    /// Far more runs than there is room for
    Capacity,
    /// Tokens are regenerated and used at once
    Tokens,
}

impl MixName {
    fn mix(self) -> Mix {
        match self {
            Self::Usual => Mix::usual(),
            Self::Drains => Mix::drains(),
            Self::Capacity => Mix::capacity(),
            Self::Tokens => Mix::tokens(),
        }
    }
}

fn main() -> Result<ExitCode> {
    match Args::parse().command {
        Command::Run(args) => run_until_interrupted(args),
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
        Some(directory) if !args.bench => judge::again(out, directory).map(exit_code),
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

#[tokio::main]
async fn run_until_interrupted(args: RunArgs) -> Result<ExitCode> {
    let out = &mut std::io::stdout().lock();
    // Dropping what runs ends every process that was started.
    tokio::select! {
        result = run(args, out) => result,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            bail!("interrupted")
        }
    }
}

async fn run(args: RunArgs, out: &mut impl Write) -> Result<ExitCode> {
    let seed = match args.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    let directory = tempfile::Builder::new().prefix("reeve-chaos-").tempdir()?;
    let path = match &args.out {
        Some(out) => out.join(format!("seed-{seed}")),
        None => directory.path().to_owned(),
    };
    std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
    if std::fs::read_dir(&path)?.next().is_some() {
        bail!("{} is not empty", path.display());
    }
    let plan = plan::draw(seed, Duration::from_secs(args.seconds), args.workers);
    std::fs::write(path.join("plan.json"), serde_json::to_string_pretty(&plan)?)?;
    let repro = format!("reeve-chaos run --seed {seed} --seconds {}", args.seconds);
    say(&format!(
        "{repro}: {} faults, {} clients, {} workers",
        plan.len(),
        args.clients,
        args.workers
    ));
    let result = torment(&args, seed, &plan, &path, out).await;
    let passed = matches!(result, Ok(true));
    if !passed {
        // What happened must be found again.
        let kept = if args.out.is_some() {
            path
        } else {
            directory.keep()
        };
        say(&format!("kept in {}; again with: {repro}", kept.display()));
    }
    result.map(exit_code)
}

/// One run from start to report. True: every check passed.
async fn torment(
    args: &RunArgs,
    seed: u64,
    plan: &[plan::Step],
    path: &Path,
    out: &mut impl Write,
) -> Result<bool> {
    let mut victims = bring_up(args, path).await?;
    let history = Arc::new(History::create(&path.join("history.jsonl"))?);
    let channels: Vec<Connection> = (0..NODES).map(|node| victims.cluster.channel(node)).collect();
    let mut observers = JoinSet::new();
    for (node, channel) in channels.iter().enumerate() {
        observers.spawn(observer::observe(node, channel.clone(), Arc::clone(&history)));
    }
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    let workers = victims.workers.iter().map(|worker| worker.name().to_owned());
    let common = Common::new(workers.collect());
    for number in 0..args.clients {
        let setup = Setup {
            number,
            clients: args.clients,
            seed,
            nodes: channels.clone(),
            history: Arc::clone(&history),
            recorder: Recorder::create(path, number, args.clients)?,
            common: common.clone(),
            mix: args.mix.mix(),
        };
        clients.spawn(Client::new(setup, stopped.clone()).run());
    }
    say("load and faults …");
    if let Err(problem) = victims.suffer(plan, &history).await {
        let ends = victims.unexpected_ends();
        return Err(problem.context(format!(
            "the cluster did not recover; ended by themselves: {ends:?}"
        )));
    }
    say("faults are over; every request and every run must end …");
    stop.send_replace(true);
    while let Some(client) = clients.join_next().await {
        client.context("a client panicked")??;
    }
    let open = finals::settle(&victims.cluster).await?;
    if open > 0 {
        say(&format!("{open} runs did not end"));
    }
    let nodes = finals::collect(&victims.cluster).await?;
    observers.shutdown().await;
    let evidence = Evidence {
        records: history.finish()?,
        nodes,
        unexpected_ends: victims.unexpected_ends(),
        processes: victims.processes(),
    };
    let said = finals::said(&victims.cluster, 0).await?;
    std::fs::write(path.join(judge::SAID), serde_json::to_string(&said)?)?;
    victims.stop_nodes().await?;
    let checks = check::all(&evidence);
    std::fs::write(path.join("checks.json"), serde_json::to_string_pretty(&checks)?)?;
    let findings = judge::judge(path)?;
    std::fs::write(
        path.join("findings.json"),
        serde_json::to_string_pretty(&findings)?,
    )?;
    report::print(out, &evidence, &checks, &findings)?;
    Ok(checks.iter().all(check::Checked::passed) && findings.iter().all(Finding::passed))
}

/// Three nodes, and workers that have registered and are started.
async fn bring_up(args: &RunArgs, path: &Path) -> Result<Victims> {
    let program = reeve_program(args.reeve.as_deref())?;
    let mut cluster = Cluster::start(ClusterSpec {
        program,
        directory: path.to_owned(),
        nodes: NODES,
        flags: NODE_FLAGS.map(str::to_owned).into(),
    })?;
    let leader = cluster.agreed_leader(START).await?;
    let addresses: Vec<String> = cluster.nodes().iter().map(|node| node.grpc.clone()).collect();
    let mut workers = Vec::new();
    for number in 1..=args.workers {
        let name = format!("w{number}");
        let created = create_worker(cluster.channel(leader), &name, args.capacity).await?;
        let program = Program {
            path: std::env::current_exe()?,
            arguments: agent::arguments(&name, path),
            environment: agent::environment(&created.token, &addresses, args.capacity),
        };
        let mut worker = WorkerProcess::of(program, path.to_owned(), created)?;
        worker.start()?;
        workers.push(worker);
    }
    until(START, "every worker has a session", || async {
        let mut sessions = 0;
        for node in 0..NODES {
            sessions += cluster
                .status(node, false)
                .await
                .map_or(0, |status| status.sessions as usize);
        }
        sessions == args.workers
    })
    .await?;
    Ok(Victims { cluster, workers })
}

/// Progress goes to stderr, the report to stdout.
fn say(what: &str) {
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "{what}");
}
