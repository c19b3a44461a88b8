//! The history of a worker: every kind of event, told once, the newest hundred kept (R182).

use reeve_state::change::Change;
use reeve_state::command::*;
use reeve_state::id::{NodeId, SessionEpoch};
use reeve_state::record::{KEPT_EVENTS, Role, WorkerEvent, WorkerEventKind as Kind};
use reeve_state::transition::worker::WorkerStatus::{Deleted, Draining, Error, Offline, Online, Unreachable};
use reeve_state::transition::worker::*;

use crate::world::registry::*;
use crate::world::*;

fn told(events: &[std::sync::Arc<WorkerEvent>]) -> Vec<(Kind, Option<WorkerStatus>, WorkerStatus)> {
    events
        .iter()
        .map(|event| (event.kind, event.status_before, event.status))
        .collect()
}

/// What the last command told of worker 1.
fn last(world: &World) -> Vec<(Kind, Option<WorkerStatus>, WorkerStatus, String, String)> {
    let events = world.last_changes.iter().filter_map(|change| match change {
        Change::Event(delta) => delta.after.as_ref(),
        _ => None,
    });
    events
        .map(|event| {
            (
                event.kind,
                event.status_before,
                event.status,
                event.actor.clone(),
                event.message.clone(),
            )
        })
        .collect()
}

#[test]
fn the_history_of_a_session_worker() {
    let mut world = World::default();
    let w1 = "worker:w1".to_owned();
    let leader = "reconciler".to_owned();
    let admin = DrainActor::Admin("ann".to_owned());
    let create = CreateWorker {
        token_ttl: Some(HOUR),
        ..create_worker(1, 100)
    };
    world.ok(Command::CreateWorker(create));
    assert_eq!(
        last(&world),
        [(
            Kind::Registered,
            None,
            Offline,
            leader.clone(),
            "registered as a session worker".to_owned()
        )]
    );
    world.ok(Command::ConnectWorker(hello(1, 1, Vec::new())));
    assert_eq!(
        last(&world),
        [(
            Kind::Connected,
            Some(Offline),
            Online,
            w1.clone(),
            "connected to node 1".to_owned()
        )]
    );
    world.ok(world.link(1, Link::Suspect));
    assert_eq!(
        last(&world),
        [(
            Kind::Suspect,
            Some(Online),
            Error,
            leader.clone(),
            "Suspect".to_owned()
        )]
    );
    world.ok(world.link(1, Link::Up));
    assert_eq!(
        last(&world),
        [(
            Kind::Recovered,
            Some(Error),
            Online,
            leader.clone(),
            "Up".to_owned()
        )]
    );
    world.ok(world.health(1, vec![issue(Resource::Cpu, 95), issue(Resource::Disk, 91)]));
    let ill = "CPU at 95 %, disk at 91 %".to_owned();
    assert_eq!(
        last(&world),
        [(Kind::HealthChanged, Some(Online), Error, w1.clone(), ill)]
    );
    world.ok(world.health(1, Vec::new()));
    let well = "below all thresholds again".to_owned();
    assert_eq!(
        last(&world),
        [(Kind::HealthChanged, Some(Error), Online, w1.clone(), well)]
    );
    world.ok(drain_order(1, order(admin, AfterDrain::Disconnect)));
    assert_eq!(
        last(&world),
        [(
            Kind::DrainBegan,
            Some(Online),
            Draining,
            "ann".to_owned(),
            "maintenance".to_owned()
        )]
    );
    world.ok(undrain(1));
    assert_eq!(
        last(&world),
        [(
            Kind::DrainEnded,
            Some(Draining),
            Online,
            leader.clone(),
            "the drain ended".to_owned()
        )]
    );
    world.pass(HOUR);
    world.ok(expire(1));
    let expired = "the token has expired; regenerate it".to_owned();
    assert_eq!(
        last(&world),
        [(Kind::TokenExpired, Some(Online), Error, leader.clone(), expired)]
    );
    world.ok(regenerate(1, 50));
    let new_token = "the token was regenerated".to_owned();
    assert_eq!(
        last(&world),
        [(
            Kind::TokenRegenerated,
            Some(Error),
            Error,
            leader.clone(),
            new_token
        )]
    );
    world.ok(world.leave(1));
    assert_eq!(
        last(&world),
        [(
            Kind::Disconnected,
            Some(Error),
            Offline,
            w1,
            "left: drained".to_owned()
        )]
    );
    world.ok(delete(1));
    assert_eq!(
        last(&world),
        [(
            Kind::Deleted,
            Some(Offline),
            Deleted,
            leader,
            "deleted".to_owned()
        )]
    );
    let kinds: std::collections::BTreeSet<Kind> = world.events(1).iter().map(|event| event.kind).collect();
    assert_eq!(kinds.len(), Kind::ALL.len(), "every kind was told");
}

#[test]
fn the_history_of_a_ping_worker() {
    let mut world = World::with_ping_workers(1);
    world.ok(world.link(1, Link::Suspect));
    world.ok(ping(1));
    world.ok(unregister(1));
    world.ok(register(1));
    world.ok(Command::RegisterWorker(RegisterWorker {
        version: "2.0.0".to_owned(),
        ..registration(1)
    }));
    world.ok(ping(1));
    assert_eq!(
        told(&world.events(1)),
        [
            (Kind::Registered, None, Offline),
            (Kind::Connected, Some(Offline), Online),
            (Kind::Suspect, Some(Online), Unreachable),
            (Kind::Recovered, Some(Unreachable), Online),
            (Kind::Disconnected, Some(Online), Offline),
            (Kind::Registered, Some(Offline), Offline),
            (Kind::Connected, Some(Offline), Online),
        ],
        "that it registered again as what it was changed nothing"
    );
    assert_eq!(world.events(1)[4].message, "left: unregistered");
}

#[test]
fn an_event_says_when_where_and_in_which_session() {
    let mut world = World::with_workers(1, 100);
    world.ok(Command::ConnectWorker(ConnectWorker {
        node: NodeId(2),
        ..hello(1, 2, Vec::new())
    }));
    let events = world.events(1);
    let moved = &events[2];
    assert_eq!(
        moved.message,
        "connected to node 2; the session on node 1 is over"
    );
    assert_eq!((moved.node, moved.epoch), (Some(NodeId(2)), SessionEpoch(2)));
    assert_eq!(
        (moved.at.0, moved.revision),
        (world.now, world.state.meta().revision)
    );
    world.down(1);
    let events = world.events(1);
    assert_eq!(
        events[3].node,
        Some(NodeId(2)),
        "the node that it was connected to"
    );
}

#[test]
fn of_several_events_at_once_the_first_carries_the_status() {
    let mut world = World::with_workers(1, 100);
    world.ok(world.link(1, Link::Suspect));
    let mut ill = hello(1, 1, Vec::new());
    ill.health = cpu(97);
    ill.draining = Some(HOUR);
    world.ok(Command::ConnectWorker(ill));
    let events = told(&world.events(1));
    assert_eq!(
        events[3..],
        [
            (Kind::Connected, Some(Error), Draining),
            (Kind::HealthChanged, Some(Draining), Draining),
            (Kind::DrainBegan, Some(Draining), Draining),
        ]
    );
    world.ok(delete_if(1, None, true));
    let events = told(&world.events(1));
    assert_eq!(
        events[6..],
        [
            (Kind::Disconnected, Some(Draining), Offline),
            (Kind::DrainEnded, Some(Offline), Offline),
            (Kind::Deleted, Some(Offline), Deleted),
        ]
    );
}

#[test]
fn callers_are_named_by_their_keys() {
    let mut world = World::with_workers(1, 100);
    world.ok(Command::CreateKey(new_key(1, Role::Admin)));
    let drain = drain_order(
        1,
        order(DrainActor::Admin("someone".to_owned()), AfterDrain::Resume),
    );
    world.as_caller(1, drain).unwrap();
    world.as_caller(1, regenerate(1, 50)).unwrap();
    world.ok(drain_order(1, order(DrainActor::Platform, AfterDrain::Resume)));
    world.ok(drain_order(
        1,
        order(DrainActor::Admin("bob".to_owned()), AfterDrain::Resume),
    ));
    let actors: Vec<String> = world.events(1)[2..]
        .iter()
        .map(|event| event.actor.clone())
        .collect();
    assert_eq!(actors, ["k1", "k1", "platform", "bob"]);
}

#[test]
fn the_newest_hundred_events_are_kept() {
    let mut world = World::with_workers(1, 100);
    for _ in 0..KEPT_EVENTS {
        world.ok(world.link(1, Link::Suspect));
        world.ok(world.link(1, Link::Up));
    }
    let events = world.events(1);
    assert_eq!(events.len() as u64, KEPT_EVENTS);
    assert_eq!(world.worker(1).events, 2 + 2 * KEPT_EVENTS);
    assert_eq!(events.last().unwrap().key.seq, world.worker(1).events);
}

// Covers: R43, R105
#[test]
fn each_time_it_leaves_online_for_error_or_unreachable_is_a_flap_and_counted_once() {
    let mut world = World::with_workers(1, 100);
    world.ok(world.link(1, Link::Suspect));
    world.ok(world.health(1, cpu(99)));
    assert_eq!(world.worker(1).flaps, 1, "still ERROR");
    world.ok(world.health(1, Vec::new()));
    world.ok(world.link(1, Link::Up));
    world.ok(world.health(1, cpu(99)));
    assert_eq!(world.worker(1).flaps, 2);
    world.ok(world.health(1, Vec::new()));
    world.ok(drain_order(1, order(DrainActor::Platform, AfterDrain::Resume)));
    world.ok(world.link(1, Link::Suspect));
    world.ok(world.link(1, Link::Up));
    world.ok(undrain(1));
    world.down(1);
    assert_eq!(world.worker(1).flaps, 2, "neither a drain nor OFFLINE is a flap");
    let flaps = world.events(1).iter().filter(|event| event.is_flap()).count();
    assert_eq!(flaps, 2, "the events tell the same");
}

// Covers: R376
#[test]
fn a_ping_workers_flaps_are_its_times_unreachable() {
    let mut world = World::with_ping_workers(1);
    for _ in 0..3 {
        world.ok(world.link(1, Link::Suspect));
        world.ok(ping(1));
    }
    assert_eq!(world.worker(1).flaps, 3);
}
