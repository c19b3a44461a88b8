//! Which webhooks there are for a project, and which of their events is to be sent when.

use imbl::{OrdMap, OrdSet};

use crate::change::Delta;
use crate::id::{ProjectName, WebhookId};
use crate::record::{Delivery, DeliveryCounts, DeliveryKey, DeliveryStatus, OrderKey, PASSED_AFTER, Webhook};
use crate::time::Time;

/// Part of the state's indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WebhookIndex {
    pub(crate) by_name: OrdMap<(ProjectName, String), WebhookId>,
    pub(crate) by_project: OrdSet<(ProjectName, WebhookId)>,
    /// Webhooks without any event are not in here.
    pub(crate) counts: OrdMap<WebhookId, DeliveryCounts>,
    /// By status, for what is not PENDING.
    pub(crate) ended: OrdSet<(DeliveryStatus, DeliveryKey)>,
    /// PENDING ones, those of one order beside each other.
    waiting: OrdMap<(WebhookId, OrderKey, u64), Waiting>,
    /// PENDING ones that no earlier one of their order holds up for ever, by when they may be sent.
    pub(crate) due: OrdSet<(WebhookId, Time, u64)>,
}

/// What the order of sending needs of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    next_attempt_at: Time,
    first_failed_at: Option<Time>,
}

impl WebhookIndex {
    pub(crate) fn webhook(&mut self, delta: &Delta<WebhookId, Webhook>) {
        if let Some(row) = &delta.before {
            self.by_project.remove(&(row.project.clone(), row.id));
            if !row.name.is_empty() {
                self.by_name.remove(&(row.project.clone(), row.name.clone()));
            }
        }
        if let Some(row) = &delta.after {
            self.by_project.insert((row.project.clone(), row.id));
            if !row.name.is_empty() {
                self.by_name
                    .insert((row.project.clone(), row.name.clone()), row.id);
            }
        }
    }

    pub(crate) fn delivery(&mut self, delta: &Delta<DeliveryKey, Delivery>) {
        let order = delta
            .before
            .iter()
            .chain(&delta.after)
            .map(|row| row.event.order())
            .next();
        // A delta has a row before or after; without any there is nothing to do.
        let Some(order) = order else { return };
        let webhook = delta.key.webhook;
        self.forget_due(webhook, order);
        if let Some(row) = &delta.before {
            self.count(webhook, row.status, false);
            self.ended.remove(&(row.status, row.key));
            self.waiting.remove(&(webhook, order, row.key.seq));
        }
        if let Some(row) = &delta.after {
            self.count(webhook, row.status, true);
            match row.status {
                DeliveryStatus::Pending => {
                    let waiting = Waiting {
                        next_attempt_at: row.next_attempt_at,
                        first_failed_at: row.first_failed_at,
                    };
                    self.waiting.insert((webhook, order, row.key.seq), waiting);
                }
                DeliveryStatus::Dead | DeliveryStatus::Delivered => {
                    self.ended.insert((row.status, row.key));
                }
            }
        }
        self.learn_due(webhook, order);
    }

    fn count(&mut self, webhook: WebhookId, status: DeliveryStatus, more: bool) {
        let mut counts = self.counts.get(&webhook).copied().unwrap_or_default();
        let count = counts.of_mut(status);
        *count = if more {
            count.saturating_add(1)
        } else {
            count.saturating_sub(1)
        };
        if counts == DeliveryCounts::default() {
            self.counts.remove(&webhook);
        } else {
            self.counts.insert(webhook, counts);
        }
    }

    fn forget_due(&mut self, webhook: WebhookId, order: OrderKey) {
        for entry in self.sendable(webhook, order) {
            self.due.remove(&entry);
        }
    }

    fn learn_due(&mut self, webhook: WebhookId, order: OrderKey) {
        for entry in self.sendable(webhook, order) {
            self.due.insert(entry);
        }
    }

    /// The events of an order that may be sent some time before an earlier one is settled: the first, and those behind
    /// ones that have been failing, ten minutes after these began to.
    fn sendable(&self, webhook: WebhookId, order: OrderKey) -> Vec<(WebhookId, Time, u64)> {
        let mut sendable = Vec::new();
        let mut not_before = Time(0);
        let range = (webhook, order, 0)..=(webhook, order, u64::MAX);
        for ((_, _, seq), waiting) in self.waiting.range(range) {
            sendable.push((webhook, waiting.next_attempt_at.max(not_before), *seq));
            match waiting.first_failed_at {
                Some(at) => not_before = not_before.max(at + PASSED_AFTER),
                None => break,
            }
        }
        sendable
    }
}
