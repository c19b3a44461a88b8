//! Passes of the planners that look at workers: who is alive, whose drain is over, and whose registration is.

use std::sync::Arc;
use std::time::Duration;

use reeve_plan::drain::{self, DrainPlan};
use reeve_plan::liveness::{self, BrakeState, LivenessConfig, LivenessPlan};
use reeve_plan::registry::{self, RegistryConfig};
use reeve_plan::{PlanConfig, Planned};
use reeve_state::id::NodeId;
use reeve_state::time::Time;
use reeve_store::outside;
use tokio::time::Instant;

use super::dirty::Dirty;
use super::outcome::LostLead;
use super::propose::propose;
use super::settings::{liveness_config, liveness_interval, plan_config, registry_config};
use crate::context::Context;

/// A fleet of which everybody is heard is looked at again after this time at the latest.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// When the fleet is to be looked at.
pub(super) struct FleetPlanner {
    context: Context,
    term: u64,
    leader_since: Time,
    leader_since_here: Instant,
    config: Arc<LivenessConfig>,
    drain_config: PlanConfig,
    registry_config: RegistryConfig,
    brake: BrakeState,
    next_look: Instant,
    next_drain: Option<Time>,
    next_registry: Option<Time>,
}

impl FleetPlanner {
    /// `leader_since` and `leader_since_here` are the same instant in cluster time and on this node's clock.
    pub(super) fn new(context: &Context, term: u64, leader_since: Time, leader_since_here: Instant) -> Self {
        Self {
            term,
            leader_since,
            leader_since_here,
            config: Arc::new(liveness_config(&context.config)),
            drain_config: plan_config(&context.config),
            registry_config: registry_config(&context.config),
            brake: BrakeState::default(),
            next_look: Instant::now(),
            next_drain: None,
            next_registry: None,
            context: context.clone(),
        }
    }

    pub(super) fn reset(&mut self) {
        self.next_drain = None;
        self.next_registry = None;
    }

    /// When liveness is to be looked at.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// When a drain is due.
    pub(super) fn next_drain(&self) -> Option<Time> {
        self.next_drain
    }

    /// When a token runs out, or a worker is to be deleted or purged.
    pub(super) fn next_registry(&self) -> Option<Time> {
        self.next_registry
    }

    /// Looks at what is due.
    pub(super) async fn pass(&mut self, dirty: &mut Dirty) -> Result<(), LostLead> {
        if Instant::now() >= self.next_look {
            self.look().await?;
        }
        let now = self.context.store.cluster_now();
        if dirty.drains || self.next_drain.is_some_and(|at| at <= now) {
            dirty.drains = false;
            self.drains(now).await?;
        }
        if dirty.registry || self.next_registry.is_some_and(|at| at <= now) {
            dirty.registry = false;
            self.registry(now).await?;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), LostLead> {
        let begun = Instant::now();
        let plan = self.plan_liveness().await;
        self.commit("liveness", plan.commands, begun).await?;
        self.brake = plan.brake;
        metrics::gauge!("reeve_mass_loss_brake").set(if self.brake.is_engaged() { 1.0 } else { 0.0 });
        self.next_look = self.look_after(plan.settled, plan.next_wake_ms);
        Ok(())
    }

    /// While somebody is silent, often enough that a worker that was heard again is ONLINE soon; else when the first one could become
    /// suspect. Of a large fleet that is a fraction of the looks, and each of them is O(workers).
    fn look_after(&self, settled: bool, next_wake_ms: Option<i64>) -> Instant {
        let now = Instant::now();
        let soonest = now + liveness_interval(&self.context.config);
        if !settled {
            return soonest;
        }
        let now_ms = self.context.liveness.plan_ms(now);
        // Who connects meanwhile is heard then, and not suspect before so much later.
        let suspect = self.config.session.suspect.min(self.config.ping.suspect);
        let longest = LONGEST_REST.min(Duration::from_millis(suspect.0));
        let rest = next_wake_ms.map_or(longest, |wake| {
            let ms = u64::try_from(wake.saturating_sub(now_ms)).unwrap_or(0);
            Duration::from_millis(ms).min(longest)
        });
        soonest.max(now + rest)
    }

    /// O(workers), so on a thread of its own.
    async fn plan_liveness(&self) -> LivenessPlan {
        let (context, brake, config) = (self.context.clone(), self.brake.clone(), Arc::clone(&self.config));
        let since = self.leader_since_here;
        let planned = outside::blocking(move || {
            let now = Instant::now();
            let view = context.liveness.view(&peers(&context), since, now);
            let (state, cluster_now) = (context.store.local(), context.store.cluster_now());
            liveness::plan(
                &state,
                &view,
                &brake,
                cluster_now,
                context.liveness.plan_ms(now),
                &config,
            )
        })
        .await;
        planned.unwrap_or_else(|error| {
            tracing::error!(%error, "the planner of liveness failed");
            LivenessPlan {
                brake: self.brake.clone(),
                ..LivenessPlan::default()
            }
        })
    }

    async fn drains(&mut self, now: Time) -> Result<(), LostLead> {
        let begun = Instant::now();
        let (state, since, config) = (self.context.store.local(), self.leader_since, self.drain_config);
        let planned = outside::blocking(move || drain::plan(&state, now, since, &config)).await;
        let plan = planned.unwrap_or_else(|error| {
            tracing::error!(%error, "the planner of drains failed");
            DrainPlan::default()
        });
        self.commit("drains", plan.commands, begun).await?;
        self.next_drain = plan.next_wake;
        Ok(())
    }

    /// O(what is due), and bounded: it needs no thread of its own.
    async fn registry(&mut self, now: Time) -> Result<(), LostLead> {
        let begun = Instant::now();
        let state = self.context.store.local();
        let plan = registry::plan(&state, now, self.leader_since, &self.registry_config);
        self.commit("registry", plan.commands, begun).await?;
        self.next_registry = plan.next_wake;
        Ok(())
    }

    /// What is refused or fails is planned again with the next look.
    async fn commit(
        &self,
        planner: &'static str,
        commands: Vec<Planned>,
        begun: Instant,
    ) -> Result<(), LostLead> {
        for outcome in propose(&self.context.store, self.term, planner, commands).await? {
            metrics::counter!("reeve_reconcile_total", "planner" => planner, "outcome" => outcome.name())
                .increment(1);
        }
        metrics::histogram!("reeve_reconcile_seconds", "planner" => planner)
            .record(begun.elapsed().as_secs_f64());
        Ok(())
    }
}

/// The other members, which hold sessions and send digests.
fn peers(context: &Context) -> Vec<NodeId> {
    let members = context.store.status().members;
    members
        .iter()
        .map(|member| member.info.id)
        .filter(|id| *id != context.config.id)
        .collect()
}
