//! Does what the plan says, at its time, and undoes it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reeve_testkit::until_some;
use tokio::time::{Instant, sleep};

use super::deed::{Deed, Step, Unreached, Who};
use super::links;
use super::plan::Plan;
use crate::disk;
use crate::event::What;
use crate::fault::Fault;
use crate::net::{Link, NetFault, Shape as DelayShape};
use crate::stage::{Stage, host_of_node, host_of_worker};

const LEADER: Duration = Duration::from_secs(15);
const JOINS: Duration = Duration::from_secs(20);
const STOPS: Duration = Duration::from_secs(15);
const BACK: Duration = Duration::from_secs(60);
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

/// What ends a deed, in this order.
enum Undo {
    Heal(u32, Fault),
    Start(String),
    /// Only if it does not run.
    Revive(String),
    Kill(String),
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

fn kill(stage: &mut Stage, names: &[String]) -> Result<Vec<Undo>> {
    let mut undo = Vec::new();
    for name in names {
        let fault = Fault::Kill { target: name.clone() };
        if !stage.runs(name) {
            continue;
        }
        let number = stage.inject(&fault)?;
        stage.bury(name)?;
        undo.push(Undo::Start(name.clone()));
        undo.extend(number.map(|number| Undo::Heal(number, fault)));
    }
    Ok(undo)
}

/// All of them lose power before the first is looked at again.
fn cut_power(stage: &mut Stage, names: &[String]) -> Result<Vec<Undo>> {
    let mut undo = Vec::new();
    for name in names {
        let fault = Fault::PowerCut { target: name.clone() };
        stage.may_end(name, true);
        let number = stage.inject(&fault)?;
        undo.extend(number.map(|number| Undo::Heal(number, fault)));
    }
    for name in names {
        stage.bury(name)?;
        undo.push(Undo::Start(name.clone()));
    }
    Ok(undo)
}

fn flip(stage: &mut Stage, names: &[String], suffix: &str, count: u32, seed: u64) -> Result<Vec<Undo>> {
    let mut undo = kill(stage, names)?;
    undo.retain(|undo| matches!(undo, Undo::Heal(..)));
    // The kill is over once it is started, damaged as it is.
    let killed = std::mem::take(&mut undo);
    for name in names {
        let fault = Fault::Flip {
            target: name.clone(),
            suffix: suffix.to_owned(),
            count,
            seed,
        };
        let number = stage.inject(&fault)?;
        stage.start(name)?;
        stage.may_end(name, true);
        undo.push(Undo::Kill(name.clone()));
        undo.extend(number.map(|number| Undo::Heal(number, fault)));
        undo.push(Undo::Start(name.clone()));
    }
    for one in killed {
        if let Undo::Heal(number, fault) = one {
            stage.heal(number, &fault)?;
        }
    }
    Ok(undo)
}

fn on_each(stage: &mut Stage, deed: &Deed, names: &[String]) -> Result<Vec<Undo>> {
    let mut undo = Vec::new();
    for name in names {
        let target = name.clone();
        let fault = match deed {
            Deed::Pause(_) => Fault::Pause { target },
            Deed::Cpu { percent, .. } => Fault::Cpu {
                target,
                percent: *percent,
            },
            Deed::Memory { mib, .. } => Fault::Memory {
                bytes: stage.memory_of(name)? + mib * 1024 * 1024,
                target,
            },
            Deed::DiskFull(_) => Fault::DiskFull { target },
            Deed::SlowDisk { kib_per_s, .. } => Fault::SlowDisk {
                target,
                bytes_per_second: kib_per_s * 1024,
            },
            Deed::Sync { how, .. } => Fault::Sync { target, how: *how },
            Deed::Write { error, .. } => Fault::Write {
                target,
                error: *error,
            },
            Deed::Clock { offset_ms, .. } => Fault::Clock {
                target,
                offset_ms: *offset_ms,
            },
            Deed::Kill(_)
            | Deed::PowerCut(_)
            | Deed::Flip { .. }
            | Deed::Isolate(_)
            | Deed::Deaf(_)
            | Deed::Mute(_)
            | Deed::Bridge(_)
            | Deed::Ring
            | Deed::Unplug(_)
            | Deed::Loss { .. }
            | Deed::Duplicate { .. }
            | Deed::Delay { .. }
            | Deed::Reset(_)
            | Deed::CutWorker { .. }
            | Deed::Lead(_)
            | Deed::Add
            | Deed::Remove(_)
            | Deed::Restart(_)
            | Deed::Upgrade(_) => bail!("{deed:?} is not done to one process"),
        };
        if deed.may_end() {
            stage.may_end(name, true);
        }
        if let Some(number) = stage.inject(&fault)? {
            undo.push(Undo::Heal(number, fault));
        }
        undo.push(Undo::Revive(name.clone()));
    }
    Ok(undo)
}

async fn on_network(stage: &mut Stage, deed: &Deed, names: &[String]) -> Result<Vec<Undo>> {
    let all: Vec<u8> = stage.members().iter().map(|name| host_of_node(name)).collect();
    let these: Vec<u8> = names.iter().map(|name| host_of_node(name)).collect();
    let cut = |links| vec![NetFault::Cut { links }];
    let nodes = stage.shape.nodes;
    let faults = match deed {
        // A proxy stands before each node: nobody reaches it, and what it opened itself goes on.
        Deed::Isolate(_) | Deed::Deaf(_) | Deed::Mute(_) if stage.world.proxies.is_some() => unplug(&these),
        Deed::Isolate(_) => cut(links::isolate(&these, &all)),
        Deed::Deaf(_) => cut(links::deaf(&these, &all)),
        Deed::Mute(_) => cut(links::mute(&these, &all)),
        Deed::Bridge(_) => cut(links::bridge(&these, &all)),
        Deed::Ring => cut(links::ring(&all)),
        Deed::CutWorker { index, unreached } => {
            let leader: Vec<u8> = these;
            let hosts: Vec<u8> = match unreached {
                Unreached::Leader => leader,
                Unreached::All => all,
                Unreached::Followers => all.into_iter().filter(|one| !leader.contains(one)).collect(),
            };
            cut(Link::between(&[host_of_worker(nodes, *index)], &hosts))
        }
        Deed::Unplug(_) => these
            .iter()
            .map(|host| NetFault::LinkDown { host: *host })
            .collect(),
        Deed::Loss { permille } => vec![NetFault::Loss {
            links: links::every(&all),
            permille: *permille,
        }],
        Deed::Duplicate { permille } => vec![NetFault::Duplicate {
            links: links::every(&all),
            permille: *permille,
        }],
        Deed::Delay {
            base_ms,
            jitter_ms,
            in_order,
        } => vec![NetFault::Delay {
            links: links::every(&all),
            shape: DelayShape {
                base_ms: *base_ms,
                jitter_ms: *jitter_ms,
                in_order: *in_order,
            },
        }],
        Deed::Reset(_) => these
            .iter()
            .map(|host| NetFault::Reset {
                host: *host,
                peer: None,
            })
            .collect(),
        Deed::Kill(_)
        | Deed::Pause(_)
        | Deed::PowerCut(_)
        | Deed::Cpu { .. }
        | Deed::Memory { .. }
        | Deed::DiskFull(_)
        | Deed::SlowDisk { .. }
        | Deed::Sync { .. }
        | Deed::Write { .. }
        | Deed::Flip { .. }
        | Deed::Clock { .. }
        | Deed::Lead(_)
        | Deed::Add
        | Deed::Remove(_)
        | Deed::Restart(_)
        | Deed::Upgrade(_) => bail!("{deed:?} is not done to the network"),
    };
    let mut undo = Vec::new();
    for fault in faults.into_iter().map(Fault::Net) {
        if let Some(number) = stage.inject(&fault)? {
            undo.push(Undo::Heal(number, fault));
        }
    }
    Ok(undo)
}

fn unplug(hosts: &[u8]) -> Vec<NetFault> {
    let down = hosts.iter().map(|host| NetFault::LinkDown { host: *host });
    down.collect()
}

/// What is asked of the cluster through its API, and may be refused: that is noted, and for the checkers.
async fn administer(stage: &mut Stage, deed: &Deed, names: &[String]) -> Result<()> {
    let what = format!("{} {}", deed.label(), names.join(" "));
    let done = match deed {
        Deed::Lead(_) => lead(stage, names).await,
        Deed::Add => add(stage).await,
        Deed::Remove(_) => remove(stage, names).await,
        Deed::Restart(_) | Deed::Upgrade(_) => restart(stage, names, matches!(deed, Deed::Upgrade(_))).await,
        Deed::Kill(_)
        | Deed::Pause(_)
        | Deed::PowerCut(_)
        | Deed::Cpu { .. }
        | Deed::Memory { .. }
        | Deed::DiskFull(_)
        | Deed::SlowDisk { .. }
        | Deed::Sync { .. }
        | Deed::Write { .. }
        | Deed::Flip { .. }
        | Deed::Clock { .. }
        | Deed::Isolate(_)
        | Deed::Deaf(_)
        | Deed::Mute(_)
        | Deed::Bridge(_)
        | Deed::Ring
        | Deed::Unplug(_)
        | Deed::Loss { .. }
        | Deed::Duplicate { .. }
        | Deed::Delay { .. }
        | Deed::Reset(_)
        | Deed::CutWorker { .. } => bail!("{deed:?} is not asked of the cluster"),
    };
    administered(
        stage,
        what,
        done.err().map(|error| format!("{error:#}")).unwrap_or_default(),
    );
    Ok(())
}

fn administered(stage: &Stage, what: String, error: String) {
    stage.note(What::Administered { what, error });
}

async fn lead(stage: &Stage, names: &[String]) -> Result<()> {
    let to = names.first().context("a node")?;
    let from = until_some(LEADER, "a leader", || stage.leader()).await?;
    if from == *to {
        return Ok(());
    }
    stage.transfer(&from, to).await.map_err(Into::into)
}

async fn add(stage: &mut Stage) -> Result<()> {
    let name = stage.spare()?;
    stage.start(&name)?;
    let deadline = Instant::now() + JOINS;
    loop {
        let leader = until_some(LEADER, "a leader", || stage.leader()).await?;
        match stage.add_member(&leader, &name).await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            // It may not listen yet.
            Err(_) => sleep(LOOK).await,
        }
    }
}

async fn remove(stage: &mut Stage, names: &[String]) -> Result<()> {
    for name in names {
        let leader = until_some(LEADER, "a leader", || stage.leader()).await?;
        stage.remove_member(&leader, name).await?;
        stage.may_end(name, true);
        stage.bury(name)?;
    }
    Ok(())
}

async fn restart(stage: &mut Stage, names: &[String], newer: bool) -> Result<()> {
    for name in names {
        stage.stop_node(name, STOPS)?;
        if newer {
            stage.node_mut(name)?.older = false;
        }
        stage.start(name)?;
        stage.caught_up(BACK).await?;
    }
    Ok(())
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
