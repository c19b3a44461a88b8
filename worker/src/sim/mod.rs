//! The `sim` executor: every endpoint is a scripted walk through the phases in real elapsed time.
//!
//! One task and one timer wheel for all endpoints of the process; nothing runs while nothing is started.

mod draw;
pub mod script;
pub mod table;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reeve_proto::v1::EndpointOutcome;
use reeve_proto::v1::offer::Executor as Spec;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

use self::script::SimSpec;
use self::table::{TICK_MS, Table};
use crate::clock::{Clock, MonoMs};
use crate::executor::{AssignmentKey, Event, EventSink, Executor, Work};

/// Scripted endpoints.
#[derive(Debug)]
pub struct Sim {
    shared: Arc<Shared>,
    ticker: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    started: Notify,
    clock: Clock,
    sink: EventSink,
}

impl Sim {
    /// Starts the executor's task on the present runtime; dropping the executor ends it.
    #[must_use]
    pub fn spawn(clock: Clock, sink: EventSink) -> Self {
        let shared = Arc::new(Shared {
            table: Mutex::default(),
            started: Notify::new(),
            clock,
            sink,
        });
        let ticker = tokio::spawn(turn(Arc::clone(&shared))).abort_handle();
        Self { shared, ticker }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

/// Turns the wheel, and sleeps while nothing is on it.
async fn turn(shared: Arc<Shared>) {
    loop {
        shared.started.notified().await;
        let period = Duration::from_millis(TICK_MS.unsigned_abs());
        let mut ticks = tokio::time::interval_at(Instant::now(), period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut table = shared.table.lock();
            // Emitted under the lock, so that a release is never followed by an older event.
            for event in table.advance(shared.clock.now()) {
                shared.sink.emit(event);
            }
            for event in table.sample(shared.clock.now()) {
                shared.sink.emit(event);
            }
            if table.pending() == 0 {
                break;
            }
        }
    }
}

impl Executor for Sim {
    fn prepare(&self, work: &Arc<Work>) {
        let checked = match &work.spec {
            Spec::Sim(definition) => SimSpec::new(definition, work.duration),
            Spec::Sip(_) => Err("executor: this worker has no SIP executor".to_owned()),
        };
        let answer = checked.map(|spec| self.shared.table.lock().prepare(work, spec));
        self.shared.sink.emit(Event::Prepared(work.key.clone(), answer));
    }

    fn start(&self, key: &AssignmentKey, start: MonoMs) {
        self.shared
            .table
            .lock()
            .start(key, start, self.shared.clock.now());
        self.shared.started.notify_one();
    }

    fn hang_up(&self, key: &AssignmentKey, outcome: Option<EndpointOutcome>) {
        let mut table = self.shared.table.lock();
        if let Some(event) = table.hang_up(key, outcome, self.shared.clock.now()) {
            self.shared.sink.emit(event);
        }
    }

    fn release(&self, key: &AssignmentKey) {
        self.shared.table.lock().release(key);
    }
}
