//! Writes down what the agent knows of its session.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use reeve_worker::{AssignmentKey, Observer};

use super::file::Lines;
use crate::beats::{Beat, Line};
use crate::time;

/// The observer.
pub struct Watch {
    worker: String,
    lines: Lines,
    /// When each heartbeat of the session was sent that is not acknowledged yet.
    sent: Mutex<BTreeMap<u64, u64>>,
}

impl Watch {
    /// Of a process that begins now.
    pub fn begin(worker: &str, lines: Lines, capacity: Option<u32>) -> Self {
        let watch = Self {
            worker: worker.to_owned(),
            lines,
            sent: Mutex::default(),
        };
        watch.note(Beat::Started { capacity });
        watch
    }

    fn note(&self, beat: Beat) {
        let (at, worker) = (time::now_us(), self.worker.clone());
        self.lines.append(&[Line { at, worker, beat }]);
    }
}

impl Observer for Watch {
    fn session(&self, node: &str) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let node = node.to_owned();
        self.note(Beat::Session { node });
    }

    fn beat(&self, _node: &str, seq: u64) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.insert(seq, time::now_us());
    }

    fn acked(&self, node: &str, seq: u64) {
        let sent = {
            let mut waiting = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            let sent = waiting.remove(&seq);
            waiting.retain(|later, _| *later > seq);
            sent
        };
        // A number that was never sent, or answered before, says nothing.
        if let Some(sent) = sent {
            let node = node.to_owned();
            self.note(Beat::Acked { node, sent });
        }
    }

    fn ended(&self, node: &str, reason: &str) {
        let (node, reason) = (node.to_owned(), reason.to_owned());
        self.note(Beat::Ended { node, reason });
    }

    fn refused(&self, node: &str, reason: &str) {
        let (node, reason) = (node.to_owned(), reason.to_owned());
        self.note(Beat::Refused { node, reason });
    }

    fn offered(&self, node: &str, key: &AssignmentKey, endpoints: u32) {
        self.note(Beat::Assigned {
            node: node.to_owned(),
            run: key.run_id.to_string(),
            epoch: key.epoch,
            endpoints,
        });
    }
}
