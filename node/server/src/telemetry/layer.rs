//! A span and two metrics around every call, whatever its handler.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http;
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, histogram};
use tonic::Code;
use tower::{Layer, Service};
use tracing::Instrument;

use super::{API_REQUESTS, API_SECONDS};
use crate::error::{AnsweredCode, code_name};

/// What a call to something that does not exist is counted as, so that callers cannot make up labels.
const UNKNOWN: &str = "unknown";

fn record(service: String, method: String, code: Code, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    tracing::debug!(code = code_name(code), seconds, "answered");
    histogram!(API_SECONDS, "service" => service.clone(), "method" => method.clone()).record(seconds);
    counter!(API_REQUESTS, "service" => service, "method" => method, "code" => code_name(code)).increment(1);
}

/// Puts every gRPC call into a span and counts it.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcTelemetryLayer;

impl<S> Layer<S> for GrpcTelemetryLayer {
    type Service = GrpcTelemetry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcTelemetry { inner }
    }
}

/// See [`GrpcTelemetryLayer`].
#[derive(Clone, Debug)]
pub struct GrpcTelemetry<S> {
    inner: S,
}

impl<S, In, Out> Service<http::Request<In>> for GrpcTelemetry<S>
where
    S: Service<http::Request<In>, Response = http::Response<Out>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<In>) -> Self::Future {
        let since = Instant::now();
        let (service, method) = split(request.uri().path());
        let span = tracing::info_span!("grpc", service, method);
        let answer = self.inner.call(request);
        let counted = async move {
            let answer = answer.await?;
            // A refusal is in the headers; what a stream ends with comes later and is not waited for.
            let code = answer
                .headers()
                .get("grpc-status")
                .map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()));
            if code == Code::Unimplemented {
                record(UNKNOWN.to_owned(), UNKNOWN.to_owned(), code, since);
            } else {
                record(service, method, code, since);
            }
            Ok(answer)
        };
        Box::pin(counted.instrument(span))
    }
}

/// `/reeve.v1.Tests/GetTest` is `reeve.v1.Tests` and `GetTest`.
fn split(path: &str) -> (String, String) {
    match path.trim_start_matches('/').split_once('/') {
        Some((service, method)) => (service.to_owned(), method.to_owned()),
        None => (UNKNOWN.to_owned(), UNKNOWN.to_owned()),
    }
}

/// Puts every REST call into a span and counts it under the route that it matched.
pub async fn rest(request: Request, next: Next) -> Response {
    let since = Instant::now();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or(UNKNOWN, MatchedPath::as_str)
        .to_owned();
    let verb = match request.method().as_str() {
        verb @ ("GET" | "POST" | "DELETE" | "PUT" | "PATCH" | "HEAD" | "OPTIONS") => verb.to_owned(),
        _ => UNKNOWN.to_owned(),
    };
    let method = format!("{verb} {route}");
    let span = tracing::info_span!("rest", method);
    async move {
        let answer = next.run(request).await;
        let code = answer
            .extensions()
            .get::<AnsweredCode>()
            .map_or(Code::Ok, |answered| answered.0);
        record("rest".to_owned(), method, code, since);
        answer
    }
    .instrument(span)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_into_service_and_method() {
        assert_eq!(
            split("/reeve.v1.Tests/GetTest"),
            ("reeve.v1.Tests".to_owned(), "GetTest".to_owned())
        );
        assert_eq!(split("/nonsense"), (UNKNOWN.to_owned(), UNKNOWN.to_owned()));
    }
}
