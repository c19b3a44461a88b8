//! A node in a simulation (`ops/sim`): everything that decides, on a simulated disk and network. Without what only shows (REST,
//! watches, metrics) and what leaves the cluster (webhooks, objects of evidence).

use std::sync::Arc;

use reeve_store::Store;
use reeve_store::outside;
use reeve_store::sim::{Apply, SimDisk};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::config::NodeConfig;
use crate::context::Context;
use crate::evidence::Evidence;
use crate::gateway::Gateway;
use crate::liveness::{self, Liveness};
use crate::run::NodeError;
use crate::{liveness::exchange, reconciler};

/// Starts a node with the runtime that is here; it ends with that.
///
/// # Errors
/// The configuration is wrong, or an address is taken.
pub async fn start(config: NodeConfig, disk: SimDisk, apply: Apply) -> Result<Context, NodeError> {
    config.validate()?;
    let liveness = Liveness::new(&config);
    let evidence = Evidence::open(&config)?;
    let internal = Routes::new(liveness::exchange_service(&liveness));
    let incoming = outside::listen(config.grpc_addr)
        .await
        .map_err(|source| NodeError::Listen {
            field: "grpc_addr",
            addr: config.grpc_addr,
            source,
        })?;
    let store = Store::simulate(config.store_config(), Some(internal), disk, apply).await?;
    let context = Context {
        store,
        config: Arc::new(config),
        liveness,
        evidence,
        shutdown: CancellationToken::new(),
    };
    let gateway = Gateway::new(context.clone());
    let server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(20)))
        .add_service(gateway.clone().into_service());
    tokio::spawn(gateway.run());
    tokio::spawn(server.serve_with_incoming(incoming));
    tokio::spawn(exchange::run(context.clone()));
    tokio::spawn(reconciler::run(context.clone()));
    Ok(context)
}
