//! Which causes the log has already: one line each, not one for each attempt. No clock of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::CauseKind;
use crate::clock::MonoMs;

/// A cause that lasts is told again, so that the end of a log file shows it too.
const AGAIN: Duration = Duration::from_secs(300);

/// When each cause was last told.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<CauseKind, MonoMs>);

impl Told {
    /// Whether the log is to have it now; if so it counts as told. Nodes that fail in turn for different causes do not make each
    /// other news.
    pub fn is_news(&mut self, kind: CauseKind, now: MonoMs) -> bool {
        let known = self.0.get(&kind).is_some_and(|told| now < told.after(AGAIN));
        if !known {
            self.0.insert(kind, now);
        }
        !known
    }

    /// It works: whatever comes next is news.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Covers: R102
    #[test]
    fn a_cause_is_told_once_and_again_after_a_while_or_after_it_worked() {
        let mut told = Told::default();
        assert!(told.is_news(CauseKind::Dns, MonoMs(0)));
        assert!(told.is_news(CauseKind::Refused, MonoMs(10)), "another cause");
        assert!(!told.is_news(CauseKind::Dns, MonoMs(20)), "in turn");
        assert!(!told.is_news(CauseKind::Dns, MonoMs(299_999)));
        assert!(told.is_news(CauseKind::Dns, MonoMs(300_000)));
        assert!(!told.is_news(CauseKind::Dns, MonoMs(300_001)));
        told.clear();
        assert!(told.is_news(CauseKind::Dns, MonoMs(300_002)));
    }
}
