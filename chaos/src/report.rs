//! What is told in the end: of every scenario whether it held, of the run what it was made of, and of every failure when it happened
//! and how to see it again.

mod numbers;
mod text;
mod timeline;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::checker::coverage::{self, Minimums};
use crate::checker::tally::Tally;
use crate::checker::verdict::{Finding, Word};
use crate::checker::{ledger, offline};
use crate::judge::{self, Evidence};
use crate::setting::Setting;

pub use numbers::Numbers;

/// A scenario that was performed and judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What it left.
    pub directory: PathBuf,
    /// What it was run with.
    pub setting: Setting,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What was asked, what broke and what became of it.
    pub tally: Tally,
    /// Figures beside the checks.
    pub numbers: Numbers,
}

impl Judged {
    /// Whether nothing was found that it fails for.
    pub fn passed(&self) -> bool {
        !self.findings.iter().any(Finding::fails)
    }
}

/// A program that is wrong on purpose, and who noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MutantResult {
    /// What is wrong with it.
    pub mutant: String,
    /// The scenario that was to notice.
    pub scenario: String,
    /// The rule that was broken; none: nobody noticed.
    pub killed_by: Option<String>,
    /// How long that took, milliseconds.
    pub after_ms: u64,
}

/// Everything about a run.
#[derive(Debug, Serialize)]
struct Report {
    profile: String,
    seed: u64,
    version: &'static str,
    /// Of the scenarios that were no mutants'.
    scenarios: Vec<Row>,
    numbers: Numbers,
    tally: Tally,
    /// The same checks of all scenarios, as one each.
    findings: Vec<Finding>,
    /// What the run was not, and had to be.
    not_covered: Vec<String>,
    mutants: Vec<MutantResult>,
    passed: usize,
    failed: usize,
}

/// A scenario in the report.
#[derive(Debug, Serialize)]
struct Row {
    scenario: String,
    seed: u64,
    passed: bool,
    /// The worst that was found.
    word: Word,
    directory: PathBuf,
    /// Rules that did not hold.
    failed: Vec<Finding>,
    /// Timelines of what did not hold.
    timelines: Vec<PathBuf>,
}

/// What the report is of.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The profile's name.
    pub profile: String,
    /// The seed of all scenarios.
    pub seed: u64,
    /// What it must have been.
    pub minimums: Minimums,
}

/// Reads and judges a scenario that is over. What is found of it elsewhere can be added; its files are needed again only if it fails.
///
/// # Errors
/// Something it left cannot be read.
pub fn judged(directory: &Path) -> Result<Judged> {
    let evidence = Evidence::read(directory)?;
    let replayed = evidence.replay();
    let numbers = Numbers::of(&evidence, &replayed, &ledger_lines(directory)?);
    let story = evidence.story();
    let late = offline::delays_ms(&story, &evidence.beats, replayed.log());
    let tally = Tally::of(&story, &evidence.ops, &evidence.dumps, late);
    Ok(Judged {
        directory: directory.to_owned(),
        findings: judge::all(&evidence, replayed)?,
        setting: evidence.setting,
        tally,
        numbers,
    })
}

/// Writes `report.json`, `report.md` and timelines into a directory, and the report for people to `out`. True: everything passed.
///
/// # Errors
/// It cannot be written, or what a scenario left cannot be read.
pub fn write(
    out: &mut impl Write,
    directory: &Path,
    run: &Run,
    scenarios: &[Judged],
    mutants: &[MutantResult],
) -> Result<bool> {
    let report = gather(run, scenarios, mutants)?;
    let json = directory.join("report.json");
    std::fs::write(&json, serde_json::to_string_pretty(&report)?)
        .with_context(|| json.display().to_string())?;
    let markdown = directory.join("report.md");
    std::fs::write(&markdown, text::markdown(&report)).with_context(|| markdown.display().to_string())?;
    out.write_all(text::plain(&report).as_bytes())?;
    Ok(report.failed == 0)
}

fn gather(run: &Run, scenarios: &[Judged], mutants: &[MutantResult]) -> Result<Report> {
    let mut tally = Tally::default();
    let mut numbers = Numbers::default();
    let mut rows = Vec::new();
    for judged in scenarios {
        tally.plus(&judged.tally);
        numbers.plus(&judged.numbers);
        rows.push(row(judged)?);
    }
    numbers.lost = losses(scenarios);
    let findings = coverage::merged(scenarios.iter().flat_map(|judged| &judged.findings));
    let mut not_covered = coverage::lacks(&tally, &run.minimums);
    not_covered.extend(coverage::unexamined(&findings));
    let alive = mutants.iter().filter(|mutant| mutant.killed_by.is_none()).count();
    let held = rows.iter().filter(|row| row.passed).count();
    let passed = held + mutants.len() - alive;
    // What a run did not cover counts as one that failed.
    let failed = rows.len() - held + alive + usize::from(!not_covered.is_empty());
    Ok(Report {
        profile: run.profile.clone(),
        seed: run.seed,
        version: env!("CARGO_PKG_VERSION"),
        scenarios: rows,
        numbers,
        tally,
        findings,
        not_covered,
        mutants: mutants.to_vec(),
        passed,
        failed,
    })
}

fn ledger_lines(directory: &Path) -> Result<Vec<ledger::Line>> {
    let mut lines = Vec::new();
    for path in judge::files(directory, "ledger-")? {
        lines.extend(ledger::load(&path)?);
    }
    Ok(lines)
}

/// What was acknowledged and is not there, as the checks of I2 say.
fn losses(scenarios: &[Judged]) -> usize {
    let findings = scenarios.iter().flat_map(|judged| &judged.findings);
    let of_losses = findings.filter(|finding| finding.invariant == "I2");
    of_losses.map(|finding| finding.violations.len()).sum()
}

fn row(judged: &Judged) -> Result<Row> {
    let failed: Vec<Finding> = judged
        .findings
        .iter()
        .filter(|finding| finding.fails())
        .cloned()
        .collect();
    let timelines = if failed.is_empty() {
        Vec::new()
    } else {
        timeline::write(&Evidence::read(&judged.directory)?, &failed)?
    };
    Ok(Row {
        scenario: judged.setting.scenario.clone(),
        seed: judged.setting.seed,
        passed: failed.is_empty(),
        word: failed.iter().map(Finding::word).max().unwrap_or(Word::Ok),
        directory: judged.directory.clone(),
        failed,
        timelines,
    })
}

#[cfg(test)]
mod tests;
