//! The generated trait of `Sip`, method by method.

use reeve_proto::v1;
use reeve_state::record::Access;
use tonic::{Request, Response, Status, async_trait};

use super::{Grpc, answer};

#[async_trait]
impl v1::sip_server::Sip for Grpc {
    async fn apply_registrar(
        &self,
        request: Request<v1::ApplyRegistrarRequest>,
    ) -> Result<Response<v1::ApplyRegistrarResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.apply_registrar(request, &call).await)
    }

    async fn get_registrar(
        &self,
        request: Request<v1::GetRegistrarRequest>,
    ) -> Result<Response<v1::GetRegistrarResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.get_registrar(request, &call).await)
    }

    async fn list_registrars(
        &self,
        request: Request<v1::ListRegistrarsRequest>,
    ) -> Result<Response<v1::ListRegistrarsResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_registrars(request, &call).await)
    }

    async fn delete_registrar(
        &self,
        request: Request<v1::DeleteRegistrarRequest>,
    ) -> Result<Response<v1::DeleteRegistrarResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.delete_registrar(request, &call).await)
    }

    async fn apply_accounts(
        &self,
        request: Request<v1::ApplyAccountsRequest>,
    ) -> Result<Response<v1::ApplyAccountsResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.apply_accounts(request, &call).await)
    }

    async fn list_accounts(
        &self,
        request: Request<v1::ListAccountsRequest>,
    ) -> Result<Response<v1::ListAccountsResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_accounts(request, &call).await)
    }

    async fn list_account_pools(
        &self,
        request: Request<v1::ListAccountPoolsRequest>,
    ) -> Result<Response<v1::ListAccountPoolsResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_account_pools(request, &call).await)
    }

    async fn delete_accounts(
        &self,
        request: Request<v1::DeleteAccountsRequest>,
    ) -> Result<Response<v1::DeleteAccountsResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.delete_accounts(request, &call).await)
    }

    async fn put_media(
        &self,
        request: Request<v1::PutMediaRequest>,
    ) -> Result<Response<v1::PutMediaResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.put_media(request, &call).await)
    }

    async fn list_media(
        &self,
        request: Request<v1::ListMediaRequest>,
    ) -> Result<Response<v1::ListMediaResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_media(request, &call).await)
    }

    async fn delete_media(
        &self,
        request: Request<v1::DeleteMediaRequest>,
    ) -> Result<Response<v1::DeleteMediaResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.delete_media(request, &call).await)
    }
}
