//! Starts what runs on Raft's own threads: the databases, Raft, the listener for other nodes, and the tasks around them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use openraft::errors::{InitializeError, RaftError};
use parking_lot::Mutex;
use reeve_proto::internal::leader_service_server::LeaderServiceServer;
use reeve_proto::internal::raft_transport_server::RaftTransportServer;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::service::{InterceptorLayer, Routes};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::clock::ClusterClock;
use crate::config::StoreConfig;
use crate::error::OpenError;
use crate::fatal::FatalCell;
use crate::files::sync_directory;
use crate::forward::ForwardService;
use crate::lanes::Lanes;
use crate::leadership::{self, Leadership};
use crate::log::LogStore;
use crate::machine::{Apply, StateMachine, Tables};
use crate::member::MemberInfo;
use crate::network::Network;
use crate::outside::Incoming;
use crate::peers::{MAX_MESSAGE_BYTES, Peers};
use crate::proposer;
use crate::reader::{self, ReadIndexer};
use crate::secret::{self, Guard};
use crate::server::TransportService;
use crate::shared::{Shared, Walls};
use crate::sim::SimDisk;
use crate::snapshots;
use crate::types::Raft;

/// What a store stands on.
pub(crate) enum Ground {
    /// The data directory, and an address to listen on.
    Machine(std::net::TcpListener),
    /// A simulated disk, and a simulated network.
    Simulation(SimDisk, Incoming),
}

/// Everything that runs on Raft's own threads.
pub(crate) async fn start(
    config: StoreConfig,
    raft_config: Arc<openraft::Config>,
    ground: Ground,
    extra: Option<Routes>,
    stopped: watch::Receiver<bool>,
    apply: Apply,
) -> Result<Arc<Shared>, OpenError> {
    let fatal = FatalCell::new();
    let (log, machine, listener) = match ground {
        Ground::Machine(listener) => {
            let (log, machine) = open(&config, &fatal, apply).await?;
            (log, machine, Listener::Machine(listener))
        }
        Ground::Simulation(disk, incoming) => {
            let machine = StateMachine::open_on(Tables::Simulated(disk.clone()), fatal.clone(), apply)?;
            (LogStore::simulate(&disk), machine, Listener::Simulation(incoming))
        }
    };
    let published = machine.published();
    let walls = Walls::default();
    let timeout = config.raft.election_min * 4 / 5;
    let peers = Arc::new(Peers::new(
        config.cluster_id.clone(),
        config.node_id.0,
        timeout,
        secret::shown(config.cluster_secret.as_ref()),
    ));
    let network = Network {
        peers: Arc::clone(&peers),
        walls: walls.clone(),
        timeout,
    };
    let raft = Raft::new(config.node_id.0, raft_config, network, log, machine)
        .await
        .map_err(|fault| match fatal.get() {
            // What was committed before the restart cannot be applied, or the disk takes no writes.
            Some(fatal) => OpenError::Raft(fatal.message),
            None => OpenError::corrupt(&config.data_dir, fault.to_string()),
        })?;
    let (reads, waiters) = ReadIndexer::new();
    let shared = Arc::new(Shared {
        me: config.node_id,
        name: config.node_name.clone(),
        cluster_id: config.cluster_id.clone(),
        raft,
        peers,
        published,
        lanes: Lanes::new(config.lane_capacity),
        reads,
        leadership: watch::Sender::new(Leadership::unknown()),
        walls,
        clock: Mutex::new(ClusterClock::new(Instant::now())),
        leader_time: Mutex::new(None),
        voters: Mutex::new(Vec::new()),
        fatal,
        stopping: AtomicBool::new(false),
        election_max: config.raft.election_max,
        heard_leader: Mutex::new(Instant::now()),
    });
    let guard = Guard(config.cluster_secret.clone());
    tokio::spawn(serve(Arc::clone(&shared), listener, extra, guard, stopped)?);
    tokio::spawn(leadership::run(Arc::clone(&shared)));
    tokio::spawn(proposer::run(Arc::clone(&shared)));
    tokio::spawn(reader::run(Arc::clone(&shared), waiters));
    tokio::spawn(snapshots::run(Arc::clone(&shared), config.snapshot));
    found(&shared, &config.members).await?;
    Ok(shared)
}

/// What is on disk.
async fn open(
    config: &StoreConfig,
    fatal: &FatalCell,
    apply: Apply,
) -> Result<(LogStore, StateMachine), OpenError> {
    let (data_dir, cell) = (config.data_dir.clone(), fatal.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let log = LogStore::open(&data_dir, cell.clone())?;
        let machine = StateMachine::open(&data_dir, cell, apply)?;
        sync_directory(&data_dir).map_err(|source| OpenError::io(&data_dir, source))?;
        Ok((log, machine))
    });
    opened.await.map_err(|error| OpenError::Raft(error.to_string()))?
}

/// Where other nodes come in.
enum Listener {
    Machine(std::net::TcpListener),
    Simulation(Incoming),
}

fn serve(
    shared: Arc<Shared>,
    listener: Listener,
    extra: Option<Routes>,
    guard: Guard,
    mut stopped: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()>, OpenError> {
    let listener = match listener {
        Listener::Machine(listener) => Ok(from_std(listener)?),
        Listener::Simulation(incoming) => Err(incoming),
    };
    let transport = RaftTransportServer::new(TransportService(Arc::clone(&shared)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let leader = LeaderServiceServer::new(ForwardService(Arc::clone(&shared)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let routes = extra
        .unwrap_or_default()
        .add_service(transport)
        .add_service(leader);
    let server = Server::builder()
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
        .layer(InterceptorLayer::new(guard))
        .add_routes(routes);
    Ok(async move {
        let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
        let served = match listener {
            Ok(listener) => {
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                server.serve_with_incoming_shutdown(incoming, stop).await
            }
            Err(incoming) => server.serve_with_incoming_shutdown(incoming, stop).await,
        };
        if let Err(error) = served {
            shared
                .fatal
                .set(format!("the listener for other nodes failed: {error}"));
        }
    })
}

fn from_std(listener: std::net::TcpListener) -> Result<tokio::net::TcpListener, OpenError> {
    let addr = listener
        .local_addr()
        .map_err(|source| OpenError::Raft(source.to_string()))?;
    tokio::net::TcpListener::from_std(listener).map_err(|source| OpenError::Listen { addr, source })
}

/// The member with the lowest id writes the first membership, when nothing is stored yet.
async fn found(shared: &Shared, members: &[MemberInfo]) -> Result<(), OpenError> {
    let first = members.iter().map(|member| member.id).min();
    if first != Some(shared.me) {
        return Ok(());
    }
    let members: BTreeMap<u64, MemberInfo> = members
        .iter()
        .map(|member| (member.id.0, member.clone()))
        .collect();
    match shared.raft.initialize(members).await {
        // Not the first start.
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(OpenError::Raft(error.to_string())),
    }
}
