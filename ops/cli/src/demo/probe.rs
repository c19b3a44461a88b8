//! Measures how long writes are unavailable: one writer per node repeats a small write with a short deadline.

use std::sync::Arc;
use std::time::Duration;

use reeve_proto::v1::ApplyTestRequest;
use reeve_proto::v1::tests_client::TestsClient;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::Request;

use super::run::probe_definition;
use crate::client::{Cluster, Node, request_id};
use crate::error::CliError;

/// Each attempt is given up after this, so that a hanging one hides little.
const ATTEMPT: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(10);

/// An acknowledged write: when it was sent and when the answer came.
#[derive(Clone, Copy)]
struct Acknowledged {
    sent: Instant,
    answered: Instant,
}

/// Writers that run until they are stopped.
pub(super) struct WriteProbe {
    writers: JoinSet<()>,
    latest: watch::Receiver<Option<Acknowledged>>,
}

impl WriteProbe {
    pub(super) fn start(addresses: &[String]) -> Result<Self, CliError> {
        let (sender, latest) = watch::channel(None);
        let sender = Arc::new(sender);
        let mut writers = JoinSet::new();
        for (index, node) in Cluster::connect_to(addresses, ATTEMPT)?
            .nodes()
            .into_iter()
            .enumerate()
        {
            let sender = sender.clone();
            writers.spawn(write_for_ever(node, format!("demo-probe-{}", index + 1), sender));
        }
        Ok(Self { writers, latest })
    }

    /// Returns once any write was acknowledged.
    pub(super) async fn first_acknowledged(&self) -> Result<(), CliError> {
        self.wait(|_| true).await.map(|_| ())
    }

    /// How long after `instant` the first write that was sent after it was acknowledged.
    ///
    /// Later ones may be seen first, but each writer waits a while between two, which is far less than an election.
    pub(super) async fn first_acknowledged_after(&self, instant: Instant) -> Result<Duration, CliError> {
        let write = self.wait(|write| write.sent > instant).await?;
        Ok(write.answered.duration_since(instant))
    }

    /// Stops the writers; none of them writes after this.
    pub(super) async fn stop(mut self) {
        self.writers.shutdown().await;
    }

    async fn wait(&self, condition: impl Fn(Acknowledged) -> bool) -> Result<Acknowledged, CliError> {
        let mut latest = self.latest.clone();
        let write = latest
            .wait_for(|write| write.is_some_and(&condition))
            .await
            .map_err(|_| CliError::message("the writers died"))?;
        (*write).ok_or_else(|| CliError::message("the writers died"))
    }
}

async fn write_for_ever(node: Node, name: String, sender: Arc<watch::Sender<Option<Acknowledged>>>) {
    let mut client = TestsClient::new(node.channel);
    loop {
        let mut request = Request::new(ApplyTestRequest {
            definition: Some(probe_definition(&name)),
            request_id: request_id(None),
        });
        request.set_timeout(ATTEMPT);
        let sent = Instant::now();
        if let Ok(Ok(_)) = timeout(ATTEMPT, client.apply_test(request)).await {
            sender.send_replace(Some(Acknowledged {
                sent,
                answered: Instant::now(),
            }));
        }
        sleep(PAUSE).await;
    }
}
