//! The table that the self-test prints.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};

use crate::fault::{Healing, Injection};

/// What became of one fault.
#[derive(Debug)]
pub(super) struct Row {
    pub name: String,
    pub injection: Injection,
    /// How long it took.
    pub injecting: Duration,
    /// What was seen from outside while it was in force.
    pub effect: Result<String, String>,
    pub healing: Option<Healing>,
    /// How long it took.
    pub healing_took: Duration,
    /// What was seen from outside afterwards.
    pub after: Result<String, String>,
}

impl Row {
    /// Nothing failed. What is skipped is not covered, but not broken either.
    pub(super) fn is_good(&self) -> bool {
        let injected = !matches!(self.injection, Injection::Indeterminate(_));
        let healed = !matches!(self.healing, Some(Healing::Failed(_)));
        injected && healed && self.effect.is_ok() && self.after.is_ok()
    }
}

/// Prints the table, and a last line that says how many passed.
pub(super) fn print(out: &mut dyn Write, rows: &[Row]) -> Result<()> {
    let mut table = new_table();
    table.set_header([
        "fault",
        "injection",
        "proof",
        "seen from outside",
        "healed",
        "seen afterwards",
        "ms",
    ]);
    for row in rows {
        let (injection, proof) = match &row.injection {
            Injection::Installed(proof) => ("installed", proof.to_string()),
            Injection::Skipped(why) => ("skipped", why.clone()),
            Injection::Indeterminate(why) => ("INDETERMINATE", why.clone()),
        };
        let healed = match &row.healing {
            Some(Healing::Healed(proof)) => proof.to_string(),
            Some(Healing::Failed(why)) => format!("FAILED: {why}"),
            None => String::new(),
        };
        let times = format!("{} + {}", row.injecting.as_millis(), row.healing_took.as_millis());
        table.add_row([
            &row.name,
            injection,
            &proof,
            &seen(&row.effect),
            &healed,
            &seen(&row.after),
            &times,
        ]);
    }
    writeln!(out, "{table}")?;
    let skipped = |row: &&Row| matches!(row.injection, Injection::Skipped(_));
    let skipped = rows.iter().filter(skipped).count();
    let failed = rows.iter().filter(|row| !row.is_good()).count();
    let passed = rows.len() - skipped - failed;
    writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped")?;
    Ok(())
}

/// Prints which faults can be had; an empty reason says that it can.
pub(super) fn print_list(out: &mut dyn Write, rows: &[(&str, String)]) -> Result<()> {
    let mut table = new_table();
    table.set_header(["fault", "here"]);
    for (label, lacks) in rows {
        let here = if lacks.is_empty() { "yes" } else { lacks };
        table.add_row([*label, here]);
    }
    writeln!(out, "{table}")?;
    Ok(())
}

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(170);
    table
}

fn seen(what: &Result<String, String>) -> String {
    match what {
        Ok(seen) => seen.clone(),
        Err(wrong) => format!("WRONG: {wrong}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::fault::Proof;

    fn row(injection: Injection, effect: Result<String, String>) -> Row {
        Row {
            name: "cut".to_owned(),
            injection,
            injecting: Duration::from_millis(4),
            effect,
            healing: Some(Healing::Healed(Proof::new(3, "packets dropped".to_owned()))),
            healing_took: Duration::from_millis(5),
            after: Ok("all is well".to_owned()),
        }
    }

    #[test]
    fn skipped_is_neither_passed_nor_failed() {
        let installed = || Injection::Installed(Proof::new(3, "packets dropped".to_owned()));
        let rows = [
            row(installed(), Ok("1→2 is cut".to_owned())),
            row(installed(), Err("1→2 is open".to_owned())),
            row(Injection::Skipped("root is needed".to_owned()), Ok(String::new())),
            row(
                Injection::Indeterminate("nft failed".to_owned()),
                Ok(String::new()),
            ),
        ];
        let mut out = Vec::new();
        print(&mut out, &rows).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("1 passed, 2 failed, 1 skipped\n"), "{text}");
        assert!(text.contains("WRONG: 1→2 is open"));
    }
}
