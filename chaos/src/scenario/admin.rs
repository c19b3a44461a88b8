//! What is asked of the cluster: handovers, members, restarts.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reeve_testkit::until_some;
use tokio::time::{Instant, sleep};

use super::deed::Deed;
use crate::event::What;
use crate::stage::Stage;

const LEADER: Duration = Duration::from_secs(15);
const JOINS: Duration = Duration::from_secs(20);
const STOPS: Duration = Duration::from_secs(15);
const BACK: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(50);

/// What is asked of the cluster through its API, and may be refused: that is noted, and for the checkers.
pub(super) async fn administer(stage: &mut Stage, deed: &Deed, names: &[String]) -> Result<()> {
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

pub(super) fn administered(stage: &Stage, what: String, error: String) {
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
            Err(_) => sleep(AGAIN).await,
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
