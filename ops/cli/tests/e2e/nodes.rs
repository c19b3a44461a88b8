//! Nodes without workers, with flags and an environment of the test's choice.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use reeve_proto::v1;
use reeve_proto::v1::cluster_client::ClusterClient;
use serde_json::Value;

use crate::cluster::{SOON, in_time};
use crate::process::{ADMIN_KEY, Process, REEVE, connect, node_env, until};

pub struct Nodes {
    dir: PathBuf,
    ports: Vec<[u16; 3]>,
    flags: Vec<String>,
    env: Vec<(&'static str, String)>,
    nodes: Vec<Option<Process>>,
}

impl Nodes {
    /// Data and logs go to `dir`, a folder for each node.
    pub fn start(count: usize, dir: &Path, flags: &[&str], env: &[(&'static str, String)]) -> Self {
        let listeners: Vec<_> = (0..count * 3)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let port = |at: usize| listeners[at].local_addr().unwrap().port();
        let ports = (0..count)
            .map(|node| [port(3 * node), port(3 * node + 1), port(3 * node + 2)])
            .collect();
        drop(listeners);
        let mut nodes = Self {
            dir: dir.to_owned(),
            ports,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            env: [env, &node_env()].concat(),
            nodes: (0..count).map(|_| None).collect(),
        };
        for node in 0..count {
            nodes.nodes[node] = Some(nodes.spawn(node));
        }
        nodes.until_serving();
        nodes
    }

    fn spawn(&self, node: usize) -> Process {
        let local = |port: u16| format!("127.0.0.1:{port}");
        let peers = (1..).zip(&self.ports).map(|(id, [grpc, raft, http])| {
            format!("{id}=n{id},{},{},{}", local(*raft), local(*grpc), local(*http))
        });
        let [grpc, raft, http] = self.ports[node];
        let name = format!("n{}", node + 1);
        let mut args = vec!["node".to_owned()];
        let flags = [
            ("--id", (node + 1).to_string()),
            ("--data-dir", self.dir.join(&name).display().to_string()),
            ("--grpc-addr", local(grpc)),
            ("--raft-addr", local(raft)),
            ("--http-addr", local(http)),
            ("--peers", peers.collect::<Vec<_>>().join(";")),
        ];
        args.extend(
            flags
                .into_iter()
                .flat_map(|(flag, value)| [flag.to_owned(), value]),
        );
        args.extend(self.flags.iter().cloned());
        Process::start(&self.dir.join(format!("{name}.log")), &args, &self.env)
    }

    pub fn node(&mut self, node: usize) -> &mut Process {
        self.nodes[node].as_mut().expect("the node is up")
    }

    pub fn kill(&mut self, node: usize) {
        self.nodes[node].take().expect("the node is up").kill();
    }

    /// Starts a node again, after it was killed or ended.
    pub fn restart(&mut self, node: usize) {
        self.nodes[node] = None;
        self.nodes[node] = Some(self.spawn(node));
        self.until_serving();
    }

    /// Waits until the cluster serves linearizable reads.
    pub fn until_serving(&self) {
        until("the nodes serve", SOON, || {
            self.reeve(&["--timeout", "2s", "worker", "list"])
                .status
                .success()
                .then_some(())
        });
    }

    pub fn grpc(&self, node: usize) -> String {
        format!("127.0.0.1:{}", self.ports[node][0])
    }

    /// Runs `reeve ARGS` against all nodes.
    pub fn reeve(&self, args: &[&str]) -> Output {
        let all: Vec<_> = (0..self.ports.len()).map(|node| self.grpc(node)).collect();
        self.reeve_at(&all.join(","), args)
    }

    pub fn reeve_at(&self, addresses: &str, args: &[&str]) -> Output {
        Command::new(REEVE)
            .args(args)
            .env("REEVE_ADDR", addresses)
            .env("REEVE_API_KEY", ADMIN_KEY)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs `reeve -o json ARGS` against all nodes; it must succeed.
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.reeve(&[&["-o", "json"], args].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "reeve {args:?}: {stderr}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What a node says of itself; `None` if it does not answer.
    pub fn status(&self, node: usize) -> Option<v1::GetStatusResponse> {
        let address = self.grpc(node);
        in_time(async {
            let mut client = ClusterClient::new(connect(&address).await?);
            let request = v1::GetStatusRequest {
                include_state_hash: true,
            };
            Some(client.get_status(request).await.ok()?.into_inner())
        })
    }

    /// A gauge of a node's metrics.
    pub fn gauge(&self, node: usize, name: &str) -> Option<f64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[node][2])).ok()?;
        stream
            .write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
            .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.parse().ok()
    }

    /// The node that leads, once one does.
    pub fn leader(&self) -> usize {
        until("there is a leader", SOON, || {
            (0..self.nodes.len())
                .filter(|node| self.nodes[*node].is_some())
                .find(|node| {
                    self.status(*node)
                        .is_some_and(|status| status.leader_id == status.node_id)
                })
        })
    }
}
