//! Time on the engine's own line, and what the kernel's stamps mean on it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// From 1900, when NTP begins, to 1970.
const NTP_TO_UNIX_S: u64 = 2_208_988_800;
/// A step of the wall clock beyond this between two looks makes the kernel's stamps useless for a while.
const STEP_NS: u64 = 1_000_000;
/// That is how long: by then all packets that were stamped before it have been read.
const CLOUDED: Duration = Duration::from_millis(200);

/// Nanoseconds since the engine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// Later by this.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// From `earlier` to this; zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in nanoseconds; those beyond 584 years are that long.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Seconds and fractions since 1900, as RTCP has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ntp(pub u64);

impl Ntp {
    /// The middle 32 bits, in 1/65,536 s.
    #[must_use]
    pub fn middle(self) -> u32 {
        (self.0 >> 16 & 0xffff_ffff) as u32
    }
}

/// The engine's clock.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
    wall: SystemTime,
}

impl Clock {
    /// Starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Mono {
        Mono(nanos(self.start.elapsed()))
    }

    /// That moment for std's waits.
    #[must_use]
    pub fn instant(&self, at: Mono) -> Instant {
        self.start + Duration::from_nanos(at.0)
    }

    /// That moment as the wall clock had it when the engine started: later steps of the wall clock do not show, so round trips that are
    /// worked out from such stamps do not jump with it.
    #[must_use]
    pub fn ntp(&self, at: Mono) -> Ntp {
        let since = self.wall.duration_since(UNIX_EPOCH).unwrap_or_default() + Duration::from_nanos(at.0);
        let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
        Ntp((since.as_secs() + NTP_TO_UNIX_S) << 32 | fraction)
    }
}

/// Turns the kernel's stamps of CLOCK_REALTIME into [`Mono`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamps {
    /// Wall clock minus [`Mono`], ns; the wall clock itself since 1970.
    offset: Option<i64>,
    /// Until then stamps may be of the time before a step.
    clouded_until: Mono,
}

impl Stamps {
    /// Looks at both clocks, which were read one right after the other.
    pub fn calibrate(&mut self, now: Mono, wall_ns: i64) {
        let offset = wall_ns.saturating_sub_unsigned(now.0);
        if self
            .offset
            .is_some_and(|before| before.abs_diff(offset) > STEP_NS)
        {
            self.clouded_until = now.plus(CLOUDED);
        }
        self.offset = Some(offset);
    }

    /// When a packet came that the kernel stamped. Now, if that is not known: the wall clock has just stepped, or the stamp is
    /// of the future.
    #[must_use]
    pub fn arrival(&self, stamp_ns: Option<i64>, now: Mono) -> Mono {
        let (Some(stamp), Some(offset)) = (stamp_ns, self.offset) else {
            return now;
        };
        if now < self.clouded_until {
            return now;
        }
        let at = u64::try_from(stamp.saturating_sub(offset)).unwrap_or(0);
        Mono(at.min(now.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_moved_by_the_difference_of_the_clocks() {
        let mut stamps = Stamps::default();
        assert_eq!(stamps.arrival(Some(7), Mono(50)), Mono(50), "nothing known yet");
        stamps.calibrate(Mono(1_000), 1_000_000);
        assert_eq!(stamps.arrival(Some(1_000_500), Mono(1_800)), Mono(1_500));
        assert_eq!(stamps.arrival(None, Mono(1_800)), Mono(1_800));
        assert_eq!(
            stamps.arrival(Some(2_000_000), Mono(1_800)),
            Mono(1_800),
            "of the future"
        );
        assert_eq!(
            stamps.arrival(Some(5), Mono(1_800)),
            Mono(0),
            "before the engine started"
        );
    }

    #[test]
    fn stamps_are_not_believed_for_a_while_after_the_wall_clock_stepped() {
        let ms = |ms: i64| ms * 1_000_000;
        let at = |ms: u64| Mono(ms * 1_000_000);
        let mut stamps = Stamps::default();
        stamps.calibrate(at(10), ms(1_010));
        stamps.calibrate(at(11), ms(5_011));
        assert_eq!(stamps.arrival(Some(ms(1_010)), at(12)), at(12));
        // Still some from before the step.
        stamps.calibrate(at(100), ms(5_100));
        assert_eq!(stamps.arrival(Some(ms(1_010)), at(100)), at(100));
        stamps.calibrate(at(220), ms(5_220));
        assert_eq!(stamps.arrival(Some(ms(5_215)), at(220)), at(215));
    }

    #[test]
    fn the_middle_of_an_ntp_stamp_counts_65_536ths_of_a_second() {
        let clock = Clock {
            start: Instant::now(),
            wall: UNIX_EPOCH + Duration::from_millis(1_500),
        };
        let one = clock.ntp(Mono(0));
        assert_eq!(one.0 >> 32, NTP_TO_UNIX_S + 1);
        assert_eq!(one.0 & 0xffff_ffff, 1 << 31);
        let later = clock.ntp(Mono(250_000_000));
        assert_eq!(later.middle().wrapping_sub(one.middle()), 65_536 / 4);
    }
}
