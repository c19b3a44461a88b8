//! How much log stays although a snapshot has it: pure, fed with what was applied when.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::SnapshotPolicy;

/// What is remembered is this many times finer than the time that entries stay.
const RESOLUTION: u32 = 60;

/// Where the log stood at some time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) at: Instant,
    /// The last entry that was applied.
    pub(crate) index: u64,
    /// Bytes of commands applied since the start.
    pub(crate) bytes: u64,
}

/// Remembers how old and how large the log is.
pub(crate) struct Retention {
    policy: SnapshotPolicy,
    /// Oldest first.
    marks: VecDeque<Mark>,
}

impl Retention {
    pub(crate) fn new(policy: SnapshotPolicy) -> Self {
        Self {
            policy,
            marks: VecDeque::new(),
        }
    }

    /// Notes where the log stands, and says up to which entry it may be cut.
    pub(crate) fn note(&mut self, now: Mark) -> Option<u64> {
        let mut cut = (now.index > self.policy.keep_entries).then(|| now.index - self.policy.keep_entries);
        // The newest mark that need not stay is kept, as the answer to later questions.
        while let Some(oldest) = self.marks.front()
            && self.may_go(oldest, &now)
        {
            cut = cut.max(Some(oldest.index));
            if self.marks.get(1).is_none_or(|next| !self.may_go(next, &now)) {
                break;
            }
            self.marks.pop_front();
        }
        let every = (self.policy.keep_for / RESOLUTION).min(Duration::from_secs(60));
        if self
            .marks
            .back()
            .is_none_or(|last| now.at.duration_since(last.at) >= every)
        {
            self.marks.push_back(now);
        }
        cut
    }

    /// Whether the entries up to a mark are too old or too many.
    fn may_go(&self, mark: &Mark, now: &Mark) -> bool {
        now.at.duration_since(mark.at) >= self.policy.keep_for
            || now.bytes.saturating_sub(mark.bytes) >= self.policy.keep_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn policy() -> SnapshotPolicy {
        SnapshotPolicy {
            keep_for: 10 * MINUTE,
            keep_entries: 1_000,
            keep_bytes: 1 << 20,
            ..SnapshotPolicy::default()
        }
    }

    fn mark(start: Instant, minute: u32, index: u64, bytes: u64) -> Mark {
        Mark {
            at: start + MINUTE * minute,
            index,
            bytes,
        }
    }

    #[test]
    fn entries_of_the_last_ten_minutes_stay() {
        let start = Instant::now();
        let mut retention = Retention::new(policy());
        for minute in 0..10 {
            let index = u64::from(minute) * 10;
            assert_eq!(retention.note(mark(start, minute, index, index)), None);
        }
        assert_eq!(retention.note(mark(start, 10, 100, 100)), Some(0));
        assert_eq!(retention.note(mark(start, 13, 130, 130)), Some(30));
        assert_eq!(
            retention.note(mark(start, 60, 130, 130)),
            Some(130),
            "an hour of silence"
        );
    }

    #[test]
    fn more_entries_or_bytes_than_the_policy_keeps_go_sooner() {
        let start = Instant::now();
        let mut retention = Retention::new(policy());
        assert_eq!(retention.note(mark(start, 0, 1_000, 0)), None);
        assert_eq!(
            retention.note(mark(start, 1, 1_500, 10)),
            Some(500),
            "a thousand entries stay"
        );
        let many_bytes = mark(start, 2, 1_600, (1 << 20) + 10);
        assert_eq!(
            retention.note(many_bytes),
            Some(1_500),
            "what came before the last MiB goes"
        );
    }
}
