//! From plans to the log: fenced by the term in which they were made, never forwarded.

use reeve_plan::Planned;
use reeve_state::command::{Applied, Envelope};
use reeve_store::{ProposeError, Store};

use super::outcome::{LostLead, Outcome, of_refusal};
use crate::mutants;

/// Most commands in one call.
const BATCH: usize = 500;

/// Proposes in order and says what became of each. Committed plans are logged with their reason.
pub(super) async fn propose(
    store: &Store,
    term: u64,
    planner: &'static str,
    plans: Vec<Planned>,
) -> Result<Vec<Outcome>, LostLead> {
    let mut outcomes = Vec::with_capacity(plans.len());
    for batch in plans.chunks(BATCH) {
        match submit(store, term, planner, batch).await {
            Ok(applied) => {
                for (plan, applied) in batch.iter().zip(applied) {
                    outcomes.push(settle(planner, plan, applied.result.err())?);
                }
            }
            Err(ProposeError::NotLeader | ProposeError::Fatal(_)) => return Err(LostLead),
            Err(
                error @ (ProposeError::Unavailable { .. }
                | ProposeError::OutcomeUnknown
                | ProposeError::LaneFull { .. }),
            ) => {
                tracing::warn!(planner, commands = batch.len(), %error, "plans are not committed");
                outcomes.extend(std::iter::repeat_n(Outcome::Retry, batch.len()));
            }
        }
    }
    Ok(outcomes)
}

async fn submit(
    store: &Store,
    term: u64,
    planner: &str,
    batch: &[Planned],
) -> Result<Vec<Applied>, ProposeError> {
    if let Some(applied) = mutants::hand_on(store, term, planner, batch).await {
        return applied;
    }
    let envelopes = batch
        .iter()
        .map(|plan| Envelope::planned(plan.command.clone(), term))
        .collect();
    store.propose_local(envelopes).await
}

fn settle(
    planner: &'static str,
    plan: &Planned,
    refusal: Option<reeve_state::command::Refusal>,
) -> Result<Outcome, LostLead> {
    let Some(refusal) = refusal else {
        tracing::info!(planner, command = plan.command.name(), reason = %plan.reason, "planned");
        return Ok(Outcome::Success);
    };
    let outcome = of_refusal(&refusal)?;
    match outcome {
        Outcome::Retry => {
            tracing::error!(planner, command = plan.command.name(), %refusal, "a plan was refused that should not be");
        }
        Outcome::Success | Outcome::Requeue | Outcome::Skip => {
            tracing::debug!(planner, command = plan.command.name(), %refusal, "a plan was refused");
        }
    }
    Ok(outcome)
}
