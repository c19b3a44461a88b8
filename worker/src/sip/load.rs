//! How the media engine keeps up.

use reeve_media::GeneratorHealth;

use crate::executor::Load;

/// Packets of a call in a second.
const PACKETS_PER_S: u64 = 50;
/// A generator that misses more than one in so many packets of a second is overloaded; fewer are a machine that hiccups.
const MISSED_OF: u64 = 20;

/// What it means for the worker.
pub(super) fn load_of(health: &GeneratorHealth) -> Load {
    let second = PACKETS_PER_S.saturating_mul(health.calls as u64);
    let overloaded = !health.running || health.missed.saturating_mul(MISSED_OF) > second;
    // At most 1, so at most 100.
    let busy = (health.busy.clamp(0.0, 1.0) * 100.0).round() as u32;
    Load {
        percent: if overloaded { 100 } else { busy },
        calls: health.calls,
        due: health.due,
        sent: health.sent,
        missed: health.late + health.skipped + health.refused,
        lateness: health.lateness_max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_misses_its_times_is_at_its_limit_whatever_its_cpu_says() {
        let health = |missed| GeneratorHealth {
            running: true,
            calls: 100,
            busy: 0.31,
            missed,
            late: missed,
            ..GeneratorHealth::default()
        };
        assert_eq!(load_of(&health(0)).percent, 31);
        assert_eq!(load_of(&health(250)).percent, 31, "one in twenty");
        assert_eq!(load_of(&health(251)).percent, 100);
        let dead = GeneratorHealth {
            running: false,
            ..health(0)
        };
        assert_eq!(load_of(&dead).percent, 100);
    }
}
