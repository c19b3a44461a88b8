//! The cluster that is measured: three `reeve node` processes with default settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use prost_types::Duration as WireDuration;
use reeve_proto::bearer::Connection;
use reeve_proto::v1::group::Executor;
use reeve_proto::v1::tests_client::TestsClient;
use reeve_proto::v1::{
    ApplyTestRequest, Consistency, GetTestRequest, Group, Selector, SimExecutor, TestDefinition,
};
use reeve_testkit::{Cluster, ClusterSpec};
use tonic::{Request, Status};

use crate::load::{CALL_TIMEOUT, Caller};
use crate::numbers::fresh;
use crate::peer::etcd::KEYS;
use crate::spread::{Target, nodes_of_connections, share};

const NODES: usize = 3;
const SETTLE: Duration = Duration::from_secs(60);

/// Our cluster.
pub struct Reeve {
    /// The processes.
    pub cluster: Cluster,
    /// The version that a node reports.
    pub version: String,
}

impl Reeve {
    /// Starts three nodes and waits for a leader.
    ///
    /// # Errors
    /// They do not start.
    pub async fn start(program: PathBuf, directory: &Path, flags: Vec<String>) -> Result<Self> {
        let mut cluster = Cluster::start(ClusterSpec {
            program,
            directory: directory.to_owned(),
            nodes: NODES,
            flags,
        })?;
        let leader = cluster.agreed_leader(SETTLE).await?;
        let version = cluster.status(leader, false).await?.version;
        Ok(Self { cluster, version })
    }

    /// Waits for a leader that all follow.
    ///
    /// # Errors
    /// There is none within a minute.
    pub async fn agreed_leader(&mut self) -> Result<usize> {
        self.cluster.agreed_leader(SETTLE).await
    }

    /// Waits until a node has what the leader has.
    ///
    /// # Errors
    /// Not within a minute.
    pub async fn caught_up(&self, position: usize) -> Result<()> {
        self.cluster.caught_up(position, SETTLE).await
    }

    async fn channels(&mut self, clients: usize, target: Target) -> Result<Vec<Connection>> {
        let leader = self.agreed_leader().await?;
        let mut channels = Vec::new();
        for node in nodes_of_connections(clients, target, NODES, leader) {
            channels.push(self.cluster.connect(node).await?);
        }
        Ok(channels)
    }

    /// That many clients that apply definitions of about 256 bytes.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn writers(&mut self, clients: usize, target: Target) -> Result<Vec<Write>> {
        let channels = self.channels(clients, target).await?;
        Ok(share(&channels, clients).map(Write::new).collect())
    }

    /// A client of one node, for the probe of availability.
    pub fn writer_at(&self, position: usize) -> Write {
        Write::new(self.cluster.channel(position))
    }

    /// That many clients that read one test, linearizably.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn readers(&mut self, clients: usize, target: Target) -> Result<Vec<Read>> {
        let channels = self.channels(clients, target).await?;
        let first = channels.first().context("at least one connection")?;
        let definition = definition(fresh());
        let name = definition.name.clone();
        TestsClient::new(first.clone())
            .apply_test(apply(definition))
            .await?;
        let callers = share(&channels, clients).map(|channel| Read {
            client: TestsClient::new(channel),
            name: name.clone(),
        });
        Ok(callers.collect())
    }
}

fn test_name(number: u64) -> String {
    format!("bench-{number:04}")
}

/// A definition that encodes to about 256 bytes, and differs from the one before it under the same name.
pub fn definition(number: u64) -> TestDefinition {
    let seconds = |seconds: i64| Some(WireDuration { seconds, nanos: 0 });
    let label = |name: &str, length: usize| (name.to_owned(), "x".repeat(length));
    TestDefinition {
        name: test_name(number % KEYS),
        duration: seconds(1 + i64::try_from(number / KEYS % 80_000).unwrap_or(0)),
        buildup: seconds(5),
        queue_timeout: seconds(5),
        max_execution: seconds(86_400),
        groups: vec![Group {
            name: "callers".to_owned(),
            endpoints: 200,
            selector: Some(Selector {
                region: "eu-west".to_owned(),
                worker_id: String::new(),
                labels: [label("pool", 86), label("rack", 86)].into(),
            }),
            executor: Some(Executor::Sim(SimExecutor {
                setup_min: seconds(0),
                setup_max: seconds(1),
                outcomes: Vec::new(),
                quality: None,
            })),
        }],
    }
}

fn apply(definition: TestDefinition) -> Request<ApplyTestRequest> {
    let mut request = Request::new(ApplyTestRequest {
        definition: Some(definition),
        request_id: String::new(),
        ..Default::default()
    });
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// Applies one definition after the other, rotating over the names.
#[derive(Clone)]
pub struct Write {
    client: TestsClient<Connection>,
}

impl Write {
    fn new(channel: Connection) -> Self {
        Self {
            client: TestsClient::new(channel),
        }
    }
}

impl Caller for Write {
    async fn call(&mut self) -> Result<(), Status> {
        self.client.apply_test(apply(definition(fresh()))).await.map(drop)
    }
}

/// Reads one test.
pub struct Read {
    client: TestsClient<Connection>,
    name: String,
}

impl Caller for Read {
    async fn call(&mut self) -> Result<(), Status> {
        let mut request = Request::new(GetTestRequest {
            id: self.name.clone(),
            consistency: Consistency::Linearizable.into(),
            ..Default::default()
        });
        request.set_timeout(CALL_TIMEOUT);
        self.client.get_test(request).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn a_definition_has_the_size_of_the_values_that_etcd_gets() {
        let bytes = definition(123_456).encoded_len();
        assert!((240..=272).contains(&bytes), "{bytes} bytes");
    }

    #[test]
    fn every_write_changes_something() {
        for number in 0..3 {
            let (before, after) = (definition(number), definition(number + KEYS));
            assert_eq!(before.name, after.name);
            assert_ne!(before, after);
        }
    }
}
