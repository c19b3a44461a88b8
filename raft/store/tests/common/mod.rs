//! Clusters of stores in one process, and small commands for them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    missing_docs,
    unreachable_pub
)]

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use reeve_state::command::{Applied, Command, CreateWorker, Envelope, Reply, RequestTag};
use reeve_state::id::{NodeId, TokenHash, WorkerId};
use reeve_state::record::{ObjectRef, RequestKey, WorkerKind};
use reeve_state::transition::worker::LivenessProfile;
use reeve_store::{Lane, MemberInfo, ProposeError, Store, StoreConfig};
use tempfile::TempDir;
use tokio::time::Instant;

/// Everything here happens within this time, or the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// Addresses that nobody listens on.
pub fn free_addrs(count: usize) -> Vec<SocketAddr> {
    let listeners: Vec<_> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap())
        .collect()
}

pub fn member(id: u64, addr: SocketAddr) -> MemberInfo {
    MemberInfo {
        id: NodeId(id),
        name: format!("n{id}"),
        raft_addr: addr.to_string(),
        ..MemberInfo::default()
    }
}

pub fn config(id: u64, dir: &Path, members: &[MemberInfo]) -> StoreConfig {
    let addr = members[id as usize - 1].raft_addr.parse().unwrap();
    let mut config = StoreConfig::new(NodeId(id), "test", dir.to_owned(), addr);
    config.members = members.to_vec();
    config
}

/// Opens a store; the directory and the address of one that was dropped may take a moment to be free.
pub async fn open(config: &StoreConfig) -> Store {
    let deadline = soon();
    loop {
        match Store::open(config.clone(), None).await {
            Ok(store) => return store,
            Err(error) if Instant::now() < deadline && retry(&error.to_string()) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn retry(error: &str) -> bool {
    error.contains("lock") || error.contains("LOCK") || error.contains("in use")
}

pub struct Cluster {
    // Before the directories: a store that closes still writes.
    pub stores: Vec<Option<Store>>,
    pub dirs: Vec<TempDir>,
    pub members: Vec<MemberInfo>,
    pub configs: Vec<StoreConfig>,
}

impl Cluster {
    pub async fn start(nodes: usize) -> Self {
        Self::start_with(nodes, |_| {}).await
    }

    pub async fn start_with(nodes: usize, adjust: impl Fn(&mut StoreConfig)) -> Self {
        let addrs = free_addrs(nodes);
        let members: Vec<_> = (1..).zip(&addrs).map(|(id, addr)| member(id, *addr)).collect();
        let dirs: Vec<_> = addrs.iter().map(|_| TempDir::new().unwrap()).collect();
        let mut configs: Vec<_> = (1..)
            .zip(&dirs)
            .map(|(id, dir): (u64, _)| config(id, dir.path(), &members))
            .collect();
        configs.iter_mut().for_each(adjust);
        let mut stores = Vec::new();
        for config in &configs {
            stores.push(Some(open(config).await));
        }
        let cluster = Self {
            dirs,
            members,
            stores,
            configs,
        };
        cluster.leader().await;
        cluster
    }

    pub fn store(&self, id: u64) -> &Store {
        self.stores[id as usize - 1].as_ref().unwrap()
    }

    pub fn running(&self) -> impl Iterator<Item = (u64, &Store)> {
        (1..)
            .zip(&self.stores)
            .filter_map(|(id, store)| Some((id, store.as_ref()?)))
    }

    /// The id of an established leader.
    pub async fn leader(&self) -> u64 {
        let mut found = 0;
        eventually("a leader", || {
            found = self
                .running()
                .find(|(_, store)| store.leadership().borrow().established)
                .map_or(0, |(id, _)| id);
            found != 0
        })
        .await;
        found
    }

    pub async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        self.running().map(|(id, _)| id).find(|id| *id != leader).unwrap()
    }

    /// Ends a node as a crash would.
    pub fn crash(&mut self, id: u64) {
        self.stores[id as usize - 1] = None;
    }

    pub async fn restart(&mut self, id: u64) {
        let store = open(&self.configs[id as usize - 1]).await;
        self.stores[id as usize - 1] = Some(store);
    }
}

/// Waits for a condition.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = soon();
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn worker_id(number: u64) -> WorkerId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    WorkerId::from_bytes(bytes)
}

/// Registers a worker under a request id of its own.
pub fn create(number: u64) -> Envelope {
    let mut hash = [0; 32];
    hash[24..].copy_from_slice(&number.to_be_bytes());
    Envelope {
        request: Some(RequestTag {
            key: RequestKey {
                caller: "test".into(),
                request_id: format!("create-{number}").into(),
            },
            hash,
        }),
        fence_term: None,
        principal: None,
        command: Command::CreateWorker(CreateWorker {
            id: worker_id(number),
            name: format!("worker-{number}"),
            kind: WorkerKind::UserOwned,
            profile: LivenessProfile::Session,
            region: "eu".to_owned(),
            labels: [("disk".to_owned(), "ssd".to_owned())].into(),
            capacity: Some(10),
            token_hash: TokenHash(hash),
            token_ttl: None,
        }),
    }
}

pub async fn propose(store: &Store, number: u64) -> Result<Applied, ProposeError> {
    store.propose(create(number), Lane::Users, soon()).await
}

/// What a creation answers.
pub fn created(applied: &Applied) -> (WorkerId, bool) {
    match &applied.result {
        Ok(Reply::Object {
            object: ObjectRef::Worker(id),
            replayed,
            ..
        }) => (*id, *replayed),
        other => panic!("{other:?}"),
    }
}
