//! The thread that writes evidence down: what executors say goes in, chunks and live figures come out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use parking_lot::Mutex;
use reeve_proto::v1::{EvidenceKind, LiveAssignment, LiveReport};

use super::chunk::Chunk;
use super::collector::{Collector, Offset};
use crate::clock::{Clock, MonoMs};
use crate::executor::{AssignmentKey, EndpointChange, Samples, Work};
use crate::trace::Traced;

/// How often deadlines of chunks and the end of a second are looked at.
const TICK: Duration = Duration::from_millis(100);
/// Seconds that wait for a session; live figures are of no use later.
const MOST_SECONDS: usize = 3;
/// Rows on their way to the thread; beyond, samples are dropped and counted. Changes are not: an endpoint has eight at most.
const MOST_ROWS: usize = 1_000_000;
/// Bytes of traces on their way to the thread; beyond, they are dropped and counted.
const MOST_TRACE_BYTES: usize = 64 * 1024 * 1024;

/// What there is to write down.
pub enum Input {
    /// An assignment executes from now on; times are ours, the offset leads to cluster time.
    Begin {
        /// What it executes.
        work: Arc<Work>,
        /// The common start instant.
        start: MonoMs,
        /// Cluster time less our own.
        offset_ms: i64,
    },
    /// Endpoints moved.
    Changed(AssignmentKey, MonoMs, Vec<EndpointChange>),
    /// Endpoints were measured.
    Sampled(AssignmentKey, Samples),
    /// Endpoints sent and received messages, or ended.
    Traced(AssignmentKey, Traced),
    /// Rows of that kind were given up.
    Dropped(AssignmentKey, EvidenceKind, u64),
    /// The assignment is not held any more.
    End(AssignmentKey),
}

/// The end where things are put in; cheap, never waits.
pub struct Recorder {
    inputs: Sender<Input>,
    rows: Arc<AtomicUsize>,
    trace_bytes: Arc<AtomicUsize>,
    seconds: Arc<Mutex<Vec<LiveReport>>>,
}

impl Recorder {
    /// Starts the thread, which ends when the recorder is dropped. `chunks` gets what is to be uploaded.
    pub fn start(clock: Clock, chunks: impl FnMut(Chunk) + Send + 'static) -> std::io::Result<Self> {
        let (inputs, received) = channel();
        let recorder = Self {
            inputs,
            rows: Arc::default(),
            trace_bytes: Arc::default(),
            seconds: Arc::default(),
        };
        let desk = Desk {
            clock,
            collectors: BTreeMap::new(),
            rows: Arc::clone(&recorder.rows),
            trace_bytes: Arc::clone(&recorder.trace_bytes),
            seconds: Arc::clone(&recorder.seconds),
            ended: Vec::new(),
            offset: Offset(0),
            next_second: MonoMs(0),
            next_tick: MonoMs(0),
        };
        std::thread::Builder::new()
            .name("evidence".to_owned())
            .spawn(move || desk.run(&received, chunks))?;
        Ok(recorder)
    }

    /// Hands something over.
    pub fn put(&self, input: Input) {
        let input = match input {
            Input::Sampled(key, samples) => {
                let rows = samples.len();
                if has_room(&self.rows, rows, MOST_ROWS) {
                    Input::Sampled(key, samples)
                } else {
                    Input::Dropped(key, EvidenceKind::Metrics, rows as u64)
                }
            }
            Input::Traced(key, traced) => {
                if has_room(&self.trace_bytes, traced.bytes(), MOST_TRACE_BYTES) {
                    Input::Traced(key, traced)
                } else {
                    Input::Dropped(key, EvidenceKind::Trace, traced.rows.len() as u64)
                }
            }
            other @ (Input::Begin { .. } | Input::Changed(..) | Input::Dropped(..) | Input::End(_)) => other,
        };
        // The thread lives as long as we do.
        let _ = self.inputs.send(input);
    }

    /// The seconds that ended since the last call, oldest first.
    pub fn seconds(&self) -> Vec<LiveReport> {
        std::mem::take(&mut *self.seconds.lock())
    }
}

/// Takes the room if there is enough.
fn has_room(taken: &AtomicUsize, more: usize, most: usize) -> bool {
    let has_room = taken.load(Ordering::Relaxed) + more <= most;
    if has_room {
        taken.fetch_add(more, Ordering::Relaxed);
    }
    has_room
}

struct Desk {
    clock: Clock,
    collectors: BTreeMap<AssignmentKey, Collector>,
    rows: Arc<AtomicUsize>,
    trace_bytes: Arc<AtomicUsize>,
    seconds: Arc<Mutex<Vec<LiveReport>>>,
    /// The last words of assignments that ended since the last second, and how to tell its time.
    ended: Vec<LiveAssignment>,
    offset: Offset,
    next_second: MonoMs,
    next_tick: MonoMs,
}

impl Desk {
    fn run(mut self, inputs: &Receiver<Input>, mut chunks: impl FnMut(Chunk)) {
        let mut out = Vec::new();
        loop {
            match inputs.recv_timeout(TICK) {
                Ok(input) => self.take(input, &mut out),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = self.clock.now();
            if now >= self.next_tick {
                self.next_tick = now.after(TICK);
                self.tick(now, &mut out);
            }
            out.drain(..).for_each(&mut chunks);
        }
    }

    fn take(&mut self, input: Input, out: &mut Vec<Chunk>) {
        let now = self.clock.now();
        match input {
            Input::Begin {
                work,
                start,
                offset_ms,
            } => {
                let key = work.key.clone();
                let new = || Collector::new(work, start, now, Offset(offset_ms));
                self.collectors.entry(key).or_insert_with(new);
            }
            Input::Changed(key, at, changes) => {
                if let Some(collector) = self.collectors.get_mut(&key) {
                    collector.changed(at, &changes, out);
                }
            }
            Input::Sampled(key, samples) => {
                self.rows.fetch_sub(samples.len(), Ordering::Relaxed);
                if let Some(collector) = self.collectors.get_mut(&key) {
                    collector.sampled(&samples, out);
                }
            }
            Input::Traced(key, traced) => {
                self.trace_bytes.fetch_sub(traced.bytes(), Ordering::Relaxed);
                if let Some(collector) = self.collectors.get_mut(&key) {
                    collector.traced(&traced, out);
                }
            }
            Input::Dropped(key, kind, rows) => {
                if let Some(collector) = self.collectors.get_mut(&key) {
                    collector.dropped(kind, rows);
                }
            }
            Input::End(key) => {
                if let Some(mut collector) = self.collectors.remove(&key) {
                    collector.finish(now, out);
                    self.offset = collector.offset();
                    self.ended.push(collector.live.take(&key));
                }
            }
        }
    }

    fn tick(&mut self, now: MonoMs, out: &mut Vec<Chunk>) {
        for collector in self.collectors.values_mut() {
            collector.tick(now, out);
        }
        if now < self.next_second {
            return;
        }
        // Whole seconds of our own clock, so that a late look does not shift the ones after it.
        self.next_second = MonoMs((now.0.div_euclid(1_000) + 1) * 1_000);
        if let Some(collector) = self.collectors.values().next_back() {
            self.offset = collector.offset();
        }
        let mut assignments = std::mem::take(&mut self.ended);
        let lives = self.collectors.iter_mut();
        assignments.extend(lives.map(|(key, collector)| collector.live.take(key)));
        if assignments.is_empty() {
            return;
        }
        let mut seconds = self.seconds.lock();
        if seconds.len() >= MOST_SECONDS {
            seconds.remove(0);
        }
        seconds.push(LiveReport {
            at_ms: self.offset.cluster_ms(now),
            assignments,
        });
    }
}
