//! How a ping worker leaves (R349, R350).

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tonic::Code;
use tracing::info;

use super::agent::Agent;
use super::client::CallError;
use crate::cause::{Cause, CauseKind};
use crate::error::WorkerError;

/// How long a worker that ends looks for a node that takes its word. A container is killed after ten seconds.
const UNREGISTER_WITHIN: Duration = Duration::from_secs(5);
/// Between two attempts of that.
const UNREGISTER_PAUSE: Duration = Duration::from_millis(100);

impl Agent {
    /// R349, R350. What was registered stays (R352).
    pub(super) async fn unregister(mut self) -> Result<(), WorkerError> {
        let Some(id) = self.id.take() else {
            info!("not registered: leaving");
            return Ok(());
        };
        let told = timeout(UNREGISTER_WITHIN, async {
            while let Err(error) = self.try_unregister(id.clone()).await {
                if matches!(&error, CallError::Answered(status) if status.code() == Code::NotFound) {
                    break;
                }
                self.connected = None;
                sleep(UNREGISTER_PAUSE).await;
            }
        });
        if told.await.is_err() {
            return Err(WorkerError::NotUnregistered);
        }
        info!("unregistered: leaving");
        Ok(())
    }

    async fn try_unregister(&mut self, id: String) -> Result<(), CallError> {
        // Two nodes at least get their chance.
        self.limits.connect_timeout = self.limits.connect_timeout.min(UNREGISTER_WITHIN / 4);
        let limit = UNREGISTER_WITHIN / 3;
        let mut client = self.client().await?;
        let silent = || CallError::NoAnswer(Cause::new(CauseKind::TimedOut, "no answer to the call"));
        timeout(limit, client.unregister(id))
            .await
            .unwrap_or_else(|_| Err(silent()))
    }
}
