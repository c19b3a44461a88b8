//! `reeve key …`: keys of callers (D27a).

use comfy_table::Cell;
use reeve_proto::json::{CreatedKeyJson, KeyJson};
use reeve_proto::names::name_of;
use reeve_proto::v1::keys_client::KeysClient;
use reeve_proto::v1::{
    BootstrapKeyRequest, CreateKeyRequest, Key, ListKeysRequest, RevokeKeyRequest, Role, WhoAmIRequest,
};

use super::{PAGE_SIZE, present};
use crate::args::{GlobalArgs, KeyCommand, OutputFormat, ReadArgs};
use crate::client::{Cluster, request_id};
use crate::error::CliError;
use crate::output::{Output, Table, note};

pub(crate) async fn run(global: &GlobalArgs, output: &Output, command: KeyCommand) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    match command {
        KeyCommand::Bootstrap { name } => {
            let request = BootstrapKeyRequest {
                name: name.unwrap_or_default(),
                // Made up here, so that the call may be repeated: an answer that is lost would lock everybody out.
                secret: format!("cmk_{}", uuid::Uuid::new_v4().simple()),
            };
            let answer = cluster
                .call(request, |channel, request| async move {
                    KeysClient::new(channel).bootstrap_key(request).await
                })
                .await?;
            print_created(output, &present(answer.key)?, answer.secret)?;
        }
        KeyCommand::Create {
            name,
            role,
            project,
            ttl,
            request_id: given,
        } => {
            let request = CreateKeyRequest {
                name,
                role: role.into(),
                project: project.unwrap_or_default(),
                ttl_s: ttl.unwrap_or_default(),
                request_id: request_id(given),
            };
            let answer = cluster
                .call(request, |channel, request| async move {
                    KeysClient::new(channel).create_key(request).await
                })
                .await?;
            print_created(output, &present(answer.key)?, answer.secret)?;
        }
        KeyCommand::List { all, read } => {
            let (keys, revision) = list(&cluster, all, read).await?;
            output.list(&keys, revision)?;
        }
        KeyCommand::Revoke {
            id,
            request_id: given,
        } => {
            let request = RevokeKeyRequest {
                id,
                request_id: request_id(given),
            };
            let answer = cluster.call(request, |channel, request| async move {
                KeysClient::new(channel).revoke_key(request).await
            });
            output.one(&present(answer.await?.key)?)?;
        }
        KeyCommand::Whoami => {
            let answer = cluster.call(WhoAmIRequest {}, |channel, request| async move {
                KeysClient::new(channel).who_am_i(request).await
            });
            output.one(&present(answer.await?.key)?)?;
        }
    }
    Ok(0)
}

async fn list(cluster: &Cluster, all: bool, read: ReadArgs) -> Result<(Vec<Key>, u64), CliError> {
    let mut request = ListKeysRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
        include_ended: all,
        consistency: read.consistency(),
    };
    let mut keys = Vec::new();
    loop {
        let page = cluster
            .call(request.clone(), |channel, request| async move {
                KeysClient::new(channel).list_keys(request).await
            })
            .await?;
        keys.extend(page.keys);
        if page.next_page_token.is_empty() {
            return Ok((keys, page.revision));
        }
        request.page_token = page.next_page_token;
    }
}

/// Prints a new key with its secret: once, on stdout, with a word about it on stderr.
fn print_created(output: &Output, key: &Key, secret: String) -> Result<(), CliError> {
    const WITHOUT: &str = "the key existed under this request id; its secret was shown when it was created";
    let remark = if secret.is_empty() {
        WITHOUT
    } else {
        "keep the secret: it is not shown again"
    };
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&CreatedKeyJson {
            key: KeyJson::from(key),
            secret,
        })?,
        OutputFormat::Name if secret.is_empty() => return Err(CliError::message(WITHOUT)),
        OutputFormat::Name => output.line(&secret)?,
        OutputFormat::Table | OutputFormat::Wide => {
            let mut table = Table::new(&["NAME", "ROLE", "PROJECT", "ID", "SECRET"]);
            table.row(vec![
                Cell::new(&key.name),
                Cell::new(name_of::<Role>(key.role)),
                Cell::new(&key.project),
                Cell::new(&key.id),
                Cell::new(if secret.is_empty() { "-" } else { &secret }),
            ]);
            output.line(&table.render())?;
        }
    }
    note(remark);
    Ok(())
}
