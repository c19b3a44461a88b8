//! What becomes of a worker that falls silent: the planners of liveness and of the registry together, over time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use reeve_plan::liveness::{BrakeState, Lease, LeaseView, LivenessConfig};
use reeve_plan::registry::RegistryConfig;
use reeve_plan::{liveness, registry};
use reeve_state::id::WorkerId;
use reeve_state::time::{Millis, Time};
use reeve_state::transition::worker::WorkerStatus::{self, Deleted, Error, Offline, Online, Unreachable};
use support::World;

const DAY_MS: u64 = 24 * 3_600_000;

/// One pass of both planners over a worker that was last heard then.
fn pass(world: &mut World, worker: WorkerId, heard: Time) {
    let now_ms = i64::try_from(world.now.0).unwrap();
    let lease = Lease {
        epoch: world.epoch(worker),
        heard_ms: i64::try_from(heard.0).unwrap(),
    };
    let view = LeaseView {
        trusted: true,
        leases: [(worker, lease)].into(),
        ..LeaseView::default()
    };
    let brake = BrakeState::default();
    let links = liveness::plan(
        &world.state,
        &view,
        &brake,
        world.now,
        now_ms,
        &LivenessConfig::default(),
    );
    world.execute(&links.commands);
    let registrations = registry::plan(
        &world.state,
        world.now,
        world.leader_since,
        &RegistryConfig::default(),
    );
    world.execute(&registrations.commands);
}

/// The status so many milliseconds after the worker was last heard.
fn falls_silent(mut world: World, worker: WorkerId, rows: &[(u64, WorkerStatus)]) {
    let heard = world.now;
    for (silent_ms, expected) in rows {
        world.now = heard + Millis(*silent_ms);
        pass(&mut world, worker, heard);
        let status = world.state.worker(worker).unwrap().status();
        assert_eq!(status, *expected, "silent for {silent_ms} ms");
    }
}

// Covers: R18, R19, R40, R45, R64, R71, R72
#[test]
fn a_session_worker_is_error_after_a_missed_heartbeat_offline_after_sixty_seconds_and_never_deleted() {
    let mut world = World::new();
    let worker = world.worker("eu", 10);
    let rows = [
        (0, Online),
        (29_999, Online),
        (30_000, Error),
        (59_999, Error),
        (60_000, Offline),
        (60_000 + DAY_MS, Offline),
        (365 * DAY_MS, Offline),
    ];
    falls_silent(world, worker, &rows);
}

// Covers: R326, R328, R330, R333, R335, R337, R338, R342
#[test]
fn a_ping_worker_is_unreachable_offline_and_deleted_one_after_the_other() {
    let mut world = World::new();
    let worker = world.ping_worker("eu", 10);
    let rows = [
        (0, Online),
        (119_999, Online),
        (120_000, Unreachable),
        (359_999, Unreachable),
        (360_000, Offline),
        (360_000 + DAY_MS - 1, Offline),
        (360_000 + DAY_MS, Deleted),
    ];
    falls_silent(world, worker, &rows);
}

// Covers: R44, R327, R329
#[test]
fn heard_again_in_time_it_is_online_again_at_every_stage() {
    for (silent_ms, then) in [(119_999, Online), (120_000, Unreachable), (360_000, Offline)] {
        let mut world = World::new();
        let worker = world.ping_worker("eu", 10);
        let heard = world.now;
        for at in [120_000, silent_ms] {
            world.now = heard + Millis(u64::min(at, silent_ms));
            pass(&mut world, worker, heard);
        }
        assert_eq!(world.state.worker(worker).unwrap().status(), then);
        world.ping(worker);
        let again = world.now;
        pass(&mut world, worker, again);
        assert_eq!(
            world.state.worker(worker).unwrap().status(),
            Online,
            "after {silent_ms} ms"
        );
    }
}
