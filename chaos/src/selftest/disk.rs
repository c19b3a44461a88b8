//! Faults of disks and files, seen by a process that writes and counts what it was told is safe.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;

use super::bench::{Bench, Running, soon, within};
use super::table::Row;
use crate::disk::{self, Disk, Shim};
use crate::fault::{Fault, Healing, Injection, Proof, World};
use crate::process::Cgroup;
use crate::sandbox::Need;
use crate::standin::RECORD;

const TARGET: &str = "d";
const MEGABYTES: u64 = 64;
/// So much is synced before something happens.
const ENOUGH: u64 = 50;
const MORE_CUTS: u64 = 25;
const SLOW: u64 = 64 * 1024;

fn target() -> String {
    TARGET.to_owned()
}

fn power_cut() -> Fault {
    Fault::PowerCut { target: target() }
}

fn sync(how: disk::Sync) -> Fault {
    let target = target();
    Fault::Sync { target, how }
}

fn write(error: disk::WriteFault) -> Fault {
    let target = target();
    Fault::Write { target, error }
}

/// One of each.
pub(super) fn examples() -> Vec<Fault> {
    vec![
        power_cut(),
        Fault::DiskFull { target: target() },
        Fault::SlowDisk {
            target: target(),
            bytes_per_second: SLOW,
        },
        sync(disk::Sync::Fail),
        sync(disk::Sync::Delay { ms: 50 }),
        write(disk::WriteFault::NoSpace),
        write(disk::WriteFault::Io),
        sync(disk::Sync::Lie),
        Fault::Flip {
            target: target(),
            suffix: "synced".to_owned(),
            count: 3,
            seed: 5,
        },
    ]
}

pub(super) fn cases(bench: &mut Bench) -> Result<()> {
    prepare(bench)?;
    for fault in examples() {
        match &fault {
            Fault::PowerCut { .. } => {
                cut(bench, &fault)?;
                if bench.world.facts.lacks(Need::Sandbox).is_none() {
                    more_cuts(bench, &fault)?;
                }
            }
            Fault::DiskFull { .. } => errors(bench, &fault, Errno::ENOSPC)?,
            Fault::SlowDisk { .. } => slow(bench, &fault, "slow-disk 64 KB/s", RECORD * 1000 / SLOW / 2)?,
            Fault::Sync { how, .. } => match how {
                disk::Sync::Fail => errors(bench, &fault, Errno::EIO)?,
                disk::Sync::Delay { ms } => slow(bench, &fault, "fsync-slow 50 ms", u64::from(*ms))?,
                disk::Sync::Lie => lie(bench, &fault)?,
            },
            Fault::Write { error, .. } => match error {
                disk::WriteFault::NoSpace => errors(bench, &fault, Errno::ENOSPC)?,
                disk::WriteFault::Io => errors(bench, &fault, Errno::EIO)?,
            },
            Fault::Flip { .. } => flip(bench, &fault)?,
            Fault::Net(_)
            | Fault::Kill { .. }
            | Fault::Pause { .. }
            | Fault::Cpu { .. }
            | Fault::Memory { .. }
            | Fault::Clock { .. } => bail!("{fault:?} is no fault of a disk"),
        }
    }
    bench.world.targets.remove(TARGET);
    Ok(())
}

/// A target with all that this machine can give.
fn prepare(bench: &mut Bench) -> Result<()> {
    let facts = bench.world.facts.clone();
    let directory = bench.directory.clone();
    let has = |needs: &[Need]| needs.iter().all(|need| facts.lacks(*need).is_none());
    let disk = match has(power_cut().needs()) {
        true => Some(Disk::create(&directory, TARGET, MEGABYTES)?),
        false => None,
    };
    let library = match has(&[Need::Tool("cc")]) {
        true => Some(Shim::compile(&directory)?),
        false => None,
    };
    let cgroup = match (facts.cgroups, has(&[Need::Root])) {
        (Some(version), true) => Some(Cgroup::create(version, TARGET)?),
        (Some(_) | None, _) => None,
    };
    let target = bench.target(TARGET)?;
    target.shim = match library {
        Some(library) => Some(Shim::new(&library, &directory, TARGET, &target.files)?),
        None => None,
    };
    target.disk = disk;
    target.cgroup = cgroup;
    Ok(())
}

/// A writer that has synced enough.
fn writer(bench: &mut Bench) -> Result<(Running, PathBuf)> {
    let files = bench.target(TARGET)?.files.clone();
    let running = bench.start(TARGET, &["write", &files.to_string_lossy()])?;
    let enough = || (running.acknowledged() >= ENOUGH).then_some(());
    soon("the writer", enough)?;
    Ok((running, files))
}

/// How many records of a file are there, without a gap.
fn records(file: &Path) -> Result<u64> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let whole = bytes.chunks_exact(usize::try_from(RECORD)?).zip(1_u64..);
    let right = whole.take_while(|(record, number)| record[..8] == number.to_le_bytes());
    Ok(right.count() as u64)
}

fn cut(bench: &mut Bench, fault: &Fault) -> Result<()> {
    let (running, files) = writer(bench)?;
    let after = |_: &mut World| {
        let acknowledged = running.acknowledged();
        let (synced, unsynced) = (records(&files.join("synced"))?, records(&files.join("unsynced"))?);
        ensure!(
            synced >= acknowledged,
            "{acknowledged} were acknowledged, {synced} are there"
        );
        ensure!(
            unsynced < acknowledged,
            "what was not synced is there: this was no power cut"
        );
        let lost = acknowledged - unsynced;
        Ok(format!("{acknowledged} synced, 0 lost; not synced: {lost} lost"))
    };
    bench.case("power-cut", fault, |_| Ok("writer gone".to_owned()), after);
    Ok(())
}

/// Once is not enough: each cut finds the writer at another point.
fn more_cuts(bench: &mut Bench, fault: &Fault) -> Result<()> {
    let (mut synced, mut cuts) = (0, 0);
    let begun = Instant::now();
    while cuts < MORE_CUTS {
        let (running, files) = writer(bench)?;
        let done = (bench.world.inject(fault), bench.world.heal(fault));
        ensure!(
            matches!(done, (Injection::Installed(_), Healing::Healed(_))),
            "power cut: {done:?}"
        );
        let (acknowledged, there) = (running.acknowledged(), records(&files.join("synced"))?);
        ensure!(
            there >= acknowledged,
            "{acknowledged} were acknowledged, {there} are there"
        );
        synced += acknowledged;
        cuts += 1;
    }
    let proof = Proof::new(cuts, "EIO seen, journal replayed".to_owned());
    bench.add(Row {
        name: format!("power-cut × {cuts}"),
        injection: Injection::Installed(proof.clone()),
        injecting: begun.elapsed(),
        effect: Ok(format!("{synced} synced, 0 lost")),
        healing: Some(Healing::Healed(proof)),
        healing_took: Duration::ZERO,
        after: Ok(String::new()),
    });
    Ok(())
}

/// The writer meets this error, and goes on afterwards.
fn errors(bench: &mut Bench, fault: &Fault, errno: Errno) -> Result<()> {
    let (running, _) = writer(bench)?;
    let wanted = format!("error {}", errno as i32);
    let during = |_: &mut World| {
        running.wait_line(&wanted, |line| line == wanted)?;
        Ok(format!("writer gets {errno:?}"))
    };
    bench.case(fault.label(), fault, during, |_| goes_on(&running));
    bench.target(TARGET)?.ended();
    Ok(())
}

fn goes_on(running: &Running) -> Result<String> {
    running.wait_line("a record", |line| line.parse::<u64>().is_ok())?;
    Ok("writer goes on".to_owned())
}

/// A record takes at least so long, and less afterwards.
fn slow(bench: &mut Bench, fault: &Fault, name: &str, at_least_ms: u64) -> Result<()> {
    let (running, _) = writer(bench)?;
    let pace = |count: u64| -> Result<u64> {
        let from = running.acknowledged();
        let begun = Instant::now();
        soon("records", || {
            (running.acknowledged() >= from + count).then_some(())
        })?;
        Ok(begun.elapsed().as_millis() as u64 / count)
    };
    let during = |_: &mut World| {
        // One may be under way.
        pace(1)?;
        within("ms a record", pace(10)?, at_least_ms, 2_000)
    };
    let after = |_: &mut World| {
        pace(1)?;
        within("ms a record", pace(10)?, 0, at_least_ms - 1)
    };
    bench.case(name, fault, during, after);
    bench.target(TARGET)?.ended();
    Ok(())
}

/// Only a power cut shows that fsync has lied.
fn lie(bench: &mut Bench, fault: &Fault) -> Result<()> {
    let (running, files) = writer(bench)?;
    let during = |world: &mut World| {
        let before = running.acknowledged();
        let more = || (running.acknowledged() > before + ENOUGH).then_some(());
        soon("lies", more)?;
        let (injected, healed) = (world.inject(&power_cut()), world.heal(&power_cut()));
        ensure!(
            matches!(
                (&injected, &healed),
                (Injection::Installed(_), Healing::Healed(_))
            ),
            "power cut: {injected:?}, {healed:?}"
        );
        let (acknowledged, there) = (running.acknowledged(), records(&files.join("synced"))?);
        ensure!(
            there < acknowledged,
            "all {acknowledged} are there: fsync did not lie"
        );
        let lost = acknowledged - there;
        Ok(format!(
            "after a power cut {lost} of {acknowledged} acknowledged are lost"
        ))
    };
    if bench.world.facts.lacks(Need::Sandbox).is_some() {
        bench.skip(
            "fsync-lies",
            "only a power cut shows it, and that needs the sandbox",
        );
        return Ok(());
    }
    bench.case("fsync-lies", fault, during, |_| Ok(String::new()));
    Ok(())
}

fn flip(bench: &mut Bench, fault: &Fault) -> Result<()> {
    let (mut running, files) = writer(bench)?;
    running.child.kill()?;
    bench.target(TARGET)?.ended();
    let read = || -> Result<Vec<u8>> {
        let mut all = std::fs::read(files.join("synced"))?;
        all.extend(std::fs::read(files.join("unsynced"))?);
        Ok(all)
    };
    let before = read()?;
    let differ = || -> Result<u64> {
        Ok(before
            .iter()
            .zip(read()?)
            .filter(|(old, new)| **old != *new)
            .count() as u64)
    };
    let during = |_: &mut World| within("bytes differ", differ()?, 3, 3);
    let after = |_: &mut World| within("bytes differ", differ()?, 0, 0);
    bench.case("byte-flip", fault, during, after);
    Ok(())
}
