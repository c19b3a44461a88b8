//! Webhooks: on the leader, and only there, the outbox is emptied (R214). An effect beside the reconciler: bounded, with time-outs, and
//! what it finds comes back as commands.

pub mod address;
pub(crate) mod body;
mod dispatcher;
mod post;
pub(crate) mod sign;

use std::sync::Arc;
use std::time::Duration;

use metrics::describe_counter;
use reeve_plan::webhooks::WebhookLimits;
use reeve_state::State;
use reeve_state::change::Change;
use reeve_state::command::{Command, DeliveryResult, Envelope, RecordDeliveries, Refusal};
use reeve_state::time::Time;
use reeve_store::{FeedItem, ProposeError, Store};
use tokio::sync::Notify;

use crate::context::Context;
use crate::reconciler::{elected, lost};
use dispatcher::{DELIVERIES, Dispatcher, NotRecorded, Outbox};
use post::HttpPost;

/// Wait after the log refused to be led.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);

/// Empties the outbox in each term in which this node leads, until the node stops.
pub async fn run(context: Context) {
    describe_counter!(DELIVERIES, "Attempts to post to webhooks, by what came of them.");
    let shutdown = context.shutdown.clone();
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = dispatch_when_elected(context) => {}
    }
}

async fn dispatch_when_elected(context: Context) {
    let Some(post) = poster(&context).await else {
        return;
    };
    let mut leadership = context.store.leadership();
    while let Some(lead) = elected(&context, &mut leadership).await {
        let outbox = StoreOutbox {
            store: context.store.clone(),
            term: lead.term,
        };
        let mut dispatcher = Dispatcher::new(outbox, post.clone(), WebhookLimits::default());
        let changed = Notify::new();
        tokio::select! {
            () = lost(&context, &mut leadership, lead.term) => {}
            () = follow(&context.store, &changed) => return,
            () = dispatcher.run(&changed) => {
                // The log refused this term before the watch said so. Should it not say so soon, it begins again.
                let _ = tokio::time::timeout(REFUSED_PAUSE, lost(&context, &mut leadership, lead.term)).await;
            }
        }
    }
}

async fn poster(context: &Context) -> Option<HttpPost> {
    let settings = context.config.webhooks.clone();
    let made =
        tokio::task::spawn_blocking(move || HttpPost::new(settings.allow_private, settings.timeout)).await;
    match made {
        Ok(Ok(post)) => Some(post),
        Ok(Err(error)) => {
            tracing::error!(%error, "webhooks are not sent: TLS cannot be set up");
            None
        }
        Err(error) => {
            tracing::error!(%error, "webhooks are not sent");
            None
        }
    }
}

/// Says so when webhooks or their events may have changed; returns when the store is closed.
async fn follow(store: &Store, changed: &Notify) {
    let Ok(mut feed) = store.watch(None) else { return };
    while let Some(item) = feed.next().await {
        let news = match item {
            FeedItem::Changes { changes, .. } => changes.iter().any(is_news),
            FeedItem::Reset { .. } => true,
        };
        if news {
            changed.notify_one();
        }
    }
}

/// What is delivered or forgotten makes nothing due that the dispatcher would not look for by itself.
fn is_news(change: &Change) -> bool {
    matches!(change, Change::Webhook(_) | Change::Delivery(_))
}

/// The outbox in the replicated state, in one term of leadership.
struct StoreOutbox {
    store: Store,
    term: u64,
}

impl Outbox for StoreOutbox {
    fn state(&self) -> Arc<State> {
        self.store.local()
    }

    fn now(&self) -> Time {
        self.store.cluster_now()
    }

    async fn record(&self, results: Vec<DeliveryResult>) -> Result<(), NotRecorded> {
        let command = Command::RecordDeliveries(RecordDeliveries { results });
        let envelope = Envelope::planned(command, self.term);
        let applied = match self.store.propose_local(vec![envelope]).await {
            Ok(applied) => applied,
            Err(ProposeError::NotLeader | ProposeError::Fatal(_)) => return Err(NotRecorded::LostLead),
            Err(
                error @ (ProposeError::Unavailable { .. }
                | ProposeError::OutcomeUnknown
                | ProposeError::LaneFull { .. }),
            ) => {
                tracing::warn!(%error, "what came of webhooks is not recorded yet");
                return Err(NotRecorded::Later);
            }
        };
        for applied in applied {
            match applied.result {
                Ok(_) => {
                    self.store.reached(applied.revision).await;
                }
                Err(Refusal::StaleTerm { .. }) => return Err(NotRecorded::LostLead),
                Err(refusal) => {
                    tracing::error!(%refusal, "what came of webhooks was refused");
                    return Err(NotRecorded::LostLead);
                }
            }
        }
        Ok(())
    }
}
