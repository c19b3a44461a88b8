//! REST: the same handlers, JSON in camelCase, at the root and under `/api/v1`; described at `/openapi.json`.

mod events;
mod evidence;
mod extract;
mod keys;
mod openapi;
mod ops;
mod plan;
mod probes;
mod projects;
mod runs;
mod sip;
mod tests;
mod webhooks;
mod workers;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Api;
use crate::error::ApiError;
use crate::telemetry;

/// All paths of a node's HTTP address.
pub fn router(api: Api) -> Router {
    let (resources, resources_described) = resources().split_for_parts();
    let (operations, mut description) = operations().split_for_parts();
    description.merge(resources_described);
    let description = openapi::complete(description);
    Router::new()
        .merge(resources.clone())
        .nest("/api/v1", resources)
        .merge(operations)
        .route(
            "/openapi.json",
            get(move || openapi::serve(std::sync::Arc::clone(&description))),
        )
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(extract::MAX_BODY))
        .layer(axum::middleware::from_fn(telemetry::rest))
        .with_state(api)
}

fn operations() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(ops::metrics))
        .routes(routes!(ops::healthz))
        .routes(routes!(ops::readyz))
}

fn resources() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(tests::list, tests::create))
        .routes(routes!(tests::get, tests::delete))
        .routes(routes!(runs::start))
        .routes(routes!(runs::list))
        .routes(routes!(runs::get))
        .routes(routes!(runs::timeline))
        .routes(routes!(runs::assignments))
        .routes(routes!(runs::endpoints))
        .routes(routes!(plan::explain))
        .routes(routes!(plan::plan))
        .routes(routes!(plan::compare))
        .routes(routes!(runs::stop))
        .routes(routes!(evidence::metrics))
        .routes(routes!(evidence::trace))
        .routes(routes!(evidence::workers))
        .routes(routes!(workers::list, workers::create))
        .routes(routes!(workers::online))
        .routes(routes!(workers::get, workers::change::delete))
        .routes(routes!(workers::function_blocks))
        .routes(routes!(workers::events))
        .routes(routes!(workers::change::drain))
        .routes(routes!(workers::change::undrain))
        .routes(routes!(workers::change::token))
        .routes(routes!(workers::change::cleanup))
        .routes(routes!(workers::change::cleanup_offline))
        .routes(routes!(workers::ping::register))
        .routes(routes!(workers::ping::ping))
        .routes(routes!(workers::ping::unregister))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::bootstrap))
        .routes(routes!(keys::who_am_i))
        .routes(routes!(keys::revoke))
        .routes(routes!(probes::list, probes::create))
        .routes(routes!(probes::get, probes::update, probes::delete))
        .routes(routes!(probes::pause))
        .routes(routes!(probes::resume))
        .routes(routes!(probes::slots))
        .routes(routes!(events::events))
        .routes(routes!(projects::list, projects::create))
        .routes(routes!(projects::get, projects::update, projects::delete))
        .routes(routes!(projects::credits))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(
            webhooks::get,
            webhooks::change::update,
            webhooks::change::delete
        ))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::change::rotate_secret))
        .routes(routes!(webhooks::change::pause))
        .routes(routes!(webhooks::change::resume))
        .routes(routes!(webhooks::change::replay))
        .routes(routes!(webhooks::change::test))
        .routes(routes!(sip::list_registrars, sip::apply_registrar))
        .routes(routes!(sip::get_registrar, sip::delete_registrar))
        .routes(routes!(sip::list_pools))
        .routes(routes!(
            sip::list_accounts,
            sip::apply_accounts,
            sip::delete_accounts
        ))
        .routes(routes!(sip::list_media))
        .routes(routes!(sip::put_media, sip::delete_media))
}

async fn no_such_path(request: Request) -> ApiError {
    ApiError::NoSuchPath(request.uri().path().to_owned())
}

async fn method_not_allowed(request: Request) -> ApiError {
    ApiError::MethodNotAllowed {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
    }
}
