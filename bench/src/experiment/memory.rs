//! P8: memory of a node that does nothing. Measured before any load.

use anyhow::Result;

use super::{Bed, Options};
use crate::machine::resident_bytes;
use crate::peer::etcd::Etcd;
use crate::report::{Aim, Finding, Report};
use crate::stats::median;

const MIB: f64 = 1_048_576.0;
/// Most for a node of ours, MiB.
const MOST: f64 = 40.0;

/// Reads the resident memory of every node.
///
/// # Errors
/// None; the signature is that of all experiments.
pub async fn run(bed: &mut Bed, options: &Options, report: &mut Report) -> Result<()> {
    tokio::time::sleep(options.idle).await;
    let ours = bed.reeve.as_ref().map(|reeve| {
        let nodes = 0..reeve.cluster.nodes().len();
        nodes
            .filter_map(|node| reeve.cluster.pid(node))
            .collect::<Vec<_>>()
    });
    let theirs = bed.etcd.as_ref().map(Etcd::pids);
    let finding = Finding::new("P8", "idle node, median of three", "resident memory", "MiB")
        .reeve(ours.as_deref().and_then(mebibytes))
        .peer("etcd", theirs.as_deref().and_then(mebibytes))
        .aim(Some(Aim::AtMost(MOST)));
    report.findings.push(finding);
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "memory of a process is far below 2^52 bytes"
)]
fn mebibytes(pids: &[u32]) -> Option<f64> {
    let sizes: Vec<f64> = pids
        .iter()
        .filter_map(|pid| Some(resident_bytes(*pid)? as f64 / MIB))
        .collect();
    median(&sizes)
}
