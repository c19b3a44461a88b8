//! The vocabulary of probes.

use reeve_state::schedule::{Cron, Interval, Schedule};
use reeve_state::transition::probe::ProbeStatus;

use super::*;

pub const MINUTE: u64 = 60_000;

pub fn probe_id(n: u8) -> ProbeId {
    ProbeId::from_bytes([n; 16])
}

pub fn every(interval: Interval) -> Schedule {
    Schedule::Every(interval)
}

pub fn cron(text: &str) -> Schedule {
    Schedule::Cron(Cron::parse(text).unwrap())
}

/// A threshold with the metric's own direction, in thousandths.
pub fn threshold(metric: &str, warning: Option<i64>, critical: Option<i64>) -> Threshold {
    Threshold {
        metric: metric.to_owned(),
        statistic: Statistic::Mean,
        direction: Direction::of(metric),
        warning,
        critical,
    }
}

/// Test 1 every five minutes, without thresholds.
pub fn probe_definition(n: u8) -> ProbeDefinition {
    ProbeDefinition {
        name: format!("p{n}"),
        test: test_id(1),
        schedule: every(Interval::Five),
        thresholds: Vec::new(),
    }
}

pub fn put_probe(n: u8, definition: ProbeDefinition, mode: ProbeMode) -> Command {
    Command::PutProbe(PutProbe {
        id: probe_id(n),
        project: ProjectName::default(),
        definition: Arc::new(definition),
        mode,
    })
}

pub fn create_probe(n: u8) -> Command {
    put_probe(n, probe_definition(n), ProbeMode::Create)
}

pub fn delete_probe(n: u8) -> Command {
    Command::DeleteProbe(DeleteProbe { probe: probe_id(n) })
}

pub fn pause_probe(n: u8, paused: bool) -> Command {
    Command::PauseProbe(PauseProbe {
        probe: probe_id(n),
        paused,
    })
}

pub fn skip_slot(n: u8, slot: Time, reason: SkipReason, count: u32) -> Command {
    Command::SkipSlot(SkipSlot {
        probe: probe_id(n),
        slot,
        reason,
        count,
    })
}

pub fn evaluate_probe(n: u8, slot: Time) -> Command {
    Command::EvaluateProbe(EvaluateProbe {
        probe: probe_id(n),
        slot,
    })
}

impl World {
    /// Workers, test 1 with ten endpoints, and probe 1.
    pub fn with_probe() -> Self {
        let mut world = Self::with_workers(1, 1_000);
        world.apply_test(1, super::definition("smoke", 10));
        world.ok(create_probe(1));
        world
    }

    /// The same with thresholds.
    pub fn with_thresholds(thresholds: Vec<Threshold>) -> Self {
        let mut world = Self::with_probe();
        let definition = ProbeDefinition {
            thresholds,
            ..probe_definition(1)
        };
        world.ok(put_probe(1, definition, ProbeMode::CreateOrUpdate));
        world
    }

    pub fn probe(&self, n: u8) -> Arc<Probe> {
        Arc::clone(self.state.probe(probe_id(n)).expect("the probe exists"))
    }

    pub fn probe_status(&self, n: u8) -> ProbeStatus {
        self.probe(n).health.status()
    }

    pub fn slots(&self, n: u8) -> Vec<Arc<ProbeSlot>> {
        self.state.probe_slots(probe_id(n)).cloned().collect()
    }

    pub fn next_slot(&self, n: u8) -> Time {
        self.probe(n).next_slot().expect("it is not paused")
    }

    /// Time passes until the next slot is there.
    pub fn until_slot(&mut self, n: u8) -> Time {
        let slot = self.next_slot(n);
        self.now = self.now.max(slot.0);
        slot
    }

    pub fn fire(&self, n: u8, slot: Time, run: u8) -> Command {
        Command::FireProbe(FireProbe {
            probe: probe_id(n),
            slot,
            run: run_id(run),
            revision: self.probe(n).revision,
        })
    }

    /// The next slot fires this run.
    pub fn fired(&mut self, n: u8, run: u8) -> Time {
        let slot = self.until_slot(n);
        self.ok(self.fire(n, slot, run));
        slot
    }

    /// The run COMPLETED, with so many endpoints that did not succeed.
    pub fn completed_with(&mut self, run: u8, errors: u32) {
        self.ran(run);
        let count = self.assignment(run, 0).count;
        let good = count - errors;
        self.progress(
            run,
            0,
            0..good,
            EndpointPhase::Closed,
            Some(EndpointOutcome::Success),
        );
        if errors > 0 {
            let bad = Some(EndpointOutcome::CallFailed);
            self.progress(run, 0, good..count, EndpointPhase::Closed, bad);
        }
        self.ok(self.complete(run));
    }

    /// The run FAILED.
    pub fn failed(&mut self, run: u8) {
        self.ran(run);
        let code = RunReasonCode::ExecutionTimeoutExceeded;
        self.ok(self.fail(run, code, EndpointOutcome::Timeout));
    }

    /// The run could not run.
    pub fn rejected(&mut self, run: u8) {
        self.ok(self.reject(run, RunReasonCode::WorkersBusy));
    }

    fn ran(&mut self, run: u8) {
        self.queue_run(run);
        self.ok(self.place(run, Vec::new(), vec![Self::placement(1, 0, 0, 10)]));
        self.ready(run, 0);
        self.ok(self.begin(run));
    }
}
