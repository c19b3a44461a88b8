//! Covers: R224, R225, R226, R227

use reeve_state::id::{ProbeId, Revision, RunId};
use reeve_state::record::ProbeSlotKey;
use reeve_state::time::Time;
use reeve_state::transition::probe::ProbeStatus;

use super::*;

const GOOD: &str = "good";
const BAD: &str = "bad";
const LOST: &str = "lost";
const TIMEOUT: &str = "timeout";
const BUSY: &str = "busy";
const UNPAID: &str = "unpaid";
const CANCELLED: &str = "cancelled";
const STILL: &str = "still";
const MISSED: &str = "missed";
const OPEN: &str = "open";

/// A slot that ended so.
fn slot(end: &str) -> ProbeSlot {
    use RunReasonCode as Code;
    use RunStatus as Status;
    let (status, reason, errors) = match end {
        GOOD => (Some(Status::Completed), None, 19),
        BAD => (Some(Status::Completed), None, 20),
        LOST => (Some(Status::Failed), Some(Code::AllWorkersDisconnected), 100),
        TIMEOUT => (Some(Status::Failed), Some(Code::ExecutionTimeoutExceeded), 100),
        BUSY => (Some(Status::CannotRunForNow), Some(Code::WorkersBusy), 0),
        UNPAID => (Some(Status::CannotRunForNow), Some(Code::CreditsExhausted), 0),
        CANCELLED => (Some(Status::CannotRunForNow), Some(Code::Cancelled), 0),
        _ => (None, None, 0),
    };
    ProbeSlot {
        key: ProbeSlotKey {
            probe: ProbeId::from_bytes([1; 16]),
            slot: Time(0),
        },
        at: Time(0),
        run: Some(RunId::from_bytes([2; 16])),
        skipped: match end {
            STILL => Some(SkipReason::PreviousStillRunning),
            MISSED => Some(SkipReason::Missed),
            _ => None,
        },
        count: 1,
        end: status.map(|status| SlotEnd {
            at: Time(0),
            status: Some(status),
            reason,
            endpoints: 100,
            errors,
            results: Vec::new(),
            health: ProbeStatus::Healthy,
        }),
        revision: Revision(1),
    }
}

#[test]
fn patterns_are_seen_in_the_newest_slots() {
    use Pattern as P;
    // The newest first.
    let table: [(&[&str], Option<Pattern>); 22] = [
        (&[], None),
        (&[GOOD, GOOD, GOOD, GOOD], None),
        (&[BUSY, BUSY], None),
        (&[BUSY, BUSY, BUSY], Some(P::WorkersMissing)),
        (&[BUSY, UNPAID, BUSY], Some(P::WorkersMissing)),
        (&[UNPAID, UNPAID, UNPAID, GOOD], Some(P::Billing)),
        (&[CANCELLED, CANCELLED, CANCELLED], None),
        (&[BUSY, BUSY, GOOD, BUSY, BUSY, BUSY], None),
        (&[LOST, LOST, LOST, GOOD], Some(P::WorkersUnstable)),
        (&[LOST, TIMEOUT, LOST], Some(P::Failing)),
        (&[GOOD, LOST, LOST, LOST], None),
        (&[GOOD, LOST, GOOD, LOST], Some(P::Intermittent)),
        (&[TIMEOUT, GOOD, BUSY, TIMEOUT, GOOD], Some(P::Intermittent)),
        (&[GOOD, LOST, GOOD], None),
        (&[BAD, BAD, BAD], Some(P::FarSide)),
        (&[BAD, BAD, GOOD], None),
        (&[BAD, LOST, BAD, LOST, BAD, BAD], Some(P::Intermittent)),
        (&[STILL, STILL, STILL, GOOD], Some(P::TooLong)),
        (&[MISSED, MISSED, MISSED], Some(P::Missed)),
        (&[STILL, GOOD, STILL, GOOD], None),
        // What is not over says nothing yet, and old slots are forgotten.
        (&[OPEN, LOST, LOST, LOST], Some(P::WorkersUnstable)),
        (
            &[
                GOOD, GOOD, GOOD, GOOD, GOOD, GOOD, GOOD, GOOD, GOOD, GOOD, LOST, GOOD, LOST, GOOD,
            ],
            None,
        ),
    ];
    for (ends, expected) in table {
        let slots: Vec<ProbeSlot> = ends.iter().map(|end| slot(end)).collect();
        assert_eq!(diagnose(&slots), expected, "{ends:?}");
    }
}

#[test]
fn every_pattern_has_advice() {
    use Pattern as P;
    let all = [
        P::WorkersMissing,
        P::Billing,
        P::WorkersUnstable,
        P::Failing,
        P::Intermittent,
        P::FarSide,
        P::TooLong,
        P::Missed,
    ];
    let texts: std::collections::BTreeSet<&str> = all.iter().map(|pattern| pattern.advice()).collect();
    assert_eq!(texts.len(), all.len());
    assert!(texts.iter().all(|text| !text.contains("  ")));
}
