//! `reeve run metrics` and `reeve run workers`.

use reeve_proto::definition::parse_duration;
use reeve_proto::json::{
    EndpointEvidenceJson, ListJson, RunMetricsJson, RunSampleJson, RunSeriesJson, RunWorkerJson,
};
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::{
    GetEndpointEvidenceRequest, GetRunMetricsRequest, GetRunSeriesRequest, ListRunWorkersRequest, RunSample,
    WatchRunMetricsRequest,
};

use crate::args::{GlobalArgs, MetricsArgs, ReadArgs};
use crate::client::{Cluster, is_transient};
use crate::error::CliError;
use crate::output::{Output, endpoint_text, metrics_text, note, run_workers_text, sample_line, series_table};

pub(crate) async fn metrics(global: &GlobalArgs, output: &Output, args: MetricsArgs) -> Result<u8, CliError> {
    if args.live {
        return live(global, output, args).await;
    }
    let cluster = Cluster::new(global)?;
    match (args.series, args.endpoint) {
        (Some(metric), _) => {
            let request = GetRunSeriesRequest {
                id: args.id,
                metric,
                step_ms: step_ms(&args.step)?,
                group: args.group.unwrap_or_default(),
                consistency: args.read.consistency(),
            };
            let series = cluster
                .call(request, |channel, request| async move {
                    RunsClient::new(channel).get_run_series(request).await
                })
                .await?;
            if output.is_table() {
                output.line(&series_table(&series))?;
            } else {
                output.json(&RunSeriesJson::from(&series))?;
            }
        }
        (None, Some(endpoint)) => {
            let (group, index) = named_endpoint(&endpoint)?;
            let request = GetEndpointEvidenceRequest {
                id: args.id,
                group,
                index,
                consistency: args.read.consistency(),
            };
            let evidence = cluster
                .call(request, |channel, request| async move {
                    RunsClient::new(channel).get_endpoint_evidence(request).await
                })
                .await?;
            if output.is_table() {
                output.line(&endpoint_text(&evidence))?;
            } else {
                output.json(&EndpointEvidenceJson::from(&evidence))?;
            }
        }
        (None, None) => {
            let request = GetRunMetricsRequest {
                id: args.id,
                consistency: args.read.consistency(),
                group: args.group.unwrap_or_default(),
            };
            let metrics = cluster
                .call(request, |channel, request| async move {
                    RunsClient::new(channel).get_run_metrics(request).await
                })
                .await?;
            if output.is_table() {
                output.line(&metrics_text(&metrics))?;
            } else {
                output.json(&RunMetricsJson::from(&metrics))?;
            }
        }
    }
    Ok(0)
}

fn step_ms(text: &str) -> Result<u32, CliError> {
    let step = parse_duration(text).map_err(|rule| CliError::message(format!("--step: {rule}")))?;
    let ms = step.seconds.saturating_mul(1_000) + i64::from(step.nanos) / 1_000_000;
    u32::try_from(ms).map_err(|_| CliError::message("--step: must be between 1s and 1h"))
}

fn named_endpoint(text: &str) -> Result<(String, u32), CliError> {
    text.rsplit_once('/')
        .and_then(|(group, index)| Some((group.to_owned(), index.parse().ok()?)))
        .ok_or_else(|| CliError::message(format!("--endpoint: {text:?} is not GROUP/INDEX")))
}

/// From one node after another, until the run is at its end.
async fn live(global: &GlobalArgs, output: &Output, args: MetricsArgs) -> Result<u8, CliError> {
    let id = args.id;
    let cluster = Cluster::for_waiting(global)?;
    loop {
        let request = WatchRunMetricsRequest { id: id.clone() };
        let mut samples = cluster
            .call(request, |channel, request| async move {
                RunsClient::new(channel).watch_run_metrics(request).await
            })
            .await?;
        loop {
            match samples.message().await {
                Ok(Some(sample)) => {
                    let sample = match &args.group {
                        Some(group) => of_group(sample, group)?,
                        None => sample,
                    };
                    if output.is_table() {
                        output.line(&sample_line(&sample))?;
                    } else {
                        output.json_line(&RunSampleJson::from(&sample))?;
                    }
                }
                Ok(None) => return Ok(0),
                Err(status) => {
                    let error = CliError::from(status);
                    if !is_transient(&error) {
                        return Err(error);
                    }
                    note(&format!("the node ended the stream ({error}); asking another"));
                    break;
                }
            }
        }
    }
}

/// What of a second is of one group.
fn of_group(sample: RunSample, name: &str) -> Result<RunSample, CliError> {
    let names: Vec<&str> = sample.groups.iter().map(|group| group.group.as_str()).collect();
    let unknown = format!("--group: {name:?} is not one of {}", names.join(", "));
    let group = sample.groups.into_iter().find(|group| group.group == name);
    let group = group.ok_or_else(|| CliError::message(unknown))?;
    Ok(RunSample {
        phases: group.phases.clone(),
        outcomes: group.outcomes.clone(),
        metrics: group.metrics.clone(),
        responses: group.responses.clone(),
        groups: vec![group],
        at: sample.at,
        assignments: sample.assignments,
    })
}

pub(crate) async fn workers(
    global: &GlobalArgs,
    output: &Output,
    id: String,
    read: ReadArgs,
) -> Result<u8, CliError> {
    let request = ListRunWorkersRequest {
        id,
        consistency: read.consistency(),
    };
    let answer = Cluster::new(global)?
        .call(request, |channel, request| async move {
            RunsClient::new(channel).list_run_workers(request).await
        })
        .await?;
    if output.is_table() {
        output.line(&run_workers_text(&answer.workers))?;
    } else {
        output.json(&ListJson::<RunWorkerJson>::new(
            &answer.workers,
            "",
            answer.revision,
        ))?;
    }
    Ok(0)
}
