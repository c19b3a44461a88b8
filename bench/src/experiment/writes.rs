//! P1: durable writes, one command a unary call. P1b: many in one call.

use anyhow::Result;

use super::{Aims, Bed, Options, Rounds};
use crate::load::closed_loop;
use crate::report::{Aim, Finding, Report};
use crate::spread::{Target, count_of};
use crate::stats::median;

/// Clients, and how many times the peer's throughput we want with that many.
const CLIENTS: [(usize, f64); 3] = [(1, 1.4), (64, 2.0), (256, 2.0)];
/// Our p99 by the peer's.
const P99: f64 = 0.5;
/// Our throughput by that of a server that does nothing.
const CEILING: f64 = 0.8;
const PAYLOAD: usize = 256;

/// Writes of about 256 bytes to three nodes.
///
/// # Errors
/// A system fell over.
pub async fn run(bed: &mut Bed, options: &Options, report: &mut Report) -> Result<()> {
    for target in Target::ALL {
        for (clients, times) in CLIENTS {
            let case = format!("durable writes, {}, {}", count_of(clients), target.label());
            let mut rounds = Rounds::default();
            let mut ceiling = Vec::new();
            for _ in 0..options.rounds {
                if let Some(reeve) = &mut bed.reeve {
                    let writers = reeve.writers(clients, target).await?;
                    rounds.reeve.push(closed_loop(writers, options.shape).await?);
                }
                if let Some(etcd) = &bed.etcd {
                    let putters = etcd.putters(clients, target).await?;
                    rounds.peer.push(closed_loop(putters, options.shape).await?);
                }
                if target == Target::AllNodes {
                    let callers = bed.echo.callers(clients, PAYLOAD).await?;
                    ceiling.push(closed_loop(callers, options.shape).await?);
                }
            }
            let ours = median(
                &rounds
                    .reeve
                    .iter()
                    .map(|series| series.per_second)
                    .collect::<Vec<_>>(),
            );
            let aims = Aims {
                throughput: Some(Aim::TimesPeerAtLeast(times)),
                p99: Some(Aim::TimesPeerAtMost(P99)),
            };
            rounds.report(report, "P1", &case, "etcd", aims);
            let echo = median(&ceiling.iter().map(|series| series.per_second).collect::<Vec<_>>());
            if echo.is_some() {
                let finding = Finding::new("P1", &case, "throughput", "ops/s")
                    .reeve(ours)
                    .peer("tonic echo", echo)
                    .aim(Some(Aim::TimesPeerAtLeast(CEILING)));
                report.findings.push(finding);
            }
        }
    }
    batches(bed, options, report).await
}

/// Callers of the batched comparison, and puts in each of their transactions.
const BATCH_CALLERS: usize = 16;
const BATCH: u32 = 100;

/// What etcd reaches with transactions of 100 puts. There is no call of ours yet that carries many commands.
async fn batches(bed: &Bed, options: &Options, report: &mut Report) -> Result<()> {
    report.remarks.push(format!(
        "P1b, {BATCH} commands in one call: not measured, Reeve has no call that carries many commands yet"
    ));
    let Some(etcd) = &bed.etcd else { return Ok(()) };
    let mut puts = Vec::new();
    for _ in 0..options.rounds {
        let callers = etcd.batchers(BATCH_CALLERS, Target::AllNodes, BATCH).await?;
        puts.push(closed_loop(callers, options.shape).await?.per_second * f64::from(BATCH));
    }
    if let Some(puts) = median(&puts) {
        report.remarks.push(format!(
            "P1b, for later: etcd stores {puts:.0} puts/s in transactions of {BATCH}, {BATCH_CALLERS} callers"
        ));
    }
    Ok(())
}
