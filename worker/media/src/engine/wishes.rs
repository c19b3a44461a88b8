//! What the thread does for the handles: open, begin, change, end.

use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use super::command::Command;
use super::thread::{Entry, SLOT_NS, SLOTS, Thread, read};
use crate::call::{Call, Identity};
use crate::clock::Mono;
use crate::interval::{Event, Totals};
use crate::send::packets::Start;
use crate::session::SessionId;
use crate::stream::{Direction, Stream};

/// Commands that are done before the next visit: a flood of them must not make packets late.
const COMMANDS: usize = 32;

impl<F: FnMut(Event)> Thread<F> {
    /// Commands that have come. False: stop.
    pub(super) fn commands(&mut self) -> bool {
        for _ in 0..COMMANDS {
            match self.inbox.try_recv() {
                Ok(command) => {
                    if !self.command(command) {
                        return false;
                    }
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    /// False: stop.
    pub(super) fn command(&mut self, command: Command) -> bool {
        match command {
            Command::Open(id, ports) => {
                let entry = Entry {
                    ports,
                    direction: Direction::default(),
                    call: None,
                    slot: 0,
                    told: false,
                };
                self.entries.insert(id, entry);
            }
            Command::Begin(id, stream, sound) => self.begin(id, &stream, sound),
            Command::Direct(id, direction) => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.direction = direction;
                }
                self.with_call(id, |call| call.direct(direction));
            }
            Command::Retarget(id, rtp, rtcp) => self.with_call(id, |call| call.retarget(rtp, rtcp)),
            Command::Dtmf(id, digit) => self.with_call(id, |call| call.dial(digit)),
            Command::End(id) => self.end(id),
            Command::Close(id) => {
                self.end(id);
                self.entries.remove(&id);
            }
            Command::Stop => return false,
        }
        true
    }

    fn with_call(&mut self, id: SessionId, act: impl FnOnce(&mut Call)) {
        let entry = self.entries.get_mut(&id);
        if let Some(call) = entry.and_then(|entry| entry.call.as_mut()) {
            act(call);
        }
    }

    fn begin(&mut self, id: SessionId, stream: &Stream, sound: Arc<[u8]>) {
        // In the emptiest slot; the next one of those that are equally empty.
        let now = self.clock.now();
        let next = (now.0 / SLOT_NS + 1).max(self.cursor);
        let ahead = (0..SLOTS).min_by_key(|ahead| self.slots[((next + ahead) % SLOTS) as usize].len());
        let tick = next + ahead.unwrap_or(0);
        let slot = (tick % SLOTS) as usize;
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if entry.call.is_some() || entry.told {
            return;
        }
        let buffer = Duration::from_millis(self.config.jitter_buffer_ms.into());
        let call = Call::new(
            stream,
            sound,
            identity(id),
            entry.direction,
            (self.config.late_limit, buffer),
            (Mono(tick * SLOT_NS), self.clock.clone()),
        );
        entry.call = Some(Box::new(call));
        entry.slot = slot;
        self.slots[slot].push(id);
        self.calls += 1;
    }

    /// Ends a call, once: what came until now, the last rows, BYE.
    pub(super) fn end(&mut self, id: SessionId) {
        self.visit(id);
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.told) else {
            return;
        };
        entry.told = true;
        let totals = if let Some(mut call) = entry.call.take() {
            let now = self.clock.now();
            read(&mut self.batch, &entry.ports, &mut call, true, &self.stamps, now);
            let (last, totals) = call.finish(now, &mut self.pulse);
            let (bytes, to) = call.bye(now);
            let _ = entry.ports.rtcp.send_to(bytes, to);
            self.slots[entry.slot].retain(|other| *other != id);
            self.calls -= 1;
            if let Some(last) = last {
                (self.tell)(Event::Interval(id, last));
            }
            totals
        } else {
            Totals::default()
        };
        (self.tell)(Event::Ended(id, totals));
    }
}

/// Drawn by lot.
pub(super) fn identity(id: SessionId) -> Identity {
    Identity {
        start: Start {
            ssrc: rand::random(),
            sequence: rand::random(),
            timestamp: rand::random(),
        },
        cname: format!("reeve-{:016x}", rand::random::<u64>()),
        phase: id.0,
    }
}
