//! Registrars.

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{Command, DeleteRegistrar, ObjectKind, PutRegistrar};
use reeve_state::id::ScopedName;

use super::super::page::PageRequest;
use super::super::write::Asked;
use super::super::{Api, Call};
use super::{after, not_found, page_key};
use crate::convert::sip;
use crate::error::ApiError;

impl Api {
    /// Creates a registrar, or replaces the one of this name.
    pub async fn apply_registrar(
        &self,
        mut request: v1::ApplyRegistrarRequest,
        call: &Call,
    ) -> Result<v1::ApplyRegistrarResponse, ApiError> {
        let asked = Asked::new(
            "ApplyRegistrar",
            std::mem::take(&mut request.request_id),
            &request,
        )?;
        let set = |text: String| (!text.is_empty()).then_some(text);
        let port = match u16::try_from(request.port) {
            Ok(0) => None,
            Ok(port) => Some(port),
            Err(_) => return Err(ApiError::invalid("port", "must be between 1 and 65535")),
        };
        let key = ScopedName::new(&call.caller.scope(&request.project)?.project, &request.name);
        let command = Command::PutRegistrar(PutRegistrar {
            key: key.clone(),
            transport: sip::transport_from(request.transport)?,
            domain: request.domain,
            host: set(request.host),
            port,
            outbound_proxy: set(request.outbound_proxy),
        });
        let written = self.write(call, asked, command).await?;
        Ok(v1::ApplyRegistrarResponse {
            registrar: Some(find(&written.state, &key)?),
            created: written.created,
        })
    }

    /// One registrar.
    pub async fn get_registrar(
        &self,
        request: v1::GetRegistrarRequest,
        call: &Call,
    ) -> Result<v1::GetRegistrarResponse, ApiError> {
        let key = ScopedName::new(&call.caller.scope(&request.project)?.project, &request.name);
        let state = self.read(request.consistency, call).await?;
        Ok(v1::GetRegistrarResponse {
            registrar: Some(find(&state, &key)?),
        })
    }

    /// Registrars by project and name.
    pub async fn list_registrars(
        &self,
        request: v1::ListRegistrarsRequest,
        call: &Call,
    ) -> Result<v1::ListRegistrarsResponse, ApiError> {
        let scope = call.caller.scope(&request.project)?;
        let list = format!("registrars project={}", request.project);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let after = after(&page)?;
        let state = self.read(request.consistency, call).await?;
        scope.must_exist(&state)?;
        let rows = state
            .registrars()
            .skip_while(|row| after.as_ref().is_some_and(|after| row.key <= *after))
            .filter(|row| scope.shows(&row.key.project));
        let (rows, next_page_token) = page.take(rows, |row| page_key(&row.key));
        Ok(v1::ListRegistrarsResponse {
            registrars: rows.into_iter().map(|row| sip::registrar(row)).collect(),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// Deletes a registrar that no active run uses.
    pub async fn delete_registrar(
        &self,
        mut request: v1::DeleteRegistrarRequest,
        call: &Call,
    ) -> Result<v1::DeleteRegistrarResponse, ApiError> {
        let asked = Asked::new(
            "DeleteRegistrar",
            std::mem::take(&mut request.request_id),
            &request,
        )?;
        let key = ScopedName::new(&call.caller.scope(&request.project)?.project, &request.name);
        self.write(call, asked, Command::DeleteRegistrar(DeleteRegistrar { key }))
            .await?;
        Ok(v1::DeleteRegistrarResponse {})
    }
}

fn find(state: &State, key: &ScopedName) -> Result<v1::Registrar, ApiError> {
    let row = state.registrar(key);
    row.map(|row| sip::registrar(row))
        .ok_or_else(|| not_found(ObjectKind::Registrar, &key.name))
}
