//! P3: how long writes stand still when the leader is killed, and when leadership is handed over.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{Bed, Options};
use crate::load::Caller;
use crate::peer::etcd::Etcd;
use crate::probe::Probe;
use crate::report::{Aim, Finding, Report};
use crate::stats::{median, ms, worst};
use crate::subject::Reeve;

const NODES: usize = 3;
/// Between two writes of the probe at one node.
const KILL_PACE: Duration = Duration::from_millis(10);
const TRANSFER_PACE: Duration = Duration::from_millis(5);
/// The probe writes so long before and after the event.
const AROUND: Duration = Duration::from_millis(500);
const TRANSFER_LIMIT: Duration = Duration::from_secs(10);
/// Goals, milliseconds.
const WORST_KILL: f64 = 600.0;
const MEDIAN_TRANSFER: f64 = 20.0;

/// What failovers need of a system.
trait Replicated {
    type Writer: Caller + Clone + Sync;
    async fn leader(&mut self) -> Result<usize>;
    fn writer(&self, node: usize) -> Self::Writer;
    fn kill(&mut self, node: usize) -> Result<()>;
    fn start(&mut self, node: usize) -> Result<()>;
    async fn caught_up(&mut self, node: usize) -> Result<()>;
    async fn transfer(&mut self, from: usize, to: usize) -> Result<()>;
}

impl Replicated for Reeve {
    type Writer = crate::subject::Write;

    async fn leader(&mut self) -> Result<usize> {
        self.agreed_leader().await
    }

    fn writer(&self, node: usize) -> Self::Writer {
        self.writer_at(node)
    }

    fn kill(&mut self, node: usize) -> Result<()> {
        self.cluster.kill(node)
    }

    fn start(&mut self, node: usize) -> Result<()> {
        self.cluster.start_node(node)
    }

    async fn caught_up(&mut self, node: usize) -> Result<()> {
        Self::caught_up(self, node).await
    }

    async fn transfer(&mut self, from: usize, to: usize) -> Result<()> {
        Ok(self.cluster.transfer_leader(from, to, TRANSFER_LIMIT).await?)
    }
}

impl Replicated for Etcd {
    type Writer = crate::peer::etcd::Put;

    async fn leader(&mut self) -> Result<usize> {
        self.agreed_leader().await
    }

    fn writer(&self, node: usize) -> Self::Writer {
        self.putter_at(node)
    }

    fn kill(&mut self, node: usize) -> Result<()> {
        Self::kill(self, node)
    }

    fn start(&mut self, node: usize) -> Result<()> {
        self.start_node(node)
    }

    async fn caught_up(&mut self, node: usize) -> Result<()> {
        Self::caught_up(self, node).await
    }

    async fn transfer(&mut self, from: usize, to: usize) -> Result<()> {
        self.transfer_leader(from, to).await
    }
}

/// What was measured of one system, milliseconds.
#[derive(Default)]
struct Outages {
    kill: Vec<f64>,
    transfer_call: Vec<f64>,
    transfer_gap: Vec<f64>,
}

/// Kills leaders and moves leadership, ours and the peer's.
///
/// # Errors
/// A system did not recover.
pub async fn run(bed: &mut Bed, options: &Options, report: &mut Report) -> Result<()> {
    let ours = match &mut bed.reeve {
        Some(reeve) => measure(reeve, options.failovers, options.transfers).await?,
        None => Outages::default(),
    };
    let theirs = match &mut bed.etcd {
        Some(etcd) => measure(etcd, options.peer_failovers, options.transfers).await?,
        None => Outages::default(),
    };
    let kills = format!(
        "kill -9 of the leader, {} times (etcd {})",
        ours.kill.len(),
        theirs.kill.len()
    );
    let moves = format!("planned transfer, {} times", options.transfers);
    let kill = "kill to first acknowledged write";
    let worst_kill = Some(Aim::AtMost(WORST_KILL));
    let transfer = Some(Aim::AtMost(MEDIAN_TRANSFER));
    let rows = [
        (
            &kills,
            format!("{kill}, worst"),
            worst(&ours.kill),
            worst(&theirs.kill),
            worst_kill,
        ),
        (
            &kills,
            format!("{kill}, median"),
            median(&ours.kill),
            median(&theirs.kill),
            None,
        ),
        (
            &moves,
            "longest gap between acknowledged writes, median".to_owned(),
            median(&ours.transfer_gap),
            median(&theirs.transfer_gap),
            transfer,
        ),
        (
            &moves,
            "duration of the call, median".to_owned(),
            median(&ours.transfer_call),
            median(&theirs.transfer_call),
            None,
        ),
    ];
    for (case, measure, ours, theirs, aim) in rows {
        let finding = Finding::new("P3", case, measure, "ms")
            .reeve(ours)
            .peer("etcd", theirs)
            .aim(aim);
        report.findings.push(finding);
    }
    for (system, outages) in [("reeve", ours), ("etcd", theirs)] {
        report
            .samples_ms
            .insert(format!("P3 {system} kill"), outages.kill);
        report
            .samples_ms
            .insert(format!("P3 {system} transfer, call"), outages.transfer_call);
        report
            .samples_ms
            .insert(format!("P3 {system} transfer, gap"), outages.transfer_gap);
    }
    Ok(())
}

async fn measure<S: Replicated>(system: &mut S, kills: usize, transfers: usize) -> Result<Outages> {
    let mut outages = Outages::default();
    for _ in 0..kills {
        outages.kill.push(ms(kill(system).await?));
    }
    for _ in 0..transfers {
        let (call, gap) = transfer(system).await?;
        outages.transfer_call.push(ms(call));
        outages.transfer_gap.push(ms(gap));
    }
    Ok(outages)
}

/// Kills the leader while both other nodes are written to, and brings it back.
async fn kill<S: Replicated>(system: &mut S) -> Result<Duration> {
    let leader = system.leader().await?;
    let survivors = (0..NODES).filter(|node| *node != leader);
    let writers = survivors.map(|node| system.writer(node)).collect();
    let mut probe = Probe::start(writers, KILL_PACE);
    probe.first_after(Instant::now()).await?;
    sleep(AROUND).await;
    let killed = Instant::now();
    system.kill(leader)?;
    let outage = probe.first_after(killed).await?;
    drop(probe);
    system.start(leader)?;
    system.caught_up(leader).await?;
    Ok(outage)
}

/// Moves leadership while all nodes are written to: how long the call took, and the longest gap around it.
async fn transfer<S: Replicated>(system: &mut S) -> Result<(Duration, Duration)> {
    let from = system.leader().await?;
    let to = (from + 1) % NODES;
    let writers = (0..NODES).map(|node| system.writer(node)).collect();
    let mut probe = Probe::start(writers, TRANSFER_PACE);
    probe.first_after(Instant::now()).await?;
    sleep(AROUND).await;
    let begun = Instant::now();
    system.transfer(from, to).await?;
    let call = begun.elapsed();
    let gap = probe.longest_gap(Instant::now() + AROUND).await?;
    Ok((call, gap))
}
