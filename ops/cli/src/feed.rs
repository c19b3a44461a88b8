//! The change feed of a cluster, across the deaths of its nodes.
//!
//! The place in the feed is a revision, which every node understands: when a node is lost, another one goes on from there. What was
//! received last may come once more.

use std::time::Duration;

use reeve_proto::v1::watch_client::WatchClient;
use reeve_proto::v1::watch_response::Event;
use reeve_proto::v1::{ResetReason, WatchRequest, WatchResponse};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status, Streaming};

use crate::client::{Cluster, Node, is_transient, short_reason};
use crate::error::CliError;
use crate::output::note;

/// How long a node may take to open a watch. It may have to catch up first.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Nodes say something every five seconds; one that is silent for longer is lost.
const SILENCE: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// When no node answered for this long, following ends with an error.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Hands every message to `seen`, for ever. An outage is said once; an error that asking again cannot mend ends it.
pub(crate) async fn follow_feed(
    cluster: &Cluster,
    mut request: WatchRequest,
    mut seen: impl FnMut(&WatchResponse) -> Result<(), CliError>,
) -> Result<std::convert::Infallible, CliError> {
    let (mut pause, mut heard, mut connected) = (FIRST_PAUSE, Instant::now(), true);
    // What cannot be reached at the first attempt is more likely a wrong address than an outage.
    let mut begun = false;
    loop {
        let Some(node) = cluster.nodes().into_iter().next() else {
            return Err(CliError::message("no node is known"));
        };
        let lost = match open(&node, &request).await {
            Ok(mut stream) => {
                let mut on_message = |message: &WatchResponse| {
                    (pause, heard, connected, begun) = (FIRST_PAUSE, Instant::now(), true, true);
                    request.from_revision = request.from_revision.max(message.revision);
                    seen(message)
                };
                listen(&mut stream, &mut on_message).await
            }
            Err(CliError::Status(status)) if begun && status.code() == Code::OutOfRange => {
                note("changes are gone that were not seen; going on with those from now on");
                let gone = Event::Reset(reeve_proto::v1::Reset {
                    reason: ResetReason::RevisionCompacted.into(),
                });
                seen(&WatchResponse {
                    revision: request.from_revision,
                    change: request.from_revision,
                    event: Some(gone),
                })?;
                request.from_revision = 0;
                continue;
            }
            Err(error) => Err(error),
        };
        match lost {
            Ok(()) => request.from_revision = 0,
            Err(error)
                if is_transient(&error) && (begun || any_other(cluster)) && heard.elapsed() < GIVE_UP =>
            {
                if connected {
                    let reason = short_reason(&error);
                    note(&format!(
                        "{} does not answer ({reason}); asking another node",
                        node.address
                    ));
                }
                connected = false;
                cluster.demote(&node.address);
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn any_other(cluster: &Cluster) -> bool {
    cluster.nodes().len() > 1
}

/// Until the node says that changes are missing, or is lost.
async fn listen(
    stream: &mut Streaming<WatchResponse>,
    seen: &mut impl FnMut(&WatchResponse) -> Result<(), CliError>,
) -> Result<(), CliError> {
    loop {
        let message = timeout(SILENCE, stream.message())
            .await
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("it is silent")))?;
        // A stream that ends without a word is resumed like one that broke.
        let message = message.ok_or_else(|| Status::unavailable("the stream ended"))?;
        seen(&message)?;
        if matches!(message.event, Some(Event::Reset(_))) {
            return Ok(());
        }
    }
}

async fn open(node: &Node, request: &WatchRequest) -> Result<Streaming<WatchResponse>, CliError> {
    let mut client = WatchClient::new(node.channel.clone()).max_decoding_message_size(usize::MAX);
    let answer = timeout(OPEN_TIMEOUT, client.watch(request.clone()))
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer before the deadline")))?;
    Ok(answer.into_inner())
}
