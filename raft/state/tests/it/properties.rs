//! Random sequences of commands: every invariant holds after each step, refusals change nothing, replay gives the same.

mod probes;
mod project;
mod registry;
mod webhooks;

use std::collections::BTreeSet;

use proptest::prelude::*;
use reeve_state::command::*;
use reeve_state::id::AssignmentEpoch;
use reeve_state::record::{Assignment, EvidenceKind, OnWorkerLoss, TestDefinition, WorkerEventKind};
use reeve_state::time::Millis;
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use reeve_state::transition::worker::{DrainActor, WorkerStatus};
use reeve_state::{State, apply};

use crate::world::evidence::{chunk, purge_run, summary};
use crate::world::registry::{HOUR, key_id, undrain};
use crate::world::*;
use probes::{ProbeAct, evaluate_open, fire_due, probe_act, probe_command};
use project::{ProjectAct, project_act, project_command};
use registry::{ALL_WORKERS, RegistryAct, WORKERS, any_worker, key, registry_act, registry_command};
use webhooks::{WebhookAct, webhook_act, webhook_command};

const RUNS: u8 = 3;

/// One thing that somebody does; most make sense in some states only, and must be refused in the others.
#[derive(Clone, Debug)]
enum Act {
    /// The next step that brings a run forward.
    Help(u8),
    Start(u8),
    Queue(u8),
    Place(u8, Vec<u8>, bool),
    Begin(u8),
    Complete(u8),
    Fail(u8),
    Reject(u8),
    Stop(u8),
    Abandon(u8, u32),
    /// What a worker says of an endpoint after its epoch is over.
    Late(u8, u32, u32),
    Hello(u8, u8, bool),
    Drain(u8, bool),
    Report(u8, u32, i8, Event),
    Registry(RegistryAct),
    Probe(ProbeAct),
    /// A chunk of evidence, as often as not one that is there.
    Chunk(u8, u32, bool, u32, u8),
    Summary(u8),
    PurgeRun(u8),
    Project(ProjectAct),
    Webhook(WebhookAct),
    /// Time passes, and nothing else.
    Pass(Millis),
    /// A caller with this key asks for it.
    As(u8, Box<Act>),
}

#[derive(Clone, Debug)]
enum Event {
    Ready,
    NotReady,
    Progress(u32, u8, u8),
    CloseAll,
    StartedLate,
    Closed,
}

fn run() -> impl Strategy<Value = u8> {
    1..=RUNS
}

fn worker() -> impl Strategy<Value = u8> {
    1..=WORKERS
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Ready),
        1 => Just(Event::NotReady),
        4 => (0..30u32, 0..10u8, 0..10u8).prop_map(|(offset, phase, outcome)| Event::Progress(offset, phase, outcome)),
        3 => Just(Event::CloseAll),
        1 => Just(Event::StartedLate),
        2 => Just(Event::Closed),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let registry = || registry_act().prop_map(Act::Registry);
    let projects = || project_act().prop_map(Act::Project);
    let probes = || probe_act(RUNS).prop_map(Act::Probe);
    let asked = (key(), prop_oneof![run_act(), registry(), projects(), probes()])
        .prop_map(|(key, act)| Act::As(key, Box::new(act)));
    let spans = vec![1_000, 60_000, HOUR.0];
    prop_oneof![
        40 => run_act(),
        10 => registry(),
        2 => projects(),
        6 => webhook_act().prop_map(Act::Webhook),
        3 => asked,
        8 => probe_act(RUNS).prop_map(Act::Probe),
        3 => prop::sample::select(spans).prop_map(|ms| Act::Pass(Millis(ms))),
    ]
}

fn run_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        24 => run().prop_map(Act::Help),
        2 => run().prop_map(Act::Start),
        2 => run().prop_map(Act::Queue),
        4 => (run(), prop::collection::vec(any_worker(), 1..4), any::<bool>()).prop_map(|(r, w, x)| Act::Place(r, w, x)),
        3 => run().prop_map(Act::Begin),
        2 => run().prop_map(Act::Complete),
        1 => run().prop_map(Act::Fail),
        1 => run().prop_map(Act::Reject),
        1 => run().prop_map(Act::Stop),
        1 => (run(), 0..3u32).prop_map(|(r, o)| Act::Abandon(r, o)),
        2 => (run(), 0..3u32, 0..40u32).prop_map(|(r, o, e)| Act::Late(r, o, e)),
        2 => (worker(), 1..4u8, any::<bool>()).prop_map(|(w, i, h)| Act::Hello(w, i, h)),
        1 => (any_worker(), any::<bool>()).prop_map(|(w, on)| Act::Drain(w, on)),
        12 => (run(), 0..3u32, prop_oneof![8 => Just(1i8), 1 => -1..3i8], event())
            .prop_map(|(r, o, s, e)| Act::Report(r, o, s, e)),
        3 => (run(), 0..3u32, any::<bool>(), 0..2u32, 0..2u8)
            .prop_map(|(r, o, k, s, h)| Act::Chunk(r, o, k, s, h)),
        2 => run().prop_map(Act::Summary),
        1 => run().prop_map(Act::PurgeRun),
    ]
}

fn world() -> World {
    let mut world = World::with_workers(WORKERS, 40);
    let definition = TestDefinition {
        on_worker_loss: OnWorkerLoss::FailAbove { share_ppm: 400_000 },
        ..definition("smoke", 30)
    };
    world.apply_test(1, definition);
    world.ok(project_command(&ProjectAct::Create("red", Some(70))));
    world.ok(project_command(&ProjectAct::Test(2, "red")));
    world
}

fn revision(world: &World, run: u8) -> reeve_state::id::Revision {
    world
        .state
        .run(run_id(run))
        .map(|run| run.revision)
        .unwrap_or_default()
}

fn place(world: &World, run: u8, workers: &[u8], replace: bool) -> Command {
    let share = 30 / workers.len() as u32;
    let current: Vec<_> = world
        .state
        .assignments(run_id(run))
        .map(|a| a.key.ordinal)
        .collect();
    let placements = (0u32..).zip(workers).map(|(at, worker)| {
        let last = at as usize + 1 == workers.len();
        World::placement(*worker, 0, at * share, if last { 30 - at * share } else { share })
    });
    Command::PlaceRun(PlaceRun {
        run: run_id(run),
        revision: revision(world, run),
        withdraw: if replace { current } else { Vec::new() },
        placements: placements.collect(),
        ready_timeout: reeve_state::time::Millis::from_secs(10),
    })
}

fn report(world: &World, run: u8, ordinal: u32, ahead: i8, event: &Event) -> Command {
    let assignment = world
        .state
        .assignments(run_id(run))
        .nth(ordinal as usize)
        .cloned();
    let (worker, epoch, acked, count) = match assignment {
        Some(a) => (a.worker, a.epoch, a.acked_seq, a.count),
        None => (worker_id(1), AssignmentEpoch(u64::from(ordinal) + 1), 0, 1),
    };
    let event = match *event {
        Event::Ready => ReportEvent::Ready,
        Event::NotReady => ReportEvent::NotReady { reason: "no".into() },
        Event::Progress(offset, phase, outcome) => ReportEvent::Progress(vec![EndpointReport {
            offset,
            phase: EndpointPhase::from_byte(phase).unwrap_or(EndpointPhase::Incall),
            outcome: EndpointOutcome::from_byte(outcome),
        }]),
        Event::CloseAll => ReportEvent::Progress(
            (0..count)
                .map(|offset| EndpointReport {
                    offset,
                    phase: EndpointPhase::Closed,
                    outcome: Some(EndpointOutcome::Success),
                })
                .collect(),
        ),
        Event::StartedLate => ReportEvent::StartedLate { by: Millis(700) },
        Event::Closed => ReportEvent::Closed,
    };
    let seq = acked.saturating_add_signed(i64::from(ahead));
    Command::Report(Report {
        worker,
        run: run_id(run),
        epoch,
        seq,
        event,
    })
}

/// What a reconciler and correct workers would do next for a run.
fn help(world: &World, run: u8) -> Command {
    let assignments: Vec<_> = world.state.assignments(run_id(run)).cloned().collect();
    let status = world.state.run(run_id(run)).map(|run| run.life.status());
    let first =
        |wanted: &dyn Fn(&Assignment) -> bool| assignments.iter().position(|a| wanted(a)).map(|at| at as u32);
    if world
        .state
        .unsummarised_runs()
        .any(|ended| ended.id == run_id(run))
    {
        return summary(run, true);
    }
    match status {
        None => fire_due(world, run).unwrap_or_else(|| command(world, &Act::Start(run))),
        Some(_) if evaluate_open(world, run).is_some() => evaluate_open(world, run).unwrap(),
        Some(RunStatus::Pending) => command(world, &Act::Queue(run)),
        Some(RunStatus::Queued) if !assignments.iter().any(|a| a.life.status().is_current()) => {
            let online = (1..=WORKERS).find(|n| {
                let worker = world.state.worker(worker_id(*n));
                worker.is_some_and(|worker| worker.status() == WorkerStatus::Online)
            });
            place(world, run, &[online.unwrap_or(1)], true)
        }
        Some(RunStatus::Queued) => match first(&|a| a.life.status() == AssignmentStatus::Offered) {
            Some(ordinal) => report(world, run, ordinal, 1, &Event::Ready),
            None => world.begin(run),
        },
        Some(_) => match first(&|a| a.life.status().is_current() && !a.all_closed()) {
            Some(ordinal) => report(world, run, ordinal, 1, &Event::CloseAll),
            None if assignments.iter().all(|a| a.lost) => command(world, &Act::Fail(run)),
            None => world.complete(run),
        },
    }
}

fn evidence(world: &World, run: u8, ordinal: u32, metrics: bool, (seq, hash): (u32, u8)) -> Command {
    let kind = if metrics {
        EvidenceKind::Metrics
    } else {
        EvidenceKind::Events
    };
    let assignment = world.state.assignments(run_id(run)).nth(ordinal as usize);
    let worker = assignment.map_or(worker_id(1), |assignment| assignment.worker);
    Command::RecordChunk(RecordChunk {
        sha256: [hash; 32],
        ..chunk(run, ordinal, worker, kind, seq)
    })
}

fn command(world: &World, act: &Act) -> Command {
    let known = |run: &u8| world.state.run(run_id(*run)).is_some();
    match act {
        Act::Help(run) => help(world, *run),
        Act::Start(run) => Command::StartRun(StartRun {
            run: run_id(*run),
            // Runs 2 and 3 are of project red, and get in each other's way.
            test: test_id((*run).min(2)),
        }),
        Act::Queue(run) => Command::QueueRun(QueueRun {
            run: run_id(*run),
            revision: revision(world, *run),
        }),
        Act::Place(run, workers, replace) => place(world, *run, workers, *replace),
        Act::Begin(run) if known(run) => world.begin(*run),
        Act::Complete(run) if known(run) => world.complete(*run),
        Act::Fail(run) if known(run) => world.fail(
            *run,
            RunReasonCode::ExecutionTimeoutExceeded,
            EndpointOutcome::Timeout,
        ),
        Act::Reject(run) if known(run) => world.reject(*run, RunReasonCode::WorkersBusy),
        Act::Begin(run) | Act::Complete(run) | Act::Fail(run) | Act::Reject(run) | Act::Stop(run) => {
            World::stop(*run)
        }
        Act::Abandon(run, ordinal) => Command::AbandonAssignments(AbandonAssignments {
            run: run_id(*run),
            revision: revision(world, *run),
            ordinals: vec![*ordinal],
            detail: "stop_deadline".into(),
        }),
        Act::Late(run, ordinal, offset) => {
            let assignment = world
                .state
                .assignments(run_id(*run))
                .nth(*ordinal as usize)
                .cloned();
            Command::KeepLateReports(KeepLateReports {
                worker: assignment.as_ref().map_or(worker_id(1), |a| a.worker),
                run: run_id(*run),
                epoch: assignment.map_or(AssignmentEpoch(1), |a| a.epoch),
                reports: vec![EndpointReport {
                    offset: *offset,
                    phase: EndpointPhase::Incall,
                    outcome: None,
                }],
            })
        }
        Act::Hello(n, incarnation, holds) => {
            let held = world
                .state
                .worker_assignments(worker_id(*n))
                .map(|a| (a.key.run, a.epoch));
            let held = if *holds { held.collect() } else { Vec::new() };
            let known = world
                .state
                .worker(worker_id(*n))
                .and_then(|worker| worker.token_hash);
            Command::ConnectWorker(ConnectWorker {
                token_hash: known.unwrap_or(token(*n)),
                sip_capacity: (*incarnation > 1).then_some(30),
                ..hello(*n, *incarnation, held)
            })
        }
        Act::Drain(n, true) => world.drain(*n, DrainActor::Admin("ann".into())),
        Act::Drain(n, false) => undrain(*n),
        Act::Report(run, ordinal, ahead, event) => report(world, *run, *ordinal, *ahead, event),
        Act::Registry(act) => registry_command(world, act),
        Act::Probe(act) => probe_command(world, act),
        Act::Chunk(run, ordinal, metrics, seq, hash) => {
            evidence(world, *run, *ordinal, *metrics, (*seq, *hash))
        }
        Act::Summary(run) => summary(*run, true),
        Act::PurgeRun(run) => purge_run(*run, Millis(0)),
        Act::Project(act) => project_command(act),
        Act::Webhook(act) => webhook_command(world, act),
        // Time passes whatever the command: this one changes nothing.
        Act::Pass(_) => Command::RaiseClusterVersion(RaiseClusterVersion { version: 1 }),
        Act::As(_, act) => command(world, act),
    }
}

/// Does it; whether it is refused is for the invariants to judge.
fn perform(world: &mut World, act: &Act) -> Result<Reply, Refusal> {
    if let Act::Pass(span) = act {
        world.pass(*span);
    }
    let principal = match act {
        Act::As(key, _) => Some(key_id(*key)),
        _ => None,
    };
    let envelope = Envelope {
        principal,
        ..Envelope::internal(command(world, act))
    };
    world.apply(TERM, envelope).result
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    // Covers: R116, R199, R200, R205
    #[test]
    fn every_invariant_holds_after_every_step(acts in prop::collection::vec(act(), 1..120)) {
        // World::apply checks all of them, and that a refusal changes nothing.
        let mut world = world();
        for act in &acts {
            let _ = perform(&mut world, act);
        }
    }

    #[test]
    fn every_invariant_holds_where_webhooks_are_told_much(acts in prop::collection::vec(webhooks::much(), 1..150)) {
        let mut world = world();
        for act in &acts {
            let _ = perform(&mut world, act);
        }
    }

    #[test]
    fn the_same_log_gives_the_same_state(acts in prop::collection::vec(act(), 1..80)) {
        let mut world = world();
        for act in &acts {
            let _ = perform(&mut world, act);
        }
        let mut replayed = State::default();
        for (entry, envelope) in &world.log {
            apply(&mut replayed, entry, envelope);
        }
        prop_assert!(replayed.rows().eq(world.state.rows()));
        prop_assert_eq!(replayed.meta(), world.state.meta());
        let reloaded = State::from_rows(*world.state.meta(), world.state.rows());
        prop_assert!(reloaded.rows().eq(world.state.rows()));
        prop_assert!(reeve_state::invariant::check(&reloaded).is_empty());
    }

    #[test]
    fn changes_tell_the_whole_difference(acts in prop::collection::vec(act(), 1..80)) {
        let mut world = world();
        for act in &acts {
            let before = world.state.clone();
            let _ = perform(&mut world, act);
            // What the changes say was there before was; nothing else differs.
            let changed = world.last_changes.len();
            let rows_before: Vec<_> = before.rows().collect();
            let rows_after: Vec<_> = world.state.rows().collect();
            let gone = rows_before.iter().filter(|row| !rows_after.contains(row)).count();
            let come = rows_after.iter().filter(|row| !rows_before.contains(row)).count();
            prop_assert!(gone.max(come) <= changed && changed <= gone + come, "{gone} {come} {changed}");
        }
    }
}

#[test]
fn random_acts_reach_every_status() {
    // So that the properties above are about something.
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let bills = [
        RunReasonCode::PlanLimitExceeded,
        RunReasonCode::CreditsExhausted,
        RunReasonCode::SubscriptionInactive,
    ];
    let mut seen = BTreeSet::new();
    let mut workers = BTreeSet::new();
    let mut events = BTreeSet::new();
    let (mut chunks, mut late, mut summaries, mut purged) = (0, 0, 0, 0);
    let mut spent = false;
    let mut plans = BTreeSet::new();
    // As many as it takes: each kind of act makes the others rarer.
    for _ in 0..2_000 {
        let acts = prop::collection::vec(act(), 60..120)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut world = world();
        for act in &acts {
            let runs_before = world.state.runs().count();
            let answer = perform(&mut world, act);
            purged += usize::from(world.state.runs().count() < runs_before);
            for run in 1..=RUNS {
                let manifests = world.state.manifests(run_id(run));
                let (on_time, after): (Vec<_>, Vec<_>) = manifests.partition(|row| !row.late);
                chunks += on_time.len();
                late += after.len();
                summaries += usize::from(world.state.summary(run_id(run)).is_some());
            }
            if let Err(Refusal::OverPlan(fault)) = answer {
                plans.insert(fault.code());
            }
            workers.extend(world.state.workers().map(|worker| worker.status()));
            events.extend(
                (1..=ALL_WORKERS)
                    .flat_map(|n| world.events(n))
                    .map(|event| event.kind),
            );
        }
        let runs = world.state.runs().flat_map(|run| run.life.timeline().to_vec());
        seen.extend(runs.map(|entry| entry.status));
        let projects = world.state.projects();
        spent |= projects.into_iter().any(|project| project.credits_spent > 0);
        let all = seen.len() == RunStatus::ALL.len()
            && workers.len() == WorkerStatus::ALL.len()
            && events.len() == WorkerEventKind::ALL.len()
            && plans.len() == bills.len();
        let evidence = chunks > 0 && late > 0 && summaries > 0 && purged > 0;
        if all && spent && evidence {
            break;
        }
    }
    assert!(
        chunks > 0 && late > 0 && summaries > 0 && purged > 0,
        "{chunks} {late} {summaries} {purged}"
    );
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), RunStatus::ALL);
    assert_eq!(workers.into_iter().collect::<Vec<_>>(), WorkerStatus::ALL);
    assert_eq!(events.into_iter().collect::<Vec<_>>(), WorkerEventKind::ALL);
    assert_eq!(plans.into_iter().collect::<Vec<_>>(), bills);
    assert!(spent, "no run ever paid");
}
