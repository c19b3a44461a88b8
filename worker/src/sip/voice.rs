//! What one endpoint says goes to the agent's loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use reeve_sip::Update;

use super::traces::{self, Traces};
use super::{State, samples};
use crate::clock::MonoMs;
use crate::executor::{AssignmentKey, EndpointChange, Event};
use crate::trace::{TraceItem, Traced};

/// One endpoint's.
pub(super) struct Voice {
    pub state: Arc<State>,
    pub key: AssignmentKey,
    pub offset: u32,
    /// Whether it calls, or is called.
    pub calls: bool,
    pub traces: Traces,
    /// Its last word was said.
    pub closed: AtomicBool,
}

impl Voice {
    pub fn say(&self, update: Update) {
        // Under the lock, so that a release is never followed by an older event.
        let assignments = self.state.assignments.lock();
        if !assignments.contains_key(&self.key) {
            return;
        }
        let now = self.state.clock.now();
        match update {
            Update::Phase(phase) => self.moved(now, phase, Outcome::Unspecified),
            Update::Interval(interval) => {
                let samples = samples::of_interval(now, self.offset, &interval);
                self.state.sink.emit(Event::Sampled(self.key.clone(), samples));
            }
            Update::Trace(messages) => self.traced(self.traces.messages(now, messages)),
            Update::Closed(closed) => {
                self.closed.store(true, Ordering::Relaxed);
                let samples = samples::of_call(now, self.offset, &closed, self.calls);
                if !samples.is_empty() {
                    self.state.sink.emit(Event::Sampled(self.key.clone(), samples));
                }
                let ending = TraceItem::Ending {
                    detail: closed.ending.detail,
                    code: closed.figures.code,
                    dropped: closed.dropped,
                };
                self.traced(traces::endings(now, std::iter::once(self.offset), &ending));
                self.moved(now, Phase::Closed, closed.ending.outcome);
            }
        }
    }

    fn traced(&self, traced: Traced) {
        self.state.sink.emit(Event::Traced(self.key.clone(), traced));
    }

    fn moved(&self, now: MonoMs, phase: Phase, outcome: Outcome) {
        let change = EndpointChange {
            offset: self.offset,
            phase,
            outcome,
        };
        self.state
            .sink
            .emit(Event::Changed(self.key.clone(), now, vec![change]));
    }
}

/// An endpoint that goes without a last word broke in the middle: that must not leave its run waiting for it.
impl Drop for Voice {
    fn drop(&mut self) {
        if self.closed.load(Ordering::Relaxed) || !self.state.assignments.lock().contains_key(&self.key) {
            return;
        }
        tracing::error!(assignment = %self.key, offset = self.offset, "an endpoint broke");
        let now = self.state.clock.now();
        let ending = traces::without_messages("the worker's own fault: see its log");
        self.traced(traces::endings(now, std::iter::once(self.offset), &ending));
        self.moved(now, Phase::Closed, Outcome::Oserror);
    }
}
