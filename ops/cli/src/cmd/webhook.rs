//! `reeve webhook …`: where events are posted to (R214).

use comfy_table::Cell;
use reeve_proto::json::{CreatedWebhookJson, TestedWebhookJson, WebhookJson};
use reeve_proto::v1::webhooks_client::WebhooksClient;
use reeve_proto::v1::{
    CreateWebhookRequest, DeleteWebhookRequest, Delivery, DeliveryStatus, GetWebhookRequest,
    ListDeliveriesRequest, ListWebhooksRequest, PauseWebhookRequest, ReplayDeliveryRequest,
    ResumeWebhookRequest, RotateWebhookSecretRequest, TestWebhookRequest, UpdateWebhookRequest, Webhook,
};

use super::{PAGE_SIZE, present};
use crate::args::{GlobalArgs, OutputFormat, ProjectArgs, ReadArgs, WebhookArgs, WebhookCommand};
use crate::client::{Cluster, request_id};
use crate::error::CliError;
use crate::output::{Output, Table, note};

pub(crate) async fn run(
    global: &GlobalArgs,
    output: &Output,
    command: WebhookCommand,
) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    match command {
        WebhookCommand::List { read, project } => {
            let (webhooks, revision) = list(&cluster, read, &project).await?;
            output.list(&webhooks, revision)?;
        }
        WebhookCommand::Get { id, read, project } => {
            let request = GetWebhookRequest {
                id,
                consistency: read.consistency(),
                project: project.name(),
            };
            let answer = cluster.call(request, |channel, request| async move {
                WebhooksClient::new(channel).get_webhook(request).await
            });
            output.one(&present(answer.await?.webhook)?)?;
        }
        WebhookCommand::Deliveries {
            id,
            dead,
            pending,
            limit,
            read,
            project,
        } => {
            let status = match (dead, pending) {
                (true, _) => DeliveryStatus::Dead,
                (false, true) => DeliveryStatus::Pending,
                (false, false) => DeliveryStatus::Unspecified,
            };
            let request = ListDeliveriesRequest {
                id,
                status: status.into(),
                page_size: limit.unwrap_or(PAGE_SIZE).min(PAGE_SIZE),
                page_token: String::new(),
                consistency: read.consistency(),
                project: project.name(),
            };
            let (deliveries, revision) = deliveries(&cluster, request, limit).await?;
            output.list(&deliveries, revision)?;
        }
        change @ (WebhookCommand::Create { .. }
        | WebhookCommand::Update { .. }
        | WebhookCommand::Delete(_)
        | WebhookCommand::RotateSecret(_)
        | WebhookCommand::Replay { .. }
        | WebhookCommand::Pause(_)
        | WebhookCommand::Resume(_)
        | WebhookCommand::Test(_)) => make_change(&cluster, output, change).await?,
    }
    Ok(0)
}

async fn make_change(cluster: &Cluster, output: &Output, command: WebhookCommand) -> Result<(), CliError> {
    match command {
        WebhookCommand::Create {
            url,
            name,
            events,
            test,
            request_id: given,
            project,
        } => {
            let request = CreateWebhookRequest {
                name: name.unwrap_or_default(),
                url,
                events,
                test: test.unwrap_or_default(),
                project: project.name(),
                request_id: request_id(given),
            };
            create(cluster, output, request).await
        }
        WebhookCommand::Update {
            webhook,
            url,
            name,
            events,
            all_events,
            test,
            all_tests,
        } => {
            let request = UpdateWebhookRequest {
                id: webhook.id,
                name,
                url,
                set_events: all_events || !events.is_empty(),
                events,
                test: if all_tests { Some(String::new()) } else { test },
                request_id: request_id(webhook.request_id),
                project: webhook.project.name(),
            };
            update(cluster, output, request).await
        }
        WebhookCommand::Delete(webhook) => delete(cluster, output, webhook).await,
        WebhookCommand::RotateSecret(webhook) => rotate(cluster, output, webhook).await,
        WebhookCommand::Replay { webhook, seq, all: _ } => {
            replay(cluster, output, webhook, seq.unwrap_or_default()).await
        }
        WebhookCommand::Pause(webhook) => pause(cluster, output, webhook).await,
        WebhookCommand::Resume(webhook) => resume(cluster, output, webhook).await,
        WebhookCommand::Test(webhook) => test(cluster, output, webhook).await,
        // Looks are taken before.
        WebhookCommand::List { .. } | WebhookCommand::Get { .. } | WebhookCommand::Deliveries { .. } => {
            Ok(())
        }
    }
}

async fn create(cluster: &Cluster, output: &Output, request: CreateWebhookRequest) -> Result<(), CliError> {
    let answer = cluster.call(request, |channel, request| async move {
        WebhooksClient::new(channel).create_webhook(request).await
    });
    let answer = answer.await?;
    print_secret(output, &present(answer.webhook)?, answer.secret)
}

async fn update(cluster: &Cluster, output: &Output, request: UpdateWebhookRequest) -> Result<(), CliError> {
    let answer = cluster.call(request, |channel, request| async move {
        WebhooksClient::new(channel).update_webhook(request).await
    });
    output.one(&present(answer.await?.webhook)?)
}

async fn rotate(cluster: &Cluster, output: &Output, webhook: WebhookArgs) -> Result<(), CliError> {
    let request = RotateWebhookSecretRequest {
        id: webhook.id,
        request_id: request_id(webhook.request_id),
        project: webhook.project.name(),
    };
    let answer = cluster.call(request, |channel, request| async move {
        WebhooksClient::new(channel).rotate_webhook_secret(request).await
    });
    let answer = answer.await?;
    print_secret(output, &present(answer.webhook)?, answer.secret)
}

async fn replay(cluster: &Cluster, output: &Output, webhook: WebhookArgs, seq: u64) -> Result<(), CliError> {
    let request = ReplayDeliveryRequest {
        id: webhook.id,
        seq,
        request_id: request_id(webhook.request_id),
        project: webhook.project.name(),
    };
    let answer = cluster.call(request, |channel, request| async move {
        WebhooksClient::new(channel).replay_delivery(request).await
    });
    output.one(&present(answer.await?.webhook)?)
}

async fn pause(cluster: &Cluster, output: &Output, webhook: WebhookArgs) -> Result<(), CliError> {
    let request = PauseWebhookRequest {
        id: webhook.id,
        request_id: request_id(webhook.request_id),
        project: webhook.project.name(),
    };
    let answer = cluster.call(request, |channel, request| async move {
        WebhooksClient::new(channel).pause_webhook(request).await
    });
    output.one(&present(answer.await?.webhook)?)
}

async fn resume(cluster: &Cluster, output: &Output, webhook: WebhookArgs) -> Result<(), CliError> {
    let request = ResumeWebhookRequest {
        id: webhook.id,
        request_id: request_id(webhook.request_id),
        project: webhook.project.name(),
    };
    let answer = cluster.call(request, |channel, request| async move {
        WebhooksClient::new(channel).resume_webhook(request).await
    });
    output.one(&present(answer.await?.webhook)?)
}

async fn delete(cluster: &Cluster, output: &Output, webhook: WebhookArgs) -> Result<(), CliError> {
    let request = DeleteWebhookRequest {
        id: webhook.id.clone(),
        request_id: request_id(webhook.request_id),
        project: webhook.project.name(),
    };
    let answer = cluster.call(request, |channel, request| async move {
        WebhooksClient::new(channel).delete_webhook(request).await
    });
    let id = answer.await?.id;
    match output.format {
        OutputFormat::Name => output.line(&id),
        OutputFormat::Table | OutputFormat::Wide | OutputFormat::Json | OutputFormat::Jsonl => {
            note(&format!("webhook {} is deleted", webhook.id));
            Ok(())
        }
    }
}

async fn test(cluster: &Cluster, output: &Output, webhook: WebhookArgs) -> Result<(), CliError> {
    let request = TestWebhookRequest {
        id: webhook.id,
        request_id: request_id(webhook.request_id),
        project: webhook.project.name(),
    };
    let answer = cluster.call(request, |channel, request| async move {
        WebhooksClient::new(channel).test_webhook(request).await
    });
    let answer = answer.await?;
    let webhook = present(answer.webhook)?;
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&TestedWebhookJson {
            webhook: WebhookJson::from(&webhook),
            message_id: answer.message_id,
        }),
        OutputFormat::Name | OutputFormat::Table | OutputFormat::Wide => output.line(&answer.message_id),
    }
}

async fn list(
    cluster: &Cluster,
    read: ReadArgs,
    project: &ProjectArgs,
) -> Result<(Vec<Webhook>, u64), CliError> {
    let mut request = ListWebhooksRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
        project: project.name(),
        consistency: read.consistency(),
    };
    let mut webhooks = Vec::new();
    loop {
        let page = cluster
            .call(request.clone(), |channel, request| async move {
                WebhooksClient::new(channel).list_webhooks(request).await
            })
            .await?;
        webhooks.extend(page.webhooks);
        if page.next_page_token.is_empty() {
            return Ok((webhooks, page.revision));
        }
        request.page_token = page.next_page_token;
    }
}

async fn deliveries(
    cluster: &Cluster,
    mut request: ListDeliveriesRequest,
    limit: Option<u32>,
) -> Result<(Vec<Delivery>, u64), CliError> {
    let most = limit.map_or(usize::MAX, |limit| limit as usize);
    let mut deliveries = Vec::new();
    loop {
        let page = cluster
            .call(request.clone(), |channel, request| async move {
                WebhooksClient::new(channel).list_deliveries(request).await
            })
            .await?;
        deliveries.extend(page.deliveries);
        if page.next_page_token.is_empty() || deliveries.len() >= most {
            deliveries.truncate(most);
            return Ok((deliveries, page.revision));
        }
        request.page_token = page.next_page_token;
    }
}

/// Prints a webhook with its new secret: once, on stdout, with a word about it on stderr.
fn print_secret(output: &Output, webhook: &Webhook, secret: String) -> Result<(), CliError> {
    const WITHOUT: &str = "this request was answered before; the secret was shown then";
    let remark = if secret.is_empty() {
        WITHOUT
    } else {
        "keep the secret: it is not shown again"
    };
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&CreatedWebhookJson {
            webhook: WebhookJson::from(webhook),
            secret,
        })?,
        OutputFormat::Name if secret.is_empty() => return Err(CliError::message(WITHOUT)),
        OutputFormat::Name => output.line(&secret)?,
        OutputFormat::Table | OutputFormat::Wide => {
            let mut table = Table::new(&["NAME", "URL", "ID", "SECRET"]);
            let or_dash = |text: &str| {
                if text.is_empty() {
                    "-".to_owned()
                } else {
                    text.to_owned()
                }
            };
            table.row(vec![
                Cell::new(or_dash(&webhook.name)),
                Cell::new(&webhook.url),
                Cell::new(&webhook.id),
                Cell::new(or_dash(&secret)),
            ]);
            output.line(&table.render())?;
        }
    }
    note(remark);
    Ok(())
}
