//! The service `Probes`, method by method.

use reeve_proto::v1;
use reeve_state::record::Access;
use tonic::{Request, Response, Status, async_trait};

use super::{Grpc, answer};

#[async_trait]
impl v1::probes_server::Probes for Grpc {
    async fn create_probe(
        &self,
        request: Request<v1::CreateProbeRequest>,
    ) -> Result<Response<v1::CreateProbeResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.create_probe(request, &call).await)
    }

    async fn apply_probe(
        &self,
        request: Request<v1::ApplyProbeRequest>,
    ) -> Result<Response<v1::ApplyProbeResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.apply_probe(request, &call).await)
    }

    async fn update_probe(
        &self,
        request: Request<v1::UpdateProbeRequest>,
    ) -> Result<Response<v1::UpdateProbeResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.update_probe(request, &call).await)
    }

    async fn get_probe(
        &self,
        request: Request<v1::GetProbeRequest>,
    ) -> Result<Response<v1::GetProbeResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.get_probe(request, &call).await)
    }

    async fn list_probes(
        &self,
        request: Request<v1::ListProbesRequest>,
    ) -> Result<Response<v1::ListProbesResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_probes(request, &call).await)
    }

    async fn delete_probe(
        &self,
        request: Request<v1::DeleteProbeRequest>,
    ) -> Result<Response<v1::DeleteProbeResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.delete_probe(request, &call).await)
    }

    async fn pause_probe(
        &self,
        request: Request<v1::PauseProbeRequest>,
    ) -> Result<Response<v1::PauseProbeResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.pause_probe(request, &call).await)
    }

    async fn resume_probe(
        &self,
        request: Request<v1::ResumeProbeRequest>,
    ) -> Result<Response<v1::ResumeProbeResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.resume_probe(request, &call).await)
    }

    async fn list_probe_slots(
        &self,
        request: Request<v1::ListProbeSlotsRequest>,
    ) -> Result<Response<v1::ListProbeSlotsResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_probe_slots(request, &call).await)
    }
}
