//! The planner of liveness, rule by rule.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::wildcard_enum_match_arm, reason = "any other command fails the test")]

mod support;

use reeve_plan::liveness::{BrakeState, Lease, LeaseView, LivenessConfig, LivenessPlan, plan};
use reeve_state::command::{Command, SetLink};
use reeve_state::id::{NodeId, SessionEpoch, WorkerId};
use reeve_state::time::Millis;
use reeve_state::transition::worker::{Link, WorkerStatus};
use support::World;

/// The leader's monotonic clock in these tests; small, so that a worker may have been heard before it began.
const NOW_MS: i64 = 20_000;

fn heard(world: &World, ages: &[(WorkerId, i64)]) -> LeaseView {
    let lease = |(id, age): &(WorkerId, i64)| {
        (
            *id,
            Lease {
                epoch: world.epoch(*id),
                heard_ms: NOW_MS - age,
            },
        )
    };
    LeaseView {
        trusted: true,
        leases: ages.iter().map(lease).collect(),
        ..LeaseView::default()
    }
}

fn look(world: &World, view: &LeaseView) -> LivenessPlan {
    let brake = BrakeState::default();
    plan(
        &world.state,
        view,
        &brake,
        world.now,
        NOW_MS,
        &LivenessConfig::default(),
    )
}

fn links(plan: &LivenessPlan) -> Vec<(WorkerId, Link)> {
    let link = |planned: &reeve_plan::Planned| match &planned.command {
        Command::SetLink(SetLink { worker, link, .. }) => (*worker, *link),
        other => panic!("{other:?}"),
    };
    plan.commands.iter().map(link).collect()
}

// Covers: R14, R40
#[test]
fn a_session_worker_is_suspect_after_a_missed_heartbeat_and_down_after_sixty_seconds() {
    let rows = [
        (29_999, Link::Up, None, NOW_MS + 1),
        (30_000, Link::Up, Some(Link::Suspect), NOW_MS + 30_000),
        (59_999, Link::Suspect, None, NOW_MS + 1),
        (60_000, Link::Suspect, Some(Link::Down), NOW_MS + 1_000),
        (60_000, Link::Up, Some(Link::Down), NOW_MS + 1_000),
        (29_999, Link::Suspect, Some(Link::Up), NOW_MS + 1),
    ];
    for (age, link, expected, wake) in rows {
        let mut world = World::new();
        let worker = world.worker("eu", 10);
        world.link(worker, link);
        let found = look(&world, &heard(&world, &[(worker, age)]));
        assert_eq!(
            links(&found),
            Vec::from_iter(expected.map(|link| (worker, link))),
            "age {age}, {link:?}"
        );
        let tick = NOW_MS + 100;
        assert_eq!(found.next_wake_ms, Some(wake.max(tick)), "age {age}, {link:?}");
        for planned in &found.commands {
            world.apply(planned.command.clone()).unwrap();
        }
    }
}

// Covers: R326, R328, R332, R333, R335
#[test]
fn a_fleet_of_which_everybody_is_heard_is_settled_until_the_first_could_become_suspect() {
    let mut world = World::new();
    let (one, other) = (world.worker("eu", 10), world.worker("eu", 10));
    let rows = [
        ([1_000, 20_000], true),
        ([1_000, 30_000], false),
        ([1_000, 60_000], false),
    ];
    for (ages, settled) in rows {
        let view = heard(&world, &[(one, ages[0]), (other, ages[1])]);
        let found = look(&world, &view);
        assert_eq!(found.settled, settled, "{ages:?}");
        if settled {
            assert_eq!(found.next_wake_ms, Some(NOW_MS + 10_000), "{ages:?}");
        }
        let unsure = LeaseView {
            trusted: false,
            ..view
        };
        assert_eq!(
            look(&world, &unsure).settled,
            settled,
            "{ages:?}, nobody can be judged"
        );
    }
}

#[test]
fn a_ping_worker_gets_its_own_thresholds() {
    for (age, expected) in [
        (119_999_i64, Link::Up),
        (120_000, Link::Suspect),
        (360_000, Link::Down),
    ] {
        let mut world = World::new();
        let worker = world.ping_worker("eu", 10);
        world.pass(Millis(age.unsigned_abs()));
        let found = look(&world, &heard(&world, &[(worker, age)]));
        let changed = (expected != Link::Up).then_some((worker, expected));
        assert_eq!(links(&found), Vec::from_iter(changed), "age {age}");
    }
}

// Covers: R327
#[test]
fn a_ping_worker_that_is_back_is_not_judged_by_a_digest_from_before_its_ping() {
    for age in [120_000_i64, 360_000] {
        let mut world = World::new();
        let worker = world.ping_worker("eu", 10);
        world.link(worker, Link::Suspect);
        world.pass(Millis(age.unsigned_abs()));
        world.ping(worker);
        let stale = heard(&world, &[(worker, age)]);
        assert_eq!(links(&look(&world, &stale)), [], "{age} ms before the ping");
        world.pass(Millis(120_000));
        let silent = heard(&world, &[(worker, 120_000)]);
        assert_eq!(links(&look(&world, &silent)), [(worker, Link::Suspect)]);
    }
}

#[test]
fn workers_of_a_lost_node_are_not_suspect_while_they_move() {
    let mut world = World::new();
    let worker = world.worker("eu", 10);
    for (lost_for, age, expected) in [
        (0, 45_000, None),
        (9_999, 45_000, None),
        (9_999, 70_000, None),
        (10_000, 45_000, Some(Link::Suspect)),
        (10_000, 70_000, Some(Link::Down)),
    ] {
        let mut view = heard(&world, &[(worker, age)]);
        view.lost_nodes.insert(NodeId(1), NOW_MS - lost_for);
        assert_eq!(
            links(&look(&world, &view)),
            Vec::from_iter(expected.map(|link| (worker, link))),
            "{lost_for}"
        );
        view.lost_nodes = [(NodeId(2), NOW_MS)].into();
        assert!(
            !look(&world, &view).commands.is_empty(),
            "another node's loss does not matter"
        );
    }
}

#[test]
fn a_leader_without_fresh_digests_marks_nobody_down_but_takes_good_news() {
    let mut world = World::new();
    let (silent, back) = (world.worker("eu", 10), world.worker("eu", 10));
    world.link(back, Link::Suspect);
    let view = LeaseView {
        trusted: false,
        ..heard(&world, &[(silent, 90_000), (back, 5)])
    };
    let found = look(&world, &view);
    assert_eq!(links(&found), [(back, Link::Up)]);
    assert!(found.next_wake_ms.is_some());
}

#[test]
fn a_lease_of_an_older_session_says_nothing() {
    let mut world = World::new();
    let worker = world.worker("eu", 10);
    let mut view = heard(&world, &[(worker, 90_000)]);
    world.connect(worker, Vec::new());
    assert_eq!(links(&look(&world, &view)), [], "the new session has just begun");
    // Nobody ever heard it: it counts from its own beginning, or from when this leader began to listen.
    world.pass(Millis(90_000));
    view.since_ms = NOW_MS - 29_999;
    assert_eq!(links(&look(&world, &view)), []);
    view.since_ms = NOW_MS - 90_000;
    assert_eq!(links(&look(&world, &view)), [(worker, Link::Down)]);
    let session = world.epoch(worker);
    assert!(session > SessionEpoch(1));
    let found = look(&world, &view);
    let Command::SetLink(command) = &found.commands[0].command else {
        panic!()
    };
    assert_eq!(
        command.epoch, session,
        "it is the session in force that is given up"
    );
}

fn fleet(count: usize) -> (World, Vec<WorkerId>) {
    let mut world = World::new();
    let workers = (0..count).map(|_| world.worker("eu", 10)).collect();
    (world, workers)
}

/// Looks once a second for `seconds` and applies; how many were given up in each.
fn given_up(world: &mut World, ages: &[(WorkerId, i64)], brake: &mut BrakeState, seconds: i64) -> Vec<usize> {
    let mut downs = Vec::new();
    for second in 0..seconds {
        let view = LeaseView {
            leases: heard(world, ages).leases,
            trusted: true,
            ..LeaseView::default()
        };
        let config = LivenessConfig::default();
        let found = plan(
            &world.state,
            &view,
            brake,
            world.now,
            NOW_MS + second * 1_000,
            &config,
        );
        downs.push(
            links(&found)
                .iter()
                .filter(|(_, link)| *link == Link::Down)
                .count(),
        );
        *brake = found.brake.clone();
        // A second look within the same second gives up nobody more.
        let again = plan(
            &world.state,
            &view,
            brake,
            world.now,
            NOW_MS + second * 1_000 + 500,
            &config,
        );
        let more = links(&again)
            .iter()
            .filter(|(_, link)| *link == Link::Down)
            .count();
        assert!(more == 0 || !found.brake.is_engaged());
        world.execute(&found.commands);
    }
    downs
}

fn silent(workers: &[WorkerId], silent: usize) -> Vec<(WorkerId, i64)> {
    let age = |index| if index < silent { 60_000 } else { -60_000 };
    workers
        .iter()
        .enumerate()
        .map(|(index, id)| (*id, age(index)))
        .collect()
}

#[test]
fn when_most_of_a_large_fleet_falls_silent_it_is_given_up_one_by_one() {
    let (mut world, workers) = fleet(60);
    let mut brake = BrakeState::default();
    let downs = given_up(&mut world, &silent(&workers, 31), &mut brake, 4);
    assert_eq!(downs, [1, 1, 1, 1], "giving up some does not release the brake");
    assert!(brake.is_engaged());
    let status = |id: &WorkerId| world.state.worker(*id).unwrap().status();
    let errors = workers
        .iter()
        .filter(|id| status(id) == WorkerStatus::Error)
        .count();
    assert_eq!(errors, 27, "the braked ones are suspect");
    // Enough of them are heard again: the rest is no mass loss.
    let mut ages = silent(&workers, 31);
    ages.iter_mut().take(20).for_each(|(_, age)| *age = -60_000);
    let rest = workers[20..31]
        .iter()
        .filter(|id| status(id) == WorkerStatus::Error)
        .count();
    assert_eq!(given_up(&mut world, &ages, &mut brake, 1), [rest]);
    assert!(!brake.is_engaged());
}

#[test]
fn the_brake_lets_one_per_cent_of_a_large_fleet_through_per_second() {
    let (mut world, workers) = fleet(300);
    assert_eq!(
        given_up(&mut world, &silent(&workers, 160), &mut BrakeState::default(), 3),
        [3, 3, 3]
    );
}

#[test]
fn small_fleets_and_small_losses_are_not_braked() {
    for (count, lost) in [(49, 49), (60, 30)] {
        let (mut world, workers) = fleet(count);
        let mut brake = BrakeState::default();
        assert_eq!(
            given_up(&mut world, &silent(&workers, lost), &mut brake, 1),
            [lost]
        );
        assert!(!brake.is_engaged());
    }
}

#[test]
fn the_brake_releases_when_everybody_silent_was_given_up() {
    let (mut world, workers) = fleet(50);
    let mut brake = BrakeState::default();
    let downs = given_up(&mut world, &silent(&workers, 26), &mut brake, 27);
    assert_eq!(downs.iter().sum::<usize>(), 26);
    assert!(!brake.is_engaged());
}
