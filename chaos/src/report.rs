//! What is told in the end.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use reeve_proto::v1::RunReasonCode;

use crate::check::{Checked, Evidence};
use crate::checker::verdict::Finding;
use crate::finals::RunFinal;
use crate::history::{Outcome, Records};
use crate::judge;
use crate::plan::Fault;

/// Most violations that are printed of one rule.
const SHOWN: usize = 10;

/// Prints faults, operations, recovery, and every check.
///
/// # Errors
/// It cannot be written.
pub fn print(
    out: &mut impl Write,
    evidence: &Evidence,
    checks: &[Checked],
    findings: &[Finding],
) -> Result<()> {
    let records = &evidence.records;
    writeln!(out, "\nfaults")?;
    for (label, count) in tally(records.faults.iter().map(|done| done.fault.label().to_owned())) {
        writeln!(out, "  {count:>6}  {label}")?;
    }
    writeln!(out, "attempts")?;
    for (label, count) in tally(records.attempts.iter().map(|attempt| label(&attempt.outcome))) {
        writeln!(out, "  {count:>6}  {label}")?;
    }
    writeln!(out, "  {:>6}  linearizable reads", records.reads.len())?;
    if let Some(node) = evidence.nodes.first() {
        writeln!(out, "runs")?;
        for (label, count) in tally(node.runs.values().map(ending)) {
            writeln!(out, "  {count:>6}  {label}")?;
        }
    }
    for (label, mut gaps) in outages_ms(records) {
        gaps.sort_unstable();
        let (middle, last) = (gaps[(gaps.len() - 1) / 2], gaps[gaps.len() - 1]);
        writeln!(
            out,
            "{label} to first acknowledged write: median {middle} ms, worst {last} ms"
        )?;
    }
    writeln!(out, "checks")?;
    for check in checks {
        print_check(out, check)?;
    }
    writeln!(out, "histories, logs and states")?;
    judge::print(out, findings)?;
    let failed = checks.iter().filter(|check| !check.passed()).count()
        + findings.iter().filter(|finding| !finding.passed()).count();
    let all = checks.len() + findings.len();
    writeln!(out, "{} passed, {failed} failed", all - failed)?;
    Ok(())
}

fn print_check(out: &mut impl Write, check: &Checked) -> Result<()> {
    let word = if check.passed() { "ok" } else { "FAILED" };
    writeln!(out, "  {word:<6}  {} ({} examined)", check.rule, check.examined)?;
    for violation in check.violations.iter().take(SHOWN) {
        writeln!(out, "            {violation}")?;
    }
    if check.violations.len() > SHOWN {
        writeln!(out, "            … and {} more", check.violations.len() - SHOWN)?;
    }
    Ok(())
}

fn tally(labels: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for label in labels {
        *counts.entry(label).or_default() += 1;
    }
    counts
}

fn ending(run: &RunFinal) -> String {
    let status = run.status.as_str_name();
    if run.reason == RunReasonCode::Unspecified {
        return status.to_owned();
    }
    format!("{status}, {}", run.reason.as_str_name())
}

fn label(outcome: &Outcome) -> String {
    match outcome {
        Outcome::TestStored { .. } => "tests stored".to_owned(),
        Outcome::RunStarted { .. } => "runs started".to_owned(),
        Outcome::Unknown { code } => format!("without a known outcome, repeated: {code}"),
        Outcome::Refused { .. } => "refused".to_owned(),
    }
}

/// From each fault that hit a leader until the first acknowledged write that was sent after it, by kind of fault.
fn outages_ms(records: &Records) -> BTreeMap<&'static str, Vec<u64>> {
    let mut outages: BTreeMap<&'static str, Vec<u64>> = BTreeMap::new();
    for done in &records.faults {
        if !matches!(done.fault, Fault::Leader { .. } | Fault::AllNodes { .. }) {
            continue;
        }
        let after = records.attempts.iter().filter(|attempt| {
            let acknowledged = matches!(
                attempt.outcome,
                Outcome::TestStored { .. } | Outcome::RunStarted { .. }
            );
            acknowledged && attempt.sent_us > done.at_us
        });
        if let Some(first) = after.map(|attempt| attempt.answered_us).min() {
            outages
                .entry(done.fault.label())
                .or_default()
                .push((first - done.at_us) / 1_000);
        }
    }
    outages
}
