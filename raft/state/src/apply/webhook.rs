//! Commands on webhooks.

use std::sync::Arc;

use crate::apply::outbox;
use crate::apply::tx::{Tx, not_found};
use crate::command::{
    DeleteWebhook, FieldViolation, ObjectKind, PauseWebhook, PutWebhook, Refusal, Replay, ReplayDelivery,
    Reply, RotateSecret, TestWebhook,
};
use crate::definition;
use crate::id::WebhookId;
use crate::record::{
    Delivery, DeliveryKey, DeliveryStatus, EventFacts, MAX_PENDING, MAX_PROJECT_WEBHOOKS, ObjectRef,
    PREVIOUS_SECRET_FOR, PreviousSecret, RequestKey, Webhook, WebhookEvent, WebhookStatus,
};

pub(super) fn put(
    tx: &mut Tx<'_>,
    command: &PutWebhook,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    let mut webhook = match &command.new {
        Some(_) => blank(tx, command, created_by)?,
        None => Webhook::clone(&*tx.webhook(command.id)?),
    };
    if let Some(name) = &command.name {
        webhook.name.clone_from(name);
    }
    if let Some(url) = &command.url {
        webhook.url.clone_from(url);
    }
    if let Some(events) = &command.events {
        webhook.events.clone_from(events);
    }
    if let Some(test) = command.test {
        webhook.test = test;
    }
    let mut violations = definition::validate_webhook(&webhook);
    violations.extend(unknown_test(tx, command, &webhook));
    if !violations.is_empty() {
        return Err(Refusal::Invalid { violations });
    }
    let namesake = tx.state().webhook_named(&webhook.project, &webhook.name);
    if namesake.is_some_and(|other| other.id != webhook.id) {
        return Err(taken(webhook.name));
    }
    let created = command.new.is_some();
    tx.put_webhook(webhook);
    Ok(answer(command.id, created))
}

/// A new webhook, before anything is set that can be changed.
fn blank(tx: &Tx<'_>, command: &PutWebhook, created_by: Option<RequestKey>) -> Result<Webhook, Refusal> {
    let Some(new) = &command.new else {
        return Err(not_found(ObjectKind::Webhook, command.id));
    };
    if tx.state().webhook(command.id).is_some() {
        return Err(taken(command.id.to_string()));
    }
    let others = tx.state().project_webhooks(&new.project).count();
    if others >= MAX_PROJECT_WEBHOOKS {
        return Err(invalid(
            "project",
            format!("at most {MAX_PROJECT_WEBHOOKS} webhooks in a project"),
        ));
    }
    let now = tx.now();
    Ok(Webhook {
        id: command.id,
        name: String::new(),
        project: new.project.clone(),
        url: String::new(),
        events: std::collections::BTreeSet::new(),
        test: None,
        status: WebhookStatus::Active,
        status_since: now,
        secret: new.secret,
        previous: None,
        last_seq: 0,
        delivered: 0,
        overflowed: 0,
        forgotten: 0,
        created_at: now,
        created_by,
        revision: tx.revision(),
    })
}

/// The test that is named must exist when it is named; it may be deleted later.
fn unknown_test(tx: &Tx<'_>, command: &PutWebhook, webhook: &Webhook) -> Option<FieldViolation> {
    let test = webhook.test.filter(|_| command.test.is_some())?;
    let known = tx
        .state()
        .test(test)
        .filter(|test| test.project == webhook.project);
    known.is_none().then(|| FieldViolation {
        field: "test".to_owned(),
        rule: format!("there is no test {test}"),
    })
}

pub(super) fn delete(tx: &mut Tx<'_>, command: &DeleteWebhook) -> Result<Reply, Refusal> {
    let webhook = tx.webhook(command.webhook)?;
    tx.remove_webhook(&webhook);
    if let Some(request) = &webhook.created_by {
        tx.remove_request(request);
    }
    Ok(answer(webhook.id, false))
}

/// The secret that was current stays good for a day; one that was before it is dropped.
pub(super) fn rotate(tx: &mut Tx<'_>, command: &RotateSecret) -> Result<Reply, Refusal> {
    let webhook = tx.webhook(command.webhook)?;
    tx.put_webhook(Webhook {
        secret: command.secret,
        previous: Some(PreviousSecret {
            secret: webhook.secret,
            until: tx.now() + PREVIOUS_SECRET_FOR,
        }),
        ..Webhook::clone(&webhook)
    });
    Ok(answer(webhook.id, false))
}

/// Pausing what is gone leaves it gone; taking it up again does so for either. Twice is as good as once.
pub(super) fn pause(tx: &mut Tx<'_>, command: &PauseWebhook) -> Result<Reply, Refusal> {
    let webhook = tx.webhook(command.webhook)?;
    let status = match (command.paused, webhook.status) {
        (true, WebhookStatus::Active | WebhookStatus::Paused) => WebhookStatus::Paused,
        (true, WebhookStatus::Gone) => WebhookStatus::Gone,
        (false, WebhookStatus::Active | WebhookStatus::Paused | WebhookStatus::Gone) => WebhookStatus::Active,
    };
    if status != webhook.status {
        tx.put_webhook(Webhook {
            status,
            status_since: tx.now(),
            ..Webhook::clone(&webhook)
        });
    }
    Ok(answer(webhook.id, false))
}

pub(super) fn test(tx: &mut Tx<'_>, command: &TestWebhook) -> Result<Reply, Refusal> {
    let webhook = tx.webhook(command.webhook)?;
    if webhook.status == WebhookStatus::Gone {
        return Err(Refusal::WrongStatus {
            kind: ObjectKind::Webhook,
            id: webhook.id.to_string(),
            status: webhook.status.to_string(),
            allowed: vec![
                WebhookStatus::Active.to_string(),
                WebhookStatus::Paused.to_string(),
            ],
        });
    }
    room(tx, webhook.id)?;
    let event = WebhookEvent {
        facts: EventFacts::Test,
        sequence: webhook.last_seq + 1,
        at: tx.now(),
        revision: tx.revision(),
    };
    outbox::enqueue(tx, &webhook, Arc::new(event));
    Ok(answer(webhook.id, false))
}

pub(super) fn replay(tx: &mut Tx<'_>, command: &ReplayDelivery) -> Result<Reply, Refusal> {
    let webhook = tx.webhook(command.webhook)?;
    match command.which {
        Replay::One(seq) => replay_one(tx, webhook.id, seq)?,
        Replay::AllDead => {
            let free = MAX_PENDING.saturating_sub(tx.state().delivery_counts(webhook.id).pending);
            let dead: Vec<DeliveryKey> = tx
                .state()
                .ended_deliveries(webhook.id, DeliveryStatus::Dead)
                .take(free as usize)
                .collect();
            for key in dead {
                revive(tx, key);
            }
        }
    }
    Ok(answer(webhook.id, false))
}

fn replay_one(tx: &mut Tx<'_>, webhook: WebhookId, seq: u64) -> Result<(), Refusal> {
    let key = DeliveryKey { webhook, seq };
    let Some(row) = tx.state().delivery(key).cloned() else {
        return Err(not_found(ObjectKind::Delivery, format!("{webhook}/{seq}")));
    };
    match row.status {
        DeliveryStatus::Dead => {
            room(tx, webhook)?;
            revive(tx, key);
        }
        // Sooner than by its schedule, and no attempt more.
        DeliveryStatus::Pending => tx.put_delivery(Delivery {
            next_attempt_at: row.next_attempt_at.min(tx.now()),
            ..Delivery::clone(&row)
        }),
        DeliveryStatus::Delivered => {
            return Err(Refusal::WrongStatus {
                kind: ObjectKind::Delivery,
                id: format!("{webhook}/{seq}"),
                status: row.status.to_string(),
                allowed: vec![
                    DeliveryStatus::Dead.to_string(),
                    DeliveryStatus::Pending.to_string(),
                ],
            });
        }
    }
    Ok(())
}

/// A dead letter begins anew; what came of its last attempt stays to be seen.
fn revive(tx: &mut Tx<'_>, key: DeliveryKey) {
    if let Some(row) = tx.state().delivery(key).cloned() {
        tx.put_delivery(Delivery {
            status: DeliveryStatus::Pending,
            attempts: 0,
            next_attempt_at: tx.now(),
            first_failed_at: None,
            ..Delivery::clone(&row)
        });
    }
}

fn room(tx: &Tx<'_>, webhook: WebhookId) -> Result<(), Refusal> {
    if tx.state().delivery_counts(webhook).pending < MAX_PENDING {
        return Ok(());
    }
    Err(invalid(
        "webhook",
        format!("{MAX_PENDING} events are on their way to it already"),
    ))
}

fn invalid(field: &str, rule: String) -> Refusal {
    Refusal::Invalid {
        violations: vec![FieldViolation {
            field: field.to_owned(),
            rule,
        }],
    }
}

fn taken(name: String) -> Refusal {
    Refusal::AlreadyExists {
        kind: ObjectKind::Webhook,
        name,
    }
}

fn answer(webhook: WebhookId, created: bool) -> Reply {
    Reply::Object {
        object: ObjectRef::Webhook(webhook),
        created,
        replayed: false,
    }
}
