//! What the operator sets about workers: thresholds of their health and of ping workers' silence, and limits of their sessions.

use std::time::Duration;

use reeve_state::definition::MAX_DRAIN;

use super::NodeConfig;
use crate::args::NodeArgs;
use crate::convert::time::millis;

/// The longest span of these settings: a year.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// Per cent in use above which a worker is in ERROR (R41); 100: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthThresholds {
    /// Processor time.
    pub cpu_percent: u32,
    /// Memory.
    pub memory_percent: u32,
    /// Disk space.
    pub disk_percent: u32,
}

/// The liveness profile of ping workers (D4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingSettings {
    /// How often they are told to ping (R347).
    pub interval: Duration,
    /// Silence after which they are UNREACHABLE.
    pub unreachable_after: Duration,
    /// Silence after which they are OFFLINE.
    pub offline_after: Duration,
    /// Time in OFFLINE after which they are deleted (D4a).
    pub delete_after: Duration,
}

/// What workers may ask of one node at once, so that none disturbs the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Most sessions.
    pub most: usize,
    /// Most connections that have not said Hello.
    pub most_unidentified: usize,
    /// A connection that says no Hello for so long is closed.
    pub hello_timeout: Duration,
    /// Most heartbeats per second of one session.
    pub most_heartbeats_per_s: u32,
}

impl HealthThresholds {
    pub(super) fn from_args(args: &NodeArgs) -> Self {
        let all = args.unhealthy_above_percent.unwrap_or(90);
        Self {
            cpu_percent: args.unhealthy_above_cpu_percent.unwrap_or(all),
            memory_percent: args.unhealthy_above_memory_percent.unwrap_or(all),
            disk_percent: args.unhealthy_above_disk_percent.unwrap_or(all),
        }
    }
}

impl PingSettings {
    pub(super) fn from_args(args: &NodeArgs) -> Self {
        let ms = |given: Option<u64>, default: u64| Duration::from_millis(given.unwrap_or(default));
        Self {
            interval: ms(args.ping_interval_ms, 20_000),
            unreachable_after: ms(args.worker_unreachable_threshold_ms, 120_000),
            offline_after: ms(args.worker_offline_threshold_ms, 360_000),
            delete_after: ms(args.worker_offline_delete_threshold_ms, 86_400_000),
        }
    }
}

impl SessionLimits {
    pub(super) fn from_args(args: &NodeArgs) -> Self {
        Self {
            most: args.max_sessions.unwrap_or(200_000),
            most_unidentified: args.max_unidentified_connections.unwrap_or(20_000),
            hello_timeout: Duration::from_millis(args.hello_timeout_ms.unwrap_or(10_000)),
            most_heartbeats_per_s: args.max_heartbeats_per_s.unwrap_or(20),
        }
    }
}

impl NodeConfig {
    pub(super) fn check_workers(&self, check: &mut impl FnMut(bool, &'static str, String)) {
        self.check_health(check);
        self.check_ping(check);
        self.check_sessions(check);
        check(
            millis(self.drain_timeout) <= MAX_DRAIN,
            "drain_timeout_ms",
            "must be at most 7 days".to_owned(),
        );
        check(
            self.worker_purge_after <= LONGEST,
            "worker_purge_after_ms",
            "must be at most a year".to_owned(),
        );
    }

    fn check_health(&self, check: &mut impl FnMut(bool, &'static str, String)) {
        let thresholds = [
            ("unhealthy_above_cpu_percent", self.unhealthy_above.cpu_percent),
            (
                "unhealthy_above_memory_percent",
                self.unhealthy_above.memory_percent,
            ),
            ("unhealthy_above_disk_percent", self.unhealthy_above.disk_percent),
        ];
        for (field, percent) in thresholds {
            let rule =
                format!("must be from 10 to 100, found {percent}; unhealthy_above_percent is its default");
            check((10..=100).contains(&percent), field, rule);
        }
    }

    fn check_ping(&self, check: &mut impl FnMut(bool, &'static str, String)) {
        let ping = &self.ping;
        check(
            !ping.interval.is_zero(),
            "ping_interval_ms",
            "must be greater than 0".to_owned(),
        );
        check(
            ping.interval < ping.unreachable_after,
            "ping_interval_ms",
            "must be less than worker_unreachable_threshold_ms, so that a healthy worker is never UNREACHABLE".to_owned(),
        );
        check(
            ping.unreachable_after < ping.offline_after,
            "worker_unreachable_threshold_ms",
            "must be less than worker_offline_threshold_ms".to_owned(),
        );
        check(
            ping.offline_after <= Duration::from_secs(86_400),
            "worker_offline_threshold_ms",
            "must be at most 24 h".to_owned(),
        );
        check(
            !ping.delete_after.is_zero(),
            "worker_offline_delete_threshold_ms",
            "must be greater than 0".to_owned(),
        );
        check(
            ping.delete_after <= LONGEST,
            "worker_offline_delete_threshold_ms",
            "must be at most a year".to_owned(),
        );
    }

    fn check_sessions(&self, check: &mut impl FnMut(bool, &'static str, String)) {
        let limits = &self.sessions;
        let counts = [
            ("max_sessions", limits.most),
            ("max_unidentified_connections", limits.most_unidentified),
        ];
        for (field, most) in counts {
            check(most > 0, field, "must be greater than 0".to_owned());
        }
        check(
            !limits.hello_timeout.is_zero(),
            "hello_timeout_ms",
            "must be greater than 0".to_owned(),
        );
        // Sent early, at 0.6 of the interval, and once more after a reconnect.
        let interval_s = self.heartbeat_interval.as_secs_f64();
        check(
            f64::from(limits.most_heartbeats_per_s) * interval_s >= 2.0,
            "max_heartbeats_per_s",
            "must be at least twice as many as heartbeat_interval_ms asks for".to_owned(),
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use clap::Args;

    use super::*;

    fn args() -> NodeArgs {
        NodeArgs {
            id: Some(1),
            ..NodeArgs::default()
        }
    }

    // Covers: R339, R340, R342, R347
    #[test]
    fn the_defaults_are_the_sources_figures() {
        let config = args().load().unwrap();
        let s = Duration::from_secs;
        let ping = PingSettings {
            interval: s(20),
            unreachable_after: s(120),
            offline_after: s(360),
            delete_after: s(86_400),
        };
        assert_eq!(config.ping, ping);
        let thresholds = HealthThresholds {
            cpu_percent: 90,
            memory_percent: 90,
            disk_percent: 90,
        };
        assert_eq!(config.unhealthy_above, thresholds);
        assert_eq!(config.sessions.hello_timeout, s(10));
    }

    // Covers: R339, R340, R342
    #[test]
    fn the_sources_names_are_the_environment_s() {
        let command = NodeArgs::augment_args(clap::Command::new("node"));
        for (flag, env) in [
            (
                "worker_unreachable_threshold_ms",
                "WORKER_UNREACHABLE_THRESHOLD_MS",
            ),
            ("worker_offline_threshold_ms", "WORKER_OFFLINE_THRESHOLD_MS"),
            (
                "worker_offline_delete_threshold_ms",
                "WORKER_OFFLINE_DELETE_THRESHOLD_MS",
            ),
        ] {
            let known = command
                .get_arguments()
                .find(|known| known.get_id() == flag)
                .expect(flag);
            assert_eq!(known.get_env(), Some(env.as_ref()));
            let long = flag.replace('_', "-");
            assert_eq!(known.get_long(), Some(long.as_str()));
        }
    }

    #[test]
    fn a_resource_s_own_threshold_goes_before_the_common_one() {
        let config = NodeArgs {
            unhealthy_above_percent: Some(80),
            unhealthy_above_disk_percent: Some(95),
            ..args()
        };
        let thresholds = HealthThresholds {
            cpu_percent: 80,
            memory_percent: 80,
            disk_percent: 95,
        };
        assert_eq!(config.load().unwrap().unhealthy_above, thresholds);
    }

    /// Each row: how it is broken, which setting is named, and a word of the rule.
    #[test]
    fn every_rule_names_its_setting() {
        type Break = fn(&mut NodeArgs);
        let rows: &[(Break, &str, &str)] = &[
            (
                |a| a.ping_interval_ms = Some(0),
                "ping_interval_ms",
                "greater than 0",
            ),
            (
                |a| a.ping_interval_ms = Some(120_000),
                "ping_interval_ms",
                "worker_unreachable_threshold_ms",
            ),
            (
                |a| a.worker_unreachable_threshold_ms = Some(360_000),
                "worker_unreachable_threshold_ms",
                "worker_offline_threshold_ms",
            ),
            (
                |a| a.worker_offline_threshold_ms = Some(86_400_001),
                "worker_offline_threshold_ms",
                "24 h",
            ),
            (
                |a| a.worker_offline_delete_threshold_ms = Some(0),
                "worker_offline_delete_threshold_ms",
                "greater than 0",
            ),
            (
                |a| a.worker_purge_after_ms = Some(u64::MAX),
                "worker_purge_after_ms",
                "a year",
            ),
            (
                |a| a.drain_timeout_ms = Some(7 * 86_400_000 + 1),
                "drain_timeout_ms",
                "7 days",
            ),
            (
                |a| a.unhealthy_above_percent = Some(9),
                "unhealthy_above_memory_percent",
                "10 to 100",
            ),
            (
                |a| a.unhealthy_above_cpu_percent = Some(101),
                "unhealthy_above_cpu_percent",
                "10 to 100",
            ),
            (|a| a.max_sessions = Some(0), "max_sessions", "greater than 0"),
            (
                |a| a.max_unidentified_connections = Some(0),
                "max_unidentified_connections",
                "greater than 0",
            ),
            (
                |a| a.hello_timeout_ms = Some(0),
                "hello_timeout_ms",
                "greater than 0",
            ),
            (
                |a| a.max_heartbeats_per_s = Some(0),
                "max_heartbeats_per_s",
                "twice",
            ),
            (|a| a.rehome_grace_ms = Some(20_001), "rehome_grace_ms", "a third"),
        ];
        for (break_it, field, word) in rows {
            let mut args = args();
            break_it(&mut args);
            let error = args.load().expect_err(field);
            let named = error
                .violations
                .iter()
                .any(|v| v.field == *field && v.rule.contains(word));
            assert!(named, "{field} / {word}: {error}");
        }
    }
}
