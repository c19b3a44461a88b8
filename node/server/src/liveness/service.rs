//! The receiving end of the exchange between nodes.

use std::time::Duration;

use reeve_proto::internal::node_exchange_server::{NodeExchange, NodeExchangeServer};
use reeve_proto::internal::{ExchangeRequest, ExchangeResponse, SessionAge};
use reeve_state::id::{NodeId, SessionEpoch, WorkerId};
use reeve_store::outside::{self, wall_ms};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{DigestEntry, Liveness, Resources, Vitals};

/// Largest digest that is read: about 1.5 million sessions.
const MAX_DIGEST_BYTES: usize = 64 * 1024 * 1024;

/// Takes digests and the time from other nodes.
pub struct ExchangeService(Liveness);

/// The service for the node-to-node listener. Until [`super::exchange::run`] it answers UNAVAILABLE.
pub fn exchange_service(liveness: &Liveness) -> NodeExchangeServer<ExchangeService> {
    NodeExchangeServer::new(ExchangeService(liveness.clone())).max_decoding_message_size(MAX_DIGEST_BYTES)
}

#[tonic::async_trait]
impl NodeExchange for ExchangeService {
    async fn exchange(
        &self,
        request: Request<ExchangeRequest>,
    ) -> Result<Response<ExchangeResponse>, Status> {
        let now = Instant::now();
        let request = request.into_inner();
        let shared = &self.0.0;
        check_addressee(&request, &shared.cluster_id, shared.me)?;
        let store = shared
            .store
            .get()
            .ok_or_else(|| Status::unavailable("the node is starting"))?;
        let entries = request
            .sessions
            .iter()
            .map(entry)
            .collect::<Result<Vec<_>, _>>()?;
        let from = NodeId(request.from_node);
        self.take_digest(from, entries, request.ages_unknown, now).await;
        store.note_peer_wall(from, request.wall_ms);
        let leadership = *store.leadership().borrow();
        let leader = leadership.leader == Some(shared.me);
        let status = store.status();
        let member = status.members.iter().any(|member| member.info.id == from);
        Ok(Response::new(ExchangeResponse {
            wall_ms: wall_ms(),
            cluster_time_ms: i64::try_from(store.cluster_now().0).unwrap_or(i64::MAX),
            leader,
            live_leader: status.leader.map_or(0, |leader| leader.0),
            // Only a leader whose term is established knows all members for sure.
            removed: leader && leadership.established && !member,
        }))
    }
}

impl ExchangeService {
    /// On a thread of its own: the table may be in use, a digest may be large, and the listener's runtime is Raft's.
    async fn take_digest(&self, from: NodeId, entries: Vec<DigestEntry>, ages_unknown: bool, now: Instant) {
        if self.0.deaf(now) {
            return;
        }
        let liveness = self.0.clone();
        let take = move || liveness.0.table.lock().digest(from, &entries, ages_unknown, now);
        if let Err(error) = outside::blocking(take).await {
            tracing::error!(%error, "a digest was not taken in");
        }
    }
}

fn check_addressee(request: &ExchangeRequest, cluster_id: &str, me: NodeId) -> Result<(), Status> {
    if request.cluster_id != cluster_id {
        return Err(Status::failed_precondition(format!(
            "cluster_id: this node belongs to cluster {cluster_id:?}, the call is for {:?}",
            request.cluster_id
        )));
    }
    if request.to_node != me.0 {
        return Err(Status::failed_precondition(format!(
            "to_node: this is node {me}, the call is for node {}",
            request.to_node
        )));
    }
    Ok(())
}

fn entry(session: &SessionAge) -> Result<DigestEntry, Status> {
    let id: [u8; 16] = session
        .worker_id
        .as_ref()
        .try_into()
        .map_err(|_| Status::invalid_argument("sessions.worker_id: must be 16 bytes"))?;
    Ok(DigestEntry {
        worker: WorkerId::from_bytes(id),
        epoch: SessionEpoch(session.epoch),
        age: Duration::from_millis(u64::from(session.age_ms)),
        vitals: vitals(session),
    })
}

/// For display, so figures that make no sense are cut and not refused.
fn vitals(session: &SessionAge) -> Vitals {
    let percent = |figure: u32| u8::try_from(figure).unwrap_or(u8::MAX);
    Vitals {
        active_endpoints: session.active_endpoints,
        resources: session.resources.map(|resources| Resources {
            cpu_percent: percent(resources.cpu_percent),
            memory_percent: percent(resources.memory_percent),
            disk_percent: percent(resources.disk_percent),
        }),
        clock_skew_ms: session.clock_skew_ms,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use reeve_proto::internal;

    use super::*;

    fn request() -> ExchangeRequest {
        ExchangeRequest {
            cluster_id: "lab".into(),
            from_node: 2,
            to_node: 1,
            ..ExchangeRequest::default()
        }
    }

    #[test]
    fn a_call_for_another_cluster_or_node_is_refused() {
        assert!(check_addressee(&request(), "lab", NodeId(1)).is_ok());
        let error = check_addressee(&request(), "prod", NodeId(1)).unwrap_err();
        assert_eq!(error.code(), tonic::Code::FailedPrecondition);
        assert!(error.message().starts_with("cluster_id: "), "{error}");
        let error = check_addressee(&request(), "lab", NodeId(3)).unwrap_err();
        assert_eq!(error.code(), tonic::Code::FailedPrecondition);
        assert!(error.message().starts_with("to_node: "), "{error}");
    }

    #[test]
    fn a_worker_id_that_is_not_16_bytes_is_refused() {
        let error = entry(&SessionAge {
            worker_id: vec![1; 15].into(),
            ..SessionAge::default()
        })
        .unwrap_err();
        assert_eq!(error.code(), tonic::Code::InvalidArgument);
        let good = entry(&SessionAge {
            worker_id: vec![1; 16].into(),
            epoch: 4,
            age_ms: 9,
            active_endpoints: 2,
            resources: Some(internal::Resources {
                cpu_percent: 1,
                memory_percent: 2,
                disk_percent: 3,
            }),
            clock_skew_ms: Some(-9),
        });
        assert_eq!(
            good.unwrap(),
            DigestEntry {
                worker: WorkerId::from_bytes([1; 16]),
                epoch: SessionEpoch(4),
                age: Duration::from_millis(9),
                vitals: Vitals {
                    active_endpoints: 2,
                    resources: Some(Resources {
                        cpu_percent: 1,
                        memory_percent: 2,
                        disk_percent: 3
                    }),
                    clock_skew_ms: Some(-9)
                }
            }
        );
    }
}
