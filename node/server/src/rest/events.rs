//! `/events`: changes as server-sent events.
//!
//! `id:` is the revision up to which the stream is complete. It stands on the last event of a change only, so that a client that
//! reconnects with it, here or at another node, misses nothing; it may get a change once more.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use reeve_proto::json::{BookmarkJson, ResetJson};
use reeve_proto::names::Named;
use reeve_proto::v1;
use reeve_state::id::Revision;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::extract::{Query, Reader, consistency};
use crate::api::watch::{Item, OnReset, Said, Wish, kind_name};
use crate::api::{Api, Call};
use crate::error::ApiError;

/// Between comments on a stream that has nothing to say, so that nobody on the way takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells proxies of a common make not to collect events before they pass them on.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Which changes. Every part that is given must fit.
#[derive(Deserialize, Default, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// run, worker, test, …; several with commas between them.
    kind: Option<String>,
    /// Only this run, by id.
    #[serde(default)]
    #[param(required = false)]
    run: String,
    /// Only this worker and the runs with endpoints on it; id or name.
    #[serde(default)]
    #[param(required = false)]
    worker: String,
    /// Only this test and its runs; id or name.
    #[serde(default)]
    #[param(required = false)]
    test: String,
    /// Only what belongs to this project.
    #[serde(default)]
    #[param(required = false)]
    project: String,
    /// Only runs, workers and probes that have this status after the change; several with commas between them.
    status: Option<String>,
    /// After this revision; left out: from now on. The header Last-Event-ID goes before it.
    #[serde(default)]
    #[param(required = false)]
    from: u64,
    /// First the objects as they are, unless a revision is named; after a reset too.
    #[serde(default)]
    #[param(required = false)]
    initial: bool,
    /// How fresh the first objects are: linearizable, the default, or local.
    consistency: Option<String>,
}

/// Changes as they are committed, until the caller leaves.
#[utoipa::path(get, path = "/events", tag = "events", params(EventsQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last id that was received: the stream goes on after it.")),
    responses((status = 200, description = "Events named run, worker, test, project, probe, webhook, registrar, account_pool, media_file (the object as JSON), deleted, bookmark, reset (list again), \
        and end (an error, before the node ends the stream).", body = String, content_type = "text/event-stream")))]
pub async fn events(
    State(api): State<Api>,
    Reader(call): Reader,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<impl IntoResponse, ApiError> {
    let from = Revision(last_event_id(&headers)?.unwrap_or(query.from));
    let items = items(&api, call, from, query).await?;
    let events = items.scan(from, |told, item| {
        let event = item.map_or_else(|error| end(&error), |item| event(item, told));
        futures::future::ready(Some(Ok::<_, Infallible>(event)))
    });
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([UNBUFFERED, (header::CACHE_CONTROL, "no-store")], stream))
}

async fn items(
    api: &Api,
    call: Call,
    from: Revision,
    query: EventsQuery,
) -> Result<impl Stream<Item = Result<Item, ApiError>> + Send + use<>, ApiError> {
    let request = v1::WatchRequest {
        kinds: kinds(query.kind.as_deref())?,
        run: query.run,
        worker: query.worker,
        test: query.test,
        project: query.project,
        statuses: listed(query.status.as_deref()).map(str::to_owned).collect(),
        consistency: consistency(query.consistency.as_deref())?,
        ..v1::WatchRequest::default()
    };
    let wish = Wish {
        after: (from.0 > 0).then_some(from),
        initial: query.initial,
        request,
        on_reset: OnReset::GoOn,
    };
    api.watch_items(wish, call).await
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some)
        .ok_or_else(|| ApiError::invalid("Last-Event-ID", "must be an id of this stream: a revision"))
}

fn listed(text: Option<&str>) -> impl Iterator<Item = &str> {
    let words = text.unwrap_or_default().split(',').map(str::trim);
    words.filter(|word| !word.is_empty())
}

fn kinds(text: Option<&str>) -> Result<Vec<i32>, ApiError> {
    listed(text)
        .map(|name| {
            v1::ResourceKind::from_name(name).map(i32::from).ok_or_else(|| {
                let rule = format!("{name:?} is not one of {}", v1::ResourceKind::expected());
                ApiError::invalid("kind", rule)
            })
        })
        .collect()
}

/// `told`: the last id on this stream.
fn event(item: Item, told: &mut Revision) -> Event {
    let complete = item.complete;
    let (event, tell) = match &item.said {
        Said::Event { event, last } => {
            let name = match &event.put {
                Some(_) => kind_name(event.tags.kind),
                None => "deleted".to_owned(),
            };
            (Event::default().event(name).data(event.json()), *last)
        }
        Said::Bookmark => (named("bookmark", &BookmarkJson { revision: complete.0 }), true),
        Said::Reset(reason) => (named("reset", &ResetJson::new(*reason, complete.0)), true),
    };
    if !tell || complete <= *told {
        return event;
    }
    *told = complete;
    event.id(complete.to_string())
}

/// Why the node ends the stream: the same as the answer of a call.
fn end(error: &ApiError) -> Event {
    named("end", &error.to_json())
}

fn named(name: &str, document: &impl Serialize) -> Event {
    Event::default()
        .event(name)
        .data(serde_json::to_string(document).unwrap_or_default())
}
