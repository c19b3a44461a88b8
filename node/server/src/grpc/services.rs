//! The generated traits, method by method.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use reeve_proto::v1;
use reeve_state::record::Access;
use tonic::{Request, Response, Status, async_trait};

use super::{Grpc, answer, header, timeout};

#[async_trait]
impl v1::tests_server::Tests for Grpc {
    async fn apply_test(
        &self,
        request: Request<v1::ApplyTestRequest>,
    ) -> Result<Response<v1::ApplyTestResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.apply_test(request, &call).await)
    }

    async fn create_test(
        &self,
        request: Request<v1::CreateTestRequest>,
    ) -> Result<Response<v1::CreateTestResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.create_test(request, &call).await)
    }

    async fn get_test(
        &self,
        request: Request<v1::GetTestRequest>,
    ) -> Result<Response<v1::GetTestResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.get_test(request, &call).await)
    }

    async fn list_tests(
        &self,
        request: Request<v1::ListTestsRequest>,
    ) -> Result<Response<v1::ListTestsResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_tests(request, &call).await)
    }

    async fn delete_test(
        &self,
        request: Request<v1::DeleteTestRequest>,
    ) -> Result<Response<v1::DeleteTestResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.delete_test(request, &call).await)
    }
}

#[async_trait]
impl v1::runs_server::Runs for Grpc {
    async fn start_run(
        &self,
        request: Request<v1::StartRunRequest>,
    ) -> Result<Response<v1::StartRunResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.start_run(request, &call).await)
    }

    async fn get_run(
        &self,
        request: Request<v1::GetRunRequest>,
    ) -> Result<Response<v1::GetRunResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.get_run(request, &call).await)
    }

    async fn list_runs(
        &self,
        request: Request<v1::ListRunsRequest>,
    ) -> Result<Response<v1::ListRunsResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_runs(request, &call).await)
    }

    async fn stop_run(
        &self,
        request: Request<v1::StopRunRequest>,
    ) -> Result<Response<v1::StopRunResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.stop_run(request, &call).await)
    }

    async fn list_run_endpoints(
        &self,
        request: Request<v1::ListRunEndpointsRequest>,
    ) -> Result<Response<v1::ListRunEndpointsResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_run_endpoints(request, &call).await)
    }

    async fn get_run_metrics(
        &self,
        request: Request<v1::GetRunMetricsRequest>,
    ) -> Result<Response<v1::GetRunMetricsResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.get_run_metrics(request, &call).await)
    }

    async fn get_run_series(
        &self,
        request: Request<v1::GetRunSeriesRequest>,
    ) -> Result<Response<v1::GetRunSeriesResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.get_run_series(request, &call).await)
    }

    async fn get_endpoint_evidence(
        &self,
        request: Request<v1::GetEndpointEvidenceRequest>,
    ) -> Result<Response<v1::GetEndpointEvidenceResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.get_endpoint_evidence(request, &call).await)
    }

    type GetRunTraceStream = Pin<Box<dyn Stream<Item = Result<v1::RunTracePart, Status>> + Send>>;

    async fn get_run_trace(
        &self,
        request: Request<v1::GetRunTraceRequest>,
    ) -> Result<Response<Self::GetRunTraceStream>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        let parts = self.0.get_run_trace(request, call).await?;
        answer(Ok(Box::pin(parts.map(|item| item.map_err(Status::from)))))
    }

    type WatchRunMetricsStream = Pin<Box<dyn Stream<Item = Result<v1::RunSample, Status>> + Send>>;

    async fn watch_run_metrics(
        &self,
        request: Request<v1::WatchRunMetricsRequest>,
    ) -> Result<Response<Self::WatchRunMetricsStream>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        let samples = self.0.watch_run_metrics(request, call).await?;
        answer(Ok(Box::pin(samples.map(|item| item.map_err(Status::from)))))
    }

    async fn list_run_workers(
        &self,
        request: Request<v1::ListRunWorkersRequest>,
    ) -> Result<Response<v1::ListRunWorkersResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_run_workers(request, &call).await)
    }

    async fn explain_run(
        &self,
        request: Request<v1::ExplainRunRequest>,
    ) -> Result<Response<v1::ExplainRunResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.explain_run(request, &call).await)
    }

    async fn plan_run(
        &self,
        request: Request<v1::PlanRunRequest>,
    ) -> Result<Response<v1::PlanRunResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.plan_run(request, &call).await)
    }

    async fn compare_runs(
        &self,
        request: Request<v1::CompareRunsRequest>,
    ) -> Result<Response<v1::CompareRunsResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.compare_runs(request, &call).await)
    }
}

#[async_trait]
impl v1::workers_server::Workers for Grpc {
    async fn create_worker(
        &self,
        request: Request<v1::CreateWorkerRequest>,
    ) -> Result<Response<v1::CreateWorkerResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.create_worker(request, &call).await)
    }

    async fn get_worker(
        &self,
        request: Request<v1::GetWorkerRequest>,
    ) -> Result<Response<v1::GetWorkerResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.get_worker(request, &call).await)
    }

    async fn list_workers(
        &self,
        request: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_workers(request, &call).await)
    }

    async fn list_worker_events(
        &self,
        request: Request<v1::ListWorkerEventsRequest>,
    ) -> Result<Response<v1::ListWorkerEventsResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_worker_events(request, &call).await)
    }

    async fn drain_worker(
        &self,
        request: Request<v1::DrainWorkerRequest>,
    ) -> Result<Response<v1::DrainWorkerResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.drain_worker(request, &call).await)
    }

    async fn undrain_worker(
        &self,
        request: Request<v1::UndrainWorkerRequest>,
    ) -> Result<Response<v1::UndrainWorkerResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.undrain_worker(request, &call).await)
    }

    async fn regenerate_token(
        &self,
        request: Request<v1::RegenerateTokenRequest>,
    ) -> Result<Response<v1::RegenerateTokenResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.regenerate_token(request, &call).await)
    }

    async fn delete_worker(
        &self,
        request: Request<v1::DeleteWorkerRequest>,
    ) -> Result<Response<v1::DeleteWorkerResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.delete_worker(request, &call).await)
    }

    async fn cleanup_workers(
        &self,
        request: Request<v1::CleanupWorkersRequest>,
    ) -> Result<Response<v1::CleanupWorkersResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.cleanup_workers(request, &call).await)
    }

    async fn register_worker(
        &self,
        request: Request<v1::RegisterWorkerRequest>,
    ) -> Result<Response<v1::RegisterWorkerResponse>, Status> {
        let (request, call) = self.open(request, Access::Ping).await?;
        answer(self.0.register_worker(request, &call).await)
    }

    async fn ping_worker(
        &self,
        request: Request<v1::PingWorkerRequest>,
    ) -> Result<Response<v1::PingWorkerResponse>, Status> {
        let (request, call) = self.open(request, Access::Ping).await?;
        answer(self.0.ping_worker(request, &call).await)
    }

    async fn unregister_worker(
        &self,
        request: Request<v1::UnregisterWorkerRequest>,
    ) -> Result<Response<v1::UnregisterWorkerResponse>, Status> {
        let (request, call) = self.open(request, Access::Ping).await?;
        answer(self.0.unregister_worker(request, &call).await)
    }
}

#[async_trait]
impl v1::keys_server::Keys for Grpc {
    async fn bootstrap_key(
        &self,
        request: Request<v1::BootstrapKeyRequest>,
    ) -> Result<Response<v1::BootstrapKeyResponse>, Status> {
        let timeout = timeout(&request);
        answer(self.0.bootstrap_key(request.into_inner(), timeout).await)
    }

    async fn create_key(
        &self,
        request: Request<v1::CreateKeyRequest>,
    ) -> Result<Response<v1::CreateKeyResponse>, Status> {
        let (request, call) = self.open(request, Access::Administer).await?;
        answer(self.0.create_key(request, &call).await)
    }

    async fn list_keys(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        let (request, call) = self.open(request, Access::Administer).await?;
        answer(self.0.list_keys(request, &call).await)
    }

    async fn revoke_key(
        &self,
        request: Request<v1::RevokeKeyRequest>,
    ) -> Result<Response<v1::RevokeKeyResponse>, Status> {
        let (request, call) = self.open(request, Access::Administer).await?;
        answer(self.0.revoke_key(request, &call).await)
    }

    async fn who_am_i(
        &self,
        request: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::WhoAmIResponse>, Status> {
        let (timeout, authorization) = (timeout(&request), header(&request, "authorization"));
        let call = self.0.identify(authorization, timeout).await?;
        answer(self.0.who_am_i(&call))
    }
}

#[async_trait]
impl v1::cluster_server::Cluster for Grpc {
    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let request = if self.0.has_no_keys() {
            request.into_inner()
        } else {
            self.open(request, Access::Read).await?.0
        };
        answer(Ok(self.0.cluster_status(request).await))
    }

    async fn add_member(
        &self,
        request: Request<v1::AddMemberRequest>,
    ) -> Result<Response<v1::AddMemberResponse>, Status> {
        let (request, call) = self.open(request, Access::Administer).await?;
        answer(self.0.add_member(request, &call).await)
    }

    async fn remove_member(
        &self,
        request: Request<v1::RemoveMemberRequest>,
    ) -> Result<Response<v1::RemoveMemberResponse>, Status> {
        let (request, call) = self.open(request, Access::Administer).await?;
        answer(self.0.remove_member(request, &call).await)
    }

    async fn transfer_leader(
        &self,
        request: Request<v1::TransferLeaderRequest>,
    ) -> Result<Response<v1::TransferLeaderResponse>, Status> {
        let (request, call) = self.open(request, Access::Administer).await?;
        answer(self.0.transfer_leader(request, &call).await)
    }
}

#[async_trait]
impl v1::watch_server::Watch for Grpc {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        let stream = self
            .0
            .watch(request, call)
            .await?
            .map(|item| item.map_err(Status::from));
        answer(Ok(Box::pin(stream)))
    }
}
