//! `reeve worker drain`: asks for a drain and shows what it waits for until the worker is drained.

use std::ops::ControlFlow;

use reeve_proto::names::Named;
use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{AfterDrain, DrainWorkerRequest, DrainWorkerResponse, Worker, WorkerStatus};

use super::wait::{until, waiting_client};
use crate::args::{DrainArgs, GlobalArgs};
use crate::client::{Cluster, request_id};
use crate::cmd::present;
use crate::drain_progress::DrainProgress;
use crate::error::{CliError, EXIT_ERROR};
use crate::output::{Output, note, print_dry_run};

pub(super) async fn run(global: &GlobalArgs, output: &Output, args: DrainArgs) -> Result<u8, CliError> {
    let (dry_run, detach) = (args.dry_run, args.detach);
    let cluster = if dry_run || detach {
        Cluster::new(global)?
    } else {
        waiting_client(global).await?
    };
    let answer = ask(&cluster, args).await?;
    let worker = present(answer.worker)?;
    if dry_run {
        print_dry_run(output, &worker, &answer.queued)?;
        return Ok(0);
    }
    if detach {
        output.one(&worker)?;
        return Ok(0);
    }
    tokio::select! {
        result = follow(&cluster, global, output, &worker) => result.map(|()| 0),
        _ = tokio::signal::ctrl_c() => {
            note(&goes_on(&worker));
            Ok(EXIT_ERROR)
        }
    }
}

async fn ask(cluster: &Cluster, args: DrainArgs) -> Result<DrainWorkerResponse, CliError> {
    let request = DrainWorkerRequest {
        id: args.id,
        reason: args.reason.unwrap_or_default(),
        deadline_s: args.deadline.unwrap_or_default(),
        force: args.force,
        then: args.then.unwrap_or_default().into(),
        maintenance: args.maintenance,
        dry_run: args.dry_run,
        request_id: request_id(args.request_id),
    };
    cluster
        .call(request, |channel, request| async move {
            WorkersClient::new(channel).drain_worker(request).await
        })
        .await
}

async fn follow(
    cluster: &Cluster,
    global: &GlobalArgs,
    output: &Output,
    asked: &Worker,
) -> Result<(), CliError> {
    let mut progress = DrainProgress::new();
    let mut then = asked.drain.as_ref().map(|drain| drain.then());
    progress.show(asked);
    let drained = until(cluster, &asked.id, global.timeout, |worker| {
        then = worker.drain.as_ref().map(|drain| drain.then()).or(then);
        progress.show(worker);
        if is_over(worker) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let worker = drained.await.map_err(|error| match error {
        CliError::TimedOut(now) => CliError::TimedOut(format!("{now}; {}", goes_on(asked))),
        CliError::Status(_)
        | CliError::Unreachable(_)
        | CliError::Definition { .. }
        | CliError::Message(_)
        | CliError::Io(_) => error,
    })?;
    drop(progress);
    let (text, done) = verdict(&worker, then);
    if !done {
        return Err(CliError::message(text));
    }
    note(&text);
    output.one(&worker)
}

/// Whether nothing is left to wait for.
fn is_over(worker: &Worker) -> bool {
    match worker.status() {
        WorkerStatus::Offline => true,
        // Draining outranks these (D3), so the drain is complete or taken back.
        WorkerStatus::Online | WorkerStatus::Error | WorkerStatus::Unreachable => worker.drain.is_none(),
        // A deleted worker is reported by whoever reads it.
        WorkerStatus::Draining | WorkerStatus::Deleted | WorkerStatus::Unspecified => false,
    }
}

/// How it ended, and whether that is what was asked for.
fn verdict(worker: &Worker, then: Option<AfterDrain>) -> (String, bool) {
    let (name, status) = (&worker.name, worker.status().name());
    if worker.status() == WorkerStatus::Offline {
        return (format!("worker {name} is drained: {status}"), true);
    }
    match then {
        Some(AfterDrain::Resume) => (
            format!("the drain of worker {name} is over: {status}, it takes work again"),
            true,
        ),
        Some(AfterDrain::Disconnect | AfterDrain::Unspecified) | None => (
            format!("the drain of worker {name} was taken back: it is {status}"),
            false,
        ),
    }
}

fn goes_on(worker: &Worker) -> String {
    format!(
        "the drain of worker {name} goes on; `reeve worker get {name}` shows it, `reeve worker undrain {name}` takes it back",
        name = worker.name
    )
}

#[cfg(test)]
mod tests {
    use reeve_proto::v1::WorkerDrain;

    use super::*;

    fn worker(status: WorkerStatus, drains: bool) -> Worker {
        Worker {
            name: "w1".to_owned(),
            status: status.into(),
            drain: drains.then(WorkerDrain::default),
            ..Default::default()
        }
    }

    // Covers: R13, R20, R28
    #[test]
    fn a_drain_is_over_when_the_worker_left_or_takes_work_again() {
        for (status, drains, over) in [
            (WorkerStatus::Draining, true, false),
            (WorkerStatus::Offline, true, true),
            (WorkerStatus::Offline, false, true),
            (WorkerStatus::Online, false, true),
            (WorkerStatus::Error, false, true),
            (WorkerStatus::Unspecified, false, false),
        ] {
            assert_eq!(is_over(&worker(status, drains)), over, "{status:?}");
        }
        let online = worker(WorkerStatus::Online, false);
        assert_eq!(
            verdict(&online, Some(AfterDrain::Resume)),
            (
                "the drain of worker w1 is over: ONLINE, it takes work again".to_owned(),
                true
            )
        );
        assert!(
            !verdict(&online, Some(AfterDrain::Disconnect)).1,
            "someone took it back"
        );
        assert!(
            verdict(
                &worker(WorkerStatus::Offline, false),
                Some(AfterDrain::Disconnect)
            )
            .1
        );
    }

    #[test]
    fn who_stops_waiting_is_told_that_the_drain_goes_on() {
        let text = goes_on(&worker(WorkerStatus::Draining, true));
        assert!(
            text.contains("goes on") && text.contains("reeve worker undrain w1"),
            "{text}"
        );
    }
}
