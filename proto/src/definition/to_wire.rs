//! From the document to the wire, gathering every violation on the way.

use prost_types::Duration;

use super::document::{
    CalleeDocument, DefinitionDocument, DurationText, GroupDocument, SimDocument, SipDocument,
};
use super::duration::{parse_duration, parse_range};
use super::{FieldViolation, loss, outcomes, quality, sip};
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
            on_worker_loss: document
                .on_worker_loss
                .and_then(|policy| loss::to_wire(policy, &mut violations)),
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
    let selector = v1::Selector {
        region: group.region.unwrap_or_default(),
        worker_id: group.worker.unwrap_or_default(),
        labels: group.labels,
    };
    v1::Group {
        name: required(&format!("{path}.name"), group.name, violations),
        endpoints: required(&format!("{path}.endpoints"), group.endpoints, violations),
        selector: (selector != v1::Selector::default()).then_some(selector),
        executor: to_executor(path, group.executor.as_deref(), group.sim, group.sip, violations),
        callee: group.callee.map(|callee| to_callee(path, callee, violations)),
    }
}

fn to_executor(
    path: &str,
    executor: Option<&str>,
    sim: Option<SimDocument>,
    sip: Option<SipDocument>,
    violations: &mut Vec<FieldViolation>,
) -> Option<v1::group::Executor> {
    let stray = |stray: bool, name: &str, executor: &str, violations: &mut Vec<FieldViolation>| {
        if stray {
            let rule = format!("the group's executor is {executor}, not {name}");
            violations.push(FieldViolation::new(format!("{path}.{name}"), rule));
        }
    };
    match executor.unwrap_or("sim") {
        "sim" => {
            stray(sip.is_some(), "sip", "sim", violations);
            let sim = to_sim(&format!("{path}.sim"), sim.unwrap_or_default(), violations);
            Some(v1::group::Executor::Sim(sim))
        }
        "sip" => {
            stray(sim.is_some(), "sim", "sip", violations);
            let sip = sip::to_wire(&format!("{path}.sip"), sip.unwrap_or_default(), violations);
            Some(v1::group::Executor::Sip(sip))
        }
        other => {
            violations.push(FieldViolation::new(
                format!("{path}.executor"),
                format!("{other:?} is not an executor; expected sim or sip"),
            ));
            None
        }
    }
}

fn to_callee(path: &str, callee: CalleeDocument, violations: &mut Vec<FieldViolation>) -> v1::Callee {
    let CalleeDocument { group, uri } = callee;
    if group.is_some() && uri.is_some() {
        let field = format!("{path}.callee.uri");
        violations.push(FieldViolation::new(field, "either a group or a URI"));
    }
    let group = match &uri {
        Some(_) => group.unwrap_or_default(),
        None => required(&format!("{path}.callee.group"), group, violations),
    };
    v1::Callee {
        group,
        uri: uri.unwrap_or_default(),
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

pub(super) fn required<T: Default>(field: &str, value: Option<T>, violations: &mut Vec<FieldViolation>) -> T {
    value.unwrap_or_else(|| {
        violations.push(FieldViolation::new(field, "is required"));
        T::default()
    })
}

pub(super) fn duration(
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
