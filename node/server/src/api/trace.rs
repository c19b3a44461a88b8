//! SIP traces of runs (R154, R172, R178).

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::Stream;
use reeve_proto::v1;
use reeve_state::State;
use reeve_state::id::RunId;
use reeve_state::record::{EvidenceKind, Executor, Group, Manifest, Run};
use serde::Deserialize;

use super::evidence::{of_group, wire_gap};
use super::read::find_run;
use super::{Api, Call};
use crate::error::ApiError;
use crate::evidence::{Gap, Selection, Source, gaps, read_row, selected, timestamp};

/// A part is sent when its messages have so many bytes; what follows is at most one message more.
const PART_BYTES: usize = 512 * 1024;
/// Or so many rows.
const PART_ROWS: usize = 2_000;
/// How long a chunk waits for its turn among all that is read on this node.
const TURN: Duration = Duration::from_secs(10);

impl Api {
    /// The trace of a run, of a group or of one endpoint, chunk by chunk. What came late is there and says so (D14).
    ///
    /// # Errors
    /// There is no such run, group or endpoint, or it has no traces because it is simulated.
    pub async fn get_run_trace(
        &self,
        request: v1::GetRunTraceRequest,
        call: Call,
    ) -> Result<impl Stream<Item = Result<v1::RunTracePart, ApiError>> + Send + use<>, ApiError> {
        let state = self.read(request.consistency, &call).await?;
        let run = find_run(&state, &call, &request.id)?;
        let ordinals = ordinals(&state, run, &request)?;
        let selection = Selection {
            kind: EvidenceKind::Trace,
            ordinals: ordinals.clone(),
        };
        // No ordinals mean all of them there, and none here.
        let chunks = if ordinals.is_empty() {
            Vec::new()
        } else {
            selected(&state, run.id, &selection)
        };
        let missing = gaps(&state, run.id).into_iter();
        let reader = Reader {
            api: self.clone(),
            call,
            gaps: missing.filter(|gap| ordinals.contains(&gap.ordinal)).collect(),
            run: run.id,
            state,
            endpoint: request.endpoint,
            chunks: chunks.into(),
            parts: VecDeque::new(),
            ended: false,
        };
        Ok(futures::stream::unfold(reader, |mut reader| async move {
            let item = reader.next().await?;
            Some((item, reader))
        }))
    }
}

/// Assignments that started and have what is asked for.
pub(crate) fn ordinals(
    state: &State,
    run: &Run,
    request: &v1::GetRunTraceRequest,
) -> Result<Vec<u32>, ApiError> {
    let groups = &run.definition.groups;
    let wanted: Vec<&str> = match (request.group.as_str(), request.endpoint) {
        ("", Some(_)) => return Err(ApiError::invalid("group", "is required with endpoint")),
        ("", None) => groups
            .iter()
            .filter(|group| is_sip(group))
            .map(|group| group.name.as_str())
            .collect(),
        (group, _) => vec![group],
    };
    if wanted.is_empty() {
        return Err(ApiError::invalid(
            "id",
            "the run has no traces: none of its groups has executor sip",
        ));
    }
    let mut ordinals = Vec::new();
    for name in wanted {
        let started = of_group(state, run, name)?;
        let Some(group) = groups.iter().find(|group| group.name == name) else {
            continue;
        };
        if !is_sip(group) {
            return Err(ApiError::invalid(
                "group",
                format!(
                    "{name:?} has no traces: its endpoints are simulated, only those with executor sip have any"
                ),
            ));
        }
        if let Some(endpoint) = request.endpoint.filter(|endpoint| *endpoint >= group.endpoints) {
            return Err(ApiError::invalid(
                "endpoint",
                format!(
                    "must be less than {}, the endpoints of {name:?}, is {endpoint}",
                    group.endpoints
                ),
            ));
        }
        let holds = |first: u32, count: u32| {
            request
                .endpoint
                .is_none_or(|endpoint| (first..first + count).contains(&endpoint))
        };
        ordinals.extend(
            started
                .iter()
                .filter(|assignment| holds(assignment.first, assignment.count))
                .map(|assignment| assignment.key.ordinal),
        );
    }
    Ok(ordinals)
}

fn is_sip(group: &Group) -> bool {
    match &group.executor {
        Executor::Sim(_) => false,
        Executor::Sip(_) => true,
    }
}

/// Reads one chunk after another as they are asked for.
struct Reader {
    api: Api,
    call: Call,
    state: Arc<State>,
    run: RunId,
    endpoint: Option<u32>,
    chunks: VecDeque<Arc<Manifest>>,
    parts: VecDeque<v1::RunTracePart>,
    gaps: Vec<Gap>,
    ended: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<v1::RunTracePart, ApiError>> {
        loop {
            if let Some(part) = self.parts.pop_front() {
                return Some(Ok(part));
            }
            if self.ended {
                return None;
            }
            let Some(chunk) = self.chunks.pop_front() else {
                self.ended = true;
                return Some(Ok(self.last()));
            };
            if let Err(error) = self.read(&chunk).await {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    async fn read(&mut self, chunk: &Manifest) -> Result<(), ApiError> {
        let context = &self.api.context;
        self.api.still_admitted(&context.store.local(), &self.call)?;
        let turn = tokio::time::timeout(TURN, context.evidence.reads().acquire()).await;
        let _turn = turn.ok().and_then(Result::ok).ok_or(ApiError::EvidenceBusy)?;
        let (endpoint, late) = (self.endpoint, chunk.late);
        let source = Source(context.clone());
        let take = move |parts: &mut Parts, line: &[u8]| {
            let row: TraceRow<'_> = read_row(line)?;
            if endpoint.is_none_or(|endpoint| endpoint == row.endpoint) {
                parts.add(row, late)?;
            }
            Ok(())
        };
        let (parts, gap) = source.fold_chunk(chunk, Parts::default(), take).await;
        self.gaps.extend(gap);
        self.parts.extend(parts.all());
        Ok(())
    }

    fn last(&self) -> v1::RunTracePart {
        let run = self.state.run(self.run);
        let gap = |gap: &Gap| run.map(|run| wire_gap(&self.state, run, gap));
        v1::RunTracePart {
            gaps: self.gaps.iter().filter_map(gap).collect(),
            ..Default::default()
        }
    }
}

/// Rows of a chunk, in pieces that fit into a message.
#[derive(Default)]
struct Parts {
    full: Vec<v1::RunTracePart>,
    part: v1::RunTracePart,
    bytes: usize,
}

impl Parts {
    fn add(&mut self, row: TraceRow<'_>, late: bool) -> Result<(), String> {
        match row.raw.clone() {
            Some(raw) => {
                let message = row.message(&raw, late)?;
                self.bytes += message.raw.len();
                self.part.messages.push(message);
            }
            None => self.part.endings.push(row.ending(late)),
        }
        if self.bytes >= PART_BYTES || self.part.messages.len() + self.part.endings.len() >= PART_ROWS {
            self.bytes = 0;
            self.full.push(std::mem::take(&mut self.part));
        }
        Ok(())
    }

    fn all(mut self) -> Vec<v1::RunTracePart> {
        if self.part != v1::RunTracePart::default() {
            self.full.push(self.part);
        }
        self.full
    }
}

/// A line of a chunk: a message, which has `raw`, or the end of an endpoint.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct TraceRow<'a> {
    at: i64,
    #[serde(borrow)]
    group: Cow<'a, str>,
    endpoint: u32,
    seq: u32,
    us: u64,
    wall_ns: i64,
    #[serde(borrow)]
    way: Cow<'a, str>,
    #[serde(borrow)]
    local: Cow<'a, str>,
    #[serde(borrow)]
    remote: Cow<'a, str>,
    #[serde(borrow)]
    transport: Cow<'a, str>,
    repeats: Option<u32>,
    truncated: bool,
    redacted: bool,
    #[serde(borrow)]
    raw: Option<Cow<'a, str>>,
    #[serde(borrow)]
    detail: Cow<'a, str>,
    code: Option<u32>,
    dropped: u32,
}

impl TraceRow<'_> {
    fn message(self, raw: &str, late: bool) -> Result<v1::TraceMessage, String> {
        let raw = BASE64_STANDARD
            .decode(raw)
            .map_err(|error| format!("a row cannot be read: raw: {error}"))?;
        Ok(v1::TraceMessage {
            group: self.group.into_owned(),
            endpoint: self.endpoint,
            at: Some(timestamp(self.at)),
            seq: self.seq,
            since_us: self.us,
            wall_ns: self.wall_ns,
            sent: self.way == "sent",
            local: self.local.into_owned(),
            remote: self.remote.into_owned(),
            transport: self.transport.into_owned(),
            repeats: self.repeats,
            truncated: self.truncated,
            redacted: self.redacted,
            raw,
            late,
        })
    }

    fn ending(self, late: bool) -> v1::TraceEnding {
        v1::TraceEnding {
            group: self.group.into_owned(),
            endpoint: self.endpoint,
            at: Some(timestamp(self.at)),
            detail: self.detail.into_owned(),
            code: self.code,
            dropped: self.dropped,
            late,
        }
    }
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
