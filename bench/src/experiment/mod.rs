//! The experiments, one file for each goal, and the systems that they share.

pub mod elections;
pub mod failover;
pub mod memory;
pub mod million;
pub mod placement;
pub mod reads;
pub mod runs;
pub mod sessions;
pub mod sip;
pub mod submission;
pub mod watch;
pub mod writes;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::load::{Series, Shape};
use crate::peer::echo::EchoPeer;
use crate::peer::etcd::Etcd;
use crate::report::{Aim, Finding, Recorded, Report};
use crate::stats::median;
use crate::subject::Reeve;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Rounds of each system, in turn.
    pub rounds: usize,
    /// One round of load.
    pub shape: Shape,
    /// Leaders of ours that are killed.
    pub failovers: usize,
    /// Leaders of a peer that are killed.
    pub peer_failovers: usize,
    /// Planned transfers of leadership, of each system.
    pub transfers: usize,
    /// Full load without a failure.
    pub soak: Duration,
    /// Runs that are placed from submission to commit.
    pub runs: usize,
    /// Idle time before memory is read.
    pub idle: Duration,
}

impl Options {
    /// What the published figures are made with.
    pub fn full() -> Self {
        Self {
            rounds: 3,
            shape: Shape {
                warm_up: Duration::from_secs(1),
                measured: Duration::from_secs(5),
            },
            failovers: 10,
            peer_failovers: 5,
            transfers: 10,
            soak: Duration::from_secs(60),
            runs: 30,
            idle: Duration::from_secs(10),
        }
    }

    /// A look in passing; too short to publish.
    pub fn quick() -> Self {
        Self {
            rounds: 1,
            shape: Shape {
                warm_up: Duration::from_millis(500),
                measured: Duration::from_secs(2),
            },
            failovers: 3,
            peer_failovers: 2,
            transfers: 3,
            soak: Duration::from_secs(10),
            runs: 5,
            idle: Duration::from_secs(2),
        }
    }
}

/// What is measured, all of it on one disk.
pub struct Bed {
    /// Ours; `None` if only the peers are to be measured.
    pub reeve: Option<Reeve>,
    /// `None` if it is not installed.
    pub etcd: Option<Etcd>,
    /// The ceiling.
    pub echo: EchoPeer,
    // Last, so that everything that writes there is gone before it is removed.
    _directory: TempDir,
}

impl Bed {
    /// Starts everything.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start(program: Option<PathBuf>, directory: TempDir, report: &mut Report) -> Result<Self> {
        let path = directory.path();
        let reeve = match program {
            Some(program) => Some(Reeve::start(program, path, Vec::new()).await.context("Reeve")?),
            None => None,
        };
        let etcd = Etcd::start(path).await.context("etcd")?;
        let ours = reeve
            .as_ref()
            .map_or("not measured", |reeve| reeve.version.as_str());
        let theirs = etcd
            .as_ref()
            .map_or("MISSING: not installed, so nothing is compared with it", |etcd| {
                etcd.version()
            });
        report.versions.insert("reeve", ours.to_owned());
        report.versions.insert("etcd", theirs.to_owned());
        Ok(Self {
            reeve,
            etcd,
            echo: EchoPeer::start(path).await?,
            _directory: directory,
        })
    }
}

/// Rounds of ours and of a peer, A B A B.
#[derive(Default)]
struct Rounds {
    reeve: Vec<Series>,
    peer: Vec<Series>,
}

/// The goals of a comparison under load.
#[derive(Clone, Copy, Default)]
struct Aims {
    throughput: Option<Aim>,
    p99: Option<Aim>,
}

impl Rounds {
    /// Medians of the rounds, and the rounds themselves.
    fn report(self, report: &mut Report, goal: &'static str, case: &str, peer: &'static str, aims: Aims) {
        let middle = |rounds: &[Series], figure: fn(&Series) -> f64| {
            median(&rounds.iter().map(figure).collect::<Vec<_>>())
        };
        let mut find = |measure: &str, unit, figure: fn(&Series) -> f64, aim| {
            let finding = Finding::new(goal, case, measure, unit)
                .reeve(middle(&self.reeve, figure))
                .peer(peer, middle(&self.peer, figure))
                .aim(aim);
            report.findings.push(finding);
        };
        find("throughput", "ops/s", |series| series.per_second, aims.throughput);
        find("p50", "ms", |series| series.p50_ms, None);
        find("p99", "ms", |series| series.p99_ms, aims.p99);
        for (system, rounds) in [("reeve", self.reeve), (peer, self.peer)] {
            remark_on_errors(report, system, case, &rounds);
            if !rounds.is_empty() {
                report.series.push(Recorded {
                    system,
                    goal,
                    case: case.to_owned(),
                    rounds,
                });
            }
        }
    }
}

fn remark_on_errors(report: &mut Report, system: &str, case: &str, rounds: &[Series]) {
    for (code, count) in rounds.iter().flat_map(|series| &series.errors) {
        report
            .remarks
            .push(format!("{system}, {case}: {count} calls failed with {code}"));
    }
}
