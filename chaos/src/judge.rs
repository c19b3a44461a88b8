//! Judges what a run left in its directory: histories, ledgers, what the API said in the end, and what the nodes have on disk.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::checker::ledger::{self, RunSaid};
use crate::checker::verdict::{Finding, table};
use crate::checker::{linear, lost, order, replay};
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
    judge_histories(directory, histories(directory)?)
}

/// As [`judge`], with a line of the histories lost: then something must be found. `seed` draws which.
///
/// # Errors
/// Something in it cannot be read, or nothing in it can be lost.
pub fn judge_without_a_line(directory: &Path, seed: u64) -> Result<Vec<Finding>> {
    let mut histories = histories(directory)?;
    lost::lose_line(&mut histories, seed).context("no write was acknowledged and seen by somebody")?;
    judge_histories(directory, histories)
}

fn histories(directory: &Path) -> Result<Vec<Vec<Op>>> {
    let files = files(directory, "ops-")?;
    files.iter().map(|path| op::load(path)).collect()
}

fn judge_histories(directory: &Path, histories: Vec<Vec<Op>>) -> Result<Vec<Finding>> {
    let mut sound = Finding::of("H", "histories are whole and in order");
    sound.examined = histories.iter().map(Vec::len).sum();
    sound.harness = unsound(&histories);
    let ops: Vec<Op> = histories.into_iter().flatten().collect();
    let dumps = dumps(directory)?;
    let mut findings = vec![sound];
    findings.extend(linear::all(&ops, Instant::now() + LINEAR));
    let mut truth = None;
    if !dumps.is_empty() {
        let replayed = replay::all(&dumps);
        findings.extend(replayed.findings);
        truth = replayed.truth;
    }
    findings.extend(order::all(&ops, truth.as_ref()));
    if let Some(said) = said(directory)? {
        let ledgers = files(directory, "ledger-")?;
        if ledgers.is_empty() {
            findings.extend(ledger::without(&said));
        } else {
            let mut lines = Vec::new();
            for path in ledgers {
                lines.extend(ledger::load(&path)?);
            }
            findings.extend(ledger::all(&lines, &said));
        }
    }
    Ok(findings)
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
pub fn again(out: &mut impl Write, directory: &Path, lose_line: Option<u64>) -> Result<bool> {
    let findings = match lose_line {
        Some(seed) => judge_without_a_line(directory, seed)?,
        None => judge(directory)?,
    };
    if findings.iter().all(|finding| finding.examined == 0) {
        bail!("{} holds nothing that can be judged", directory.display());
    }
    print(out, &findings)?;
    let passed = findings.iter().filter(|finding| finding.passed()).count();
    writeln!(out, "{passed} passed, {} failed", findings.len() - passed)?;
    Ok(passed == findings.len())
}
