//! The build-up ramp: when each endpoint of a group starts (R145).

use std::time::Duration;

use crate::clock::MonoMs;

/// A group's ramp, the same on every worker that has a part of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ramp {
    /// Endpoints start evenly over this time.
    pub buildup: Duration,
    /// Endpoints in the whole group.
    pub group_endpoints: u32,
}

impl Ramp {
    /// When endpoint `index` of the group is due: `start + buildup × index / group_endpoints`.
    #[must_use]
    pub fn due(&self, start: MonoMs, index: u32) -> MonoMs {
        let shares = u128::from(self.group_endpoints.max(1));
        let offset_ms = self.buildup.as_millis() * u128::from(index) / shares;
        MonoMs(
            start
                .0
                .saturating_add(i64::try_from(offset_ms).unwrap_or(i64::MAX)),
        )
    }

    /// The same exactly: how long after the start instant.
    #[must_use]
    pub fn offset(&self, index: u32) -> Duration {
        let shares = u128::from(self.group_endpoints.max(1));
        let nanos = self.buildup.as_nanos().saturating_mul(u128::from(index)) / shares;
        u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
    }

    /// From one start to the next.
    #[must_use]
    pub fn gap(&self) -> Duration {
        self.offset(1)
    }

    /// When it really begins, if this worker learned of the start only at `told`: what is overdue begins at once, the
    /// rest keeps to the original instant.
    #[must_use]
    pub fn begins(&self, start: MonoMs, told: MonoMs, index: u32) -> MonoMs {
        self.due(start, index).max(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAMP: Ramp = Ramp {
        buildup: Duration::from_secs(5),
        group_endpoints: 200,
    };

    // Covers: R145
    #[test]
    fn endpoints_start_evenly_over_the_buildup() {
        let start = MonoMs(1_000);
        assert_eq!(RAMP.due(start, 0), start);
        assert_eq!(RAMP.due(start, 1), MonoMs(1_025));
        assert_eq!(RAMP.due(start, 100), MonoMs(3_500));
        assert_eq!(RAMP.due(start, 199), MonoMs(5_975));
    }

    #[test]
    fn a_late_start_keeps_the_ramp_of_the_original_instant() {
        let (start, told) = (MonoMs(1_000), MonoMs(3_500));
        assert_eq!(RAMP.begins(start, told, 0), told, "overdue: at once");
        assert_eq!(RAMP.begins(start, told, 100), told);
        assert_eq!(
            RAMP.begins(start, told, 101),
            MonoMs(3_525),
            "not yet due: as planned"
        );
    }

    #[test]
    fn extreme_values_do_not_overflow() {
        let ramp = Ramp {
            buildup: Duration::MAX,
            group_endpoints: u32::MAX,
        };
        assert_eq!(ramp.due(MonoMs(i64::MAX), u32::MAX), MonoMs(i64::MAX));
        assert_eq!(
            Ramp {
                buildup: Duration::ZERO,
                group_endpoints: 0
            }
            .due(MonoMs(5), 9),
            MonoMs(5)
        );
    }
}
