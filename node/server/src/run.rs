//! The composition: what a node consists of, how it starts and how it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reeve_store::{OpenError, Store};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;

use crate::api::Api;
use crate::config::{ConfigError, NodeConfig};
use crate::context::Context;
use crate::evidence::{self, Evidence};
use crate::gateway::Gateway;
use crate::liveness::{self, Liveness};
use crate::{bootstrap, grpc, mutants, reconciler, rest, telemetry, webhooks};

/// How often the recorder of metrics tidies up.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Why a node did not start, or stopped by itself.
#[derive(Debug, Error)]
pub enum NodeError {
    /// Settings that contradict each other.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address is not free.
    #[error("cannot listen on {field} {addr}: {source}")]
    Listen {
        /// Name of the setting.
        field: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The log or the state cannot be opened.
    #[error("cannot open the store: {0}")]
    Open(#[from] OpenError),
    /// The environment asks for a known bug that this program does not have.
    #[error("{0}")]
    Mutant(String),
    /// The services cannot be put together.
    #[error("cannot build the services: {0}")]
    Build(String),
    /// The store met something that it must not go on with.
    #[error("the node must stop: {0}")]
    Fatal(String),
    /// A listener ended though nobody asked it to.
    #[error("a server ended: {0}")]
    Server(String),
}

/// Runs a node until `shutdown` is cancelled or it must stop; then it hands over what it holds and returns.
///
/// # Errors
/// It could not start, or it had to stop.
pub async fn run(config: NodeConfig, shutdown: CancellationToken) -> Result<(), NodeError> {
    mutants::choose().map_err(NodeError::Mutant)?;
    config.validate()?;
    telemetry::install().map_err(|error| NodeError::Build(error.to_string()))?;
    // Before the store, so that a second node on the same machine touches nothing.
    let grpc_listener = listen("grpc_addr", config.grpc_addr).await?;
    let http_listener = listen("http_addr", config.http_addr).await?;
    let config = Arc::new(config);
    let liveness = Liveness::new(&config);
    let evidence = Evidence::open(&config)?;
    let internal = Routes::new(liveness::exchange_service(&liveness))
        .add_service(evidence::evidence_service(&evidence, &config));
    let store = Store::open(config.store_config(), Some(internal)).await?;
    // Cancelled for the parts only after the node is told, or finds, that it has to stop.
    let context = Context {
        store,
        config,
        liveness,
        evidence,
        shutdown: CancellationToken::new(),
    };
    tracing::info!(
        node = context.config.id.0,
        name = context.config.name,
        grpc = %context.config.grpc_addr,
        http = %context.config.http_addr,
        raft = %context.config.raft_addr,
        "node started"
    );
    let mut parts = Parts::start(&context, grpc_listener, http_listener)?;
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        reason = fatal(&context.store) => Err(NodeError::Fatal(reason)),
        () = context.liveness.removed() => {
            tracing::warn!("this node was removed from the cluster; it stops, and its data can be deleted");
            Ok(())
        }
        error = parts.failed() => Err(error),
    };
    stop(&context, parts).await;
    ended
}

/// Resolves when the store met something that it must not go on with; the store has logged it.
async fn fatal(store: &Store) -> String {
    let mut fatal = store.fatal();
    match fatal.wait_for(Option::is_some).await {
        Ok(fault) => fault.as_ref().map(ToString::to_string).unwrap_or_default(),
        Err(_) => "the store is gone".to_owned(),
    }
}

async fn listen(field: &'static str, addr: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(addr)
        .await
        .map_err(|source| NodeError::Listen { field, addr, source })
}

/// What runs beside the store. All of it ends when the context's token is cancelled.
struct Parts {
    servers: JoinSet<Result<(), NodeError>>,
    tasks: JoinSet<()>,
}

impl Parts {
    fn start(context: &Context, grpc: TcpListener, http: TcpListener) -> Result<Self, NodeError> {
        let api = Api::new(context.clone());
        let (reporter, health) = tonic_health::server::health_reporter();
        let gateway = Gateway::new(context.clone());
        let routes = grpc::routes(&api)
            .map_err(|error| NodeError::Build(error.to_string()))?
            .add_service(gateway.clone().into_service())
            .add_service(health);
        let mut servers = JoinSet::new();
        servers.spawn(serve_grpc(context.clone(), grpc, routes));
        servers.spawn(serve_http(context.clone(), http, api.clone()));
        let mut tasks = JoinSet::new();
        tasks.spawn(grpc::health::report(context.clone(), reporter));
        tasks.spawn(api.tell_watchers());
        tasks.spawn(telemetry::follow(context.clone()));
        tasks.spawn(gateway.run());
        tasks.spawn(liveness::exchange::run(context.clone()));
        tasks.spawn(reconciler::run(context.clone()));
        tasks.spawn(evidence::run(context.clone()));
        tasks.spawn(webhooks::run(context.clone()));
        if let Some(hash) = context.config.bootstrap_key {
            tasks.spawn(bootstrap::run(context.clone(), hash));
        }
        tasks.spawn(upkeep(context.shutdown.clone()));
        Ok(Self { servers, tasks })
    }

    /// A server that ended before it was told to.
    async fn failed(&mut self) -> NodeError {
        match self.servers.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(panic)) => NodeError::Server(panic.to_string()),
            Some(Ok(Ok(()))) | None => NodeError::Server("it stopped listening".to_owned()),
        }
    }

    async fn join(&mut self) {
        while self.servers.join_next().await.is_some() {}
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Not ready any more, no new calls, streams told why they end, leadership handed over: in this order, within bounds.
async fn stop(context: &Context, mut parts: Parts) {
    let timeout = context.config.shutdown_timeout;
    context.shutdown.cancel();
    // Half of the time is for calls under way, so that the other half is left for handing over.
    if tokio::time::timeout(timeout / 2, parts.join()).await.is_err() {
        tracing::warn!("calls are still under way and are cut off");
    }
    if tokio::time::timeout(timeout / 2, context.store.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("leadership was not handed over in time");
    }
    parts.servers.shutdown().await;
    parts.tasks.shutdown().await;
    tracing::info!("node stopped");
}

async fn serve_grpc(context: Context, listener: TcpListener, routes: Routes) -> Result<(), NodeError> {
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .layer(telemetry::GrpcTelemetryLayer)
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            context.shutdown.cancelled_owned(),
        )
        .await
        .map_err(|error| NodeError::Server(error.to_string()))
}

async fn serve_http(context: Context, listener: TcpListener, api: Api) -> Result<(), NodeError> {
    axum::serve(listener, rest::router(api))
        .with_graceful_shutdown(context.shutdown.cancelled_owned())
        .await
        .map_err(|error| NodeError::Server(error.to_string()))
}

async fn upkeep(shutdown: CancellationToken) {
    let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
    while shutdown.run_until_cancelled(interval.tick()).await.is_some() {
        telemetry::upkeep();
    }
}
