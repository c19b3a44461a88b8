//! The service `Runs`.

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{Command, ObjectKind, StartRun, StopRun};
use reeve_state::id::{RunId, TestId};
use reeve_state::record::{ObjectRef, Run};

use super::page::PageRequest;
use super::read::{find_run, find_test, parse_id};
use super::scope::Scope;
use super::write::{Asked, Written};
use super::{Api, Call};
use crate::convert::{enums, run, time};
use crate::error::ApiError;

impl Api {
    /// Starts a new run.
    pub async fn start_run(
        &self,
        mut request: v1::StartRunRequest,
        call: &Call,
    ) -> Result<v1::StartRunResponse, ApiError> {
        let asked = Asked::new("StartRun", std::mem::take(&mut request.request_id), &request)?;
        let scope = call.caller.scope(&request.project)?;
        let test = self.test_id(&request.test, call, &scope, &asked).await?;
        let id = RunId::from_bytes(uuid::Uuid::now_v7().into_bytes());
        let written = self
            .write(call, asked, Command::StartRun(StartRun { run: id, test }))
            .await?;
        Ok(v1::StartRunResponse {
            run: Some(written_run(&written)?),
        })
    }

    /// One run.
    pub async fn get_run(
        &self,
        request: v1::GetRunRequest,
        call: &Call,
    ) -> Result<v1::GetRunResponse, ApiError> {
        let state = self.read(request.consistency, call).await?;
        let row = find_run(&state, call, &request.id)?;
        Ok(v1::GetRunResponse {
            run: Some(run::run(&state, row)),
        })
    }

    /// Runs, newest first.
    pub async fn list_runs(
        &self,
        request: v1::ListRunsRequest,
        call: &Call,
    ) -> Result<v1::ListRunsResponse, ApiError> {
        let status = enums::run_status_filter(request.status)?;
        let scope = call.caller.scope(&request.project)?;
        let list = format!(
            "runs status={} test={} project={}",
            request.status, request.test, request.project
        );
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let before = page.after(|key| key.try_into().ok().map(RunId::from_bytes))?;
        let state = self.read(request.consistency, call).await?;
        let test = test_filter(&state, &scope, &request.test)?;
        let rows = state
            .runs_before(before)
            .filter(|row| scope.shows(&row.project))
            .filter(|row| status.is_none_or(|status| row.life.status() == status))
            .filter(|row| test.is_none_or(|test| row.test == test));
        let (rows, next_page_token) = page.take(rows, |row| row.id.as_bytes().to_vec());
        Ok(v1::ListRunsResponse {
            runs: rows.into_iter().map(|row| run::run(&state, row)).collect(),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// Ends a run early.
    pub async fn stop_run(
        &self,
        mut request: v1::StopRunRequest,
        call: &Call,
    ) -> Result<v1::StopRunResponse, ApiError> {
        let asked = Asked::new("StopRun", std::mem::take(&mut request.request_id), &request)?;
        let grace = time::millis(self.context().config.stop_grace);
        let command = Command::StopRun(StopRun {
            run: parse_id("id", &request.id)?,
            grace,
        });
        let written = self.write(call, asked, command).await?;
        Ok(v1::StopRunResponse {
            run: Some(written_run(&written)?),
        })
    }

    /// The endpoints of a run, by assignment.
    pub async fn list_run_endpoints(
        &self,
        request: v1::ListRunEndpointsRequest,
        call: &Call,
    ) -> Result<v1::ListRunEndpointsResponse, ApiError> {
        let list = format!("endpoints run={}", request.run_id);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let after = page.after(decode_position)?;
        let state = self.read(request.consistency, call).await?;
        parse_id::<RunId>("run_id", &request.run_id)?;
        let row = find_run(&state, call, &request.run_id)?;
        let (rows, next_page_token) = page.take(endpoints_after(&state, row, after), |(position, _)| {
            encode_position(*position)
        });
        Ok(v1::ListRunEndpointsResponse {
            endpoints: rows.into_iter().map(|(_, endpoint)| endpoint).collect(),
            next_page_token,
            revision: run::revision(&state, row).0,
        })
    }
}

/// Ordinal of the assignment, and offset within it.
type Position = (u32, u32);

fn encode_position((ordinal, offset): Position) -> Vec<u8> {
    [ordinal.to_be_bytes(), offset.to_be_bytes()].concat()
}

fn decode_position(key: &[u8]) -> Option<Position> {
    let (ordinal, offset) = key.split_at_checked(4)?;
    Some((
        u32::from_be_bytes(ordinal.try_into().ok()?),
        u32::from_be_bytes(offset.try_into().ok()?),
    ))
}

fn endpoints_after<'a>(
    state: &'a State,
    row: &'a Run,
    after: Option<Position>,
) -> impl Iterator<Item = (Position, v1::Endpoint)> + 'a {
    let (from_ordinal, next_offset) =
        after.map_or((0, 0), |(ordinal, offset)| (ordinal, offset.saturating_add(1)));
    state
        .assignments(row.id)
        .filter(move |assignment| assignment.started && assignment.key.ordinal >= from_ordinal)
        .flat_map(move |assignment| {
            let ordinal = assignment.key.ordinal;
            let first = if ordinal == from_ordinal { next_offset } else { 0 };
            (first..assignment.count).filter_map(move |offset| {
                let endpoint = state.endpoint(assignment, offset)?;
                Some((
                    (ordinal, offset),
                    run::endpoint(row, assignment, offset, endpoint),
                ))
            })
        })
}

/// A test's runs stay when it is deleted, so that an id need not exist any more; a name has to.
fn test_filter(state: &State, scope: &Scope, text: &str) -> Result<Option<TestId>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => Ok(Some(find_test(state, scope, text)?.id)),
    }
}

fn written_run(written: &Written) -> Result<v1::Run, ApiError> {
    let ObjectRef::Run(id) = written.object else {
        return Err(ApiError::Internal(
            "a run was written and another kind of object was answered",
        ));
    };
    let gone = || ApiError::NotFound {
        kind: ObjectKind::Run,
        id: id.to_string(),
    };
    let row = written.state.run(id).ok_or_else(gone)?;
    Ok(run::run(&written.state, row))
}
