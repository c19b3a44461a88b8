//! A probe as people write it, in YAML or JSON or on a command line, and its way to the wire and back.
//!
//! Here are only syntax and types; which metrics there are and which limit may be worse than which is the server's to check.

mod text;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::definition::{FieldViolation, parse_duration};
use crate::names::{Named, name_of};
use crate::v1;
use crate::v1::probe_definition::Schedule;

pub use text::{parse_every, parse_threshold};

/// A probe. Written in camelCase. Fields are optional so that what is missing is reported together with everything else that is
/// wrong.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProbeDocument {
    /// Unique among the probes of a project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Id or name of the test that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// `5m`, `15m`, `30m` or `60m`; instead of `cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// Five fields in UTC: minute, hour, day of the month, month, weekday; instead of `every`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// What its runs are measured against; none: a run that completes is well.
    #[serde(default)]
    pub thresholds: Vec<ThresholdDocument>,
}

/// The limits of one metric; at least one of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ThresholdDocument {
    /// Such as `mos`, `setup_time_ms` or `success_rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// MEAN, the default, P50, P95, P99, MIN or MAX; in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// HIGHER_IS_BETTER or LOWER_IS_BETTER; left out: by the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Beyond it the probe is DEGRADED. At most three decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<f64>,
    /// Beyond it the probe is UNHEALTHY. At most three decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<f64>,
}

/// Largest limit that can be written.
const MAX_LIMIT: f64 = 1e9;

/// A number of at most three decimals, in thousandths.
///
/// # Errors
/// More decimals, or too far from zero.
pub fn to_milli(value: f64) -> Result<i64, String> {
    let scaled = value * 1_000.0;
    let whole = scaled.round();
    if !value.is_finite() || value.abs() > MAX_LIMIT {
        return Err("must be a number from -1000000000 to 1000000000".to_owned());
    }
    if (scaled - whole).abs() > 1e-3 {
        return Err("must have at most three decimals".to_owned());
    }
    // Whole, and far within the range.
    #[allow(clippy::cast_possible_truncation)]
    Ok(whole as i64)
}

/// Thousandths as a number.
#[allow(clippy::cast_precision_loss)]
pub fn from_milli(milli: i64) -> f64 {
    milli as f64 / 1_000.0
}

/// Reads a probe from JSON.
///
/// # Errors
/// Every violation that can be seen: one if the document cannot be read at all, else all bad values.
pub fn from_json(json: &[u8]) -> Result<v1::ProbeDefinition, Vec<FieldViolation>> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let document: ProbeDocument = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let field = path.trim_end_matches('?').trim_end_matches('.').to_owned();
        vec![FieldViolation::new(field, error.inner().to_string())]
    })?;
    deserializer
        .end()
        .map_err(|error| vec![FieldViolation::new("", error.to_string())])?;
    document.try_into()
}

impl TryFrom<ProbeDocument> for v1::ProbeDefinition {
    type Error = Vec<FieldViolation>;

    fn try_from(document: ProbeDocument) -> Result<Self, Self::Error> {
        let mut violations = Vec::new();
        let mut text = |field: &str, value: Option<String>| {
            value.filter(|value| !value.is_empty()).unwrap_or_else(|| {
                violations.push(FieldViolation::new(field, "is required"));
                String::new()
            })
        };
        let (name, test) = (text("name", document.name), text("test", document.test));
        let schedule = match (document.every, document.cron) {
            (Some(every), None) => parse_every(&every)
                .map(Schedule::EveryMinutes)
                .map_err(|rule| violations.push(FieldViolation::new("every", rule)))
                .ok(),
            (None, Some(cron)) => Some(Schedule::Cron(cron)),
            (Some(_), Some(_)) | (None, None) => {
                violations.push(FieldViolation::new("every", "either every or cron is needed"));
                None
            }
        };
        let mut thresholds = Vec::new();
        for (position, threshold) in document.thresholds.into_iter().enumerate() {
            match threshold.to_wire(&format!("thresholds[{position}]")) {
                Ok(threshold) => thresholds.push(threshold),
                Err(found) => violations.extend(found),
            }
        }
        if violations.is_empty() {
            Ok(Self {
                name,
                test,
                schedule,
                thresholds,
            })
        } else {
            Err(violations)
        }
    }
}

impl ThresholdDocument {
    fn to_wire(&self, path: &str) -> Result<v1::Threshold, Vec<FieldViolation>> {
        let mut violations = Vec::new();
        let mut limit = |field: &str, value: Option<f64>| match value.map(to_milli) {
            None => None,
            Some(Ok(milli)) => Some(milli),
            Some(Err(rule)) => {
                violations.push(FieldViolation::new(format!("{path}.{field}"), rule));
                None
            }
        };
        let (warning_milli, critical_milli) =
            (limit("warning", self.warning), limit("critical", self.critical));
        let metric = self.metric.clone().unwrap_or_default();
        if metric.is_empty() {
            violations.push(FieldViolation::new(format!("{path}.metric"), "is required"));
        }
        let statistic = named::<v1::Statistic>(&format!("{path}.statistic"), self.statistic.as_deref());
        let direction = named::<v1::Direction>(&format!("{path}.direction"), self.direction.as_deref());
        match (statistic, direction) {
            (Ok(statistic), Ok(direction)) if violations.is_empty() => Ok(v1::Threshold {
                metric,
                statistic,
                direction,
                warning_milli,
                critical_milli,
            }),
            (statistic, direction) => {
                violations.extend(statistic.err());
                violations.extend(direction.err());
                Err(violations)
            }
        }
    }
}

/// The number of a name in any case; nothing is 0, which is unspecified.
fn named<E: Named + Into<i32>>(field: &str, name: Option<&str>) -> Result<i32, FieldViolation> {
    match name {
        None => Ok(0),
        Some(name) => E::from_name(name)
            .map(Into::into)
            .ok_or_else(|| FieldViolation::new(field, format!("{name:?} is not one of {}", E::expected()))),
    }
}

impl From<&v1::ProbeDefinition> for ProbeDocument {
    fn from(definition: &v1::ProbeDefinition) -> Self {
        let (every, cron) = match &definition.schedule {
            Some(Schedule::EveryMinutes(minutes)) => (Some(every_text(*minutes)), None),
            Some(Schedule::Cron(cron)) => (None, Some(cron.clone())),
            None => (None, None),
        };
        Self {
            name: Some(definition.name.clone()),
            test: Some(definition.test.clone()),
            every,
            cron,
            thresholds: definition
                .thresholds
                .iter()
                .map(ThresholdDocument::from)
                .collect(),
        }
    }
}

impl From<&v1::Threshold> for ThresholdDocument {
    fn from(threshold: &v1::Threshold) -> Self {
        Self {
            metric: Some(threshold.metric.clone()),
            statistic: Some(name_of::<v1::Statistic>(threshold.statistic).to_owned()),
            direction: Some(name_of::<v1::Direction>(threshold.direction).to_owned()),
            warning: threshold.warning_milli.map(from_milli),
            critical: threshold.critical_milli.map(from_milli),
        }
    }
}

/// Always in minutes, so that the four of them look alike.
fn every_text(minutes: u32) -> String {
    format!("{minutes}m")
}
