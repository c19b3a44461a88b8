//! Questions about webhooks and what is on its way to them.

use std::sync::Arc;

use crate::id::{ProjectName, WebhookId};
use crate::record::{Delivery, DeliveryCounts, DeliveryKey, DeliveryStatus, Webhook};
use crate::state::State;
use crate::time::Time;

impl State {
    /// The webhook with this id.
    pub fn webhook(&self, id: WebhookId) -> Option<&Arc<Webhook>> {
        self.webhooks.get(&id)
    }

    /// The webhook of this name in a project.
    pub fn webhook_named(&self, project: &ProjectName, name: &str) -> Option<&Arc<Webhook>> {
        self.index
            .webhooks
            .by_name
            .get(&(project.clone(), name.to_owned()))
            .and_then(|id| self.webhooks.get(id))
    }

    /// All webhooks by id, oldest first.
    pub fn webhooks(&self) -> impl DoubleEndedIterator<Item = &Arc<Webhook>> {
        self.webhooks.values()
    }

    /// Webhooks of a project.
    pub fn project_webhooks<'a>(
        &'a self,
        project: &'a ProjectName,
    ) -> impl Iterator<Item = &'a Arc<Webhook>> {
        let nil = WebhookId::from_bytes([0; 16]);
        self.index
            .webhooks
            .by_project
            .range((project.clone(), nil)..)
            .take_while(move |(of, _)| of == project)
            .filter_map(|(_, id)| self.webhooks.get(id))
    }

    /// The delivery with this key.
    pub fn delivery(&self, key: DeliveryKey) -> Option<&Arc<Delivery>> {
        self.deliveries.get(&key)
    }

    /// What is on its way to a webhook, given up or kept, by number.
    pub fn deliveries(&self, webhook: WebhookId) -> impl DoubleEndedIterator<Item = &Arc<Delivery>> {
        let from = DeliveryKey { webhook, seq: 0 };
        let to = DeliveryKey {
            webhook,
            seq: u64::MAX,
        };
        self.deliveries.range(from..=to).map(|(_, delivery)| delivery)
    }

    /// How many events of a webhook are in each status.
    pub fn delivery_counts(&self, webhook: WebhookId) -> DeliveryCounts {
        self.index
            .webhooks
            .counts
            .get(&webhook)
            .copied()
            .unwrap_or_default()
    }

    /// Webhooks to which something is on its way, whatever their status.
    pub fn webhooks_with_pending(&self) -> impl Iterator<Item = &Arc<Webhook>> {
        self.index
            .webhooks
            .counts
            .iter()
            .filter(|(_, counts)| counts.pending > 0)
            .filter_map(|(id, _)| self.webhooks.get(id))
    }

    /// What may be sent to a webhook and from when on, soonest first. What an earlier event of its order holds up is not in it.
    pub fn due_deliveries(&self, webhook: WebhookId) -> impl Iterator<Item = (Time, DeliveryKey)> + '_ {
        self.index
            .webhooks
            .due
            .range((webhook, Time(0), 0)..=(webhook, Time(u64::MAX), u64::MAX))
            .map(move |(_, at, seq)| (*at, DeliveryKey { webhook, seq: *seq }))
    }

    /// When the soonest of those is due that are not due at `now`.
    pub fn due_after(&self, webhook: WebhookId, now: Time) -> Option<Time> {
        self.index
            .webhooks
            .due
            .range((webhook, Time(now.0.saturating_add(1)), 0)..=(webhook, Time(u64::MAX), u64::MAX))
            .next()
            .map(|(_, at, _)| *at)
    }

    /// A webhook's events in a status that is an end, oldest first.
    pub(crate) fn ended_deliveries(
        &self,
        webhook: WebhookId,
        status: DeliveryStatus,
    ) -> impl Iterator<Item = DeliveryKey> + '_ {
        let from = (status, DeliveryKey { webhook, seq: 0 });
        let to = (
            status,
            DeliveryKey {
                webhook,
                seq: u64::MAX,
            },
        );
        self.index.webhooks.ended.range(from..=to).map(|(_, key)| *key)
    }
}
