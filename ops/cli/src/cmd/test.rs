//! `reeve test …`.

use std::path::Path;

use reeve_proto::v1::tests_client::TestsClient;
use reeve_proto::v1::{ApplyTestRequest, DeleteTestRequest, GetTestRequest, ListTestsRequest, Test};

use super::watch::watch as watch_list;
use super::{PAGE_SIZE, present};
use crate::args::{GlobalArgs, ProjectArgs, ReadArgs, TestCommand};
use crate::client::{Cluster, request_id};
use crate::definition_file;
use crate::error::CliError;
use crate::output::{Output, note};

pub(crate) async fn run(global: &GlobalArgs, output: &Output, command: TestCommand) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    match command {
        TestCommand::Apply {
            file,
            request_id,
            project,
        } => apply(&cluster, output, &file, request_id, &project).await?,
        TestCommand::List { watch, read, project } => {
            if watch.watch {
                return watch_list(output, || list(&cluster, read, &project)).await;
            }
            let (tests, revision) = list(&cluster, read, &project).await?;
            output.list(&tests, revision)?;
        }
        TestCommand::Get { id, read, project } => {
            let request = GetTestRequest {
                id,
                consistency: read.consistency(),
                project: project.name(),
            };
            let answer = cluster.call(request, |channel, request| async move {
                TestsClient::new(channel).get_test(request).await
            });
            output.one(&present(answer.await?.test)?)?;
        }
        TestCommand::Delete {
            id,
            request_id: given,
            project,
        } => {
            let request = DeleteTestRequest {
                id: id.clone(),
                request_id: request_id(given),
                project: project.name(),
            };
            let answer = cluster.call(request, |channel, request| async move {
                TestsClient::new(channel).delete_test(request).await
            });
            answer.await?;
            note(&format!("test {id} deleted"));
        }
    }
    Ok(0)
}

async fn apply(
    cluster: &Cluster,
    output: &Output,
    file: &Path,
    given: Option<String>,
    project: &ProjectArgs,
) -> Result<(), CliError> {
    let definition = definition_file::load(file)?;
    let request = ApplyTestRequest {
        definition: Some(definition),
        request_id: request_id(given),
        project: project.name(),
    };
    let answer = cluster
        .call(request, |channel, request| async move {
            TestsClient::new(channel).apply_test(request).await
        })
        .await?;
    let test = present(answer.test)?;
    let what = if answer.created {
        "created".to_owned()
    } else {
        format!("is now at version {}", test.version)
    };
    note(&format!("test {} {what}", test.name));
    output.one(&test)
}

async fn list(
    cluster: &Cluster,
    read: ReadArgs,
    project: &ProjectArgs,
) -> Result<(Vec<Test>, u64), CliError> {
    let mut request = ListTestsRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
        consistency: read.consistency(),
        project: project.name(),
    };
    let mut tests = Vec::new();
    loop {
        let page = cluster
            .call(request.clone(), |channel, request| async move {
                TestsClient::new(channel).list_tests(request).await
            })
            .await?;
        tests.extend(page.tests);
        if page.next_page_token.is_empty() {
            return Ok((tests, page.revision));
        }
        request.page_token = page.next_page_token;
    }
}
