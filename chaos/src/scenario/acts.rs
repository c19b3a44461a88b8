//! Deeds that break something, and what undoes each.

use anyhow::{Result, bail};

use super::deed::{Deed, Unreached};
use super::links;
use crate::fault::Fault;
use crate::net::{Link, NetFault, Shape as DelayShape};
use crate::stage::{Stage, host_of_node, host_of_worker};

/// What ends a deed, in this order.
pub(super) enum Undo {
    Heal(u32, Fault),
    Start(String),
    /// Only if it does not run.
    Revive(String),
    Kill(String),
}

pub(super) fn kill(stage: &mut Stage, names: &[String]) -> Result<Vec<Undo>> {
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
pub(super) fn cut_power(stage: &mut Stage, names: &[String]) -> Result<Vec<Undo>> {
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

pub(super) fn flip(
    stage: &mut Stage,
    names: &[String],
    suffix: &str,
    count: u32,
    seed: u64,
) -> Result<Vec<Undo>> {
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

pub(super) fn on_each(stage: &mut Stage, deed: &Deed, names: &[String]) -> Result<Vec<Undo>> {
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

pub(super) async fn on_network(stage: &mut Stage, deed: &Deed, names: &[String]) -> Result<Vec<Undo>> {
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
