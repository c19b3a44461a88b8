//! What a development cluster is made of, kept in DATA/dev.json so that the same directory brings the same one back.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reeve_proto::bearer::Bearer;
use serde::{Deserialize, Serialize};

use crate::client::{Cluster, without_number};
use crate::error::CliError;

/// Ports of the first node (D27); each further node takes ten more.
const GRPC_PORT: u16 = 50_052;
const RAFT_PORT: u16 = 50_051;
const HTTP_PORT: u16 = 8_080;
const PORT_STEP: u16 = 10;
/// A silent worker is noticed in seconds here; the defaults of the node (D4) are for fleets in the field.
const TIMINGS: [&str; 14] = [
    "--heartbeat-interval-ms",
    "1000",
    "--exchange-interval-ms",
    "500",
    "--shed-after-ms",
    "2000",
    "--reconnect-timeout-ms",
    "2000",
    "--down-after-ms",
    "6000",
    // The machine is shared with compilers and tests; that must not keep its workers from work.
    "--unhealthy-above-percent",
    "100",
    // Receivers of webhooks are tried out on this machine.
    "--webhook-allow-private",
    "loopback",
];
/// Where the workers are, in turn.
const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];

/// The cluster of one data directory. It holds secrets, so it cannot be printed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Layout {
    /// Absolute, and not in the file: the directory may be moved.
    #[serde(skip)]
    pub(crate) data_dir: PathBuf,
    pub(crate) cluster_id: String,
    /// The admin key of the cluster; empty in directories of before there were keys.
    #[serde(default)]
    pub(crate) api_key: String,
    /// What its nodes show each other, and what secrets of SIP accounts are sealed with; empty in directories of before there were any.
    #[serde(default)]
    pub(crate) cluster_secret: String,
    pub(crate) nodes: Vec<NodeEntry>,
    pub(crate) workers: Vec<WorkerEntry>,
}

/// `cmk_` and 32 hex digits: the random bits of a UUID are as good as any.
fn new_api_key() -> String {
    format!("cmk_{}", uuid::Uuid::new_v4().simple())
}

/// 64 hex digits.
fn new_cluster_secret() -> String {
    format!(
        "{}{}",
        uuid::Uuid::new_v4().simple(),
        uuid::Uuid::new_v4().simple()
    )
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeEntry {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) grpc: String,
    pub(crate) raft: String,
    pub(crate) http: String,
}

/// One worker, with the token that it got when it was registered.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct WorkerEntry {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) token: String,
}

impl Layout {
    /// The cluster of this directory, a new one if there is none yet.
    pub(crate) fn open(data_dir: &Path, nodes: u8, random_ports: bool) -> Result<Self, CliError> {
        let at = |error: std::io::Error| CliError::message(format!("{}: {error}", data_dir.display()));
        fs::create_dir_all(data_dir.join("logs")).map_err(at)?;
        let data_dir = fs::canonicalize(data_dir).map_err(at)?;
        let file = data_dir.join("dev.json");
        if !file.exists() {
            let layout = Self::new(data_dir, nodes, random_ports)?;
            layout.save()?;
            return Ok(layout);
        }
        let mut layout = Self::load(&data_dir)?;
        if layout.api_key.is_empty() || layout.cluster_secret.is_empty() {
            if layout.api_key.is_empty() {
                layout.api_key = new_api_key();
            }
            layout.cluster_secret = new_cluster_secret();
            layout.save()?;
        }
        if layout.nodes.len() != usize::from(nodes) {
            return Err(CliError::message(format!(
                "{} holds a cluster of {} nodes, not {nodes}; use --nodes {} or another --data-dir",
                data_dir.display(),
                layout.nodes.len(),
                layout.nodes.len()
            )));
        }
        Ok(layout)
    }

    /// Reads the cluster of a directory.
    pub(crate) fn load(data_dir: &Path) -> Result<Self, CliError> {
        let file = data_dir.join("dev.json");
        let problem = |error: std::io::Error| CliError::message(format!("{}: {error}", file.display()));
        let bytes = fs::read(&file).map_err(problem)?;
        let layout: Self = serde_json::from_slice(&bytes).map_err(|error| {
            CliError::message(format!(
                "{} is damaged ({error}); the workers' tokens were in it, so begin anew with another --data-dir",
                file.display()
            ))
        })?;
        Ok(Self {
            data_dir: data_dir.to_owned(),
            ..layout
        })
    }

    fn new(data_dir: PathBuf, nodes: u8, random_ports: bool) -> Result<Self, CliError> {
        let ports = if random_ports {
            random(usize::from(nodes))?
        } else {
            standard(nodes)
        };
        let entries = ports
            .into_iter()
            .zip(1..)
            .map(|([grpc, raft, http], id)| NodeEntry {
                id,
                name: format!("n{id}"),
                grpc: local(grpc),
                raft: local(raft),
                http: local(http),
            });
        let nodes = entries.collect();
        Ok(Self {
            data_dir,
            cluster_id: uuid::Uuid::now_v7().to_string(),
            api_key: new_api_key(),
            cluster_secret: new_cluster_secret(),
            nodes,
            workers: Vec::new(),
        })
    }

    /// Writes the file, readable by its owner only: it holds tokens. The old one stays until the new one is whole.
    pub(crate) fn save(&self) -> Result<(), CliError> {
        let (file, draft) = (self.data_dir.join("dev.json"), self.data_dir.join("dev.json.new"));
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::from)?;
        let mut handle = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        handle.set_permissions(fs::Permissions::from_mode(0o600))?;
        handle.write_all(text.as_bytes())?;
        handle.sync_all()?;
        Ok(fs::rename(draft, file)?)
    }

    /// Says which port is taken before anything is started.
    pub(crate) fn check_ports(&self) -> Result<(), CliError> {
        for node in &self.nodes {
            for address in [&node.grpc, &node.raft, &node.http] {
                if let Err(error) = TcpListener::bind(address) {
                    return Err(CliError::message(format!(
                        "{address}, which {} needs, cannot be used: {}; is another cluster running? \
                         --random-ports with another --data-dir gives one beside it",
                        node.name,
                        without_number(&error.to_string())
                    )));
                }
            }
        }
        Ok(())
    }

    /// A client of the cluster, an admin.
    pub(crate) fn client(&self, timeout: Duration) -> Result<Cluster, CliError> {
        let bearer = Bearer::new(&self.api_key).map_err(|error| CliError::message(error.to_string()))?;
        Cluster::connect_to(&self.grpc_addresses(), bearer, timeout)
    }

    /// What a node is told that others must not see.
    pub(crate) fn node_env(&self) -> [(&'static str, &str); 2] {
        [
            ("REEVE_BOOTSTRAP_KEY", &self.api_key),
            ("REEVE_CLUSTER_SECRET", &self.cluster_secret),
        ]
    }

    /// gRPC addresses of all nodes.
    pub(crate) fn grpc_addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.grpc.clone()).collect()
    }

    /// One folder for the evidence of all nodes, so that it outlives each of them.
    fn objects(&self) -> String {
        let folder = self.data_dir.join("objects");
        format!(
            "file://{}",
            std::path::absolute(&folder).unwrap_or(folder).display()
        )
    }

    /// The command line of a node, without the program.
    pub(crate) fn node_args(&self, node: &NodeEntry) -> Vec<String> {
        let peers: Vec<String> = self
            .nodes
            .iter()
            .map(|peer| {
                format!(
                    "{}={},{},{},{}",
                    peer.id, peer.name, peer.raft, peer.grpc, peer.http
                )
            })
            .collect();
        let mut args = vec!["node".to_owned()];
        let data_dir = self.data_dir.join(&node.name).display().to_string();
        for (flag, value) in [
            ("--id", node.id.to_string()),
            ("--name", node.name.clone()),
            ("--data-dir", data_dir),
            ("--cluster-id", self.cluster_id.clone()),
            ("--grpc-addr", node.grpc.clone()),
            ("--raft-addr", node.raft.clone()),
            ("--http-addr", node.http.clone()),
            ("--peers", peers.join(";")),
            ("--object-store", self.objects()),
        ] {
            args.extend([flag.to_owned(), value]);
        }
        args.extend(TIMINGS.map(str::to_owned));
        args
    }

    /// The environment of a worker; the token is no argument, because those can be read by everyone.
    pub(crate) fn worker_env(&self, worker: &WorkerEntry) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("REEVE_WORKER_TOKEN", worker.token.clone()),
            ("REEVE_NODES", self.grpc_addresses().join(",")),
            // Several workers on one machine cannot share the usual port of health and metrics.
            ("REEVE_WORKER_HTTP_ADDR", "off".to_owned()),
            // Ctrl-C in a development cluster is not a maintenance window.
            ("REEVE_WORKER_DRAIN_DEADLINE", "3s".to_owned()),
        ])
    }

    /// The log of a node or worker.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.data_dir.join("logs").join(format!("{name}.log"))
    }
}

/// The region of the worker of this index.
pub(crate) fn region(index: usize) -> &'static str {
    REGIONS[index % REGIONS.len()]
}

fn local(port: u16) -> String {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string()
}

fn standard(nodes: u8) -> Vec<[u16; 3]> {
    (0..u16::from(nodes))
        .map(|index| [GRPC_PORT, RAFT_PORT, HTTP_PORT].map(|port| port + PORT_STEP * index))
        .collect()
}

/// Ports that were free a moment ago; all are held until the last one is found, so that none comes twice.
fn random(nodes: usize) -> Result<Vec<[u16; 3]>, CliError> {
    let listeners = (0..nodes * 3)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<std::io::Result<Vec<_>>>()?;
    let ports = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<std::io::Result<Vec<u16>>>()?;
    Ok(ports
        .chunks_exact(3)
        .map(|ports| [ports[0], ports[1], ports[2]])
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn nodes_take_ten_more_each() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path(), 2, false).unwrap();
        assert_eq!(layout.nodes[0].grpc, "127.0.0.1:50052");
        assert_eq!(layout.nodes[1].grpc, "127.0.0.1:50062");
        assert_eq!(layout.nodes[1].raft, "127.0.0.1:50061");
        assert_eq!(layout.nodes[1].http, "127.0.0.1:8090");
    }

    #[test]
    fn the_same_directory_brings_the_same_cluster_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Layout::open(dir.path(), 3, true).unwrap();
        first.workers.push(WorkerEntry {
            id: "w".into(),
            name: "w1".into(),
            region: region(0).into(),
            token: "secret".into(),
        });
        first.save().unwrap();
        let second = Layout::open(dir.path(), 3, true).unwrap();
        assert_eq!(second.nodes, first.nodes);
        assert_eq!(second.cluster_id, first.cluster_id);
        assert_eq!(second.workers[0].token, "secret");
        let mode = fs::metadata(dir.path().join("dev.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "tokens are for the owner only");
        let error = Layout::open(dir.path(), 5, true).err().unwrap().to_string();
        assert!(error.contains("3 nodes, not 5"), "{error}");
    }

    #[test]
    fn a_damaged_file_is_named_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("dev.json"), "{").unwrap();
        let error = Layout::open(dir.path(), 3, true).err().unwrap().to_string();
        assert!(
            error.contains("dev.json is damaged") && error.contains("--data-dir"),
            "{error}"
        );
    }

    #[test]
    fn random_ports_differ() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path(), 3, true).unwrap();
        let all: std::collections::BTreeSet<&String> = layout
            .nodes
            .iter()
            .flat_map(|node| [&node.grpc, &node.raft, &node.http])
            .collect();
        assert_eq!(all.len(), 9);
    }

    #[test]
    fn a_node_is_told_of_all_nodes_and_a_token_is_no_argument() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path(), 2, false).unwrap();
        let args = layout.node_args(&layout.nodes[0]).join(" ");
        assert!(
            args.contains(
                "--peers 1=n1,127.0.0.1:50051,127.0.0.1:50052,127.0.0.1:8080;2=n2,127.0.0.1:50061,127.0.0.1:50062,127.0.0.1:8090"
            ),
            "{args}"
        );
    }

    #[test]
    fn a_taken_port_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path(), 1, true).unwrap();
        let _taken = TcpListener::bind(&layout.nodes[0].http).unwrap();
        let error = layout.check_ports().unwrap_err().to_string();
        assert!(
            error.contains(&layout.nodes[0].http) && error.contains("n1"),
            "{error}"
        );
    }
}
