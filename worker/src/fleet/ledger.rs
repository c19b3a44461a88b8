//! What the endpoints of one assignment have come to, and which of it was not yet reported. Later changes of an
//! endpoint replace earlier ones, so the size does not depend on how long the worker was disconnected.

use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase, Progress};

use crate::executor::EndpointChange;

/// Most endpoints in one report; a limit of the wire contract.
pub const MOST_PER_REPORT: usize = 20_000;

/// Phase and outcome of each endpoint, in one byte each.
#[derive(Debug)]
pub struct Ledger {
    phases: Vec<u8>,
    outcomes: Vec<u8>,
    /// Offsets that changed since they were last taken, each once, in order of their first change.
    changed: Vec<u32>,
    is_changed: Vec<bool>,
    active: u32,
    open: u32,
}

/// Bytes that one endpoint costs here.
pub const BYTES_PER_ENDPOINT: usize = 3 + size_of::<u32>();
const _: () = assert!(BYTES_PER_ENDPOINT <= 8);

impl Ledger {
    /// Endpoints that have not begun.
    #[must_use]
    pub fn new(endpoints: u32) -> Self {
        let count = endpoints as usize;
        Self {
            phases: vec![0; count],
            outcomes: vec![0; count],
            changed: Vec::new(),
            is_changed: vec![false; count],
            active: 0,
            open: endpoints,
        }
    }

    /// Notes a change. True if it moved the endpoint forward; what comes late, twice or for no endpoint of ours
    /// changes nothing.
    pub fn record(&mut self, change: EndpointChange) -> bool {
        let at = change.offset as usize;
        let Some(phase) = self.phases.get(at).copied() else {
            return false;
        };
        if change.phase as u8 <= phase {
            return false;
        }
        let was_active = phase != Phase::Unspecified as u8;
        let closes = change.phase == Phase::Closed;
        self.active = self.active + u32::from(!was_active && !closes) - u32::from(was_active && closes);
        self.open -= u32::from(closes);
        self.phases[at] = change.phase as u8;
        self.outcomes[at] = if closes {
            change.outcome as u8
        } else {
            Outcome::Unspecified as u8
        };
        self.mark(change.offset);
        true
    }

    /// Endpoints that began and have not closed.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.active
    }

    /// Whether every endpoint is CLOSED.
    #[must_use]
    pub fn all_closed(&self) -> bool {
        self.open == 0
    }

    /// Whether there is something to report.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Takes the oldest changes, as many as a report may hold.
    pub fn take(&mut self) -> Progress {
        let count = self.changed.len().min(MOST_PER_REPORT);
        let offsets: Vec<u32> = self.changed.drain(..count).collect();
        let byte = |table: &[u8]| {
            offsets
                .iter()
                .map(|offset| table[*offset as usize])
                .collect::<Vec<u8>>()
        };
        let (phases, outcomes) = (byte(&self.phases), byte(&self.outcomes));
        for offset in &offsets {
            self.is_changed[*offset as usize] = false;
        }
        Progress {
            offsets,
            phases,
            outcomes,
        }
    }

    /// Marks everything that is known as not reported: the cluster lost what it had acknowledged (a restore).
    pub fn mark_all(&mut self) {
        for offset in 0..self.phases.len() {
            if self.phases[offset] != Phase::Unspecified as u8 {
                self.mark(u32::try_from(offset).unwrap_or(u32::MAX));
            }
        }
    }

    fn mark(&mut self, offset: u32) {
        let marked = &mut self.is_changed[offset as usize];
        if !*marked {
            *marked = true;
            self.changed.push(offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(offset: u32, phase: Phase, outcome: Outcome) -> EndpointChange {
        EndpointChange {
            offset,
            phase,
            outcome,
        }
    }

    #[test]
    fn only_the_last_state_of_an_endpoint_is_reported_and_only_once() {
        let mut ledger = Ledger::new(3);
        assert!(ledger.record(change(1, Phase::Initializing, Outcome::Unspecified)));
        assert!(ledger.record(change(1, Phase::Incall, Outcome::Unspecified)));
        assert!(ledger.record(change(0, Phase::Closed, Outcome::Oserror)));
        assert_eq!((ledger.active(), ledger.all_closed()), (1, false));
        let progress = ledger.take();
        assert_eq!(progress.offsets, [1, 0]);
        assert_eq!(progress.phases, [Phase::Incall as u8, Phase::Closed as u8]);
        assert_eq!(progress.outcomes, [0, Outcome::Oserror as u8]);
        assert!(!ledger.has_changes());
    }

    #[test]
    fn phases_only_move_forward_and_closed_is_final() {
        let mut ledger = Ledger::new(1);
        assert!(ledger.record(change(0, Phase::Calling, Outcome::Unspecified)));
        assert!(!ledger.record(change(0, Phase::Registered, Outcome::Unspecified)));
        assert!(ledger.record(change(0, Phase::Closed, Outcome::Success)));
        assert!(!ledger.record(change(0, Phase::Closed, Outcome::Oserror)));
        assert!(
            !ledger.record(change(9, Phase::Closed, Outcome::Success)),
            "not an endpoint of ours"
        );
        assert_eq!((ledger.active(), ledger.all_closed()), (0, true));
        assert_eq!(ledger.take().outcomes, [Outcome::Success as u8]);
    }

    #[test]
    fn a_report_holds_at_most_20_000_endpoints() {
        let mut ledger = Ledger::new(45_000);
        for offset in 0..45_000 {
            ledger.record(change(offset, Phase::Closed, Outcome::Success));
        }
        let sizes: Vec<_> = (0..4).map(|_| ledger.take().offsets.len()).collect();
        assert_eq!(sizes, [20_000, 20_000, 5_000, 0]);
        ledger.mark_all();
        assert_eq!(ledger.take().offsets[0], 0);
    }
}
