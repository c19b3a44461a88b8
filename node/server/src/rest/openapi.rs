//! The description of the REST API at `/openapi.json`: what the handlers say of themselves, and what holds for all of them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use reeve_proto::json::ErrorJson;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Required, Response, ResponseBuilder};

/// Name of the security scheme.
const KEY: &str = "key";

/// What any call may answer instead (google.rpc.Code as HTTP).
const ERRORS: [(&str, &str); 10] = [
    (
        "400",
        "INVALID_ARGUMENT, FAILED_PRECONDITION or OUT_OF_RANGE: the reason and the fields are in the body.",
    ),
    ("401", "UNAUTHENTICATED: no key, or one that is not in force."),
    ("403", "PERMISSION_DENIED: the key's role does not allow it."),
    ("404", "NOT_FOUND: there is no such object."),
    (
        "409",
        "ALREADY_EXISTS or ABORTED: the name is taken, or the object changed meanwhile.",
    ),
    ("413", "RESOURCE_EXHAUSTED: the body is too large."),
    ("429", "RESOURCE_EXHAUSTED: try again later."),
    ("500", "INTERNAL: a fault of the node."),
    (
        "503",
        "UNAVAILABLE: nothing was changed; try again, or another node.",
    ),
    (
        "504",
        "DEADLINE_EXCEEDED: it may yet happen; repeat it under the same request id.",
    ),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Reeve",
        description = "A highly available scheduler for fleets of workers. Every path but those of operations is also served under \
                       /api/v1. Every write may carry a request id, in the header X-Request-Id or as requestId in the body: \
                       repeating it under the same id changes nothing.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ErrorJson)),
    security(("key" = [])),
    tags(
        (name = "tests", description = "Definitions of tests."),
        (name = "runs", description = "Executions of tests."),
        (name = "workers", description = "The registry of workers."),
        (name = "ping workers", description = "What workers without a session call."),
        (name = "keys", description = "Keys of callers."),
        (name = "probes", description = "Tests on a schedule, with thresholds and a health."),
        (name = "events", description = "Changes as they happen."),
        (name = "projects", description = "Whose tests and runs are, and what their plans allow."),
        (name = "webhooks", description = "Where events of a project are posted to."),
        (name = "sip", description = "Registrars, accounts and media files of SIP endpoints."),
        (name = "operations", description = "For those who run a node."),
    )
)]
struct Whole;

/// Adds what holds for every call, and writes it down once.
pub(super) fn complete(paths: utoipa::openapi::OpenApi) -> Arc<Bytes> {
    let mut api = Whole::openapi();
    api.merge(paths);
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("cmk_ and 32 hex digits")
        .build();
    if let Some(components) = &mut api.components {
        components.add_security_scheme(KEY, SecurityScheme::Http(scheme));
    }
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            // No body at all is an empty object; only a definition cannot be empty.
            if let Some(RefOr::T(body)) = operation.request_body.as_mut().filter(|_| path != "/tests") {
                body.required = Some(Required::False);
            }
            add_errors(operation);
        }
    }
    let text = api.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the description of the API cannot be written");
        String::new()
    });
    Arc::new(Bytes::from(text))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let methods = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ];
    methods
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// `get_workers_uuid_events`: unique, as the pair of method and path is.
fn operation_id(method: &str, path: &str) -> String {
    let words = path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

fn add_errors(operation: &mut Operation) {
    for (status, description) in ERRORS {
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| error(description));
    }
}

fn error(description: &str) -> RefOr<Response> {
    let content = Content::new(Some(Ref::from_schema_name("ErrorJson")));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
        .build()
        .into()
}

/// The description.
pub(super) async fn serve(description: Arc<Bytes>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], Bytes::clone(&description))
}
