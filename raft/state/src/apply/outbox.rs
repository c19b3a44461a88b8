//! The outbox of webhooks: events go in with the change that they tell of, and out with what came of their attempts (R214).

use std::sync::Arc;

use crate::apply::tx::Tx;
use crate::command::{AttemptOutcome, DeliveryResult, RecordDeliveries, Refusal, Reply};
use crate::id::{ProjectName, WebhookId};
use crate::record::{
    Attempt, Delivery, DeliveryKey, DeliveryStatus, EventFacts, KEPT_DEAD, KEPT_DELIVERED, MAX_PENDING,
    Probe, ProbeFacts, RETRIES, Run, RunFacts, Webhook, WebhookEvent, WebhookStatus,
};
use crate::time::{Millis, Time};

/// Longest text of an error that is kept, in bytes.
const MAX_ERROR_BYTES: usize = 256;

/// Tells of the statuses that `after` has and `before` has not.
pub(super) fn run_changed(tx: &mut Tx<'_>, before: Option<&Run>, after: &Run) {
    let timeline = after.life.timeline();
    let known = before.map_or(0, |before| before.life.timeline().len());
    for (position, entry) in timeline.iter().enumerate().skip(known) {
        let facts = RunFacts {
            run: after.id,
            test: after.test,
            test_name: after.definition.name.clone(),
            from: position.checked_sub(1).map(|before| timeline[before].status),
            to: entry.status,
            reason: entry.reason.clone(),
        };
        // The position in the timeline: whoever is told from the middle on, or missed something, sees it.
        let sequence = position as u64 + 1;
        publish(tx, &after.project, EventFacts::Run(facts), sequence, entry.at);
    }
}

/// Tells of a probe whose health has another status than before, and counts that.
pub(super) fn probe_changed(tx: &mut Tx<'_>, before: Option<&Probe>, after: &mut Probe) {
    let Some(before) = before.filter(|before| before.health.status() != after.health.status()) else {
        return;
    };
    after.health_changes += 1;
    let test = after.definition.test;
    let facts = ProbeFacts {
        probe: after.id,
        name: after.definition.name.clone(),
        test,
        // A test that probes run is not deleted; its name is looked up because a probe only knows its id.
        test_name: tx
            .state()
            .test(test)
            .map(|test| test.definition.name.clone())
            .unwrap_or_default(),
        from: before.health.status(),
        to: after.health.status(),
        reason: after.health.reason().to_owned(),
    };
    let at = after.health.since();
    publish(
        tx,
        &after.project,
        EventFacts::Probe(facts),
        after.health_changes,
        at,
    );
}

/// Puts an event into the outbox of every webhook of the project that wants it.
pub(super) fn publish(tx: &mut Tx<'_>, project: &ProjectName, facts: EventFacts, sequence: u64, at: Time) {
    // Most clusters have none, or none for this project.
    if tx.state().project_webhooks(project).next().is_none() {
        return;
    }
    let event = Arc::new(WebhookEvent {
        facts,
        sequence,
        at,
        revision: tx.revision(),
    });
    let told: Vec<Arc<Webhook>> = tx
        .state()
        .project_webhooks(project)
        .filter(|webhook| webhook.status != WebhookStatus::Gone && webhook.wants(event.kind(), event.test()))
        .cloned()
        .collect();
    for webhook in told {
        enqueue(tx, &webhook, Arc::clone(&event));
    }
}

/// Puts an event into a webhook's outbox. One that is full counts what it cannot take.
pub(super) fn enqueue(tx: &mut Tx<'_>, webhook: &Webhook, event: Arc<WebhookEvent>) {
    let mut webhook = webhook.clone();
    if tx.state().delivery_counts(webhook.id).pending >= MAX_PENDING {
        webhook.overflowed += 1;
        tx.put_webhook(webhook);
        return;
    }
    webhook.last_seq += 1;
    let now = tx.now();
    tx.put_delivery(Delivery {
        key: DeliveryKey {
            webhook: webhook.id,
            seq: webhook.last_seq,
        },
        event,
        status: DeliveryStatus::Pending,
        attempts: 0,
        next_attempt_at: now,
        first_failed_at: None,
        last: None,
        enqueued_at: now,
        revision: tx.revision(),
    });
    tx.put_webhook(webhook);
}

/// Takes in what came of attempts.
pub(super) fn record(tx: &mut Tx<'_>, command: &RecordDeliveries) -> Result<Reply, Refusal> {
    for result in &command.results {
        let row = tx.state().delivery(result.key).cloned();
        let expected = |row: &Arc<Delivery>| {
            row.status == DeliveryStatus::Pending && row.attempts.checked_add(1) == Some(result.attempt)
        };
        // Deleted, replayed or told before: what came of the attempt changes nothing any more.
        if let Some(row) = row.filter(expected) {
            settle(tx, Delivery::clone(&row), result);
        }
    }
    Ok(Reply::Done)
}

fn settle(tx: &mut Tx<'_>, mut row: Delivery, result: &DeliveryResult) {
    let now = tx.now();
    row.attempts = result.attempt;
    row.last = Some(attempt(&result.outcome, now));
    match result.outcome {
        AttemptOutcome::Answered(200..=299) => delivered(tx, row),
        AttemptOutcome::Answered(410) => {
            gone(tx, row.key.webhook, now);
            // Nothing is sent any more; if the webhook is taken up again, at once.
            failed(tx, row, now, |_| Millis(0));
        }
        AttemptOutcome::Answered(_) | AttemptOutcome::Failed(_) => failed(tx, row, now, |pause| pause),
    }
}

fn attempt(outcome: &AttemptOutcome, at: Time) -> Attempt {
    match outcome {
        AttemptOutcome::Answered(status) => Attempt {
            at,
            http_status: Some(*status),
            error: match status {
                200..=299 => String::new(),
                300..=399 => format!("answered {status}; redirects are not followed"),
                410 => "answered 410: the receiver is gone".to_owned(),
                _ => format!("answered {status}"),
            },
        },
        AttemptOutcome::Failed(error) => Attempt {
            at,
            http_status: None,
            error: capped(error),
        },
    }
}

fn capped(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_ERROR_BYTES);
    text[..end].to_owned()
}

fn delivered(tx: &mut Tx<'_>, mut row: Delivery) {
    let id = row.key.webhook;
    row.status = DeliveryStatus::Delivered;
    tx.put_delivery(row);
    trim(tx, id, DeliveryStatus::Delivered, KEPT_DELIVERED);
    change(tx, id, |webhook| webhook.delivered += 1);
}

/// By the schedule: the n-th failure waits for the n-th retry, and after the last it is dead.
fn failed(tx: &mut Tx<'_>, mut row: Delivery, now: Time, pause_of: fn(Millis) -> Millis) {
    row.first_failed_at = row.first_failed_at.or(Some(now));
    let retry = usize::try_from(row.attempts)
        .ok()
        .and_then(|attempts| RETRIES.get(attempts.checked_sub(1)?));
    match retry {
        Some(pause) => {
            row.next_attempt_at = now + pause_of(*pause);
            tx.put_delivery(row);
        }
        None => {
            let id = row.key.webhook;
            row.status = DeliveryStatus::Dead;
            tx.put_delivery(row);
            let forgotten = trim(tx, id, DeliveryStatus::Dead, KEPT_DEAD);
            if forgotten > 0 {
                change(tx, id, |webhook| webhook.forgotten += forgotten);
            }
        }
    }
}

/// Forgets the oldest of a status beyond what is kept, and says how many.
fn trim(tx: &mut Tx<'_>, id: WebhookId, status: DeliveryStatus, kept: u32) -> u64 {
    let surplus = tx.state().delivery_counts(id).of(status).saturating_sub(kept);
    let oldest: Vec<DeliveryKey> = tx
        .state()
        .ended_deliveries(id, status)
        .take(surplus as usize)
        .collect();
    for key in &oldest {
        tx.remove_delivery(*key);
    }
    oldest.len() as u64
}

fn gone(tx: &mut Tx<'_>, id: WebhookId, now: Time) {
    change(tx, id, |webhook| {
        if webhook.status != WebhookStatus::Gone {
            webhook.status = WebhookStatus::Gone;
            webhook.status_since = now;
        }
    });
}

fn change(tx: &mut Tx<'_>, id: WebhookId, change: impl FnOnce(&mut Webhook)) {
    if let Some(webhook) = tx.state().webhook(id) {
        let mut webhook = Webhook::clone(webhook);
        change(&mut webhook);
        tx.put_webhook(webhook);
    }
}
