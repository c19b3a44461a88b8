//! Schedules and thresholds on one line, as a command line has them.

use super::to_milli;
use crate::names::Named;
use crate::v1;

const FORM: &str = "write it like `mos: warn 3.5, crit 2.5` or `setup_time_ms p95 lower: crit 800`";

/// Reads an interval in minutes, such as `5m` or `1h`. Which intervals there are is the server's to say.
///
/// # Errors
/// A sentence saying what is wrong.
pub fn parse_every(text: &str) -> Result<u32, String> {
    let duration = super::parse_duration(text)?;
    let whole = duration.nanos == 0 && duration.seconds % 60 == 0;
    let minutes = u32::try_from(duration.seconds / 60).ok().filter(|_| whole);
    minutes.ok_or_else(|| format!("{text:?} is not a number of minutes"))
}

/// Reads `METRIC [STATISTIC] [higher|lower]: warn NUMBER, crit NUMBER`, one of the two limits at least.
///
/// # Errors
/// A sentence saying what is wrong.
pub fn parse_threshold(text: &str) -> Result<v1::Threshold, String> {
    let (about, limits) = text
        .split_once(':')
        .ok_or_else(|| format!("`:` is missing; {FORM}"))?;
    let mut threshold = v1::Threshold::default();
    for (position, word) in about.split_whitespace().enumerate() {
        if position == 0 {
            word.clone_into(&mut threshold.metric);
        } else if let Some(direction) = direction(word).filter(|_| threshold.direction == 0) {
            threshold.direction = direction.into();
        } else if let Some(statistic) = v1::Statistic::from_name(word).filter(|_| threshold.statistic == 0) {
            threshold.statistic = statistic.into();
        } else {
            return Err(format!(
                "{word:?} is not one of {}, higher, lower, or is there twice",
                v1::Statistic::expected()
            ));
        }
    }
    if threshold.metric.is_empty() {
        return Err(format!("the metric is missing; {FORM}"));
    }
    for limit in limits.split(',') {
        let mut words = limit.split_whitespace();
        let (Some(kind), Some(number), None) = (words.next(), words.next(), words.next()) else {
            return Err(format!("{:?} is not a limit; {FORM}", limit.trim()));
        };
        let slot = match kind.to_ascii_lowercase().as_str() {
            "warn" | "warning" => &mut threshold.warning_milli,
            "crit" | "critical" => &mut threshold.critical_milli,
            _ => return Err(format!("{kind:?} is neither warn nor crit; {FORM}")),
        };
        if slot.is_some() {
            return Err(format!("{kind} is there twice"));
        }
        let value: f64 = number
            .parse()
            .map_err(|_| format!("{number:?} is not a number"))?;
        *slot = Some(to_milli(value).map_err(|rule| format!("{number} {rule}"))?);
    }
    Ok(threshold)
}

fn direction(word: &str) -> Option<v1::Direction> {
    match word.to_ascii_lowercase().as_str() {
        "higher" => Some(v1::Direction::HigherIsBetter),
        "lower" => Some(v1::Direction::LowerIsBetter),
        _ => v1::Direction::from_name(word),
    }
}
