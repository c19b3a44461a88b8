//! P2: linearizable reads.

use anyhow::Result;

use super::{Aims, Bed, Options, Rounds};
use crate::load::closed_loop;
use crate::report::{Aim, Report};
use crate::spread::Target;

const CLIENTS: usize = 256;
/// Our throughput by the peer's.
const TIMES: f64 = 2.2;

/// Everyone reads the same small object, through the read index on both sides.
///
/// # Errors
/// A system fell over.
pub async fn run(bed: &mut Bed, options: &Options, report: &mut Report) -> Result<()> {
    for target in Target::ALL {
        let case = format!("linearizable reads, {CLIENTS} clients, {}", target.label());
        let mut rounds = Rounds::default();
        for _ in 0..options.rounds {
            if let Some(reeve) = &mut bed.reeve {
                let readers = reeve.readers(CLIENTS, target).await?;
                rounds.reeve.push(closed_loop(readers, options.shape).await?);
            }
            if let Some(etcd) = &bed.etcd {
                let readers = etcd.readers(CLIENTS, target).await?;
                rounds.peer.push(closed_loop(readers, options.shape).await?);
            }
        }
        let aims = Aims {
            throughput: Some(Aim::TimesPeerAtLeast(TIMES)),
            p99: None,
        };
        rounds.report(report, "P2", &case, "etcd", aims);
    }
    Ok(())
}
