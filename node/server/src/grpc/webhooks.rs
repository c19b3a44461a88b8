//! The service `Webhooks`, method by method.

use reeve_proto::v1;
use reeve_state::record::Access;
use tonic::{Request, Response, Status, async_trait};

use super::{Grpc, answer};

#[async_trait]
impl v1::webhooks_server::Webhooks for Grpc {
    async fn create_webhook(
        &self,
        request: Request<v1::CreateWebhookRequest>,
    ) -> Result<Response<v1::CreateWebhookResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.create_webhook(request, &call).await)
    }

    async fn update_webhook(
        &self,
        request: Request<v1::UpdateWebhookRequest>,
    ) -> Result<Response<v1::UpdateWebhookResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.update_webhook(request, &call).await)
    }

    async fn get_webhook(
        &self,
        request: Request<v1::GetWebhookRequest>,
    ) -> Result<Response<v1::GetWebhookResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.get_webhook(request, &call).await)
    }

    async fn list_webhooks(
        &self,
        request: Request<v1::ListWebhooksRequest>,
    ) -> Result<Response<v1::ListWebhooksResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_webhooks(request, &call).await)
    }

    async fn delete_webhook(
        &self,
        request: Request<v1::DeleteWebhookRequest>,
    ) -> Result<Response<v1::DeleteWebhookResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.delete_webhook(request, &call).await)
    }

    async fn rotate_webhook_secret(
        &self,
        request: Request<v1::RotateWebhookSecretRequest>,
    ) -> Result<Response<v1::RotateWebhookSecretResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.rotate_webhook_secret(request, &call).await)
    }

    async fn pause_webhook(
        &self,
        request: Request<v1::PauseWebhookRequest>,
    ) -> Result<Response<v1::PauseWebhookResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.pause_webhook(request, &call).await)
    }

    async fn resume_webhook(
        &self,
        request: Request<v1::ResumeWebhookRequest>,
    ) -> Result<Response<v1::ResumeWebhookResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.resume_webhook(request, &call).await)
    }

    async fn list_deliveries(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        let (request, call) = self.open(request, Access::Read).await?;
        answer(self.0.list_deliveries(request, &call).await)
    }

    async fn replay_delivery(
        &self,
        request: Request<v1::ReplayDeliveryRequest>,
    ) -> Result<Response<v1::ReplayDeliveryResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.replay_delivery(request, &call).await)
    }

    async fn test_webhook(
        &self,
        request: Request<v1::TestWebhookRequest>,
    ) -> Result<Response<v1::TestWebhookResponse>, Status> {
        let (request, call) = self.open(request, Access::Operate).await?;
        answer(self.0.test_webhook(request, &call).await)
    }
}
