//! What the command line asks for: scenarios, one after the other, and known bugs, which must be found.

mod hunt;
mod list;
mod plans;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use reeve_testkit::reeve_program;

use crate::campaign;
use crate::checker::coverage::Minimums;
use crate::report::{self, Judged, MutantResult};
use crate::sandbox::{self, Facts, Need};
use crate::scenario::plan::{self, Plan};
use crate::scenario::{Order, perform};
use crate::stage::Programs;
use plans::Plans;

/// Known bugs that are tried with every change, one after the other from one change to the next.
const ROTATION: usize = 2;

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Minutes: for every change
    Ci,
    /// Every scenario with one seed after the other, until the time is over
    Soak,
}

/// `reeve-chaos run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// How much
    #[arg(long, value_enum, default_value = "ci")]
    profile: Profile,
    /// How long a soak goes on
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Of the first round; every further round has the next [default: drawn from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// Only these, by name, separated by commas
    #[arg(long, value_name = "S1,…", value_delimiter = ',')]
    scenario: Vec<String>,
    /// Plays a plan again that was played, or planned
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "seed", "profile", "mutant"])]
    replay: Option<PathBuf>,
    /// How often a replay is played
    #[arg(long, default_value_t = 1, requires = "replay")]
    times: u32,
    /// Only known bugs, which must be found: names, separated by commas, or all
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    mutant: Vec<String>,
    /// Lists scenarios and known bugs
    #[arg(long)]
    list: bool,
    /// Evidence and report go here [default: a new folder for temporary files]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Keeps the evidence of scenarios that pass too
    #[arg(long)]
    keep: bool,
    /// The reeve program [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    reeve: Option<PathBuf>,
    /// The reeve program with known bugs [default: reeve-mutants beside this program, if it is there]
    #[arg(long, value_name = "FILE")]
    mutants_reeve: Option<PathBuf>,
    /// An older one, for the scenario that upgrades
    #[arg(long, value_name = "FILE")]
    older: Option<PathBuf>,
}

/// `reeve-chaos perform`: the process of one scenario.
#[derive(Debug, Args)]
pub struct PerformArgs {
    #[arg(long)]
    directory: PathBuf,
    #[arg(long)]
    reeve: PathBuf,
    #[arg(long)]
    older: Option<PathBuf>,
}

/// Performs the plan that lies in the directory; in a sandbox, where there can be one.
///
/// # Errors
/// The harness could not do what it was to do.
pub fn perform_one(args: PerformArgs) -> Result<()> {
    // Whoever ordered it may be killed: then nobody waits for it, and it ends, with all that is in its sandbox.
    set_pdeathsig(Signal::SIGKILL).context("the end of the parent cannot be watched")?;
    let plan = Plan::load(&args.directory.join(plan::FILE))?;
    sandbox::enter()?;
    let order = Order {
        plan,
        programs: Programs {
            reeve: args.reeve,
            older: args.older,
        },
        directory: args.directory,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(perform(order))
}

/// Runs what is asked for. True: everything passed.
///
/// # Errors
/// What is asked for makes no sense, or something cannot be written.
pub fn run(args: &RunArgs, out: &mut impl Write) -> Result<bool> {
    if args.list {
        return list::print(out).map(|()| true);
    }
    let seed = match args.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    let asked = hunt::asked(&args.mutant)?;
    let programs = Programs {
        reeve: reeve_program(args.reeve.as_deref())?,
        older: args.older.clone(),
    };
    let directory = match &args.out {
        Some(directory) => directory.clone(),
        None => tempfile::Builder::new().prefix("reeve-chaos-").tempdir()?.keep(),
    };
    std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    writeln!(out, "chaos seed={seed} out={}", directory.display())?;
    let mut minimums = Minimums::default();
    let mut judged = Vec::new();
    if asked.is_empty() {
        let plans = Plans::of(args, seed)?;
        (judged, minimums) = scenarios(args, plans, &directory, &programs, out)?;
    }
    let mutants = mutants(args, asked, seed, &directory, out)?;
    let of = report::Run {
        profile: format!("{:?}", args.profile).to_lowercase(),
        seed,
        minimums,
    };
    report::write(out, &directory, &of, &judged, &mutants)
}

fn scenarios(
    args: &RunArgs,
    plans: Plans,
    directory: &Path,
    programs: &Programs,
    out: &mut impl Write,
) -> Result<(Vec<Judged>, Minimums)> {
    let root = without_root();
    if let Some(why) = &root {
        writeln!(
            out,
            "no sandbox here ({why}): what only root can do is left out, and not covered"
        )?;
    }
    let whole = plans.is_whole() && root.is_none();
    let mut planned = Vec::new();
    let mut judged = Vec::new();
    for (number, mut plan) in plans.enumerate() {
        if root.is_some() && !plan.without_root() {
            writeln!(out, "{:<4} seed {} not covered", plan.scenario, plan.seed)?;
            continue;
        }
        planned.extend(plan.steps.iter().map(|step| step.deed.clone()));
        let folder = directory.join(format!("{}-{}-{number}", plan.scenario, plan.seed));
        let done = campaign::perform(plan, &folder, programs)?;
        campaign::tell(out, &done)?;
        if done.judged.passed() && !args.keep {
            campaign::forget(&folder)?;
        }
        judged.push(done.judged);
    }
    let minimums = if whole {
        plans::minimums(args.profile, &planned)
    } else {
        Minimums::default()
    };
    Ok((judged, minimums))
}

/// Those that are asked for; with every change also a few in turn, where there is a program that has them.
fn mutants(
    args: &RunArgs,
    mut asked: Vec<&'static crate::mutants::Mutant>,
    seed: u64,
    directory: &Path,
    out: &mut impl Write,
) -> Result<Vec<MutantResult>> {
    let program = hunt::program(args.mutants_reeve.as_deref())?;
    let in_turn = args.profile == Profile::Ci && args.scenario.is_empty() && args.replay.is_none();
    if asked.is_empty() && in_turn && without_root().is_none() {
        if program.is_none() {
            writeln!(
                out,
                "no program with known bugs beside this one: whether they are found is not tried"
            )?;
            return Ok(Vec::new());
        }
        asked = hunt::in_turn(seed, ROTATION);
    }
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let program = program.with_context(|| {
        format!(
            "known bugs need a program that has them: cargo build -p reeve-cli --features {} --bin reeve-mutants",
            crate::mutants::FEATURE
        )
    })?;
    let programs = Programs {
        reeve: program,
        older: None,
    };
    asked
        .into_iter()
        .map(|mutant| hunt::hunt(mutant, seed, directory, &programs, args.keep, out))
        .collect()
}

/// Why there can be no sandbox.
fn without_root() -> Option<String> {
    let facts = Facts::gather();
    let needs = [Need::Root, Need::Tool("unshare"), Need::Tool("ip")];
    needs.into_iter().find_map(|need| facts.lacks(need))
}
