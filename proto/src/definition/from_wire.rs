//! From the wire to the document, for output.

use super::document::{
    CalleeDocument, DefinitionDocument, DurationText, GroupDocument, SimDocument, SipDocument,
};
use super::duration::{format_duration, format_range};
use super::{loss, outcomes};
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
            on_worker_loss: definition.on_worker_loss.as_ref().and_then(loss::from_wire),
            groups: definition.groups.iter().map(GroupDocument::from).collect(),
        }
    }
}

impl From<&v1::Group> for GroupDocument {
    fn from(group: &v1::Group) -> Self {
        let selector = group.selector.clone().unwrap_or_default();
        let set = |text: String| (!text.is_empty()).then_some(text);
        let (executor, sim, sip) = match &group.executor {
            Some(v1::group::Executor::Sim(sim)) => (Some("sim"), Some(SimDocument::from(sim)), None),
            Some(v1::group::Executor::Sip(sip)) => (Some("sip"), None, Some(SipDocument::from(sip))),
            None => (None, None, None),
        };
        Self {
            name: Some(group.name.clone()),
            endpoints: Some(group.endpoints),
            region: set(selector.region),
            worker: set(selector.worker_id),
            labels: selector.labels,
            executor: executor.map(str::to_owned),
            sim,
            sip,
            callee: group.callee.as_ref().map(|callee| CalleeDocument {
                // A callee that names nothing is shown as it is.
                group: (!callee.group.is_empty() || callee.uri.is_empty()).then(|| callee.group.clone()),
                uri: set(callee.uri.clone()),
            }),
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
