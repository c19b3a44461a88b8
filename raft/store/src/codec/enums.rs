//! The numbers that stand for enumerations. Never renumbered; 0 is never used.

use reeve_state::command::{ApplyMode, KeyFault, ObjectKind, ProbeMode};
use reeve_state::record::{
    Access, ChangeKind, DeliveryStatus, Direction, EvidenceKind, PlacementFilter, Role, SipCodec,
    SipTransport, SkipReason, Statistic, WebhookEventKind, WebhookStatus, WorkerEventKind, WorkerKind,
};
use reeve_state::transition::assignment::AssignmentStatus;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};
use reeve_state::transition::probe::ProbeStatus;
use reeve_state::transition::run::{RunReasonCode, RunStatus};
use reeve_state::transition::worker::{AfterDrain, Link, LivenessProfile, Resource, WorkerStatus};

use super::DecodeError;

/// An enumeration that is written as a number.
pub(super) trait Numbered: Sized {
    /// Its number.
    fn number(&self) -> u32;
    /// From its number.
    fn numbered(field: &'static str, number: u32) -> Result<Self, DecodeError>;
}

macro_rules! numbered {
    ($type:ty { $($number:literal => $variant:ident),+ $(,)? }) => {
        impl Numbered for $type {
            fn number(&self) -> u32 {
                match self {
                    $(Self::$variant => $number),+
                }
            }

            fn numbered(field: &'static str, number: u32) -> Result<Self, DecodeError> {
                match number {
                    $($number => Ok(Self::$variant),)+
                    other => Err(DecodeError::Unknown { field, value: u64::from(other) }),
                }
            }
        }
    };
}

numbered!(ApplyMode { 1 => CreateOnly, 2 => CreateOrUpdate });
numbered!(ObjectKind {
    1 => Test,
    2 => Run,
    3 => Worker,
    4 => Assignment,
    5 => Key,
    6 => Project,
    10 => Probe,
    20 => Evidence,
    21 => Summary,
    30 => Webhook,
    31 => Delivery,
    40 => Registrar,
    41 => AccountPool,
    42 => Account,
    43 => Media,
});
numbered!(KeyFault { 1 => Unknown, 2 => Revoked, 3 => Expired });
numbered!(Role { 1 => Viewer, 2 => Operator, 3 => Admin, 4 => Worker });
numbered!(Access { 1 => Read, 2 => Operate, 3 => Administer, 4 => Ping });
numbered!(WebhookEventKind { 1 => RunStatusChanged, 2 => ProbeHealthChanged, 3 => Test });
numbered!(WebhookStatus { 1 => Active, 2 => Paused, 3 => Gone });
numbered!(DeliveryStatus { 1 => Pending, 2 => Dead, 3 => Delivered });
numbered!(WorkerEventKind {
    1 => Registered,
    2 => Connected,
    3 => Suspect,
    4 => Recovered,
    5 => Disconnected,
    6 => HealthChanged,
    7 => DrainBegan,
    8 => DrainEnded,
    9 => TokenRegenerated,
    10 => TokenExpired,
    11 => Deleted,
});
numbered!(SipCodec { 1 => Pcmu, 2 => Pcma });
numbered!(SipTransport { 1 => Udp, 2 => Tcp, 3 => Tls });
numbered!(EvidenceKind { 1 => Metrics, 2 => Events, 3 => Trace });
numbered!(WorkerKind { 1 => UserOwned, 2 => Cloud });
numbered!(LivenessProfile { 1 => Session, 2 => Ping });
numbered!(AfterDrain { 1 => Disconnect, 2 => Resume });
numbered!(Link { 1 => Never, 2 => Up, 3 => Suspect, 4 => Down });
numbered!(Resource { 1 => Cpu, 2 => Memory, 3 => Disk });
numbered!(WorkerStatus { 1 => Online, 2 => Offline, 3 => Draining, 4 => Error, 5 => Unreachable, 6 => Deleted });
numbered!(AssignmentStatus { 1 => Offered, 2 => Ready, 3 => Started, 4 => Stopping, 5 => Lost, 6 => Closed });
numbered!(RunStatus { 1 => Pending, 2 => Queued, 3 => Running, 4 => Completed, 5 => Failed, 6 => CannotRunForNow });
numbered!(PlacementFilter {
    1 => OtherWorker,
    2 => OtherRegion,
    3 => LabelsDiffer,
    4 => NotOnline,
    5 => NoFreeCapacity,
});
numbered!(RunReasonCode {
    1 => NoOnlineWorkers,
    2 => WorkersBusy,
    3 => InsufficientCapacity,
    4 => PlanLimitExceeded,
    5 => CreditsExhausted,
    6 => SubscriptionInactive,
    7 => InvalidConfiguration,
    8 => WorkersNotReady,
    9 => Cancelled,
    10 => StoppedByUser,
    11 => AllWorkersDisconnected,
    12 => ExecutionTimeoutExceeded,
    13 => UnrecoverablePlatformError,
    14 => WorkerLost,
    15 => AccountsUnavailable,
});
numbered!(EndpointPhase {
    1 => Initializing,
    2 => Registered,
    3 => Calling,
    4 => Ringing,
    5 => Negotiating,
    6 => Incall,
    7 => Disconnecting,
    8 => Closed,
});
numbered!(EndpointOutcome {
    1 => Success,
    2 => CompletedWithWarnings,
    3 => RegistrationFailed,
    4 => CallFailed,
    5 => NegotiationFailed,
    6 => Timeout,
    7 => Oserror,
    8 => TeardownError,
});
numbered!(ChangeKind {
    1 => AddCapacity,
    2 => AddWorker,
    3 => ReduceEndpoints,
    4 => RemoveGroup,
    5 => Wait,
    6 => RaiseLimit,
    7 => ChangeDefinition,
    8 => StartAgain,
});
numbered!(ProbeMode { 1 => Create, 2 => CreateOrUpdate, 3 => Update });
numbered!(SkipReason { 1 => PreviousStillRunning, 2 => Missed });
numbered!(Statistic { 1 => Mean, 2 => P50, 3 => P95, 4 => P99, 5 => Min, 6 => Max });
numbered!(Direction { 1 => HigherIsBetter, 2 => LowerIsBetter });
numbered!(ProbeStatus { 1 => Healthy, 2 => Degraded, 3 => Unhealthy, 4 => Unknown });
