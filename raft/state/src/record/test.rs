//! A test: a named definition that runs execute.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{ProjectName, Revision, TestId, WorkerId};
use crate::record::RequestKey;
use crate::time::{Millis, Time};
use crate::transition::endpoint::EndpointOutcome;

/// A named definition (D27b).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Test {
    /// Its id.
    pub id: TestId,
    /// Whose it is; its runs are too (D27a).
    pub project: ProjectName,
    /// Rises by one with each change of the definition.
    pub version: u32,
    /// What a run of it executes; its name is the test's.
    pub definition: Arc<TestDefinition>,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// The request that created it, remembered as long as the test lives.
    pub created_by: Option<RequestKey>,
    /// Of its last change.
    pub revision: Revision,
}

/// What a run executes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TestDefinition {
    /// Unique among the tests of a project.
    pub name: String,
    /// How long each endpoint stays in its call.
    pub duration: Millis,
    /// Endpoints start evenly over this time (R145).
    pub buildup: Millis,
    /// How long a run may wait in QUEUED for capacity (D11).
    pub queue_timeout: Millis,
    /// Safety limit of RUNNING (D12).
    pub max_execution: Millis,
    /// At least one.
    pub groups: Vec<Group>,
    /// What becomes of a run that loses workers while it executes.
    pub on_worker_loss: OnWorkerLoss,
}

/// What becomes of a run that loses some of its workers in RUNNING. Losing all of them fails it whatever this says (D12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnWorkerLoss {
    /// The endpoints lost end `OSERROR` and the run goes on (D12).
    #[default]
    Continue,
    /// The first worker lost fails it.
    Fail,
    /// It fails once more than this share of its endpoints was lost with workers.
    FailAbove {
        /// Parts per million of the run's endpoints, below 1,000,000.
        share_ppm: u32,
    },
}

impl TestDefinition {
    /// Endpoints of all groups.
    pub fn endpoints(&self) -> u32 {
        self.groups
            .iter()
            .map(|group| group.endpoints)
            .fold(0, u32::saturating_add)
    }
}

/// Endpoints that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// Unique within the definition.
    pub name: String,
    /// How many.
    pub endpoints: u32,
    /// Where they may run.
    pub selector: Selector,
    /// What they do.
    pub executor: Executor,
    /// The group that they call, by name: its endpoints are in place before these start.
    pub callee: Option<String>,
}

/// Which workers a group may use; nothing set: any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Only workers of this region (R95).
    pub region: Option<String>,
    /// Only this worker (R96).
    pub worker: Option<WorkerId>,
    /// Only workers with all of these labels.
    pub labels: BTreeMap<String, String>,
}

/// What the endpoints of a group do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Executor {
    /// A scripted walk through the phases.
    Sim(SimExecutor),
    /// A SIP user agent.
    Sip(SipExecutor),
}

/// Settings of endpoints that are SIP user agents. They call the group's callee, else `uri`, else they wait for calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipExecutor {
    /// Name of the registrar where their accounts register.
    pub registrar: String,
    /// Name of the pool that has an account for each of them.
    pub accounts: String,
    /// A SIP URI that all of them call.
    pub uri: Option<String>,
    /// In the order of preference.
    pub codecs: Vec<SipCodec>,
    /// Name of the media file that they send; `None`: a tone.
    pub media: Option<String>,
    /// Whether the receiving side conceals lost packets, for the quality figures.
    pub packet_loss_concealment: bool,
    /// How long a caller waits for an answer once it rings.
    pub answer_timeout: Millis,
    /// How long one that is called rings before it answers.
    pub ring: Millis,
    /// What REGISTER asks for; whole seconds.
    pub register_expires: Millis,
    /// Over what time they register; `None`: the definition's build-up.
    pub register_buildup: Option<Millis>,
    /// What callers do in their calls, in order of time.
    pub actions: Vec<SipAction>,
    /// Whether traces keep credentials as they were sent.
    pub trace_credentials: bool,
}

/// How audio is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SipCodec {
    /// G.711, µ-law.
    Pcmu = 1,
    /// G.711, A-law.
    Pcma = 2,
}

impl SipCodec {
    /// All of them, in the order that is preferred unless a definition says otherwise.
    pub const ALL: [Self; 2] = [Self::Pcmu, Self::Pcma];
}

/// What a caller does in its call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipAction {
    /// Since the call was answered.
    pub at: Millis,
    /// What.
    pub deed: SipDeed,
}

/// See [`SipAction`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SipDeed {
    /// Sends these digits (RFC 4733).
    Dtmf(String),
    /// Puts the call on hold, or takes it back.
    Hold(bool),
}

/// Script of simulated endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SimExecutor {
    /// Least time from an endpoint's start to INCALL.
    pub setup_min: Millis,
    /// Most time from an endpoint's start to INCALL.
    pub setup_max: Millis,
    /// Shares of the outcomes; empty: all SUCCESS.
    pub outcomes: Vec<OutcomeShare>,
    /// What the calls are said to sound like (D14a); `None`: nothing is said.
    pub quality: Option<SimQuality>,
}

/// Scripted quality figures, drawn for each endpoint and second of its call (D14a).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SimQuality {
    /// Mean opinion score, 1 to 5.
    pub mos: Option<Span>,
    /// Milliseconds.
    pub jitter_ms: Option<Span>,
    /// Milliseconds.
    pub rtt_ms: Option<Span>,
    /// Share of packets, 0 to 1.
    pub fraction_lost: Option<Span>,
}

/// From the least to the most, both in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The least.
    pub min_milli: u32,
    /// The most.
    pub max_milli: u32,
}

/// How many of a group's endpoints end in an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OutcomeShare {
    /// The outcome.
    pub outcome: EndpointOutcome,
    /// Parts per million.
    pub share_ppm: u32,
}
