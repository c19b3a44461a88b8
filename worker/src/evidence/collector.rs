//! The evidence of one assignment. No I/O and no clock: rows go in, chunks come out.

use std::sync::Arc;
use std::time::Duration;

use reeve_proto::v1::{EndpointPhase as Phase, EvidenceKind};

use super::chunk::{Chunk, Writer};
use super::live::Live;
use super::row::Rows;
use super::{CALL_DURATION, CALL_LATENESS, Milli, SETUP_TIME, START_LATENESS};
use crate::clock::MonoMs;
use crate::executor::{EndpointChange, Samples, Work};
use crate::trace::Traced;

/// A chunk is closed after this time at the latest, while the assignment is young: a worker that is killed takes no more with it.
const SHORTEST: Duration = Duration::from_secs(5);
/// As it grows old, chunks last a sixteenth of its age, so that their number grows with the logarithm; at most this.
const LONGEST: Duration = Duration::from_secs(300);
const SHARE_OF_AGE: u32 = 16;

/// Not yet.
const UNSET: u32 = u32::MAX;

/// Bytes that one endpoint costs here.
#[cfg(test)]
pub const BYTES_PER_ENDPOINT: usize = 2 * size_of::<u32>() + 1;

/// Between our own clock and cluster time: what is to be added to our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset(pub i64);

impl Offset {
    pub fn cluster_ms(self, at: MonoMs) -> i64 {
        at.0.saturating_add(self.0)
    }
}

/// Chunks by kind. Only SIP endpoints have a trace.
struct Streams {
    metrics: Stream,
    events: Stream,
    trace: Option<Stream>,
}

impl Streams {
    fn all(&mut self) -> impl Iterator<Item = &mut Stream> {
        [&mut self.metrics, &mut self.events]
            .into_iter()
            .chain(&mut self.trace)
    }
}

/// Chunks of one kind.
struct Stream {
    kind: EvidenceKind,
    writer: Option<Writer>,
    next_seq: u32,
    /// Rows that were given up since the last chunk.
    dropped: u64,
}

/// What is known of the endpoints of one assignment, and the rows that are not in a chunk yet.
pub struct Collector {
    work: Arc<Work>,
    offset: Offset,
    /// The common start instant.
    start: MonoMs,
    /// Times of endpoints count from here.
    base: MonoMs,
    phases: Vec<u8>,
    begun: Vec<u32>,
    in_call: Vec<u32>,
    open: u32,
    rows: Rows,
    streams: Streams,
    pub live: Live,
    done: bool,
}

impl Collector {
    /// Nothing happened yet.
    pub fn new(work: Arc<Work>, start: MonoMs, now: MonoMs, offset: Offset) -> Self {
        let count = work.endpoints as usize;
        let stream = |kind| Stream {
            kind,
            writer: None,
            next_seq: 0,
            dropped: 0,
        };
        let mut live = Live::default();
        live.phases[0] = work.endpoints;
        Self {
            rows: Rows::new(&work.group, work.first_endpoint, work.is_simulated()),
            offset,
            start,
            base: now.min(start),
            phases: vec![0; count],
            begun: vec![UNSET; count],
            in_call: vec![UNSET; count],
            open: work.endpoints,
            streams: Streams {
                metrics: stream(EvidenceKind::Metrics),
                events: stream(EvidenceKind::Events),
                trace: (!work.is_simulated()).then(|| stream(EvidenceKind::Trace)),
            },
            live,
            done: false,
            work,
        }
    }

    /// Between our own clock and cluster time.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Rows that were given up on their way here.
    pub fn dropped(&mut self, kind: EvidenceKind, rows: u64) {
        match kind {
            EvidenceKind::Events => self.streams.events.dropped += rows,
            EvidenceKind::Metrics | EvidenceKind::Unspecified => self.streams.metrics.dropped += rows,
            EvidenceKind::Trace => {
                if let Some(trace) = &mut self.streams.trace {
                    trace.dropped += rows;
                }
            }
        }
    }

    /// Endpoints moved. What does not move forward is not written: executors may say things twice.
    pub fn changed(&mut self, at: MonoMs, changes: &[EndpointChange], out: &mut Vec<Chunk>) {
        for change in changes {
            self.change(at, *change);
            self.close_full(at, out);
        }
        if self.open == 0 {
            self.finish(at, out);
        }
    }

    fn change(&mut self, at: MonoMs, change: EndpointChange) {
        let endpoint = change.offset as usize;
        let Some(before) = self.phases.get(endpoint).copied() else {
            return;
        };
        let phase = change.phase as u8;
        if self.done || phase <= before {
            return;
        }
        self.phases[endpoint] = phase;
        self.count(before, change);
        let at_ms = self.offset.cluster_ms(at);
        let rows = &self.rows;
        self.streams.events.writer(at).line(at_ms, |line| {
            rows.event(line, at_ms, change.offset, change.phase, change.outcome);
        });
        let since_base = u32::try_from(at.0.saturating_sub(self.base.0)).unwrap_or(UNSET - 1);
        let index = self.work.first_endpoint + change.offset;
        if before == 0 && change.phase != Phase::Closed {
            self.begun[endpoint] = since_base;
            let due = self.work.begins(self.start, index);
            self.measured(at, change.offset, START_LATENESS, late(at, due));
        }
        if change.phase == Phase::Calling
            && let Some(due) = self.work.calls(self.start, index)
        {
            self.measured(at, change.offset, CALL_LATENESS, late(at, due));
        }
        self.waits(before, change, since_base);
        if change.phase == Phase::Incall && self.begun[endpoint] != UNSET {
            self.in_call[endpoint] = since_base;
            let took = i64::from(since_base - self.begun[endpoint].min(since_base)) * 1_000;
            self.measured(at, change.offset, SETUP_TIME, took);
        }
        if change.phase as i32 > Phase::Incall as i32 && self.in_call[endpoint] != UNSET {
            let since = std::mem::replace(&mut self.in_call[endpoint], UNSET);
            let took = i64::from(since_base - since.min(since_base)) * 1_000;
            self.measured(at, change.offset, CALL_DURATION, took);
        }
    }

    /// A SIP endpoint that is registered waits for its slot, or for its call: that is no part of its set-up. Meanwhile `begun` holds what
    /// its registration took.
    fn waits(&mut self, before: u8, change: EndpointChange, since_base: u32) {
        let Some(begun) = self.begun.get_mut(change.offset as usize) else {
            return;
        };
        if self.work.is_simulated() || *begun == UNSET {
            return;
        }
        if before == Phase::Registered as u8 || change.phase == Phase::Registered {
            *begun = since_base.saturating_sub(*begun);
        }
    }

    fn count(&mut self, before: u8, change: EndpointChange) {
        // An endpoint that has not begun counts as INITIALIZING, as in the state.
        let place = |phase: u8| usize::from(phase.max(1)) - 1;
        self.live.phases[place(before)] -= 1;
        self.live.phases[place(change.phase as u8)] += 1;
        if change.phase == Phase::Closed {
            self.open -= 1;
            let outcome = usize::try_from(change.outcome as i32 - 1).ok();
            if let Some(count) = outcome.and_then(|at| self.live.outcomes.get_mut(at)) {
                *count += 1;
            }
        }
    }

    fn measured(&mut self, at: MonoMs, offset: u32, metric: &'static str, value: Milli) {
        self.live.sample(metric, value);
        let (at_ms, rows) = (self.offset.cluster_ms(at), &self.rows);
        self.streams.metrics.writer(at).line(at_ms, |line| {
            rows.sample(line, at_ms, offset, std::iter::once((metric, value)), &[]);
        });
    }

    /// An executor measured something.
    pub fn sampled(&mut self, samples: &Samples, out: &mut Vec<Chunk>) {
        if self.done {
            return;
        }
        let at_ms = self.offset.cluster_ms(samples.at);
        for (offset, values) in samples.rows() {
            if offset >= self.work.endpoints {
                continue;
            }
            let figures = || samples.metrics.iter().copied().zip(values.iter().copied());
            for (metric, value) in figures() {
                self.live.sample(metric, value);
            }
            samples
                .responses
                .iter()
                .for_each(|response| self.live.answered(*response));
            let rows = &self.rows;
            self.streams.metrics.writer(samples.at).line(at_ms, |line| {
                rows.sample(line, at_ms, offset, figures(), &samples.responses);
            });
            self.close_full(samples.at, out);
        }
    }

    /// Endpoints sent and received messages, or ended.
    pub fn traced(&mut self, traced: &Traced, out: &mut Vec<Chunk>) {
        if self.done {
            return;
        }
        for row in traced.rows.iter() {
            let Some(trace) = &mut self.streams.trace else {
                return;
            };
            if row.offset >= self.work.endpoints {
                continue;
            }
            let at_ms = self.offset.cluster_ms(row.at);
            let rows = &self.rows;
            trace
                .writer(traced.at)
                .line(at_ms, |line| rows.trace(line, at_ms, row.offset, &row.what));
            self.close_full(traced.at, out);
        }
    }

    /// Closes what has waited long enough.
    pub fn tick(&mut self, now: MonoMs, out: &mut Vec<Chunk>) {
        let age = Duration::from_millis(now.0.saturating_sub(self.base.0).max(0).unsigned_abs());
        let lasts = (age / SHARE_OF_AGE).clamp(SHORTEST, LONGEST);
        let now_ms = self.offset.cluster_ms(now);
        for stream in self.streams.all() {
            let due = |writer: &Writer| now >= writer.opened.after(lasts);
            if stream.writer.as_ref().is_some_and(due) {
                out.extend(stream.close(&self.work, now_ms, false));
            }
        }
    }

    /// The last chunk of each kind, with or without rows: whoever reads knows then that nothing is missing.
    pub fn finish(&mut self, now: MonoMs, out: &mut Vec<Chunk>) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        let now_ms = self.offset.cluster_ms(now);
        for stream in self.streams.all() {
            stream.writer(now);
            out.extend(stream.close(&self.work, now_ms, true));
        }
    }

    fn close_full(&mut self, now: MonoMs, out: &mut Vec<Chunk>) {
        let now_ms = self.offset.cluster_ms(now);
        for stream in self.streams.all() {
            if stream.writer.as_ref().is_some_and(Writer::is_full) {
                out.extend(stream.close(&self.work, now_ms, false));
            }
        }
    }
}

fn late(at: MonoMs, due: MonoMs) -> Milli {
    at.0.saturating_sub(due.0).max(0).saturating_mul(1_000)
}

impl Stream {
    fn writer(&mut self, now: MonoMs) -> &mut Writer {
        self.writer.get_or_insert_with(|| Writer::new(now))
    }

    fn close(&mut self, work: &Work, now_ms: i64, last: bool) -> Option<Chunk> {
        let chunk = self.writer.take()?.close(work.key.clone(), self.kind, now_ms);
        let seq = self.next_seq;
        self.next_seq += 1;
        Some(Chunk {
            seq,
            last,
            streams: if work.is_simulated() { 2 } else { 3 },
            dropped: std::mem::take(&mut self.dropped),
            ..chunk
        })
    }
}

#[cfg(test)]
#[path = "collector_tests.rs"]
mod tests;
