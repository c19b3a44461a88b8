//! Asks every node again and again for its term and its leader.

use std::sync::Arc;
use std::time::Duration;

use reeve_proto::bearer::Connection;
use reeve_proto::v1::GetStatusRequest;
use reeve_proto::v1::cluster_client::ClusterClient;
use tonic::Request;

use crate::history::{History, Term};

const PAUSE: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(1);

/// Watches one node until the task is ended; records every change.
pub async fn observe(node: usize, channel: Connection, history: Arc<History>) {
    let mut last = None;
    loop {
        let mut request = Request::new(GetStatusRequest::default());
        request.set_timeout(TIMEOUT);
        if let Ok(answer) = ClusterClient::new(channel.clone()).get_status(request).await {
            let status = answer.into_inner();
            let seen = (status.term, status.leader_id);
            if last != Some(seen) {
                last = Some(seen);
                history.term(Term {
                    at_us: history.now_us(),
                    node,
                    term: status.term,
                    leader: status.leader_id,
                });
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
