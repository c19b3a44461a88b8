//! A simulated playout buffer of fixed length: which packets would have come too late to be heard.
//!
//! What counts is how much later a packet came than the fastest of the last five to ten seconds. So the clocks of both sides may
//! drift apart, and after a lasting change of the path's delay the buffer follows within ten seconds.

use std::time::Duration;

use crate::clock::{Mono, nanos};
use crate::receive::TICK_NS;

/// After this the fastest packet of the window before is forgotten.
const WINDOW_NS: i64 = 5_000_000_000;
/// A jump beyond this is another time base.
const ABSURD_NS: i64 = 5_000_000_000;

/// The buffer of one source.
#[derive(Clone, Debug)]
pub struct Playout {
    length_ns: i64,
    state: Option<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// The last timestamp, and how far it is from the first, in ns.
    timestamp: u32,
    sent_ns: i64,
    /// How much later than sent the last packet came, from any zero.
    transit_ns: i64,
    /// The least in this window, and in the one before.
    fastest: i64,
    fastest_before: i64,
    window_start: i64,
}

impl Playout {
    /// A buffer of this length.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self {
            length_ns: i64::try_from(nanos(length)).unwrap_or(i64::MAX),
            state: None,
        }
    }

    /// A packet with this timestamp came: whether in time.
    pub fn observe(&mut self, arrival: Mono, timestamp: u32) -> bool {
        let arrival_ns = i64::try_from(arrival.0).unwrap_or(i64::MAX);
        let Some(before) = self.state else {
            self.state = Some(State::new(arrival_ns, timestamp));
            return true;
        };
        let step = i64::from(timestamp.wrapping_sub(before.timestamp) as i32) * TICK_NS;
        let sent_ns = before.sent_ns.saturating_add(step);
        let transit_ns = arrival_ns.saturating_sub(sent_ns);
        if transit_ns.saturating_sub(before.transit_ns).saturating_abs() > ABSURD_NS {
            self.state = Some(State::new(arrival_ns, timestamp));
            return true;
        }
        let mut now = State {
            timestamp,
            sent_ns,
            transit_ns,
            fastest: before.fastest.min(transit_ns),
            ..before
        };
        if arrival_ns.saturating_sub(now.window_start) > WINDOW_NS {
            now.fastest_before = before.fastest;
            now.fastest = transit_ns;
            now.window_start = arrival_ns;
        }
        self.state = Some(now);
        transit_ns - now.fastest.min(now.fastest_before) <= self.length_ns
    }
}

impl State {
    fn new(arrival_ns: i64, timestamp: u32) -> Self {
        Self {
            timestamp,
            sent_ns: 0,
            transit_ns: arrival_ns,
            fastest: arrival_ns,
            fastest_before: arrival_ns,
            window_start: arrival_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer() -> Playout {
        Playout::new(Duration::from_millis(60))
    }

    /// Packet n, so much later than sent.
    fn packet(n: u32, delay_ms: u64) -> (Mono, u32) {
        (
            Mono((u64::from(n) * 20 + delay_ms) * 1_000_000),
            (n * 160).wrapping_sub(1_600),
        )
    }

    fn in_time(playout: &mut Playout, n: u32, delay_ms: u64) -> bool {
        let (arrival, timestamp) = packet(n, delay_ms);
        playout.observe(arrival, timestamp)
    }

    #[test]
    fn what_comes_later_than_the_buffer_after_the_fastest_is_too_late() {
        let mut playout = buffer();
        for (n, delay_ms, wanted) in [(0, 100, true), (1, 160, true), (2, 161, false), (3, 100, true)] {
            assert_eq!(in_time(&mut playout, n, delay_ms), wanted, "{n}");
        }
        assert!(in_time(&mut playout, 5, 90), "a faster one");
        assert!(
            !in_time(&mut playout, 4, 155),
            "which the others are measured by then"
        );
    }

    #[test]
    fn clocks_that_drift_apart_make_nothing_late() {
        let mut playout = buffer();
        // One millisecond in five seconds: 200 ppm, for 20 minutes.
        for n in 0..60_000 {
            assert!(in_time(&mut playout, n, u64::from(n) / 250), "{n}");
        }
    }

    #[test]
    fn after_a_lasting_change_of_delay_the_buffer_follows_within_ten_seconds() {
        let mut playout = buffer();
        assert!((0..500).all(|n| in_time(&mut playout, n, 10)));
        assert!(
            (500..700).all(|n| !in_time(&mut playout, n, 90)),
            "four seconds of it are late"
        );
        assert!((1_010..1_300).all(|n| in_time(&mut playout, n, 90)));
    }

    #[test]
    fn another_time_base_starts_anew() {
        let mut playout = buffer();
        assert!(in_time(&mut playout, 0, 0));
        assert!(playout.observe(Mono(20_000_000), 0x7000_0000));
        assert!(playout.observe(Mono(40_000_000), 0x7000_00a0));
        assert!(!playout.observe(Mono(121_000_000), 0x7000_0140));
    }
}
