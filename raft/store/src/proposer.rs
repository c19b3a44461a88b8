//! Turns waiting commands into entries: many to an entry, two entries in flight.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::errors::ClientWriteError;
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use openraft::type_config::alias::OneshotReceiverOf;
use reeve_state::command::Applied;
use reeve_state::id::NodeId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::entry;
use crate::error::{ProposeError, UnavailableReason};
use crate::forward;
use crate::lanes::{Item, Route};
use crate::shared::Shared;
use crate::types::TypeConfig;

/// Entries in flight: one on its way to the quorum, one filling the gap.
const IN_FLIGHT: usize = 2;
/// Pause before a refused batch is tried again.
const PAUSE: Duration = Duration::from_millis(5);

type Completion = OneshotReceiverOf<TypeConfig, ClientWriteResult<TypeConfig>>;

/// What became of an attempt as a whole.
pub(crate) enum Attempt {
    /// Every command has its outcome.
    Done(Vec<Outcome>),
    /// Certainly nothing was proposed.
    NotProposed,
    /// All of it may yet commit.
    Unknown,
}

/// What became of one command of a batch.
pub(crate) enum Outcome {
    Applied(Applied),
    NotProposed,
    Unknown,
    LaneFull(Duration),
}

/// Proposes until the store is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    loop {
        // First the permit: while it is awaited, the batch grows.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let batch = shared.lanes.next_batch().await;
        match shared.leader() {
            Some(leader) if leader == shared.me => propose_here(&shared, batch, permit).await,
            Some(leader) => {
                let batch = split_off_local(batch);
                tokio::spawn(propose_there(Arc::clone(&shared), leader, batch, permit));
            }
            // No leader will come that this node would hear of.
            None if shared.fatal.get().is_some() || shared.stopping.load(Ordering::Relaxed) => {
                refuse_all(&shared, batch);
            }
            None => {
                shared.lanes.put_back(split_off_local(batch));
                let mut leadership = shared.leadership.subscribe();
                // Woken by a leader, or after a pause to drop what is overdue.
                let _ = tokio::time::timeout(4 * PAUSE, leadership.wait_for(|l| l.leader.is_some())).await;
            }
        }
    }
}

/// Answers what may only be proposed by a leader; the rest remains.
fn split_off_local(batch: Vec<Item>) -> Vec<Item> {
    let (here, anywhere): (Vec<_>, Vec<_>) = batch.into_iter().partition(|item| item.route == Route::Here);
    here.into_iter()
        .for_each(|item| item.refuse(ProposeError::NotLeader));
    anywhere
}

/// Proposes in order, so that stamps rise with the log; the answers are awaited beside it.
async fn propose_here(shared: &Arc<Shared>, batch: Vec<Item>, permit: OwnedSemaphorePermit) {
    let started = Instant::now();
    let envelopes = batch.iter().map(|item| item.envelope.clone()).collect();
    let data = entry::encode(shared.stamp(), envelopes);
    let (responder, completion) = ProgressResponder::complete_only();
    if let Err(fault) = shared.raft.client_write_ff(data, Some(responder)).await {
        tracing::debug!(%fault, "raft takes no proposals");
        return refuse_all(shared, batch);
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let attempt = complete(completion, batch.len()).await;
        if matches!(attempt, Attempt::Done(_)) {
            metrics::histogram!("reeve_raft_commit_seconds").record(started.elapsed().as_secs_f64());
        }
        settle(&shared, batch, attempt).await;
        drop(permit);
    });
}

async fn complete(completion: Completion, commands: usize) -> Attempt {
    match completion.await {
        Ok(Ok(response)) if response.data.len() == commands => {
            Attempt::Done(response.data.into_iter().map(Outcome::Applied).collect())
        }
        // The core ended before it answered; an answer of another length cannot be.
        Ok(Ok(_)) | Err(_) => Attempt::Unknown,
        // Only a redirect is certain: a discarded entry may still be committed by the next leader.
        Ok(Err(ClientWriteError::ForwardToLeader(_))) => Attempt::NotProposed,
        Ok(Err(
            ClientWriteError::LogEntryDiscarded(_)
            | ClientWriteError::ChangeMembershipError(_)
            | ClientWriteError::PreconditionFailed(_),
        )) => Attempt::Unknown,
    }
}

async fn propose_there(shared: Arc<Shared>, leader: NodeId, batch: Vec<Item>, permit: OwnedSemaphorePermit) {
    if !batch.is_empty() {
        let attempt = forward::propose(&shared, leader, &batch).await;
        settle(&shared, batch, attempt).await;
    }
    drop(permit);
}

/// Answers what is decided; what was certainly not proposed, or may be repeated, waits again.
async fn settle(shared: &Shared, batch: Vec<Item>, attempt: Attempt) {
    let outcomes: Vec<Outcome> = match attempt {
        Attempt::Done(outcomes) => outcomes,
        Attempt::NotProposed => batch.iter().map(|_| Outcome::NotProposed).collect(),
        Attempt::Unknown => batch.iter().map(|_| Outcome::Unknown).collect(),
    };
    let mut again = Vec::new();
    for (item, outcome) in batch.into_iter().zip(outcomes) {
        match outcome {
            Outcome::Applied(applied) => item.answer(Ok(applied)),
            Outcome::LaneFull(retry_after) => item.refuse(ProposeError::LaneFull { retry_after }),
            Outcome::NotProposed if item.route == Route::Here => item.refuse(ProposeError::NotLeader),
            Outcome::NotProposed => again.push(item),
            Outcome::Unknown if item.repeatable && item.route == Route::Anywhere => {
                item.set_uncertain();
                again.push(item);
            }
            Outcome::Unknown => item.answer(Err(ProposeError::OutcomeUnknown)),
        }
    }
    if !again.is_empty() {
        tokio::time::sleep(PAUSE).await;
        shared.lanes.put_back(again);
    }
}

/// Raft has stopped or stops: this attempt proposed nothing, and there will be no other.
fn refuse_all(shared: &Shared, batch: Vec<Item>) {
    let error = match shared.fatal.get() {
        Some(fault) => ProposeError::Fatal(fault),
        None => ProposeError::Unavailable {
            reason: UnavailableReason::ShuttingDown,
        },
    };
    batch.into_iter().for_each(|item| item.refuse(error.clone()));
}
