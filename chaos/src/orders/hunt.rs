//! Known bugs, each of which must be found by the scenario that is to find it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::campaign;
use crate::mutants::{self, Mutant};
use crate::report::MutantResult;
use crate::scenario::catalog::{self, Size};
use crate::stage::Programs;

/// A bug that shows only by chance gets so many seeds.
const SEEDS: u64 = 10;
const PROGRAM: &str = "reeve-mutants";

/// Bugs by name; `all` is all.
///
/// # Errors
/// There is none of this name.
pub fn asked(names: &[String]) -> Result<Vec<&'static Mutant>> {
    if names.iter().any(|name| name == "all") {
        return Ok(mutants::ALL.iter().collect());
    }
    let find = |name: &String| {
        mutants::find(name).with_context(|| {
            let known: Vec<&str> = mutants::ALL.iter().map(|one| one.name).collect();
            format!("there is no known bug {name:?}; there are {}", known.join(", "))
        })
    };
    names.iter().map(find).collect()
}

/// The next few after those of the seed before.
pub fn in_turn(seed: u64, count: usize) -> Vec<&'static Mutant> {
    let all = mutants::ALL.len();
    let first = usize::try_from(seed % all as u64).unwrap_or(0) * count;
    (first..first + count).map(|at| &mutants::ALL[at % all]).collect()
}

/// The program that has them.
///
/// # Errors
/// It is named and is not there.
pub fn program(named: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(path) = named {
        let whole = path.canonicalize().with_context(|| path.display().to_string())?;
        return Ok(Some(whole));
    }
    let beside = std::env::current_exe()?.with_file_name(PROGRAM);
    Ok(beside.is_file().then_some(beside))
}

/// Tries it with one seed after the other until it is found.
///
/// # Errors
/// A scenario cannot be performed.
pub fn hunt(
    mutant: &Mutant,
    seed: u64,
    directory: &Path,
    programs: &Programs,
    keep: bool,
    out: &mut impl Write,
) -> Result<MutantResult> {
    let scenario = catalog::find(mutant.scenario).context("a known bug names a scenario that there is")?;
    let began = Instant::now();
    let mut killed_by = None;
    for seed in seed..seed + SEEDS {
        let mut plan = scenario.plan(seed, Size::Ci);
        mutant.name.clone_into(&mut plan.mutant);
        let folder = directory.join(format!("{}-{}-{seed}", mutant.name, scenario.id));
        let done = campaign::perform(plan, &folder, programs)?;
        let found = mutant.killed_by(&done.judged.findings);
        let how = found.map_or_else(
            || "not found".to_owned(),
            |finding| {
                let example = finding.violations.first().map_or("", String::as_str);
                format!("found by {}: {} ({example})", finding.invariant, finding.rule)
            },
        );
        let seconds = done.took.as_secs_f64();
        writeln!(
            out,
            "{:<20} {} seed {seed} in {seconds:.1} s: {how}",
            mutant.name, scenario.id
        )?;
        for finding in done
            .judged
            .findings
            .iter()
            .filter(|finding| found.is_none() && finding.fails())
        {
            let detail = finding.details().next().map_or("", String::as_str);
            writeln!(out, "    {} {}: {detail}", finding.invariant, finding.rule)?;
        }
        out.flush()?;
        killed_by = found.map(|finding| format!("{}: {}", finding.invariant, finding.rule));
        if killed_by.is_some() && !keep {
            campaign::forget(&folder)?;
        }
        if killed_by.is_some() {
            break;
        }
    }
    Ok(MutantResult {
        mutant: mutant.name.to_owned(),
        scenario: scenario.id.to_owned(),
        killed_by,
        after_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn with_one_seed_after_the_other_every_bug_has_its_turn() {
        let names = (0..12)
            .flat_map(|seed| in_turn(seed, 2))
            .map(|mutant| mutant.name);
        assert_eq!(names.collect::<BTreeSet<_>>().len(), mutants::ALL.len());
    }

    #[test]
    fn a_bug_that_there_is_not_is_told_with_those_that_there_are() {
        let error = asked(&["no-such".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("no-such") && error.contains("no-fence"), "{error}");
        assert_eq!(asked(&["all".to_owned()]).unwrap().len(), mutants::ALL.len());
    }
}
