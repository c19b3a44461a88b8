//! `reeve run explain`, `plan` and `compare`.

use reeve_proto::json::{RunComparisonJson, RunExplanationJson};
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::{CompareRunsRequest, ExplainRunRequest, PlanRunRequest, RunExplanation};

use super::present;
use crate::args::{GlobalArgs, OutputFormat, PlanArgs, ReadArgs};
use crate::client::Cluster;
use crate::definition_file;
use crate::error::{CliError, EXIT_CANNOT_RUN};
use crate::output::{Output, comparison_text, explanation_text};

/// Why a run is where it is.
pub(super) async fn explain(
    global: &GlobalArgs,
    output: &Output,
    id: String,
    read: ReadArgs,
) -> Result<u8, CliError> {
    let request = ExplainRunRequest {
        id,
        consistency: read.consistency(),
    };
    let answer = Cluster::new(global)?
        .call(request, |channel, request| async move {
            RunsClient::new(channel).explain_run(request).await
        })
        .await?;
    show(output, &present(answer.explanation)?)?;
    Ok(0)
}

/// What would become of a definition.
pub(super) async fn plan(global: &GlobalArgs, output: &Output, args: &PlanArgs) -> Result<u8, CliError> {
    let definition = args.file.as_deref().map(definition_file::load).transpose()?;
    let request = PlanRunRequest {
        definition,
        test: args.test.clone().unwrap_or_default(),
        project: args.project.name(),
        consistency: args.read.consistency(),
    };
    let answer = Cluster::new(global)?
        .call(request, |channel, request| async move {
            RunsClient::new(channel).plan_run(request).await
        })
        .await?;
    let explanation = present(answer.explanation)?;
    show(output, &explanation)?;
    Ok(if explanation.verdict == "CAN_START" {
        0
    } else {
        EXIT_CANNOT_RUN
    })
}

fn show(output: &Output, explanation: &RunExplanation) -> Result<(), CliError> {
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&RunExplanationJson::from(explanation)),
        OutputFormat::Name => output.line(&explanation.verdict),
        OutputFormat::Table => output.line(&explanation_text(explanation, false)),
        OutputFormat::Wide => output.line(&explanation_text(explanation, true)),
    }
}

/// Two runs side by side.
pub(super) async fn compare(
    global: &GlobalArgs,
    output: &Output,
    a: String,
    b: String,
    read: ReadArgs,
) -> Result<u8, CliError> {
    let request = CompareRunsRequest {
        id: a,
        with: b,
        consistency: read.consistency(),
    };
    let answer = Cluster::new(global)?
        .call(request, |channel, request| async move {
            RunsClient::new(channel).compare_runs(request).await
        })
        .await?;
    let comparison = present(answer.comparison)?;
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&RunComparisonJson::from(&comparison))?,
        OutputFormat::Name | OutputFormat::Table | OutputFormat::Wide => {
            output.line(&comparison_text(&comparison))?;
        }
    }
    Ok(0)
}
