//! Reports of workers on their assignments, and how an assignment's epoch ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::apply::tx::Tx;
use crate::command::{
    EndpointReport, KeepLateReports, MAX_LATE_ENDPOINTS, MAX_PROGRESS_ENDPOINTS, Refusal, Reply, Report,
    ReportEvent,
};
use crate::record::{Assignment, ChunkKey};
use crate::time::Millis;
use crate::transition::assignment::{AssignmentEvent, AssignmentStatus};
use crate::transition::endpoint::{CHUNK_ENDPOINTS, EndpointChunk, EndpointOutcome, EndpointPhase};

/// How an epoch ends without the worker having closed all of its endpoints.
pub(super) struct Ending<'a> {
    /// `Lose` while the worker may still hold it, `Close` once it does not.
    pub(super) event: AssignmentEvent,
    /// What endpoints that are still open end with.
    pub(super) outcome: EndpointOutcome,
    /// Why, for people.
    pub(super) detail: &'a str,
}

/// Report *n* applies only after report *n* − 1; one that was applied before is acknowledged again (D30).
pub(super) fn report(tx: &mut Tx<'_>, command: &Report) -> Result<Reply, Refusal> {
    let Some(assignment) = tx
        .state()
        .assignment_by_epoch(command.run, command.epoch)
        .cloned()
    else {
        return Err(over(command, false, 0));
    };
    if assignment.worker != command.worker {
        return Err(invalid("the assignment belongs to another worker"));
    }
    let acked_seq = assignment.acked_seq;
    match assignment.life.status() {
        AssignmentStatus::Closed if command.seq > acked_seq => return Err(over(command, false, acked_seq)),
        AssignmentStatus::Lost if command.event != ReportEvent::Closed => {
            return Err(over(command, true, acked_seq));
        }
        AssignmentStatus::Lost => return let_go(tx, &assignment, command.seq.max(acked_seq)),
        AssignmentStatus::Offered
        | AssignmentStatus::Ready
        | AssignmentStatus::Started
        | AssignmentStatus::Stopping
        | AssignmentStatus::Closed => {}
    }
    if command.seq <= acked_seq {
        return Ok(Reply::Reported { acked_seq });
    }
    if command.seq != acked_seq + 1 {
        return Err(Refusal::ReportOutOfOrder {
            seq: command.seq,
            expected: acked_seq + 1,
        });
    }
    let next = Assignment {
        acked_seq: command.seq,
        ..Assignment::clone(&assignment)
    };
    match &command.event {
        ReportEvent::Ready => ready(tx, next)?,
        ReportEvent::NotReady { reason } => not_ready(tx, next, reason)?,
        ReportEvent::Progress(reports) => progress(tx, next, reports)?,
        ReportEvent::StartedLate { by } => started_late(tx, next, *by)?,
        ReportEvent::Closed => closed(tx, &next)?,
    }
    Ok(Reply::Reported {
        acked_seq: command.seq,
    })
}

fn ready(tx: &mut Tx<'_>, mut assignment: Assignment) -> Result<(), Refusal> {
    advance(&mut assignment, AssignmentEvent::Confirm)?;
    tx.put_assignment(assignment);
    Ok(())
}

fn not_ready(tx: &mut Tx<'_>, assignment: Assignment, reason: &str) -> Result<(), Refusal> {
    if assignment.started {
        return Err(invalid("not ready after the start"));
    }
    let detail = format!("not ready: {reason}");
    let ending = Ending {
        event: AssignmentEvent::Close,
        outcome: EndpointOutcome::Oserror,
        detail: &detail,
    };
    end(tx, &assignment, &ending)
}

/// The worker let go. Endpoints that it did not account for were lost with it.
fn closed(tx: &mut Tx<'_>, assignment: &Assignment) -> Result<(), Refusal> {
    let detail = if assignment.all_closed() {
        ""
    } else {
        "the worker let go before all endpoints were closed"
    };
    end(
        tx,
        assignment,
        &Ending {
            event: AssignmentEvent::Close,
            outcome: EndpointOutcome::Oserror,
            detail,
        },
    )
}

/// The worker confirms that it abandoned an epoch that was over.
fn let_go(tx: &mut Tx<'_>, assignment: &Assignment, acked_seq: u64) -> Result<Reply, Refusal> {
    let mut next = Assignment {
        acked_seq,
        ..assignment.clone()
    };
    advance(&mut next, AssignmentEvent::Close)?;
    tx.put_assignment(next);
    Ok(Reply::Reported { acked_seq })
}

fn progress(tx: &mut Tx<'_>, mut assignment: Assignment, reports: &[EndpointReport]) -> Result<(), Refusal> {
    match assignment.life.status() {
        AssignmentStatus::Started | AssignmentStatus::Stopping => {}
        AssignmentStatus::Offered
        | AssignmentStatus::Ready
        | AssignmentStatus::Lost
        | AssignmentStatus::Closed => return Err(invalid("progress before the start")),
    }
    if reports.len() > MAX_PROGRESS_ENDPOINTS {
        return Err(invalid(format!(
            "at most {MAX_PROGRESS_ENDPOINTS} endpoints in one report"
        )));
    }
    let mut chunks: BTreeMap<ChunkKey, EndpointChunk> = BTreeMap::new();
    for report in reports {
        if report.offset >= assignment.count {
            let count = assignment.count;
            return Err(invalid(format!(
                "endpoint {} of an assignment of {count}",
                report.offset
            )));
        }
        let key = ChunkKey {
            assignment: assignment.key,
            chunk: report.offset / CHUNK_ENDPOINTS,
        };
        let chunk = chunks.entry(key).or_insert_with(|| load(tx, &assignment, key));
        let offset = (report.offset % CHUNK_ENDPOINTS) as usize;
        if let Some((before, after)) = chunk.observe(offset, report.phase, report.outcome) {
            assignment.counts.moved(before, after);
        }
    }
    for (key, chunk) in chunks {
        tx.put_chunk(key, chunk);
    }
    tx.put_assignment(assignment);
    Ok(())
}

/// A worker that was out of reach at the start instant begins late, and says by how much.
fn started_late(tx: &mut Tx<'_>, mut assignment: Assignment, by: Millis) -> Result<(), Refusal> {
    if !assignment.started {
        return Err(invalid("started late, before the start"));
    }
    assignment.start_late = assignment.start_late.or(Some(by));
    tx.put_assignment(assignment);
    Ok(())
}

/// Late reports are evidence: the last word of each endpoint, for as many endpoints of the run as are kept (D14).
pub(super) fn keep_late(tx: &mut Tx<'_>, command: &KeepLateReports) -> Result<Reply, Refusal> {
    let Some(assignment) = tx
        .state()
        .assignment_by_epoch(command.run, command.epoch)
        .cloned()
    else {
        return Err(invalid("there is no such epoch"));
    };
    if assignment.worker != command.worker {
        return Err(invalid("the assignment belongs to another worker"));
    }
    if !assignment.lost {
        return Err(invalid("the epoch did not end without the worker's word"));
    }
    let kept: usize = tx.state().assignments(command.run).map(|a| a.late.len()).sum();
    let mut room = MAX_LATE_ENDPOINTS.saturating_sub(kept);
    let mut next = Assignment::clone(&assignment);
    let possible = |report: &&EndpointReport| report.offset < assignment.count;
    for report in command.reports.iter().filter(possible) {
        match next
            .late
            .binary_search_by_key(&report.offset, |known| known.offset)
        {
            Ok(at) => next.late[at] = *report,
            Err(at) if room > 0 => {
                next.late.insert(at, *report);
                room -= 1;
            }
            Err(_) => next.late_left_out = next.late_left_out.saturating_add(1),
        }
    }
    if next != *assignment {
        tx.put_assignment(next);
    }
    Ok(Reply::Done)
}

fn load(tx: &Tx<'_>, assignment: &Assignment, key: ChunkKey) -> EndpointChunk {
    match tx.state().chunk(key) {
        Some(chunk) => EndpointChunk::clone(chunk),
        None => EndpointChunk::begin(assignment.chunk_len(key.chunk)),
    }
}

/// Ends an epoch: open endpoints are closed with the ending's outcome, once and for all (R22, D14).
pub(super) fn end(tx: &mut Tx<'_>, assignment: &Assignment, ending: &Ending<'_>) -> Result<(), Refusal> {
    let mut next = assignment.clone();
    if next.started && !next.all_closed() {
        next.interrupted = next.count - next.counts.phase(EndpointPhase::Closed);
        close_open(tx, &mut next, ending.outcome);
        next.lost = true;
    }
    if !ending.detail.is_empty() {
        next.detail = Some(ending.detail.to_owned());
    }
    advance(&mut next, ending.event)?;
    tx.put_assignment(next);
    Ok(())
}

fn close_open(tx: &mut Tx<'_>, assignment: &mut Assignment, outcome: EndpointOutcome) {
    for chunk in 0..assignment.chunks() {
        let key = ChunkKey {
            assignment: assignment.key,
            chunk,
        };
        let mut row = load(tx, assignment, key);
        let mut changed = false;
        for offset in 0..row.len() {
            if let Some((before, after)) = row.observe(offset, EndpointPhase::Closed, Some(outcome)) {
                assignment.counts.moved(before, after);
                changed |= before != after;
            }
        }
        if changed {
            tx.put_chunk(key, row);
        }
    }
}

/// What becomes of a worker's assignments when it is given up or leaves: their epochs are over.
pub(super) fn end_all(tx: &mut Tx<'_>, assignments: &[Arc<Assignment>], detail: &str) -> Result<(), Refusal> {
    for assignment in assignments.iter().filter(|a| a.life.status().is_current()) {
        // All of its endpoints are accounted for, so nothing is lost and nothing runs on.
        let event = if assignment.all_closed() {
            AssignmentEvent::Close
        } else {
            AssignmentEvent::Lose
        };
        end(
            tx,
            assignment,
            &Ending {
                event,
                outcome: EndpointOutcome::Oserror,
                detail,
            },
        )?;
    }
    Ok(())
}

pub(super) fn advance(assignment: &mut Assignment, event: AssignmentEvent) -> Result<(), Refusal> {
    assignment
        .life
        .on(event)
        .map_err(|illegal| invalid(illegal.to_string()))
}

fn over(command: &Report, confirm: bool, acked_seq: u64) -> Refusal {
    Refusal::EpochOver {
        run: command.run,
        epoch: command.epoch,
        confirm,
        acked_seq,
    }
}

fn invalid(rule: impl Into<String>) -> Refusal {
    Refusal::ReportInvalid { rule: rule.into() }
}
