//! Figures of a run from its samples: exact, because equal values are counted and not kept.

use std::collections::BTreeMap;

use reeve_state::record::Aggregate;

/// Distinct values of a metric that are told apart. Beyond, percentiles are rounded down to ten times coarser steps, as often as
/// needed; count, least, most and mean stay exact.
const MOST_VALUES: usize = 200_000;

/// The samples of one metric.
#[derive(Clone, Debug)]
pub struct Values {
    counts: BTreeMap<i64, u64>,
    step: i64,
    count: u64,
    sum: i128,
    min: i64,
    max: i64,
    most: usize,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            counts: BTreeMap::new(),
            step: 1,
            count: 0,
            sum: 0,
            min: i64::MAX,
            max: i64::MIN,
            most: MOST_VALUES,
        }
    }
}

impl Values {
    /// One more sample, in thousandths.
    pub fn add(&mut self, milli: i64) {
        self.count += 1;
        self.sum += i128::from(milli);
        self.min = self.min.min(milli);
        self.max = self.max.max(milli);
        *self.counts.entry(self.floor(milli)).or_default() += 1;
        while self.counts.len() > self.most {
            self.step *= 10;
            let finer = std::mem::take(&mut self.counts);
            for (value, count) in finer {
                *self.counts.entry(self.floor(value)).or_default() += count;
            }
        }
    }

    fn floor(&self, milli: i64) -> i64 {
        milli.div_euclid(self.step) * self.step
    }

    /// What they come to; `None` without samples.
    pub fn aggregate(&self) -> Option<Aggregate> {
        if self.count == 0 {
            return None;
        }
        let count = i128::from(self.count);
        let mean = (self.sum * 2 + count).div_euclid(count * 2);
        Some(Aggregate {
            count: self.count,
            min_milli: self.min,
            mean_milli: i64::try_from(mean).unwrap_or(i64::MAX),
            p50_milli: self.percentile(50),
            p95_milli: self.percentile(95),
            p99_milli: self.percentile(99),
            max_milli: self.max,
        })
    }

    /// Nearest rank: the least value that so many per cent of the samples do not exceed.
    fn percentile(&self, percent: u64) -> i64 {
        let rank = (u128::from(self.count) * u128::from(percent))
            .div_ceil(100)
            .max(1);
        let mut seen = 0u128;
        for (value, count) in &self.counts {
            seen += u128::from(*count);
            if seen >= rank {
                return (*value).max(self.min);
            }
        }
        self.max
    }
}

/// The samples of a run, by metric.
#[derive(Clone, Debug, Default)]
pub struct Figures(BTreeMap<&'static str, Values>);

impl Figures {
    /// One more sample.
    pub fn add(&mut self, metric: &'static str, value: f64) {
        self.0.entry(metric).or_default().add(milli(value));
    }

    /// What each metric comes to.
    pub fn aggregates(&self) -> BTreeMap<String, Aggregate> {
        let metrics = self.0.iter();
        metrics
            .filter_map(|(metric, values)| Some(((*metric).to_owned(), values.aggregate()?)))
            .collect()
    }
}

/// To thousandths; rows have no more digits.
pub fn milli(value: f64) -> i64 {
    (value * 1_000.0).round() as i64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = i64>) -> Values {
        let mut sum = Values::default();
        values.into_iter().for_each(|value| sum.add(value));
        sum
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let aggregate = of((1..=100).rev()).aggregate().unwrap();
        assert_eq!(
            aggregate,
            Aggregate {
                count: 100,
                min_milli: 1,
                mean_milli: 51,
                p50_milli: 50,
                p95_milli: 95,
                p99_milli: 99,
                max_milli: 100
            }
        );
        assert_eq!(of([7]).aggregate(), Some(Aggregate::one(7)));
        assert_eq!(of([1, 2]).aggregate().unwrap().p50_milli, 1);
        assert_eq!(of([-3, -4]).aggregate().unwrap().mean_milli, -3);
        assert_eq!(of([]).aggregate(), None);
    }

    #[test]
    fn too_many_distinct_values_coarsen_percentiles_and_nothing_else() {
        let mut values = Values {
            most: 100,
            ..Values::default()
        };
        (0..10_000).for_each(|value| values.add(value));
        assert!(values.counts.len() <= 100);
        let aggregate = values.aggregate().unwrap();
        assert_eq!(
            (aggregate.count, aggregate.min_milli, aggregate.max_milli),
            (10_000, 0, 9_999)
        );
        assert_eq!(aggregate.mean_milli, 5_000);
        assert_eq!(aggregate.p50_milli, 4_900);
    }

    #[test]
    fn decimal_numbers_come_back_to_the_thousandth() {
        for value in [0, 1, 3_801, 4_123, 999_999, 20_000_001, -5] {
            let text = format!("{}", value as f64 / 1_000.0);
            assert_eq!(milli(text.parse().unwrap()), value);
        }
    }
}
