//! `reeve events`: the change feed, as it comes.

use reeve_proto::v1::WatchRequest;

use super::cluster::any_status;
use crate::args::{EventsArgs, GlobalArgs};
use crate::client::Cluster;
use crate::error::CliError;
use crate::feed::follow_feed;
use crate::output::{Output, print_event};

/// Prints what changes until it is stopped.
pub(crate) async fn run(global: &GlobalArgs, output: &Output, args: EventsArgs) -> Result<u8, CliError> {
    let cluster = Cluster::for_waiting(global)?;
    // Fails at once where there is no cluster, and tells where else to go when a node dies.
    let status = any_status(&cluster).await?;
    cluster.learn(status.members.into_iter().map(|member| member.grpc_addr));
    let request = WatchRequest {
        from_revision: args.from.unwrap_or_default(),
        kinds: args.kind.into_iter().map(i32::from).collect(),
        send_initial: args.initial,
        run: args.run.unwrap_or_default(),
        worker: args.worker.unwrap_or_default(),
        test: args.test.unwrap_or_default(),
        project: args.project.unwrap_or_default(),
        statuses: args.status,
        ..WatchRequest::default()
    };
    let following = follow_feed(&cluster, request, |message| print_event(output, message));
    match global.timeout {
        None => match following.await? {},
        // To look at the feed for a while is no failure.
        Some(limit) => match tokio::time::timeout(limit, following).await {
            Ok(ended) => match ended? {},
            Err(_) => Ok(0),
        },
    }
}
