//! Follows a run to its end, whatever happens to the nodes on the way.
//!
//! Level-triggered: the watch is opened first and the run is read from the same node after it, so that no change falls
//! between the two; whenever anything breaks, or nothing comes for a while, the run is read again, from any node.

#[cfg(test)]
mod tests;

use std::time::Duration;

use reeve_proto::v1::cluster_client::ClusterClient;
use reeve_proto::v1::resource::Resource as Kind;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::watch_client::WatchClient;
use reeve_proto::v1::watch_response::Event;
use reeve_proto::v1::{
    Consistency, GetRunRequest, GetStatusRequest, ResourceKind, Run, RunStatus, WatchRequest, WatchResponse,
};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Request, Status, Streaming};

use crate::client::{Cluster, Node, is_transient};
use crate::error::CliError;

/// How long a node may take to open a watch or to answer a read.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Without a word from the watch for this long, the run is read again.
const SILENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// When no node answered for this long, following ends with an error.
const GIVE_UP: Duration = Duration::from_secs(60);

/// What the follower has to say.
pub(crate) enum Seen<'a> {
    /// The run as it is now.
    Run(&'a Run),
    /// The connection to this node is lost, for this reason.
    Lost(&'a str, &'a CliError),
}

/// Whether the status is one of the three at the end.
pub(crate) fn is_terminal(run: &Run) -> bool {
    match run.status() {
        RunStatus::Completed | RunStatus::Failed | RunStatus::CannotRunForNow => true,
        RunStatus::Unspecified | RunStatus::Pending | RunStatus::Queued | RunStatus::Running => false,
    }
}

/// Follows the run until it is terminal, or until `limit` has passed.
pub(crate) async fn follow(
    cluster: &Cluster,
    id: &str,
    limit: Option<Duration>,
    mut seen: impl FnMut(Seen<'_>) -> Result<(), CliError>,
) -> Result<Run, CliError> {
    let following = Follower {
        cluster,
        id,
        latest: None,
    }
    .follow(&mut seen);
    match limit {
        None => following.await,
        Some(limit) => timeout(limit, following).await.unwrap_or_else(|_| {
            Err(CliError::TimedOut(format!(
                "run {id} is not at its end after {limit:?}; it goes on"
            )))
        }),
    }
}

struct Follower<'a> {
    cluster: &'a Cluster,
    id: &'a str,
    latest: Option<Run>,
}

impl Follower<'_> {
    async fn follow(
        mut self,
        seen: &mut impl FnMut(Seen<'_>) -> Result<(), CliError>,
    ) -> Result<Run, CliError> {
        let mut pause = FIRST_PAUSE;
        let mut heard = Instant::now();
        loop {
            let Some(node) = self.cluster.nodes().into_iter().next() else {
                return Err(CliError::message("no node is known"));
            };
            let (answered, result) = self.at_node(&node, seen).await;
            if answered {
                heard = Instant::now();
                pause = FIRST_PAUSE;
            }
            match result {
                Ok(Some(run)) => return Ok(run),
                // The node asks us to read again.
                Ok(None) => {}
                Err(error) if is_transient(&error) && heard.elapsed() < GIVE_UP => {
                    seen(Seen::Lost(&node.address, &error))?;
                    self.cluster.demote(&node.address);
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Follows at one node: whether it answered at all, and the run's end, or `None` to read again.
    async fn at_node(
        &mut self,
        node: &Node,
        seen: &mut impl FnMut(Seen<'_>) -> Result<(), CliError>,
    ) -> (bool, Result<Option<Run>, CliError>) {
        let mut stream = match open(node, self.id).await {
            Ok(stream) => stream,
            Err(error) => return (false, Err(error)),
        };
        match read(node, self.id).await {
            Ok(run) => match self.observe(run, seen) {
                Ok(None) => {}
                end => return (true, end),
            },
            Err(error) => return (false, Err(error)),
        }
        self.learn_members(node).await;
        (true, self.listen(node, &mut stream, seen).await)
    }

    async fn listen(
        &mut self,
        node: &Node,
        stream: &mut Streaming<WatchResponse>,
        seen: &mut impl FnMut(Seen<'_>) -> Result<(), CliError>,
    ) -> Result<Option<Run>, CliError> {
        let mut silent_at = Instant::now() + SILENCE;
        loop {
            let run = match timeout_at(silent_at, stream.message()).await {
                Ok(message) => match message?.and_then(|message| message.event) {
                    Some(Event::Put(resource)) => match resource.resource {
                        Some(Kind::Run(run)) if run.id == self.id => run,
                        Some(
                            Kind::Run(_)
                            | Kind::Test(_)
                            | Kind::Worker(_)
                            | Kind::Project(_)
                            | Kind::Probe(_)
                            | Kind::Webhook(_)
                            | Kind::Registrar(_)
                            | Kind::AccountPool(_)
                            | Kind::MediaFile(_),
                        )
                        | None => {
                            continue;
                        }
                    },
                    Some(Event::Bookmark(_)) => continue,
                    Some(Event::Deleted(_) | Event::Reset(_)) | None => return Ok(None),
                },
                Err(_) => read(node, self.id).await?,
            };
            silent_at = Instant::now() + SILENCE;
            let end = self.observe(run, seen)?;
            if end.is_some() {
                return Ok(end);
            }
        }
    }

    /// Takes note of the run unless something newer is known.
    fn observe(
        &mut self,
        run: Run,
        seen: &mut impl FnMut(Seen<'_>) -> Result<(), CliError>,
    ) -> Result<Option<Run>, CliError> {
        if self
            .latest
            .as_ref()
            .is_some_and(|latest| latest.revision >= run.revision)
        {
            return Ok(None);
        }
        seen(Seen::Run(&run))?;
        if is_terminal(&run) {
            return Ok(Some(run));
        }
        self.latest = Some(run);
        Ok(None)
    }

    /// Where else to go when this node dies. Not knowing is no reason to stop.
    async fn learn_members(&self, node: &Node) {
        let mut request = Request::new(GetStatusRequest::default());
        request.set_timeout(ANSWER_TIMEOUT);
        if let Ok(answer) = ClusterClient::new(node.channel.clone()).get_status(request).await {
            self.cluster.learn(
                answer
                    .into_inner()
                    .members
                    .into_iter()
                    .map(|member| member.grpc_addr),
            );
        }
    }
}

async fn open(node: &Node, id: &str) -> Result<Streaming<WatchResponse>, CliError> {
    let request = WatchRequest {
        from_revision: 0,
        kinds: vec![ResourceKind::Run.into()],
        run: id.to_owned(),
        ..Default::default()
    };
    let mut client = WatchClient::new(node.channel.clone());
    let answer = timeout(ANSWER_TIMEOUT, client.watch(request))
        .await
        .unwrap_or_else(|_| Err(no_answer()))?;
    Ok(answer.into_inner())
}

async fn read(node: &Node, id: &str) -> Result<Run, CliError> {
    let mut request = Request::new(GetRunRequest {
        id: id.to_owned(),
        consistency: Consistency::Linearizable.into(),
    });
    request.set_timeout(ANSWER_TIMEOUT);
    let mut client = RunsClient::new(node.channel.clone());
    let answer = timeout(ANSWER_TIMEOUT, client.get_run(request))
        .await
        .unwrap_or_else(|_| Err(no_answer()))?;
    answer
        .into_inner()
        .run
        .ok_or_else(|| CliError::message("the node answered without a run"))
}

fn no_answer() -> Status {
    Status::deadline_exceeded("no answer before the deadline")
}
