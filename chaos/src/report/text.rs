//! The report in words: for a terminal, and as Markdown.

use std::fmt::Write;

use super::Report;
use crate::checker::tally::{FaultCount, OpCount};
use crate::checker::verdict::{Finding, table};

/// Most details that are shown of one rule.
const SHOWN: usize = 5;

/// For a terminal. Its last line says how many scenarios passed.
pub fn plain(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = plain_into(&mut text, report);
    text
}

fn plain_into(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        text,
        "chaos {} seed={} version={} scenarios={}",
        report.profile,
        report.seed,
        report.version,
        report.scenarios.len()
    )?;
    faults(text, report)?;
    calls(text, report)?;
    recovery(text, report)?;
    invariants(text, report)?;
    mutants(text, report)?;
    for lack in &report.not_covered {
        writeln!(text, "NOT COVERED {lack}")?;
    }
    for row in &report.scenarios {
        let word = row.word.name();
        writeln!(text, "scenario    {:<24} {word}", row.scenario)?;
        for finding in &row.failed {
            failure(text, finding)?;
        }
        for timeline in &row.timelines {
            writeln!(text, "              timeline {}", timeline.display())?;
        }
        if !row.passed {
            writeln!(
                text,
                "REPRO: reeve-chaos run --replay {}/plan.json",
                row.directory.display()
            )?;
        }
    }
    writeln!(text, "{} passed, {} failed", report.passed, report.failed)
}

fn faults(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        text,
        "{:<16} planned installed effective skipped indeterminate   proof",
        "faults"
    )?;
    for (kind, count) in &report.tally.faults {
        writeln!(
            text,
            "  {kind:<14} {:>7} {:>9} {:>9} {:>7} {:>13}   {}",
            count.planned,
            count.installed,
            count.effective,
            count.skipped,
            count.indeterminate,
            proof(count)
        )?;
    }
    Ok(())
}

fn proof(count: &FaultCount) -> String {
    let each = count
        .proof
        .iter()
        .map(|(what, count)| format!("{} {what}", grouped(*count)));
    each.collect::<Vec<_>>().join(", ")
}

fn calls(text: &mut String, report: &Report) -> std::fmt::Result {
    let line = |count: &OpCount| {
        format!(
            "total {}  ok {}  fail {}  info {}",
            grouped(count.total as u64),
            grouped(count.ok as u64),
            grouped(count.fail as u64),
            grouped(count.info as u64)
        )
    };
    let (tally, numbers) = (&report.tally, &report.numbers);
    writeln!(
        text,
        "ops         {}   (mutations: {})",
        line(&tally.ops),
        line(&tally.mutations)
    )?;
    writeln!(
        text,
        "writes      {} acknowledged, {} lost; {} of them acknowledged before a power cut",
        grouped(numbers.acknowledged as u64),
        numbers.lost,
        grouped(tally.before_power_cuts as u64)
    )?;
    let executions = numbers.executions.iter();
    let executions: Vec<String> = executions
        .map(|(times, endpoints)| format!("{}× {times}", grouped(*endpoints as u64)))
        .collect();
    writeln!(text, "executions  {}", or_none(&executions.join(", ")))?;
    writeln!(
        text,
        "leaders     {} changes; {} snapshots installed; {} stale plans rejected",
        tally.leader_changes, tally.snapshot_installs, numbers.stale_rejected
    )
}

fn or_none(text: &str) -> &str {
    if text.is_empty() {
        "none written down"
    } else {
        text
    }
}

fn recovery(text: &mut String, report: &Report) -> std::fmt::Result {
    let mut failovers = report.tally.failovers_ms.clone();
    failovers.sort_unstable();
    match failovers.last() {
        None => writeln!(text, "recovery    no leader was taken away")?,
        Some(max) => {
            let at = |percent: usize| failovers[(failovers.len() - 1) * percent / 100];
            writeln!(
                text,
                "recovery    {} leaders taken away; next write after p50 {} ms  p99 {} ms  max {max} ms",
                failovers.len(),
                at(50),
                at(99)
            )?;
        }
    }
    let gaps = report.tally.gaps_ms.iter();
    let gaps: Vec<String> = gaps.map(|(kind, gap)| format!("{kind} {gap} ms")).collect();
    writeln!(
        text,
        "write gaps  longest {} ms; by fault: {}",
        report.tally.gap_ms,
        gaps.join(", ")
    )?;
    let mut delays = report.tally.offline_ms.clone();
    delays.sort_unstable();
    let Some(max) = delays.last() else {
        return writeln!(text, "offline     nobody was OFFLINE for silence");
    };
    let at = |percent: usize| delays[(delays.len() - 1) * percent / 100];
    writeln!(
        text,
        "offline     {} times, later than the threshold by p50 {} ms  p99 {} ms  max {max} ms",
        delays.len(),
        at(50),
        at(99)
    )
}

fn invariants(text: &mut String, report: &Report) -> std::fmt::Result {
    for row in table(&report.findings) {
        writeln!(
            text,
            "invariants  {:<4} {:<13} {} checks, {} examined, {} violations",
            row.invariant,
            row.word.name(),
            row.checks,
            grouped(row.examined as u64),
            row.violations
        )?;
    }
    Ok(())
}

fn mutants(text: &mut String, report: &Report) -> std::fmt::Result {
    if report.mutants.is_empty() {
        return Ok(());
    }
    let killed = report
        .mutants
        .iter()
        .filter(|mutant| mutant.killed_by.is_some())
        .count();
    writeln!(text, "mutants     {killed}/{} killed", report.mutants.len())?;
    for mutant in &report.mutants {
        let by = mutant
            .killed_by
            .as_ref()
            .map_or("ALIVE".to_owned(), |by| format!("by {by}"));
        writeln!(
            text,
            "  {:<24} {:<24} {} ms  {by}",
            mutant.mutant, mutant.scenario, mutant.after_ms
        )?;
    }
    Ok(())
}

fn failure(text: &mut String, finding: &Finding) -> std::fmt::Result {
    let word = finding.word().name();
    writeln!(text, "  {:<4} {word:<13} {}", finding.invariant, finding.rule)?;
    for detail in finding.details().take(SHOWN) {
        writeln!(text, "              {detail}")?;
    }
    let more = finding.details().count().saturating_sub(SHOWN);
    if more > 0 {
        writeln!(text, "              … and {more} more")?;
    }
    Ok(())
}

/// As Markdown: the same, in tables.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    let _ = markdown_into(&mut text, report);
    text
}

fn markdown_into(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text, "# Chaos: {}, seed {}\n", report.profile, report.seed)?;
    writeln!(text, "{} passed, {} failed.\n", report.passed, report.failed)?;
    writeln!(text, "| scenario | seed | verdict |\n|---|---|---|")?;
    for row in &report.scenarios {
        writeln!(text, "| {} | {} | {} |", row.scenario, row.seed, row.word.name())?;
    }
    writeln!(
        text,
        "\n| fault | planned | installed | effective | skipped | indeterminate | proof |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    for (kind, count) in &report.tally.faults {
        writeln!(
            text,
            "| {kind} | {} | {} | {} | {} | {} | {} |",
            count.planned,
            count.installed,
            count.effective,
            count.skipped,
            count.indeterminate,
            proof(count)
        )?;
    }
    writeln!(
        text,
        "\n| invariant | rule | verdict | examined | violations |\n|---|---|---|---|---|"
    )?;
    for finding in &report.findings {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            finding.invariant,
            finding.rule,
            finding.word().name(),
            grouped(finding.examined as u64),
            finding.violations.len()
        )?;
    }
    text.push_str("\n```\n");
    calls(text, report)?;
    recovery(text, report)?;
    mutants(text, report)?;
    text.push_str("```\n");
    for lack in &report.not_covered {
        writeln!(text, "\nNot covered: {lack}")?;
    }
    for row in report.scenarios.iter().filter(|row| !row.passed) {
        writeln!(text, "\n## {} failed\n\n```", row.scenario)?;
        for finding in &row.failed {
            failure(text, finding)?;
        }
        let plan = row.directory.join("plan.json");
        writeln!(text, "```\n\n`reeve-chaos run --replay {}`", plan.display())?;
    }
    Ok(())
}

/// 61204 as 61,204.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_061_204, "1,061,204")] {
            assert_eq!(grouped(number), text);
        }
    }
}
