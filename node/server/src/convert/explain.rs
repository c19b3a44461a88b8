//! Why a run is where it is, on the wire.

use reeve_plan::runs::{Explained, Holder, Part};
use reeve_proto::v1;
use reeve_state::State;
use reeve_state::definition::{expected_execution, start_offset};
use reeve_state::id::RunId;
use reeve_state::record::{Run, TestDefinition};

use super::{enums, run, time};

/// What is explained, and to whom.
pub struct About<'a> {
    /// The state that it was explained from.
    pub state: &'a State,
    /// The run; `None`: only a definition.
    pub run: Option<&'a Run>,
    /// What it executes or would execute.
    pub definition: &'a TestDefinition,
    /// Whether a run may be named to the caller (D27a).
    pub shows: &'a dyn Fn(RunId) -> bool,
}

/// To the wire.
pub fn explained(about: &About<'_>, explained: &Explained) -> v1::RunExplanation {
    v1::RunExplanation {
        run_id: about.run.map(|run| run.id.to_string()).unwrap_or_default(),
        test_name: about.definition.name.clone(),
        status: about
            .run
            .map_or(v1::RunStatus::Unspecified, |run| {
                enums::run_status(run.life.status())
            })
            .into(),
        verdict: explained.verdict.name().to_owned(),
        reason: explained.reason.as_ref().map(run::reason),
        message: explained.message.clone(),
        explanation: Some(run::explanation(&explained.explanation)),
        parts: explained.parts.iter().map(|part| part_of(about, part)).collect(),
        ahead: explained.ahead.iter().map(|id| named(about, *id)).collect(),
        holders: explained
            .holders
            .iter()
            .map(|holder| holder_of(about, holder))
            .collect(),
        until: explained.until.map(time::timestamp),
        expected_execution: Some(time::duration(expected_execution(about.definition))),
        revision: match about.run {
            Some(run) => run::revision(about.state, run).0,
            None => about.state.meta().revision.0,
        },
    }
}

/// Empty for a run that the caller must not learn of.
fn named(about: &About<'_>, id: RunId) -> String {
    if (about.shows)(id) {
        id.to_string()
    } else {
        String::new()
    }
}

fn holder_of(about: &About<'_>, holder: &Holder) -> v1::CapacityHolder {
    let shown = (about.shows)(holder.run);
    v1::CapacityHolder {
        run_id: named(about, holder.run),
        test_name: if shown { holder.test.clone() } else { String::new() },
        endpoints: holder.endpoints,
        expected_end: holder.expected_end.map(time::timestamp),
    }
}

fn part_of(about: &About<'_>, part: &Part) -> v1::PlannedPart {
    let index = part.placement.group as usize;
    let group = about.definition.groups.get(index);
    v1::PlannedPart {
        worker_id: part.placement.worker.to_string(),
        worker_name: part.name.clone(),
        region: part.region.clone(),
        group: group.map(|group| group.name.clone()).unwrap_or_default(),
        first_endpoint: part.placement.first,
        endpoints: part.placement.count,
        capacity: part.capacity,
        reserved: part.reserved,
        start_offset: Some(time::duration(start_offset(about.definition, index))),
    }
}
