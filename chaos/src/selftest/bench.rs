//! Where injectors are tested: a world, small processes in it, and the rows of the table.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reeve_testkit::Child;

use super::table::Row;
use super::{lines, own_program};
use crate::fault::{Fault, Healing, Injection, Target, World};

/// For what is bound to happen.
const SOON: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(2);

/// The bench.
pub(super) struct Bench {
    pub world: World,
    pub directory: PathBuf,
    rows: Vec<Row>,
    started: usize,
}

impl Bench {
    pub(super) fn new(world: World, directory: &Path) -> Self {
        Self {
            world,
            directory: directory.to_owned(),
            rows: Vec::new(),
            started: 0,
        }
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// A row of something that cannot be had here.
    pub(super) fn skip(&mut self, name: &str, why: &str) {
        self.add(Row {
            name: name.to_owned(),
            injection: Injection::Skipped(why.to_owned()),
            injecting: Duration::ZERO,
            effect: Ok(String::new()),
            healing: None,
            healing_took: Duration::ZERO,
            after: Ok(String::new()),
        });
    }

    /// Injects, looks, heals, looks again.
    pub(super) fn case(
        &mut self,
        name: &str,
        fault: &Fault,
        during: impl FnOnce(&mut World) -> Result<String>,
        after: impl FnOnce(&mut World) -> Result<String>,
    ) {
        let begun = Instant::now();
        let injection = self.world.inject(fault);
        let injecting = begun.elapsed();
        if let Injection::Skipped(why) = &injection {
            let why = why.clone();
            return self.skip(name, &why);
        }
        let effect = during(&mut self.world).map_err(|error| format!("{error:#}"));
        let begun = Instant::now();
        let healing: Healing = self.world.heal(fault);
        let healing_took = begun.elapsed();
        let after = after(&mut self.world).map_err(|error| format!("{error:#}"));
        self.add(Row {
            name: name.to_owned(),
            injection,
            injecting,
            effect,
            healing: Some(healing),
            healing_took,
            after,
        });
    }

    /// Starts a stand-in as this target.
    pub(super) fn start(&mut self, target: &str, arguments: &[&str]) -> Result<Running> {
        self.started += 1;
        let log = self.directory.join(format!("{target}-{}.log", self.started));
        start(&mut self.world, target, arguments, &log)
    }

    /// A new target without parts, with a directory for its files.
    pub(super) fn target(&mut self, name: &str) -> Result<&mut Target> {
        let files = self.directory.join(name);
        std::fs::create_dir_all(&files)?;
        let target = Target::new(&files);
        Ok(self.world.targets.entry(name.to_owned()).or_insert(target))
    }
}

/// Starts a stand-in as this target, in a world that is being looked at.
pub(super) fn start(world: &mut World, target: &str, arguments: &[&str], log: &Path) -> Result<Running> {
    let target = world.targets.get_mut(target).context("a target that was made")?;
    let mut command = target.command(&own_program()?);
    command.arg("stand-in").args(arguments);
    let child = Child::spawn("stand-in", command, log)?;
    target.started(child.pid())?;
    Ok(Running { child })
}

/// A stand-in.
pub(super) struct Running {
    pub child: Child,
}

impl Running {
    pub(super) fn lines(&self) -> Vec<String> {
        lines(self.child.log())
    }

    /// Waits until it has printed a line that is not older than this call and that is so.
    pub(super) fn wait_line(&self, what: &str, is_so: impl Fn(&str) -> bool) -> Result<String> {
        let seen = self.lines().len();
        soon(what, || {
            self.lines().into_iter().skip(seen).find(|line| is_so(line))
        })
    }

    /// What it has synced last.
    pub(super) fn acknowledged(&self) -> u64 {
        let numbers = self.lines().into_iter().filter_map(|line| line.parse().ok());
        numbers.max().unwrap_or(0)
    }

    /// CPU time that it has used, in ticks of a hundredth of a second.
    pub(super) fn ticks(&self) -> Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.pid()))?;
        let (_, fields) = stat.rsplit_once(") ").context("a line of /proc")?;
        let used = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
        Ok(used.collect::<Result<Vec<_>, _>>()?.iter().sum())
    }
}

/// Waits for what is bound to happen.
pub(super) fn soon<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what}: not within {} s", SOON.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

/// A value within its bounds, told with its name.
pub(super) fn within(what: &str, value: u64, lowest: u64, highest: u64) -> Result<String> {
    ensure!(
        (lowest..=highest).contains(&value),
        "{value} {what}, not {lowest} to {highest}"
    );
    Ok(format!("{value} {what}"))
}
