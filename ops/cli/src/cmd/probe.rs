//! `reeve probe …`: tests on a schedule.

use std::path::Path;

use reeve_proto::json::ProbeJson;
use reeve_proto::probe::{self, ProbeDocument};
use reeve_proto::v1::probe_definition::Schedule;
use reeve_proto::v1::probes_client::ProbesClient;
use reeve_proto::v1::{
    ApplyProbeRequest, CreateProbeRequest, DeleteProbeRequest, GetProbeRequest, ListProbeSlotsRequest,
    ListProbesRequest, PauseProbeRequest, Probe, ProbeDefinition, ProbeSlot, ProbeStatus, ResumeProbeRequest,
};

use super::watch::watch as watch_list;
use super::{PAGE_SIZE, present};
use crate::args::{GlobalArgs, OutputFormat, ProbeCommand, ProbeCreateArgs, ProjectArgs, ReadArgs};
use crate::client::{Cluster, request_id};
use crate::definition_file;
use crate::error::CliError;
use crate::output::{Output, note};

pub(crate) async fn run(global: &GlobalArgs, output: &Output, command: ProbeCommand) -> Result<u8, CliError> {
    let cluster = Cluster::new(global)?;
    match command {
        ProbeCommand::Create(args) => create(&cluster, output, *args).await?,
        ProbeCommand::Apply {
            file,
            request_id,
            project,
        } => apply(&cluster, output, &file, request_id, project).await?,
        ProbeCommand::List {
            status,
            project,
            watch,
            read,
        } => {
            if watch.watch {
                return watch_list(output, || list(&cluster, status, &project, read)).await;
            }
            let (probes, revision) = list(&cluster, status, &project, read).await?;
            output.list(&probes, revision)?;
        }
        ProbeCommand::Get { id, project, read } => get(&cluster, output, id, project, read).await?,
        ProbeCommand::History { id, project, read } => {
            let (slots, revision) = history(&cluster, id, project, read).await?;
            output.list(&slots, revision)?;
        }
        ProbeCommand::Pause {
            id,
            request_id: given,
            project,
        } => {
            let request = PauseProbeRequest {
                id,
                project: project.name(),
                request_id: request_id(given),
            };
            let answer = cluster.call(request, |channel, request| async move {
                ProbesClient::new(channel).pause_probe(request).await
            });
            output.one(&present(answer.await?.probe)?)?;
        }
        ProbeCommand::Resume {
            id,
            request_id: given,
            project,
        } => {
            let request = ResumeProbeRequest {
                id,
                project: project.name(),
                request_id: request_id(given),
            };
            let answer = cluster.call(request, |channel, request| async move {
                ProbesClient::new(channel).resume_probe(request).await
            });
            output.one(&present(answer.await?.probe)?)?;
        }
        ProbeCommand::Delete {
            id,
            request_id: given,
            project,
        } => {
            let request = DeleteProbeRequest {
                id: id.clone(),
                project: project.name(),
                request_id: request_id(given),
            };
            let answer = cluster.call(request, |channel, request| async move {
                ProbesClient::new(channel).delete_probe(request).await
            });
            answer.await?;
            note(&format!("probe {id} deleted"));
        }
    }
    Ok(0)
}

async fn create(cluster: &Cluster, output: &Output, args: ProbeCreateArgs) -> Result<(), CliError> {
    let schedule = match (args.every, args.cron) {
        (Some(minutes), _) => Some(Schedule::EveryMinutes(minutes)),
        (None, cron) => cron.map(Schedule::Cron),
    };
    let request = CreateProbeRequest {
        definition: Some(ProbeDefinition {
            name: args.name,
            test: args.test,
            schedule,
            thresholds: args.thresholds,
        }),
        project: args.project.name(),
        request_id: request_id(args.request_id),
    };
    let answer = cluster
        .call(request, |channel, request| async move {
            ProbesClient::new(channel).create_probe(request).await
        })
        .await?;
    output.one(&present(answer.probe)?)
}

async fn apply(
    cluster: &Cluster,
    output: &Output,
    file: &Path,
    given: Option<String>,
    project: ProjectArgs,
) -> Result<(), CliError> {
    let definition = definition_file::load_as::<ProbeDocument, _>(file, probe::from_json)?;
    let request = ApplyProbeRequest {
        definition: Some(definition),
        project: project.name(),
        request_id: request_id(given),
    };
    let answer = cluster
        .call(request, |channel, request| async move {
            ProbesClient::new(channel).apply_probe(request).await
        })
        .await?;
    let probe = present(answer.probe)?;
    let name = probe
        .definition
        .as_ref()
        .map_or("", |definition| &definition.name);
    note(&format!(
        "probe {name} {}",
        if answer.created { "created" } else { "updated" }
    ));
    output.one(&probe)
}

/// With what its last executions have in common, which no list shows.
async fn get(
    cluster: &Cluster,
    output: &Output,
    id: String,
    project: ProjectArgs,
    read: ReadArgs,
) -> Result<(), CliError> {
    let request = GetProbeRequest {
        id,
        project: project.name(),
        consistency: read.consistency(),
    };
    let answer = cluster
        .call(request, |channel, request| async move {
            ProbesClient::new(channel).get_probe(request).await
        })
        .await?;
    let probe = present(answer.probe)?;
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&ProbeJson {
            diagnosis: answer.diagnosis,
            ..ProbeJson::from(&probe)
        }),
        OutputFormat::Name => output.one(&probe),
        OutputFormat::Table | OutputFormat::Wide => {
            output.one(&probe)?;
            if answer.diagnosis.is_empty() {
                return Ok(());
            }
            output.line(&format!("\nDiagnosis: {}", answer.diagnosis))
        }
    }
}

async fn list(
    cluster: &Cluster,
    status: Option<ProbeStatus>,
    project: &ProjectArgs,
    read: ReadArgs,
) -> Result<(Vec<Probe>, u64), CliError> {
    let mut request = ListProbesRequest {
        page_size: PAGE_SIZE,
        page_token: String::new(),
        status: status.map_or(0, Into::into),
        project: project.name(),
        consistency: read.consistency(),
    };
    let mut probes = Vec::new();
    loop {
        let page = cluster
            .call(request.clone(), |channel, request| async move {
                ProbesClient::new(channel).list_probes(request).await
            })
            .await?;
        probes.extend(page.probes);
        if page.next_page_token.is_empty() {
            return Ok((probes, page.revision));
        }
        request.page_token = page.next_page_token;
    }
}

async fn history(
    cluster: &Cluster,
    id: String,
    project: ProjectArgs,
    read: ReadArgs,
) -> Result<(Vec<ProbeSlot>, u64), CliError> {
    let mut request = ListProbeSlotsRequest {
        id,
        project: project.name(),
        page_size: PAGE_SIZE,
        page_token: String::new(),
        consistency: read.consistency(),
    };
    let mut slots = Vec::new();
    loop {
        let page = cluster
            .call(request.clone(), |channel, request| async move {
                ProbesClient::new(channel).list_probe_slots(request).await
            })
            .await?;
        slots.extend(page.slots);
        if page.next_page_token.is_empty() {
            return Ok((slots, page.revision));
        }
        request.page_token = page.next_page_token;
    }
}
