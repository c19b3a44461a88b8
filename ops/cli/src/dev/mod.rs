//! `reeve dev`: a cluster for development. Every node and worker is a process of its own, so that each can be killed
//! for real. No child is ever restarted (D27c).

mod banner;
mod child;
mod layout;
mod ready;

pub(crate) use banner::{DevReady, ReadyNode};
pub(crate) use child::{Child, spawn_node};
pub(crate) use layout::{Layout, NodeEntry};

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::args::OutputFormat;
use crate::error::CliError;
use crate::output::{Output, note};
use crate::process::{ParentArgs, Signals, watch_parent};

/// Everything is up within this time, or dev says what is missing.
const READY_DEADLINE: Duration = Duration::from_secs(30);
/// How long workers may take to leave in order, then the nodes, before they are killed.
const WORKERS_STOP: Duration = Duration::from_secs(4);
const NODES_STOP: Duration = Duration::from_secs(6);

/// The flags of `reeve dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// How many workers.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=99))]
    workers: u8,
    /// Where data and logs are kept; the same directory brings the same cluster back.
    #[arg(long, default_value = "reeve-data")]
    data_dir: PathBuf,
    /// Free ports instead of 50052, 50051 and 8080 (+10 for each node); kept in DATA-DIR/dev.json.
    #[arg(long)]
    random_ports: bool,
    #[command(flatten)]
    parent: ParentArgs,
}

/// The children, in the order in which they were started.
struct Children {
    nodes: Vec<Child>,
    workers: Vec<Child>,
}

pub(crate) async fn run(output: &Output, args: DevArgs) -> Result<u8, CliError> {
    let stop = CancellationToken::new();
    watch_parent(&args.parent, &stop)?;
    let mut signals = Signals::new()?;
    let mut layout = Layout::open(&args.data_dir, args.nodes, args.random_ports)?;
    let mut children = Children {
        nodes: Vec::new(),
        workers: Vec::new(),
    };
    let work = bring_up_and_hold(output, &mut layout, args.workers, &mut children);
    let result = tokio::select! {
        result = work => result,
        () = signals.next() => Ok(()),
        () = stop.cancelled() => Ok(()),
    };
    if let Err(error) = &result
        && let Some(text) = error.render()
    {
        note(&text);
    }
    tokio::select! {
        () = shut_down(&children) => {}
        // Asked twice: no more patience.
        () = signals.next() => children.all().for_each(Child::kill),
    }
    Ok(u8::from(result.is_err()))
}

/// Starts everything, says so, and then reports children that die. Returns only with an error.
async fn bring_up_and_hold(
    output: &Output,
    layout: &mut Layout,
    workers: u8,
    children: &mut Children,
) -> Result<(), CliError> {
    let deadline = Instant::now() + READY_DEADLINE;
    layout.check_ports()?;
    for node in &layout.nodes {
        children.nodes.push(spawn_node(layout, node)?);
    }
    let leader = ready::wait_for_leader(layout, &children.nodes, deadline).await?;
    ready::register_workers(layout, workers, deadline).await?;
    for worker in layout.workers.iter().take(usize::from(workers)) {
        children.workers.push(child::spawn_worker(layout, worker)?);
    }
    ready::wait_for_workers(layout, &children.workers, deadline).await?;
    let ready = DevReady::new(layout, leader, &children.nodes, &children.workers);
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => {
            output.line(&serde_json::to_string(&ready).map_err(std::io::Error::from)?)?;
        }
        OutputFormat::Name => output.line(&ready.addresses())?,
        OutputFormat::Table | OutputFormat::Wide => output.line(&ready.banner(layout)?)?,
    }
    report_deaths(children).await;
    Ok(())
}

/// Says on stderr when a child dies; does not end before we are stopped.
async fn report_deaths(children: &Children) {
    let deaths = children.all().map(|child| async move {
        let status = child.exited().await;
        note(&format!(
            "{} (pid {}) ended: {status}; see {}",
            child.name,
            child.pid,
            child.log.display()
        ));
    });
    futures::future::join_all(deaths).await;
    note("every node and worker has ended; press Ctrl-C to leave");
    std::future::pending::<()>().await;
}

/// Workers first, so that they can still say goodbye to a node.
async fn shut_down(children: &Children) {
    stop(&children.workers, WORKERS_STOP).await;
    stop(&children.nodes, NODES_STOP).await;
}

async fn stop(children: &[Child], limit: Duration) {
    children.iter().for_each(Child::terminate);
    let all = futures::future::join_all(children.iter().map(Child::exited));
    if tokio::time::timeout(limit, all).await.is_err() {
        children.iter().for_each(Child::kill);
        futures::future::join_all(children.iter().map(Child::exited)).await;
    }
}

impl Children {
    fn all(&self) -> impl Iterator<Item = &Child> {
        self.nodes.iter().chain(&self.workers)
    }
}
