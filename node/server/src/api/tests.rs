//! The service `Tests`.

use std::sync::Arc;

use reeve_proto::v1;
use reeve_state::command::{ApplyMode, ApplyTest, Command, DeleteTest, ObjectKind};
use reeve_state::id::{ProjectName, TestId};
use reeve_state::record::ObjectRef;

use super::page::PageRequest;
use super::read::find_test;
use super::scope::Scope;
use super::write::{Asked, Written};
use super::{Api, Call};
use crate::convert::{definition, test};
use crate::error::ApiError;

impl Api {
    /// Creates a test, or updates the one of its name.
    pub async fn apply_test(
        &self,
        mut request: v1::ApplyTestRequest,
        call: &Call,
    ) -> Result<v1::ApplyTestResponse, ApiError> {
        let asked = Asked::new("ApplyTest", std::mem::take(&mut request.request_id), &request)?;
        let project = call.caller.scope(&request.project)?.project;
        let command = apply_command(request.definition.as_ref(), ApplyMode::CreateOrUpdate, project)?;
        let written = self.write(call, asked, command).await?;
        Ok(v1::ApplyTestResponse {
            test: Some(written_test(&written)?),
            created: written.created,
        })
    }

    /// Creates a test.
    pub async fn create_test(
        &self,
        mut request: v1::CreateTestRequest,
        call: &Call,
    ) -> Result<v1::CreateTestResponse, ApiError> {
        let asked = Asked::new("CreateTest", std::mem::take(&mut request.request_id), &request)?;
        let project = call.caller.scope(&request.project)?.project;
        let command = apply_command(request.definition.as_ref(), ApplyMode::CreateOnly, project)?;
        let written = self.write(call, asked, command).await?;
        Ok(v1::CreateTestResponse {
            test: Some(written_test(&written)?),
        })
    }

    /// One test.
    pub async fn get_test(
        &self,
        request: v1::GetTestRequest,
        call: &Call,
    ) -> Result<v1::GetTestResponse, ApiError> {
        let scope = call.caller.scope(&request.project)?;
        let state = self.read(request.consistency, call).await?;
        Ok(v1::GetTestResponse {
            test: Some(test::test(find_test(&state, &scope, &request.id)?)),
        })
    }

    /// Tests, oldest first.
    pub async fn list_tests(
        &self,
        request: v1::ListTestsRequest,
        call: &Call,
    ) -> Result<v1::ListTestsResponse, ApiError> {
        let scope = call.caller.scope(&request.project)?;
        let list = format!("tests project={}", request.project);
        let page = PageRequest::decode(&list, request.page_size, &request.page_token)?;
        let after = page.after(|key| key.try_into().ok().map(TestId::from_bytes))?;
        let state = self.read(request.consistency, call).await?;
        let rows = state
            .tests()
            .skip_while(|row| after.is_some_and(|after| row.id <= after))
            .filter(|row| scope.shows(&row.project));
        let (rows, next_page_token) = page.take(rows, |row| row.id.as_bytes().to_vec());
        Ok(v1::ListTestsResponse {
            tests: rows.into_iter().map(|row| test::test(row)).collect(),
            next_page_token,
            revision: state.meta().revision.0,
        })
    }

    /// Deletes a test.
    pub async fn delete_test(
        &self,
        mut request: v1::DeleteTestRequest,
        call: &Call,
    ) -> Result<v1::DeleteTestResponse, ApiError> {
        let asked = Asked::new("DeleteTest", std::mem::take(&mut request.request_id), &request)?;
        let scope = call.caller.scope(&request.project)?;
        let test = self.test_id(&request.id, call, &scope, &asked).await?;
        self.write(call, asked, Command::DeleteTest(DeleteTest { test }))
            .await?;
        Ok(v1::DeleteTestResponse {})
    }

    /// The id behind an id or a name. An id is taken as it is: whether it exists for the caller is decided in the log.
    pub(super) async fn test_id(
        &self,
        text: &str,
        call: &Call,
        scope: &Scope,
        asked: &Asked,
    ) -> Result<TestId, ApiError> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let state = self.read_latest(call).await?;
        match find_test(&state, scope, text) {
            Ok(test) => Ok(test.id),
            // Answered before, and the test is gone since: the log knows the answer without the test.
            Err(_) if state.request(&asked.key(call)).is_some() => Ok(TestId::from_bytes([0; 16])),
            Err(error) => Err(error),
        }
    }
}

fn apply_command(
    wire: Option<&v1::TestDefinition>,
    mode: ApplyMode,
    project: ProjectName,
) -> Result<Command, ApiError> {
    let id = TestId::from_bytes(uuid::Uuid::now_v7().into_bytes());
    let definition = Arc::new(definition::decode(wire)?);
    Ok(Command::ApplyTest(ApplyTest {
        id,
        definition,
        mode,
        project,
    }))
}

fn written_test(written: &Written) -> Result<v1::Test, ApiError> {
    let ObjectRef::Test(id) = written.object else {
        return Err(ApiError::Internal(
            "a test was written and another kind of object was answered",
        ));
    };
    // A repeated request may be about a test that was deleted since.
    let gone = || ApiError::NotFound {
        kind: ObjectKind::Test,
        id: id.to_string(),
    };
    written.state.test(id).map(|row| test::test(row)).ok_or_else(gone)
}
