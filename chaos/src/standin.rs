//! Small processes that stand in for nodes when injectors are tested, and helpers that must be processes of their own.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Subcommand;

use crate::{agent, clock, net, selftest};

/// What writes and what reads agree on: records of one size.
pub const RECORD: u64 = 4096;
const AFTER_ERROR: Duration = Duration::from_millis(10);
const MEGABYTE: usize = 1024 * 1024;

/// Which one.
#[derive(Debug, Subcommand)]
pub enum StandIn {
    /// Delays packets; started by the network inside the switch
    Queue {
        /// Of the delays
        #[arg(long)]
        seed: u64,
    },
    /// Prints the wall clock, milliseconds since 1970; with a pause, again and again
    Clock {
        /// Between two lines
        #[arg(long)]
        every_ms: Option<u64>,
    },
    /// Appends records to two files, syncs one, and prints how many are synced, or the number of the error
    Write {
        /// Where
        directory: PathBuf,
    },
    /// A worker of the release, whose endpoints keep a ledger; configured by the environment
    Worker {
        /// What it is called in the ledger
        #[arg(long)]
        name: String,
        /// The directory of the ledger
        #[arg(long)]
        ledger: PathBuf,
    },
    /// Uses the CPU
    Burn,
    /// Takes a megabyte of memory every few milliseconds
    Eat,
    /// Builds what a scenario has, says that it is ready, and waits to be killed
    Hold {
        /// Names its disks
        name: String,
    },
}

/// Does what it does.
///
/// # Errors
/// It cannot go on.
pub fn run(stand_in: StandIn) -> Result<()> {
    match stand_in {
        StandIn::Queue { seed } => net::serve_queue(seed),
        StandIn::Clock { every_ms: None } => say(&clock::now_ms()?.to_string()),
        StandIn::Clock {
            every_ms: Some(every_ms),
        } => end_with_parent(|| tell_time(Duration::from_millis(every_ms))),
        StandIn::Write { directory } => end_with_parent(|| write(&directory)),
        StandIn::Worker { name, ledger } => end_with_parent(|| agent::run(&name, &ledger)),
        StandIn::Burn => end_with_parent(|| {
            loop {
                std::hint::black_box(0);
            }
        }),
        StandIn::Eat => end_with_parent(eat),
        StandIn::Hold { name } => selftest::hold(&name),
    }
}

/// Ends when stdin does: its other end is in the process that started us.
fn end_with_parent(work: impl FnOnce() -> Result<()>) -> Result<()> {
    std::thread::spawn(|| {
        // Nothing is sent; any end of it is the end.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(0);
    });
    work()
}

fn tell_time(pause: Duration) -> Result<()> {
    let begun = Instant::now();
    loop {
        say(&format!("{} {}", clock::now_ms()?, begun.elapsed().as_millis()))?;
        std::thread::sleep(pause);
    }
}

fn write(directory: &std::path::Path) -> Result<()> {
    let open = |name: &str| -> Result<File> {
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(true)
            .write(true)
            .open(directory.join(name));
        file.with_context(|| name.to_owned())
    };
    let (synced, unsynced) = (open("synced")?, open("unsynced")?);
    // The names must be on the disk too.
    File::open(directory)?.sync_all()?;
    let mut count = 0_u64;
    loop {
        let mut record = vec![b'.'; usize::try_from(RECORD)?];
        record[..8].copy_from_slice(&(count + 1).to_le_bytes());
        let write = || -> std::io::Result<()> {
            unsynced.write_all_at(&record, count * RECORD)?;
            synced.write_all_at(&record, count * RECORD)?;
            synced.sync_data()
        };
        match write() {
            Ok(()) => {
                count += 1;
                say(&count.to_string())?;
            }
            Err(error) => {
                say(&format!("error {}", error.raw_os_error().unwrap_or(0)))?;
                std::thread::sleep(AFTER_ERROR);
            }
        }
    }
}

fn eat() -> Result<()> {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; MEGABYTE]);
        say(&eaten.len().to_string())?;
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush().context("nobody listens")
}
