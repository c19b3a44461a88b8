//! Summaries of runs that ended: derived from the state, so that a new leader goes on where the last one stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use reeve_state::State;
use reeve_state::command::{Command, Envelope, RecordSummary};
use reeve_state::id::RunId;
use reeve_state::record::{Aggregate, EndpointCounts, EvidenceKind, GroupFigures, Run, SUCCESS_RATE};
use reeve_state::time::{Millis, Time};
use reeve_state::transition::endpoint::EndpointOutcome;
use reeve_state::transition::run::RunStatus;
use tokio::sync::Semaphore;

use super::figures::RunFigures;
use super::source::{Gap, Selection, Source, gaps, has_ended, late_counts_until};
use crate::context::Context;

/// A summary waits so long for evidence, and is then written without it.
const PATIENCE: Millis = Millis::from_secs(15);
/// Summaries that are made at once.
const AT_ONCE: usize = 2;
/// Most runs that are under way or wait for their turn; the others are found with the next look.
const MOST_WAITING: usize = 500;
/// Gaps that are told in words.
const MOST_TOLD: usize = 8;

/// What is under way.
pub struct Summaries {
    working: Arc<Mutex<BTreeSet<RunId>>>,
    turns: Arc<Semaphore>,
}

impl Default for Summaries {
    fn default() -> Self {
        Self {
            working: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Summaries {
    /// Begins with the runs that are ready. What fails is found again with the next look.
    pub fn look(&mut self, context: &Context, term: u64) {
        let (state, now) = (context.store.local(), context.store.cluster_now());
        for run in state.unsummarised_runs() {
            let mut working = self.working.lock();
            if working.len() >= MOST_WAITING {
                return;
            }
            if !is_ready(&state, run, now) || !working.insert(run.id) {
                continue;
            }
            let (context, id) = (context.clone(), run.id);
            let (working, turns) = (Arc::clone(&self.working), Arc::clone(&self.turns));
            tokio::spawn(async move {
                let shutdown = context.shutdown.clone();
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = in_turn(&context, term, &turns, id) => {}
                }
                working.lock().remove(&id);
            });
        }
    }
}

/// Looks again when its turn comes: the run may have been forgotten while it waited.
async fn in_turn(context: &Context, term: u64, turns: &Semaphore, id: RunId) {
    // The turns are never closed.
    let Ok(_turn) = turns.acquire().await else { return };
    let state = context.store.local();
    if let Some(run) = state.run(id) {
        summarise(context, term, &state, run).await;
    }
}

fn ended_at(run: &Run) -> Time {
    run.life
        .timeline()
        .last()
        .map_or(run.created_at, |entry| entry.at)
}

/// Everything came, or nothing more is to be waited for.
fn is_ready(state: &State, run: &Run, now: Time) -> bool {
    if now.since(ended_at(run)) >= PATIENCE {
        return true;
    }
    let mut started = state.assignments(run.id).filter(|assignment| assignment.started);
    started.all(|assignment| {
        let gone = state
            .worker(assignment.worker)
            .is_none_or(|worker| worker.session.is_none());
        has_ended(state, assignment) || (assignment.lost && gone)
    })
}

async fn summarise(context: &Context, term: u64, state: &State, run: &Run) {
    let (figures, unreadable) = figures_of(&Source(context.clone()), state, run).await;
    let now = context.store.cluster_now();
    // A node that restarts has its chunks again soon.
    if !unreadable.is_empty() && now.since(ended_at(run)) < PATIENCE {
        return;
    }
    let mut missing = gaps(state, run.id);
    missing.extend(unreadable);
    let command = RecordSummary {
        run: run.id,
        metrics: with_success_rate(figures.run().aggregates(), &state.run_counts(run.id)),
        responses: figures.run().responses(),
        groups: group_figures(&figures, state, run),
        complete: run.life.status() == RunStatus::Completed && missing.is_empty(),
        missing: told(&missing),
    };
    let complete = command.complete;
    let envelope = Envelope::planned(Command::RecordSummary(command), term);
    match context.store.propose_local(vec![envelope]).await {
        Ok(applied) => match applied.into_iter().next().map(|applied| applied.result) {
            Some(Err(refusal)) => tracing::debug!(run = %run.id, %refusal, "a summary was refused"),
            Some(Ok(_)) | None => tracing::info!(run = %run.id, complete, "summarised"),
        },
        Err(error) => tracing::warn!(run = %run.id, %error, "a summary is not committed yet"),
    }
}

/// The figures of everything that counts and can be read, and what cannot.
pub async fn figures_of(source: &Source, state: &State, run: &Run) -> (RunFigures, Vec<Gap>) {
    let until = late_counts_until(run).and_then(|at| i64::try_from(at.0).ok());
    let selection = Selection {
        kind: EvidenceKind::Metrics,
        ordinals: Vec::new(),
    };
    source
        .fold(
            state,
            run.id,
            &selection,
            figures_for(run),
            move |figures, row, origin| {
                if !origin.late || until.is_some_and(|until| row.at <= until) {
                    figures.add(origin.group, row);
                }
            },
        )
        .await
}

/// Nothing measured yet.
pub fn figures_for(run: &Run) -> RunFigures {
    let groups = &run.definition.groups;
    RunFigures::of(groups.iter().map(|group| group.name.as_str()))
}

/// With the share of endpoints that ended in SUCCESS, in per cent; those that have not ended count as endpoints.
pub fn with_success_rate(
    mut metrics: BTreeMap<String, Aggregate>,
    counts: &EndpointCounts,
) -> BTreeMap<String, Aggregate> {
    let total = u64::from(counts.total());
    let successes = u64::from(counts.outcome(EndpointOutcome::Success)) * 100_000;
    if let Some(milli) = successes.checked_div(total) {
        metrics.insert(
            SUCCESS_RATE.to_owned(),
            Aggregate::one(i64::try_from(milli).unwrap_or(100_000)),
        );
    }
    metrics
}

/// What each group's evidence comes to.
pub fn group_figures(figures: &RunFigures, state: &State, run: &Run) -> Vec<GroupFigures> {
    let groups = figures.groups().zip(group_counts(state, run));
    groups
        .map(|((name, figures), counts)| GroupFigures {
            group: name.to_owned(),
            metrics: with_success_rate(figures.aggregates(), &counts),
            responses: figures.responses(),
        })
        .collect()
}

/// Where the endpoints of each group are, in the order of the definition.
pub fn group_counts(state: &State, run: &Run) -> Vec<EndpointCounts> {
    let mut sums = vec![EndpointCounts::default(); run.definition.groups.len()];
    for assignment in state.assignments(run.id) {
        if let Some(sum) = sums.get_mut(assignment.group as usize) {
            sum.add(&assignment.counts);
        }
    }
    sums
}

fn told(gaps: &[Gap]) -> String {
    let one = |gap: &Gap| {
        format!(
            "assignment {}: {} ({})",
            gap.ordinal,
            gap.reason.name(),
            gap.detail
        )
    };
    let mut words: Vec<String> = gaps.iter().take(MOST_TOLD).map(one).collect();
    if gaps.len() > MOST_TOLD {
        words.push(format!("{} more", gaps.len() - MOST_TOLD));
    }
    words.join("; ")
}
