//! Commands that wait for their turn, in bounded lanes by urgency.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use reeve_state::command::Applied;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::error::{ProposeError, UnavailableReason};

/// Most commands in an entry.
const MAX_COMMANDS: usize = 1_000;
/// Most bytes in an entry, unless one command alone has more.
const MAX_BYTES: usize = 1 << 20;
/// How long a caller should wait when its lane is full.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// How urgent a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// What is known of a worker's link.
    Liveness,
    /// What the reconciler decides, and sessions.
    Reconciler,
    /// What workers report.
    Reports,
    /// What users ask for.
    Users,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 4] = [Self::Liveness, Self::Reconciler, Self::Reports, Self::Users];

    const fn index(self) -> usize {
        self as usize
    }

    pub(crate) const fn number(self) -> u32 {
        self as u32 + 1
    }

    pub(crate) fn numbered(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.number() == number)
    }
}

/// Where a command may be proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Here or at the leader; repeated while it is certain that it was not proposed.
    Anywhere,
    /// Only if this node leads.
    Here,
}

const WAITING: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;
/// It waits again, but an earlier attempt may yet commit.
const UNCERTAIN: u8 = 3;

/// A command on its way.
pub(crate) struct Item {
    pub(crate) envelope: Bytes,
    pub(crate) lane: Lane,
    pub(crate) deadline: Instant,
    pub(crate) route: Route,
    /// It carries a request id: repeating it is harmless.
    pub(crate) repeatable: bool,
    phase: Arc<AtomicU8>,
    reply: oneshot::Sender<Result<Applied, ProposeError>>,
}

/// Waits for a command's answer.
pub(crate) struct Ticket {
    deadline: Instant,
    phase: Arc<AtomicU8>,
    reply: oneshot::Receiver<Result<Applied, ProposeError>>,
}

impl Item {
    pub(crate) fn new(
        envelope: Bytes,
        lane: Lane,
        deadline: Instant,
        route: Route,
        repeatable: bool,
    ) -> (Self, Ticket) {
        let phase = Arc::new(AtomicU8::new(WAITING));
        let (sender, reply) = oneshot::channel();
        let item = Self {
            envelope,
            lane,
            deadline,
            route,
            repeatable,
            phase: Arc::clone(&phase),
            reply: sender,
        };
        (
            item,
            Ticket {
                deadline,
                phase,
                reply,
            },
        )
    }

    /// Answers the caller, who may be gone.
    pub(crate) fn answer(self, result: Result<Applied, ProposeError>) {
        drop(self.reply.send(result));
    }

    /// Takes it for an attempt; false if nobody waits for it any more.
    fn take(&self) -> bool {
        match self
            .phase
            .compare_exchange(WAITING, SENT, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => true,
            Err(phase) => phase == UNCERTAIN && !self.reply.is_closed(),
        }
    }

    /// The attempt certainly proposed nothing.
    fn release(&self) {
        // An earlier attempt's uncertainty stays.
        let _ = self
            .phase
            .compare_exchange(SENT, WAITING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The attempt may yet commit.
    pub(crate) fn set_uncertain(&self) {
        self.phase.store(UNCERTAIN, Ordering::Release);
    }

    /// Ends it without this attempt having proposed anything. If an earlier attempt may yet commit, that is the answer.
    pub(crate) fn refuse(self, error: ProposeError) {
        let uncertain = self.phase.load(Ordering::Acquire) == UNCERTAIN;
        self.answer(Err(if uncertain {
            ProposeError::OutcomeUnknown
        } else {
            error
        }));
    }
}

impl Ticket {
    /// The answer, at the deadline at the latest. `why`: the reason if the command is still waiting then.
    pub(crate) async fn wait(
        mut self,
        why: impl FnOnce() -> UnavailableReason,
    ) -> Result<Applied, ProposeError> {
        match tokio::time::timeout_at(self.deadline, &mut self.reply).await {
            Ok(Ok(result)) => result,
            // The item was dropped with its store.
            Ok(Err(_)) => Err(self.give_up(UnavailableReason::ShuttingDown)),
            Err(_) => Err(self.give_up(why())),
        }
    }

    fn give_up(&self, reason: UnavailableReason) -> ProposeError {
        match self
            .phase
            .compare_exchange(WAITING, ABANDONED, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => ProposeError::Unavailable { reason },
            Err(_) => ProposeError::OutcomeUnknown,
        }
    }
}

impl Drop for Ticket {
    /// A caller that went away leaves nothing behind that is proposed for nobody.
    fn drop(&mut self) {
        let _ = self
            .phase
            .compare_exchange(WAITING, ABANDONED, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// The queues.
pub(crate) struct Lanes {
    queues: Mutex<[VecDeque<Item>; 4]>,
    filled: Notify,
    capacity: usize,
}

impl Lanes {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            queues: Mutex::default(),
            filled: Notify::new(),
            capacity,
        }
    }

    /// Queues commands together, in order: all of them, or as many as the lane has room for.
    pub(crate) fn push(&self, items: impl IntoIterator<Item = Item>) {
        let mut refused = Vec::new();
        {
            let mut queues = self.queues.lock();
            for item in items {
                let queue = &mut queues[item.lane.index()];
                if queue.len() >= self.capacity {
                    refused.push(item);
                } else {
                    queue.push_back(item);
                }
            }
        }
        for item in refused {
            item.answer(Err(ProposeError::LaneFull {
                retry_after: RETRY_AFTER,
            }));
        }
        self.filled.notify_one();
    }

    /// Puts commands of which nothing was proposed back to where they were.
    pub(crate) fn put_back(&self, items: Vec<Item>) {
        {
            let mut queues = self.queues.lock();
            for item in items.into_iter().rev() {
                item.release();
                queues[item.lane.index()].push_front(item);
            }
        }
        self.filled.notify_one();
    }

    /// The next batch, the most urgent first; waits until there is one. Overdue commands are answered and left out.
    pub(crate) async fn next_batch(&self) -> Vec<Item> {
        loop {
            let batch = self.take_batch();
            if !batch.is_empty() {
                return batch;
            }
            self.filled.notified().await;
        }
    }

    fn take_batch(&self) -> Vec<Item> {
        let now = Instant::now();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut queues = self.queues.lock();
        'lanes: for queue in queues.iter_mut() {
            while let Some(item) = queue.pop_front() {
                let full = batch.len() >= MAX_COMMANDS || bytes + item.envelope.len() > MAX_BYTES;
                if full && !batch.is_empty() {
                    queue.push_front(item);
                    break 'lanes;
                }
                if item.deadline <= now {
                    item.refuse(ProposeError::Unavailable {
                        reason: UnavailableReason::Overdue,
                    });
                } else if item.take() {
                    bytes += item.envelope.len();
                    batch.push(item);
                }
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn item(lane: Lane, bytes: usize) -> (Item, Ticket) {
        let deadline = Instant::now() + Duration::from_secs(60);
        Item::new(
            Bytes::from(vec![0; bytes]),
            lane,
            deadline,
            Route::Anywhere,
            false,
        )
    }

    fn lanes_of(batch: &[Item]) -> Vec<Lane> {
        batch.iter().map(|item| item.lane).collect()
    }

    #[tokio::test]
    async fn urgent_lanes_go_first_and_order_within_a_lane_is_kept() {
        let lanes = Lanes::new(10);
        let (users, _u) = item(Lane::Users, 1);
        let (first, _f) = item(Lane::Liveness, 1);
        let (second, _s) = item(Lane::Liveness, 2);
        lanes.push([users, first, second]);
        let batch = lanes.next_batch().await;
        assert_eq!(lanes_of(&batch), [Lane::Liveness, Lane::Liveness, Lane::Users]);
        assert_eq!(
            batch.iter().map(|item| item.envelope.len()).collect::<Vec<_>>(),
            [1, 2, 1]
        );
    }

    #[tokio::test]
    async fn what_an_earlier_attempt_may_have_proposed_is_never_told_to_be_refused() {
        let errors = [
            ProposeError::NotLeader,
            ProposeError::LaneFull {
                retry_after: RETRY_AFTER,
            },
        ];
        for error in errors {
            let lanes = Lanes::new(10);
            let (fresh, answer) = item(Lane::Users, 1);
            fresh.refuse(error.clone());
            assert_eq!(
                answer.wait(|| UnavailableReason::Overdue).await,
                Err(error.clone())
            );
            let (sent, answer) = item(Lane::Users, 1);
            lanes.push([sent]);
            let batch = lanes.next_batch().await;
            batch.iter().for_each(Item::set_uncertain);
            lanes.put_back(batch);
            for again in lanes.next_batch().await {
                again.refuse(error.clone());
            }
            let result = answer.wait(|| UnavailableReason::Overdue).await;
            assert_eq!(result, Err(ProposeError::OutcomeUnknown));
        }
    }

    #[tokio::test]
    async fn a_full_lane_refuses_and_the_others_do_not() {
        let lanes = Lanes::new(1);
        let (one, _one) = item(Lane::Users, 1);
        let (two, full) = item(Lane::Users, 1);
        let (other, _other) = item(Lane::Reports, 1);
        lanes.push([one, two, other]);
        let refused = full.wait(|| UnavailableReason::Overdue).await;
        assert_eq!(
            refused,
            Err(ProposeError::LaneFull {
                retry_after: RETRY_AFTER
            })
        );
        assert_eq!(lanes.next_batch().await.len(), 2);
    }

    #[tokio::test]
    async fn an_entry_holds_a_thousand_commands_or_a_mebibyte() {
        let lanes = Lanes::new(10_000);
        let (items, _tickets): (Vec<_>, Vec<_>) = (0..1_001).map(|_| item(Lane::Users, 1)).unzip();
        lanes.push(items);
        assert_eq!(lanes.next_batch().await.len(), 1_000);
        assert_eq!(lanes.next_batch().await.len(), 1);
        let (items, _tickets): (Vec<_>, Vec<_>) = (0..3).map(|_| item(Lane::Users, MAX_BYTES / 2)).unzip();
        lanes.push(items);
        assert_eq!(lanes.next_batch().await.len(), 2);
        let (large, _ticket) = item(Lane::Liveness, 2 * MAX_BYTES);
        lanes.push([large]);
        assert_eq!(
            lanes.next_batch().await.len(),
            1,
            "one command alone may be larger"
        );
    }

    #[tokio::test]
    async fn what_waits_at_its_deadline_was_not_proposed_and_what_was_sent_is_unknown() {
        let lanes = Lanes::new(10);
        let soon = Instant::now() + Duration::from_millis(5);
        let (waiting, ticket) = Item::new(Bytes::new(), Lane::Users, soon, Route::Anywhere, false);
        let why = || UnavailableReason::NoLeader;
        let unavailable = ProposeError::Unavailable {
            reason: UnavailableReason::NoLeader,
        };
        assert_eq!(ticket.wait(why).await, Err(unavailable));
        lanes.push([waiting]);
        let soon = Instant::now() + Duration::from_secs(60);
        let (sent, mut ticket) = Item::new(Bytes::new(), Lane::Users, soon, Route::Anywhere, false);
        lanes.push([sent]);
        let batch = lanes.next_batch().await;
        assert_eq!(batch.len(), 1, "the abandoned one is left out");
        ticket.deadline = Instant::now();
        assert_eq!(ticket.wait(why).await, Err(ProposeError::OutcomeUnknown));
    }
}
