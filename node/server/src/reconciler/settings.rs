//! The planners' settings, from the node's configuration.

use std::time::Duration;

use reeve_plan::PlanConfig;
use reeve_plan::liveness::{LivenessConfig, Thresholds};
use reeve_plan::registry::RegistryConfig;
use reeve_state::time::Millis;

use crate::config::NodeConfig;
use crate::liveness::LOST_AFTER_HALVES;

/// Settings of the planner of runs.
pub(crate) fn plan_config(config: &NodeConfig) -> PlanConfig {
    PlanConfig {
        ready_timeout: millis(config.ready_timeout),
        start_delay: millis(config.start_delay),
        ..PlanConfig::default()
    }
}

/// Settings of the planner of liveness.
pub(super) fn liveness_config(config: &NodeConfig) -> LivenessConfig {
    let session = Thresholds {
        suspect: millis(
            suspect_after(config.heartbeat_interval, config.exchange_interval).min(config.down_after),
        ),
        down: millis(config.down_after),
    };
    let ping = Thresholds {
        suspect: millis(config.ping.unreachable_after),
        down: millis(config.ping.offline_after),
    };
    LivenessConfig {
        session,
        ping,
        rehome_grace: millis(config.rehome_grace()),
        ..LivenessConfig::default()
    }
}

/// Settings of the planner of the registry.
pub(super) fn registry_config(config: &NodeConfig) -> RegistryConfig {
    RegistryConfig {
        delete_after: millis(config.ping.delete_after),
        purge_after: millis(config.worker_purge_after),
        ..RegistryConfig::default()
    }
}

/// How often the planner of liveness looks: often enough that a worker that was heard again is ONLINE soon.
pub(super) fn liveness_interval(config: &NodeConfig) -> Duration {
    let interval = config.heartbeat_interval.min(config.ping.interval);
    (interval / 10).clamp(Duration::from_millis(50), Duration::from_millis(500))
}

/// One heartbeat (D4). Workers send theirs after at most 0.9 of it, and it takes some intervals of the exchange to see that the node
/// that heard them is lost: where those are coarse against the heartbeat, its workers are still not suspect before that is
/// known (D4c).
fn suspect_after(heartbeat: Duration, exchange: Duration) -> Duration {
    heartbeat.max(heartbeat * 9 / 10 + exchange * (LOST_AFTER_HALVES + 1) / 2)
}

fn millis(span: Duration) -> Millis {
    Millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use crate::args::NodeArgs;

    // Covers: R342
    #[test]
    fn registrations_end_when_the_operator_says() {
        let args = NodeArgs {
            id: Some(1),
            worker_offline_delete_threshold_ms: Some(7_000),
            worker_purge_after_ms: Some(9_000),
            ..NodeArgs::default()
        };
        let planned = registry_config(&args.load().expect("the settings are good"));
        assert_eq!(
            (planned.delete_after, planned.purge_after),
            (Millis(7_000), Millis(9_000))
        );
    }

    // Covers: R40
    #[test]
    fn a_worker_is_suspect_after_one_missed_heartbeat() {
        let ms = Duration::from_millis;
        assert_eq!(suspect_after(ms(30_000), ms(1_000)), ms(30_000));
        assert_eq!(suspect_after(ms(1_000), ms(1_000)), ms(3_900));
        assert_eq!(suspect_after(ms(1_000), ms(30)), ms(1_000));
    }
}
