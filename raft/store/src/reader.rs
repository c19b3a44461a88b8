//! Linearizable reads: a leader confirmed by a quorum names the index up to which a reader must have applied.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::ReadPolicy;
use reeve_state::State;
use reeve_state::mutant::{self, Mutant};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::error::{ReadError, UnavailableReason};
use crate::forward;
use crate::shared::Shared;

/// Pause before a failed read index is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Everything that was acknowledged before the read began is seen.
    #[default]
    Linearizable,
    /// Whatever this node has applied.
    Local,
}

/// Nobody confirmed the read.
#[derive(Debug)]
pub(crate) struct NotConfirmed;

type Waiter = oneshot::Sender<Result<u64, NotConfirmed>>;

/// Where reads join a round.
pub(crate) struct ReadIndexer {
    rounds: mpsc::UnboundedSender<Waiter>,
}

impl ReadIndexer {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Waiter>) {
        let (rounds, waiters) = mpsc::unbounded_channel();
        (Self { rounds }, waiters)
    }

    /// The index of the next round. Never that of the running one: it may have begun before a write that the reader knows of.
    pub(crate) async fn next(&self) -> Result<u64, NotConfirmed> {
        let (waiter, index) = oneshot::channel();
        self.rounds.send(waiter).map_err(|_| NotConfirmed)?;
        index.await.map_err(|_| NotConfirmed)?
    }
}

/// Runs one round after the other; everyone who came in the meantime joins the next.
pub(crate) async fn run(shared: Arc<Shared>, mut waiters: mpsc::UnboundedReceiver<Waiter>) {
    let mut round = Vec::new();
    while waiters.recv_many(&mut round, usize::MAX).await > 0 {
        let result = confirm(&shared).await;
        for waiter in round.drain(..) {
            // Readers that gave up are gone.
            drop(waiter.send(result.ok_or(NotConfirmed)));
        }
    }
}

async fn confirm(shared: &Shared) -> Option<u64> {
    let leader = shared.leader()?;
    if leader == shared.me && mutant::is(Mutant::LeaderRead) {
        return Some(shared.published.with_index().0);
    }
    if leader == shared.me {
        let (read, _) = shared.raft.get_read_log_id(ReadPolicy::ReadIndex).await.ok()?;
        return Some(read.index());
    }
    forward::read_index(shared, leader).await.ok()
}

/// The state as fresh as asked for.
pub(crate) async fn read(
    shared: &Shared,
    consistency: Consistency,
    deadline: Instant,
) -> Result<Arc<State>, ReadError> {
    match consistency {
        Consistency::Linearizable if mutant::is(Mutant::LocalRead) => Ok(shared.published.state()),
        Consistency::Local => Ok(shared.published.state()),
        Consistency::Linearizable => match tokio::time::timeout_at(deadline, confirmed(shared)).await {
            Ok(result) => result,
            Err(_) => Err(ReadError::Unavailable { reason: why(shared) }),
        },
    }
}

async fn confirmed(shared: &Shared) -> Result<Arc<State>, ReadError> {
    loop {
        if let Some(fault) = shared.fatal.get() {
            return Err(ReadError::Fatal(fault));
        }
        if let Ok(index) = shared.reads.next().await {
            shared.published.applied(index).await;
            return Ok(shared.published.state());
        }
        if shared.stopping.load(Ordering::Relaxed) {
            return Err(ReadError::Unavailable {
                reason: UnavailableReason::ShuttingDown,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn why(shared: &Shared) -> UnavailableReason {
    match shared.why_unavailable() {
        UnavailableReason::Overdue => UnavailableReason::NoQuorum,
        reason @ (UnavailableReason::NoLeader
        | UnavailableReason::NoQuorum
        | UnavailableReason::ShuttingDown) => reason,
    }
}
