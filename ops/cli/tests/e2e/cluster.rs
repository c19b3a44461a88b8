//! A cluster of real processes, and the words in which the tests speak of it.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use reeve_proto::v1;
use reeve_proto::v1::cluster_client::ClusterClient;
use serde_json::Value;

use crate::process::{Process, connect, node_env, takes_our_key, until};

pub const SOON: Duration = Duration::from_secs(30);
/// What nodes need to seal secrets.
pub const SECRET: &str = "e2e-cluster-secret-of-at-least-32-characters";
/// Liveness of the tests: a silent worker is OFFLINE after this time.
pub const DOWN_AFTER_MS: u64 = 6_000;

pub struct Cluster {
    pub dir: tempfile::TempDir,
    ports: Vec<[u16; 3]>,
    nodes: Vec<Option<Process>>,
    workers: BTreeMap<String, Process>,
    tokens: BTreeMap<String, String>,
    /// Flags (`--x`) and environment of the nodes, before what all tests have.
    settings: Vec<(&'static str, &'static str)>,
    /// Whether the nodes are told the first admin key.
    keyed: bool,
}

/// Below the ports that the system gives to outgoing connections, so that none of those takes one before, or between, a node's lives.
fn free_ports(nodes: usize) -> Vec<[u16; 3]> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 11_000 + u16::try_from(std::process::id() % 70).unwrap() * 300;
    let free = || loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 1_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    };
    (0..nodes).map(|_| [free(), free(), free()]).collect()
}

impl Cluster {
    /// `nodes` nodes with a leader, and `workers` workers that are ONLINE.
    pub fn start(nodes: usize, workers: usize) -> Self {
        Self::start_with(nodes, workers, &[])
    }

    /// The same with these flags (`--x`) and environment of the nodes.
    pub fn start_with(nodes: usize, workers: usize, settings: &[(&'static str, &'static str)]) -> Self {
        let mut cluster = Self::nodes(nodes, settings, true);
        cluster.leader();
        for worker in 1..=workers {
            let name = format!("w{worker}");
            cluster.create_worker(&name);
            cluster.start_worker(&name);
        }
        for worker in 1..=workers {
            cluster.until_worker(&format!("w{worker}"), "ONLINE");
        }
        cluster
    }

    /// Nodes that are told no key: nobody can call until the first one is made.
    pub fn without_key(nodes: usize, settings: &[(&'static str, &'static str)]) -> Self {
        Self::nodes(nodes, settings, false)
    }

    fn nodes(nodes: usize, settings: &[(&'static str, &'static str)], keyed: bool) -> Self {
        let mut cluster = Self {
            dir: tempfile::tempdir().unwrap(),
            ports: free_ports(nodes),
            nodes: Vec::new(),
            workers: BTreeMap::new(),
            tokens: BTreeMap::new(),
            settings: settings.to_vec(),
            keyed,
        };
        for node in 0..nodes {
            let process = cluster.spawn_node(node);
            cluster.nodes.push(Some(process));
        }
        cluster
    }

    fn spawn_node(&self, node: usize) -> Process {
        let local = |port: u16| format!("127.0.0.1:{port}");
        let peers = self.ports.iter().enumerate().map(|(at, [grpc, raft, http])| {
            format!(
                "{}=n{},{},{},{}",
                at + 1,
                at + 1,
                local(*raft),
                local(*grpc),
                local(*http)
            )
        });
        let [grpc, raft, http] = self.ports[node];
        let flags = [
            ("--id", (node + 1).to_string()),
            ("--data-dir", self.data_dir(node).display().to_string()),
            ("--grpc-addr", local(grpc)),
            ("--raft-addr", local(raft)),
            ("--http-addr", local(http)),
            ("--peers", peers.collect::<Vec<_>>().join(";")),
            ("--heartbeat-interval-ms", "1000".to_owned()),
            ("--down-after-ms", DOWN_AFTER_MS.to_string()),
            ("--shed-after-ms", "2000".to_owned()),
            ("--reconnect-timeout-ms", "2000".to_owned()),
            ("--unhealthy-above-percent", "100".to_owned()),
        ];
        let (own_flags, env): (Vec<_>, Vec<_>) =
            self.settings.iter().partition(|(name, _)| name.starts_with("--"));
        let own: BTreeMap<_, _> = own_flags
            .into_iter()
            .map(|(flag, value)| (flag, value.to_owned()))
            .collect();
        let flags: BTreeMap<_, _> = flags.into_iter().chain(own).collect();
        let args = flags
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value]);
        let args: Vec<_> = std::iter::once("node".to_owned()).chain(args).collect();
        let env = env.into_iter().map(|(name, value)| (name, value.to_owned()));
        let key = node_env().into_iter().filter(|_| self.keyed);
        let env: Vec<_> = env.chain(key).collect();
        Process::start(&self.log(&format!("n{}", node + 1)), &args, &env)
    }

    pub fn data_dir(&self, node: usize) -> std::path::PathBuf {
        self.dir.path().join(format!("n{}", node + 1))
    }

    pub fn log(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    // --- what is done to it ---

    pub fn kill_node(&mut self, node: usize) {
        self.nodes[node].take().expect("the node is up").kill();
    }

    pub fn start_node(&mut self, node: usize) {
        assert!(self.nodes[node].is_none(), "the node is down");
        self.nodes[node] = Some(self.spawn_node(node));
    }

    pub fn node(&mut self, node: usize) -> &mut Process {
        self.nodes[node].as_mut().expect("the node is up")
    }

    /// Registers a worker and keeps its token.
    pub fn create_worker(&mut self, name: &str) {
        self.create_worker_with(name, &[]);
    }

    /// Registers a worker with more flags of `worker create` and keeps its token.
    pub fn create_worker_with(&mut self, name: &str, flags: &[&str]) {
        let create = ["worker", "create", "--name", name, "--region", "eu-west"];
        let created = self.json(&[&create, flags].concat());
        self.tokens
            .insert(name.to_owned(), created["token"].as_str().unwrap().to_owned());
    }

    pub fn start_worker(&mut self, name: &str) {
        self.start_worker_at(name, &self.addresses());
    }

    /// Starts a worker that knows only these nodes until one of them tells it of the others.
    pub fn start_worker_at(&mut self, name: &str, addresses: &str) {
        let process = self.spawn_worker_at(name, &self.tokens[name], addresses);
        self.adopt_worker(name, process);
    }

    pub fn spawn_worker(&self, name: &str, token: &str) -> Process {
        self.spawn_worker_at(name, token, &self.addresses())
    }

    pub fn spawn_worker_at(&self, name: &str, token: &str, addresses: &str) -> Process {
        let env = [
            ("REEVE_WORKER_TOKEN", token.to_owned()),
            ("REEVE_NODES", addresses.to_owned()),
        ];
        self.spawn_worker_with(name, &[], &env)
    }

    /// A worker process that knows what these arguments and this environment tell it.
    pub fn spawn_worker_with(&self, name: &str, args: &[&str], env: &[(&'static str, String)]) -> Process {
        let always = [
            ("REEVE_WORKER_HTTP_ADDR", "off".to_owned()),
            ("REEVE_WORKER_DRAIN_DEADLINE", "20s".to_owned()),
        ];
        let args: Vec<_> = ["worker"]
            .iter()
            .chain(args)
            .map(|arg| (*arg).to_owned())
            .collect();
        Process::start(&self.log(name), &args, &[&always, env].concat())
    }

    /// From now on this process is the worker of this name.
    pub fn adopt_worker(&mut self, name: &str, process: Process) {
        self.workers.insert(name.to_owned(), process);
    }

    /// Keeps a token that replaces the worker's.
    pub fn keep_token(&mut self, name: &str, token: &str) {
        self.tokens.insert(name.to_owned(), token.to_owned());
    }

    pub fn kill_worker(&mut self, name: &str) {
        self.workers.remove(name).expect("the worker is up").kill();
    }

    pub fn worker_process(&mut self, name: &str) -> &mut Process {
        self.workers.get_mut(name).expect("the worker is up")
    }

    pub fn token(&self, name: &str) -> &str {
        &self.tokens[name]
    }

    // --- what is asked of it ---

    /// The gRPC address of a node, up or not.
    pub fn grpc(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.ports[node][0])
    }

    pub fn raft(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.ports[node][1])
    }

    pub fn http(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.ports[node][2])
    }

    pub fn addresses(&self) -> String {
        (0..self.ports.len())
            .map(|node| self.grpc(node))
            .collect::<Vec<_>>()
            .join(",")
    }

    /// What a node says of itself, without a quorum; `None` if it does not answer.
    pub fn status(&self, node: usize, with_hash: bool) -> Option<v1::GetStatusResponse> {
        let address = self.grpc(node);
        in_time(async {
            let mut client = ClusterClient::new(connect(&address).await?);
            let request = v1::GetStatusRequest {
                include_state_hash: with_hash,
            };
            Some(client.get_status(request).await.ok()?.into_inner())
        })
    }

    fn up(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|node| self.nodes[*node].is_some())
            .collect()
    }

    /// The node that leads, once all nodes that are up agree and it is one of them.
    pub fn leader(&self) -> usize {
        until("there is a leader", SOON, || {
            let up = self.up();
            let seen: Option<Vec<u64>> = up
                .iter()
                .map(|node| self.status(*node, false).map(|status| status.leader_id))
                .collect();
            let seen = seen?;
            let leader = usize::try_from(*seen.first()?).ok()?.checked_sub(1)?;
            let address = self.grpc(leader);
            in_time(takes_our_key(&address))?;
            (seen.iter().all(|id| *id == seen[0]) && up.contains(&leader)).then_some(leader)
        })
    }

    pub fn follower(&self) -> usize {
        let leader = self.leader();
        self.up()
            .into_iter()
            .find(|node| *node != leader)
            .expect("a node that does not lead")
    }

    /// Every node that is up has applied the same, down to the last byte.
    pub fn until_all_agree(&self) {
        // A debug build hashes slowly, and meanwhile summaries of runs may still come.
        until("all nodes have the same state", 2 * SOON, || {
            let hashes: Option<Vec<_>> = self
                .up()
                .into_iter()
                .map(|node| {
                    self.status(node, true)
                        .map(|status| (status.last_applied_index, status.state_hash))
                })
                .collect();
            let hashes = hashes?;
            let at_one_index = hashes.iter().all(|(index, _)| *index == hashes[0].0);
            if at_one_index {
                assert!(
                    hashes
                        .iter()
                        .all(|(_, hash)| *hash == hashes[0].1 && !hash.is_empty()),
                    "{hashes:?}"
                );
            }
            at_one_index.then_some(())
        });
    }
}

/// The answer to a call that may take two seconds.
pub fn in_time<T>(call: impl Future<Output = Option<T>>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(2), call).await.ok()? })
}

/// A definition: `endpoints` that stay `duration_s` seconds in their calls.
pub fn definition(name: &str, endpoints: u32, duration_s: u32) -> String {
    format!(
        "name: {name}\nduration: {duration_s}s\nbuildup: 1s\ngroups:\n  - name: callers\n    endpoints: {endpoints}\n    \
         executor: sim\n    sim: {{ setup: 100ms..400ms }}\n"
    )
}

/// Every endpoint of the run is accounted for exactly once: phases and outcomes sum to the size.
pub fn assert_accounted(run: &Value, total: u64) {
    let sum = |counts: &Value| {
        counts
            .as_object()
            .unwrap()
            .values()
            .map(|n| n.as_u64().unwrap())
            .sum::<u64>()
    };
    let endpoints = &run["endpoints"];
    assert_eq!(endpoints["total"], total, "{run:#}");
    assert_eq!(endpoints["byPhase"]["CLOSED"], total, "{run:#}");
    assert_eq!(sum(&endpoints["byPhase"]), total, "{run:#}");
    assert_eq!(sum(&endpoints["byOutcome"]), total, "{run:#}");
}

pub fn statuses(run: &Value) -> Vec<&str> {
    run["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["status"].as_str().unwrap())
        .collect()
}

pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
