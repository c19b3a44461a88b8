//! The gRPC services: the handlers behind the generated traits.

pub mod health;
mod probes;
mod projects;
mod services;
mod sip;
mod webhooks;

use std::time::Duration;

use tonic::service::Routes;
use tonic::{Request, Response, Status};

use reeve_proto::v1;

use reeve_state::record::Access;

use crate::api::{Api, Call, call};
use crate::error::ApiError;

/// All public services of a node, with reflection; health and the workers' gateway are added by the composition.
///
/// # Errors
/// Descriptors that cannot be read, which is a fault of the build.
pub fn routes(api: &Api) -> Result<Routes, tonic_reflection::server::Error> {
    let grpc = Grpc(api.clone());
    let v1_reflection = reflection().build_v1()?;
    let v1alpha_reflection = reflection().build_v1alpha()?;
    Ok(Routes::new(v1::tests_server::TestsServer::new(grpc.clone()))
        .add_service(v1::runs_server::RunsServer::new(grpc.clone()))
        .add_service(v1::workers_server::WorkersServer::new(grpc.clone()))
        .add_service(v1::keys_server::KeysServer::new(grpc.clone()))
        .add_service(v1::projects_server::ProjectsServer::new(grpc.clone()))
        .add_service(v1::webhooks_server::WebhooksServer::new(grpc.clone()))
        .add_service(v1::sip_server::SipServer::new(grpc.clone()))
        .add_service(v1::cluster_server::ClusterServer::new(grpc.clone()))
        .add_service(v1::probes_server::ProbesServer::new(grpc.clone()))
        .add_service(v1::watch_server::WatchServer::new(grpc))
        .add_service(v1_reflection)
        .add_service(v1alpha_reflection))
}

/// With the descriptors of the error details, without which clients print them as bytes.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(reeve_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// The handlers as gRPC services.
#[derive(Clone)]
struct Grpc(Api);

impl Grpc {
    /// The message, and the call of a caller who may do what needs `access`.
    async fn open<T>(&self, request: Request<T>, access: Access) -> Result<(T, Call), Status> {
        let (timeout, authorization) = (timeout(&request), header(&request, "authorization"));
        let call = self.0.admit(authorization, access, timeout).await?;
        Ok((request.into_inner(), call))
    }
}

/// How long the caller waits.
fn timeout<T>(request: &Request<T>) -> Option<Duration> {
    header(request, "grpc-timeout").and_then(call::parse_grpc_timeout)
}

fn header<'a, T>(request: &'a Request<T>, name: &'static str) -> Option<&'a str> {
    request.metadata().get(name).and_then(|value| value.to_str().ok())
}

fn answer<T>(result: Result<T, ApiError>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Status::from)
}
