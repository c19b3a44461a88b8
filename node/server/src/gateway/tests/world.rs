//! A node of one, with everything that a session touches: store, gateway, liveness, reconciler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reeve_proto::v1::worker_gateway_client::WorkerGatewayClient;
use reeve_state::State;
use reeve_state::command::{ApplyMode, ApplyTest, Command, CreateWorker, Envelope, Refusal, Reply, StartRun};
use reeve_state::id::{ProjectName, RunId, TestId, WorkerId};
use reeve_state::record::{Executor, Group, Selector, SimExecutor, TestDefinition, WorkerKind};
use reeve_state::time::Millis;
use reeve_state::transition::run::RunStatus;
use reeve_state::transition::worker::{LivenessProfile, WorkerStatus};
use reeve_store::{Lane, Store};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;
use uuid::Uuid;

use crate::args::NodeArgs;
use crate::context::Context;
use crate::evidence::{self, Evidence};
use crate::gateway::{Gateway, decode};
use crate::liveness::{self, Liveness};
use crate::reconciler;

/// Nothing in these tests takes longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub context: Context,
    gateway: SocketAddr,
    _data: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.context.shutdown.cancel();
    }
}

/// Intervals that no test waits for.
pub fn patient() -> NodeArgs {
    NodeArgs {
        start_delay_ms: Some(20),
        hello_timeout_ms: Some(300),
        ..NodeArgs::default()
    }
}

/// A silent worker is given up soon.
pub fn hasty() -> NodeArgs {
    NodeArgs {
        heartbeat_interval_ms: Some(400),
        exchange_interval_ms: Some(50),
        shed_after_ms: Some(300),
        reconnect_timeout_ms: Some(300),
        down_after_ms: Some(1_200),
        ..patient()
    }
}

impl World {
    pub async fn start(args: NodeArgs) -> Self {
        let data = tempfile::tempdir().unwrap();
        let config = NodeArgs {
            id: Some(1),
            data_dir: Some(data.path().join("n1")),
            raft_addr: Some(free_addr()),
            grpc_addr: Some(free_addr()),
            ..args
        }
        .load()
        .unwrap();
        let liveness = Liveness::new(&config);
        let evidence = Evidence::open(&config).unwrap();
        let internal = Routes::new(liveness::exchange_service(&liveness));
        let store = Store::open(config.store_config(), Some(internal)).await.unwrap();
        let context = Context {
            store,
            config: Arc::new(config),
            liveness,
            evidence,
            shutdown: CancellationToken::new(),
        };
        let listener = TcpListener::bind(context.config.grpc_addr).await.unwrap();
        let gateway = listener.local_addr().unwrap();
        let service = Gateway::new(context.clone());
        tokio::spawn(service.clone().run());
        tokio::spawn(liveness::exchange::run(context.clone()));
        tokio::spawn(reconciler::run(context.clone()));
        tokio::spawn(evidence::run(context.clone()));
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service.into_service())
                .serve_with_incoming(TcpIncoming::from(listener)),
        );
        let mut leadership = context.store.leadership();
        let elected = leadership.wait_for(|now| now.established);
        tokio::time::timeout(PATIENCE, elected)
            .await
            .expect("a leader")
            .unwrap();
        Self {
            context,
            gateway,
            _data: data,
        }
    }

    pub async fn client(&self) -> WorkerGatewayClient<Channel> {
        WorkerGatewayClient::connect(format!("http://{}", self.gateway))
            .await
            .unwrap()
    }

    pub async fn propose(&self, command: Command) -> Result<Reply, Refusal> {
        let envelope = Envelope::internal(command);
        self.context
            .store
            .propose(envelope, Lane::Users, Instant::now() + PATIENCE)
            .await
            .unwrap()
            .result
    }

    /// Registers a worker.
    pub async fn worker(&self, name: &str) -> (WorkerId, String) {
        let token = format!("cmw_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let id = WorkerId::from_bytes(Uuid::now_v7().into_bytes());
        let command = CreateWorker {
            id,
            name: name.to_owned(),
            kind: WorkerKind::UserOwned,
            profile: LivenessProfile::Session,
            region: "eu-west".to_owned(),
            labels: Default::default(),
            capacity: None,
            token_hash: decode::token_hash(&token).unwrap(),
            token_ttl: None,
        };
        self.propose(Command::CreateWorker(command)).await.unwrap();
        (id, token)
    }

    /// Starts a run of some endpoints.
    pub async fn run(&self, name: &str, endpoints: u32) -> RunId {
        self.run_calling(name, &[("callers", endpoints, None)]).await
    }

    /// Starts a run of groups: name, endpoints, and the group that they call.
    pub async fn run_calling(&self, name: &str, groups: &[(&str, u32, Option<&str>)]) -> RunId {
        let sim = SimExecutor {
            setup_min: Millis(10),
            setup_max: Millis(20),
            outcomes: Vec::new(),
            quality: None,
        };
        let group = |(name, endpoints, callee): &(&str, u32, Option<&str>)| Group {
            name: (*name).to_owned(),
            endpoints: *endpoints,
            selector: Selector::default(),
            callee: callee.map(str::to_owned),
            executor: Executor::Sim(sim.clone()),
        };
        self.run_of(name, groups.iter().map(group).collect()).await
    }

    /// Starts a run of these groups.
    pub async fn run_of(&self, name: &str, groups: Vec<Group>) -> RunId {
        let definition = TestDefinition {
            name: name.to_owned(),
            duration: Millis(1_000),
            buildup: Millis(0),
            queue_timeout: Millis(5_000),
            max_execution: Millis(60_000),
            on_worker_loss: Default::default(),
            groups,
        };
        let test = TestId::from_bytes(Uuid::now_v7().into_bytes());
        let apply = ApplyTest {
            id: test,
            definition: Arc::new(definition),
            mode: ApplyMode::CreateOnly,
            project: ProjectName::default(),
        };
        self.propose(Command::ApplyTest(apply)).await.unwrap();
        let run = RunId::from_bytes(Uuid::now_v7().into_bytes());
        self.propose(Command::StartRun(StartRun { run, test }))
            .await
            .unwrap();
        run
    }

    /// Waits until the state is as described; looked at after every change.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&State) -> bool) -> Arc<State> {
        let mut feed = self.context.store.watch(None).unwrap();
        let reached = async {
            loop {
                let state = self.context.store.local();
                if holds(&state) {
                    return state;
                }
                feed.next().await.expect("the feed goes on");
            }
        };
        tokio::time::timeout(PATIENCE, reached)
            .await
            .unwrap_or_else(|_| panic!("not reached in time: {what}"))
    }

    pub async fn until_status(&self, worker: WorkerId, status: WorkerStatus) -> Arc<State> {
        let is = |state: &State| {
            state
                .worker(worker)
                .is_some_and(|worker| worker.status() == status)
        };
        self.until(status.name(), is).await
    }

    pub async fn until_run(&self, run: RunId, status: RunStatus) -> Arc<State> {
        let is = |state: &State| state.run(run).is_some_and(|run| run.life.status() == status);
        self.until(status.name(), is).await
    }
}

fn free_addr() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
