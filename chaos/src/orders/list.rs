//! What there is.

use std::io::Write;

use anyhow::Result;

use super::without_root;
use crate::mutants;
use crate::scenario::catalog::{self, Size};

/// Prints scenarios and known bugs.
///
/// # Errors
/// It cannot be written.
pub fn print(out: &mut impl Write) -> Result<()> {
    let root = without_root();
    writeln!(out, "scenarios (* with every change)")?;
    for scenario in &catalog::ALL {
        let mut plan = scenario.plan(1, Size::Ci);
        let missing = match &root {
            Some(why) if !plan.without_root() => format!(" (not here: {why})"),
            Some(_) | None => String::new(),
        };
        let ci = if scenario.ci { "*" } else { " " };
        writeln!(out, "  {:<4}{ci} {}{missing}", scenario.id, scenario.about)?;
    }
    writeln!(
        out,
        "known bugs, for nodes built with the feature {}",
        mutants::FEATURE
    )?;
    for mutant in &mutants::ALL {
        writeln!(out, "  {:<20} {:<4} {}", mutant.name, mutant.scenario, mutant.bug)?;
        let breaks = mutant.breaks.join(" or ");
        writeln!(out, "  {:<20}      breaks {breaks}: {}", "", mutant.shows)?;
    }
    Ok(())
}
