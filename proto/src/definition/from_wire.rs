//! From the wire to the document, for output.

use super::document::{DefinitionDocument, DurationText, GroupDocument, SimDocument};
use super::duration::{format_duration, format_range};
use super::outcomes;
use crate::v1;

impl From<&v1::TestDefinition> for DefinitionDocument {
    fn from(definition: &v1::TestDefinition) -> Self {
        let text = |duration: &Option<prost_types::Duration>| {
            duration
                .as_ref()
                .map(|duration| DurationText(format_duration(duration)))
        };
        Self {
            name: Some(definition.name.clone()),
            duration: text(&definition.duration),
            buildup: text(&definition.buildup),
            queue_timeout: text(&definition.queue_timeout),
            max_execution: text(&definition.max_execution),
            groups: definition.groups.iter().map(GroupDocument::from).collect(),
        }
    }
}

impl From<&v1::Group> for GroupDocument {
    fn from(group: &v1::Group) -> Self {
        let selector = group.selector.clone().unwrap_or_default();
        let set = |text: String| (!text.is_empty()).then_some(text);
        let (executor, sim) = match &group.executor {
            Some(v1::group::Executor::Sim(sim)) => (Some("sim".to_owned()), Some(SimDocument::from(sim))),
            None => (None, None),
        };
        Self {
            name: Some(group.name.clone()),
            endpoints: Some(group.endpoints),
            region: set(selector.region),
            worker: set(selector.worker_id),
            labels: selector.labels,
            executor,
            sim,
        }
    }
}

impl From<&v1::SimExecutor> for SimDocument {
    fn from(sim: &v1::SimExecutor) -> Self {
        let setup = match (&sim.setup_min, &sim.setup_max) {
            (Some(min), Some(max)) => Some(format_range(min, max)),
            (Some(one), None) | (None, Some(one)) => Some(format_duration(one)),
            (None, None) => None,
        };
        Self {
            setup: setup.map(DurationText),
            outcomes: outcomes::to_fractions(&sim.outcomes),
            quality: sim.quality.as_ref().map(Into::into),
        }
    }
}
