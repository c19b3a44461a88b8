//! `reeve cluster …`: the nodes themselves.

use std::time::Duration;

use reeve_proto::bearer::Connection;
use reeve_proto::json::{ListJson, MemberJson};
use reeve_proto::v1::cluster_client::ClusterClient;
use reeve_proto::v1::{
    AddMemberRequest, GetStatusRequest, GetStatusResponse, Member, RemoveMemberRequest, TransferLeaderRequest,
};
use tonic::Request;

use crate::args::{ClusterCommand, GlobalArgs, OutputFormat};
use crate::client::{Cluster, short_reason};
use crate::error::CliError;
use crate::output::{NodeView, Output, cluster_json, cluster_table, member_table, note};

/// How long each member may take to tell about itself.
const MEMBER_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) async fn run(
    global: &GlobalArgs,
    output: &Output,
    command: ClusterCommand,
) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    match command {
        ClusterCommand::Status => print_status(output, &views(&cluster, any_status(&cluster).await?).await)?,
        ClusterCommand::Members => {
            let status = any_status(&cluster).await?;
            print_members(output, &status.members, status.revision)?;
        }
        ClusterCommand::Add {
            id,
            name,
            raft_addr,
            grpc_addr,
            http_addr,
        } => {
            let request = AddMemberRequest {
                node_id: id,
                name,
                raft_addr,
                grpc_addr,
                http_addr,
            };
            let answer = cluster.call(request, |channel, request| async move {
                ClusterClient::new(channel).add_member(request).await
            });
            let members = answer.await?.members;
            print_members(output, &members, revision(&cluster).await)?;
        }
        ClusterCommand::Remove { id } => {
            let answer = cluster.call(
                RemoveMemberRequest { node_id: id },
                |channel, request| async move { ClusterClient::new(channel).remove_member(request).await },
            );
            let members = answer.await?.members;
            print_members(output, &members, revision(&cluster).await)?;
        }
        ClusterCommand::TransferLeader { id } => {
            let request = TransferLeaderRequest {
                node_id: id.unwrap_or_default(),
            };
            let answer = cluster.call(request, |channel, request| async move {
                ClusterClient::new(channel).transfer_leader(request).await
            });
            let leader = answer.await?.leader_id;
            if output.is_table() {
                note(&format!("node {leader} leads"))
            }
            match output.format {
                OutputFormat::Json | OutputFormat::Jsonl => {
                    output.json(&serde_json::json!({ "leaderId": leader }))?
                }
                OutputFormat::Name => output.line(&leader.to_string())?,
                OutputFormat::Table | OutputFormat::Wide => {}
            }
        }
    }
    Ok(0)
}

/// The revision after a change; that the change was made counts more than that this is known.
async fn revision(cluster: &Cluster) -> u64 {
    any_status(cluster).await.map_or(0, |status| status.revision)
}

/// What a node says about itself and the members: one that has a leader if there is one, because a node that is cut off or was
/// removed knows only what was.
pub(crate) async fn any_status(cluster: &Cluster) -> Result<GetStatusResponse, CliError> {
    for node in cluster.nodes() {
        if let Ok(status) = status_of(node.channel, false, MEMBER_TIMEOUT).await
            && status.leader_id != 0
        {
            return Ok(status);
        }
    }
    cluster
        .call(GetStatusRequest::default(), |channel, request| async move {
            ClusterClient::new(channel).get_status(request).await
        })
        .await
}

/// What one node says about itself.
pub(crate) async fn status_of(
    channel: Connection,
    include_state_hash: bool,
    timeout: Duration,
) -> Result<GetStatusResponse, CliError> {
    let mut request = Request::new(GetStatusRequest { include_state_hash });
    request.set_timeout(timeout);
    let mut client = ClusterClient::new(channel);
    match tokio::time::timeout(timeout, client.get_status(request)).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(tonic::Status::deadline_exceeded("no answer before the deadline").into()),
    }
}

/// Asks every member about itself, all at once.
pub(super) async fn views(cluster: &Cluster, known: GetStatusResponse) -> Vec<NodeView> {
    let asked = known.members.iter().map(|member| async {
        let status = if member.node_id == known.node_id {
            Ok(known.clone())
        } else {
            ask(cluster, member).await
        };
        NodeView {
            member: member.clone(),
            status,
        }
    });
    let mut views = futures::future::join_all(asked).await;
    views.sort_by_key(|view| view.member.node_id);
    views
}

async fn ask(cluster: &Cluster, member: &Member) -> Result<GetStatusResponse, String> {
    let text = |error: CliError| short_reason(&error);
    let one = cluster.only(&member.grpc_addr, MEMBER_TIMEOUT).map_err(text)?;
    let Some(node) = one.nodes().into_iter().next() else {
        return Err("no address".to_owned());
    };
    status_of(node.channel, false, MEMBER_TIMEOUT).await.map_err(text)
}

fn print_status(output: &Output, views: &[NodeView]) -> Result<(), CliError> {
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&cluster_json(views)),
        OutputFormat::Name => views.iter().try_for_each(|view| output.line(&view.member.name)),
        OutputFormat::Table | OutputFormat::Wide => {
            for view in views {
                if let Err(error) = &view.status {
                    note(&format!("{}: {error}", view.member.name));
                }
            }
            output.line(&cluster_table(views, output.format == OutputFormat::Wide))
        }
    }
}

fn print_members(output: &Output, members: &[Member], revision: u64) -> Result<(), CliError> {
    match output.format {
        OutputFormat::Json => output.json(&ListJson::<MemberJson>::new(members, "", revision)),
        OutputFormat::Jsonl => members
            .iter()
            .try_for_each(|member| output.json(&MemberJson::from(member))),
        OutputFormat::Name => members.iter().try_for_each(|member| output.line(&member.name)),
        OutputFormat::Table | OutputFormat::Wide => output.line(&member_table(members)),
    }
}
