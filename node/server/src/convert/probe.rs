//! Probes and their slots on the wire, and definitions from it.

use reeve_proto::v1;
use reeve_proto::v1::probe_definition::Schedule as Kind;
use reeve_state::State;
use reeve_state::command::FieldViolation;
use reeve_state::id::TestId;
use reeve_state::record::{
    Direction, MetricResult, Probe, ProbeDefinition, ProbeSlot, SkipReason, Statistic, Threshold,
};
use reeve_state::schedule::{Cron, Interval, Schedule};
use reeve_state::transition::probe::{ProbeHealth, ProbeStatus};

use super::{enums, time};
use crate::error::ApiError;

/// To the wire.
pub const fn probe_status(status: ProbeStatus) -> v1::ProbeStatus {
    match status {
        ProbeStatus::Healthy => v1::ProbeStatus::Healthy,
        ProbeStatus::Degraded => v1::ProbeStatus::Degraded,
        ProbeStatus::Unhealthy => v1::ProbeStatus::Unhealthy,
        ProbeStatus::Unknown => v1::ProbeStatus::Unknown,
    }
}

/// A filter from the wire: `None` lets all pass.
///
/// # Errors
/// A number that this version does not know.
pub fn status_filter(number: i32) -> Result<Option<ProbeStatus>, ApiError> {
    if number == 0 {
        return Ok(None);
    }
    let found = ProbeStatus::ALL
        .into_iter()
        .find(|status| probe_status(*status) as i32 == number);
    found
        .map(Some)
        .ok_or_else(|| ApiError::invalid("status", format!("{number} is not a ProbeStatus")))
}

const fn statistic(statistic: Statistic) -> v1::Statistic {
    match statistic {
        Statistic::Mean => v1::Statistic::Mean,
        Statistic::P50 => v1::Statistic::P50,
        Statistic::P95 => v1::Statistic::P95,
        Statistic::P99 => v1::Statistic::P99,
        Statistic::Min => v1::Statistic::Min,
        Statistic::Max => v1::Statistic::Max,
    }
}

const fn direction(direction: Direction) -> v1::Direction {
    match direction {
        Direction::HigherIsBetter => v1::Direction::HigherIsBetter,
        Direction::LowerIsBetter => v1::Direction::LowerIsBetter,
    }
}

const fn skip_reason(reason: SkipReason) -> v1::SkipReason {
    match reason {
        SkipReason::PreviousStillRunning => v1::SkipReason::PreviousStillRunning,
        SkipReason::Missed => v1::SkipReason::Missed,
    }
}

/// To the wire, with the name of its test.
pub fn probe(state: &State, row: &Probe) -> v1::Probe {
    let test_name = state
        .test(row.definition.test)
        .map(|test| test.definition.name.clone());
    v1::Probe {
        id: row.id.to_string(),
        project: row.project.to_string(),
        definition: Some(definition(&row.definition)),
        test_name: test_name.unwrap_or_default(),
        paused_at: row.paused_at.map(time::timestamp),
        health: Some(health(&row.health)),
        last_slot: row.last_slot.map(time::timestamp),
        last_run_id: row.last_run.map(|run| run.to_string()).unwrap_or_default(),
        next_due: row.next_due().map(time::timestamp),
        created_at: Some(time::timestamp(row.created_at)),
        updated_at: Some(time::timestamp(row.updated_at)),
        revision: row.revision.0,
    }
}

fn definition(definition: &ProbeDefinition) -> v1::ProbeDefinition {
    let schedule = match &definition.schedule {
        Schedule::Every(interval) => Kind::EveryMinutes(interval.minutes()),
        Schedule::Cron(cron) => Kind::Cron(cron.as_str().to_owned()),
    };
    v1::ProbeDefinition {
        name: definition.name.clone(),
        test: definition.test.to_string(),
        schedule: Some(schedule),
        thresholds: definition.thresholds.iter().map(threshold).collect(),
    }
}

fn threshold(threshold: &Threshold) -> v1::Threshold {
    v1::Threshold {
        metric: threshold.metric.clone(),
        statistic: statistic(threshold.statistic).into(),
        direction: direction(threshold.direction).into(),
        warning_milli: threshold.warning,
        critical_milli: threshold.critical,
    }
}

fn health(health: &ProbeHealth) -> v1::ProbeHealth {
    v1::ProbeHealth {
        status: probe_status(health.status()).into(),
        since: Some(time::timestamp(health.since())),
        reason: health.reason().to_owned(),
        results: health.results().iter().map(result).collect(),
        slot: health.slot().map(time::timestamp),
    }
}

fn result(result: &MetricResult) -> v1::MetricResult {
    v1::MetricResult {
        metric: result.metric.clone(),
        statistic: statistic(result.statistic).into(),
        value_milli: result.value,
        status: probe_status(result.status).into(),
    }
}

/// To the wire.
pub fn slot(row: &ProbeSlot) -> v1::ProbeSlot {
    let end = row.end.as_ref();
    v1::ProbeSlot {
        slot: Some(time::timestamp(row.key.slot)),
        at: Some(time::timestamp(row.at)),
        run_id: row.run.map(|run| run.to_string()).unwrap_or_default(),
        skipped: row.skipped.map_or(0, |reason| skip_reason(reason).into()),
        count: row.count,
        run_status: end
            .and_then(|end| end.status)
            .map_or(0, |status| enums::run_status(status).into()),
        run_reason: end
            .and_then(|end| end.reason)
            .map_or(0, |code| enums::run_reason(code).into()),
        endpoints: end.map_or(0, |end| end.endpoints),
        errors: end.map_or(0, |end| end.errors),
        results: end
            .map(|end| end.results.iter().map(result).collect())
            .unwrap_or_default(),
        health: end.map_or(0, |end| probe_status(end.health).into()),
        evaluated_at: end.map(|end| time::timestamp(end.at)),
        revision: row.revision.0,
    }
}

/// From the wire, for a test that was found. The limits of its thresholds are checked in apply.
///
/// # Errors
/// Every field that cannot be read.
pub fn decode(wire: &v1::ProbeDefinition, test: TestId) -> Result<ProbeDefinition, ApiError> {
    let mut violations = Vec::new();
    let schedule = match &wire.schedule {
        Some(Kind::EveryMinutes(minutes)) => {
            let interval = Interval::from_minutes(*minutes).map(Schedule::Every);
            interval.ok_or_else(|| violation("every", "must be 5, 15, 30 or 60 minutes"))
        }
        Some(Kind::Cron(text)) => Cron::parse(text)
            .map(Schedule::Cron)
            .map_err(|error| violation("cron", error.to_string())),
        None => Err(violation("every", "either every or cron is needed")),
    };
    let mut thresholds = Vec::new();
    for (position, threshold) in wire.thresholds.iter().enumerate() {
        match decode_threshold(&format!("thresholds[{position}]"), threshold) {
            Ok(threshold) => thresholds.push(threshold),
            Err(found) => violations.push(found),
        }
    }
    match schedule {
        Ok(schedule) if violations.is_empty() => Ok(ProbeDefinition {
            name: wire.name.clone(),
            test,
            schedule,
            thresholds,
        }),
        schedule => {
            violations.extend(schedule.err());
            Err(ApiError::Invalid(violations))
        }
    }
}

fn decode_threshold(path: &str, wire: &v1::Threshold) -> Result<Threshold, FieldViolation> {
    let unknown =
        |field: &str, number: i32| violation(&format!("{path}.{field}"), format!("{number} is unknown"));
    let statistic = match wire.statistic {
        0 => Statistic::default(),
        number => Statistic::ALL
            .into_iter()
            .find(|one| statistic(*one) as i32 == number)
            .ok_or_else(|| unknown("statistic", number))?,
    };
    let direction = match wire.direction {
        0 => Direction::of(&wire.metric),
        number => Direction::ALL
            .into_iter()
            .find(|one| direction(*one) as i32 == number)
            .ok_or_else(|| unknown("direction", number))?,
    };
    Ok(Threshold {
        metric: wire.metric.clone(),
        statistic,
        direction,
        warning: wire.warning_milli,
        critical: wire.critical_milli,
    })
}

fn violation(field: &str, rule: impl Into<String>) -> FieldViolation {
    FieldViolation {
        field: field.to_owned(),
        rule: rule.into(),
    }
}
