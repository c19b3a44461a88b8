//! The rules for probes.

use std::collections::BTreeSet;

use super::Rules;
use crate::command::FieldViolation;
use crate::record::{MAX_THRESHOLDS, ProbeDefinition, Thousandths, Threshold, measurable};

/// Farthest that a limit may lie from zero, in thousandths.
pub const MAX_LIMIT: i64 = 1_000_000_000_000;

/// Every rule that the definition breaks; none: it is good. Whether its test exists is not looked at.
pub fn validate_probe(definition: &ProbeDefinition) -> Vec<FieldViolation> {
    let mut rules = Rules::default();
    rules.name("name", &definition.name);
    let count = definition.thresholds.len();
    rules.check(count <= MAX_THRESHOLDS, "thresholds", || {
        format!("at most {MAX_THRESHOLDS} thresholds, found {count}")
    });
    let mut measured = BTreeSet::new();
    for (position, threshold) in definition.thresholds.iter().take(MAX_THRESHOLDS).enumerate() {
        let path = format!("thresholds[{position}]");
        rules.threshold(&path, threshold);
        let new = measured.insert((threshold.metric.as_str(), threshold.statistic));
        rules.check(new, &path, || {
            format!(
                "{} {} has a threshold already",
                threshold.metric,
                threshold.statistic.name()
            )
        });
    }
    rules.violations
}

impl Rules {
    fn threshold(&mut self, path: &str, threshold: &Threshold) {
        let known = measurable().any(|metric| metric == threshold.metric);
        self.check(known, &format!("{path}.metric"), || {
            let names: Vec<&str> = measurable().collect();
            format!("must be one of {}", names.join(", "))
        });
        let some = threshold.warning.is_some() || threshold.critical.is_some();
        self.check(some, path, || "warning, critical or both are needed".into());
        for (name, limit) in [("warning", threshold.warning), ("critical", threshold.critical)] {
            let near = limit.is_none_or(|limit| limit.unsigned_abs() <= MAX_LIMIT.unsigned_abs());
            self.check(near, &format!("{path}.{name}"), || {
                let most = Thousandths(MAX_LIMIT);
                format!("must be from -{most} to {most}")
            });
        }
        if let (Some(warning), Some(critical)) = (threshold.warning, threshold.critical) {
            let worse = threshold.direction.breached(critical, warning);
            self.check(worse, &format!("{path}.critical"), || {
                format!(
                    "must be worse than the warning, {}; the metric is {}",
                    Thousandths(warning),
                    threshold.direction.name()
                )
            });
        }
    }
}
