//! The demonstration's test and run.

use std::time::Duration;

use reeve_proto::v1::group::Executor;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::tests_client::TestsClient;
use reeve_proto::v1::{ApplyTestRequest, Group, Run, StartRunRequest, TestDefinition};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::ENDPOINTS;
use super::report::Report;
use crate::client::{Cluster, request_id};
use crate::definition_file;
use crate::error::CliError;
use crate::follow::{Seen, follow, is_terminal};

/// Endpoints stay 8 s in their calls and begin over 3 s, wherever there is room.
const DEFINITION: &str = "
name: demo
duration: 8s
buildup: 3s
queue_timeout: 5s
groups:
  - { name: one, endpoints: 100, executor: sim, sim: { setup: 200ms..800ms, outcomes: { SUCCESS: 0.97, CALL_FAILED: 0.03 } } }
  - { name: two, endpoints: 100, executor: sim, sim: { setup: 200ms..800ms } }
  - { name: three, endpoints: 100, executor: sim, sim: { setup: 100ms..300ms } }
";

/// A small definition for writes that only measure; it is never run.
pub(super) fn probe_definition(name: &str) -> TestDefinition {
    let second = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let sim = reeve_proto::v1::SimExecutor {
        setup_min: second(0),
        setup_max: second(1),
        outcomes: Vec::new(),
        quality: None,
    };
    TestDefinition {
        name: name.to_owned(),
        duration: second(1),
        buildup: second(0),
        groups: vec![Group {
            name: "probe".to_owned(),
            endpoints: 1,
            selector: None,
            executor: Some(Executor::Sim(sim)),
        }],
        ..Default::default()
    }
}

/// Applies the test; its name.
pub(super) async fn apply_definition(client: &Cluster) -> Result<String, CliError> {
    let definition = definition_file::parse(DEFINITION).map_err(|violations| CliError::Definition {
        file: "the demonstration's test".to_owned(),
        violations,
    })?;
    debug_assert_eq!(
        definition.groups.iter().map(|group| group.endpoints).sum::<u32>(),
        ENDPOINTS
    );
    let name = definition.name.clone();
    let request = ApplyTestRequest {
        definition: Some(definition),
        request_id: request_id(None),
        ..Default::default()
    };
    client
        .call(request, |channel, request| async move {
            TestsClient::new(channel).apply_test(request).await
        })
        .await?;
    Ok(name)
}

/// Starts a run; its id.
pub(super) async fn start_run(client: &Cluster, test: &str) -> Result<String, CliError> {
    let request = StartRunRequest {
        test: test.to_owned(),
        request_id: request_id(None),
        ..Default::default()
    };
    let answer = client
        .call(request, |channel, request| async move {
            RunsClient::new(channel).start_run(request).await
        })
        .await?;
    answer
        .run
        .map(|run| run.id)
        .ok_or_else(|| CliError::message("the node answered without a run"))
}

/// Follows the run in a task of its own, so that no state is missed while the demonstration does other things.
pub(super) struct Follower {
    changes: mpsc::UnboundedReceiver<Run>,
    task: JoinHandle<Result<Run, CliError>>,
}

impl Follower {
    pub(super) fn start(client: Cluster, id: String) -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            follow(&client, &id, None::<Duration>, |seen| {
                if let Seen::Run(run) = seen {
                    // The demonstration may have ended already.
                    let _ = sender.send(run.clone());
                }
                Ok(())
            })
            .await
        });
        Self { changes, task }
    }

    /// Shows the run until the condition holds; an error if the run ends before.
    pub(super) async fn until(
        &mut self,
        report: &Report<'_>,
        condition: impl Fn(&Run) -> bool,
    ) -> Result<(), CliError> {
        while let Some(run) = self.changes.recv().await {
            report.progress(&run)?;
            if condition(&run) {
                return Ok(());
            }
            if is_terminal(&run) {
                let summary = crate::output::summary(&run);
                return Err(CliError::message(format!("the run ended too early\n{summary}")));
            }
        }
        Err(self.failure().await)
    }

    /// Shows the run until it ends.
    pub(super) async fn end(&mut self, report: &Report<'_>) -> Result<Run, CliError> {
        while let Some(run) = self.changes.recv().await {
            report.progress(&run)?;
            if is_terminal(&run) {
                return Ok(run);
            }
        }
        Err(self.failure().await)
    }

    async fn failure(&mut self) -> CliError {
        match (&mut self.task).await {
            Ok(Err(error)) => error,
            Ok(Ok(_)) => CliError::message("the run ended unseen"),
            Err(error) => CliError::message(format!("the follower died: {error}")),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn the_definition_is_valid_and_has_300_endpoints() {
        let definition = definition_file::parse(DEFINITION).unwrap();
        assert_eq!(
            definition.groups.iter().map(|group| group.endpoints).sum::<u32>(),
            ENDPOINTS
        );
    }
}
