//! From the document to the wire, gathering every violation on the way.

use prost_types::Duration;

use super::document::{DefinitionDocument, DurationText, GroupDocument, SimDocument};
use super::duration::{parse_duration, parse_range};
use super::{FieldViolation, outcomes, quality};
use crate::v1;

impl TryFrom<DefinitionDocument> for v1::TestDefinition {
    type Error = Vec<FieldViolation>;

    fn try_from(document: DefinitionDocument) -> Result<Self, Self::Error> {
        let mut violations = Vec::new();
        let definition = Self {
            name: required("name", document.name, &mut violations),
            duration: duration("duration", document.duration, &mut violations)
                .or_else(|| missing_unless_reported("duration", &mut violations)),
            buildup: duration("buildup", document.buildup, &mut violations),
            queue_timeout: duration("queue_timeout", document.queue_timeout, &mut violations),
            max_execution: duration("max_execution", document.max_execution, &mut violations),
            groups: document
                .groups
                .into_iter()
                .enumerate()
                .map(|(index, group)| to_group(&format!("groups[{index}]"), group, &mut violations))
                .collect(),
        };
        if definition.groups.is_empty() {
            violations.push(FieldViolation::new("groups", "at least one group is required"));
        }
        if violations.is_empty() {
            Ok(definition)
        } else {
            Err(violations)
        }
    }
}

fn to_group(path: &str, group: GroupDocument, violations: &mut Vec<FieldViolation>) -> v1::Group {
    let executor = group.executor.as_deref().unwrap_or("sim");
    if executor != "sim" {
        violations.push(FieldViolation::new(
            format!("{path}.executor"),
            format!("{executor:?} is not an executor; expected sim"),
        ));
    }
    let selector = v1::Selector {
        region: group.region.unwrap_or_default(),
        worker_id: group.worker.unwrap_or_default(),
        labels: group.labels,
    };
    v1::Group {
        name: required(&format!("{path}.name"), group.name, violations),
        endpoints: required(&format!("{path}.endpoints"), group.endpoints, violations),
        selector: (selector != v1::Selector::default()).then_some(selector),
        executor: Some(v1::group::Executor::Sim(to_sim(
            &format!("{path}.sim"),
            group.sim.unwrap_or_default(),
            violations,
        ))),
    }
}

fn to_sim(path: &str, sim: SimDocument, violations: &mut Vec<FieldViolation>) -> v1::SimExecutor {
    // Nothing said: endpoints are in their call at once.
    let text = sim.setup.map_or_else(|| "0s".to_owned(), |setup| setup.0);
    let (setup_min, setup_max) = match parse_range(&text) {
        Ok((min, max)) => (Some(min), Some(max)),
        Err(description) => {
            violations.push(FieldViolation::new(format!("{path}.setup"), description));
            (None, None)
        }
    };
    let outcomes = outcomes::to_ppm(&format!("{path}.outcomes"), &sim.outcomes, violations);
    v1::SimExecutor {
        setup_min,
        setup_max,
        outcomes,
        quality: sim
            .quality
            .map(|figures| quality::to_wire(&format!("{path}.quality"), &figures, violations)),
    }
}

fn required<T: Default>(field: &str, value: Option<T>, violations: &mut Vec<FieldViolation>) -> T {
    value.unwrap_or_else(|| {
        violations.push(FieldViolation::new(field, "is required"));
        T::default()
    })
}

fn duration(
    field: &str,
    text: Option<DurationText>,
    violations: &mut Vec<FieldViolation>,
) -> Option<Duration> {
    match parse_duration(&text?.0) {
        Ok(duration) => Some(duration),
        Err(description) => {
            violations.push(FieldViolation::new(field, description));
            None
        }
    }
}

fn missing_unless_reported(field: &str, violations: &mut Vec<FieldViolation>) -> Option<Duration> {
    if !violations.iter().any(|violation| violation.field == field) {
        violations.push(FieldViolation::new(field, "is required"));
    }
    None
}
