//! The end of runs whose time has passed: first their objects go, then the state forgets them, so that nothing is orphaned.

use std::collections::BTreeSet;

use reeve_plan::retention::{self, RetentionConfig};
use reeve_state::State;
use reeve_state::command::{Command, Envelope};
use reeve_state::id::{NodeId, RunId};
use reeve_state::time::Millis;

use crate::context::Context;

/// A node that cannot be asked does not hold a run for ever: after so many times the retention its objects are given up.
const PATIENCE_FACTOR: u64 = 2;

/// Purges what is due. What fails is found again with the next look.
pub async fn look(context: &Context, term: u64) {
    let (state, now) = (context.store.local(), context.store.cluster_now());
    let retention = Millis(u64::try_from(context.config.run_retention.as_millis()).unwrap_or(u64::MAX));
    let config = RetentionConfig {
        retention,
        ..RetentionConfig::default()
    };
    for planned in retention::plan(&state, now, &config).commands {
        let Command::PurgeRun(purge) = &planned.command else {
            continue;
        };
        let since = state
            .run(purge.run)
            .and_then(|run| run.life.timeline().last().map(|entry| now.since(entry.at)))
            .unwrap_or_default();
        let overdue = since.0 / PATIENCE_FACTOR >= retention.0.max(1);
        match delete_objects(context, &state, purge.run).await {
            Err(error) if !overdue => {
                tracing::warn!(run = %purge.run, error, "objects of a run that is to be purged remain");
                continue;
            }
            Err(error) => tracing::warn!(run = %purge.run, error, "objects of a purged run are given up"),
            Ok(()) => {}
        }
        let envelope = Envelope::planned(planned.command.clone(), term);
        match context.store.propose_local(vec![envelope]).await {
            Ok(_) => tracing::info!(reason = %planned.reason, "run purged"),
            Err(error) => {
                tracing::warn!(%error, "a purge is not committed yet");
                return;
            }
        }
    }
}

/// Here, and on every other member that stored something of the run.
async fn delete_objects(context: &Context, state: &State, run: RunId) -> Result<(), String> {
    let evidence = &context.evidence;
    let own = evidence.objects().delete_run(run).await;
    own.map_err(|error| error.to_string())?;
    let members: BTreeSet<NodeId> = evidence
        .peers()
        .others(&context.store)
        .into_iter()
        .map(|member| member.id)
        .collect();
    let stored: BTreeSet<NodeId> = state.manifests(run).map(|manifest| manifest.node).collect();
    for node in stored.intersection(&members) {
        let asked = evidence.peers().delete_run(&context.store, *node, run).await;
        asked.map_err(|status| format!("node {node}: {}", status.message()))?;
    }
    Ok(())
}
