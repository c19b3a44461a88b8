//! Faults of processes and of their clocks, seen by what the processes do.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::bench::{Bench, Running, soon, start, within};
use crate::clock::{self, Clock};
use crate::fault::{Fault, World};
use crate::process::{self, Cgroup};

const TARGET: &str = "p";
const LIMIT: u64 = 64 * 1024 * 1024;
const JUMPS_MS: [i64; 3] = [300_000, -3_600_000, 86_400_000];
/// A line of the clock is so old at most.
const TOLERANCE_MS: i64 = 1_000;

/// One of each.
pub(super) fn examples() -> Vec<Fault> {
    let target = || TARGET.to_owned();
    vec![
        Fault::Kill { target: target() },
        Fault::Pause { target: target() },
        Fault::Cpu {
            target: target(),
            percent: 10,
        },
        Fault::Memory {
            target: target(),
            bytes: LIMIT,
        },
        clock_jump(JUMPS_MS[0]),
    ]
}

fn clock_jump(offset_ms: i64) -> Fault {
    Fault::Clock {
        target: TARGET.to_owned(),
        offset_ms,
    }
}

pub(super) fn cases(bench: &mut Bench) -> Result<()> {
    let (groups, faketime) = (bench.world.facts.cgroups, bench.world.facts.faketime.clone());
    let root = bench.world.facts.lacks(crate::sandbox::Need::Root).is_none();
    let directory = bench.directory.clone();
    let target = bench.target(TARGET)?;
    target.cgroup = groups
        .filter(|_| root)
        .map(|version| Cgroup::create(version, TARGET))
        .transpose()?;
    // The clock needs another environment, and comes last.
    let tests: [fn(&mut Bench, &Fault) -> Result<()>; 4] = [kill, pause, cpu, memory];
    for (test, fault) in tests.iter().zip(examples()) {
        test(bench, &fault)?;
    }
    let clock = faketime
        .map(|library| Clock::new(&library, &directory, TARGET))
        .transpose()?;
    bench.target(TARGET)?.clock = clock;
    clocks(bench)
}

fn kill(bench: &mut Bench, fault: &Fault) -> Result<()> {
    let mut old = bench.start(TARGET, &["burn"])?;
    let directory = bench.directory.clone();
    // Killing is healed by starting again, which is for the owner to do.
    let mut new = None;
    let during = |world: &mut World| {
        let status = soon("the end", || old.child.ended())?;
        ensure!(status.signal() == Some(9), "{status}");
        new = Some(start(world, TARGET, &["burn"], &directory.join("again.log"))?);
        Ok("parent sees signal 9".to_owned())
    };
    bench.case("kill", fault, during, |_| Ok(String::new()));
    drop(new);
    Ok(())
}

fn pause(bench: &mut Bench, fault: &Fault) -> Result<()> {
    let burning = bench.start(TARGET, &["burn"])?;
    let during = |_: &mut World| within("ticks of CPU in 200 ms", used(&burning, 200)?, 0, 0);
    let after = |_: &mut World| within("ticks of CPU in 200 ms", used(&burning, 200)?, 1, 25);
    bench.case("pause", fault, during, after);
    Ok(())
}

fn cpu(bench: &mut Bench, fault: &Fault) -> Result<()> {
    let burning = bench.start(TARGET, &["burn"])?;
    // What it still has from before is used up in the first period.
    let during = |_: &mut World| {
        used(&burning, 200)?;
        within("ticks of CPU in 1 s", used(&burning, 1000)?, 1, 15)
    };
    let after = |_: &mut World| within("ticks of CPU in 1 s", used(&burning, 1000)?, 16, 105);
    bench.case("cpu 10 %", fault, during, after);
    Ok(())
}

/// How many hundredths of a second it used in so many milliseconds.
fn used(running: &Running, ms: u64) -> Result<u64> {
    let before = running.ticks()?;
    std::thread::sleep(Duration::from_millis(ms));
    Ok(running.ticks()? - before)
}

fn memory(bench: &mut Bench, fault: &Fault) -> Result<()> {
    let mut eater = bench.start(TARGET, &["eat"])?;
    let directory = bench.directory.clone();
    // What it took before it was put into its group does not count.
    let during = |_: &mut World| {
        let status = soon("the end", || eater.child.ended())?;
        ensure!(status.signal() == Some(9), "{status}");
        let eaten = eater.acknowledged();
        within("MB taken, then killed", eaten, 20, LIMIT / 1024 / 1024 + 16)
    };
    let after = |world: &mut World| {
        let free = start(world, TARGET, &["eat"], &directory.join("free.log"))?;
        let more = LIMIT / 1024 / 1024 + 16;
        soon("more than the limit", || {
            (free.acknowledged() > more).then_some(())
        })?;
        Ok(format!("more than {more} MB taken"))
    };
    bench.case("memory 64 MB", fault, during, after);
    Ok(())
}

fn clocks(bench: &mut Bench) -> Result<()> {
    let teller = bench.start(TARGET, &["clock", "--every-ms", "20"])?;
    for offset_ms in JUMPS_MS {
        let name = format!("clock {:+} s", offset_ms / 1000);
        let during = |_: &mut World| see_offset(&teller, offset_ms);
        let after = |_: &mut World| see_offset(&teller, 0);
        bench.case(&name, &clock_jump(offset_ms), during, after);
    }
    ensure!(
        process::lives(teller.child.pid()),
        "the clock's process has ended"
    );
    Ok(())
}

/// The wall clock of a process that runs since before the jump, and its monotonic clock beside it.
fn see_offset(teller: &Running, offset_ms: i64) -> Result<String> {
    let parse = |line: &str| -> Option<(i64, i64)> {
        let (wall, monotonic) = line.split_once(' ')?;
        Some((wall.parse().ok()?, monotonic.parse().ok()?))
    };
    let line = teller.wait_line("the clock", |line| parse(line).is_some())?;
    let (_, first) = parse(&line).context(line.clone())?;
    let begun = clock::now_ms()?;
    let line = teller.wait_line("the jump", |line| {
        let wrong = |wall: i64| clock::now_ms().map_or(i64::MAX, |now| (wall - now - offset_ms).abs());
        parse(line).is_some_and(|(wall, _)| wrong(wall) < TOLERANCE_MS)
    })?;
    let (wall, last) = parse(&line).context(line.clone())?;
    let (passed, real) = (last - first, clock::now_ms()? - begun);
    ensure!(
        (passed - real).abs() < TOLERANCE_MS,
        "its monotonic clock went {passed} ms in {real} ms"
    );
    Ok(format!(
        "running process is {} ms off; monotonic +{passed} ms in {real} ms",
        wall - clock::now_ms()?
    ))
}
