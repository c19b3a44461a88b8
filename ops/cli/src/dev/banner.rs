//! What `reeve dev` says once everything is up.

use std::fmt::Write;
use std::path::Path;

use comfy_table::Cell;
use serde::{Deserialize, Serialize};

use super::child::Child;
use super::layout::Layout;
use crate::error::CliError;
use crate::output::Table;

/// The line of `reeve dev -o json`; a contract (interfaces.md).
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DevReady {
    pub(crate) leader: String,
    pub(crate) nodes: Vec<ReadyNode>,
    pub(crate) workers: Vec<ReadyWorker>,
    /// An admin's.
    pub(crate) api_key: String,
}

/// A node that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReadyNode {
    /// Its name, as in `leader`.
    pub(crate) id: String,
    pub(crate) grpc: String,
    pub(crate) http: String,
    pub(crate) pid: u32,
}

/// A worker that is ONLINE.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReadyWorker {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) pid: u32,
}

/// A definition to begin with, written beside the data.
const SMOKE: &str = "\
name: smoke
duration: 10s            # how long each endpoint stays in its call
buildup: 3s              # endpoints start evenly over this time
groups:
  - name: callers
    endpoints: 200
    executor: sim
    sim: { setup: 200ms..800ms, outcomes: { SUCCESS: 0.97, CALL_FAILED: 0.03 } }
";

impl DevReady {
    pub(crate) fn new(layout: &Layout, leader: u64, nodes: &[Child], workers: &[Child]) -> Self {
        let ready_nodes = layout.nodes.iter().zip(nodes).map(|(node, child)| ReadyNode {
            id: node.name.clone(),
            grpc: node.grpc.clone(),
            http: node.http.clone(),
            pid: child.pid,
        });
        let ready_workers = layout
            .workers
            .iter()
            .zip(workers)
            .map(|(worker, child)| ReadyWorker {
                id: worker.id.clone(),
                name: worker.name.clone(),
                pid: child.pid,
            });
        let leader = layout.nodes.iter().find(|node| node.id == leader);
        Self {
            leader: leader.map_or_else(String::new, |node| node.name.clone()),
            nodes: ready_nodes.collect(),
            workers: ready_workers.collect(),
            api_key: layout.api_key.clone(),
        }
    }

    /// For REEVE_ADDR.
    pub(crate) fn addresses(&self) -> String {
        self.nodes
            .iter()
            .map(|node| node.grpc.as_str())
            .collect::<Vec<_>>()
            .join(",")
    }

    /// The node that led when everything was ready.
    pub(crate) fn leader(&self) -> Option<&ReadyNode> {
        self.nodes.iter().find(|node| node.id == self.leader)
    }

    /// Addresses, places, and three commands to copy. Writes the definition that the first of them uses.
    pub(super) fn banner(&self, layout: &Layout) -> Result<String, CliError> {
        let smoke = layout.data_dir.join("smoke.yaml");
        if !smoke.exists() {
            std::fs::write(&smoke, SMOKE)?;
        }
        let mut table = Table::new(&["NODE", "GRPC", "HTTP", "#PID", ""]);
        for node in &self.nodes {
            table.row(vec![
                Cell::new(&node.id),
                Cell::new(&node.grpc),
                Cell::new(format!("http://{}", node.http)),
                Cell::new(node.pid),
                Cell::new(if node.id == self.leader { "leader" } else { "" }),
            ]);
        }
        let workers: Vec<String> = self
            .workers
            .iter()
            .map(|worker| format!("{} (pid {})", worker.name, worker.pid))
            .collect();
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "Reeve is up: {} nodes, {} workers ONLINE.\n\n{}\n\nworkers  {}\ndata     {}\nlogs     {}\n\n{}\nCtrl-C stops everything.",
            self.nodes.len(),
            self.workers.len(),
            table.render(),
            if workers.is_empty() {
                "none".to_owned()
            } else {
                workers.join(", ")
            },
            layout.data_dir.display(),
            layout.data_dir.join("logs").display(),
            self.commands(&smoke),
        );
        Ok(text)
    }

    fn commands(&self, smoke: &Path) -> String {
        let smoke = smoke.display();
        let pid = self.leader().map_or(0, |node| node.pid);
        format!(
            "In another terminal:\n\n  export REEVE_ADDR={}\n  export REEVE_API_KEY={}\n\n  \
             # submit a run and follow it\n  \
             reeve test apply -f {smoke} && reeve run start smoke --wait\n  \
             # kill the leader in mid-run and watch the run finish\n  \
             (sleep 6; kill -9 {pid}) & reeve run start smoke --wait\n  \
             # see the workers\n  \
             reeve worker list\n",
            self.addresses(),
            self.api_key,
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn ready() -> DevReady {
        DevReady {
            leader: "n2".into(),
            nodes: (1..=3)
                .map(|n| ReadyNode {
                    id: format!("n{n}"),
                    grpc: format!("127.0.0.1:5005{n}"),
                    http: format!("127.0.0.1:808{n}"),
                    pid: 100 + n,
                })
                .collect(),
            workers: vec![ReadyWorker {
                id: "0190".into(),
                name: "w1".into(),
                pid: 200,
            }],
            api_key: "cmk_00112233445566778899aabbccddeeff".into(),
        }
    }

    #[test]
    fn the_ready_line_is_the_one_of_the_interface() {
        let json = serde_json::to_value(ready()).unwrap();
        assert_eq!(json["leader"], "n2");
        assert_eq!(json["apiKey"], "cmk_00112233445566778899aabbccddeeff");
        assert_eq!(
            json["nodes"][1],
            serde_json::json!({"id": "n2", "grpc": "127.0.0.1:50052", "http": "127.0.0.1:8082", "pid": 102})
        );
        assert_eq!(
            json["workers"][0],
            serde_json::json!({"id": "0190", "name": "w1", "pid": 200})
        );
    }

    #[test]
    fn the_banner_gives_commands_that_work() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path(), 3, true).unwrap();
        let text = ready().banner(&layout).unwrap();
        for part in [
            "kill -9 102",
            "REEVE_ADDR=127.0.0.1:50051,127.0.0.1:50052,127.0.0.1:50053",
            "REEVE_API_KEY=cmk_00112233445566778899aabbccddeeff",
            "reeve worker list",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let smoke = std::fs::read_to_string(layout.data_dir.join("smoke.yaml")).unwrap();
        crate::definition_file::parse(&smoke).unwrap();
    }
}
