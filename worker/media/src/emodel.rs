//! The E-model (G.107), reduced to what a receiver sees: delay, and loss with and without concealment.
//!
//! R = 93.2 - Idd(Ta) - Ie,eff. What is left out (echo, noise, loudness) is at its default.

use std::time::Duration;

use crate::stream::PTIME;

/// R of a call without delay and loss.
pub const R_DEFAULT: f64 = 93.2;
/// G.711 with packet loss concealment (G.113, appendix I).
pub const BPL_PLC: f64 = 25.1;
/// G.711 without.
pub const BPL_NO_PLC: f64 = 4.3;
/// Impairment by G.711 itself.
pub const IE_G711: f64 = 0.0;
/// Loss is taken as random.
pub const BURST_R: f64 = 1.0;
/// The least that a playout buffer adds.
pub const BUFFER_MIN: Duration = Duration::from_millis(40);
/// Up to this delay from mouth to ear nothing is taken off, ms.
const UNNOTICED_MS: f64 = 100.0;

/// The robustness against loss that goes with concealment or its absence.
#[must_use]
pub fn bpl(plc: bool) -> f64 {
    if plc { BPL_PLC } else { BPL_NO_PLC }
}

/// R and the mean opinion score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Transmission rating.
    pub r: f64,
    /// 1.0 to 4.5.
    pub mos: f64,
}

/// The score of a stretch of a call. `loss` is the share of packets that were lost or came too late, 0 to 1.
#[must_use]
pub fn score(loss: f64, rtt: Duration, jitter: Duration, bpl: f64) -> Score {
    let r = R_DEFAULT - delay_impairment(mouth_to_ear(rtt, jitter)) - loss_impairment(loss, bpl);
    Score { r, mos: mos(r) }
}

/// Ta: half a round trip, a packet's sound, and a playout buffer of twice the jitter.
#[must_use]
pub fn mouth_to_ear(rtt: Duration, jitter: Duration) -> Duration {
    rtt / 2 + PTIME + BUFFER_MIN.max(jitter * 2)
}

/// Idd: what delay takes off R.
#[must_use]
pub fn delay_impairment(ta: Duration) -> f64 {
    let ms = ta.as_secs_f64() * 1e3;
    if ms <= UNNOTICED_MS {
        return 0.0;
    }
    let x = (ms / UNNOTICED_MS).log2();
    let sixth = |value: f64| (1.0 + value.powi(6)).powf(1.0 / 6.0);
    25.0 * (sixth(x) - 3.0 * sixth(x / 3.0) + 2.0)
}

/// Ie,eff: what loss takes off R.
#[must_use]
pub fn loss_impairment(loss: f64, bpl: f64) -> f64 {
    let ppl = loss.clamp(0.0, 1.0) * 100.0;
    IE_G711 + (95.0 - IE_G711) * ppl / (ppl / BURST_R + bpl)
}

/// The mean opinion score of an R, 1.0 to 4.5.
#[must_use]
pub fn mos(r: f64) -> f64 {
    if r <= 0.0 {
        return 1.0;
    }
    let r = r.min(100.0);
    let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
    mos.clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Duration = Duration::ZERO;

    #[track_caller]
    fn near(found: f64, wanted: f64, by: f64) {
        assert!((found - wanted).abs() <= by, "{found}, not {wanted}");
    }

    #[test]
    fn a_clean_call_has_the_default_rating() {
        let score = score(0.0, NONE, NONE, BPL_PLC);
        near(score.r, 93.2, 1e-9);
        near(score.mos, 4.409, 5e-4);
    }

    #[test]
    fn loss_costs_much_more_without_concealment() {
        for (loss, with, without) in [(0.01, 4.33, 3.83), (0.05, 3.92, 2.17)] {
            near(score(loss, NONE, NONE, BPL_PLC).mos, with, 0.005);
            near(score(loss, NONE, NONE, BPL_NO_PLC).mos, without, 0.005);
        }
    }

    #[test]
    fn a_round_trip_of_400_ms_costs_a_quarter_of_a_point() {
        let rtt = Duration::from_millis(400);
        assert_eq!(mouth_to_ear(rtt, NONE), Duration::from_millis(260));
        near(score(0.0, rtt, NONE, BPL_PLC).mos, 4.134, 5e-4);
    }

    #[test]
    fn delay_below_100_ms_from_mouth_to_ear_costs_nothing() {
        near(score(0.0, Duration::from_millis(80), NONE, BPL_PLC).r, 93.2, 1e-9);
        assert!(score(0.0, Duration::from_millis(300), NONE, BPL_PLC).r < 93.2);
    }

    #[test]
    fn jitter_counts_twice_once_that_is_more_than_the_least_buffer() {
        let ta = |jitter_ms| mouth_to_ear(NONE, Duration::from_millis(jitter_ms));
        assert_eq!(ta(20), Duration::from_millis(60));
        assert_eq!(ta(30), Duration::from_millis(80));
    }

    #[test]
    fn nothing_scores_below_1_or_above_4_5() {
        near(mos(-20.0), 1.0, 0.0);
        near(mos(0.5), 1.0, 0.0);
        near(mos(100.0), 4.5, 0.0);
        near(mos(140.0), 4.5, 0.0);
        near(
            score(1.0, Duration::from_secs(9), Duration::from_secs(1), BPL_NO_PLC).mos,
            1.0,
            0.0,
        );
    }

    proptest! {
        #[test]
        fn more_loss_or_delay_never_scores_higher(
            loss in 0.0..1.0_f64, more_loss in 0.0..1.0_f64, rtt_ms in 0..5_000_u64, more_ms in 0..5_000_u64, plc in any::<bool>(),
        ) {
            let at = |loss, ms| score(loss, Duration::from_millis(ms), NONE, bpl(plc)).r;
            let r = at(loss, rtt_ms);
            prop_assert!(at((loss + more_loss).min(1.0), rtt_ms) <= r + 1e-9);
            prop_assert!(at(loss, rtt_ms + more_ms) <= r + 1e-9);
        }
    }
}
