//! An executor that keeps a ledger: endpoints are those of `sim`, and nothing that happens to one reaches the agent before it is
//! written down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reeve_proto::v1::{EndpointOutcome, EndpointPhase};
use reeve_worker::clock::{Clock, MonoMs};
use reeve_worker::sim::Sim;
use reeve_worker::{AssignmentKey, EndpointChange, Event, EventSink, Executor, Work};

use super::file::Lines;
use crate::checker::ledger;
use crate::time;

/// The executor.
pub struct Bookkeeper {
    sim: Sim,
    books: Arc<Books>,
}

struct Books {
    worker: String,
    lines: Lines,
    held: Mutex<BTreeMap<AssignmentKey, Held>>,
}

/// An assignment that is executed.
struct Held {
    work: Arc<Work>,
    /// Endpoints that began and have not ended, by offset.
    open: BTreeSet<u32>,
    /// Endpoints that ended. One that never began says so each time that it is told to hang up.
    closed: BTreeSet<u32>,
}

impl Bookkeeper {
    /// Begins on the present runtime.
    pub fn spawn(worker: &str, lines: Lines, clock: Clock, agent: EventSink) -> Self {
        let books = Arc::new(Books {
            worker: worker.to_owned(),
            lines,
            held: Mutex::default(),
        });
        let (sink, mut events) = EventSink::channel();
        let keeper = Arc::clone(&books);
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                keeper.pass_on(event, &agent);
            }
        });
        Self {
            sim: Sim::spawn(clock, sink),
            books,
        }
    }
}

impl Books {
    fn held(&self) -> MutexGuard<'_, BTreeMap<AssignmentKey, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(&self, event: Event, agent: &EventSink) {
        let mut held = self.held();
        match &event {
            Event::Prepared(_, Ok(())) | Event::Sampled(..) | Event::Traced(..) => {}
            Event::Prepared(key, Err(_)) => {
                held.remove(key);
            }
            Event::Changed(key, _, changes) => {
                // Let go meanwhile: what was still under way did not happen.
                let Some(of) = held.get_mut(key) else { return };
                let events: Vec<_> = changes.iter().filter_map(|change| of.change(*change)).collect();
                self.write(&of.work, events);
            }
        }
        agent.emit(event);
    }

    fn write(&self, work: &Work, events: Vec<(u32, ledger::Event)>) {
        let at = time::now_us();
        let line = |(offset, event)| ledger::Line {
            at,
            worker: self.worker.clone(),
            run: work.key.run_id.to_string(),
            epoch: work.key.epoch,
            group: work.group.clone(),
            index: work.first_endpoint + offset,
            event,
        };
        let lines: Vec<ledger::Line> = events.into_iter().map(line).collect();
        self.lines.append(&lines);
    }
}

impl Held {
    /// What the ledger says of a step, if it is the first or the last of its endpoint.
    fn change(&mut self, change: EndpointChange) -> Option<(u32, ledger::Event)> {
        let EndpointChange {
            offset,
            phase,
            outcome,
        } = change;
        if phase != EndpointPhase::Closed {
            return self.open.insert(offset).then_some((offset, ledger::Event::Began));
        }
        if !self.closed.insert(offset) {
            return None;
        }
        let outcome = outcome.as_str_name().to_owned();
        let event = if self.open.remove(&offset) {
            ledger::Event::Ended { outcome }
        } else {
            ledger::Event::Skipped { outcome }
        };
        Some((offset, event))
    }
}

impl Executor for Bookkeeper {
    fn prepare(&self, work: &Arc<Work>) {
        let held = Held {
            work: Arc::clone(work),
            open: BTreeSet::new(),
            closed: BTreeSet::new(),
        };
        self.books.held().insert(work.key.clone(), held);
        self.sim.prepare(work);
    }

    fn start(&self, key: &AssignmentKey, start: MonoMs) {
        self.sim.start(key, start);
    }

    fn hang_up(&self, key: &AssignmentKey, outcome: Option<EndpointOutcome>) {
        self.sim.hang_up(key, outcome);
    }

    fn release(&self, key: &AssignmentKey) {
        let mut held = self.books.held();
        self.sim.release(key);
        if let Some(Held { work, open, .. }) = held.remove(key) {
            let dropped = open.into_iter().map(|offset| (offset, ledger::Event::Dropped));
            self.books.write(&work, dropped.collect());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::path::Path;
    use std::time::Duration;

    use reeve_proto::v1::SimExecutor;
    use reeve_proto::v1::offer::Executor as Spec;
    use reeve_worker::ramp::Ramp;
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::*;

    fn work(endpoints: u32, duration_ms: u64, buildup_ms: u64) -> Arc<Work> {
        Arc::new(Work {
            key: AssignmentKey::new("r", 1),
            group: "g".to_owned(),
            first_endpoint: 0,
            endpoints,
            ramp: Ramp {
                buildup: Duration::from_millis(buildup_ms),
                group_endpoints: endpoints,
            },
            duration: Duration::from_millis(duration_ms),
            spec: Spec::Sim(SimExecutor::default()),
        })
    }

    fn begin(directory: &Path) -> (Bookkeeper, UnboundedReceiver<Event>) {
        let (sink, events) = EventSink::channel();
        let lines = Lines::create(directory, "ledger-w1").unwrap();
        (Bookkeeper::spawn("w1", lines, Clock::start(), sink), events)
    }

    fn written(directory: &Path) -> Vec<(u32, ledger::Event)> {
        let lines = ledger::load(&directory.join("ledger-w1-0.jsonl")).unwrap();
        lines.into_iter().map(|line| (line.index, line.event)).collect()
    }

    async fn first_change(events: &mut UnboundedReceiver<Event>) -> Vec<EndpointChange> {
        loop {
            match events.recv().await.unwrap() {
                Event::Changed(_, _, changes) => return changes,
                Event::Prepared(_, answer) => answer.unwrap(),
                Event::Sampled(..) | Event::Traced(..) => {}
            }
        }
    }

    #[tokio::test]
    async fn what_the_agent_hears_of_was_written_down_before() {
        let directory = tempfile::tempdir().unwrap();
        let (executor, mut events) = begin(directory.path());
        let work = work(2, 50, 0);
        executor.prepare(&work);
        executor.start(&work.key, MonoMs(0));
        let mut closed = 0;
        while closed < 2 {
            let changes = first_change(&mut events).await;
            let written = written(directory.path());
            for change in changes {
                let of = |(index, _): &&(u32, ledger::Event)| *index == change.offset;
                assert!(
                    written.iter().any(|line| of(&line)),
                    "{change:?} is not in {written:?}"
                );
                if change.phase == EndpointPhase::Closed {
                    closed += 1;
                    let last = written.iter().rfind(of).unwrap();
                    assert!(matches!(last.1, ledger::Event::Ended { .. }));
                }
            }
        }
    }

    #[tokio::test]
    async fn who_is_let_go_is_dropped_and_who_never_began_is_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let (executor, mut events) = begin(directory.path());
        let work = work(2, 60_000, 120_000);
        executor.prepare(&work);
        executor.start(&work.key, MonoMs(0));
        // The first begins at once; the ramp keeps the second back for a minute.
        first_change(&mut events).await;
        executor.release(&work.key);
        assert_eq!(
            written(directory.path()),
            [(0, ledger::Event::Began), (0, ledger::Event::Dropped)]
        );

        let directory = tempfile::tempdir().unwrap();
        let (executor, mut events) = begin(directory.path());
        executor.prepare(&work);
        executor.hang_up(&work.key, Some(EndpointOutcome::Oserror));
        executor.hang_up(&work.key, None);
        for _ in 0..2 {
            assert_eq!(first_change(&mut events).await.len(), 2);
        }
        let outcome = "ENDPOINT_OUTCOME_OSERROR".to_owned();
        let skipped = ledger::Event::Skipped { outcome };
        assert_eq!(written(directory.path()), [(0, skipped.clone()), (1, skipped)]);
    }
}
