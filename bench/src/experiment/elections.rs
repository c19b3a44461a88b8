//! P3: full load at the default settings must not cause elections by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use reeve_testkit::Cluster;

use super::{Bed, Options, remark_on_errors};
use crate::load::{Shape, closed_loop};
use crate::report::{Aim, Finding, Recorded, Report};
use crate::spread::Target;
use crate::subject::Reeve;

const CLIENTS: usize = 256;
/// Between two looks at who leads.
const LOOK: Duration = Duration::from_millis(250);

/// What the nodes said of their leadership during the soak.
#[derive(Default)]
struct Seen {
    terms: BTreeSet<u64>,
    leaders: BTreeSet<u64>,
    /// Looks at which some node did not answer in time.
    unanswered: u32,
}

/// Writes with 256 clients while nothing fails, and counts the terms.
///
/// # Errors
/// The cluster fell over.
pub async fn run(bed: &mut Bed, options: &Options, report: &mut Report) -> Result<()> {
    let Some(reeve) = &mut bed.reeve else {
        return Ok(());
    };
    let before = highest_term(reeve).await?;
    let writers = reeve.writers(CLIENTS, Target::AllNodes).await?;
    let shape = Shape {
        warm_up: Duration::ZERO,
        measured: options.soak,
    };
    let mut seen = Seen::default();
    let series = tokio::select! {
        series = closed_loop(writers, shape) => series?,
        never = watch(&reeve.cluster, &mut seen) => match never {},
    };
    let after = highest_term(reeve).await?;
    let case = format!(
        "{} s of writes, {CLIENTS} clients, no failure",
        options.soak.as_secs()
    );
    #[expect(clippy::cast_precision_loss, reason = "terms are small")]
    let changes = (after - before) as f64;
    let figures = [
        ("terms begun", "elections", changes, Some(Aim::AtMost(0.0))),
        ("throughput", "ops/s", series.per_second, None),
        ("slowest write", "ms", series.max_ms, None),
    ];
    for (measure, unit, value, aim) in figures {
        report.findings.push(
            Finding::new("P3", &case, measure, unit)
                .reeve(Some(value))
                .aim(aim),
        );
    }
    report.remarks.push(format!(
        "soak: terms {:?} and leaders {:?} were seen; {} looks went unanswered",
        seen.terms, seen.leaders, seen.unanswered
    ));
    let rounds = vec![series];
    remark_on_errors(report, "reeve", &case, &rounds);
    report.series.push(Recorded {
        system: "reeve",
        goal: "P3",
        case,
        rounds,
    });
    Ok(())
}

async fn highest_term(reeve: &mut Reeve) -> Result<u64> {
    reeve.agreed_leader().await?;
    let mut highest = None;
    for node in 0..reeve.cluster.nodes().len() {
        highest = highest.max(Some(reeve.cluster.status(node, false).await?.term));
    }
    highest.context("a cluster has nodes")
}

async fn watch(cluster: &Cluster, seen: &mut Seen) -> std::convert::Infallible {
    loop {
        for node in 0..cluster.nodes().len() {
            match cluster.status(node, false).await {
                Ok(status) => {
                    seen.terms.insert(status.term);
                    seen.leaders.insert(status.leader_id);
                }
                Err(_) => seen.unanswered += 1,
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
