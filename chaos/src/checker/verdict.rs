//! What a check says: which invariant it is about, how much it looked at, and what it found. A check that looked at nothing has not
//! passed, nor has one that does not know; a fault of the harness says nothing about the system, and is told apart.

use serde::Serialize;

/// What one check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The invariant: `I1` to `I13`; `H`: the harness itself.
    pub invariant: &'static str,
    /// The rule.
    pub rule: &'static str,
    /// How many things were looked at.
    pub examined: usize,
    /// What breaks the rule.
    pub violations: Vec<String>,
    /// What could not be decided.
    pub unknown: Vec<String>,
    /// What is wrong with the evidence.
    pub harness: Vec<String>,
    /// What is worth knowing although it breaks nothing.
    pub notes: Vec<String>,
}

/// The word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It was put to the test and held.
    Ok,
    /// Nothing was looked at.
    NotCovered,
    /// It could not be decided.
    Unknown,
    /// The evidence is not what it should be.
    HarnessFault,
    /// It is broken.
    Violated,
}

impl Word {
    /// As the report shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotCovered => "NOT COVERED",
            Self::Unknown => "UNKNOWN",
            Self::HarnessFault => "HARNESS FAULT",
            Self::Violated => "VIOLATED",
        }
    }
}

impl Finding {
    /// Nothing found yet.
    pub fn of(invariant: &'static str, rule: &'static str) -> Self {
        Self {
            invariant,
            rule,
            ..Self::default()
        }
    }

    /// The verdict. What breaks a rule counts before all else.
    pub fn word(&self) -> Word {
        if !self.violations.is_empty() {
            Word::Violated
        } else if !self.harness.is_empty() {
            Word::HarnessFault
        } else if !self.unknown.is_empty() {
            Word::Unknown
        } else if self.examined == 0 {
            Word::NotCovered
        } else {
            Word::Ok
        }
    }

    /// Whether the rule was put to the test and held.
    pub fn passed(&self) -> bool {
        self.word() == Word::Ok
    }

    /// Whether a scenario fails for it. That it looked at nothing is judged over all scenarios of a run.
    pub fn fails(&self) -> bool {
        match self.word() {
            Word::Ok | Word::NotCovered => false,
            Word::Unknown | Word::HarnessFault | Word::Violated => true,
        }
    }

    /// What there is to say about it, the worst first.
    pub fn details(&self) -> impl Iterator<Item = &String> {
        let bad = self.violations.iter().chain(&self.harness).chain(&self.unknown);
        bad.chain(&self.notes)
    }
}

/// One line of the table of invariants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The invariant.
    pub invariant: &'static str,
    /// The worst verdict of its checks.
    pub word: Word,
    /// How many checks.
    pub checks: usize,
    /// How many things they looked at.
    pub examined: usize,
    /// How many violations they found.
    pub violations: usize,
}

/// Counts by invariant, in the order of their numbers.
pub fn table(findings: &[Finding]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for finding in findings {
        let at = rows.iter().position(|row| row.invariant == finding.invariant);
        let at = at.unwrap_or_else(|| {
            rows.push(Row {
                invariant: finding.invariant,
                word: Word::Ok,
                checks: 0,
                examined: 0,
                violations: 0,
            });
            rows.len() - 1
        });
        let row = &mut rows[at];
        row.word = row.word.max(finding.word());
        row.checks += 1;
        row.examined += finding.examined;
        row.violations += finding.violations.len();
    }
    let number = |row: &Row| row.invariant.trim_start_matches('I').parse::<u32>().unwrap_or(0);
    rows.sort_by_key(number);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_looked_at_and_held_has_passed() {
        let mut finding = Finding::of("I1", "a rule");
        assert_eq!(finding.word(), Word::NotCovered);
        assert!(!finding.fails() && !finding.passed());
        finding.examined = 3;
        assert!(finding.passed());
        finding.unknown.push("late".to_owned());
        assert_eq!(finding.word(), Word::Unknown);
        finding.harness.push("a gap".to_owned());
        assert_eq!(finding.word(), Word::HarnessFault);
        finding.violations.push("broken".to_owned());
        assert_eq!(finding.word(), Word::Violated);
        assert!(finding.fails() && !finding.passed());
    }

    #[test]
    fn the_table_has_the_worst_verdict_of_each_invariant_in_order() {
        let finding = |invariant, examined| Finding {
            examined,
            ..Finding::of(invariant, "a rule")
        };
        let rows = table(&[
            finding("I10", 1),
            finding("I2", 4),
            finding("H", 1),
            finding("I2", 0),
        ]);
        let shown: Vec<(&str, Word, usize)> = rows
            .iter()
            .map(|row| (row.invariant, row.word, row.examined))
            .collect();
        assert_eq!(
            shown,
            [
                ("H", Word::Ok, 1),
                ("I2", Word::NotCovered, 4),
                ("I10", Word::Ok, 1)
            ]
        );
    }
}
