//! `reeve demo`: shows on real processes that a run survives the death of the leader. Every step has a deadline; one that
//! is missed ends the demonstration loudly, with the reason and a non-zero exit code.

mod cluster;
mod probe;
mod report;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use reeve_proto::names::Named;
use reeve_proto::v1::{EndpointPhase, Run, RunStatus};
use tokio::time::timeout;

use crate::demo::cluster::DemoCluster;
use crate::demo::probe::WriteProbe;
use crate::demo::report::Report;
use crate::demo::run::{Follower, apply_definition, start_run};
use crate::error::CliError;
use crate::output::{Output, in_phase, phase_counts, summary};
use crate::process::Signals;

/// Endpoints of the demonstration's run, over all groups.
const ENDPOINTS: u32 = 300;
const START_DEADLINE: Duration = Duration::from_secs(35);
const IN_CALL_DEADLINE: Duration = Duration::from_secs(15);
const NEW_LEADER_DEADLINE: Duration = Duration::from_secs(10);
const END_DEADLINE: Duration = Duration::from_secs(30);
const CATCH_UP_DEADLINE: Duration = Duration::from_secs(10);

/// Runs the demonstration and cleans up, however it ends.
pub(crate) async fn run(output: &Output) -> Result<u8, CliError> {
    let mut signals = Signals::new()?;
    let report = Report::new(output);
    let directory = std::env::temp_dir().join(format!("reeve-demo-{}", uuid::Uuid::new_v4()));
    let mut cluster = DemoCluster::new(directory.clone());
    let result = tokio::select! {
        result = steps(&report, &mut cluster) => result,
        () = signals.next() => Err(CliError::message("interrupted")),
    };
    cluster.stop().await;
    match result {
        Ok(()) => {
            remove(&directory);
            report.say("done: nothing was lost, and everything is stopped")?;
            Ok(0)
        }
        Err(error) => {
            let text = error
                .render()
                .unwrap_or_else(|| "error: the output was closed".to_owned());
            report.fail(&format!(
                "THE DEMONSTRATION FAILED\n{text}\ndata and logs are in {}",
                directory.display()
            ));
            Ok(1)
        }
    }
}

fn remove(directory: &PathBuf) {
    if let Err(error) = std::fs::remove_dir_all(directory) {
        crate::output::note(&format!("{} could not be removed: {error}", directory.display()));
    }
}

async fn steps(report: &Report<'_>, cluster: &mut DemoCluster) -> Result<(), CliError> {
    report.step("starting 3 nodes and 3 workers, each a process of its own")?;
    within("the cluster is up", START_DEADLINE, cluster.start()).await?;
    let leader = cluster.leader_node()?;
    report.say(&format!(
        "leader {} (pid {}); nodes {}",
        leader.id,
        leader.pid,
        cluster.addresses().join(" ")
    ))?;

    report.step(&format!(
        "starting a run of {ENDPOINTS} endpoints on the three workers"
    ))?;
    let client = cluster.client()?;
    let test = apply_definition(&client).await?;
    let id = start_run(&client, &test).await?;
    report.say(&format!("run {id} of test {test}"))?;
    let mut follower = Follower::start(cluster.client()?, id);
    let in_calls = |run: &Run| {
        let counts = run.endpoints.clone().unwrap_or_default();
        run.status() == RunStatus::Running && in_phase(&counts, EndpointPhase::Incall) * 2 >= ENDPOINTS
    };
    within(
        "half of the endpoints are in their calls",
        IN_CALL_DEADLINE,
        follower.until(report, in_calls),
    )
    .await?;

    let mut probe = WriteProbe::start(&cluster.client()?)?;
    within("writes are acknowledged", NEW_LEADER_DEADLINE, probe.any()).await?;
    report.step(&format!(
        "killing the leader, {} (pid {}), with SIGKILL",
        leader.id, leader.pid
    ))?;
    let (killed_at, gone_at) =
        within("the leader is dead", NEW_LEADER_DEADLINE, cluster.kill_leader()).await?;
    let first_write = within(
        "a write is acknowledged again",
        NEW_LEADER_DEADLINE,
        probe.first_after(gone_at),
    )
    .await?;
    let unavailable = first_write.duration_since(killed_at);
    probe.stop().await;
    let (new_leader, term) = within(
        "a new leader is elected",
        NEW_LEADER_DEADLINE,
        cluster.new_leader(),
    )
    .await?;
    report.say(&format!(
        "new leader {new_leader} in term {term}; first write acknowledged {} ms after the kill",
        unavailable.as_millis()
    ))?;

    report.step("the workers go on with their calls; waiting for the end of the run")?;
    let run = within("the run ends", END_DEADLINE, follower.end(report)).await?;
    check(&run)?;

    report.step(&format!("restarting {}", leader.id))?;
    cluster.restart_killed()?;
    let caught_up = within(
        "the restarted node catches up",
        CATCH_UP_DEADLINE,
        cluster.caught_up(),
    )
    .await?;
    report.say(&format!(
        "{} is at index {} like the leader, with the same state hash {}",
        leader.id, caught_up.index, caught_up.state_hash
    ))?;
    report.step("how the run went")?;
    report.block(&summary(&run))
}

/// The run completed and each endpoint is accounted for exactly once.
fn check(run: &Run) -> Result<(), CliError> {
    let counts = run.endpoints.clone().unwrap_or_default();
    let with_outcome: u32 = counts
        .by_outcome
        .iter()
        .filter(|count| count.outcome != 0)
        .map(|count| count.count)
        .sum();
    if run.status() != RunStatus::Completed {
        let (status, summary) = (run.status().name(), summary(run));
        return Err(CliError::message(format!(
            "the run ended {status}, not COMPLETED\n{summary}"
        )));
    }
    if in_phase(&counts, EndpointPhase::Closed) != ENDPOINTS || with_outcome != ENDPOINTS {
        return Err(CliError::message(format!(
            "of {ENDPOINTS} endpoints {with_outcome} have an outcome; phases: {}",
            phase_counts(run)
        )));
    }
    Ok(())
}

/// What is expected, or an error that says that it did not happen.
async fn within<T>(
    what: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        Err(CliError::message(format!(
            "this did not happen within {limit:?}: {what}"
        )))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use reeve_proto::v1::{EndpointCounts, EndpointOutcome, OutcomeCount, PhaseCount};

    use super::*;

    fn run(status: RunStatus, closed: u32, outcomes: u32) -> Run {
        Run {
            status: status.into(),
            endpoints: Some(EndpointCounts {
                total: ENDPOINTS,
                by_phase: vec![PhaseCount {
                    phase: EndpointPhase::Closed.into(),
                    count: closed,
                }],
                by_outcome: vec![OutcomeCount {
                    outcome: EndpointOutcome::Success.into(),
                    count: outcomes,
                }],
            }),
            ..Default::default()
        }
    }

    #[test]
    fn only_a_completed_run_with_every_endpoint_accounted_for_passes() {
        assert!(check(&run(RunStatus::Completed, 300, 300)).is_ok());
        for bad in [
            run(RunStatus::Failed, 300, 300),
            run(RunStatus::Running, 300, 300),
            run(RunStatus::Completed, 299, 300),
            run(RunStatus::Completed, 300, 299),
            run(RunStatus::Completed, 300, 301),
        ] {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_does_not_happen_is_named() {
        let never = std::future::pending::<Result<(), CliError>>();
        let error = within("the moon is full", Duration::from_secs(3), never)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "this did not happen within 3s: the moon is full"
        );
    }
}
