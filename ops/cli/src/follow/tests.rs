//! Following a run over real connections to scripted nodes that break in various ways.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use reeve_proto::bearer::Bearer;
use reeve_proto::v1::cluster_server::{Cluster as ClusterService, ClusterServer};
use reeve_proto::v1::runs_server::{Runs, RunsServer};
use reeve_proto::v1::watch_server::{Watch, WatchServer};
use reeve_proto::v1::*;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::Response;
use tonic::transport::Server;

use super::*;
use crate::error::EXIT_TIMED_OUT;

/// What a scripted node does.
#[derive(Clone, Default)]
struct Script {
    /// Its answer to a read.
    read: Option<Run>,
    /// What its watch sends.
    watch: Vec<Run>,
    /// How the watch ends: with this error, or never.
    breaks: Option<tonic::Code>,
    /// Another node that it knows of.
    member: Option<String>,
}

type Answer<T> = Result<Response<T>, Status>;

fn unused<T>() -> Answer<T> {
    Err(Status::unimplemented("not part of the script"))
}

#[tonic::async_trait]
impl Runs for Script {
    async fn start_run(&self, _: Request<StartRunRequest>) -> Answer<StartRunResponse> {
        unused()
    }

    async fn get_run(&self, _: Request<GetRunRequest>) -> Answer<GetRunResponse> {
        match &self.read {
            Some(run) => Ok(Response::new(GetRunResponse {
                run: Some(run.clone()),
            })),
            None => Err(Status::not_found("no such run")),
        }
    }

    async fn list_runs(&self, _: Request<ListRunsRequest>) -> Answer<ListRunsResponse> {
        unused()
    }

    async fn stop_run(&self, _: Request<StopRunRequest>) -> Answer<StopRunResponse> {
        unused()
    }

    async fn list_run_endpoints(
        &self,
        _: Request<ListRunEndpointsRequest>,
    ) -> Answer<ListRunEndpointsResponse> {
        unused()
    }

    async fn explain_run(&self, _: Request<ExplainRunRequest>) -> Answer<ExplainRunResponse> {
        unused()
    }

    async fn plan_run(&self, _: Request<PlanRunRequest>) -> Answer<PlanRunResponse> {
        unused()
    }

    async fn compare_runs(&self, _: Request<CompareRunsRequest>) -> Answer<CompareRunsResponse> {
        unused()
    }

    async fn get_run_metrics(&self, _: Request<GetRunMetricsRequest>) -> Answer<GetRunMetricsResponse> {
        unused()
    }

    async fn get_run_series(&self, _: Request<GetRunSeriesRequest>) -> Answer<GetRunSeriesResponse> {
        unused()
    }

    async fn get_endpoint_evidence(
        &self,
        _: Request<GetEndpointEvidenceRequest>,
    ) -> Answer<GetEndpointEvidenceResponse> {
        unused()
    }

    type GetRunTraceStream = ReceiverStream<Result<RunTracePart, Status>>;

    async fn get_run_trace(
        &self,
        _: Request<GetRunTraceRequest>,
    ) -> Result<Response<Self::GetRunTraceStream>, Status> {
        unused()
    }

    type WatchRunMetricsStream = ReceiverStream<Result<RunSample, Status>>;

    async fn watch_run_metrics(
        &self,
        _: Request<WatchRunMetricsRequest>,
    ) -> Answer<Self::WatchRunMetricsStream> {
        unused()
    }

    async fn list_run_workers(&self, _: Request<ListRunWorkersRequest>) -> Answer<ListRunWorkersResponse> {
        unused()
    }
}

#[tonic::async_trait]
impl Watch for Script {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        let (sender, receiver) = mpsc::channel(16);
        let script = self.clone();
        tokio::spawn(async move {
            for run in script.watch {
                let revision = run.revision;
                let event = Event::Put(Resource {
                    resource: Some(Kind::Run(run)),
                });
                let _ = sender
                    .send(Ok(WatchResponse {
                        revision,
                        event: Some(event),
                        change: revision,
                    }))
                    .await;
            }
            match script.breaks {
                Some(code) => drop(sender.send(Err(Status::new(code, "scripted"))).await),
                None => sender.closed().await,
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

#[tonic::async_trait]
impl ClusterService for Script {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Answer<GetStatusResponse> {
        let members = self.member.iter().map(|address| Member {
            grpc_addr: address.clone(),
            ..Default::default()
        });
        Ok(Response::new(GetStatusResponse {
            members: members.collect(),
            ..Default::default()
        }))
    }

    async fn add_member(&self, _: Request<AddMemberRequest>) -> Answer<AddMemberResponse> {
        unused()
    }

    async fn remove_member(&self, _: Request<RemoveMemberRequest>) -> Answer<RemoveMemberResponse> {
        unused()
    }

    async fn transfer_leader(&self, _: Request<TransferLeaderRequest>) -> Answer<TransferLeaderResponse> {
        unused()
    }
}

async fn node(script: Script) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let script = Arc::new(script);
    tokio::spawn(
        Server::builder()
            .add_service(RunsServer::from_arc(script.clone()))
            .add_service(WatchServer::from_arc(script.clone()))
            .add_service(ClusterServer::from_arc(script))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    address
}

fn run(status: RunStatus, revision: u64) -> Run {
    Run {
        id: "r".into(),
        status: status.into(),
        revision,
        ..Default::default()
    }
}

/// Follows run `r`: how it ended, the revisions that were seen, and how often a node was lost.
async fn followed(addresses: &[String], limit: Duration) -> (Result<Run, CliError>, Vec<u64>, usize) {
    let cluster = Cluster::connect_to(addresses, Bearer::NONE, Duration::from_secs(5)).unwrap();
    let (mut revisions, mut lost) = (Vec::new(), 0);
    let result = follow(&cluster, "r", Some(limit), |seen| {
        match seen {
            Seen::Run(run) => revisions.push(run.revision),
            Seen::Lost(..) => lost += 1,
        }
        Ok(())
    })
    .await;
    (result, revisions, lost)
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn the_end_is_seen_at_another_node_when_the_first_one_breaks() {
    let second = node(Script {
        read: Some(run(RunStatus::Running, 9)),
        watch: vec![run(RunStatus::Completed, 12)],
        ..Default::default()
    })
    .await;
    // The user named only the first node; the second one is known from it.
    let first = node(Script {
        read: Some(run(RunStatus::Running, 5)),
        watch: vec![run(RunStatus::Running, 7)],
        breaks: Some(tonic::Code::Unavailable),
        member: Some(second),
    })
    .await;
    let (result, revisions, lost) = followed(&[first], LONG).await;
    assert_eq!(result.unwrap().status(), RunStatus::Completed);
    assert_eq!((revisions, lost), (vec![5, 7, 9, 12], 1));
}

#[tokio::test]
async fn a_run_that_ended_before_we_looked_is_seen() {
    let address = node(Script {
        read: Some(run(RunStatus::Failed, 4)),
        ..Default::default()
    })
    .await;
    let (result, revisions, _) = followed(&[address], LONG).await;
    assert_eq!(
        (result.unwrap().status(), revisions),
        (RunStatus::Failed, vec![4])
    );
}

// D28: of two states of an object the one with the lower revision is dropped.
#[tokio::test]
async fn what_is_older_than_what_is_known_is_dropped() {
    let watch = vec![
        run(RunStatus::Queued, 3),
        run(RunStatus::Running, 8),
        run(RunStatus::Completed, 11),
    ];
    let address = node(Script {
        read: Some(run(RunStatus::Running, 8)),
        watch,
        ..Default::default()
    })
    .await;
    let (result, revisions, _) = followed(&[address], LONG).await;
    assert_eq!((result.unwrap().revision, revisions), (11, vec![8, 11]));
}

#[tokio::test]
async fn waiting_ends_at_its_limit_with_its_own_exit_code() {
    let address = node(Script {
        read: Some(run(RunStatus::Running, 8)),
        ..Default::default()
    })
    .await;
    let (result, _, _) = followed(&[address], Duration::from_millis(300)).await;
    assert_eq!(result.unwrap_err().exit_code(), EXIT_TIMED_OUT);
}

#[tokio::test]
async fn an_unknown_run_is_an_error_at_once() {
    let address = node(Script::default()).await;
    let (result, _, lost) = followed(&[address], LONG).await;
    assert!(matches!(result, Err(CliError::Status(status)) if status.code() == tonic::Code::NotFound));
    assert_eq!(lost, 0);
}
