//! The mass-loss brake: when most of a large fleet falls silent together, the fault is more likely ours (D4b).

use super::LivenessConfig;

/// What the brake remembers between two calls. A new leader begins with the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrakeState {
    engaged: Option<Engaged>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Engaged {
    /// Size of the fleet, those who were given up since included: giving up must not release the brake.
    fleet: u32,
    /// When workers were last given up.
    last_ms: Option<i64>,
}

impl BrakeState {
    /// Whether the brake is on: an alert is to be raised.
    pub fn is_engaged(&self) -> bool {
        self.engaged.is_some()
    }

    /// Engages when more than half of the fleet is silent, releases when that is over or nobody is left to give up.
    pub(super) fn look(&mut self, connected: u32, silent: u32, config: &LivenessConfig) {
        let mut engaged = self.engaged.take().unwrap_or(Engaged {
            fleet: connected,
            last_ms: None,
        });
        engaged.fleet = engaged.fleet.max(connected);
        let missing = engaged.fleet.saturating_sub(connected.saturating_sub(silent));
        let most = u64::from(missing) * 2 > u64::from(engaged.fleet);
        if silent > 0 && most && engaged.fleet >= config.brake_from {
            self.engaged = Some(engaged);
        }
    }

    /// How many of `wanted` workers may be given up now.
    pub(super) fn grant(&mut self, wanted: usize, now_ms: i64, config: &LivenessConfig) -> usize {
        let Some(engaged) = &mut self.engaged else {
            return wanted;
        };
        if wanted == 0
            || engaged
                .last_ms
                .is_some_and(|last| now_ms < last.saturating_add(SECOND))
        {
            return 0;
        }
        engaged.last_ms = Some(now_ms);
        let part = u64::from(engaged.fleet) * u64::from(config.brake_percent) / 100;
        wanted.min(usize::try_from(part).unwrap_or(usize::MAX).max(1))
    }

    /// When more may be given up.
    pub(super) fn next_grant_ms(&self) -> Option<i64> {
        let last = self.engaged.as_ref().and_then(|engaged| engaged.last_ms);
        last.map(|last| last.saturating_add(SECOND))
    }
}

/// The span that the rate of the brake counts by.
const SECOND: i64 = 1_000;
