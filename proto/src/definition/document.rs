//! The document types: what may stand in a definition file. Fields are optional so that what is missing is
//! reported together with everything else that is wrong.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A test definition. Written in camelCase, read in camelCase and snake_case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DefinitionDocument {
    /// Name of the test; the key under which it is applied (D27b).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long each endpoint stays in its call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<DurationText>,
    /// Endpoints start evenly over this time (R145).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buildup: Option<DurationText>,
    /// How long the run may wait for capacity (D11).
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "queue_timeout")]
    pub queue_timeout: Option<DurationText>,
    /// Safety limit of RUNNING (D12).
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "max_execution")]
    pub max_execution: Option<DurationText>,
    /// What becomes of a run that loses some of its workers: `continue`, the default, `fail`, or `failAbove: 20%`.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "on_worker_loss")]
    pub on_worker_loss: Option<WorkerLossDocument>,
    /// What runs.
    #[serde(default)]
    pub groups: Vec<GroupDocument>,
}

/// Endpoints of one kind. `region`, `worker` and `labels` say where they may run; nothing means any worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupDocument {
    /// Name, unique within the test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<u32>,
    /// Only workers of this region (R95).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Only this worker, by id (R96).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Only workers that carry all of these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What an endpoint does: `sim`, the default, or `sip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// Settings of the executor `sim`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sim: Option<SimDocument>,
    /// Settings of the executor `sip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip: Option<SipDocument>,
    /// Whom the endpoints call. Endpoints of `sip` that call nobody wait for calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callee: Option<CalleeDocument>,
}

/// Whom a group calls: a group or a URI.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CalleeDocument {
    /// Name of a group of the same definition and executor; it starts first. Endpoint i calls its endpoint i mod its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// A SIP URI that all endpoints call; only for the executor `sip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// Endpoints that are SIP user agents.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SipDocument {
    /// Name of the registrar where the accounts register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registrar: Option<String>,
    /// Name of the pool that has an account for each endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<String>,
    /// In the order of preference; the default is PCMU, PCMA.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codecs: Vec<String>,
    /// Name of the media file that is sent round and round; nothing means a tone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// Whether the receiving side conceals lost packets, for the quality figures; it does unless this says false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plc: Option<bool>,
    /// How long a caller waits for an answer once it rings: 1 s to 10 min, by default 32 s.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "answer_timeout")]
    pub answer_timeout: Option<DurationText>,
    /// How long one that is called rings before it answers: at most 10 min, by default not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<DurationText>,
    /// What REGISTER asks for: whole seconds, 10 s to 24 h, by default 10 min. `0s`: a group that calls does not register, as behind a trunk.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "register_expires")]
    pub register_expires: Option<DurationText>,
    /// Over what time the group registers: at most 24 h, by default the build-up. Those that call register before their calls begin.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "register_buildup")]
    pub register_buildup: Option<DurationText>,
    /// What callers do in their calls, in order of time; at most 30.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<SipActionDocument>,
    /// Whether traces keep credentials as they were sent; by default a word stands for them.
    #[serde(default, skip_serializing_if = "is_false", alias = "trace_credentials")]
    pub trace_credentials: bool,
}

/// What a caller does in its call: `{at: 5s, dtmf: "123#"}` or `{at: 10s, hold: true}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SipActionDocument {
    /// Since the call was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<DurationText>,
    /// Digits to send: 0 to 9, A to D, * and #.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtmf: Option<String>,
    /// Puts the call on hold; false takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<bool>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Scripted endpoints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimDocument {
    /// Time from an endpoint's start to INCALL: one duration, or a range such as `200ms..800ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<DurationText>,
    /// Share of each outcome, summing to 1; nothing means that all are SUCCESS.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, f64>,
    /// Quality figures of simulated calls; without it none are reported (D14a).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityDocument>,
}

/// Quality figures, drawn for each endpoint and second of its call: each one number, or a range such as `3.8..4.4`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QualityDocument {
    /// Mean opinion score, 1 to 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mos: Option<RangeText>,
    /// Jitter in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "jitter_ms")]
    pub jitter_ms: Option<RangeText>,
    /// Round-trip time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "rtt_ms")]
    pub rtt_ms: Option<RangeText>,
    /// Share of packets that are lost, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "fraction_lost")]
    pub fraction_lost: Option<RangeText>,
}

/// A number or a range of numbers as it was written: read and written like a duration, but without a unit.
pub type RangeText = DurationText;

/// A duration as it was written. A bare number is kept too, so that the missing unit can be reported by field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DurationText(pub String);

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What becomes of a run that loses some of its workers: a word, or the share above which it fails.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum WorkerLossDocument {
    /// `continue` or `fail`.
    Word(String),
    /// `failAbove: 20%`.
    Above(FailAboveDocument),
}

/// The share of endpoints lost with workers above which a run fails.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailAboveDocument {
    /// Per cent, for example `20%`.
    #[serde(alias = "fail_above")]
    pub fail_above: String,
}

impl<'de> Deserialize<'de> for WorkerLossDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WorkerLossVisitor)
    }
}

struct WorkerLossVisitor;

impl<'de> Visitor<'de> for WorkerLossVisitor {
    type Value = WorkerLossDocument;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("continue, fail, or failAbove: with a share such as 20%")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<WorkerLossDocument, E> {
        Ok(WorkerLossDocument::Word(text.to_owned()))
    }

    fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<WorkerLossDocument, M::Error> {
        let above = FailAboveDocument::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(WorkerLossDocument::Above(above))
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = DurationText;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a duration such as \"20s\" or \"1m30s\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<DurationText, E> {
        Ok(DurationText(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<DurationText, E> {
        Ok(DurationText(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<DurationText, E> {
        Ok(DurationText(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<DurationText, E> {
        Ok(DurationText(number.to_string()))
    }
}
