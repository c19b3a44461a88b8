//! Evidence of runs: objects, what is read from them, live figures, and what the leader does about all of it.
//!
//! Measurements are not in the log: the log keeps a manifest of each chunk, and a summary of each run that ended.

mod figures;
mod intake;
mod live;
mod objects;
mod peers;
mod purge;
mod rows;
mod service;
mod source;
mod summary;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use reeve_store::Leadership;
use tokio::sync::{Semaphore, watch};

use crate::config::{ConfigError, NodeConfig};
use crate::context::Context;

pub use figures::milli;
pub(crate) use intake::put_chunk;
pub use live::{Heard, Live, Merged, distribution, timestamp};
pub use objects::{Objects, ObjectsSetting};
pub use rows::{Row, read_row};
pub use service::evidence_service;
pub use source::{Gap, GapReason, Selection, Source, gaps, late_counts_until, selected};
pub use summary::{figures_for, figures_of, group_counts, group_figures, with_success_rate};
#[cfg(test)]
pub(crate) use sweep::Sweep;

/// How often the leader looks for runs to summarise or to purge. Both are found in an index, so that a look costs what is due.
const LOOK: Duration = Duration::from_millis(500);
/// Chunks that are stored at once.
const INTAKE_AT_ONCE: usize = 64;
/// Questions that read chunks at once; each reads one chunk at a time.
const READS_AT_ONCE: usize = 4;

/// What this node has of evidence; a clone is another handle.
#[derive(Clone)]
pub struct Evidence(Arc<Shared>);

struct Shared {
    objects: Objects,
    live: Live,
    peers: peers::Peers,
    intake: Semaphore,
    reads: Semaphore,
}

impl Evidence {
    /// Opens the object store.
    ///
    /// # Errors
    /// The setting names a store that this program cannot open.
    pub fn open(config: &NodeConfig) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(Shared {
            objects: Objects::open(config)?,
            live: Live::default(),
            peers: peers::Peers::new(config),
            intake: Semaphore::new(INTAKE_AT_ONCE),
            reads: Semaphore::new(READS_AT_ONCE),
        })))
    }

    /// What sessions say live, and who listens.
    pub fn live(&self) -> &Live {
        &self.0.live
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.0.objects
    }

    pub(crate) fn peers(&self) -> &peers::Peers {
        &self.0.peers
    }

    pub(crate) fn intake(&self) -> &Semaphore {
        &self.0.intake
    }

    /// A place among the questions that read chunks.
    pub(crate) fn reads(&self) -> &Semaphore {
        &self.0.reads
    }
}

/// What is done about evidence until the node stops. By the leader: summaries of runs that ended, and the end of runs whose time has passed.
/// By every node: the end of media files that nobody knows any more.
pub async fn run(context: Context) {
    let shutdown = context.shutdown.clone();
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = look_while_leading(context.clone()) => {}
        () = sweep::run(context) => {}
    }
}

async fn look_while_leading(context: Context) {
    let mut leadership = context.store.leadership();
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut summaries = summary::Summaries::default();
    loop {
        let Some(term) = leading(&context, &mut leadership).await else {
            return;
        };
        ticks.tick().await;
        summaries.look(&context, term);
        purge::look(&context, term).await;
    }
}

/// Waits until this node leads and its leadership is committed; the term. `None`: the store is closed.
async fn leading(context: &Context, leadership: &mut watch::Receiver<Leadership>) -> Option<u64> {
    let me = context.config.id;
    let leads = |now: &Leadership| now.established && now.leader == Some(me);
    leadership.wait_for(leads).await.ok().map(|now| now.term)
}
