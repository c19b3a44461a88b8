//! Measures how long writes are unavailable: one writer per node repeats a small write with a short deadline.

use std::time::Duration;

use reeve_proto::v1::ApplyTestRequest;
use reeve_proto::v1::tests_client::TestsClient;
use tokio::sync::mpsc;
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
    /// In the order of the answers.
    acknowledged: mpsc::UnboundedReceiver<Acknowledged>,
}

impl WriteProbe {
    pub(super) fn start(cluster: &Cluster) -> Result<Self, CliError> {
        let (sender, acknowledged) = mpsc::unbounded_channel();
        let mut writers = JoinSet::new();
        for (index, node) in cluster.nodes().into_iter().enumerate() {
            writers.spawn(write_for_ever(
                node,
                format!("demo-probe-{}", index + 1),
                sender.clone(),
            ));
        }
        Ok(Self {
            writers,
            acknowledged,
        })
    }

    /// Returns once any write was acknowledged.
    pub(super) async fn any(&mut self) -> Result<(), CliError> {
        self.next().await.map(|_| ())
    }

    /// When the first write that was sent after `instant` was acknowledged.
    pub(super) async fn first_after(&mut self, instant: Instant) -> Result<Instant, CliError> {
        loop {
            let write = self.next().await?;
            if write.sent > instant {
                return Ok(write.answered);
            }
        }
    }

    /// Stops the writers; none of them writes after this.
    pub(super) async fn stop(mut self) {
        self.writers.shutdown().await;
    }

    async fn next(&mut self) -> Result<Acknowledged, CliError> {
        self.acknowledged
            .recv()
            .await
            .ok_or_else(|| CliError::message("the writers died"))
    }
}

async fn write_for_ever(node: Node, name: String, sender: mpsc::UnboundedSender<Acknowledged>) {
    let mut client = TestsClient::new(node.channel);
    loop {
        let mut request = Request::new(ApplyTestRequest {
            definition: Some(probe_definition(&name)),
            request_id: request_id(None),
            ..Default::default()
        });
        request.set_timeout(ATTEMPT);
        let sent = Instant::now();
        if let Ok(Ok(_)) = timeout(ATTEMPT, client.apply_test(request)).await {
            // The demonstration may have ended already.
            let _ = sender.send(Acknowledged {
                sent,
                answered: Instant::now(),
            });
        }
        sleep(PAUSE).await;
    }
}
