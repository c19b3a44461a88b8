//! The names of statuses as people and JSON see them: UPPER_CASE, without the enum's prefix.

use crate::v1;

/// An enum of the wire whose values have stable UPPER_CASE names: `RUN_STATUS_QUEUED` is `QUEUED`.
pub trait Named: Copy + TryFrom<i32> + 'static {
    /// What the name of each value begins with in the `.proto` file.
    const PREFIX: &'static str;

    /// The name in the `.proto` file.
    fn proto_name(self) -> &'static str;

    /// The value of a name in the `.proto` file.
    fn from_proto_name(name: &str) -> Option<Self>;

    /// The short name, for example `QUEUED`.
    fn name(self) -> &'static str {
        let name = self.proto_name();
        name.strip_prefix(Self::PREFIX).unwrap_or(name)
    }

    /// The value of a short name, in any case. `UNSPECIFIED` is not a name.
    fn from_name(name: &str) -> Option<Self> {
        let upper = name.trim().to_ascii_uppercase();
        if upper == UNSPECIFIED {
            return None;
        }
        Self::from_proto_name(&format!("{}{upper}", Self::PREFIX))
    }

    /// Every value but `UNSPECIFIED`, in the order of the numbers.
    fn all() -> Vec<Self> {
        // Numbers are dense from 1 in every enum of this API.
        (1..).map_while(|number| Self::try_from(number).ok()).collect()
    }

    /// All short names, for messages: `PENDING, QUEUED, …`.
    fn expected() -> String {
        Self::all()
            .into_iter()
            .map(Self::name)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

const UNSPECIFIED: &str = "UNSPECIFIED";

/// The short name of a number as it came over the wire; `UNSPECIFIED` for one that this version does not know.
pub fn name_of<E: Named>(number: i32) -> &'static str {
    E::try_from(number).map_or(UNSPECIFIED, Named::name)
}

macro_rules! named {
    ($($type:ident $prefix:literal),+ $(,)?) => {
        $(impl Named for v1::$type {
            const PREFIX: &'static str = $prefix;

            fn proto_name(self) -> &'static str {
                self.as_str_name()
            }

            fn from_proto_name(name: &str) -> Option<Self> {
                Self::from_str_name(name)
            }
        })+
    };
}

named! {
    RunStatus "RUN_STATUS_",
    RunReasonCode "RUN_REASON_CODE_",
    SipCodec "SIP_CODEC_",
    SipTransport "SIP_TRANSPORT_",
    EndpointPhase "ENDPOINT_PHASE_",
    EndpointOutcome "ENDPOINT_OUTCOME_",
    AssignmentStatus "ASSIGNMENT_STATUS_",
    WorkerStatus "WORKER_STATUS_",
    WorkerKind "WORKER_KIND_",
    MemberRole "MEMBER_ROLE_",
    LivenessProfile "LIVENESS_PROFILE_",
    AfterDrain "AFTER_DRAIN_",
    ResourceKind "RESOURCE_KIND_",
    ResetReason "RESET_REASON_",
    WorkerEventKind "WORKER_EVENT_KIND_",
    Role "ROLE_",
    ProbeStatus "PROBE_STATUS_",
    SkipReason "SKIP_REASON_",
    Statistic "STATISTIC_",
    Direction "DIRECTION_",
    WebhookStatus "WEBHOOK_STATUS_",
    DeliveryStatus "DELIVERY_STATUS_",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<E: Named + PartialEq + std::fmt::Debug>(count: usize) {
        let all = E::all();
        assert_eq!(all.len(), count, "{}", E::PREFIX);
        for value in all {
            assert_eq!(E::from_name(value.name()), Some(value));
            assert_eq!(
                E::from_name(&value.name().to_ascii_lowercase()),
                Some(value),
                "any case"
            );
            assert!(
                value.proto_name().starts_with(E::PREFIX),
                "{}",
                value.proto_name()
            );
        }
        assert_eq!(E::from_name("unspecified"), None);
        assert_eq!(E::from_name(""), None);
    }

    // Covers: R113, R142
    #[test]
    fn every_value_has_a_name_and_every_name_a_value() {
        round_trip::<v1::RunStatus>(6);
        round_trip::<v1::RunReasonCode>(15);
        round_trip::<v1::EndpointPhase>(8);
        round_trip::<v1::EndpointOutcome>(8);
        round_trip::<v1::AssignmentStatus>(6);
        round_trip::<v1::WorkerStatus>(6);
        round_trip::<v1::WorkerKind>(2);
        round_trip::<v1::MemberRole>(2);
        round_trip::<v1::ProbeStatus>(4);
        round_trip::<v1::SkipReason>(2);
        round_trip::<v1::Statistic>(6);
        round_trip::<v1::Direction>(2);
    }

    #[test]
    fn names_are_those_of_the_interface() {
        assert_eq!(v1::RunStatus::CannotRunForNow.name(), "CANNOT_RUN_FOR_NOW");
        assert_eq!(v1::EndpointPhase::Incall.name(), "INCALL");
        assert_eq!(v1::EndpointOutcome::Oserror.name(), "OSERROR");
        assert_eq!(name_of::<v1::WorkerStatus>(1), "ONLINE");
        assert_eq!(name_of::<v1::WorkerStatus>(99), "UNSPECIFIED");
    }
}
