//! Ping workers: no session, one call at a time (D4).
//!
//! Whose id a ping may name: a key of the role WORKER speaks only for the workers that it registered. Refused by name is also an id that is
//! unknown or deleted, and that of a session worker, which no ping may keep alive.

use std::sync::Arc;

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{Command, PingWorker, Refusal, RegisterWorker, UnregisterWorker};
use reeve_state::record::Worker;
use reeve_state::time::Time;
use reeve_state::transition::worker::{HealthIssue, Link, LivenessProfile};
use reeve_store::Consistency;

use super::{new_id, no_worker};
use crate::api::read::find_worker;
use crate::api::write::Asked;
use crate::api::{Api, Call};
use crate::convert::{enums, time};
use crate::error::ApiError;
use crate::gateway::health;
use crate::liveness::{Resources, Vitals};

/// A clock that says less is not set at all: 2000-01-01, Unix milliseconds.
const EARLIEST_MS: i64 = 946_684_800_000;
/// A clock that is further ahead than this is not set at all: ten years.
const MOST_AHEAD_MS: i64 = 10 * 365 * 86_400_000;

impl Api {
    /// A ping worker says who it is (R343); one that was there before gets its id again (D4a).
    pub async fn register_worker(
        &self,
        mut request: v1::RegisterWorkerRequest,
        call: &Call,
    ) -> Result<v1::RegisterWorkerResponse, ApiError> {
        let asked = Asked::new(
            "RegisterWorker",
            std::mem::take(&mut request.request_id),
            &request,
        )?;
        let id = new_id();
        let name = if request.name.is_empty() {
            format!("worker-{id}")
        } else {
            request.name
        };
        let command = Command::RegisterWorker(RegisterWorker {
            id,
            name,
            version: request.version,
            ip_address: request.ip_address,
            function_blocks: request.function_blocks.into_iter().collect(),
            region: request.region,
            labels: request.labels,
            // Endpoints are pushed over sessions: none are placed on a ping worker.
            capacity: None,
        });
        let written = self.write(call, asked, command).await?;
        let ping = self.context.config.ping;
        Ok(v1::RegisterWorkerResponse {
            worker: Some(self.written(&written, call)?),
            ping_interval_ms: time::wire_ms(ping.interval),
            unreachable_after_ms: time::wire_ms(ping.unreachable_after),
            offline_after_ms: time::wire_ms(ping.offline_after),
        })
    }

    /// A ping worker is alive (R346). It is heard by this node; only what changes the worker enters the log.
    pub async fn ping_worker(
        &self,
        request: v1::PingWorkerRequest,
        call: &Call,
    ) -> Result<v1::PingWorkerResponse, ApiError> {
        let now = self.context.store.cluster_now();
        let clock_skew_ms = clock_skew(request.timestamp, now)?;
        let report = report(request.resources)?;
        if self.context.liveness.turns_away(&self.context.store) {
            return Err(ApiError::Shedding);
        }
        let (state, worker) = self.ping_worker_of(&request.id, call).await?;
        state.may_speak_for(call.caller.key, &worker, now)?;
        let vitals = Vitals {
            active_endpoints: request.active_endpoints,
            resources: request.resources.map(resources),
            clock_skew_ms,
        };
        self.note_ping(&worker, vitals);
        let thresholds = self.context.config.unhealthy_above;
        let issues = health::assess(&worker.facts.health.issues, &report, thresholds);
        let (state, worker) = if in_step(&worker, &issues) {
            (state, worker)
        } else {
            self.commit_ping(&worker, issues, vitals, call).await?
        };
        Ok(v1::PingWorkerResponse {
            status: enums::worker_status(worker.status()).into(),
            cluster_time: Some(time::timestamp(now)),
            clock_skew_ms,
            ping_interval_ms: time::wire_ms(self.context.config.ping.interval),
            leave: leaves(&state, &worker),
        })
    }

    /// A ping worker leaves (R349, R351): OFFLINE at once, and what it registered stays (R352).
    pub async fn unregister_worker(
        &self,
        request: v1::UnregisterWorkerRequest,
        call: &Call,
    ) -> Result<v1::UnregisterWorkerResponse, ApiError> {
        let worker = self.worker_id(&request.id, call).await?;
        let command = Command::UnregisterWorker(UnregisterWorker { worker });
        let revision = self.write_unnamed(call, command).await??;
        let state = self.state_at(revision, call.deadline).await?;
        Ok(v1::UnregisterWorkerResponse {
            worker: Some(self.shown(&state, worker, call)?),
        })
    }

    /// What this node knows is enough for a worker that it knows to be connected. Of any other the cluster is asked: that a worker does
    /// not exist makes it register again (R348), so no node that lags may say so.
    async fn ping_worker_of(&self, id: &str, call: &Call) -> Result<(Arc<State>, Arc<Worker>), ApiError> {
        let local = self.context.store.local();
        if let Ok(worker) = pings(&local, id)
            && worker.session.is_some()
        {
            let worker = Arc::clone(worker);
            return Ok((local, worker));
        }
        let store = &self.context.store;
        let state = store.read(Consistency::Linearizable, call.deadline).await?;
        self.still_admitted(&state, call)?;
        let worker = Arc::clone(pings(&state, id)?);
        Ok((state, worker))
    }

    fn note_ping(&self, worker: &Worker, vitals: Vitals) {
        if let Some(session) = worker.session {
            self.context
                .liveness
                .note_heard(worker.id, worker.profile, session.epoch, vitals);
            metrics::counter!("reeve_worker_heartbeats_total").increment(1);
        }
    }

    async fn commit_ping(
        &self,
        worker: &Worker,
        health: Vec<HealthIssue>,
        vitals: Vitals,
        call: &Call,
    ) -> Result<(Arc<State>, Arc<Worker>), ApiError> {
        let command = PingWorker {
            worker: worker.id,
            node: self.context.config.id,
            health,
        };
        let revision = self.write_unnamed(call, Command::PingWorker(command)).await??;
        let state = self.state_at(revision, call.deadline).await?;
        let after = Arc::clone(state.worker(worker.id).ok_or_else(|| no_worker(worker.id))?);
        if worker.session.map(|session| session.epoch) != after.session.map(|session| session.epoch) {
            self.note_ping(&after, vitals);
        }
        Ok((state, after))
    }
}

/// The ping worker of this id or name that is not deleted.
fn pings<'a>(state: &'a State, id: &str) -> Result<&'a Arc<Worker>, ApiError> {
    let worker = find_worker(state, id)?;
    if worker.facts.deleted_at.is_some() {
        return Err(no_worker(id));
    }
    match worker.profile {
        LivenessProfile::Ping => Ok(worker),
        LivenessProfile::Session => Err(Refusal::WrongProfile {
            worker: worker.id,
            is: worker.profile,
            wanted: LivenessProfile::Ping,
        }
        .into()),
    }
}

/// Whether a ping tells the state nothing new.
fn in_step(worker: &Worker, issues: &[HealthIssue]) -> bool {
    let known = worker.facts.health.issues.iter().map(|issue| issue.resource);
    worker.facts.link.link == Link::Up && known.eq(issues.iter().map(|issue| issue.resource))
}

/// Whether the worker's drain is complete and it is to leave.
fn leaves(state: &State, worker: &Worker) -> bool {
    let drains = worker.facts.drain.as_ref().is_some_and(crate::gateway::leaves);
    drains && state.worker_assignments(worker.id).next().is_none()
}

/// The worker's clock less cluster time.
///
/// # Errors
/// A clock that was never set.
fn clock_skew(timestamp: Option<prost_types::Timestamp>, now: Time) -> Result<Option<i64>, ApiError> {
    let Some(timestamp) = timestamp else {
        return Ok(None);
    };
    let said = timestamp
        .seconds
        .saturating_mul(1_000)
        .saturating_add(i64::from(timestamp.nanos / 1_000_000));
    let skew = said.saturating_sub(i64::try_from(now.0).unwrap_or(i64::MAX));
    if said < EARLIEST_MS || skew > MOST_AHEAD_MS {
        let rule = "must be after the year 2000 and at most ten years ahead of the cluster's time";
        return Err(ApiError::invalid("timestamp", rule));
    }
    Ok(Some(skew))
}

/// Nothing said: healthy.
fn report(resources: Option<v1::WorkerResources>) -> Result<v1::HealthReport, ApiError> {
    let resources = resources.unwrap_or_default();
    for (field, percent) in [
        ("resources.cpu_percent", resources.cpu_percent),
        ("resources.memory_percent", resources.memory_percent),
        ("resources.disk_percent", resources.disk_percent),
    ] {
        if percent > 100 {
            return Err(ApiError::invalid(
                field,
                format!("{percent} is not within 0 to 100"),
            ));
        }
    }
    Ok(v1::HealthReport {
        cpu_percent: resources.cpu_percent,
        memory_percent: resources.memory_percent,
        disk_percent: resources.disk_percent,
    })
}

/// Of figures that were checked.
fn resources(said: v1::WorkerResources) -> Resources {
    let percent = |figure: u32| u8::try_from(figure).unwrap_or(u8::MAX);
    Resources {
        cpu_percent: percent(said.cpu_percent),
        memory_percent: percent(said.memory_percent),
        disk_percent: percent(said.disk_percent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Covers: R58
    #[test]
    fn a_clock_that_was_never_set_is_refused_and_any_other_skew_is_a_figure() {
        let now_s = 1_790_000_000;
        let now = Time(now_s * 1_000);
        let at = |seconds: i64| {
            Some(prost_types::Timestamp {
                seconds,
                nanos: 500_000_000,
            })
        };
        let now_s = i64::try_from(now_s).unwrap_or_default();
        for (said, skew) in [
            (None, None),
            (at(now_s), Some(500)),
            (at(now_s - 3_600), Some(-3_599_500)),
            (at(now_s + 86_400), Some(86_400_500)),
        ] {
            assert_eq!(clock_skew(said, now).ok(), Some(skew), "{said:?}");
        }
        for garbage in [0, -1, 946_684_799, now_s + 11 * 365 * 86_400, i64::MAX, i64::MIN] {
            assert!(clock_skew(at(garbage), now).is_err(), "{garbage}");
        }
    }
}
