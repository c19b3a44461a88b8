//! The reconciler: on the leader, and only there, planners look at the state and decide what comes next.
//!
//! It is woken by changes and by the next deadline, reads one snapshot, and proposes what the planners decided, fenced by its
//! term. It keeps nothing that a new leader could miss: whoever leads next looks at everything that is live.

mod deadlines;
mod dirty;
mod fleet;
mod lead;
mod outcome;
mod probes;
mod propose;
mod runs;
mod settings;

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use reeve_state::mutant::{self, Mutant};
use reeve_store::Leadership;
use tokio::sync::watch;

use crate::context::Context;
use lead::Lead;
pub(crate) use settings::plan_config;

/// Wait after the log refused to be led.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);

/// The reconciler, until the node stops.
pub async fn run(context: Context) {
    describe_counter!("reeve_reconcile_total", "Plans, by planner and outcome.");
    describe_histogram!(
        "reeve_reconcile_seconds",
        Unit::Seconds,
        "Time of a pass, by planner."
    );
    describe_gauge!(
        "reeve_mass_loss_brake",
        "1 while workers are marked down slowly, because most fell silent together."
    );
    let shutdown = context.shutdown.clone();
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = lead_when_elected(context) => {}
    }
}

/// Leads in each term in which this node is elected; returns when the store is closed.
async fn lead_when_elected(context: Context) {
    let mut leadership = context.store.leadership();
    while let Some(lead) = elected(&context, &mut leadership).await {
        tracing::info!(term = lead.term, "reconciler leads");
        let (term, mut lead) = (lead.term, Lead::new(&context, lead));
        tokio::select! {
            biased;
            () = lost(&context, &mut leadership, term) => {}
            () = lead.run() => {
                // The log refused this term before the watch said so. Should it not say so soon, it begins again.
                let _ = tokio::time::timeout(REFUSED_PAUSE, lost(&context, &mut leadership, term)).await;
            }
        }
        tracing::info!(term, "reconciler does not lead any more");
    }
}

/// Waits until this node leads and its leadership is committed.
pub(crate) async fn elected(
    context: &Context,
    leadership: &mut watch::Receiver<Leadership>,
) -> Option<Leadership> {
    leadership
        .wait_for(|now| leads(context, *now))
        .await
        .ok()
        .map(|now| *now)
}

/// Waits until this node does not lead in `term` any more.
pub(crate) async fn lost(context: &Context, leadership: &mut watch::Receiver<Leadership>, term: u64) {
    if mutant::is(Mutant::NoFence) {
        return std::future::pending().await;
    }
    // An error means that the store is closed, which ends the term as well.
    let _ = leadership
        .wait_for(|now| !leads(context, *now) || now.term != term)
        .await;
    if mutant::is(Mutant::OfflineLocalClock) {
        // It has not noticed yet.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn leads(context: &Context, now: Leadership) -> bool {
    now.established && now.leader == Some(context.config.id)
}
