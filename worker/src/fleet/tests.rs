#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reeve_proto::v1::offer::Executor as Spec;
use reeve_proto::v1::report::Event as Reported;
use reeve_proto::v1::{
    EndpointOutcome, EndpointPhase, HeldAssignment, Offer, ReportAck, SimExecutor, SipOffer, Start, Stop,
};

use super::Fleet;
use crate::clock::{ClusterClock, MonoMs};
use crate::executor::{AssignmentKey, EndpointChange, Event, Executor, Executors, Work};

/// Writes down what it is told.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Executor for Recorder {
    fn prepare(&self, work: &Arc<Work>) {
        self.0.lock().push(format!("prepare {}", work.key));
    }
    fn start(&self, key: &AssignmentKey, start: MonoMs) {
        self.0.lock().push(format!("start {key} at {}", start.0));
    }
    fn hang_up(&self, key: &AssignmentKey, outcome: Option<EndpointOutcome>) {
        self.0.lock().push(format!("hang up {key} {outcome:?}"));
    }
    fn release(&self, key: &AssignmentKey) {
        self.0.lock().push(format!("release {key}"));
    }
}

struct World {
    fleet: Fleet,
    told: Arc<Recorder>,
    cluster: ClusterClock,
    now: i64,
}

const INTERVAL: Duration = Duration::from_secs(1);

impl World {
    fn new(capacity: u32) -> Self {
        let told = Arc::new(Recorder::default());
        let mut cluster = ClusterClock::default();
        cluster.welcome(1_000_000, MonoMs(0));
        let executors = Executors {
            sim: Arc::clone(&told) as Arc<dyn Executor>,
            sip: Some(Arc::clone(&told) as Arc<dyn Executor>),
        };
        Self {
            fleet: Fleet::new(capacity, Some(4), executors),
            told,
            cluster,
            now: 0,
        }
    }

    fn offer(&mut self, epoch: u64, endpoints: u32) {
        self.offer_of(epoch, endpoints, Spec::Sim(SimExecutor::default()));
    }

    fn offer_of(&mut self, epoch: u64, endpoints: u32, executor: Spec) {
        self.fleet.offer(Offer {
            run_id: "r".to_owned(),
            epoch,
            group: "g".to_owned(),
            first_endpoint: 0,
            endpoints,
            group_endpoints: endpoints,
            buildup_ms: 0,
            duration_ms: 0,
            executor: Some(executor),
        });
    }

    fn event(&mut self, event: Event) {
        self.fleet.event(event, &self.cluster, MonoMs(self.now), |_| ());
    }

    fn prepared(&mut self, epoch: u64) {
        self.event(Event::Prepared(AssignmentKey::new("r", epoch), Ok(())));
    }

    fn close(&mut self, epoch: u64, offset: u32) {
        let (phase, outcome) = (EndpointPhase::Closed, EndpointOutcome::Success);
        let change = EndpointChange {
            offset,
            phase,
            outcome,
        };
        self.event(Event::Changed(
            AssignmentKey::new("r", epoch),
            MonoMs(0),
            vec![change],
        ));
    }

    fn start(&mut self, epoch: u64) {
        let start = Start {
            run_id: "r".to_owned(),
            epoch,
            start_at_ms: 1_005_000,
            cluster_time_ms: 0,
        };
        self.fleet.start(&start, &self.cluster, MonoMs(self.now));
    }

    fn stop(&mut self, epoch: u64, abandon: bool) {
        let stop = Stop {
            run_id: "r".to_owned(),
            epoch,
            abandon,
            ..Stop::default()
        };
        self.fleet.stop(&stop);
    }

    /// The next report as `epoch/seq kind`, acknowledged.
    fn report(&mut self) -> Option<String> {
        self.now += 1_000;
        let report = self.fleet.poll(MonoMs(self.now), INTERVAL)?.report;
        let kind = match report.event.unwrap() {
            Reported::Ready(_) => "ready".to_owned(),
            Reported::NotReady(not_ready) => format!("not ready: {}", not_ready.reason),
            Reported::Progress(progress) => format!("progress {:?}", progress.offsets),
            Reported::Closed(_) => "closed".to_owned(),
            Reported::StartedLate(late) => format!("late {}", late.by_ms),
        };
        let ack = ReportAck {
            run_id: report.run_id,
            epoch: report.epoch,
            acked_seq: report.seq,
            ..ReportAck::default()
        };
        self.fleet.acknowledged(&ack, MonoMs(self.now));
        Some(format!("{}/{} {kind}", report.epoch, report.seq))
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.0.lock())
    }
}

// Covers: R134, R135, R139
#[test]
fn an_assignment_lives_from_offer_to_closed() {
    let mut world = World::new(10);
    world.offer(1, 2);
    assert_eq!(world.report(), None, "ready only when the executor says so");
    world.prepared(1);
    assert_eq!(world.report().unwrap(), "1/1 ready");
    world.start(1);
    world.start(1);
    world.close(1, 0);
    assert_eq!(world.report().unwrap(), "1/2 progress [0]");
    world.close(1, 1);
    assert_eq!(world.report().unwrap(), "1/3 progress [1]");
    assert_eq!(world.report().unwrap(), "1/4 closed");
    assert!(world.fleet.is_empty());
    assert_eq!(world.told(), ["prepare r#1", "start r#1 at 5000", "release r#1"]);
}

#[test]
fn a_start_that_comes_before_the_work_is_prepared_is_kept() {
    let mut world = World::new(10);
    world.offer(1, 2);
    world.start(1);
    world.prepared(1);
    assert_eq!(world.told(), ["prepare r#1", "start r#1 at 5000"]);
}

#[test]
fn a_repeated_offer_changes_nothing() {
    let mut world = World::new(10);
    world.offer(1, 6);
    world.offer(1, 6);
    assert_eq!(world.told(), ["prepare r#1"]);
}

// Covers: R97
#[test]
fn what_does_not_fit_is_not_taken_until_there_is_room() {
    let mut world = World::new(10);
    world.offer(1, 6);
    world.offer(2, 5);
    assert_eq!(
        world.report().unwrap(),
        "2/1 not ready: capacity: 5 more endpoints do not fit, 6 of 10 are reserved"
    );
    assert_eq!(world.report().unwrap(), "2/2 closed");
    world.offer(3, 4);
    assert_eq!(world.told(), ["prepare r#1", "prepare r#3"]);
}

// Covers: R93, R97
#[test]
fn no_more_sip_endpoints_are_taken_than_the_machine_carries() {
    let mut world = World::new(10);
    let sip = || Spec::Sip(SipOffer::default());
    world.offer_of(1, 3, sip());
    world.offer_of(2, 2, sip());
    assert_eq!(
        world.report().unwrap(),
        "2/1 not ready: SIP capacity: 2 more endpoints do not fit, 3 of 4 are reserved"
    );
    world.offer(3, 5);
    world.offer_of(4, 1, sip());
    assert_eq!(world.told(), ["prepare r#1", "prepare r#3", "prepare r#4"]);
}

// Covers: R26, R27, R34
#[test]
fn a_draining_worker_takes_nothing_new_and_finishes_what_it_has() {
    let mut world = World::new(10);
    world.offer(1, 1);
    world.prepared(1);
    world.report();
    world.fleet.drain();
    world.offer(2, 1);
    assert_eq!(world.report().unwrap(), "2/1 not ready: draining");
    world.report();
    world.start(1);
    world.close(1, 0);
    assert_eq!(world.report().unwrap(), "1/2 progress [0]");
    assert_eq!(world.report().unwrap(), "1/3 closed");
    assert!(world.fleet.is_empty());
}

#[test]
fn what_the_cluster_does_not_name_after_a_reconnect_is_dropped() {
    let mut world = World::new(10);
    for epoch in [1, 2] {
        world.offer(epoch, 2);
        world.prepared(epoch);
        world.report();
    }
    world.told();
    let held = |epoch| HeldAssignment {
        run_id: "r".to_owned(),
        epoch,
        acked_seq: 1,
    };
    assert_eq!(world.fleet.hello(), [held(1), held(2)]);
    world.fleet.resume(&[held(2)]);
    assert_eq!(world.fleet.hello(), [held(2)]);
    assert_eq!(world.told(), ["release r#1"]);
}

#[test]
fn an_abandoned_assignment_is_dropped_at_once_and_only_closed_is_reported() {
    let mut world = World::new(10);
    world.offer(1, 10);
    world.prepared(1);
    world.report();
    world.start(1);
    world.close(1, 0);
    world.stop(1, true);
    assert_eq!(world.told().last().unwrap(), "release r#1");
    assert_eq!(world.report().unwrap(), "1/2 closed");
    assert!(world.fleet.is_empty());
    world.offer(2, 10);
    assert_eq!(world.told(), ["prepare r#2"], "its capacity is free again");
}

#[test]
fn a_stop_for_what_never_arrived_is_answered_with_closed() {
    let mut world = World::new(10);
    world.stop(7, false);
    assert_eq!(world.report().unwrap(), "7/1 closed");
    assert!(world.fleet.is_empty());
}

#[test]
fn a_stop_before_the_start_hangs_up_and_a_later_start_is_ignored() {
    let mut world = World::new(10);
    world.offer(1, 1);
    world.prepared(1);
    world.stop(1, false);
    world.start(1);
    world.fleet.hang_up_all();
    assert_eq!(
        world.told(),
        ["prepare r#1", "hang up r#1 None", "hang up r#1 Some(Oserror)"]
    );
}

#[test]
fn at_the_drain_deadline_what_was_not_started_is_given_back() {
    let mut world = World::new(10);
    for epoch in [1, 2] {
        world.offer(epoch, 1);
        world.prepared(epoch);
        world.report();
    }
    world.start(2);
    world.told();
    world.fleet.hang_up_all();
    assert_eq!(world.told(), ["release r#1", "hang up r#2 Some(Oserror)"]);
    assert_eq!(world.report().unwrap(), "1/2 closed");
}

#[test]
fn an_answer_that_says_over_drops_the_assignment() {
    let mut world = World::new(10);
    world.offer(1, 1);
    world.prepared(1);
    let over = ReportAck {
        run_id: "r".to_owned(),
        epoch: 1,
        over: true,
        ..ReportAck::default()
    };
    world.fleet.acknowledged(&over, MonoMs(0));
    assert!(world.fleet.is_empty());
    assert_eq!(world.told(), ["prepare r#1", "release r#1"]);
}

// Covers: R134, R141
#[test]
fn a_start_that_comes_late_is_reported_with_how_late_it_was() {
    for (now, expected) in [(5_100, None), (7_500, Some("1/2 late 2500"))] {
        let mut world = World::new(10);
        world.offer(1, 2);
        world.prepared(1);
        assert_eq!(world.report().as_deref(), Some("1/1 ready"));
        world.now = now;
        world.start(1);
        assert_eq!(
            world.report().as_deref(),
            expected,
            "started at {now}, due at 5000"
        );
    }
}
