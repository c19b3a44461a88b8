//! Judges what a run left in its directory: histories, ledgers, what the API said in the end, and what the nodes have on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::beats::{self, Beat};
use crate::check;
use crate::checker::ledger::{self, Lost, RunSaid};
use crate::checker::recovery::{self, Bounds};
use crate::checker::replay::{self, Replayed};
use crate::checker::story::Story;
use crate::checker::verdict::{Finding, table};
use crate::checker::{linear, lost, offline, order, processes, samples, tally, tokens, views};
use crate::dump::{self, Dump};
use crate::event::{self, Event, What};
use crate::fault::Fault;
use crate::history::op::{self, Op, unsound};
use crate::setting::{self, Setting};

/// What the API said of runs in the end, beside the histories.
pub const SAID: &str = "runs.json";
/// Until when all objects must have a verdict.
const LINEAR: Duration = Duration::from_secs(40);
/// Most details that are printed of one finding.
const SHOWN: usize = 10;

/// What a scenario left.
pub struct Evidence {
    /// Where.
    pub directory: PathBuf,
    /// What it was run with.
    pub setting: Setting,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Every call of every client.
    pub ops: Vec<Op>,
    /// What workers know of their sessions.
    pub beats: Vec<beats::Line>,
    /// What stopped nodes have on disk.
    pub dumps: Vec<Dump>,
    /// Whether the files themselves are as they should be.
    sound: Finding,
}

impl Evidence {
    /// Reads a directory.
    ///
    /// # Errors
    /// Something in it cannot be read that must be readable whatever the system did.
    pub fn read(directory: &Path) -> Result<Self> {
        Self::with(directory, histories(directory)?)
    }

    fn with(directory: &Path, histories: Vec<Vec<Op>>) -> Result<Self> {
        let mut sound = Finding::of("H", "histories are whole and in order");
        sound.examined = histories.iter().map(Vec::len).sum();
        sound.harness = unsound(&histories);
        let has = |file: &str| directory.join(file).exists();
        let setting = if has(setting::FILE) {
            Setting::load(directory)?
        } else {
            Setting::default()
        };
        let mut events = if has(event::FILE) {
            event::load(directory)?
        } else {
            Vec::new()
        };
        events.sort_by_key(|event| event.at);
        let mut beats = Vec::new();
        for path in files(directory, "beats-")? {
            beats.extend(beats::load(&path)?);
        }
        let dumps = dumps(directory, &events, &mut sound)?;
        Ok(Self {
            directory: directory.to_owned(),
            setting,
            events,
            ops: histories.into_iter().flatten().collect(),
            beats,
            dumps,
            sound,
        })
    }

    /// The events as intervals.
    pub fn story(&self) -> Story<'_> {
        Story::of(&self.setting, &self.events)
    }

    /// The logs, replayed.
    pub fn replay(&self) -> Replayed {
        if self.dumps.is_empty() {
            return Replayed::default();
        }
        replay::all(&self.dumps)
    }
}

/// Every check that what is in the directory allows.
///
/// # Errors
/// Something in it cannot be read.
pub fn judge(directory: &Path) -> Result<Vec<Finding>> {
    let evidence = Evidence::read(directory)?;
    let replayed = evidence.replay();
    all(&evidence, replayed)
}

/// As [`judge`], with a line of the histories lost: then something must be found. `seed` draws which.
///
/// # Errors
/// Something in it cannot be read, or nothing in it can be lost.
pub fn judge_without_a_line(directory: &Path, seed: u64) -> Result<Vec<Finding>> {
    let mut histories = histories(directory)?;
    lost::lose_line(&mut histories, seed).context("no write was acknowledged and seen by somebody")?;
    let evidence = Evidence::with(directory, histories)?;
    let replayed = evidence.replay();
    all(&evidence, replayed)
}

fn histories(directory: &Path) -> Result<Vec<Vec<Op>>> {
    let files = files(directory, "ops-")?;
    files.iter().map(|path| op::load(path)).collect()
}

/// The same of what was read and replayed.
///
/// # Errors
/// As [`judge`].
pub fn all(evidence: &Evidence, mut replayed: Replayed) -> Result<Vec<Finding>> {
    let directory = &evidence.directory;
    let mut findings = vec![evidence.sound.clone()];
    findings.extend(tokens::all(&evidence.ops));
    findings.extend(linear::all(&evidence.ops, Instant::now() + LINEAR));
    findings.extend(order::all(&evidence.ops, replayed.truth.as_ref()));
    if !evidence.events.is_empty() {
        findings.extend(of_events(evidence, &replayed)?);
    }
    let lost = Lost {
        workers: lost_workers(evidence, &replayed),
        given_up: std::mem::take(&mut replayed.given_up),
    };
    findings.extend(replayed.findings);
    if directory.join(check::FILE).exists() {
        findings.extend(check::load(&directory.join(check::FILE))?);
    }
    if let Some(said) = said(directory)? {
        findings.extend(executed(directory, &said, &lost)?);
    }
    Ok(findings)
}

/// Workers whose process ended, or that were given up, at whatever time.
fn lost_workers(evidence: &Evidence, replayed: &Replayed) -> BTreeSet<String> {
    let logged = replayed
        .log()
        .into_iter()
        .flatten()
        .map(|fall| fall.worker.clone());
    let seen = evidence.events.iter().filter_map(|event| {
        if let What::Ended { process, .. } = &event.what {
            Some(process.clone())
        } else if let What::WorkerSeen { worker, status, .. } = &event.what
            && status.ends_with("OFFLINE")
        {
            Some(worker.clone())
        } else {
            None
        }
    });
    seen.chain(logged).collect()
}

/// What endpoints did, as far as anybody wrote it down.
fn executed(directory: &Path, said: &BTreeMap<String, RunSaid>, lost: &Lost) -> Result<Vec<Finding>> {
    let processes: Vec<Vec<ledger::Line>> = files(directory, "ledger-")?
        .iter()
        .map(|path| ledger::load(path))
        .collect::<Result<_>>()?;
    if processes.is_empty() {
        return Ok(ledger::without(said));
    }
    let mut findings = vec![ledger::within_capacity(&processes, &capacities(directory)?)];
    let lines: Vec<ledger::Line> = processes.into_iter().flatten().collect();
    findings.extend(ledger::all(&lines, said, lost));
    Ok(findings)
}

/// What each worker takes, as its processes said when they began.
fn capacities(directory: &Path) -> Result<BTreeMap<String, u32>> {
    let mut capacities = BTreeMap::new();
    for path in files(directory, beats::PREFIX)? {
        for line in beats::load(&path)? {
            if let Beat::Started {
                capacity: Some(capacity),
            } = line.beat
            {
                capacities.insert(line.worker, capacity);
            }
        }
    }
    Ok(capacities)
}

/// What needs to be known of faults, processes and watchers.
fn of_events(evidence: &Evidence, replayed: &Replayed) -> Result<Vec<Finding>> {
    let story = evidence.story();
    let mut findings = vec![tally::faults_known(&story)];
    findings.extend(views::all(&story, &evidence.ops, &evidence.dumps));
    findings.extend(offline::all(&story, &evidence.beats, replayed.log()));
    findings.extend(samples::all(&story));
    findings.extend(recovery::all(&story, &evidence.ops, Bounds::default()));
    let mut logs = files(&evidence.directory, "n")?;
    logs.extend(files(&evidence.directory, "w")?);
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    findings.extend(processes::all(&story, &logs)?);
    Ok(findings)
}

/// The data directories of nodes: they hold a log and a state. One whose bytes were changed need not be readable.
fn dumps(directory: &Path, events: &[Event], sound: &mut Finding) -> Result<Vec<Dump>> {
    let mut dumps = Vec::new();
    for path in files(directory, "")? {
        if !path.join("log").is_dir() || !path.join("state").is_dir() {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match dump::read(&name, &path) {
            Ok(dump) => dumps.push(dump),
            Err(error) if was_flipped(events, &name) => {
                let note = format!("{name}, whose bytes were changed, cannot be read: {error:#}");
                sound.notes.push(note);
            }
            Err(error) => sound.harness.push(format!("{name} cannot be read: {error:#}")),
        }
    }
    Ok(dumps)
}

fn was_flipped(events: &[Event], name: &str) -> bool {
    events.iter().any(|event| {
        matches!(
            &event.what,
            event::What::Injected { fault: Fault::Flip { target, .. }, .. } if target == name
        )
    })
}

fn said(directory: &Path) -> Result<Option<BTreeMap<String, RunSaid>>> {
    let path = directory.join(SAID);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(Some(
        serde_json::from_str(&text).with_context(|| path.display().to_string())?,
    ))
}

/// Files whose names begin so, in order.
///
/// # Errors
/// The directory cannot be read.
pub fn files(directory: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(prefix) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Prints every finding, and the table by invariant.
///
/// # Errors
/// It cannot be written.
pub fn print(out: &mut impl Write, findings: &[Finding]) -> Result<()> {
    for finding in findings {
        let Finding {
            invariant,
            rule,
            examined,
            ..
        } = finding;
        let word = finding.word().name();
        writeln!(out, "  {invariant:<4} {word:<13} {rule} ({examined} examined)")?;
        for detail in finding.details().take(SHOWN) {
            writeln!(out, "                       {detail}")?;
        }
        let more = finding.details().count().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(out, "                       … and {more} more")?;
        }
    }
    writeln!(out, "invariants")?;
    for row in table(findings) {
        let word = row.word.name();
        writeln!(
            out,
            "  {:<4} {word:<13} {} checks, {} examined, {} violations",
            row.invariant, row.checks, row.examined, row.violations
        )?;
    }
    Ok(())
}

/// What is put on paper of a directory that was kept.
///
/// # Errors
/// It cannot be read, or something in it failed.
pub fn again(out: &mut impl Write, directory: &Path, lose_line: Option<u64>) -> Result<bool> {
    let findings = match lose_line {
        Some(seed) => judge_without_a_line(directory, seed)?,
        None => judge(directory)?,
    };
    if findings.iter().all(|finding| finding.examined == 0) {
        bail!("{} holds nothing that can be judged", directory.display());
    }
    print(out, &findings)?;
    let failed = findings.iter().filter(|finding| finding.fails()).count();
    let passed = findings.iter().filter(|finding| finding.passed()).count();
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(failed == 0)
}
