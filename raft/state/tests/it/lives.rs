//! The lives of workers: sequences of what happens to them, and the status after each step, as the sources tell it.
//! Kinds of owners make no difference (R75): every life is lived by a user-owned and by a cloud worker.

use reeve_state::command::*;
use reeve_state::record::WorkerKind;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::worker::WorkerStatus::{
    self, Deleted, Draining, Error, Offline, Online, Unreachable,
};
use reeve_state::transition::worker::*;

use crate::world::registry::*;
use crate::world::*;

/// What can happen to worker 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// Its process connects, healthy.
    Hello,
    /// It connects, and its first health check fails.
    HelloIll,
    /// It connects as a new process.
    Restart,
    /// It connects with the token that it was given last.
    NewToken,
    /// It pings, healthy.
    Ping,
    /// It pings and reports a full disk or the like.
    PingIll,
    /// It registers again under its name.
    Register,
    /// It leaves for now (R349).
    Unregister,
    /// It leaves in order.
    Leave,
    /// Heartbeats are missing.
    Missed,
    /// It is heard again.
    Heard,
    /// It was silent for too long.
    GivenUp,
    /// A resource crosses its threshold.
    Ill,
    /// All resources are below theirs.
    Well,
    /// SIGTERM.
    OwnDrain,
    /// An administrator drains it; then it is to leave.
    Drain,
    /// The platform drains it; then it is to go on.
    Maintenance,
    /// The drain is complete, or taken back.
    DrainOver,
    /// The date of its token has come.
    TokenRunsOut,
    /// It gets a new token.
    TokenRegenerated,
    /// Somebody deletes it.
    Delete,
    /// It was OFFLINE for a day.
    DayOffline,
}

const ALL: [Input; 22] = [
    Input::Hello,
    Input::HelloIll,
    Input::Restart,
    Input::NewToken,
    Input::Ping,
    Input::PingIll,
    Input::Register,
    Input::Unregister,
    Input::Leave,
    Input::Missed,
    Input::Heard,
    Input::GivenUp,
    Input::Ill,
    Input::Well,
    Input::OwnDrain,
    Input::Drain,
    Input::Maintenance,
    Input::DrainOver,
    Input::TokenRunsOut,
    Input::TokenRegenerated,
    Input::Delete,
    Input::DayOffline,
];

fn command(world: &mut World, input: Input) -> Command {
    let connect = |token_n: u8, incarnation: u8, health: Vec<HealthIssue>| {
        Command::ConnectWorker(ConnectWorker {
            token_hash: token(token_n),
            health,
            ..hello(1, incarnation, Vec::new())
        })
    };
    let admin = DrainActor::Admin("ann".to_owned());
    match input {
        Input::Hello => connect(1, 1, Vec::new()),
        Input::HelloIll => connect(1, 1, cpu(95)),
        Input::Restart => connect(1, 2, Vec::new()),
        Input::NewToken => connect(99, 1, Vec::new()),
        Input::Ping => ping(1),
        Input::PingIll => ping_with(1, vec![issue(Resource::Disk, 99)]),
        Input::Register => Command::RegisterWorker(RegisterWorker {
            id: worker_id(77),
            name: world.worker(1).name.clone(),
            ..registration(1)
        }),
        Input::Unregister => unregister(1),
        Input::Leave => world.leave(1),
        Input::Missed => world.link(1, Link::Suspect),
        Input::Heard => world.link(1, Link::Up),
        Input::GivenUp => world.link(1, Link::Down),
        Input::Ill => world.health(1, vec![issue(Resource::Memory, 93)]),
        Input::Well => world.health(1, Vec::new()),
        Input::OwnDrain => drain_order(1, order(DrainActor::Worker(process(1)), AfterDrain::Disconnect)),
        Input::Drain => drain_order(1, order(admin, AfterDrain::Disconnect)),
        Input::Maintenance => drain_order(1, order(DrainActor::Platform, AfterDrain::Resume)),
        Input::DrainOver => undrain(1),
        Input::TokenRunsOut => {
            world.pass(HOUR);
            expire(1)
        }
        Input::TokenRegenerated => regenerate(1, 99),
        Input::Delete => delete(1),
        Input::DayOffline => {
            world.pass(DAY);
            delete_if(1, Some(DAY), false)
        }
    }
}

/// Worker 1, registered and never heard. Its token, if it has one, is good for an hour.
fn registered(profile: LivenessProfile, kind: WorkerKind) -> World {
    let mut world = World::default();
    match (profile, kind) {
        (LivenessProfile::Ping, WorkerKind::UserOwned) => world.ok(register(1)),
        (LivenessProfile::Ping, WorkerKind::Cloud) | (LivenessProfile::Session, _) => {
            world.ok(Command::CreateWorker(CreateWorker {
                kind,
                profile,
                token_ttl: Some(HOUR),
                ..create_worker(1, 100)
            }))
        }
    };
    world
}

type Life = (&'static str, &'static [(Input, WorkerStatus)]);

/// Session workers: source 000.
const SESSION_LIVES: [Life; 20] = {
    use Input::*;
    [
        ("R7 R9 R11: connected, authenticated, healthy", &[(Hello, Online)]),
        (
            "R11 R41: the first health check counts",
            &[(HelloIll, Error), (Well, Online)],
        ),
        (
            "R40 R44: a missed heartbeat, then heard",
            &[(Hello, Online), (Missed, Error), (Heard, Online)],
        ),
        (
            "R12: it reconnects",
            &[(Hello, Online), (Missed, Error), (Hello, Online)],
        ),
        (
            "R18 R45 R71 R72: ungraceful, and back",
            &[
                (Hello, Online),
                (Missed, Error),
                (GivenUp, Offline),
                (Hello, Online),
            ],
        ),
        (
            "R18: given up from ONLINE",
            &[(Hello, Online), (GivenUp, Offline)],
        ),
        (
            "R43: an unstable network",
            &[
                (Hello, Online),
                (Missed, Error),
                (Heard, Online),
                (Missed, Error),
                (Heard, Online),
            ],
        ),
        (
            "R37 R41 R44: resources, and recovery",
            &[(Hello, Online), (Ill, Error), (Well, Online)],
        ),
        (
            "R45: an ill worker falls silent",
            &[(Hello, Online), (Ill, Error), (Missed, Error), (GivenUp, Offline)],
        ),
        (
            "R41: silence ends, illness does not",
            &[(Hello, Online), (Ill, Error), (Missed, Error), (Heard, Error)],
        ),
        (
            "R42: the token runs out on a live connection",
            &[
                (Hello, Online),
                (TokenRunsOut, Error),
                (Missed, Error),
                (Heard, Error),
                (GivenUp, Offline),
            ],
        ),
        (
            "R42 D5b: the token is regenerated, the worker returns with the new one",
            &[(Hello, Online), (TokenRegenerated, Error), (NewToken, Online)],
        ),
        ("R17: stopped", &[(Hello, Online), (Leave, Offline)]),
        (
            "R17: stopped while in ERROR",
            &[(HelloIll, Error), (Leave, Offline)],
        ),
        (
            "R20 R24 R29 R69: drained by an administrator",
            &[
                (Hello, Online),
                (Drain, Draining),
                (Leave, Offline),
                (Hello, Online),
            ],
        ),
        (
            "R13 R32: maintenance, and it goes on",
            &[(Hello, Online), (Maintenance, Draining), (DrainOver, Online)],
        ),
        (
            "R31 R20: SIGTERM",
            &[(Hello, Online), (OwnDrain, Draining), (Leave, Offline)],
        ),
        (
            "R31 R87: SIGTERM, and a new process",
            &[(Hello, Online), (OwnDrain, Draining), (Restart, Online)],
        ),
        (
            "R24: a drain hides neither silence nor illness for ever",
            &[
                (Hello, Online),
                (Drain, Draining),
                (Missed, Draining),
                (Ill, Draining),
                (Heard, Draining),
                (DrainOver, Error),
                (Well, Online),
                (Drain, Draining),
                (GivenUp, Offline),
            ],
        ),
        ("D7: deleted", &[(Hello, Online), (Delete, Deleted)]),
    ]
};

/// Ping workers: source 003.
const PING_LIVES: [Life; 11] = {
    use Input::*;
    [
        ("R325: registered and heard", &[(Ping, Online)]),
        (
            "R326 R327 R333: silent, and heard",
            &[(Ping, Online), (Missed, Unreachable), (Ping, Online)],
        ),
        (
            "R328 R329 R335: silent for long, and heard",
            &[
                (Ping, Online),
                (Missed, Unreachable),
                (GivenUp, Offline),
                (Ping, Online),
            ],
        ),
        (
            "R351 R353: it leaves and comes back",
            &[
                (Ping, Online),
                (Unregister, Offline),
                (Unregister, Offline),
                (Register, Offline),
                (Ping, Online),
            ],
        ),
        (
            "R351: it leaves while UNREACHABLE",
            &[(Ping, Online), (Missed, Unreachable), (Unregister, Offline)],
        ),
        (
            "R353: a new process registers before the old one is given up",
            &[
                (Ping, Online),
                (Missed, Unreachable),
                (Register, Unreachable),
                (Ping, Online),
            ],
        ),
        (
            "R41 R44 R75: resources",
            &[
                (Ping, Online),
                (PingIll, Error),
                (Missed, Unreachable),
                (Heard, Error),
                (Ping, Online),
            ],
        ),
        (
            "R330 R337: OFFLINE for a day",
            &[(Ping, Online), (GivenUp, Offline), (DayOffline, Deleted)],
        ),
        ("R330: never heard for a day", &[(DayOffline, Deleted)]),
        (
            "R29 R75: drained and undrained, whatever it pings",
            &[
                (Ping, Online),
                (Drain, Draining),
                (Missed, Draining),
                (Ping, Draining),
                (DrainOver, Online),
            ],
        ),
        (
            "R20 R351: drained, and it leaves",
            &[
                (Ping, Online),
                (Drain, Draining),
                (Unregister, Offline),
                (Ping, Online),
            ],
        ),
    ]
};

fn live(profile: LivenessProfile, (what, steps): Life) {
    for kind in [WorkerKind::UserOwned, WorkerKind::Cloud] {
        let mut world = registered(profile, kind);
        assert_eq!(
            world.worker_status(1),
            Offline,
            "R14, R21: registered, never started"
        );
        assert!(!world.takes_new_work(1), "{what}: never started");
        for (at, (input, expected)) in steps.iter().enumerate() {
            let command = command(&mut world, *input);
            world.ok(command);
            let shown = format!("{what}, {kind:?}, step {at}: {input:?}");
            assert_eq!(world.worker_status(1), *expected, "{shown}");
            // Only ONLINE workers get new work (R10), checked in apply.
            assert_eq!(world.takes_new_work(1), *expected == Online, "{shown}");
        }
    }
}

// Covers: R7, R9, R10, R11, R12, R13, R14, R16, R17, R18, R20, R21, R24, R26, R29, R31, R32, R34, R37, R39, R40, R41,
// R42, R43, R44, R45, R69, R71, R72, R75, R87
#[test]
fn session_workers_go_through_the_statuses_as_source_000_tells_it() {
    for life in SESSION_LIVES {
        live(LivenessProfile::Session, life);
    }
}

// Covers: R10, R16, R21, R75, R325, R326, R327, R328, R329, R330, R333, R335, R337, R351, R353
#[test]
fn ping_workers_go_through_the_statuses_as_source_003_tells_it() {
    for life in PING_LIVES {
        live(LivenessProfile::Ping, life);
    }
}

// Covers: R331
#[test]
fn deleted_is_the_end_whatever_happens() {
    for profile in [LivenessProfile::Session, LivenessProfile::Ping] {
        let mut world = registered(profile, WorkerKind::UserOwned);
        world.ok(delete(1));
        for input in ALL {
            let command = command(&mut world, input);
            let answer = world.when(command);
            match input {
                // Its name is free: somebody else is registered under it.
                Input::Register => assert_eq!(answer, Ok(about(77, true))),
                _ => assert!(answer.is_err(), "{profile:?} {input:?}: {answer:?}"),
            }
            assert_eq!(world.worker_status(1), Deleted, "{profile:?} after {input:?}");
        }
    }
}

// Covers: R17, R22, R23, R45, R48, R69, R73, R109, R351
#[test]
fn however_a_worker_goes_offline_its_open_endpoints_end_in_oserror() {
    use Input::*;
    let session: [&[Input]; 6] = [
        &[GivenUp],
        &[Missed, GivenUp],
        &[Ill, GivenUp],
        &[Leave],
        &[OwnDrain, Leave],
        &[TokenRunsOut, GivenUp],
    ];
    let ping: [&[Input]; 4] = [
        &[GivenUp],
        &[Missed, GivenUp],
        &[Unregister],
        &[Drain, Unregister],
    ];
    let lives = session.map(|inputs| (LivenessProfile::Session, Hello, inputs));
    let lives = lives
        .into_iter()
        .chain(ping.map(|inputs| (LivenessProfile::Ping, Ping, inputs)));
    for (profile, first, inputs) in lives {
        let mut world = executing(profile, first);
        for input in inputs {
            assert_eq!(
                world.ended_in(1, EndpointOutcome::Oserror),
                0,
                "before {input:?} of {inputs:?}"
            );
            let command = command(&mut world, *input);
            world.ok(command);
        }
        assert_eq!(world.worker_status(1), Offline, "{profile:?} {inputs:?}");
        assert_eq!(world.closed(1), 10, "{profile:?} {inputs:?}");
        let ended =
            [EndpointOutcome::Oserror, EndpointOutcome::Success].map(|outcome| world.ended_in(1, outcome));
        assert_eq!(
            ended,
            [6, 4],
            "what had ended before still counts: {profile:?} {inputs:?}"
        );
    }
}

/// Worker 1 executes ten endpoints, four of which have ended.
fn executing(profile: LivenessProfile, first: Input) -> World {
    let mut world = registered(profile, WorkerKind::UserOwned);
    let first = command(&mut world, first);
    world.ok(first);
    world.apply_test(1, definition("smoke", 10));
    world.start_run(1, 1);
    world.queue_run(1);
    let place = world.place(1, Vec::new(), vec![World::placement(1, 0, 0, 10)]);
    world.ok(place);
    world.ready(1, 0);
    world.ok(world.begin(1));
    let success = Some(EndpointOutcome::Success);
    world.progress(1, 0, 0..4, EndpointPhase::Closed, success);
    world
}
