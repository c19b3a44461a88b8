//! Whether this host's wall clock is off. Nothing depends on it but what people read: heartbeats count when they arrive (R58).

/// A clock that is off by more is worth a line in the log.
const WORTH_TELLING_MS: u64 = 5_000;

/// What was told last.
#[derive(Debug, Default)]
pub struct Skew {
    told_ms: i64,
}

/// What the log is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkewNews {
    /// Off by so much; positive: ahead of cluster time.
    Off(i64),
    /// Right again.
    Right,
}

impl Skew {
    /// The wall clock less cluster time, as the node measured it. News if it is off and that was not told, or changed much since.
    pub fn measured(&mut self, skew_ms: i64) -> Option<SkewNews> {
        if skew_ms.unsigned_abs() <= WORTH_TELLING_MS {
            let was_off = self.told_ms != 0;
            self.told_ms = 0;
            return was_off.then_some(SkewNews::Right);
        }
        if skew_ms.abs_diff(self.told_ms) <= WORTH_TELLING_MS {
            return None;
        }
        self.told_ms = skew_ms;
        Some(SkewNews::Off(skew_ms))
    }

    /// The same, said in the log.
    pub fn tell(&mut self, skew_ms: i64) {
        match self.measured(skew_ms) {
            Some(SkewNews::Off(skew_ms)) => tracing::warn!(
                skew_ms,
                "this host's clock is off: check its time synchronisation; statuses do not depend on it"
            ),
            Some(SkewNews::Right) => tracing::info!(skew_ms, "this host's clock is right again"),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Covers: R58
    #[test]
    fn a_wrong_clock_is_told_once_and_again_when_it_changed_much() {
        let mut skew = Skew::default();
        let table = [
            (0, None),
            (-5_000, None),
            (5_001, Some(SkewNews::Off(5_001))),
            (5_600, None),
            (10_001, None),
            (10_002, Some(SkewNews::Off(10_002))),
            (-6_000, Some(SkewNews::Off(-6_000))),
            (-6_100, None),
            (200, Some(SkewNews::Right)),
            (100, None),
            (i64::MIN, Some(SkewNews::Off(i64::MIN))),
        ];
        for (measured, news) in table {
            assert_eq!(skew.measured(measured), news, "{measured}");
        }
    }
}
