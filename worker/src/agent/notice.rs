//! What the cluster says about this worker's drain. The cluster decides what the worker gets and when it hangs up; here it is shown,
//! and followed when it says to leave. No I/O and no clock.

use reeve_proto::v1::DrainNotice;

/// A drain that somebody asked the cluster for.
#[derive(Debug, Default)]
pub struct Notice {
    /// Why, while it drains.
    draining: Option<String>,
    /// What the log has; a notice is repeated with each session.
    told: Option<String>,
    /// Told to leave on this session.
    leave: bool,
}

impl Notice {
    /// A session stands: it says anew what holds.
    pub fn new_session(&mut self) {
        self.draining = None;
        self.leave = false;
    }

    /// The cluster drains the worker. True if the log does not have that yet.
    pub fn drains(&mut self, notice: &DrainNotice) -> bool {
        self.draining = Some(notice.reason.clone());
        let is_news = self.told.as_ref() != Some(&notice.reason);
        self.told = Some(notice.reason.clone());
        is_news
    }

    /// The drain was taken back.
    pub fn taken_back(&mut self) {
        *self = Self::default();
    }

    /// The drain is complete. True if that is new.
    pub fn complete(&mut self) -> bool {
        !std::mem::replace(&mut self.leave, true)
    }

    /// Whether to leave as soon as nothing is held.
    pub fn says_leave(&self) -> bool {
        self.leave
    }

    /// The reason, while the cluster drains the worker.
    pub fn reason(&self) -> Option<&str> {
        self.draining.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(reason: &str) -> DrainNotice {
        DrainNotice {
            reason: reason.to_owned(),
            remaining_ms: 1_000,
            leave: true,
        }
    }

    // Covers: R65, R66
    #[test]
    fn a_notice_is_told_once_however_many_sessions_repeat_it() {
        let mut state = Notice::default();
        assert!(state.drains(&notice("move")));
        assert!(!state.drains(&notice("move")));
        state.new_session();
        assert_eq!(state.reason(), None, "until this session says so");
        assert!(!state.drains(&notice("move")));
        assert_eq!(state.reason(), Some("move"));
        assert!(state.drains(&notice("other")));
        state.taken_back();
        assert_eq!(state.reason(), None);
        assert!(state.drains(&notice("other")), "a new drain");
    }

    // Covers: R68
    #[test]
    fn the_order_to_leave_ends_with_the_drain_or_the_session() {
        let mut state = Notice::default();
        state.drains(&notice("move"));
        assert!(!state.says_leave());
        assert!(state.complete());
        assert!(!state.complete());
        assert!(state.says_leave());
        state.new_session();
        assert!(!state.says_leave(), "it may have been taken back meanwhile");
        state.complete();
        state.taken_back();
        assert!(!state.says_leave());
    }
}
