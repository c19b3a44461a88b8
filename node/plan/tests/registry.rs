//! The planner of the registry, rule by rule, with apply doing what was planned.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use reeve_plan::registry::{RegistryConfig, RegistryPlan, plan};
use reeve_state::command::{
    Command, ConnectWorker, CreateWorker, DeleteWorker, ExpireToken, PurgeWorker, Refusal, RegisterWorker,
    UnregisterWorker,
};
use reeve_state::id::{Incarnation, NodeId, WorkerId};
use reeve_state::record::WorkerKind;
use reeve_state::time::{Millis, Time};
use reeve_state::transition::worker::{Link, LivenessProfile, WorkerStatus};
use support::{World, bytes, hash_of};

const HOUR: Millis = Millis::from_secs(3_600);
const DAY: Millis = Millis::from_secs(24 * 3_600);
const WEEK: Millis = Millis::from_secs(7 * 24 * 3_600);
const TICK: Millis = Millis(1);

fn look(world: &World) -> RegistryPlan {
    plan(
        &world.state,
        world.now,
        world.leader_since,
        &RegistryConfig::default(),
    )
}

fn commands(plan: &RegistryPlan) -> Vec<Command> {
    plan.commands
        .iter()
        .map(|planned| planned.command.clone())
        .collect()
}

fn delete(worker: WorkerId) -> Command {
    Command::DeleteWorker(DeleteWorker {
        worker,
        offline_for: Some(DAY),
        force: false,
    })
}

fn purge(worker: WorkerId) -> Command {
    let retention = WEEK;
    Command::PurgeWorker(PurgeWorker { worker, retention })
}

fn expire(worker: WorkerId) -> Command {
    Command::ExpireToken(ExpireToken { worker })
}

fn unregister(world: &mut World, worker: WorkerId) {
    world
        .apply(Command::UnregisterWorker(UnregisterWorker { worker }))
        .unwrap();
}

fn status(world: &World, worker: WorkerId) -> WorkerStatus {
    world.state.worker(worker).unwrap().status()
}

/// A session worker, ONLINE, whose token is good for so long.
fn with_token(world: &mut World, number: u64, ttl: Millis) -> WorkerId {
    let id = WorkerId::from_bytes(bytes(number));
    let create = CreateWorker {
        id,
        name: format!("t{number}"),
        kind: WorkerKind::UserOwned,
        profile: LivenessProfile::Session,
        region: "eu".to_owned(),
        labels: Default::default(),
        capacity: None,
        token_hash: hash_of(id),
        token_ttl: Some(ttl),
    };
    world.apply(Command::CreateWorker(create)).unwrap();
    let connect = ConnectWorker {
        token_hash: hash_of(id),
        node: NodeId(1),
        incarnation: Incarnation(bytes(number)),
        capacity: 1,
        sip_capacity: None,
        health: Vec::new(),
        held: Vec::new(),
        draining: None,
        version: String::new(),
        attempt: 0,
    };
    world.apply(Command::ConnectWorker(connect)).unwrap();
    id
}

#[test]
fn a_registry_in_which_nothing_can_become_due_wakes_nobody() {
    let mut world = World::new();
    world.worker("eu", 10);
    world.ping_worker("eu", 10);
    assert_eq!(look(&world), RegistryPlan::default());
}

// Covers: R42
#[test]
fn a_token_that_ran_out_is_told_once_on_its_date() {
    let mut world = World::new();
    let late = with_token(&mut world, 900, Millis(HOUR.0 * 2));
    let soon = with_token(&mut world, 901, HOUR);
    let begun = world.now;
    assert_eq!(
        (commands(&look(&world)), look(&world).next_wake),
        (vec![], Some(begun + HOUR))
    );
    world.now = Time((begun + HOUR).0 - 1);
    assert_eq!(commands(&look(&world)), []);
    world.pass(TICK);
    let plan = look(&world);
    assert_eq!(commands(&plan), [expire(soon)]);
    assert_eq!(
        plan.next_wake,
        Some(world.now + Millis::from_secs(1)),
        "in case it does not come through"
    );
    world.execute(&plan.commands);
    assert_eq!(status(&world, soon), WorkerStatus::Error);
    assert_eq!(status(&world, late), WorkerStatus::Online);
    let plan = look(&world);
    assert_eq!(
        (commands(&plan), plan.next_wake),
        (vec![], Some(begun + Millis(HOUR.0 * 2)))
    );
}

#[test]
fn a_token_runs_out_under_a_new_leader_at_once() {
    let mut world = World::new();
    let worker = with_token(&mut world, 900, HOUR);
    world.pass(HOUR);
    world.leader_since = world.now;
    assert_eq!(
        commands(&look(&world)),
        [expire(worker)],
        "it waits for nobody's word"
    );
}

// Covers: R330, R337, R338, R342
#[test]
fn a_ping_worker_is_deleted_a_day_after_it_became_offline() {
    let mut world = World::new();
    let worker = world.ping_worker("eu", 10);
    world.pass(HOUR);
    world.link(worker, Link::Suspect);
    world.pass(HOUR);
    world.link(worker, Link::Down);
    let offline_since = world.now;
    assert_eq!(
        look(&world).next_wake,
        Some(offline_since + DAY),
        "not since the last ping"
    );
    world.now = Time((offline_since + DAY).0 - 1);
    assert_eq!(commands(&look(&world)), []);
    world.pass(TICK);
    let plan = look(&world);
    assert_eq!(commands(&plan), [delete(worker)]);
    world.execute(&plan.commands);
    assert_eq!(status(&world, worker), WorkerStatus::Deleted);
}

#[test]
fn one_that_was_registered_and_never_heard_is_deleted_too() {
    let mut world = World::new();
    let id = WorkerId::from_bytes(bytes(900));
    let register = RegisterWorker {
        id,
        name: "p".to_owned(),
        version: String::new(),
        ip_address: String::new(),
        function_blocks: Default::default(),
        region: String::new(),
        labels: Default::default(),
        capacity: None,
    };
    world.apply(Command::RegisterWorker(register)).unwrap();
    world.pass(DAY);
    assert_eq!(commands(&look(&world)), [delete(id)]);
}

#[test]
fn coming_back_in_time_saves_it_and_coming_back_too_late_for_the_plan_does_as_well() {
    let mut world = World::new();
    let worker = world.ping_worker("eu", 10);
    unregister(&mut world, worker);
    world.pass(Millis(DAY.0 - 1));
    world.ping(worker);
    unregister(&mut world, worker);
    world.pass(HOUR);
    assert_eq!(commands(&look(&world)), [], "the day begins anew");
    world.pass(DAY);
    let late = look(&world);
    world.ping(worker);
    let refusal = world.apply(late.commands[0].command.clone()).unwrap_err();
    assert!(matches!(refusal, Refusal::WrongStatus { .. }), "{refusal}");
    assert_eq!(status(&world, worker), WorkerStatus::Online);
}

#[test]
fn session_workers_are_never_deleted_for_their_silence() {
    let mut world = World::new();
    let worker = world.worker("eu", 10);
    world.link(worker, Link::Down);
    world.pass(Millis(DAY.0 * 365));
    assert_eq!(look(&world), RegistryPlan::default());
}

#[test]
fn a_new_leader_hears_what_waits_before_it_deletes_anybody() {
    let mut world = World::new();
    let worker = world.ping_worker("eu", 10);
    unregister(&mut world, worker);
    world.pass(Millis(DAY.0 * 2));
    world.leader_since = world.now;
    let plan = look(&world);
    assert_eq!(
        (commands(&plan), plan.next_wake),
        (vec![], Some(world.now + Millis::from_secs(10)))
    );
    world.pass(Millis::from_secs(10));
    assert_eq!(commands(&look(&world)), [delete(worker)]);
}

#[test]
fn what_an_offline_ping_worker_lost_does_not_keep_it_from_being_deleted() {
    let mut world = World::new();
    let worker = world.ping_worker("eu", 10);
    let group = support::group("g", 10, support::region("eu"));
    world.running(support::definition(vec![group]));
    unregister(&mut world, worker);
    assert_eq!(world.state.reserved(worker), 10);
    world.pass(DAY);
    world.execute(&look(&world).commands);
    assert_eq!(
        (status(&world, worker), world.state.reserved(worker)),
        (WorkerStatus::Deleted, 0)
    );
}

#[test]
fn a_tombstone_is_purged_after_a_week_whatever_it_was() {
    let mut world = World::new();
    let workers = [world.worker("eu", 10), world.ping_worker("eu", 10)];
    for worker in workers {
        let delete = DeleteWorker {
            worker,
            offline_for: None,
            force: false,
        };
        world.apply(Command::DeleteWorker(delete)).unwrap();
    }
    let plan = look(&world);
    assert_eq!(
        (commands(&plan), plan.next_wake),
        (vec![], Some(world.now + WEEK))
    );
    world.pass(WEEK);
    let plan = look(&world);
    assert_eq!(commands(&plan), workers.map(purge));
    world.execute(&plan.commands);
    assert_eq!(world.state.worker_count(), 0);
    assert_eq!(look(&world), RegistryPlan::default());
}

#[test]
fn a_pass_plans_so_many_soonest_first_and_the_next_goes_on() {
    let mut world = World::new();
    let mut workers = Vec::new();
    for _ in 0..5 {
        let worker = world.ping_worker("eu", 10);
        unregister(&mut world, worker);
        workers.push(worker);
        world.pass(TICK);
    }
    let token = with_token(&mut world, 900, HOUR);
    world.pass(DAY);
    let config = RegistryConfig {
        most_per_pass: 2,
        ..RegistryConfig::default()
    };
    let mut passes = Vec::new();
    loop {
        let plan = plan(&world.state, world.now, world.leader_since, &config);
        if plan.commands.is_empty() {
            break;
        }
        assert_eq!(plan.next_wake, Some(world.now + config.retry));
        world.execute(&plan.commands);
        passes.push(commands(&plan));
    }
    let expected = [
        vec![expire(token), delete(workers[0])],
        vec![delete(workers[1]), delete(workers[2])],
        vec![delete(workers[3]), delete(workers[4])],
    ];
    assert_eq!(passes, expected);
    let none_at_all = RegistryConfig {
        most_per_pass: 0,
        ..config
    };
    world.pass(WEEK);
    let plan = plan(&world.state, world.now, world.leader_since, &none_at_all);
    assert_eq!(plan.commands.len(), 1, "0 is taken as 1: it must go on");
}
