//! What every long-running command does: logs to stderr, ends in order on a signal, ends with its parent.

use std::io::{IsTerminal, Read};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long an orderly end may take once the parent is gone.
const ORPHAN_GRACE: Duration = Duration::from_secs(5);
/// Exit status of a process that was asked twice to stop.
const INTERRUPTED: i32 = 130;

/// Flags that a parent of ours sets.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ParentArgs {
    /// End when stdin reaches its end, which it does when the parent is gone.
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

/// Prepares a node or worker process: logging, and the token that a signal or the parent's death cancels.
pub(crate) fn start_agent(parent: &ParentArgs, token: &CancellationToken) -> std::io::Result<()> {
    // Huge pages make a process that holds little take twice the memory. Where that cannot be said, nothing is lost.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| "info,openraft=warn".to_owned());
    let filter = EnvFilter::new(reeve_worker::log_filter(&asked));
    // A second initialisation, in tests, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    watch_parent(parent, token)?;
    let (mut signals, token) = (Signals::new()?, token.clone());
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("asked to stop");
        token.cancel();
        signals.next().await;
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

/// Cancels the token when the parent is gone, if the flag says so.
///
/// The thread blocks on stdin for the life of the process. If the work does not end in order soon after the parent
/// died, the process exits all the same.
pub(crate) fn watch_parent(parent: &ParentArgs, token: &CancellationToken) -> std::io::Result<()> {
    if !parent.exit_with_parent {
        return Ok(());
    }
    let token = token.clone();
    std::thread::Builder::new()
        .name("parent-watch".to_owned())
        .spawn(move || {
            let mut buffer = [0_u8; 64];
            let mut stdin = std::io::stdin().lock();
            while matches!(stdin.read(&mut buffer), Ok(read) if read > 0) {}
            token.cancel();
            std::thread::sleep(ORPHAN_GRACE);
            std::process::exit(1);
        })?;
    Ok(())
}

/// SIGINT and SIGTERM.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Returns when one of the two arrives.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
