//! Nothing may be left of a sandbox whose outermost process is killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::bench::{Bench, soon};
use super::table::Row;
use crate::disk::Disk;
use crate::fault::{Healing, Injection, Proof};
use crate::net::Network;
use crate::sandbox;

const HOSTS: u8 = 5;
const DISKS: u8 = 5;
const MEGABYTES: u64 = 64;

/// What there is of a kind that could leak.
#[derive(Debug, PartialEq, Eq)]
struct Census {
    processes: usize,
    networks: usize,
    mounts: usize,
    loops: usize,
}

pub(super) fn cases(bench: &mut Bench) {
    let begun = Instant::now();
    let (injection, effect, after) = match kill_one(&begun) {
        Ok((ready, counted)) => {
            let took = format!("nested sandbox up, {ready}");
            (
                Injection::Installed(Proof::new(1, took)),
                Ok(counted),
                Ok("all gone".to_owned()),
            )
        }
        Err(error) => {
            let why = format!("{error:#}");
            (Injection::Indeterminate(why.clone()), Err(why.clone()), Err(why))
        }
    };
    bench.add(Row {
        name: "sandbox killed".to_owned(),
        injection,
        injecting: begun.elapsed(),
        effect,
        healing: Some(Healing::Healed(Proof::new(0, "things left".to_owned()))),
        healing_took: Duration::ZERO,
        after,
    });
}

/// Starts a sandbox inside of this one, kills its first process, and counts.
fn kill_one(begun: &Instant) -> Result<(String, String)> {
    let name = format!("leak-{}", sandbox::token());
    let before = census(&name)?;
    let mut command = sandbox::sandboxed_with(&["stand-in", "hold", &name])?;
    let mut outermost = command.stdout(Stdio::piped()).spawn()?;
    let mut ready = String::new();
    let stdout = outermost.stdout.take().context("it has a stdout")?;
    BufReader::new(stdout).read_line(&mut ready)?;
    let took = begun.elapsed().as_millis();
    // The last sleeper may not be in its place yet.
    let complete = |census: &Census| {
        census.networks > before.networks + usize::from(HOSTS) && census.loops == usize::from(DISKS)
    };
    let during = soon("something to leak", || census(&name).ok().filter(complete));
    outermost.kill()?;
    outermost.wait()?;
    // The kernel clears up after the last process, in its own time.
    soon("the end of everything", || {
        (census(&name).ok()? == before).then_some(())
    })?;
    let during = during?;
    let change = |what: &str, of: fn(&Census) -> usize| {
        format!("{what} {}→{}→{}", of(&before), of(&during), of(&before))
    };
    let counted = [
        change("loops", |census| census.loops),
        change("netns", |census| census.networks),
        change("mountns", |census| census.mounts),
        change("processes", |census| census.processes),
    ];
    Ok((format!("{} (all: {took} ms)", ready.trim()), counted.join(", ")))
}

fn census(name: &str) -> Result<Census> {
    let mut processes = 0;
    let (mut networks, mut mounts) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let of_process = path
            .file_name()
            .and_then(|name| name.to_str()?.parse::<u32>().ok());
        // One that ends while we look has no namespaces any more.
        let Some(namespace) = of_process.and_then(|_| fs::read_link(path.join("ns/net")).ok()) else {
            continue;
        };
        processes += 1;
        networks.insert(namespace);
        mounts.extend(fs::read_link(path.join("ns/mnt")));
    }
    Ok(Census {
        processes,
        networks: networks.len(),
        mounts: mounts.len(),
        loops: loops(name)?,
    })
}

/// Loop devices are seen from everywhere; ours have the name in their file's.
fn loops(name: &str) -> Result<usize> {
    let files = fs::read_dir("/sys/block")?
        .flatten()
        .map(|entry| entry.path().join("loop/backing_file"));
    let backing: Vec<String> = files.filter_map(|file| fs::read_to_string(file).ok()).collect();
    Ok(backing.iter().filter(|file| file.contains(name)).count())
}

/// Builds a network, disks, and a process in every namespace, and waits to be killed.
///
/// # Errors
/// It cannot be built.
pub fn hold(name: &str) -> Result<()> {
    sandbox::enter()?;
    let begun = Instant::now();
    let network = Network::build(HOSTS, 1)?;
    let network_took = begun.elapsed().as_millis();
    let begun = Instant::now();
    let directory: PathBuf = sandbox::scratch();
    let disks = (1..=DISKS).map(|number| Disk::create(&directory, &format!("{name}-{number}"), MEGABYTES));
    let disks = disks.collect::<Result<Vec<_>>>()?;
    let disks_took = begun.elapsed().as_millis();
    let mut sleepers = Vec::new();
    for host in network.hosts() {
        // Bound to nothing of ours, so that only the sandbox can end it.
        let mut sleeper = host.command("sleep");
        sleepers.push(
            sleeper
                .arg("600")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()?,
        );
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "network of {HOSTS} in {network_took} ms, {} disks in {disks_took} ms",
        disks.len()
    )?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}
