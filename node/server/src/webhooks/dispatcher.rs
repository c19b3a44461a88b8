//! The loop that empties the outbox: what is due is posted, what came of it goes into the log, and the next is looked for.
//!
//! It keeps nothing that is not in the state but which attempts are under way. Whoever leads next begins with what the log says, so an
//! event can be posted twice, and is never left out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use reeve_plan::webhooks::{WebhookLimits, plan};
use reeve_state::State;
use reeve_state::command::{AttemptOutcome, DeliveryResult};
use reeve_state::definition::parse_webhook_url;
use reeve_state::id::WebhookId;
use reeve_state::record::{DeliveryKey, RETRIES};
use reeve_state::time::Time;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::body::{body, message_id};
use super::post::{Message, Post};
use super::sign::signatures;

/// Changes and results that come within this time are looked at together.
const DEBOUNCE: Duration = Duration::from_millis(5);
/// The longest sleep: cluster time is slewed, so far deadlines are measured again.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Wait after results could not be recorded.
const RECORD_PAUSE: Duration = Duration::from_millis(500);
/// Most results in one command.
const MOST_RECORDED: usize = 200;

/// Counts attempts by what came of them.
pub(super) const DELIVERIES: &str = "reeve_webhook_deliveries_total";

/// Why results are not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotRecorded {
    /// This node does not lead any more: somebody else makes the attempts again.
    LostLead,
    /// It may work later.
    Later,
}

/// The state and the log, as far as the dispatcher needs them.
pub(super) trait Outbox: Send + Sync + 'static {
    /// The newest state.
    fn state(&self) -> Arc<State>;
    /// Cluster time.
    fn now(&self) -> Time;
    /// Records what came of attempts; [`Outbox::state`] shows it when this is done.
    fn record(&self, results: Vec<DeliveryResult>) -> impl Future<Output = Result<(), NotRecorded>> + Send;
}

/// Empties the outbox for as long as this node leads.
pub(super) struct Dispatcher<O, P> {
    outbox: O,
    post: P,
    limits: WebhookLimits,
    tasks: JoinSet<AttemptOutcome>,
    attempts: HashMap<Id, (DeliveryKey, u32)>,
    /// Posted or to be recorded.
    under_way: BTreeSet<DeliveryKey>,
    settled: Vec<DeliveryResult>,
    last: Option<WebhookId>,
}

impl<O: Outbox, P: Post> Dispatcher<O, P> {
    pub(super) fn new(outbox: O, post: P, limits: WebhookLimits) -> Self {
        Self {
            outbox,
            post,
            limits,
            tasks: JoinSet::new(),
            attempts: HashMap::new(),
            under_way: BTreeSet::new(),
            settled: Vec::new(),
            last: None,
        }
    }

    /// Works until the log refuses this node's results. `changed` is told when webhooks or their events may have changed.
    pub(super) async fn run(&mut self, changed: &Notify) {
        loop {
            let next = self.look();
            let wake = next;
            tokio::select! {
                () = changed.notified() => tokio::time::sleep(DEBOUNCE).await,
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.ended(ended);
                    tokio::time::sleep(DEBOUNCE).await;
                }
                () = tokio::time::sleep_until(wake) => {}
            }
            while let Some(ended) = self.tasks.try_join_next_with_id() {
                self.ended(ended);
            }
            match self.record().await {
                Ok(()) => {}
                Err(NotRecorded::LostLead) => return,
                Err(NotRecorded::Later) => tokio::time::sleep(RECORD_PAUSE).await,
            }
        }
    }

    /// Begins what is due; says when to look again.
    fn look(&mut self) -> Instant {
        let (state, now) = (self.outbox.state(), self.outbox.now());
        let plan = plan(&state, now, &self.under_way, self.last, self.limits);
        for key in plan.send {
            self.begin(&state, now, key);
        }
        let sleep = plan.next_wake.map_or(LONGEST_SLEEP, |at| {
            Duration::from_millis(at.since(now).0).min(LONGEST_SLEEP)
        });
        Instant::now() + sleep
    }

    fn begin(&mut self, state: &State, now: Time, key: DeliveryKey) {
        let (Some(webhook), Some(delivery)) = (state.webhook(key.webhook), state.delivery(key)) else {
            return;
        };
        let attempt = delivery.attempts.saturating_add(1);
        self.under_way.insert(key);
        self.last = Some(key.webhook);
        let url = match parse_webhook_url(&webhook.url) {
            Ok(url) => url,
            Err(rule) => {
                let outcome = AttemptOutcome::Failed(format!("the address {rule}"));
                self.settle(key, attempt, outcome);
                return;
            }
        };
        let (id, timestamp) = (message_id(key), now.0 / 1_000);
        let body = body(webhook, &delivery.event);
        let message = Message {
            url,
            signature: signatures(webhook.secrets(now), &id, timestamp, &body),
            id,
            timestamp,
            body,
        };
        let post = self.post.clone();
        let task = self.tasks.spawn(async move { post.post(message).await });
        self.attempts.insert(task.id(), (key, attempt));
    }

    fn ended(&mut self, ended: Result<(Id, AttemptOutcome), JoinError>) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "an attempt to post a webhook ended in a fault");
                let outcome = AttemptOutcome::Failed("a fault of the node".to_owned());
                (error.id(), outcome)
            }
        };
        if let Some((key, attempt)) = self.attempts.remove(&id) {
            self.settle(key, attempt, outcome);
        }
    }

    fn settle(&mut self, key: DeliveryKey, attempt: u32, outcome: AttemptOutcome) {
        let result = counted_as(&outcome, attempt);
        metrics::counter!(DELIVERIES, "result" => result).increment(1);
        tracing::debug!(webhook = %key.webhook, seq = key.seq, attempt, ?outcome, result, "webhook posted");
        self.settled.push(DeliveryResult {
            key,
            attempt,
            outcome,
        });
    }

    async fn record(&mut self) -> Result<(), NotRecorded> {
        while !self.settled.is_empty() {
            let count = self.settled.len().min(MOST_RECORDED);
            let results: Vec<DeliveryResult> = self.settled[..count].to_vec();
            self.outbox.record(results).await?;
            for result in self.settled.drain(..count) {
                self.under_way.remove(&result.key);
            }
        }
        Ok(())
    }
}

fn counted_as(outcome: &AttemptOutcome, attempt: u32) -> &'static str {
    let last = usize::try_from(attempt).is_ok_and(|attempt| attempt > RETRIES.len());
    match outcome {
        AttemptOutcome::Answered(200..=299) => "delivered",
        AttemptOutcome::Answered(410) => "gone",
        AttemptOutcome::Answered(_) | AttemptOutcome::Failed(_) if last => "dead",
        AttemptOutcome::Answered(_) | AttemptOutcome::Failed(_) => "failed",
    }
}

#[cfg(test)]
mod tests;
