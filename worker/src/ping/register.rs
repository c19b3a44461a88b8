//! How a ping worker says who it is (R343). The same road after it was deleted (R348) and after it came back (R353).

use std::time::Duration;

use reeve_proto::v1::{RegisterWorkerRequest, RegisterWorkerResponse};
use tracing::info;

use super::agent::{Agent, Turn, new_request_id};
use super::judge;

impl Agent {
    pub(super) async fn register(&mut self) -> Turn {
        let request = RegisterWorkerRequest {
            version: self.config.version.clone(),
            name: self.config.name.clone(),
            ip_address: self.config.ip_address.clone(),
            function_blocks: self.config.function_blocks.clone(),
            region: self.config.region.clone(),
            labels: self.config.labels.clone().into_iter().collect(),
            request_id: self.request_id.clone(),
        };
        let answer = match self.client().await {
            Ok(mut client) => client.register(request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                self.registered(answer);
                Turn::Again
            }
            Err(error) => self.failed(judge::registration(error)),
        }
    }

    fn registered(&mut self, answer: RegisterWorkerResponse) {
        let now = self.clock.now();
        let worker = answer.worker.unwrap_or_default();
        info!(worker = %worker.name, id = %worker.id, node = %self.node, "registered");
        self.pinged_within(answer.ping_interval_ms);
        self.limits = self
            .config
            .reconnect
            .within(Duration::from_millis(u64::from(answer.unreachable_after_ms)));
        // A name that the cluster made up stays ours.
        self.config.name = worker.name;
        self.shown.lock().worker_id = Some(worker.id.clone());
        self.id = Some(worker.id);
        self.request_id = new_request_id();
        // ONLINE only with the first ping.
        self.due = now;
    }
}
