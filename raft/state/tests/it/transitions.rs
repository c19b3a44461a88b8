//! Every transition table, over all combinations.

use reeve_state::id::Incarnation;
use reeve_state::time::Time;
use reeve_state::transition::assignment::{AssignmentEvent, AssignmentStatus};
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase, EndpointState};
use reeve_state::transition::run::{RunLife, RunStatus, TimelineEntry};
use reeve_state::transition::worker::*;

// Covers: R113, R118, R130, R140, R151, R167, R187, R199, R200, R201, R202, R203, R204, R205
#[test]
fn runs_have_six_statuses_and_exactly_six_edges() {
    // Rows: from. Columns: to, in the order of RunStatus::ALL. 'x' is an edge.
    let table = [
        (RunStatus::Pending, ".x...x"),
        (RunStatus::Queued, "..x..x"),
        (RunStatus::Running, "...xx."),
        (RunStatus::Completed, "......"),
        (RunStatus::Failed, "......"),
        (RunStatus::CannotRunForNow, "......"),
    ];
    assert_eq!(table.map(|(from, _)| from), RunStatus::ALL);
    for (from, row) in table {
        for (to, cell) in RunStatus::ALL.into_iter().zip(row.chars()) {
            assert_eq!(from.may_become(to), cell == 'x', "{from} -> {to}");
        }
        assert_eq!(from.is_terminal(), !row.contains('x'), "{from}");
    }
}

// Covers: R119, R200
#[test]
fn a_timeline_that_leaves_the_table_is_not_restored() {
    let entry = |status| TimelineEntry {
        status,
        at: Time(1),
        reason: None,
    };
    for first in RunStatus::ALL {
        assert_eq!(
            RunLife::restore(vec![entry(first)]).is_some(),
            first == RunStatus::Pending
        );
        for second in RunStatus::ALL {
            let legal = first == RunStatus::Pending && first.may_become(second);
            assert_eq!(
                RunLife::restore(vec![entry(first), entry(second)]).is_some(),
                legal
            );
        }
    }
    assert!(RunLife::restore(Vec::new()).is_none());
}

// Covers: R134, R135, R141
#[test]
fn assignments_follow_their_table() {
    use AssignmentStatus as S;
    // Columns: Confirm, Start, Stop, Lose, Close.
    let table: [(S, [Option<S>; 5]); 6] = [
        (
            S::Offered,
            [Some(S::Ready), None, None, Some(S::Lost), Some(S::Closed)],
        ),
        (
            S::Ready,
            [None, Some(S::Started), None, Some(S::Lost), Some(S::Closed)],
        ),
        (
            S::Started,
            [None, None, Some(S::Stopping), Some(S::Lost), Some(S::Closed)],
        ),
        (S::Stopping, [None, None, None, Some(S::Lost), Some(S::Closed)]),
        (S::Lost, [None, None, None, None, Some(S::Closed)]),
        (S::Closed, [None; 5]),
    ];
    assert_eq!(table.map(|(from, _)| from), S::ALL);
    for (from, row) in table {
        for (event, expected) in AssignmentEvent::ALL.into_iter().zip(row) {
            assert_eq!(from.after(event), expected, "{from} on {event:?}");
        }
    }
}

fn outcomes() -> Vec<Option<EndpointOutcome>> {
    std::iter::once(None)
        .chain(EndpointOutcome::ALL.map(Some))
        .collect()
}

/// Every state that an endpoint can be in.
fn endpoint_states() -> Vec<EndpointState> {
    let mut states = Vec::new();
    for phase in EndpointPhase::ALL {
        for outcome in outcomes() {
            let state = EndpointState::BEGIN.observe(phase, outcome);
            if !states.contains(&state) {
                states.push(state);
            }
        }
    }
    states
}

// Covers: R142, R152, R163, R164, R165
#[test]
fn endpoints_move_forward_and_outcomes_only_get_more_severe() {
    // 7 phases × 9 outcomes (unknown included), and CLOSED × 8: nothing closes without an outcome.
    assert_eq!(endpoint_states().len(), 7 * 9 + 8);
    for before in endpoint_states() {
        for phase in EndpointPhase::ALL {
            for outcome in outcomes() {
                let after = before.observe(phase, outcome);
                let case = format!("{before:?} observing {phase:?}, {outcome:?}");
                if before.phase() == EndpointPhase::Closed {
                    assert_eq!(after, before, "closed is final: {case}");
                    continue;
                }
                assert_eq!(after.phase(), before.phase().max(phase), "{case}");
                let expected = match (before.outcome(), outcome) {
                    (Some(old), Some(new)) if new.severity() > old.severity() => Some(new),
                    (Some(old), _) => Some(old),
                    (None, None) if after.phase() == EndpointPhase::Closed => Some(EndpointOutcome::Oserror),
                    (None, new) => new,
                };
                assert_eq!(after.outcome(), expected, "{case}");
                assert_eq!(
                    after.observe(phase, outcome),
                    after,
                    "twice changes nothing: {case}"
                );
            }
        }
    }
}

// Covers: R142
#[test]
fn phases_and_outcomes_have_their_numbers_for_ever() {
    for byte in 0..=u8::MAX {
        assert_eq!(
            EndpointPhase::from_byte(byte).map(|phase| phase as u8),
            (1..=8).contains(&byte).then_some(byte)
        );
        assert_eq!(
            EndpointOutcome::from_byte(byte).map(|outcome| outcome as u8),
            (1..=8).contains(&byte).then_some(byte)
        );
    }
    assert_eq!(
        EndpointPhase::ALL.map(|phase| phase as u8),
        [1, 2, 3, 4, 5, 6, 7, 8]
    );
}

/// Facts about a worker, in every combination.
struct Case {
    facts: Facts,
    profile: LivenessProfile,
}

fn drains() -> Vec<Option<Drain>> {
    let actors = [
        DrainActor::Worker(Incarnation([1; 16])),
        DrainActor::Admin("ann".to_owned()),
        DrainActor::Platform,
    ];
    let mut drains = vec![None];
    for actor in actors {
        drains.extend([AfterDrain::Disconnect, AfterDrain::Resume].map(|then| {
            Some(Drain {
                actor: actor.clone(),
                reason: String::new(),
                deadline: Time(2),
                then,
                since: Time(1),
            })
        }));
    }
    drains
}

/// Every set of resources above their thresholds.
fn healths() -> Vec<Vec<HealthIssue>> {
    let of = |bits: usize| {
        let chosen = Resource::ALL.into_iter().enumerate();
        chosen
            .filter(|(at, _)| bits & (1 << at) != 0)
            .map(|(_, resource)| HealthIssue {
                resource,
                percent: 95,
            })
            .collect()
    };
    (0..8).map(of).collect()
}

fn cases() -> Vec<Case> {
    let since = Time(1);
    let rejected = CredentialRejected {
        reason: String::new(),
        since,
    };
    let mut cases = Vec::new();
    for profile in [LivenessProfile::Session, LivenessProfile::Ping] {
        for link in Link::ALL {
            for issues in healths() {
                for drain in drains() {
                    for credential_rejected in [None, Some(rejected.clone())] {
                        for deleted_at in [None, Some(since)] {
                            let mut facts = Facts::registered(since);
                            facts.link.link = link;
                            facts.health.issues = issues.clone();
                            facts.drain = drain.clone();
                            facts.credential_rejected = credential_rejected.clone();
                            facts.deleted_at = deleted_at;
                            cases.push(Case { facts, profile });
                        }
                    }
                }
            }
        }
    }
    cases
}

// Covers: R3, R7, R9, R10, R14, R16, R21, R24, R26, R37, R39
#[test]
fn a_workers_status_follows_from_its_facts_in_the_order_of_d3() {
    // D3, row by row: the first row that holds gives the status. The last column is how many of all combinations fall to it.
    type Row = (&'static str, fn(&Case) -> bool, WorkerStatus, usize);
    let d3: [Row; 7] = [
        (
            "deleted",
            |case| case.facts.deleted_at.is_some(),
            WorkerStatus::Deleted,
            896,
        ),
        (
            "link never or down",
            |case| [Link::Never, Link::Down].contains(&case.facts.link.link),
            WorkerStatus::Offline,
            448,
        ),
        (
            "drain set",
            |case| case.facts.drain.is_some(),
            WorkerStatus::Draining,
            384,
        ),
        (
            "suspect, session worker",
            |case| case.facts.link.link == Link::Suspect && case.profile == LivenessProfile::Session,
            WorkerStatus::Error,
            16,
        ),
        (
            "suspect, ping worker",
            |case| case.facts.link.link == Link::Suspect && case.profile == LivenessProfile::Ping,
            WorkerStatus::Unreachable,
            16,
        ),
        (
            "unhealthy or credential rejected",
            |case| !case.facts.health.issues.is_empty() || case.facts.credential_rejected.is_some(),
            WorkerStatus::Error,
            30,
        ),
        ("else", |_| true, WorkerStatus::Online, 2),
    ];
    let mut counts = [0; 7];
    for case in cases() {
        let row = d3.iter().position(|(_, holds, ..)| holds(&case)).unwrap();
        let (why, _, expected, _) = d3[row];
        counts[row] += 1;
        assert_eq!(
            case.facts.status(case.profile),
            expected,
            "{why}: {:?} {:?}",
            case.profile,
            case.facts
        );
    }
    assert_eq!(counts, d3.map(|(.., count)| count));
}
