//! The generated trait of `Projects`, method by method.

use reeve_proto::v1;
use reeve_state::record::Access;
use tonic::{Request, Response, Status, async_trait};

use super::{Grpc, answer};

#[async_trait]
impl v1::projects_server::Projects for Grpc {
    async fn create_project(
        &self,
        request: Request<v1::CreateProjectRequest>,
    ) -> Result<Response<v1::CreateProjectResponse>, Status> {
        let (request, call) = self.open(request, Access::Administer).await?;
        answer(self.0.create_project(request, &call).await)
    }

    async fn get_project(
        &self,
        request: Request<v1::GetProjectRequest>,
    ) -> Result<Response<v1::GetProjectResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.get_project(request, &call).await)
    }

    async fn list_projects(
        &self,
        request: Request<v1::ListProjectsRequest>,
    ) -> Result<Response<v1::ListProjectsResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_projects(request, &call).await)
    }

    async fn update_project(
        &self,
        request: Request<v1::UpdateProjectRequest>,
    ) -> Result<Response<v1::UpdateProjectResponse>, Status> {
        let (request, call) = self.open(request, Access::Administer).await?;
        answer(self.0.update_project(request, &call).await)
    }

    async fn delete_project(
        &self,
        request: Request<v1::DeleteProjectRequest>,
    ) -> Result<Response<v1::DeleteProjectResponse>, Status> {
        let (request, call) = self.open(request, Access::Administer).await?;
        answer(self.0.delete_project(request, &call).await)
    }

    async fn adjust_credits(
        &self,
        request: Request<v1::AdjustCreditsRequest>,
    ) -> Result<Response<v1::AdjustCreditsResponse>, Status> {
        let (request, call) = self.open(request, Access::Administer).await?;
        answer(self.0.adjust_credits(request, &call).await)
    }
}
