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
    /// What an endpoint does: `sim`, the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// Settings of the executor `sim`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sim: Option<SimDocument>,
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
