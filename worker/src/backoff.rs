//! How long to wait before the next attempt to connect: full jitter, so that workers that lost the same node do not
//! come back in step.

use std::time::Duration;

use rand::Rng;

/// Limits of reconnecting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackoffLimits {
    /// The first retry after a good session comes within this time.
    pub first: Duration,
    /// Upper end of the wait after many failures.
    pub max: Duration,
    /// Least wait after the node refused the credential.
    pub refused_min: Duration,
    /// Upper end of that wait.
    pub refused_max: Duration,
    /// How long a TCP and HTTP/2 connection may take.
    pub connect_timeout: Duration,
    /// How long a node may take to answer Hello: it lets workers wait for their turn when many come at once. Shorter than what the
    /// connection's pings wait for an answer, so that a listener that says nothing is told as that and not as a connection that broke.
    pub welcome_timeout: Duration,
}

impl Default for BackoffLimits {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            max: Duration::from_secs(5),
            refused_min: Duration::from_secs(5),
            refused_max: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(2),
            welcome_timeout: Duration::from_secs(12),
        }
    }
}

impl BackoffLimits {
    /// The same for a cluster that gives a silent worker up after `down_after`: several attempts at other nodes fit in.
    #[must_use]
    pub fn within(&self, down_after: Duration) -> Self {
        if down_after.is_zero() {
            return self.clone();
        }
        Self {
            first: self.first.min(down_after / 12),
            max: self.max.min(down_after / 12),
            connect_timeout: self.connect_timeout.min(down_after / 6),
            welcome_timeout: self.welcome_timeout.min(down_after / 3),
            ..self.clone()
        }
    }
}

/// Failures since the last session that worked.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A session works: the next failure is the first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after a fault that another node may not have: anything from zero to a bound that doubles.
    pub fn after_fault(&mut self, limits: &BackoffLimits, random: &mut impl Rng) -> Duration {
        let bound = self.bound(limits.first, limits.max);
        random.random_range(Duration::ZERO..=bound)
    }

    /// The wait after a refusal, which holds on every node until somebody acts.
    pub fn after_refusal(&mut self, limits: &BackoffLimits, random: &mut impl Rng) -> Duration {
        let bound = self.bound(limits.refused_min.saturating_mul(2), limits.refused_max);
        random.random_range(limits.refused_min..=bound.max(limits.refused_min))
    }

    fn bound(&mut self, first: Duration, max: Duration) -> Duration {
        let doubled = first.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        doubled.min(max)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::connect::{KEEPALIVE_EVERY, KEEPALIVE_TIMEOUT};

    #[test]
    fn the_first_retry_is_nearly_immediate_and_later_ones_stay_under_the_cap() {
        let limits = BackoffLimits::default();
        let mut random = StdRng::seed_from_u64(7);
        for _ in 0..1000 {
            let mut backoff = Backoff::default();
            assert!(backoff.after_fault(&limits, &mut random) <= limits.first);
        }
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..2000)
            .map(|_| backoff.after_fault(&limits, &mut random))
            .collect();
        assert!(waits.iter().all(|wait| *wait <= limits.max));
        assert!(
            waits.iter().any(|wait| *wait > limits.max * 9 / 10),
            "the whole range is used"
        );
        assert!(waits.iter().any(|wait| *wait < limits.max / 10), "jitter is full");
        backoff.reset();
        assert!(backoff.after_fault(&limits, &mut random) <= limits.first);
    }

    #[test]
    fn several_attempts_fit_into_the_time_after_which_a_silent_worker_is_given_up() {
        let limits = BackoffLimits::default();
        assert_eq!(
            limits.within(Duration::from_secs(60)),
            limits,
            "the defaults are made for a minute"
        );
        assert_eq!(limits.within(Duration::ZERO), limits, "the node does not say");
        let short = limits.within(Duration::from_secs(6));
        let attempt = short.max + short.connect_timeout + short.welcome_timeout;
        assert!(attempt * 3 / 2 < Duration::from_secs(6), "{attempt:?}");
        assert_eq!(
            short.refused_min, limits.refused_min,
            "a refusal holds everywhere"
        );
    }

    #[test]
    fn a_node_that_says_nothing_is_given_up_before_the_pings_of_its_connection_are() {
        let pings = KEEPALIVE_EVERY + KEEPALIVE_TIMEOUT;
        assert!(BackoffLimits::default().welcome_timeout < pings);
    }

    #[test]
    fn a_refused_credential_is_retried_slowly() {
        let limits = BackoffLimits::default();
        let mut random = StdRng::seed_from_u64(8);
        let mut backoff = Backoff::default();
        for _ in 0..1000 {
            let wait = backoff.after_refusal(&limits, &mut random);
            assert!(
                wait >= limits.refused_min && wait <= limits.refused_max,
                "{wait:?}"
            );
        }
    }
}
