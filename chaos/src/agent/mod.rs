//! A worker whose endpoints keep a ledger outside of the system: the agent of the release, configured as it is, with an executor that
//! writes down what endpoints do (`ledger-NAME-N.jsonl`) and an observer that writes down what the agent knows of its session
//! (`beats-NAME-N.jsonl`).
//!
//! It ends when its stdin does; start it with a pipe.

mod books;
mod file;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use reeve_worker::{Executors, Hooks, Settings, WorkerArgs, WorkerError};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use books::Bookkeeper;
use file::Lines;
use watch::Watch;

/// Exit status of a process that was asked twice to stop.
const INTERRUPTED: i32 = 130;
/// How long what still runs in the background may hold up the end.
const LAST_TASKS: Duration = Duration::from_millis(200);

/// Arguments of this program that make it such a worker.
pub fn arguments(name: &str, ledger: &Path) -> Vec<String> {
    let ledger = ledger.display().to_string();
    ["stand-in", "worker", "--name", name, "--ledger", &ledger]
        .map(str::to_owned)
        .into()
}

/// The environment that goes with them. No token is an argument: those can be read by everyone.
pub fn environment(token: &str, nodes: &[String], capacity: u32) -> Vec<(&'static str, String)> {
    vec![
        ("REEVE_WORKER_TOKEN", token.to_owned()),
        ("REEVE_NODES", nodes.join(",")),
        ("REEVE_WORKER_CAPACITY", capacity.to_string()),
        ("REEVE_WORKER_HTTP_ADDR", "off".to_owned()),
    ]
}

/// Everything that the release takes as a flag too is in the environment.
#[derive(Debug, Parser)]
struct Environment {
    #[command(flatten)]
    worker: WorkerArgs,
}

/// Works until it is told to end, as the release does, and ends the process with the exit status of the release.
///
/// # Errors
/// It cannot begin.
pub fn run(name: &str, ledger: &Path) -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let settings = Environment::try_parse_from(["worker"])?.worker.into_settings()?;
    let Settings::Session(config) = settings else {
        bail!("a worker that pings has no endpoints");
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    let end = runtime.block_on(async {
        let capacity = config.capacity.configured;
        let watch = Watch::begin(name, Lines::create(ledger, &format!("beats-{name}"))?, capacity);
        let (name, lines) = (name.to_owned(), Lines::create(ledger, &format!("ledger-{name}"))?);
        let hooks = Hooks {
            observer: Arc::new(watch),
            executors: Box::new(move |clock, sink| Executors {
                sim: Arc::new(Bookkeeper::spawn(&name, lines, clock, sink)),
                sip: None,
            }),
        };
        let shutdown = CancellationToken::new();
        obey_signals(shutdown.clone())?;
        Ok::<_, anyhow::Error>(reeve_worker::run_with(*config, hooks, shutdown).await)
    })?;
    runtime.shutdown_timeout(LAST_TASKS);
    if let Err(error) = end {
        tracing::error!("{error:#}");
        std::process::exit(WorkerError::exit_code(&error).into());
    }
    Ok(())
}

/// The first signal drains, the second ends at once.
fn obey_signals(shutdown: CancellationToken) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                shutdown.cancel();
            } else {
                std::process::exit(INTERRUPTED);
            }
        }
    });
    Ok(())
}
