//! The fake cluster's registry of ping workers.

use std::sync::atomic::Ordering;
use std::time::Instant;

use reeve_proto::v1::workers_server::Workers;
use reeve_proto::v1::*;
use tonic::{Request, Response, Status};

use super::cluster_time_ms;
use super::key;
use super::node::Gateway;

/// What the cluster knows of ping workers, and how it answers.
#[derive(Default)]
pub struct Registry {
    /// Of every registration that was accepted.
    pub registered: Vec<RegisterWorkerRequest>,
    /// The id that counts; None: not registered, or deleted.
    pub id: Option<String>,
    /// Node, time and content of every ping that was answered.
    pub pings: Vec<(String, Instant, PingWorkerRequest)>,
    pub unregistered: Vec<String>,
    /// A worker of any name is ONLINE.
    pub name_taken: bool,
    /// Registrations that were refused for that.
    pub refused: u32,
    /// Calls with another key, or none.
    pub strangers: u32,
    /// The next answer to a ping says so.
    pub leave: bool,
    /// 0: the default of the documents.
    pub ping_interval_ms: u32,
}

type Answer<T> = Result<Response<T>, Status>;

impl Gateway {
    /// What holds for every call.
    async fn admit<T>(&self, call: Request<T>) -> Result<T, Status> {
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.unavailable.load(Ordering::SeqCst) {
            return Err(Status::unavailable("SHUTTING_DOWN"));
        }
        let expected = format!("Bearer {}", key());
        if call
            .metadata()
            .get("authorization")
            .is_none_or(|value| value != expected.as_str())
        {
            self.cluster.state().registry.strangers += 1;
            return Err(Status::unauthenticated("KEY_REJECTED"));
        }
        Ok(call.into_inner())
    }
}

fn unused<T>() -> Answer<T> {
    Err(Status::unimplemented("no worker calls this"))
}

#[tonic::async_trait]
impl Workers for Gateway {
    async fn register_worker(&self, call: Request<RegisterWorkerRequest>) -> Answer<RegisterWorkerResponse> {
        let request = self.admit(call).await?;
        let mut state = self.cluster.state();
        let registry = &mut state.registry;
        if registry.name_taken {
            registry.refused += 1;
            return Err(Status::already_exists("WORKER_EXISTS"));
        }
        if request.name == "bad name " {
            return Err(Status::invalid_argument("name: no spaces at the ends"));
        }
        let name = if request.name.is_empty() {
            "made-up".to_owned()
        } else {
            request.name.clone()
        };
        registry.registered.push(request);
        let id = format!("id-{}", registry.registered.len());
        registry.id = Some(id.clone());
        Ok(Response::new(RegisterWorkerResponse {
            worker: Some(Worker {
                id,
                name,
                ..Worker::default()
            }),
            ping_interval_ms: registry.ping_interval_ms,
            unreachable_after_ms: 120_000,
            offline_after_ms: 360_000,
        }))
    }

    async fn ping_worker(&self, call: Request<PingWorkerRequest>) -> Answer<PingWorkerResponse> {
        let request = self.admit(call).await?;
        let mut state = self.cluster.state();
        let clock_skew_ms = state.clock_skew_ms;
        let registry = &mut state.registry;
        if registry.id.as_ref() != Some(&request.id) {
            return Err(Status::not_found("WORKER_NOT_FOUND"));
        }
        registry
            .pings
            .push((self.addr.to_string(), Instant::now(), request));
        Ok(Response::new(PingWorkerResponse {
            status: WorkerStatus::Online.into(),
            cluster_time: Some(prost_types::Timestamp {
                seconds: cluster_time_ms() / 1_000,
                nanos: 0,
            }),
            clock_skew_ms: Some(clock_skew_ms),
            ping_interval_ms: registry.ping_interval_ms,
            leave: registry.leave,
        }))
    }

    async fn unregister_worker(
        &self,
        call: Request<UnregisterWorkerRequest>,
    ) -> Answer<UnregisterWorkerResponse> {
        let request = self.admit(call).await?;
        self.cluster.state().registry.unregistered.push(request.id);
        Ok(Response::new(UnregisterWorkerResponse { worker: None }))
    }

    async fn create_worker(&self, _: Request<CreateWorkerRequest>) -> Answer<CreateWorkerResponse> {
        unused()
    }

    async fn get_worker(&self, _: Request<GetWorkerRequest>) -> Answer<GetWorkerResponse> {
        unused()
    }

    async fn list_workers(&self, _: Request<ListWorkersRequest>) -> Answer<ListWorkersResponse> {
        unused()
    }

    async fn list_worker_events(
        &self,
        _: Request<ListWorkerEventsRequest>,
    ) -> Answer<ListWorkerEventsResponse> {
        unused()
    }

    async fn drain_worker(&self, _: Request<DrainWorkerRequest>) -> Answer<DrainWorkerResponse> {
        unused()
    }

    async fn undrain_worker(&self, _: Request<UndrainWorkerRequest>) -> Answer<UndrainWorkerResponse> {
        unused()
    }

    async fn regenerate_token(&self, _: Request<RegenerateTokenRequest>) -> Answer<RegenerateTokenResponse> {
        unused()
    }

    async fn delete_worker(&self, _: Request<DeleteWorkerRequest>) -> Answer<DeleteWorkerResponse> {
        unused()
    }

    async fn cleanup_workers(&self, _: Request<CleanupWorkersRequest>) -> Answer<CleanupWorkersResponse> {
        unused()
    }
}
