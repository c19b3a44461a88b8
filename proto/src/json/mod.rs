//! The JSON documents of the REST API and of `reeve … -o json`: camelCase, UPPER_CASE statuses, times in UTC.
//!
//! Both print exactly these types, so that a script does not care which of the two it reads.

mod cluster;
mod compare;
mod drain;
mod error;
mod event;
mod evidence;
mod explain;
mod key;
mod probe;
mod project;
mod registry;
mod run;
mod sip;
mod test;
mod webhook;
mod worker;

#[cfg(test)]
mod tests;

pub use cluster::{ClusterStatusJson, MemberJson};
pub use compare::{
    RunComparisonJson, RunSideJson, StatusDurationJson, WorkerComparisonJson, WorkerShareJson,
};
pub use drain::{DrainEffectJson, DrainJson, DrainWaitJson, DrainedWorkerJson};
pub use error::{ErrorBodyJson, ErrorDetailsJson, ErrorFieldJson, ErrorJson};
pub use event::{BookmarkJson, DeletedJson, ResetJson};
pub use evidence::{
    EndpointEventJson, EndpointEvidenceJson, EndpointSampleJson, EvidenceGapJson, GroupDistributionJson,
    LiveMetricJson, MetricJson, MetricsJson, RunMetricsJson, RunSampleJson, RunSeriesJson, RunWorkerJson,
    SeriesPointJson, TraceEndingJson, TraceJson, TraceMessageJson,
};
pub use explain::{
    CapacityHolderJson, PlaceJson, PlannedPartJson, RunExplanationJson, SuggestedChangeJson,
    WorkerVerdictJson,
};
pub use key::{CreatedKeyJson, KeyJson};
pub use probe::{MetricResultJson, ProbeHealthJson, ProbeJson, ProbeSlotJson};
pub use project::{CreditAdjustmentJson, ProjectJson, ProjectUsageJson};
pub use registry::{
    CleanedJson, CreatedWorkerJson, OnlineWorkersJson, PingedJson, RegisteredWorkerJson, WorkerEventJson,
};
pub use run::{
    AssignmentJson, EndpointCountsJson, EndpointJson, ExplanationJson, FilterCountJson, GroupExplanationJson,
    LateReportJson, ReasonJson, RunJson, TimelineEntryJson,
};
pub use sip::{AccountPoolJson, MediaFileJson, RegistrarJson, SipAccountJson};
pub use test::TestJson;
pub use webhook::{CreatedWebhookJson, DeliveryJson, TestedWebhookJson, WebhookJson};
pub use worker::{CapacityJson, ConditionJson, FlapsJson, ResourcesJson, WorkerJson};

use serde::{Deserialize, Serialize};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ListJson<T> {
    /// The page.
    pub items: Vec<T>,
    /// Where the next page begins; empty on the last one.
    pub next_page_token: String,
    /// The revision that the list shows.
    pub revision: u64,
}

impl<T> ListJson<T> {
    /// Converts a page of wire objects.
    pub fn new<'a, S: 'a>(items: &'a [S], next_page_token: &str, revision: u64) -> Self
    where
        T: From<&'a S>,
    {
        Self {
            items: items.iter().map(T::from).collect(),
            next_page_token: next_page_token.to_owned(),
            revision,
        }
    }
}

/// RFC 3339 in UTC with milliseconds; `None` for what is out of the calendar.
pub fn format_time(time: &prost_types::Timestamp) -> Option<String> {
    let time = jiff::Timestamp::new(time.seconds, time.nanos).ok()?;
    Some(format!("{time:.3}"))
}

fn time(time: &Option<prost_types::Timestamp>) -> Option<String> {
    time.as_ref().and_then(format_time)
}
