//! The service `Probes`.

use std::sync::Arc;

use reeve_plan::probes::diagnose;
use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{Command, DeleteProbe, ObjectKind, PauseProbe, ProbeMode, PutProbe};
use reeve_state::id::ProbeId;
use reeve_state::record::{ObjectRef, Probe};
use reeve_state::time::Time;

use super::page::PageRequest;
use super::scope::Scope;
use super::write::{Asked, Written};
use super::{Api, Call};
use crate::convert::probe;
use crate::error::ApiError;

impl Api {
    /// A new probe.
    pub async fn create_probe(
        &self,
        mut request: v1::CreateProbeRequest,
        call: &Call,
    ) -> Result<v1::CreateProbeResponse, ApiError> {
        let asked = Asked::new("CreateProbe", std::mem::take(&mut request.request_id), &request)?;
        let scope = call.caller.scope(&request.project)?;
        let definition = request.definition.unwrap_or_default();
        let written = self
            .put_probe(call, asked, &scope, definition, ProbeMode::Create, None)
            .await?;
        Ok(v1::CreateProbeResponse {
            probe: Some(written_probe(&written)?),
        })
    }

    /// Creates a probe, or updates the one of its name.
    pub async fn apply_probe(
        &self,
        mut request: v1::ApplyProbeRequest,
        call: &Call,
    ) -> Result<v1::ApplyProbeResponse, ApiError> {
        let asked = Asked::new("ApplyProbe", std::mem::take(&mut request.request_id), &request)?;
        let scope = call.caller.scope(&request.project)?;
        let definition = request.definition.unwrap_or_default();
        let mode = ProbeMode::CreateOrUpdate;
        let written = self
            .put_probe(call, asked, &scope, definition, mode, None)
            .await?;
        Ok(v1::ApplyProbeResponse {
            probe: Some(written_probe(&written)?),
            created: written.created,
        })
    }

    /// Replaces what a user said of a probe.
    pub async fn update_probe(
        &self,
        mut request: v1::UpdateProbeRequest,
        call: &Call,
    ) -> Result<v1::UpdateProbeResponse, ApiError> {
        let asked = Asked::new("UpdateProbe", std::mem::take(&mut request.request_id), &request)?;
        let scope = call.caller.scope(&request.project)?;
        let state = self.read_latest(call).await?;
        let row = find_probe(&state, &scope, &request.id)?;
        // It stays of its project, whoever changes it, and its test is of that one.
        let scope = call.caller.scope(row.project.as_str())?;
        let definition = request.definition.unwrap_or_default();
        let mode = ProbeMode::Update;
        let written = self
            .put_probe(call, asked, &scope, definition, mode, Some(row.id))
            .await?;
        Ok(v1::UpdateProbeResponse {
            probe: Some(written_probe(&written)?),
        })
    }

    async fn put_probe(
        &self,
        call: &Call,
        asked: Asked,
        scope: &Scope,
        wire: v1::ProbeDefinition,
        mode: ProbeMode,
        id: Option<ProbeId>,
    ) -> Result<Written, ApiError> {
        if wire.test.is_empty() {
            return Err(ApiError::invalid("test", "is required"));
        }
        let test = self.test_id(&wire.test, call, scope, &asked).await?;
        let definition = Arc::new(probe::decode(&wire, test)?);
        let command = Command::PutProbe(PutProbe {
            id: id.unwrap_or_else(new_id),
            project: scope.project.clone(),
            definition,
            mode,
        });
        self.write(call, asked, command).await
    }

    /// One probe, with what its last executions have in common.
    pub async fn get_probe(
        &self,
        request: v1::GetProbeRequest,
        call: &Call,
    ) -> Result<v1::GetProbeResponse, ApiError> {
        let scope = call.caller.scope(&request.project)?;
        let state = self.read(request.consistency, call).await?;
        let row = find_probe(&state, &scope, &request.id)?;
        let pattern = diagnose(state.probe_slots(row.id).rev().map(AsRef::as_ref));
        Ok(v1::GetProbeResponse {
            probe: Some(probe::probe(&state, row)),
            diagnosis: pattern.map_or_else(String::new, |pattern| pattern.advice().to_owned()),
        })
    }

    /// Probes, oldest first.
    pub async fn list_probes(
        &self,
        request: v1::ListProbesRequest,
        call: &Call,
    ) -> Result<v1::ListProbesResponse, ApiError> {
        let status = probe::status_filter(request.status)?;
        let scope = call.caller.scope(&request.project)?;
        let list = format!("probes status={} project={}", request.status, request.project);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let after = page.after(|key| key.try_into().ok().map(ProbeId::from_bytes))?;
        let state = self.read(request.consistency, call).await?;
        let rows = state
            .probes()
            .skip_while(|row| after.is_some_and(|after| row.id <= after))
            .filter(|row| scope.shows(&row.project))
            .filter(|row| status.is_none_or(|status| row.health.status() == status));
        let (rows, next_page_token) = page.take(rows, |row| row.id.as_bytes().to_vec());
        Ok(v1::ListProbesResponse {
            probes: rows.into_iter().map(|row| probe::probe(&state, row)).collect(),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// Deletes a probe.
    pub async fn delete_probe(
        &self,
        mut request: v1::DeleteProbeRequest,
        call: &Call,
    ) -> Result<v1::DeleteProbeResponse, ApiError> {
        let asked = Asked::new("DeleteProbe", std::mem::take(&mut request.request_id), &request)?;
        let scope = call.caller.scope(&request.project)?;
        let probe = self.probe_id(&request.id, call, &scope, &asked).await?;
        self.write(call, asked, Command::DeleteProbe(DeleteProbe { probe }))
            .await?;
        Ok(v1::DeleteProbeResponse {})
    }

    /// Lets no slot of a probe fire.
    pub async fn pause_probe(
        &self,
        mut request: v1::PauseProbeRequest,
        call: &Call,
    ) -> Result<v1::PauseProbeResponse, ApiError> {
        let asked = Asked::new("PauseProbe", std::mem::take(&mut request.request_id), &request)?;
        let scope = call.caller.scope(&request.project)?;
        let written = self.set_paused(call, asked, &scope, &request.id, true).await?;
        Ok(v1::PauseProbeResponse {
            probe: Some(written_probe(&written)?),
        })
    }

    /// Lets the slots of a probe fire again.
    pub async fn resume_probe(
        &self,
        mut request: v1::ResumeProbeRequest,
        call: &Call,
    ) -> Result<v1::ResumeProbeResponse, ApiError> {
        let asked = Asked::new("ResumeProbe", std::mem::take(&mut request.request_id), &request)?;
        let scope = call.caller.scope(&request.project)?;
        let written = self.set_paused(call, asked, &scope, &request.id, false).await?;
        Ok(v1::ResumeProbeResponse {
            probe: Some(written_probe(&written)?),
        })
    }

    async fn set_paused(
        &self,
        call: &Call,
        asked: Asked,
        scope: &Scope,
        id: &str,
        paused: bool,
    ) -> Result<Written, ApiError> {
        let probe = self.probe_id(id, call, scope, &asked).await?;
        self.write(call, asked, Command::PauseProbe(PauseProbe { probe, paused }))
            .await
    }

    /// The last slots of a probe, newest first.
    pub async fn list_probe_slots(
        &self,
        request: v1::ListProbeSlotsRequest,
        call: &Call,
    ) -> Result<v1::ListProbeSlotsResponse, ApiError> {
        let list = format!("slots probe={} project={}", request.id, request.project);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let before = page.after(|key| key.try_into().ok().map(|bytes| Time(u64::from_be_bytes(bytes))))?;
        let scope = call.caller.scope(&request.project)?;
        let state = self.read(request.consistency, call).await?;
        let row = find_probe(&state, &scope, &request.id)?;
        let rows = state
            .probe_slots(row.id)
            .rev()
            .filter(|slot| before.is_none_or(|before| slot.key.slot < before));
        let (rows, next_page_token) = page.take(rows, |slot| slot.key.slot.0.to_be_bytes().to_vec());
        Ok(v1::ListProbeSlotsResponse {
            slots: rows.into_iter().map(|slot| probe::slot(slot)).collect(),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// The id behind an id or a name. An id is taken as it is: whether it exists for the caller is decided in the log.
    async fn probe_id(
        &self,
        text: &str,
        call: &Call,
        scope: &Scope,
        asked: &Asked,
    ) -> Result<ProbeId, ApiError> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let state = self.read_latest(call).await?;
        match find_probe(&state, scope, text) {
            Ok(row) => Ok(row.id),
            // Answered before, and the probe is gone since: the log knows the answer without the probe.
            Err(_) if state.request(&asked.key(call)).is_some() => Ok(ProbeId::from_bytes([0; 16])),
            Err(error) => Err(error),
        }
    }
}

fn new_id() -> ProbeId {
    ProbeId::from_bytes(uuid::Uuid::now_v7().into_bytes())
}

/// The probe of this id or name, where the call looks.
fn find_probe<'a>(state: &'a State, scope: &Scope, id: &str) -> Result<&'a Arc<Probe>, ApiError> {
    if id.is_empty() {
        return Err(ApiError::invalid("id", "is required"));
    }
    let by_id = id.parse().ok().and_then(|id| state.probe(id));
    by_id
        .or_else(|| state.probe_named(&scope.project, id))
        .filter(|row| scope.shows(&row.project))
        .ok_or_else(|| ApiError::NotFound {
            kind: ObjectKind::Probe,
            id: id.to_owned(),
        })
}

fn written_probe(written: &Written) -> Result<v1::Probe, ApiError> {
    let ObjectRef::Probe(id) = written.object else {
        return Err(ApiError::Internal(
            "a probe was written and another kind of object was answered",
        ));
    };
    // A repeated request may be about a probe that was deleted since.
    let gone = || ApiError::NotFound {
        kind: ObjectKind::Probe,
        id: id.to_string(),
    };
    let row = written.state.probe(id).ok_or_else(gone)?;
    Ok(probe::probe(&written.state, row))
}
