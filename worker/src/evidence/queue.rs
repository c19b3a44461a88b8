//! Chunks that wait for a node: at most so many bytes, then the oldest go. No I/O and no clock.

use std::collections::{BTreeMap, VecDeque};

use reeve_proto::v1::EvidenceKind;

use super::chunk::Chunk;
use crate::clock::MonoMs;
use crate::executor::AssignmentKey;

/// Most bytes that wait.
pub const MOST_BYTES: usize = 32 * 1024 * 1024;

struct Waiting {
    chunk: Chunk,
    /// It is on its way: it is neither sent nor dropped meanwhile.
    sending: bool,
    /// Not to be sent before.
    not_before: MonoMs,
}

/// The chunks.
#[derive(Default)]
pub struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    most_bytes: Option<usize>,
    /// Rows that were dropped, to be told with the next chunk of that kind.
    owed: BTreeMap<(AssignmentKey, EvidenceKind), u64>,
    /// How many last chunks of an assignment have not come; there is one of each kind.
    open: BTreeMap<AssignmentKey, u8>,
}

impl Queue {
    #[cfg(test)]
    pub fn with_most_bytes(most_bytes: usize) -> Self {
        Self {
            most_bytes: Some(most_bytes),
            ..Self::default()
        }
    }

    /// Adds a chunk, and gives how many rows had to go for it.
    pub fn push(&mut self, mut chunk: Chunk) -> u64 {
        chunk.dropped += self.owed.remove(&(chunk.key.clone(), chunk.kind)).unwrap_or(0);
        self.bytes += chunk.data.len();
        if chunk.last {
            let open = self.open.entry(chunk.key.clone()).or_insert(chunk.streams);
            *open = open.saturating_sub(1);
        }
        self.waiting.push_back(Waiting {
            chunk,
            sending: false,
            not_before: MonoMs(i64::MIN),
        });
        let mut dropped = 0;
        while self.bytes > self.most_bytes.unwrap_or(MOST_BYTES) {
            match self.drop_oldest() {
                Some(rows) => dropped += rows,
                None => break,
            }
        }
        dropped
    }

    /// The last chunk of an assignment stays as long as there are others: without it nobody knows that the rest was all.
    fn drop_oldest(&mut self) -> Option<u64> {
        let idle = |waiting: &Waiting| !waiting.sending;
        let newest = self.waiting.len().checked_sub(1)?;
        let oldest = (0..newest).find(|at| idle(&self.waiting[*at]) && !self.waiting[*at].chunk.last);
        let oldest = oldest.or_else(|| (0..newest).find(|at| idle(&self.waiting[*at])))?;
        let chunk = self.waiting.remove(oldest)?.chunk;
        self.bytes -= chunk.data.len();
        self.owe(&chunk);
        Some(chunk.rows)
    }

    /// The next chunk of the assignment and kind says what is missing before it.
    fn owe(&mut self, lost: &Chunk) {
        let rows = lost.rows + lost.dropped;
        let next = self.waiting.iter_mut().find(|waiting| {
            let chunk = &waiting.chunk;
            !waiting.sending && chunk.key == lost.key && chunk.kind == lost.kind && chunk.seq > lost.seq
        });
        match next {
            Some(next) => next.chunk.dropped += rows,
            None if lost.last => {}
            None => *self.owed.entry((lost.key.clone(), lost.kind)).or_default() += rows,
        }
    }

    /// The oldest chunk that may be sent now; it counts as on its way.
    pub fn next(&mut self, now: MonoMs) -> Option<Chunk> {
        let next = self
            .waiting
            .iter_mut()
            .find(|waiting| !waiting.sending && waiting.not_before <= now)?;
        next.sending = true;
        Some(next.chunk.clone())
    }

    /// When [`Queue::next`] may have something that it has not now.
    pub fn wake(&self) -> Option<MonoMs> {
        let idle = self.waiting.iter().filter(|waiting| !waiting.sending);
        idle.map(|waiting| waiting.not_before).min()
    }

    /// A node has it. True if that was all there is of the assignment.
    pub fn stored(&mut self, chunk: &Chunk) -> bool {
        self.take(chunk);
        self.settled(&chunk.key)
    }

    /// No node will ever take it. True as above.
    pub fn refused(&mut self, chunk: &Chunk) -> bool {
        self.take(chunk);
        self.owe(chunk);
        self.settled(&chunk.key)
    }

    fn settled(&mut self, key: &AssignmentKey) -> bool {
        let ended = self.open.get(key) == Some(&0);
        let settled = ended && !self.waiting.iter().any(|waiting| waiting.chunk.key == *key);
        if settled {
            self.open.remove(key);
        }
        settled
    }

    /// It did not get through; once more after `not_before`.
    pub fn failed(&mut self, chunk: &Chunk, not_before: MonoMs) {
        if let Some(waiting) = self.find(chunk) {
            waiting.sending = false;
            waiting.not_before = not_before;
        }
    }

    fn find(&mut self, chunk: &Chunk) -> Option<&mut Waiting> {
        self.waiting
            .iter_mut()
            .find(|waiting| same(&waiting.chunk, chunk))
    }

    fn take(&mut self, chunk: &Chunk) {
        if let Some(at) = self
            .waiting
            .iter()
            .position(|waiting| same(&waiting.chunk, chunk))
            && let Some(waiting) = self.waiting.remove(at)
        {
            self.bytes -= waiting.chunk.data.len();
        }
    }
}

fn same(one: &Chunk, other: &Chunk) -> bool {
    (&one.key, one.kind, one.seq) == (&other.key, other.kind, other.seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(epoch: u64, seq: u32, bytes: usize, last: bool) -> Chunk {
        Chunk {
            key: AssignmentKey::new("r", epoch),
            kind: EvidenceKind::Metrics,
            seq,
            rows: 10,
            first_at_ms: 0,
            last_at_ms: 0,
            last,
            streams: 2,
            dropped: 0,
            data: vec![0; bytes],
        }
    }

    fn names(queue: &mut Queue) -> Vec<(u64, u32, u64)> {
        std::iter::from_fn(|| queue.next(MonoMs(0)))
            .map(|chunk| (chunk.key.epoch, chunk.seq, chunk.dropped))
            .collect()
    }

    #[test]
    fn beyond_the_limit_the_oldest_go_and_the_next_chunk_says_so() {
        let mut queue = Queue::with_most_bytes(100);
        assert_eq!(queue.push(chunk(1, 0, 40, false)), 0);
        assert_eq!(queue.push(chunk(1, 1, 40, false)), 0);
        assert_eq!(queue.push(chunk(1, 2, 40, false)), 10);
        assert_eq!(queue.push(chunk(1, 3, 90, true)), 20);
        assert_eq!(names(&mut queue), [(1, 3, 30)]);
        assert_eq!(
            queue.push(chunk(2, 0, 90, false)),
            0,
            "what is on its way is not dropped"
        );
    }

    #[test]
    fn last_chunks_go_last_and_the_newest_never() {
        let mut queue = Queue::with_most_bytes(100);
        queue.push(chunk(1, 0, 60, true));
        queue.push(chunk(2, 0, 30, false));
        queue.push(chunk(2, 1, 30, false));
        assert_eq!(names(&mut queue), [(1, 0, 0), (2, 1, 10)]);
        let mut queue = Queue::with_most_bytes(100);
        queue.push(chunk(1, 0, 60, true));
        queue.push(chunk(2, 0, 300, true));
        assert_eq!(names(&mut queue), [(2, 0, 0)]);
    }

    #[test]
    fn what_failed_is_sent_again_later_and_all_that_is_stored_settles_the_assignment() {
        let mut queue = Queue::default();
        let events = Chunk {
            kind: EvidenceKind::Events,
            ..chunk(1, 0, 10, true)
        };
        queue.push(chunk(1, 0, 10, false));
        queue.push(chunk(1, 1, 10, true));
        let (first, last) = (chunk(1, 0, 10, false), chunk(1, 1, 10, true));
        assert_eq!(names(&mut queue), [(1, 0, 0), (1, 1, 0)]);
        assert_eq!(queue.wake(), None);
        assert!(!queue.stored(&last));
        queue.push(events.clone());
        queue.failed(&first, MonoMs(500));
        assert!(
            queue
                .next(MonoMs(0))
                .is_some_and(|next| next.kind == EvidenceKind::Events)
        );
        assert!(!queue.stored(&events), "the first is not stored");
        assert_eq!(queue.wake(), Some(MonoMs(500)));
        assert!(queue.next(MonoMs(499)).is_none());
        assert!(queue.next(MonoMs(500)).is_some());
        assert!(queue.stored(&first));
        assert_eq!((queue.bytes, queue.open.len()), (0, 0));
    }

    #[test]
    fn a_refused_chunk_counts_as_dropped() {
        let mut queue = Queue::default();
        queue.push(chunk(1, 0, 10, false));
        let first = queue.next(MonoMs(0));
        assert!(!queue.refused(&first.unwrap_or_else(|| chunk(1, 0, 10, false))));
        queue.push(chunk(1, 1, 10, true));
        let last = queue.next(MonoMs(0)).unwrap_or_else(|| chunk(9, 9, 0, false));
        assert_eq!((last.seq, last.dropped), (1, 10));
        assert!(!queue.stored(&last), "its events have not ended");
    }
}
