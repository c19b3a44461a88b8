//! What does the work: a trait that the `sim` executor implements, and later `sip` and `exec`.
//!
//! An executor is told what to do and answers with events. None of its methods waits: they are called from the loop
//! that also talks to the cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reeve_proto::response::Response;
use reeve_proto::v1::offer::Executor as Spec;
use reeve_proto::v1::{EndpointOutcome, EndpointPhase, Offer};
use tokio::sync::mpsc;
use tonic::transport::Channel;

use crate::clock::MonoMs;
use crate::ramp::Ramp;
use crate::token::Token;
use crate::trace::Traced;

/// One assignment in one of its epochs (D14).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssignmentKey {
    /// The run.
    pub run_id: Arc<str>,
    /// The epoch: a number within the run that no two of its assignments share.
    pub epoch: u64,
}

impl AssignmentKey {
    /// From the two fields that every message about an assignment carries.
    #[must_use]
    pub fn new(run_id: &str, epoch: u64) -> Self {
        Self {
            run_id: run_id.into(),
            epoch,
        }
    }
}

impl fmt::Display for AssignmentKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}", self.run_id, self.epoch)
    }
}

/// Everything that is needed to execute an assignment alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Which assignment this is.
    pub key: AssignmentKey,
    /// Name of the group.
    pub group: String,
    /// Index within the group of the first endpoint.
    pub first_endpoint: u32,
    /// How many endpoints; they are named by their offset from the first.
    pub endpoints: u32,
    /// When each endpoint of the group starts.
    pub ramp: Ramp,
    /// How long each endpoint stays in its call.
    pub duration: Duration,
    /// What to do, by kind of executor.
    pub spec: Spec,
}

impl Work {
    /// Whether its endpoints only play their calls (D14a).
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        match &self.spec {
            Spec::Sim(_) => true,
            Spec::Sip(_) => false,
        }
    }

    /// How endpoints that call register, and how long before the start instant of the calls that begins. `None`: with their own slots.
    #[must_use]
    pub fn registration(&self) -> Option<(Duration, Ramp)> {
        let Spec::Sip(offer) = &self.spec else { return None };
        let ramp = Ramp {
            buildup: Duration::from_millis(offer.register_buildup_ms),
            group_endpoints: self.ramp.group_endpoints,
        };
        Some((Duration::from_millis(offer.register_before_ms?), ramp))
    }

    /// When an endpoint is to begin, in any way: with its registration, or with its slot.
    #[must_use]
    pub fn begins(&self, start: MonoMs, index: u32) -> MonoMs {
        let Some((before, ramp)) = self.registration() else {
            return self.ramp.due(start, index);
        };
        let before = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
        ramp.due(MonoMs(start.0.saturating_sub(before)), index)
    }

    /// When an endpoint is to call, where that is known beforehand. `None`: it follows from when it begins, or it is called.
    #[must_use]
    pub fn calls(&self, start: MonoMs, index: u32) -> Option<MonoMs> {
        let Spec::Sip(offer) = &self.spec else { return None };
        let known = offer.register_before_ms.is_some() || offer.without_registration;
        known.then(|| self.ramp.due(start, index))
    }

    /// Checks an offer. The error names the field and the rule; the worker answers with it that it is not ready.
    pub fn from_offer(offer: Offer) -> Result<Self, String> {
        let past_end = offer
            .first_endpoint
            .checked_add(offer.endpoints)
            .is_none_or(|end| end > offer.group_endpoints);
        if offer.run_id.is_empty() {
            return Err("run_id: must not be empty".to_owned());
        }
        if offer.endpoints == 0 {
            return Err("endpoints: must be at least 1".to_owned());
        }
        if past_end {
            return Err(
                "first_endpoint: first_endpoint + endpoints must not exceed group_endpoints".to_owned(),
            );
        }
        let buildup = milliseconds("buildup_ms", offer.buildup_ms)?;
        let duration = milliseconds("duration_ms", offer.duration_ms)?;
        if let Some(Spec::Sip(sip)) = &offer.executor {
            for (field, value) in [
                (
                    "sip.register_before_ms",
                    sip.register_before_ms.unwrap_or_default(),
                ),
                ("sip.register_buildup_ms", sip.register_buildup_ms),
            ] {
                milliseconds(field, i64::try_from(value).unwrap_or(i64::MAX))?;
            }
        }
        let spec = offer
            .executor
            .ok_or("executor: this worker does not know the executor of the group")?;
        Ok(Self {
            key: AssignmentKey::new(&offer.run_id, offer.epoch),
            group: offer.group,
            first_endpoint: offer.first_endpoint,
            endpoints: offer.endpoints,
            ramp: Ramp {
                buildup,
                group_endpoints: offer.group_endpoints,
            },
            duration,
            spec,
        })
    }
}

/// Nothing that one endpoint does takes longer; keeps sums of times far from overflow.
const LONGEST: Duration = Duration::from_secs(400 * 24 * 3600);

fn milliseconds(field: &str, value: i64) -> Result<Duration, String> {
    let time = u64::try_from(value)
        .map(Duration::from_millis)
        .ok()
        .filter(|time| *time <= LONGEST);
    time.ok_or_else(|| {
        format!(
            "{field}: must be between 0 and {} ms, is {value}",
            LONGEST.as_millis()
        )
    })
}

/// One step of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointChange {
    /// Offset from the assignment's first endpoint.
    pub offset: u32,
    /// The phase it is in now; forward only.
    pub phase: EndpointPhase,
    /// How it ended; unspecified before CLOSED.
    pub outcome: EndpointOutcome,
}

/// The same figures of many endpoints at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// When.
    pub at: MonoMs,
    /// What was measured.
    pub metrics: Vec<&'static str>,
    /// Of which endpoints: offsets from the assignment's first.
    pub offsets: Vec<u32>,
    /// For each endpoint a value of each metric, in thousandths of its unit.
    pub values: Vec<i64>,
    /// How requests of each of them were answered.
    pub responses: Vec<Response>,
}

impl Samples {
    /// How many endpoints.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Each endpoint with its values.
    pub fn rows(&self) -> impl Iterator<Item = (u32, &[i64])> {
        let width = self.metrics.len();
        let values = move |at: usize| self.values.get(at * width..(at + 1) * width);
        let offsets = self.offsets.iter().copied().enumerate();
        offsets.filter_map(move |(at, offset)| Some((offset, values(at)?)))
    }
}

/// What an executor has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer to `prepare`: ready, or why not.
    Prepared(AssignmentKey, Result<(), String>),
    /// Endpoints moved at that instant. Later changes of the same endpoint come later in the list.
    Changed(AssignmentKey, MonoMs, Vec<EndpointChange>),
    /// Endpoints were measured.
    Sampled(AssignmentKey, Samples),
    /// Endpoints sent and received messages, or ended. Only of assignments that are not simulated, and before the CLOSED of the endpoint.
    Traced(AssignmentKey, Traced),
}

/// Where executors put their events. Cheap to clone; never blocks.
#[derive(Clone, Debug)]
pub struct EventSink(mpsc::UnboundedSender<Event>);

impl EventSink {
    /// A sink and the end where its events come out. The reader keeps only the last state of each endpoint, so the
    /// queue stays short as long as it is read.
    #[must_use]
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Hands an event over. After the agent has ended there is nobody to tell.
    pub fn emit(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

/// Executes endpoints of one kind.
pub trait Executor: Send + Sync {
    /// Gets ready to start; always answers with [`Event::Prepared`], before any other event of the assignment.
    fn prepare(&self, work: &Arc<Work>);

    /// Begins. `start` is the common instant of all workers, which may be past. Every endpoint reports its phases and
    /// in the end CLOSED with an outcome.
    fn start(&self, key: &AssignmentKey, start: MonoMs);

    /// Hangs up whatever goes on, in order. Endpoints that have not ended by themselves end with `outcome`; without
    /// one, with SUCCESS if they were in their call and with COMPLETED_WITH_WARNINGS if they had not come that far:
    /// they were asked to stop, nothing failed. What already disconnects ends as it would have.
    fn hang_up(&self, key: &AssignmentKey, outcome: Option<EndpointOutcome>);

    /// Forgets the assignment at once and says nothing more about it.
    fn release(&self, key: &AssignmentKey);

    /// A session stands: what an executor needs from the cluster beside it goes over this connection, with this token.
    fn connected(&self, _channel: &Channel, _token: &Token) {}

    /// How it keeps up; `None`: nothing of its own runs.
    fn load(&self) -> Option<Load> {
        None
    }
}

/// How an executor with a thread of its own keeps up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Of a core, 0 to 100. At 100 it has more to do than there is time for.
    pub percent: u32,
    /// Calls whose media it plays.
    pub calls: usize,
    /// Packets that were due since its start.
    pub due: u64,
    /// Packets that were sent.
    pub sent: u64,
    /// Packets that were too late or not sent at all.
    pub missed: u64,
    /// How late the latest packet of the last second was.
    pub lateness: Duration,
}

/// The executors of this process.
#[derive(Clone)]
pub struct Executors {
    /// Scripted endpoints.
    pub sim: Arc<dyn Executor>,
    /// SIP user agents; `None`: offers of such are answered with not ready.
    pub sip: Option<Arc<dyn Executor>>,
}

impl Executors {
    /// A session stands, see [`Executor::connected`].
    pub fn connected(&self, channel: &Channel, token: &Token) {
        for executor in std::iter::once(&self.sim).chain(&self.sip) {
            executor.connected(channel, token);
        }
    }

    /// See [`Executor::load`].
    #[must_use]
    pub fn load(&self) -> Option<Load> {
        self.sip.as_ref()?.load()
    }

    /// The one for a piece of work.
    #[must_use]
    pub fn of(&self, work: &Work) -> &dyn Executor {
        match &work.spec {
            Spec::Sim(_) => self.sim.as_ref(),
            // The other one answers that it is not ready.
            Spec::Sip(_) => self.sip.as_ref().unwrap_or(&self.sim).as_ref(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reeve_proto::v1::SimExecutor;

    use super::*;

    type Spoil = fn(&mut Offer);

    #[test]
    fn an_unusable_offer_is_refused_with_field_and_rule() {
        let good = Offer {
            run_id: "r".into(),
            epoch: 1,
            group: "g".into(),
            first_endpoint: 10,
            endpoints: 5,
            group_endpoints: 15,
            buildup_ms: 5_000,
            duration_ms: 20_000,
            executor: Some(Spec::Sim(SimExecutor::default())),
        };
        assert_eq!(
            Work::from_offer(good.clone()).unwrap().ramp.buildup,
            Duration::from_secs(5)
        );
        let bad: [(&str, Spoil); 7] = [
            ("sip.register_before_ms", |offer| {
                offer.executor = Some(Spec::Sip(reeve_proto::v1::SipOffer {
                    register_before_ms: Some(u64::MAX),
                    ..Default::default()
                }));
            }),
            ("run_id", |offer| offer.run_id.clear()),
            ("endpoints", |offer| offer.endpoints = 0),
            ("first_endpoint", |offer| offer.first_endpoint = 11),
            ("buildup_ms", |offer| offer.buildup_ms = -1),
            ("duration_ms", |offer| offer.duration_ms = i64::MAX),
            ("executor", |offer| offer.executor = None),
        ];
        for (field, spoil) in bad {
            let mut offer = good.clone();
            spoil(&mut offer);
            let rule = Work::from_offer(offer).unwrap_err();
            assert!(rule.starts_with(&format!("{field}: ")), "{rule}");
        }
    }
}
