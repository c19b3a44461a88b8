//! Random numbers that depend only on what the endpoint is: the same run gives the same outcomes wherever its endpoints
//! are placed, and again after a replay.

/// Mixes the run and the group into the seed of their endpoints (FNV-1a).
#[must_use]
pub fn seed(run_id: &str, group: &str) -> u64 {
    let parts = run_id
        .bytes()
        .map(u64::from)
        .chain([0x1ff])
        .chain(group.bytes().map(u64::from));
    parts.fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        (hash ^ part).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The numbers of one endpoint (SplitMix64).
#[derive(Debug)]
pub struct Draw(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Draw {
    /// The sequence of endpoint `index` of the group.
    #[must_use]
    pub fn new(seed: u64, index: u32) -> Self {
        Self(mix(seed ^ mix(u64::from(index).wrapping_add(STEP))))
    }

    /// The sequence of endpoint `index` of the group for second `second` of its run, apart from its own.
    #[must_use]
    pub fn of_second(seed: u64, index: u32, second: u64) -> Self {
        Self::new(mix(seed ^ STEP).wrapping_add(mix(second.wrapping_add(1))), index)
    }

    /// The next number below `bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        // The high half of the product is even to within bound / 2^64.
        ((u128::from(mix(self.0)) * u128::from(bound)) >> 64) as u64
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_endpoint_draws_the_same_numbers_and_its_neighbour_others() {
        let numbers = |run: &str, group: &str, index| {
            let mut draw = Draw::new(seed(run, group), index);
            [draw.below(1 << 40), draw.below(1 << 40)]
        };
        assert_eq!(numbers("r1", "g", 7), numbers("r1", "g", 7));
        for other in [
            numbers("r2", "g", 7),
            numbers("r1", "h", 7),
            numbers("r1", "g", 8),
        ] {
            assert_ne!(numbers("r1", "g", 7), other);
        }
        assert_ne!(
            seed("ab", "c"),
            seed("a", "bc"),
            "the border between the names counts"
        );
    }

    #[test]
    fn draws_are_even() {
        let seed = seed("run", "group");
        let mut tens = [0u32; 10];
        for index in 0..100_000 {
            tens[usize::try_from(Draw::new(seed, index).below(10)).unwrap_or(0)] += 1;
        }
        assert!(
            tens.iter().all(|count| (9_600..10_400).contains(count)),
            "{tens:?}"
        );
        assert_eq!(Draw::new(seed, 0).below(0), 0);
    }
}
