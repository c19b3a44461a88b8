//! `reeve-worker`: the slim agent alone.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use reeve_worker::{AFTER_HELP, WorkerArgs, WorkerError};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use tracing_subscriber::EnvFilter;

/// Runs endpoints for a Reeve cluster, or, with --ping, registers as a worker that takes jobs. Connects to any node and finds
/// the others by itself.
#[derive(Parser, Debug)]
#[command(name = "reeve-worker", version, after_help = AFTER_HELP)]
struct Program {
    /// What to log, as in RUST_LOG
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
    #[command(flatten)]
    worker: WorkerArgs,
}

/// How long what still runs in the background may hold up the end: a question to a name server can take half a minute.
const LAST_TASKS: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let program = match Program::try_parse() {
        Ok(program) => program,
        Err(error) => {
            // Help and version on stdout, everything else on stderr; nothing is left to do if that fails.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let filter = EnvFilter::new(reeve_worker::log_filter(&program.log));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let end = runtime.block_on(work(program.worker));
    runtime.shutdown_timeout(LAST_TASKS);
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            error
                .downcast_ref::<WorkerError>()
                .map_or(ExitCode::FAILURE, |error| ExitCode::from(error.exit_code()))
        }
    }
}

async fn work(args: WorkerArgs) -> anyhow::Result<()> {
    let settings = args.into_settings()?;
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let asked = shutdown.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                asked.cancel();
            } else {
                warn!("second signal: ending at once");
                // As a shell reports a process that was interrupted.
                std::process::exit(130);
            }
        }
    });
    Ok(settings.run(shutdown).await?)
}
