//! What the end of an execution means for its probe: worked out here, from the state, so that no planner can say otherwise.

use super::{answer, slot_refused};
use crate::apply::tx::Tx;
use crate::command::{EvaluateProbe, Refusal, Reply};
use crate::record::{
    Aggregate, EndpointCounts, MetricResult, Probe, ProbeSlot, ProbeSlotKey, Run, SUCCESS_RATE, SlotEnd,
    evaluate as judge,
};
use crate::transition::endpoint::EndpointOutcome;
use crate::transition::probe::Verdict;
use crate::transition::run::RunStatus;

pub(in crate::apply) fn evaluate(tx: &mut Tx<'_>, command: &EvaluateProbe) -> Result<Reply, Refusal> {
    let probe = tx.probe(command.probe)?;
    let Some(open) = probe.open.filter(|open| open.slot == command.slot) else {
        return Err(slot_refused(&probe, command.slot));
    };
    let run = tx.state().run(open.run).cloned();
    if let Some(run) = run.as_ref().filter(|run| !run.life.status().is_terminal()) {
        let rule = format!("it is {}, which is not the end", run.life.status());
        return Err(Refusal::NotYet { run: open.run, rule });
    }
    let counts = tx.state().run_counts(open.run);
    let verdict = verdict(tx, &probe, run.as_deref(), &counts);
    let results = match &verdict {
        Verdict::Measured(results) => results.clone(),
        Verdict::Failed(_) | Verdict::CouldNotRun => Vec::new(),
    };
    let now = tx.now();
    let mut next = Probe {
        open: None,
        ..Probe::clone(&probe)
    };
    next.health.ended(open.slot, verdict, now);
    let end = SlotEnd {
        at: now,
        status: run.as_ref().map(|run| run.life.status()),
        reason: run
            .as_ref()
            .and_then(|run| run.life.reason().map(|reason| reason.code)),
        endpoints: run.as_ref().map_or(0, |run| run.definition.endpoints()),
        errors: errors(&counts),
        results,
        health: next.health.status(),
    };
    tx.put_probe(next);
    settle_slot(tx, &probe, open.slot, end);
    Ok(answer(probe.id, false))
}

/// The slot may be forgotten already: its probe may have had many since that were skipped.
fn settle_slot(tx: &mut Tx<'_>, probe: &Probe, slot: crate::time::Time, end: SlotEnd) {
    let key = ProbeSlotKey {
        probe: probe.id,
        slot,
    };
    if let Some(row) = tx.state().probe_slot(key).cloned() {
        tx.put_probe_slot(ProbeSlot {
            end: Some(end),
            ..ProbeSlot::clone(&row)
        });
    }
}

fn verdict(tx: &Tx<'_>, probe: &Probe, run: Option<&Run>, counts: &EndpointCounts) -> Verdict {
    let Some(run) = run else {
        return Verdict::Failed("the last run is gone".to_owned());
    };
    match run.life.status() {
        RunStatus::Completed => Verdict::Measured(measured(tx, probe, run, counts)),
        RunStatus::Failed => {
            let why = run.life.reason().map(|reason| reason.message.as_str());
            Verdict::Failed(format!(
                "the last run FAILED: {}",
                why.unwrap_or("no reason is known")
            ))
        }
        RunStatus::CannotRunForNow | RunStatus::Pending | RunStatus::Queued | RunStatus::Running => {
            Verdict::CouldNotRun
        }
    }
}

/// By the run's summary; how many endpoints succeeded is known without one.
fn measured(tx: &Tx<'_>, probe: &Probe, run: &Run, counts: &EndpointCounts) -> Vec<MetricResult> {
    let summary = tx.state().summary(run.id).cloned();
    let success = success_rate(counts);
    judge(&probe.definition.thresholds, |metric| {
        let summed = summary.as_ref().and_then(|summary| summary.metrics.get(metric));
        match (summed, metric) {
            (None, SUCCESS_RATE) => success.as_ref(),
            (found, _) => found,
        }
    })
}

/// Endpoints that ended in an error.
fn errors(counts: &EndpointCounts) -> u32 {
    EndpointOutcome::ALL
        .into_iter()
        .filter(|outcome| is_error(*outcome))
        .map(|outcome| counts.outcome(outcome))
        .fold(0, u32::saturating_add)
}

/// Endpoints that ended in SUCCESS, in thousandths of a percent; `None` without endpoints.
fn success_rate(counts: &EndpointCounts) -> Option<Aggregate> {
    let total = i64::from(counts.total());
    let good = i64::from(counts.outcome(EndpointOutcome::Success));
    (good * 100_000 + total / 2)
        .checked_div(total)
        .map(Aggregate::one)
}

const fn is_error(outcome: EndpointOutcome) -> bool {
    match outcome {
        EndpointOutcome::Success | EndpointOutcome::CompletedWithWarnings => false,
        EndpointOutcome::RegistrationFailed
        | EndpointOutcome::CallFailed
        | EndpointOutcome::NegotiationFailed
        | EndpointOutcome::Timeout
        | EndpointOutcome::Oserror
        | EndpointOutcome::TeardownError => true,
    }
}
