//! Many scenarios, one after the other, each a process in a sandbox of its own; each is judged when it is over.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::checker::tally::Tally;
use crate::checker::verdict::Finding;
use crate::event;
use crate::judge;
use crate::report::{self, Judged, Numbers};
use crate::scenario::plan::{self, Plan};
use crate::setting::{self, Setting};
use crate::stage::Programs;

/// Beyond the time of its plan a scenario may take so long.
const BEYOND: Duration = Duration::from_secs(330);
const LOOK: Duration = Duration::from_millis(50);
/// What the process of a scenario printed.
const LOG: &str = "harness.log";
/// What stays of a scenario that passed.
const KEPT: [&str; 4] = [plan::FILE, plan::PLAYED, event::FILE, setting::FILE];

/// A scenario that is over.
pub struct Done {
    /// What was planned.
    pub plan: Plan,
    /// How long it took, judging included.
    pub took: Duration,
    /// What is known of it.
    pub judged: Judged,
}

/// Performs a plan in a directory, which must be new, and judges it.
///
/// # Errors
/// The directory cannot be written, or the process cannot be started.
pub fn perform(plan: Plan, directory: &Path, programs: &Programs) -> Result<Done> {
    if directory.exists() {
        bail!("{} is there already", directory.display());
    }
    std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    plan.store(directory, plan::FILE)?;
    let began = Instant::now();
    let performed = performed(&plan, directory, programs)?;
    let mut judged = match report::judged(directory) {
        Ok(judged) => judged,
        Err(error) => unreadable(&plan, directory, &error),
    };
    // Of a scenario that broke off, what was not looked at says nothing.
    judged.findings.insert(0, performed);
    Ok(Done {
        plan,
        took: began.elapsed(),
        judged,
    })
}

fn unreadable(plan: &Plan, directory: &Path, error: &anyhow::Error) -> Judged {
    let mut finding = Finding::of("H", "the evidence can be read");
    finding.harness.push(format!("{error:#}"));
    Judged {
        directory: directory.to_owned(),
        setting: Setting {
            scenario: plan.scenario.clone(),
            seed: plan.seed,
            ..Setting::default()
        },
        findings: vec![finding],
        tally: Tally::default(),
        numbers: Numbers::default(),
    }
}

fn performed(plan: &Plan, directory: &Path, programs: &Programs) -> Result<Finding> {
    let mut finding = Finding::of("H", "the scenario was performed to its end");
    finding.examined = 1;
    let mut command = Command::new(std::env::current_exe().context("where this program is")?);
    command.arg("perform").arg("--directory").arg(directory);
    command.arg("--reeve").arg(&programs.reeve);
    if let Some(older) = &programs.older {
        command.arg("--older").arg(older);
    }
    // What it has to say is said without a backtrace.
    command.env("RUST_LIB_BACKTRACE", "0");
    let log = File::create(directory.join(LOG))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut child = command.spawn().context("the scenario cannot be started")?;
    let limit = Duration::from_millis(plan.warm_up_ms + plan.faults_ms + plan.minority_ms) + BEYOND;
    match wait(&mut child, limit)? {
        Some(status) if status.success() => {}
        Some(status) => finding
            .harness
            .push(format!("{status}: {}", last_words(directory))),
        None => finding.harness.push(format!("not within {limit:?}")),
    }
    Ok(finding)
}

/// None: it had to be killed, and with it everything inside.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

fn last_words(directory: &Path) -> String {
    let text = std::fs::read_to_string(directory.join(LOG)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(6)..].join(" | ")
}

/// What a scenario left is not needed any more, but for what is small.
///
/// # Errors
/// It cannot be removed.
pub fn forget(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            std::fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
        } else if !KEPT.contains(&name.as_ref()) {
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// One line about a scenario that is over, and what failed in it.
///
/// # Errors
/// It cannot be written.
pub fn tell(out: &mut impl Write, done: &Done) -> Result<()> {
    let Done { plan, took, judged } = done;
    let word = if judged.passed() { "passed" } else { "FAILED" };
    let faults: usize = judged.tally.faults.values().map(|count| count.effective).sum();
    writeln!(
        out,
        "{:<4} seed {} {word} in {:.1} s: {} nodes, {faults} faults that bit, {} calls, {} changes of the leader",
        plan.scenario,
        plan.seed,
        took.as_secs_f64(),
        plan.shape.nodes,
        judged.tally.ops.total,
        judged.tally.leader_changes,
    )?;
    let failed = judged.findings.iter().filter(|finding| finding.fails());
    let failed: Vec<Finding> = failed.cloned().collect();
    if !failed.is_empty() {
        judge::print(out, &failed)?;
    }
    out.flush()?;
    Ok(())
}
