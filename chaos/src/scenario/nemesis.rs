//! Does what the plan says, at its time, and undoes it.

use std::time::Duration;

use anyhow::Result;
use reeve_testkit::until_some;
use tokio::time::{Instant, sleep};

use super::acts::{Undo, cut_power, flip, kill, on_each, on_network};
use super::admin::{administer, administered};
use super::deed::{Deed, Step, Who};
use super::plan::Plan;
use crate::disk;
use crate::event::What;
use crate::fault::Fault;
use crate::stage::Stage;

const LEADER: Duration = Duration::from_secs(15);
/// A node that stops because its disk failed does it within this.
const ENDS: Duration = Duration::from_millis(1_500);
const LOOK: Duration = Duration::from_millis(50);

/// A deed that goes on.
struct Active {
    step: usize,
    end: Instant,
    /// Whom it is done to: nobody else does something to them meanwhile, if there is a choice.
    names: Vec<String>,
    undo: Vec<Undo>,
}

/// Plays a plan on a stage.
pub struct Nemesis {
    plan: Plan,
    active: Vec<Active>,
}

impl Nemesis {
    /// Ready to play.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            active: Vec::new(),
        }
    }

    /// The plan as it was played so far.
    pub fn played(&self) -> &Plan {
        &self.plan
    }

    /// Plays every step. Returns when all are over and undone.
    ///
    /// # Errors
    /// The harness cannot do what it is to do; what the cluster does wrong is for the checkers.
    pub async fn play(&mut self, stage: &mut Stage) -> Result<()> {
        // Moves on with every step that comes late, because a leader was long in coming: what was to follow it must not meet it.
        let mut began = Instant::now();
        let mut next = 0;
        loop {
            let now = Instant::now();
            let at = |ms: u64| began + Duration::from_millis(ms);
            self.end_due(stage, now).await?;
            if let Some(step) = self.plan.steps.get(next).filter(|step| at(step.at_ms) <= now) {
                let step = step.clone();
                self.begin(stage, next, &step).await?;
                began += Instant::now().saturating_duration_since(at(step.at_ms));
                next += 1;
                continue;
            }
            if next >= self.plan.steps.len() && self.active.is_empty() && now >= at(self.plan.faults_ms) {
                return Ok(());
            }
            stage.look();
            sleep(LOOK).await;
        }
    }

    async fn end_due(&mut self, stage: &mut Stage, now: Instant) -> Result<()> {
        while let Some(due) = self.active.iter().position(|active| active.end <= now) {
            let active = self.active.remove(due);
            self.end(stage, active).await?;
        }
        Ok(())
    }

    /// Begins one more step, which is not of the plan, and which lasts until [`Nemesis::end_all`].
    ///
    /// # Errors
    /// As [`Nemesis::play`].
    pub async fn lasting(&mut self, stage: &mut Stage, deed: Deed) -> Result<()> {
        let step = Step {
            at_ms: self.plan.faults_ms,
            for_ms: u64::from(u32::MAX),
            deed,
        };
        self.begin(stage, usize::MAX, &step).await
    }

    /// Undoes everything that goes on.
    ///
    /// # Errors
    /// As [`Nemesis::play`].
    pub async fn end_all(&mut self, stage: &mut Stage) -> Result<()> {
        while let Some(active) = self.active.pop() {
            self.end(stage, active).await?;
        }
        Ok(())
    }

    async fn begin(&mut self, stage: &mut Stage, number: usize, step: &Step) -> Result<()> {
        let mut deed = step.deed.clone();
        let Some(names) = self.resolve(stage, &mut deed).await? else {
            let what = format!("{}: there is nobody to do it to", deed.label());
            administered(stage, what, "not done".to_owned());
            return Ok(());
        };
        self.plan.played(number, names.clone());
        let undo = match &deed {
            Deed::Lead(_) | Deed::Add | Deed::Remove(_) | Deed::Restart(_) | Deed::Upgrade(_) => {
                administer(stage, &deed, &names).await?;
                return Ok(());
            }
            Deed::Kill(_) => kill(stage, &names)?,
            Deed::PowerCut(_) => cut_power(stage, &names)?,
            Deed::Flip {
                suffix, count, seed, ..
            } => flip(stage, &names, suffix, *count, *seed)?,
            Deed::Pause(_)
            | Deed::Cpu { .. }
            | Deed::Memory { .. }
            | Deed::DiskFull(_)
            | Deed::SlowDisk { .. }
            | Deed::Sync { .. }
            | Deed::Write { .. }
            | Deed::Clock { .. } => on_each(stage, &deed, &names)?,
            Deed::Isolate(_)
            | Deed::Deaf(_)
            | Deed::Mute(_)
            | Deed::Bridge(_)
            | Deed::Ring
            | Deed::Unplug(_)
            | Deed::Loss { .. }
            | Deed::Duplicate { .. }
            | Deed::Delay { .. }
            | Deed::Reset(_)
            | Deed::CutWorker { .. } => on_network(stage, &deed, &names).await?,
        };
        self.active.push(Active {
            step: number,
            end: Instant::now() + Duration::from_millis(step.for_ms),
            names,
            undo,
        });
        Ok(())
    }

    async fn end(&mut self, stage: &mut Stage, active: Active) -> Result<()> {
        let failing = self.plan.steps.get(active.step).is_some_and(|step| {
            matches!(
                step.deed,
                Deed::Sync {
                    how: disk::Sync::Fail,
                    ..
                }
            )
        });
        stage.look();
        for undo in active.undo {
            match undo {
                Undo::Heal(number, fault) => {
                    let bit = stage.heal(number, &fault)?;
                    wait_for_end(stage, &fault).await;
                    if failing && bit > 0 {
                        must_have_ended(stage, &active.names);
                    }
                }
                Undo::Start(name) => stage.start(&name)?,
                Undo::Revive(name) => stage.revive(&name)?,
                Undo::Kill(name) => stage.bury(&name)?,
            }
        }
        Ok(())
    }

    /// Roles become names. None: there is nobody.
    async fn resolve(&self, stage: &Stage, deed: &mut Deed) -> Result<Option<Vec<String>>> {
        let wants_leader = matches!(deed, Deed::CutWorker { .. });
        let Some(who) = deed.who_mut() else {
            if !wants_leader {
                return Ok(Some(Vec::new()));
            }
            let leader = until_some(LEADER, "a leader", || stage.leader()).await.ok();
            return Ok(leader.map(|leader| vec![leader]));
        };
        let names = match who {
            Who::Named { names } => Some(names.clone()),
            Who::AllNodes => Some(stage.members()),
            Who::Worker { index } => Some(stage.workers().into_iter().skip(*index).take(1).collect()),
            Who::Leader | Who::Follower { .. } | Who::Majority => {
                let leader = until_some(LEADER, "a leader", || stage.leader()).await.ok();
                leader.map(|leader| self.around(stage, who, leader))
            }
        };
        Ok(names.filter(|names| !names.is_empty()))
    }

    fn around(&self, stage: &Stage, who: &Who, leader: String) -> Vec<String> {
        let members = stage.members();
        let at = members.iter().position(|name| *name == leader).unwrap_or(0);
        let followers = (1..members.len()).map(|offset| members[(at + offset) % members.len()].clone());
        let mut followers: Vec<String> = followers.collect();
        match who {
            Who::Follower { offset } => {
                // Those to whom nothing is done come first.
                followers.sort_by_key(|name| self.active.iter().any(|active| active.names.contains(name)));
                let free = followers
                    .iter()
                    .filter(|name| !self.active.iter().any(|active| active.names.contains(name)))
                    .count()
                    .max(1);
                followers
                    .into_iter()
                    .nth(offset.saturating_sub(1) % free)
                    .into_iter()
                    .collect()
            }
            Who::Majority => {
                let count = members.len() / 2 + 1;
                std::iter::once(leader).chain(followers).take(count).collect()
            }
            Who::Leader | Who::AllNodes | Who::Worker { .. } | Who::Named { .. } => vec![leader],
        }
    }
}

/// A node that was hit may be about to end, and is not to be taken for well.
async fn wait_for_end(stage: &mut Stage, fault: &Fault) {
    let deadline = Instant::now() + ENDS;
    while stage.is_ending(fault.target()) && Instant::now() < deadline {
        stage.look();
        sleep(LOOK).await;
    }
}

fn must_have_ended(stage: &Stage, names: &[String]) {
    for name in names {
        stage.note(What::Expected {
            rule: "a node whose fsync failed stops instead of going on".to_owned(),
            met: !stage.runs(name),
            seen: format!("{name} {}", if stage.runs(name) { "runs" } else { "ended" }),
        });
    }
}
