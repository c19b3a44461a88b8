//! Starts a node of its own for a test, and stops it.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use reeve_node::{NodeArgs, NodeError};
use reeve_proto::v1;
use reeve_proto::v1::cluster_client::ClusterClient;
use reeve_proto::v1::keys_client::KeysClient;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::tests_client::TestsClient;
use reeve_proto::v1::watch_client::WatchClient;
use reeve_proto::v1::workers_client::WorkersClient;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::http;

/// More than any of these tests needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The admin's key that every node of these tests is told.
pub const ADMIN: &str = "cmk_00000000000000000000000000000abc";

/// A channel whose calls carry a key.
pub type Keyed = InterceptedService<Channel, Bearer>;

/// Sends a key with every call.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// Nothing is sent for `None`.
    pub fn new(key: Option<&str>) -> Self {
        Self(key.map(|key| format!("Bearer {key}").parse().unwrap()))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

pub struct Node {
    pub http: SocketAddr,
    pub channel: Channel,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), NodeError>>,
    _dir: TempDir,
}

impl Node {
    /// A single node that is ready.
    pub async fn start() -> Self {
        Self::start_with(NodeArgs::default()).await
    }

    /// A single node with other settings than the default ones.
    pub async fn start_with(args: NodeArgs) -> Self {
        let node = Self::launch(1, free_addrs(), args);
        node.wait_ready().await;
        node
    }

    /// Three nodes that form a cluster, all of them ready.
    pub async fn start_three(args: NodeArgs) -> [Self; 3] {
        let addrs = [(); 3].map(|()| free_addrs::<3>());
        let peers: Vec<String> = (1..)
            .zip(&addrs)
            .map(|(id, [grpc, raft, http])| format!("{id}=n{id},{raft},{grpc},{http}"))
            .collect();
        let args = NodeArgs {
            peers: Some(peers.join(";")),
            ..args
        };
        let nodes = [0, 1, 2].map(|at| Self::launch(at as u64 + 1, addrs[at], args.clone()));
        for node in &nodes {
            node.wait_ready().await;
        }
        nodes
    }

    fn launch(id: u64, [grpc, raft, http]: [SocketAddr; 3], args: NodeArgs) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let args = NodeArgs {
            id: Some(id),
            data_dir: Some(dir.path().join("data")),
            grpc_addr: Some(grpc),
            raft_addr: Some(raft),
            http_addr: Some(http),
            bootstrap_key: Some(ADMIN.parse().unwrap()),
            ..args
        };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(reeve_node::run(args.load().unwrap(), shutdown.clone()));
        let channel = Channel::from_shared(format!("http://{grpc}"))
            .unwrap()
            .connect_lazy();
        Self {
            http,
            channel,
            shutdown,
            task,
            _dir: dir,
        }
    }

    async fn wait_ready(&self) {
        let ready = async {
            for path in ["/readyz", "/keys/self"] {
                while !http::get(self.http, path)
                    .await
                    .is_ok_and(|answer| answer.status == 200)
                {
                    assert!(!self.task.is_finished(), "the node ended before it was ready");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, ready)
            .await
            .expect("the node becomes ready");
    }

    /// Tells it to stop; it does so in time.
    pub async fn stop(self) -> Result<(), NodeError> {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("the node stops")
            .unwrap()
    }

    /// Tells it to stop, without waiting.
    pub fn begin_stop(&self) {
        self.shutdown.cancel();
    }

    pub fn tests(&self) -> TestsClient<Keyed> {
        TestsClient::new(self.keyed(Some(ADMIN)))
    }

    pub fn runs(&self) -> RunsClient<Keyed> {
        RunsClient::new(self.keyed(Some(ADMIN)))
    }

    pub fn workers(&self) -> WorkersClient<Keyed> {
        WorkersClient::new(self.keyed(Some(ADMIN)))
    }

    pub fn cluster(&self) -> ClusterClient<Keyed> {
        ClusterClient::new(self.keyed(Some(ADMIN)))
    }

    pub fn keys(&self) -> KeysClient<Keyed> {
        KeysClient::new(self.keyed(Some(ADMIN)))
    }

    /// A channel whose calls carry this key.
    pub fn keyed(&self, key: Option<&str>) -> Keyed {
        InterceptedService::new(self.channel.clone(), Bearer::new(key))
    }

    /// A new key with this role, and its secret.
    pub async fn create_key(&self, name: &str, role: v1::Role, ttl_s: u64) -> (v1::Key, String) {
        let request = v1::CreateKeyRequest {
            name: name.to_owned(),
            role: role.into(),
            ttl_s,
            ..v1::CreateKeyRequest::default()
        };
        let created = self.keys().create_key(request).await.unwrap().into_inner();
        (created.key.unwrap(), created.secret)
    }

    pub fn watch(&self) -> WatchClient<Keyed> {
        WatchClient::new(self.keyed(Some(ADMIN)))
    }

    /// Registers a session worker; its id and its token.
    pub async fn create_worker(&self, name: &str) -> (String, String) {
        let request = v1::CreateWorkerRequest {
            name: name.to_owned(),
            region: "eu-west".to_owned(),
            ..v1::CreateWorkerRequest::default()
        };
        let created = self.workers().create_worker(request).await.unwrap().into_inner();
        (created.worker.unwrap().id, created.token)
    }

    /// Registers a ping worker; its id.
    pub async fn register(&self, name: &str) -> String {
        let request = v1::RegisterWorkerRequest {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            region: "eu-west".to_owned(),
            ..v1::RegisterWorkerRequest::default()
        };
        let registered = self.workers().register_worker(request).await.unwrap();
        registered.into_inner().worker.unwrap().id
    }

    /// A ping that says nothing else.
    pub async fn ping(&self, id: &str) -> v1::PingWorkerResponse {
        let request = v1::PingWorkerRequest {
            id: id.to_owned(),
            ..v1::PingWorkerRequest::default()
        };
        self.workers().ping_worker(request).await.unwrap().into_inner()
    }

    /// The worker of this id or name.
    pub async fn worker(&self, id: &str) -> v1::Worker {
        let request = v1::GetWorkerRequest {
            id: id.to_owned(),
            consistency: 0,
        };
        let found = self.workers().get_worker(request).await.unwrap();
        found.into_inner().worker.unwrap()
    }

    /// Waits until the worker has this status.
    pub async fn until(&self, id: &str, status: v1::WorkerStatus) -> v1::Worker {
        let reached = async {
            loop {
                let worker = self.worker(id).await;
                if worker.status() == status {
                    return worker;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached)
            .await
            .expect("the worker gets there")
    }

    /// Index of the last entry of the log.
    pub async fn last_log_index(&self) -> u64 {
        let mut cluster = self.cluster();
        let status = cluster.get_status(v1::GetStatusRequest::default()).await;
        status.unwrap().into_inner().last_log_index
    }

    /// Creates a test of this name.
    pub async fn create_test(&self, name: &str) -> v1::Test {
        let request = v1::CreateTestRequest {
            definition: Some(definition(name)),
            request_id: String::new(),
            ..Default::default()
        };
        self.tests()
            .create_test(request)
            .await
            .unwrap()
            .into_inner()
            .test
            .unwrap()
    }
}

/// A good definition.
pub fn definition(name: &str) -> v1::TestDefinition {
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    v1::TestDefinition {
        name: name.to_owned(),
        duration: seconds(20),
        buildup: seconds(5),
        queue_timeout: seconds(5),
        max_execution: seconds(120),
        groups: vec![v1::Group {
            name: "callers".to_owned(),
            endpoints: 200,
            selector: None,
            executor: Some(v1::group::Executor::Sim(v1::SimExecutor {
                setup_min: seconds(0),
                setup_max: seconds(1),
                outcomes: Vec::new(),
                quality: None,
            })),
        }],
    }
}

/// Below the ports that the system gives to outgoing connections, so that none of those takes one before the node does.
fn free_addrs<const N: usize>() -> [SocketAddr; N] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    [(); N].map(|()| {
        loop {
            let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 10_000;
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
                return listener.local_addr().unwrap();
            }
        }
    })
}
