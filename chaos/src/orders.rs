//! What the command line asks for, as a list of plans.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use reeve_testkit::reeve_program;

use crate::campaign;
use crate::sandbox::{self, Facts, Need};
use crate::scenario::catalog::{self, Scenario, Size};
use crate::scenario::plan::{self, Plan};
use crate::scenario::{Order, perform};
use crate::stage::Programs;

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
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "seed", "profile"])]
    replay: Option<PathBuf>,
    /// Nodes run this known bug, which must be found
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// How often a replay is played
    #[arg(long, default_value_t = 1, requires = "replay")]
    times: u32,
    /// Lists scenarios and mutants
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
        return list(out).map(|()| true);
    }
    let seed = match args.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    let programs = Programs {
        reeve: reeve_program(args.reeve.as_deref())?,
        older: args.older.clone(),
    };
    let directory = match &args.out {
        Some(directory) => directory.clone(),
        None => tempfile::Builder::new().prefix("reeve-chaos-").tempdir()?.keep(),
    };
    let plans = Plans::of(args, seed)?;
    let root = without_root();
    if let Some(why) = &root {
        writeln!(
            out,
            "no sandbox here ({why}): what only root can do is left out, and not covered"
        )?;
    }
    let mut judged = Vec::new();
    for (number, mut plan) in plans.enumerate() {
        if root.is_some() && !plan.without_root() {
            writeln!(out, "{:<4} seed {}: not covered", plan.scenario, plan.seed)?;
            continue;
        }
        let folder = directory.join(format!("{}-{}-{number}", plan.scenario, plan.seed));
        let one = campaign::perform(plan, &folder, &programs)?;
        campaign::tell(out, &one)?;
        out.flush()?;
        if one.passed() && !args.keep {
            campaign::forget(&one)?;
        }
        judged.push(one);
    }
    let failed = judged.iter().filter(|one| !one.passed()).count();
    for one in judged.iter().filter(|one| !one.passed()) {
        let plan = one.directory.join(plan::PLAYED);
        writeln!(out, "again: reeve-chaos run --replay {}", plan.display())?;
    }
    writeln!(out, "{} passed, {failed} failed", judged.len() - failed)?;
    Ok(failed == 0)
}

/// The plans, one after the other; a soak ends when its time is over.
struct Plans {
    rounds: Vec<&'static Scenario>,
    size: Size,
    seed: u64,
    next: usize,
    deadline: Option<Instant>,
    mutant: String,
    replay: Option<(Plan, u32)>,
}

impl Plans {
    fn of(args: &RunArgs, seed: u64) -> Result<Self> {
        let (size, deadline) = match args.profile {
            Profile::Ci => (Size::Ci, None),
            Profile::Soak => (
                Size::Soak,
                Some(Instant::now() + Duration::from_secs(args.minutes * 60)),
            ),
        };
        let replay = match &args.replay {
            Some(path) => Some((Plan::load(path)?, args.times)),
            None => None,
        };
        let named = args.scenario.iter().map(|name| {
            catalog::find(name).with_context(|| {
                let known: Vec<&str> = catalog::ALL.iter().map(|one| one.id).collect();
                format!("there is no scenario {name:?}; there are {}", known.join(", "))
            })
        });
        let mut rounds = named.collect::<Result<Vec<_>>>()?;
        if rounds.is_empty() {
            let fits = |one: &&Scenario| match args.profile {
                Profile::Ci => one.ci,
                Profile::Soak => one.id != "S21" || args.older.is_some(),
            };
            rounds = catalog::ALL.iter().filter(fits).collect();
        }
        let plans = Self {
            rounds,
            size,
            seed,
            next: 0,
            deadline,
            mutant: args.mutant.clone().unwrap_or_default(),
            replay,
        };
        Ok(plans)
    }
}

impl Iterator for Plans {
    type Item = Plan;

    fn next(&mut self) -> Option<Plan> {
        if let Some((plan, times)) = &mut self.replay {
            let left = times.checked_sub(1)?;
            *times = left;
            return Some(plan.clone());
        }
        let round = self.next / self.rounds.len();
        let over = match self.deadline {
            None => round > 0,
            Some(deadline) => Instant::now() >= deadline,
        };
        if over {
            return None;
        }
        let scenario = self.rounds[self.next % self.rounds.len()];
        self.next += 1;
        let mut plan = scenario.plan(self.seed + round as u64, self.size);
        plan.mutant.clone_from(&self.mutant);
        Some(plan)
    }
}

/// Why there can be no sandbox.
fn without_root() -> Option<String> {
    let facts = Facts::gather();
    let needs = [Need::Root, Need::Tool("unshare"), Need::Tool("ip")];
    needs.into_iter().find_map(|need| facts.lacks(need))
}

fn list(out: &mut impl Write) -> Result<()> {
    let root = without_root();
    for scenario in &catalog::ALL {
        let mut plan = scenario.plan(1, Size::Ci);
        let missing = match &root {
            Some(why) if !plan.without_root() => format!(" (not here: {why})"),
            Some(_) | None => String::new(),
        };
        let ci = if scenario.ci { "ci" } else { "  " };
        writeln!(out, "{:<4} {ci} {}{missing}", scenario.id, scenario.about)?;
    }
    Ok(())
}
