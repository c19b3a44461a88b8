//! Messages to workers, made from records.

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::Report;
use reeve_state::definition::{ramp, start_offset};
use reeve_state::id::{AssignmentEpoch, RunId};
use reeve_state::record::{Assignment, Executor, Run, SimExecutor};
use reeve_state::time::{Millis, Time};
use reeve_state::transition::endpoint::EndpointOutcome;

use super::sip;
use crate::seal::Sealer;

/// Everything that a worker needs to execute its part alone; `None` if the run has no such group, which apply rules out.
pub(super) fn offer(
    state: &State,
    sealer: Option<&Sealer>,
    run: &Run,
    assignment: &Assignment,
) -> Option<v1::Offer> {
    let group = run.definition.groups.get(assignment.group as usize)?;
    let executor = match &group.executor {
        Executor::Sim(sim) => v1::offer::Executor::Sim(sim_executor(sim)),
        Executor::Sip(sip) => v1::offer::Executor::Sip(sip::offer(state, sealer, run, assignment, sip)),
    };
    Some(v1::Offer {
        run_id: run.id.to_string(),
        epoch: assignment.epoch.0,
        group: group.name.clone(),
        first_endpoint: assignment.first,
        endpoints: assignment.count,
        group_endpoints: group.endpoints,
        buildup_ms: millis(ramp(&run.definition, assignment.group as usize)),
        duration_ms: millis(run.definition.duration),
        executor: Some(executor),
    })
}

/// Callers are told a later instant than those they call, so the common start instant and the offset of the group are one
/// for the worker. `None` while the run has no start instant, which apply rules out for an assignment that started.
pub(super) fn start(run: &Run, assignment: &Assignment, now: Time) -> Option<v1::Start> {
    let start_at = run.start_at? + start_offset(&run.definition, assignment.group as usize);
    Some(v1::Start {
        run_id: run.id.to_string(),
        epoch: assignment.epoch.0,
        start_at_ms: instant(start_at),
        cluster_time_ms: instant(now),
    })
}

pub(super) fn stop(run: &Run, assignment: &Assignment, abandon: bool) -> v1::Stop {
    let reason = assignment
        .detail
        .clone()
        .or_else(|| {
            run.stop_requested_at
                .map(|_| "the run was stopped by a user".to_owned())
        })
        .or_else(|| run.life.reason().map(|reason| reason.message.clone()))
        .unwrap_or_default();
    v1::Stop {
        run_id: run.id.to_string(),
        epoch: assignment.epoch.0,
        abandon,
        reason,
        outcome: v1::EndpointOutcome::Unspecified.into(),
    }
}

/// Tells a worker to drop what it reports about: the epoch is over.
pub(super) fn abandon(run: RunId, epoch: AssignmentEpoch) -> v1::Stop {
    v1::Stop {
        run_id: run.to_string(),
        epoch: epoch.0,
        abandon: true,
        reason: "the epoch is over".to_owned(),
        outcome: v1::EndpointOutcome::Unspecified.into(),
    }
}

/// An acknowledgement of everything up to `acked_seq`.
pub(super) fn ack(report: &Report, acked_seq: u64) -> v1::ReportAck {
    v1::ReportAck {
        run_id: report.run.to_string(),
        epoch: report.epoch.0,
        acked_seq,
        over: false,
        refused: String::new(),
    }
}

/// Cluster time as it goes over the wire.
pub(super) fn instant(time: Time) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

fn millis(span: Millis) -> i64 {
    i64::try_from(span.0).unwrap_or(i64::MAX)
}

fn sim_executor(sim: &SimExecutor) -> v1::SimExecutor {
    v1::SimExecutor {
        setup_min: Some(duration(sim.setup_min)),
        setup_max: Some(duration(sim.setup_max)),
        outcomes: sim
            .outcomes
            .iter()
            .map(|share| v1::OutcomeShare {
                outcome: outcome(share.outcome).into(),
                share_ppm: share.share_ppm,
            })
            .collect(),
        quality: sim
            .quality
            .as_ref()
            .map(crate::convert::definition::encode_quality),
    }
}

fn duration(span: Millis) -> prost_types::Duration {
    let nanos = i32::try_from(span.0 % 1_000 * 1_000_000).unwrap_or_default();
    prost_types::Duration {
        seconds: i64::try_from(span.0 / 1_000).unwrap_or(i64::MAX),
        nanos,
    }
}

const fn outcome(outcome: EndpointOutcome) -> v1::EndpointOutcome {
    match outcome {
        EndpointOutcome::Success => v1::EndpointOutcome::Success,
        EndpointOutcome::CompletedWithWarnings => v1::EndpointOutcome::CompletedWithWarnings,
        EndpointOutcome::RegistrationFailed => v1::EndpointOutcome::RegistrationFailed,
        EndpointOutcome::CallFailed => v1::EndpointOutcome::CallFailed,
        EndpointOutcome::NegotiationFailed => v1::EndpointOutcome::NegotiationFailed,
        EndpointOutcome::Timeout => v1::EndpointOutcome::Timeout,
        EndpointOutcome::Oserror => v1::EndpointOutcome::Oserror,
        EndpointOutcome::TeardownError => v1::EndpointOutcome::TeardownError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_milliseconds() {
        assert_eq!(
            duration(Millis(2_345)),
            prost_types::Duration {
                seconds: 2,
                nanos: 345_000_000
            }
        );
        assert_eq!(instant(Time(9)), 9);
    }

    #[test]
    fn outcomes_have_the_same_number_on_the_wire() {
        for each in EndpointOutcome::ALL {
            assert_eq!(i32::from(outcome(each)), each as i32);
        }
    }
}
