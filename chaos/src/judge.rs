//! Judges what a run left in its directory: histories, ledgers, what the API said in the end, and what the nodes have on disk.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::beats::{self, Beat};
use crate::checker::ledger::{self, RunSaid};
use crate::checker::verdict::{Finding, table};
use crate::checker::{linear, order, replay, tokens};
use crate::dump::{self, Dump};
use crate::history::op::{self, Op, unsound};

/// What the API said of runs in the end, beside the histories.
pub const SAID: &str = "runs.json";
/// Until when all objects must have a verdict.
const LINEAR: Duration = Duration::from_secs(120);
/// Most details that are printed of one finding.
const SHOWN: usize = 10;

/// Every check that what is in the directory allows.
///
/// # Errors
/// Something in it cannot be read.
pub fn judge(directory: &Path) -> Result<Vec<Finding>> {
    let histories: Vec<Vec<Op>> = files(directory, "ops-")?
        .iter()
        .map(|path| op::load(path))
        .collect::<Result<_>>()?;
    let mut sound = Finding::of("H", "histories are whole and in order");
    sound.examined = histories.iter().map(Vec::len).sum();
    sound.harness = unsound(&histories);
    let ops: Vec<Op> = histories.into_iter().flatten().collect();
    let dumps = dumps(directory)?;
    let mut findings = vec![sound];
    findings.extend(linear::all(&ops, Instant::now() + LINEAR));
    findings.extend(tokens::all(&ops));
    let mut truth = None;
    if !dumps.is_empty() {
        let replayed = replay::all(&dumps);
        findings.extend(replayed.findings);
        truth = replayed.truth;
    }
    findings.extend(order::all(&ops, truth.as_ref()));
    if let Some(said) = said(directory)? {
        findings.extend(executed(directory, &said)?);
    }
    Ok(findings)
}

/// What endpoints did, as far as anybody wrote it down.
fn executed(directory: &Path, said: &BTreeMap<String, RunSaid>) -> Result<Vec<Finding>> {
    let processes: Vec<Vec<ledger::Line>> = files(directory, "ledger-")?
        .iter()
        .map(|path| ledger::load(path))
        .collect::<Result<_>>()?;
    if processes.is_empty() {
        return Ok(ledger::without(said));
    }
    let mut findings = vec![ledger::within_capacity(&processes, &capacities(directory)?)];
    let lines: Vec<ledger::Line> = processes.into_iter().flatten().collect();
    findings.extend(ledger::all(&lines, said));
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

/// The data directories of nodes: they hold a log and a state.
fn dumps(directory: &Path) -> Result<Vec<Dump>> {
    let mut dumps = Vec::new();
    for path in files(directory, "")? {
        if path.join("log").is_dir() && path.join("state").is_dir() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            dumps.push(dump::read(&name, &path)?);
        }
    }
    Ok(dumps)
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

fn files(directory: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
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
pub fn again(out: &mut impl Write, directory: &Path) -> Result<bool> {
    let findings = judge(directory)?;
    if findings.iter().all(|finding| finding.examined == 0) {
        bail!("{} holds nothing that can be judged", directory.display());
    }
    print(out, &findings)?;
    let passed = findings.iter().filter(|finding| finding.passed()).count();
    writeln!(out, "{passed} passed, {} failed", findings.len() - passed)?;
    Ok(passed == findings.len())
}
