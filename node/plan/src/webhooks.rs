//! Which events are sent to webhooks now: what is due, in turn for every webhook, within bounds (R214).

use std::collections::{BTreeMap, BTreeSet};

use reeve_state::State;
use reeve_state::id::WebhookId;
use reeve_state::record::{DeliveryKey, WebhookStatus};
use reeve_state::time::Time;

/// How much is sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookLimits {
    /// To all webhooks together.
    pub in_all: usize,
    /// To one webhook, so that a slow one does not take the place of the others.
    pub to_one: usize,
}

impl Default for WebhookLimits {
    fn default() -> Self {
        Self {
            in_all: 32,
            to_one: 4,
        }
    }
}

/// What is sent now, and when to look again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookPlan {
    /// To be sent.
    pub send: Vec<DeliveryKey>,
    /// When more is due, if nothing changes until then; `None`: not before something changes or is settled.
    pub next_wake: Option<Time>,
}

/// What is due at `now` and not under way. Webhooks after `last` come first, so that all of them get their turn.
pub fn plan(
    state: &State,
    now: Time,
    under_way: &BTreeSet<DeliveryKey>,
    last: Option<WebhookId>,
    limits: WebhookLimits,
) -> WebhookPlan {
    let mut queues = due_by_webhook(state, now, under_way, limits);
    let mut plan = WebhookPlan {
        send: Vec::new(),
        next_wake: next_wake(state, now),
    };
    let mut free = limits.in_all.saturating_sub(under_way.len());
    let mut turn: Vec<WebhookId> = queues.keys().copied().collect();
    let first = turn.partition_point(|id| last.is_some_and(|last| *id <= last));
    turn.rotate_left(first);
    // One of each webhook, then another of each.
    while free > 0 && !queues.is_empty() {
        for id in &turn {
            let Some(queue) = queues.get_mut(id) else { continue };
            match queue.pop() {
                Some(key) if free > 0 => {
                    plan.send.push(key);
                    free -= 1;
                }
                Some(_) => {}
                None => {
                    queues.remove(id);
                }
            }
        }
    }
    plan
}

/// What each webhook may be sent now, the last of the list first.
fn due_by_webhook(
    state: &State,
    now: Time,
    under_way: &BTreeSet<DeliveryKey>,
    limits: WebhookLimits,
) -> BTreeMap<WebhookId, Vec<DeliveryKey>> {
    let mut queues = BTreeMap::new();
    for webhook in state.webhooks_with_pending() {
        if webhook.status != WebhookStatus::Active {
            continue;
        }
        let id = webhook.id;
        let from = DeliveryKey { webhook: id, seq: 0 };
        let to = DeliveryKey {
            webhook: id,
            seq: u64::MAX,
        };
        let room = limits.to_one.saturating_sub(under_way.range(from..=to).count());
        let mut queue: Vec<DeliveryKey> = state
            .due_deliveries(id)
            .take_while(|(at, _)| *at <= now)
            .map(|(_, key)| key)
            .filter(|key| !under_way.contains(key))
            .take(room)
            .collect();
        queue.reverse();
        if !queue.is_empty() {
            queues.insert(id, queue);
        }
    }
    queues
}

/// The soonest event that is not due yet. What is due and not sent waits for another to end, which is a change.
fn next_wake(state: &State, now: Time) -> Option<Time> {
    state
        .webhooks_with_pending()
        .filter(|webhook| webhook.status == WebhookStatus::Active)
        .filter_map(|webhook| state.due_after(webhook.id, now))
        .min()
}
