//! The calls of the API, each with what the history says of its answer.

use std::time::Duration;

use reeve_proto::bearer::Connection;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::tests_client::TestsClient;
use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{
    AfterDrain, ApplyTestRequest, Consistency, CreateTestRequest, CreateWorkerRequest, DeleteTestRequest,
    DrainWorkerRequest, GetRunRequest, GetTestRequest, GetWorkerRequest, ListRunsRequest,
    RegenerateTokenRequest, Run, StartRunRequest, StopRunRequest, Test, TestDefinition, UndrainWorkerRequest,
    Worker, WorkerKind,
};
use tonic::{Request, Status};

use super::common::Secret;
use crate::definition::value_of;
use crate::history::op::Output;

/// Of one attempt.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
const LINEARIZABLE: i32 = Consistency::Linearizable as i32;
/// What the reason of a drain begins with; its value follows.
const REASON: &str = "chaos-";

/// What an answer shows.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The object.
    pub out: Output,
    /// Its revision, or that of the list.
    pub revision: Option<u64>,
    /// A worker's new token. A repeated request does not give it again.
    pub secret: Option<Secret>,
}

type Answered = Result<Answer, Status>;

fn within<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(ATTEMPT_TIMEOUT);
    request
}

fn test(test: Option<Test>, created: Option<bool>) -> Answer {
    let test = test.unwrap_or_default();
    let groups = test
        .definition
        .map(|definition| definition.groups)
        .unwrap_or_default();
    Answer {
        out: Output {
            version: Some(test.version),
            value: groups.first().map(|group| value_of(&group.name)),
            created,
            ..Output::default()
        },
        revision: Some(test.revision),
        secret: None,
    }
}

fn run(run: Option<Run>) -> Answer {
    let run = run.unwrap_or_default();
    Answer {
        out: Output {
            status: Some(run.status().as_str_name().to_owned()),
            stop: run.stop_requested_at.is_some(),
            run: Some(run.id),
            ..Output::default()
        },
        revision: Some(run.revision),
        secret: None,
    }
}

fn worker(worker: Option<Worker>) -> Answer {
    let worker = worker.unwrap_or_default();
    let drain = worker
        .drain
        .as_ref()
        .and_then(|drain| drain.reason.strip_prefix(REASON));
    Answer {
        out: Output {
            value: drain.and_then(|value| value.parse().ok()),
            status: Some(worker.status().as_str_name().to_owned()),
            ..Output::default()
        },
        revision: Some(worker.revision),
        secret: None,
    }
}

fn with_token(answer: Answer, token: String) -> Answer {
    Answer {
        secret: (!token.is_empty()).then(|| Secret::new(token)),
        ..answer
    }
}

/// Creates a test.
pub async fn create_test(node: Connection, id: &str, definition: TestDefinition) -> Answered {
    let request = CreateTestRequest {
        definition: Some(definition),
        request_id: id.to_owned(),
        ..Default::default()
    };
    let answer = TestsClient::new(node).create_test(within(request)).await?;
    Ok(test(answer.into_inner().test, None))
}

/// Creates or updates a test.
pub async fn apply_test(node: Connection, id: &str, definition: TestDefinition) -> Answered {
    let request = ApplyTestRequest {
        definition: Some(definition),
        request_id: id.to_owned(),
        ..Default::default()
    };
    let answer = TestsClient::new(node)
        .apply_test(within(request))
        .await?
        .into_inner();
    Ok(test(answer.test, Some(answer.created)))
}

/// Deletes a test.
pub async fn delete_test(node: Connection, id: &str, name: &str) -> Answered {
    let request = DeleteTestRequest {
        id: name.to_owned(),
        request_id: id.to_owned(),
        ..Default::default()
    };
    TestsClient::new(node).delete_test(within(request)).await?;
    Ok(Answer::default())
}

/// Reads a test.
pub async fn get_test(node: Connection, name: &str) -> Answered {
    let request = GetTestRequest {
        id: name.to_owned(),
        consistency: LINEARIZABLE,
        ..Default::default()
    };
    let answer = TestsClient::new(node).get_test(within(request)).await?;
    Ok(test(answer.into_inner().test, None))
}

/// Starts a run.
pub async fn start_run(node: Connection, id: &str, name: &str) -> Answered {
    let request = StartRunRequest {
        test: name.to_owned(),
        request_id: id.to_owned(),
        ..Default::default()
    };
    let answer = RunsClient::new(node).start_run(within(request)).await?;
    Ok(run(answer.into_inner().run))
}

/// Stops a run.
pub async fn stop_run(node: Connection, id: &str, of: &str) -> Answered {
    let request = StopRunRequest {
        id: of.to_owned(),
        request_id: id.to_owned(),
    };
    let answer = RunsClient::new(node).stop_run(within(request)).await?;
    Ok(run(answer.into_inner().run))
}

/// Reads a run.
pub async fn get_run(node: Connection, of: &str) -> Answered {
    let request = GetRunRequest {
        id: of.to_owned(),
        consistency: LINEARIZABLE,
    };
    let answer = RunsClient::new(node).get_run(within(request)).await?;
    Ok(run(answer.into_inner().run))
}

/// Reads a list: its revision is that of the whole state.
pub async fn list(node: Connection) -> Answered {
    let request = ListRunsRequest {
        page_size: 1,
        consistency: LINEARIZABLE,
        ..Default::default()
    };
    let answer = RunsClient::new(node).list_runs(within(request)).await?;
    Ok(Answer {
        revision: Some(answer.into_inner().revision),
        ..Answer::default()
    })
}

/// Creates a worker that nobody starts.
pub async fn create_worker(node: Connection, id: &str, name: &str) -> Answered {
    let request = CreateWorkerRequest {
        name: name.to_owned(),
        kind: WorkerKind::UserOwned.into(),
        request_id: id.to_owned(),
        ..Default::default()
    };
    let answer = WorkersClient::new(node)
        .create_worker(within(request))
        .await?
        .into_inner();
    Ok(with_token(worker(answer.worker), answer.token))
}

/// Gives a worker another token.
pub async fn regenerate_token(node: Connection, id: &str, name: &str) -> Answered {
    let request = RegenerateTokenRequest {
        id: name.to_owned(),
        request_id: id.to_owned(),
        ..Default::default()
    };
    let answer = WorkersClient::new(node)
        .regenerate_token(within(request))
        .await?
        .into_inner();
    Ok(with_token(worker(answer.worker), answer.token))
}

/// Drains a worker, which takes work again afterwards.
pub async fn drain_worker(node: Connection, id: &str, name: &str, value: u64) -> Answered {
    let request = DrainWorkerRequest {
        id: name.to_owned(),
        reason: format!("{REASON}{value}"),
        force: true,
        then: AfterDrain::Resume.into(),
        request_id: id.to_owned(),
        ..Default::default()
    };
    let answer = WorkersClient::new(node).drain_worker(within(request)).await?;
    Ok(worker(answer.into_inner().worker))
}

/// Takes a drain back.
pub async fn undrain_worker(node: Connection, id: &str, name: &str) -> Answered {
    let request = UndrainWorkerRequest {
        id: name.to_owned(),
        request_id: id.to_owned(),
    };
    let answer = WorkersClient::new(node).undrain_worker(within(request)).await?;
    Ok(worker(answer.into_inner().worker))
}

/// Reads a worker.
pub async fn get_worker(node: Connection, name: &str) -> Answered {
    let request = GetWorkerRequest {
        id: name.to_owned(),
        consistency: LINEARIZABLE,
    };
    let answer = WorkersClient::new(node).get_worker(within(request)).await?;
    Ok(worker(answer.into_inner().worker))
}
