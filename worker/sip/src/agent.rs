//! The life of one endpoint: it waits for its slot, registers, calls or is called, takes its registration back, and is closed.

mod call;
mod caller;
mod receiver;

use std::sync::Arc;
use std::time::{Duration, Instant};

use reeve_media::{Interval, Totals};
use reeve_proto::response::{Answer, Request, Response};
use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::desk::{Desk, Media};
use crate::ending::{Ending, Unregistered, Warning, responses};
use crate::figures::Figures;
use crate::pace::{Slot, Slots};
use crate::plan::{Plan, Role};
use crate::register::Registration;
use crate::stack::{Line, Stack};
use crate::tap::{Fault, Message};

/// Longest time that a farewell to the registrar may take.
const FAREWELL: Duration = Duration::from_secs(4);
/// A registration is refreshed when this share of it has passed.
const REFRESH_SHARE: f64 = 0.8;

/// What an endpoint has to say.
#[derive(Clone, Debug)]
pub enum Update {
    /// It entered a phase.
    Phase(Phase),
    /// A second of its media.
    Interval(Interval),
    /// Messages that it sent and received since it said so last.
    Trace(Vec<Message>),
    /// It is closed. The last word.
    Closed(Box<Closed>),
}

/// Everything that is known of an endpoint in the end.
#[derive(Clone, Debug)]
pub struct Closed {
    /// How it ended.
    pub ending: Ending,
    /// The times of its call.
    pub figures: Figures,
    /// How its requests were answered.
    pub responses: Vec<Response>,
    /// Sums over its media, if there was any.
    pub media: Option<Totals>,
    /// Messages that the trace has no room for.
    pub dropped: u32,
}

/// An order to hang up: with this outcome, or with what the moment suggests.
pub type HangUp = Option<Outcome>;
/// Where the order comes from; `None`: not yet.
pub type Orders = watch::Receiver<Option<HangUp>>;

/// Where updates go. It is called from the endpoint's task and must not wait.
pub type Say = Box<dyn Fn(Update) + Send + Sync>;

/// What endpoints share.
#[derive(Clone)]
pub struct Shared {
    /// The SIP stack.
    pub stack: Stack,
    /// The media engine.
    pub desk: Desk,
}

/// One endpoint.
pub struct Agent {
    plan: Arc<Plan>,
    line: Arc<Line>,
    calls: mpsc::UnboundedReceiver<Transaction>,
    desk: Desk,
    orders: Orders,
    say: Say,
    warnings: Vec<Warning>,
    totals: Option<Totals>,
}

impl Agent {
    /// One that is reached as `user`, which no other endpoint of the stack may be.
    #[must_use]
    pub fn new(plan: Plan, shared: &Shared, user: String, orders: Orders, say: Say) -> Self {
        let (line, calls) = shared.stack.line(user);
        Self {
            plan: Arc::new(plan),
            line,
            calls,
            desk: shared.desk.clone(),
            orders,
            say,
            warnings: Vec::new(),
            totals: None,
        }
    }

    /// Lives from its slot to its end, alone.
    pub async fn run(self, slot: Instant) {
        let begin = Slot::alone(slot);
        self.run_in(Slots { begin, call: None }).await;
    }

    /// Lives from its first slot to its end.
    pub async fn run_in(mut self, slots: Slots) {
        let mut orders = self.orders.clone();
        let ending = tokio::select! {
            biased;
            order = ordered(&mut orders) => stopped(order),
            () = slots.begin.come() => self.live(&slots).await,
        };
        self.trace();
        let (times, codes) = (self.line.tap.times(), self.line.tap.codes());
        let calls = matches!(self.plan.role, Role::Caller { .. });
        let closed = Closed {
            responses: responses(&times, &codes, calls, &ending),
            ending,
            figures: Figures::of(&times, &codes),
            media: self.totals.take(),
            dropped: self.line.tap.dropped(),
        };
        self.tell(Update::Closed(Box::new(closed)));
    }

    async fn live(&mut self, slots: &Slots) -> Ending {
        let begun = slots.begin.due.max(Instant::now());
        self.enter(Phase::Initializing);
        let media = match self.desk.open(self.line.stack().local().ip()) {
            Ok(media) => media,
            Err(error) => return Ending::new(Outcome::Oserror, format!("RTP port: {error}")),
        };
        let Some(expires) = self.plan.register else {
            return self.talk(slots, begun, media).await;
        };
        let mut registration = Registration::new(&self.line, &self.plan, expires);
        let mut orders = self.orders.clone();
        let registered = tokio::select! {
            biased;
            order = ordered(&mut orders) => Err(order),
            answer = registration.register() => Ok(answer),
        };
        match registered {
            Ok(Ok(granted)) => {
                self.enter(Phase::Registered);
                let ending = tokio::select! {
                    why = keep(&mut registration, granted) => why,
                    ending = self.talk(slots, begun, media) => ending,
                };
                self.unregister(&mut registration).await;
                ending
            }
            Ok(Err(why)) => self.unregistered(why),
            Err(order) => {
                // The registrar may have heard it, and bind what nobody waits at any more.
                if self.line.tap.times().register.is_some() {
                    self.unregister(&mut registration).await;
                }
                stopped(order)
            }
        }
    }

    async fn unregister(&self, registration: &mut Registration) {
        self.enter(Phase::Disconnecting);
        if timeout(FAREWELL, registration.unregister()).await.is_err() {
            tracing::debug!(user = %self.plan.account.username, "the registrar did not answer the farewell");
        }
    }

    async fn talk(&mut self, slots: &Slots, begun: Instant, media: Media) -> Ending {
        let plan = Arc::clone(&self.plan);
        match &plan.role {
            Role::Caller {
                target,
                answer_timeout,
                actions,
            } => {
                let own = || Slot::alone(begun + plan.lead);
                let slot = slots.call.clone().unwrap_or_else(own);
                let mut orders = self.orders.clone();
                tokio::select! {
                    biased;
                    order = ordered(&mut orders) => return stopped(order),
                    () = slot.come() => {}
                }
                self.call(target, *answer_timeout, actions, media).await
            }
            Role::Receiver { ring, wait } => self.receive(*ring, begun + *wait, media).await,
        }
    }

    /// A registration that could not even be sent, or not again with credentials, may be the system's fault, not the registrar's.
    fn unregistered(&self, why: Unregistered) -> Ending {
        let unsent = match &why {
            Unregistered::Silence => self.line.tap.why_unsent("REGISTER"),
            Unregistered::Challenged(_)
            | Unregistered::OtherRealm
            | Unregistered::TooBrief
            | Unregistered::Refused(_)
            | Unregistered::NotOurs
            | Unregistered::Unreachable(_)
            | Unregistered::Unknown => None,
        };
        match unsent {
            Some(unsent) if unsent.fault == Fault::Ours => {
                let ending = Ending::new(Outcome::Oserror, format!("REGISTER: {}", unsent.why));
                ending.after(Request::Register, Answer::NotSent)
            }
            Some(unsent) => Unregistered::Unreachable(unsent.why).ending(),
            None => why.ending(),
        }
    }

    fn enter(&self, phase: Phase) {
        self.tell(Update::Phase(phase));
        self.trace();
    }

    fn trace(&self) {
        let messages = self.line.tap.take();
        if !messages.is_empty() {
            self.tell(Update::Trace(messages));
        }
    }

    fn tell(&self, update: Update) {
        (self.say)(update);
    }

    fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }
}

/// Waits for an order to hang up.
async fn ordered(orders: &mut Orders) -> HangUp {
    let order = orders.wait_for(Option::is_some).await.map(|order| *order);
    match order {
        Ok(order) => order.flatten(),
        // Nobody can order anything any more.
        Err(_) => std::future::pending().await,
    }
}

/// Stopped before its call: nothing failed, but it did not do what it was there for.
fn stopped(order: HangUp) -> Ending {
    Ending::new(
        order.unwrap_or(Outcome::CompletedWithWarnings),
        Warning::Stopped.to_string(),
    )
}

/// Keeps a registration fresh for as long as it is asked to. It never ends by itself: a call does not end because the registrar is
/// gone, and the binding may live on.
async fn keep(registration: &mut Registration, granted: Duration) -> Ending {
    let mut granted = granted;
    loop {
        sleep(granted.mul_f64(REFRESH_SHARE).max(Duration::from_secs(1))).await;
        match registration.register().await {
            Ok(next) => granted = next,
            Err(why) => tracing::debug!(?why, "a registration was not refreshed"),
        }
    }
}
