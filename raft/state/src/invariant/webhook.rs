//! The laws of webhooks.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{
    DeliveryCounts, DeliveryKey, DeliveryStatus, EventFacts, KEPT_DEAD, KEPT_DELIVERED, MAX_PENDING,
    OrderKey, PASSED_AFTER, Webhook, WebhookEventKind, WebhookStatus,
};
use crate::state::State;
use crate::time::Time;

pub(super) fn outbox_is_bounded(state: &State, broken: &mut Vec<String>) {
    let mut of_known = 0;
    for webhook in state.webhooks.values() {
        let mut counts = DeliveryCounts::default();
        for row in state.deliveries(webhook.id) {
            *counts.of_mut(row.status) += 1;
            of_known += 1;
            if row.key.seq == 0 || row.key.seq > webhook.last_seq {
                broken.push(format!("{:?}: the last is {}", row.key, webhook.last_seq));
            }
        }
        let kept = state.delivery_counts(webhook.id);
        if counts != kept {
            broken.push(format!("{:?}: counted {counts:?}, kept {kept:?}", webhook.id));
        }
        if counts.pending > MAX_PENDING || counts.dead > KEPT_DEAD || counts.delivered > KEPT_DELIVERED {
            broken.push(format!("{:?}: {counts:?}", webhook.id));
        }
    }
    if of_known != state.deliveries.len() {
        broken.push(format!(
            "{} events for unknown webhooks",
            state.deliveries.len() - of_known
        ));
    }
}

/// Computed from the table, row by row, as the index does not.
pub(super) fn order_is_kept(state: &State, broken: &mut Vec<String>) {
    for webhook in state.webhooks.values() {
        let mut not_before: BTreeMap<OrderKey, Option<Time>> = BTreeMap::new();
        let mut wanted = BTreeSet::new();
        let pending = |status| status == DeliveryStatus::Pending;
        for row in state.deliveries(webhook.id).filter(|row| pending(row.status)) {
            let open = not_before.entry(row.event.order()).or_insert(Some(Time(0)));
            if let Some(at) = open {
                wanted.insert((row.next_attempt_at.max(*at), row.key));
            }
            *open = match (*open, row.first_failed_at) {
                (Some(at), Some(failed)) => Some(at.max(failed + PASSED_AFTER)),
                (None, _) | (_, None) => None,
            };
        }
        let due: BTreeSet<(Time, DeliveryKey)> = state.due_deliveries(webhook.id).collect();
        if due != wanted {
            broken.push(format!("{:?}: due {due:?}, wanted {wanted:?}", webhook.id));
        }
    }
}

pub(super) fn deliveries_go_forward(before: &State, after: &State, broken: &mut Vec<String>) {
    for was in before.deliveries.values() {
        let Some(is) = after.deliveries.get(&was.key) else {
            continue;
        };
        let back = was.status == DeliveryStatus::Delivered && is.status != DeliveryStatus::Delivered;
        if back || is.event != was.event {
            broken.push(format!("{was:?} became {is:?}"));
        }
    }
}

pub(super) fn transitions_are_told(before: &State, after: &State, broken: &mut Vec<String>) {
    for run in after.runs.values() {
        let known = before.run(run.id).map_or(0, |was| was.life.timeline().len());
        for position in known..run.life.timeline().len() {
            for webhook in before.webhooks.values() {
                let told = after.deliveries(webhook.id).any(|row| {
                    row.event.revision == after.meta.revision
                        && row.event.sequence == position as u64 + 1
                        && matches!(&row.event.facts, EventFacts::Run(facts) if facts.run == run.id)
                });
                let overflowed = after
                    .webhook(webhook.id)
                    .is_none_or(|is| is.overflowed > webhook.overflowed);
                if told != (wants(webhook, run) && !overflowed) {
                    broken.push(format!(
                        "{:?} entry {position}, {:?}: told {told}",
                        run.id, webhook.id
                    ));
                }
            }
        }
    }
}

fn wants(webhook: &Webhook, run: &crate::record::Run) -> bool {
    webhook.status != WebhookStatus::Gone
        && webhook.project == run.project
        && webhook.wants(WebhookEventKind::RunStatusChanged, Some(run.test))
}

pub(super) fn health_changes_are_told(before: &State, after: &State, broken: &mut Vec<String>) {
    for probe in after.probes.values() {
        let Some(was) = before.probe(probe.id) else {
            continue;
        };
        let changed = u64::from(was.health.status() != probe.health.status());
        if probe.health_changes != was.health_changes + changed {
            broken.push(format!(
                "{:?}: {} changes after {}",
                probe.id, probe.health_changes, was.health_changes
            ));
        }
        for webhook in before.webhooks.values().filter(|_| changed > 0) {
            let told = after.deliveries(webhook.id).any(|row| {
                row.event.revision == after.meta.revision
                    && row.event.sequence == probe.health_changes
                    && matches!(&row.event.facts, EventFacts::Probe(facts) if facts.probe == probe.id)
            });
            let overflowed = after
                .webhook(webhook.id)
                .is_none_or(|is| is.overflowed > webhook.overflowed);
            let wanted = webhook.status != WebhookStatus::Gone
                && webhook.project == probe.project
                && webhook.wants(WebhookEventKind::ProbeHealthChanged, Some(probe.definition.test));
            if told != (wanted && !overflowed) {
                broken.push(format!("{:?}, {:?}: told {told}", probe.id, webhook.id));
            }
        }
    }
}
