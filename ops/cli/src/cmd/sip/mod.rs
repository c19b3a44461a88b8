//! `reeve registrar …`, `reeve account …` and `reeve media …`.

mod accounts_file;

use std::path::Path;

use reeve_proto::v1::sip_client::SipClient;
use reeve_proto::v1::{
    AccountPool, ApplyAccountsRequest, ApplyRegistrarRequest, DeleteAccountsRequest, DeleteMediaRequest,
    DeleteRegistrarRequest, GetRegistrarRequest, ListAccountPoolsRequest, ListAccountsRequest,
    ListMediaRequest, ListRegistrarsRequest, MediaFile, PutMediaRequest, Registrar, SipAccount,
};

use super::{PAGE_SIZE, present};
use crate::args::{AccountCommand, GlobalArgs, MediaCommand, ProjectArgs, ReadArgs, RegistrarCommand};
use crate::client::{Cluster, request_id, without_number};
use crate::error::CliError;
use crate::output::{Output, note};

/// Accounts in one call; the API takes as many.
const ACCOUNTS_AT_ONCE: usize = 1_000;

/// One call after another until the last page.
macro_rules! pages {
    ($cluster:expr, $request:expr, $method:ident, $field:ident) => {{
        let mut request = $request;
        let mut rows = Vec::new();
        loop {
            let page = $cluster
                .call(request.clone(), |channel, request| async move {
                    SipClient::new(channel).$method(request).await
                })
                .await?;
            rows.extend(page.$field);
            if page.next_page_token.is_empty() {
                break (rows, page.revision);
            }
            request.page_token = page.next_page_token;
        }
    }};
}

pub(crate) async fn registrar(
    global: &GlobalArgs,
    output: &Output,
    command: RegistrarCommand,
) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    match command {
        RegistrarCommand::Apply {
            named,
            domain,
            host,
            port,
            transport,
            outbound_proxy,
        } => {
            let request = ApplyRegistrarRequest {
                name: named.name,
                project: named.project.name(),
                domain,
                host: host.unwrap_or_default(),
                port: port.map_or(0, u32::from),
                transport: transport.into(),
                outbound_proxy: outbound_proxy.unwrap_or_default(),
                request_id: request_id(named.request_id),
            };
            let answer = cluster.call(request, |channel, request| async move {
                SipClient::new(channel).apply_registrar(request).await
            });
            output.one(&present(answer.await?.registrar)?)?;
        }
        RegistrarCommand::List { project, read } => {
            let (rows, revision) = list_registrars(&cluster, &project, read).await?;
            output.list(&rows, revision)?;
        }
        RegistrarCommand::Get { name, project, read } => {
            let request = GetRegistrarRequest {
                name,
                project: project.name(),
                consistency: read.consistency(),
            };
            let answer = cluster.call(request, |channel, request| async move {
                SipClient::new(channel).get_registrar(request).await
            });
            output.one(&present(answer.await?.registrar)?)?;
        }
        RegistrarCommand::Delete(named) => {
            let request = DeleteRegistrarRequest {
                name: named.name.clone(),
                project: named.project.name(),
                request_id: request_id(named.request_id),
            };
            let answer = cluster.call(request, |channel, request| async move {
                SipClient::new(channel).delete_registrar(request).await
            });
            answer.await?;
            note(&format!("registrar {} deleted", named.name));
        }
    }
    Ok(0)
}

async fn list_registrars(
    cluster: &Cluster,
    project: &ProjectArgs,
    read: ReadArgs,
) -> Result<(Vec<Registrar>, u64), CliError> {
    let request = ListRegistrarsRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
        consistency: read.consistency(),
        project: project.name(),
    };
    Ok(pages!(cluster, request, list_registrars, registrars))
}

pub(crate) async fn account(
    global: &GlobalArgs,
    output: &Output,
    command: AccountCommand,
) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    match command {
        AccountCommand::Apply { pool, file, project } => {
            let pool = apply_accounts(&cluster, pool, &file, &project).await?;
            output.one(&pool)?;
        }
        AccountCommand::List {
            pool: Some(pool),
            project,
            read,
        } => {
            let (rows, revision) = list_accounts(&cluster, pool, &project, read).await?;
            output.list(&rows, revision)?;
        }
        AccountCommand::List {
            pool: None,
            project,
            read,
        } => {
            let (rows, revision) = list_pools(&cluster, &project, read).await?;
            output.list(&rows, revision)?;
        }
        AccountCommand::Delete {
            pool,
            usernames,
            all,
            project,
            request_id: given,
        } => {
            let request = DeleteAccountsRequest {
                pool: pool.clone(),
                project: project.name(),
                usernames,
                all,
                request_id: request_id(given),
            };
            let answer = cluster.call(request, |channel, request| async move {
                SipClient::new(channel).delete_accounts(request).await
            });
            answer.await?;
            note(&format!("accounts of pool {pool} deleted"));
        }
    }
    Ok(0)
}

/// In parts, as many as the API takes at once; repeating the command after a part failed is harmless.
async fn apply_accounts(
    cluster: &Cluster,
    pool: String,
    file: &Path,
    project: &ProjectArgs,
) -> Result<AccountPool, CliError> {
    let accounts = accounts_file::load(file)?;
    let (total, mut sent, mut answer) = (accounts.len(), 0, None);
    for part in accounts.chunks(ACCOUNTS_AT_ONCE) {
        let request = ApplyAccountsRequest {
            pool: pool.clone(),
            project: project.name(),
            accounts: part.to_vec(),
            request_id: request_id(None),
        };
        let applied = cluster
            .call(request, |channel, request| async move {
                SipClient::new(channel).apply_accounts(request).await
            })
            .await;
        match applied {
            Ok(applied) => answer = Some(applied),
            Err(error) => {
                if sent > 0 {
                    note(&format!("{sent} of {total} accounts were applied before this"));
                }
                return Err(error);
            }
        }
        sent += part.len();
    }
    present(answer.and_then(|answer| answer.pool))
}

async fn list_accounts(
    cluster: &Cluster,
    pool: String,
    project: &ProjectArgs,
    read: ReadArgs,
) -> Result<(Vec<SipAccount>, u64), CliError> {
    let request = ListAccountsRequest {
        pool,
        page_size: PAGE_SIZE,
        page_token: String::new(),
        consistency: read.consistency(),
        project: project.name(),
    };
    Ok(pages!(cluster, request, list_accounts, accounts))
}

async fn list_pools(
    cluster: &Cluster,
    project: &ProjectArgs,
    read: ReadArgs,
) -> Result<(Vec<AccountPool>, u64), CliError> {
    let request = ListAccountPoolsRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
        consistency: read.consistency(),
        project: project.name(),
    };
    Ok(pages!(cluster, request, list_account_pools, pools))
}

pub(crate) async fn media(
    global: &GlobalArgs,
    output: &Output,
    command: MediaCommand,
) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    match command {
        MediaCommand::Put { named, file } => {
            let content = std::fs::read(&file).map_err(|error| {
                let why = without_number(&error.to_string());
                CliError::message(format!("{}: {why}", file.display()))
            })?;
            let request = PutMediaRequest {
                name: named.name,
                project: named.project.name(),
                content,
                request_id: request_id(named.request_id),
            };
            let answer = cluster.call(request, |channel, request| async move {
                SipClient::new(channel).put_media(request).await
            });
            output.one(&present(answer.await?.media)?)?;
        }
        MediaCommand::List { project, read } => {
            let (rows, revision) = list_media(&cluster, &project, read).await?;
            output.list(&rows, revision)?;
        }
        MediaCommand::Delete(named) => {
            let request = DeleteMediaRequest {
                name: named.name.clone(),
                project: named.project.name(),
                request_id: request_id(named.request_id),
            };
            let answer = cluster.call(request, |channel, request| async move {
                SipClient::new(channel).delete_media(request).await
            });
            answer.await?;
            note(&format!("media file {} deleted", named.name));
        }
    }
    Ok(0)
}

async fn list_media(
    cluster: &Cluster,
    project: &ProjectArgs,
    read: ReadArgs,
) -> Result<(Vec<MediaFile>, u64), CliError> {
    let request = ListMediaRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
        consistency: read.consistency(),
        project: project.name(),
    };
    Ok(pages!(cluster, request, list_media, media))
}
