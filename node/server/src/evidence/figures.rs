//! Figures of a run from its samples: exact, because equal values are counted and not kept.

use std::collections::BTreeMap;

use reeve_proto::response::Response;
use reeve_state::record::Aggregate;

use super::rows::Row;

/// Distinct values of a metric that are told apart. Beyond, percentiles are rounded down to ten times coarser steps, as often as
/// needed; count, least, most and mean stay exact.
const MOST_VALUES: usize = 200_000;

/// Distinct responses that are counted, of a run or a group; calls end in a dozen. What comes first counts: they are in the log, and a
/// worker may say what it likes.
const MOST_RESPONSES: usize = 64;

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

/// Samples by metric, and how requests were answered.
#[derive(Clone, Debug)]
pub struct Figures {
    values: BTreeMap<&'static str, Values>,
    responses: BTreeMap<Response, u64>,
    most_values: usize,
}

impl Default for Figures {
    fn default() -> Self {
        Self::with_most(MOST_VALUES)
    }
}

impl Figures {
    /// With room for so many distinct values of a metric.
    fn with_most(most_values: usize) -> Self {
        Self {
            values: BTreeMap::new(),
            responses: BTreeMap::new(),
            most_values,
        }
    }

    /// One more row.
    fn add(&mut self, row: &Row<'_>) {
        for (metric, value) in row.figures() {
            let new = || Values {
                most: self.most_values,
                ..Values::default()
            };
            self.values.entry(metric).or_insert_with(new).add(milli(value));
        }
        for response in row.responses.iter().filter_map(|name| name.parse().ok()) {
            if let Some(count) = self.responses.get_mut(&response) {
                *count += 1;
            } else if self.responses.len() < MOST_RESPONSES {
                self.responses.insert(response, 1);
            }
        }
    }

    /// What each metric comes to.
    pub fn aggregates(&self) -> BTreeMap<String, Aggregate> {
        let metrics = self.values.iter();
        metrics
            .filter_map(|(metric, values)| Some(((*metric).to_owned(), values.aggregate()?)))
            .collect()
    }

    /// How requests were answered.
    pub fn responses(&self) -> BTreeMap<String, u64> {
        let responses = self.responses.iter();
        responses
            .map(|(response, count)| (response.to_string(), *count))
            .collect()
    }
}

/// Groups that have figures of their own; of a definition with more, the first ones.
pub const MOST_GROUPS: usize = 100;

/// The samples of a run and of each of its groups. Those of all groups together take as much room as the run's.
#[derive(Clone, Debug, Default)]
pub struct RunFigures {
    run: Figures,
    names: Vec<String>,
    groups: Vec<Figures>,
}

impl RunFigures {
    /// Of a run with these groups.
    pub fn of<'a>(groups: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<String> = groups.take(MOST_GROUPS).map(str::to_owned).collect();
        // The only group is the run.
        let own = if names.len() > 1 { names.len() } else { 0 };
        let most = MOST_VALUES / own.max(1);
        Self {
            groups: (0..own).map(|_| Figures::with_most(most)).collect(),
            names,
            ..Self::default()
        }
    }

    /// One more row, of an assignment of this group; what the row says of its group is its worker's word.
    pub fn add(&mut self, group: usize, row: &Row<'_>) {
        self.run.add(row);
        if let Some(group) = self.groups.get_mut(group) {
            group.add(row);
        }
    }

    /// Of the run.
    pub fn run(&self) -> &Figures {
        &self.run
    }

    /// Of its groups, in the order of the definition.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Figures)> {
        let only = (self.names.len() == 1).then_some(&self.run);
        let figures = self.groups.iter().chain(only);
        self.names.iter().map(String::as_str).zip(figures)
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

    /// The group of its assignment, and the row; what it says of its group does not matter.
    fn row(group: usize, rest: &str) -> (usize, String) {
        let text = format!("{{\"at\":1,\"group\":\"callers\",\"endpoint\":0{rest}}}");
        (group, text)
    }

    fn folded(groups: &[&str], rows: &[(usize, String)]) -> RunFigures {
        let mut figures = RunFigures::of(groups.iter().copied());
        for (group, row) in rows {
            figures.add(*group, &super::super::read_row(row.as_bytes()).unwrap());
        }
        figures
    }

    /// Covers: R153, R158.
    #[test]
    fn figures_and_responses_are_of_the_run_and_of_each_group() {
        let rows = [
            row(0, ",\"mos\":4,\"responses\":[\"REGISTER 200\",\"INVITE 486\"]"),
            row(1, ",\"mos\":2,\"responses\":[\"REGISTER 200\",\"no request\"]"),
            row(0, ",\"mos\":3"),
            row(3, ",\"mos\":1"),
        ];
        let figures = folded(&["callers", "receivers", "idle"], &rows);
        let mos = |figures: &Figures| {
            let mos = figures.aggregates().get("mos").copied().unwrap_or_default();
            (mos.count, mos.min_milli, mos.mean_milli, mos.max_milli)
        };
        assert_eq!(mos(figures.run()), (4, 1_000, 2_500, 4_000));
        let groups: Vec<_> = figures.groups().map(|(name, group)| (name, mos(group))).collect();
        assert_eq!(
            groups,
            [
                ("callers", (2, 3_000, 3_500, 4_000)),
                ("receivers", (1, 2_000, 2_000, 2_000)),
                ("idle", (0, 0, 0, 0))
            ]
        );
        let counted = |figures: &Figures| figures.responses().into_iter().collect::<Vec<_>>();
        let one = |name: &str, count| (name.to_owned(), count);
        assert_eq!(
            counted(figures.run()),
            [one("INVITE 486", 1), one("REGISTER 200", 2)]
        );
        let receivers = figures.groups().nth(1).unwrap().1;
        assert_eq!(counted(receivers), [one("REGISTER 200", 1)], "only known names");
    }

    #[test]
    fn a_worker_that_makes_up_responses_fills_neither_the_log_nor_the_figures_of_others() {
        let made_up: Vec<_> = (200..700)
            .map(|code| row(0, &format!(",\"responses\":[\"BYE {code}\"]")))
            .collect();
        let answered = row(1, ",\"responses\":[\"INVITE 486\"]");
        let known = row(0, ",\"responses\":[\"BYE 200\"]");
        let rows = [made_up, vec![answered, known]].concat();
        let figures = folded(&["callers", "receivers"], &rows);
        let run = figures.run().responses();
        assert_eq!(run.len(), MOST_RESPONSES);
        assert_eq!(run.get("BYE 200"), Some(&2), "what is there counts on");
        let groups: Vec<_> = figures.groups().map(|(_, group)| group.responses()).collect();
        assert_eq!(groups[0].len(), MOST_RESPONSES);
        assert_eq!(groups[1], BTreeMap::from([("INVITE 486".to_owned(), 1)]));
    }

    #[test]
    fn the_only_group_is_the_run_and_takes_no_room() {
        let figures = folded(&["all"], &[row(0, ",\"mos\":4")]);
        assert!(figures.groups.is_empty());
        let (name, group) = figures.groups().next().unwrap();
        assert_eq!((name, group.aggregates()), ("all", figures.run().aggregates()));
        assert_eq!(figures.groups().count(), 1);
    }

    #[test]
    fn groups_share_the_room_of_one_run_and_very_many_have_no_figures() {
        let names: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
        let figures = RunFigures::of(names.iter().map(String::as_str));
        assert_eq!(figures.groups().count(), MOST_GROUPS);
        let room: usize = figures.groups.iter().map(|group| group.most_values).sum();
        assert!(room <= MOST_VALUES, "{room}");
    }

    #[test]
    fn decimal_numbers_come_back_to_the_thousandth() {
        for value in [0, 1, 3_801, 4_123, 999_999, 20_000_001, -5] {
            let text = format!("{}", value as f64 / 1_000.0);
            assert_eq!(milli(text.parse().unwrap()), value);
        }
    }
}
