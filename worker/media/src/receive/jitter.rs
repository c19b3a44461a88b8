//! Interarrival jitter (RFC 3550, A.8), in nanoseconds instead of ticks: nothing is rounded.

use std::time::Duration;

use crate::clock::Mono;
use crate::receive::TICK_NS;

/// A difference beyond this is another time base, not jitter.
const ABSURD_NS: i64 = 5_000_000_000;

/// The estimate for one source.
#[derive(Clone, Debug, Default)]
pub struct Jitter {
    last: Option<(Mono, u32)>,
    estimate_ns: f64,
}

impl Jitter {
    /// A packet with this timestamp came.
    pub fn observe(&mut self, arrival: Mono, timestamp: u32) {
        let Some((last_arrival, last_timestamp)) = self.last.replace((arrival, timestamp)) else {
            return;
        };
        let apart = (arrival.0 as i64).wrapping_sub(last_arrival.0 as i64);
        // Wrapping: timestamps start anywhere, and packets may have changed places.
        let sent_apart = i64::from(timestamp.wrapping_sub(last_timestamp) as i32) * TICK_NS;
        let difference = apart.saturating_sub(sent_apart).saturating_abs();
        if difference <= ABSURD_NS {
            self.estimate_ns += (difference as f64 - self.estimate_ns) / 16.0;
        }
    }

    /// So far.
    #[must_use]
    pub fn estimate(&self) -> Duration {
        Duration::from_nanos(self.estimate_ns as u64)
    }

    /// In ticks of the RTP clock, as report blocks have it.
    #[must_use]
    pub fn ticks(&self) -> u32 {
        (self.estimate_ns / TICK_NS as f64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_us(us: u64) -> Mono {
        Mono(us * 1_000)
    }

    #[test]
    fn packets_as_far_apart_as_they_were_sent_have_no_jitter() {
        let mut jitter = Jitter::default();
        for n in 0..100 {
            jitter.observe(at_us(7 + 20_000 * n), (n as u32 * 160).wrapping_sub(320));
        }
        assert_eq!(jitter.estimate(), Duration::ZERO);
    }

    #[test]
    fn the_estimate_moves_by_a_sixteenth_of_each_difference() {
        let mut jitter = Jitter::default();
        jitter.observe(at_us(0), 0);
        jitter.observe(at_us(21_600), 160);
        assert_eq!(jitter.estimate(), Duration::from_micros(100));
        assert_eq!(jitter.ticks(), 0);
        // Early counts like late.
        jitter.observe(at_us(40_000), 320);
        assert_eq!(jitter.estimate(), Duration::from_nanos(193_750));
        assert_eq!(jitter.ticks(), 1);
    }

    #[test]
    fn another_time_base_is_no_jitter() {
        let mut jitter = Jitter::default();
        jitter.observe(at_us(0), 0);
        jitter.observe(at_us(20_000), 3_000_000_000);
        jitter.observe(at_us(40_000), 3_000_000_160);
        assert_eq!(jitter.estimate(), Duration::ZERO);
    }
}
