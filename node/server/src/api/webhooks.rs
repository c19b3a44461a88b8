//! The service `Webhooks`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rand::RngCore;
use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{
    Command, DeleteWebhook, NewWebhook, ObjectKind, PauseWebhook, PutWebhook, Replay, ReplayDelivery,
    RotateSecret, TestWebhook,
};
use reeve_state::definition::parse_webhook_url;
use reeve_state::id::{ProjectName, SigningSecret, TestId, WebhookId};
use reeve_state::record::{EventFacts, ObjectRef, Webhook, WebhookEventKind};

use super::page::PageRequest;
use super::scope::Scope;
use super::write::{Asked, Written};
use super::{Api, Call};
use crate::convert::webhook;
use crate::error::ApiError;
use crate::webhooks::{body, sign};

impl Api {
    /// A new webhook, and its secret.
    pub async fn create_webhook(
        &self,
        mut request: v1::CreateWebhookRequest,
        call: &Call,
    ) -> Result<v1::CreateWebhookResponse, ApiError> {
        let asked = Asked::new("CreateWebhook", std::mem::take(&mut request.request_id), &request)?;
        let project = call.caller.scope(&request.project)?.project;
        self.check_url(&request.url)?;
        let test = match request.test.as_str() {
            "" => None,
            named => Some(find_test(&*self.read_latest(call).await?, &project, named)?),
        };
        let secret = new_secret();
        let command = Command::PutWebhook(PutWebhook {
            id: WebhookId::from_bytes(uuid::Uuid::now_v7().into_bytes()),
            new: Some(NewWebhook { project, secret }),
            name: Some(request.name),
            url: Some(request.url),
            events: Some(events(&request.events)?),
            test: Some(test),
        });
        let written = self.write(call, asked, command).await?;
        Ok(v1::CreateWebhookResponse {
            webhook: Some(written_webhook(&written)?),
            secret: shown_unless_replayed(&written, &secret),
        })
    }

    /// Changes what the request names.
    pub async fn update_webhook(
        &self,
        mut request: v1::UpdateWebhookRequest,
        call: &Call,
    ) -> Result<v1::UpdateWebhookResponse, ApiError> {
        let asked = Asked::new("UpdateWebhook", std::mem::take(&mut request.request_id), &request)?;
        if let Some(url) = &request.url {
            self.check_url(url)?;
        }
        let state = self.read_latest(call).await?;
        let row = find_webhook(&state, &call.caller.scope(&request.project)?, &request.id)?;
        let test = match request.test.as_deref() {
            None => None,
            Some("") => Some(None),
            Some(named) => Some(Some(find_test(&state, &row.project, named)?)),
        };
        let chosen = if request.set_events {
            Some(events(&request.events)?)
        } else if request.events.is_empty() {
            None
        } else {
            return Err(ApiError::invalid(
                "set_events",
                "must be true for events to be set",
            ));
        };
        let command = Command::PutWebhook(PutWebhook {
            id: row.id,
            new: None,
            name: request.name,
            url: request.url,
            events: chosen,
            test,
        });
        let written = self.write(call, asked, command).await?;
        Ok(v1::UpdateWebhookResponse {
            webhook: Some(written_webhook(&written)?),
        })
    }

    /// One webhook.
    pub async fn get_webhook(
        &self,
        request: v1::GetWebhookRequest,
        call: &Call,
    ) -> Result<v1::GetWebhookResponse, ApiError> {
        let scope = call.caller.scope(&request.project)?;
        let state = self.read(request.consistency, call).await?;
        let row = find_webhook(&state, &scope, &request.id)?;
        Ok(v1::GetWebhookResponse {
            webhook: Some(webhook::webhook(&state, row)),
        })
    }

    /// Webhooks, oldest first.
    pub async fn list_webhooks(
        &self,
        request: v1::ListWebhooksRequest,
        call: &Call,
    ) -> Result<v1::ListWebhooksResponse, ApiError> {
        let scope = call.caller.scope(&request.project)?;
        let list = format!("webhooks project={}", request.project);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let after = page.after(|key| key.try_into().ok().map(WebhookId::from_bytes))?;
        let state = self.read(request.consistency, call).await?;
        let rows = state
            .webhooks()
            .skip_while(|row| after.is_some_and(|after| row.id <= after))
            .filter(|row| scope.shows(&row.project));
        let (rows, next_page_token) = page.take(rows, |row| row.id.as_bytes().to_vec());
        Ok(v1::ListWebhooksResponse {
            webhooks: rows
                .into_iter()
                .map(|row| webhook::webhook(&state, row))
                .collect(),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// Forgets a webhook.
    pub async fn delete_webhook(
        &self,
        mut request: v1::DeleteWebhookRequest,
        call: &Call,
    ) -> Result<v1::DeleteWebhookResponse, ApiError> {
        let asked = Asked::new("DeleteWebhook", std::mem::take(&mut request.request_id), &request)?;
        let id = self
            .webhook_id(&request.id, &request.project, call, &asked)
            .await?;
        let command = Command::DeleteWebhook(DeleteWebhook { webhook: id });
        let written = self.write(call, asked, command).await?;
        Ok(v1::DeleteWebhookResponse {
            id: object_id(&written)?.to_string(),
        })
    }

    /// A new secret.
    pub async fn rotate_webhook_secret(
        &self,
        mut request: v1::RotateWebhookSecretRequest,
        call: &Call,
    ) -> Result<v1::RotateWebhookSecretResponse, ApiError> {
        let asked = Asked::new(
            "RotateWebhookSecret",
            std::mem::take(&mut request.request_id),
            &request,
        )?;
        let id = self
            .webhook_id(&request.id, &request.project, call, &asked)
            .await?;
        let secret = new_secret();
        let command = Command::RotateSecret(RotateSecret { webhook: id, secret });
        let written = self.write(call, asked, command).await?;
        Ok(v1::RotateWebhookSecretResponse {
            webhook: Some(written_webhook(&written)?),
            secret: shown_unless_replayed(&written, &secret),
        })
    }

    /// Events wait from now on.
    pub async fn pause_webhook(
        &self,
        mut request: v1::PauseWebhookRequest,
        call: &Call,
    ) -> Result<v1::PauseWebhookResponse, ApiError> {
        let asked = Asked::new("PauseWebhook", std::mem::take(&mut request.request_id), &request)?;
        let webhook = self
            .set_webhook_paused(&request.id, &request.project, true, call, asked)
            .await?;
        Ok(v1::PauseWebhookResponse {
            webhook: Some(webhook),
        })
    }

    /// Events are sent again.
    pub async fn resume_webhook(
        &self,
        mut request: v1::ResumeWebhookRequest,
        call: &Call,
    ) -> Result<v1::ResumeWebhookResponse, ApiError> {
        let asked = Asked::new("ResumeWebhook", std::mem::take(&mut request.request_id), &request)?;
        let webhook = self
            .set_webhook_paused(&request.id, &request.project, false, call, asked)
            .await?;
        Ok(v1::ResumeWebhookResponse {
            webhook: Some(webhook),
        })
    }

    async fn set_webhook_paused(
        &self,
        id: &str,
        project: &str,
        paused: bool,
        call: &Call,
        asked: Asked,
    ) -> Result<v1::Webhook, ApiError> {
        let webhook = self.webhook_id(id, project, call, &asked).await?;
        let command = Command::PauseWebhook(PauseWebhook { webhook, paused });
        written_webhook(&self.write(call, asked, command).await?)
    }

    /// What is on its way to a webhook, newest first.
    pub async fn list_deliveries(
        &self,
        request: v1::ListDeliveriesRequest,
        call: &Call,
    ) -> Result<v1::ListDeliveriesResponse, ApiError> {
        let scope = call.caller.scope(&request.project)?;
        let list = format!("deliveries webhook={} status={}", request.id, request.status);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let before = page.after(|key| key.try_into().ok().map(u64::from_be_bytes))?;
        let status = webhook::delivery_status_from(request.status);
        if status.is_none() && request.status != 0 {
            return Err(ApiError::invalid("status", "is not a status of a delivery"));
        }
        let state = self.read(request.consistency, call).await?;
        let id = find_webhook(&state, &scope, &request.id)?.id;
        let rows = state
            .deliveries(id)
            .rev()
            .filter(|row| before.is_none_or(|before| row.key.seq < before))
            .filter(|row| status.is_none_or(|status| row.status == status));
        let (rows, next_page_token) = page.take(rows, |row| row.key.seq.to_be_bytes().to_vec());
        Ok(v1::ListDeliveriesResponse {
            deliveries: rows.into_iter().map(|row| webhook::delivery(row)).collect(),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// Sends dead letters again.
    pub async fn replay_delivery(
        &self,
        mut request: v1::ReplayDeliveryRequest,
        call: &Call,
    ) -> Result<v1::ReplayDeliveryResponse, ApiError> {
        let asked = Asked::new(
            "ReplayDelivery",
            std::mem::take(&mut request.request_id),
            &request,
        )?;
        let webhook = self
            .webhook_id(&request.id, &request.project, call, &asked)
            .await?;
        let which = match request.seq {
            0 => Replay::AllDead,
            seq => Replay::One(seq),
        };
        let command = Command::ReplayDelivery(ReplayDelivery { webhook, which });
        let written = self.write(call, asked, command).await?;
        Ok(v1::ReplayDeliveryResponse {
            webhook: Some(written_webhook(&written)?),
        })
    }

    /// Sends an event that says nothing.
    pub async fn test_webhook(
        &self,
        mut request: v1::TestWebhookRequest,
        call: &Call,
    ) -> Result<v1::TestWebhookResponse, ApiError> {
        let asked = Asked::new("TestWebhook", std::mem::take(&mut request.request_id), &request)?;
        let webhook = self
            .webhook_id(&request.id, &request.project, call, &asked)
            .await?;
        let command = Command::TestWebhook(TestWebhook { webhook });
        let written = self.write(call, asked, command).await?;
        let newest = written
            .state
            .deliveries(object_id(&written)?)
            .rfind(|row| matches!(row.event.facts, EventFacts::Test));
        Ok(v1::TestWebhookResponse {
            webhook: Some(written_webhook(&written)?),
            message_id: newest.map(|row| body::message_id(row.key)).unwrap_or_default(),
        })
    }

    /// What this node can see of an address without asking anybody. Names are looked at where messages are sent.
    fn check_url(&self, url: &str) -> Result<(), ApiError> {
        if url.is_empty() {
            return Err(ApiError::invalid("url", "is required"));
        }
        let url = parse_webhook_url(url).map_err(|rule| ApiError::invalid("url", rule))?;
        let allowed = &self.context.config.webhooks.allow_private;
        if !url.https && allowed.is_empty() {
            return Err(ApiError::invalid(
                "url",
                "must begin with https://; http:// only goes to addresses that the nodes' setting webhook_allow_private names",
            ));
        }
        let Ok(address) = url.host.parse::<IpAddr>() else {
            return Ok(());
        };
        allowed
            .check(address)
            .map_err(|refused| ApiError::invalid("url", refused.to_string()))?;
        if !url.https && !allowed.allows_plain(address) {
            return Err(ApiError::invalid(
                "url",
                format!("must begin with https://, because {address} is not in webhook_allow_private"),
            ));
        }
        Ok(())
    }

    /// The id behind an id or a name. An id is taken as it is: whether it exists for the caller is decided in the log.
    async fn webhook_id(
        &self,
        text: &str,
        project: &str,
        call: &Call,
        asked: &Asked,
    ) -> Result<WebhookId, ApiError> {
        let scope = call.caller.scope(project)?;
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let state = self.read_latest(call).await?;
        match find_webhook(&state, &scope, text) {
            Ok(row) => Ok(row.id),
            // Answered before, and the webhook is gone since: the log knows the answer without it.
            Err(_) if state.request(&asked.key(call)).is_some() => Ok(WebhookId::from_bytes([0; 16])),
            Err(error) => Err(error),
        }
    }
}

fn new_secret() -> SigningSecret {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    SigningSecret(bytes)
}

/// Of a repeated request the secret is another one, and secrets are never replayed.
fn shown_unless_replayed(written: &Written, secret: &SigningSecret) -> String {
    if written.replayed {
        String::new()
    } else {
        sign::shown(secret)
    }
}

fn events(names: &[String]) -> Result<BTreeSet<WebhookEventKind>, ApiError> {
    let kind = |(position, name): (usize, &String)| {
        WebhookEventKind::choice(name).ok_or_else(|| {
            let choices = WebhookEventKind::CHOICES.map(WebhookEventKind::name).join(", ");
            let shown: String = name.chars().take(64).collect();
            ApiError::invalid(
                format!("events[{position}]"),
                format!("{shown:?} is not one of {choices}"),
            )
        })
    };
    names.iter().enumerate().map(kind).collect()
}

fn find_webhook<'a>(state: &'a State, scope: &Scope, id: &str) -> Result<&'a Webhook, ApiError> {
    if id.is_empty() {
        return Err(ApiError::invalid("id", "is required"));
    }
    let by_id = id.parse().ok().and_then(|id| state.webhook(id));
    by_id
        .or_else(|| state.webhook_named(&scope.project, id))
        .filter(|row| scope.shows(&row.project))
        .map(AsRef::as_ref)
        .ok_or_else(|| missing(id))
}

/// The test of this id or name in a project.
fn find_test(state: &State, project: &ProjectName, named: &str) -> Result<TestId, ApiError> {
    let by_id = named.parse().ok().and_then(|id| state.test(id));
    by_id
        .or_else(|| state.test_named(project, named))
        .filter(|row| row.project == *project)
        .map(|row| row.id)
        .ok_or_else(|| ApiError::invalid("test", format!("there is no test {named:?} in project {project}")))
}

fn missing(id: &str) -> ApiError {
    ApiError::NotFound {
        kind: ObjectKind::Webhook,
        id: id.to_owned(),
    }
}

fn object_id(written: &Written) -> Result<WebhookId, ApiError> {
    match written.object {
        ObjectRef::Webhook(id) => Ok(id),
        ObjectRef::Test(_)
        | ObjectRef::Run(_)
        | ObjectRef::Worker(_)
        | ObjectRef::Key(_)
        | ObjectRef::Project(_)
        | ObjectRef::Registrar(_)
        | ObjectRef::AccountPool(_)
        | ObjectRef::Media(_)
        | ObjectRef::Probe(_) => Err(ApiError::Internal(
            "a webhook was written and another kind of object was answered",
        )),
    }
}

fn written_webhook(written: &Written) -> Result<v1::Webhook, ApiError> {
    let id = object_id(written)?;
    // A repeated request may be about a webhook that was deleted since.
    let row = written
        .state
        .webhook(id)
        .ok_or_else(|| missing(&id.to_string()))?;
    Ok(webhook::webhook(&written.state, row))
}
