//! One line for each change.

use reeve_proto::json::{
    AccountPoolJson, MediaFileJson, ProbeJson, ProjectJson, RegistrarJson, RunJson, TestJson, WebhookJson,
    WorkerJson,
};
use reeve_proto::names::{Named, name_of};
use reeve_proto::v1::resource::Resource;
use reeve_proto::v1::watch_response::Event;
use reeve_proto::v1::{
    Probe, ProbeStatus, ResetReason, ResourceKind, RunReasonCode, RunStatus, WatchResponse, WebhookStatus,
    WorkerStatus,
};
use serde::Serialize;
use serde_json::Value;

use super::{Output, outcome_counts, phase_counts};
use crate::args::OutputFormat;
use crate::error::CliError;

/// What `-o jsonl` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventJson<'a> {
    /// run, worker, test, …; deleted, reset.
    event: &'a str,
    /// Of the change.
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// Of a deleted object whose id is a name within its project.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// The object as the REST API shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Value>,
}

/// Prints a change in the form that was asked for; what only says how far the feed is, is not printed.
pub(crate) fn print_event(output: &Output, message: &WatchResponse) -> Result<(), CliError> {
    let Some(event) = &message.event else {
        return Ok(());
    };
    if matches!(event, Event::Bookmark(_)) {
        return Ok(());
    }
    match output.format {
        OutputFormat::Json | OutputFormat::Jsonl => output.json(&json(message.change, event)?),
        OutputFormat::Name => match about(event) {
            Some((_, id)) => output.line(id),
            None => Ok(()),
        },
        OutputFormat::Table | OutputFormat::Wide => output.line(&line(message.change, event)),
    }
}

fn about(event: &Event) -> Option<(ResourceKind, &str)> {
    match event {
        Event::Put(resource) => Some(match resource.resource.as_ref()? {
            Resource::Test(test) => (ResourceKind::Test, &test.id),
            Resource::Run(run) => (ResourceKind::Run, &run.id),
            Resource::Worker(worker) => (ResourceKind::Worker, &worker.id),
            Resource::Project(project) => (ResourceKind::Project, &project.name),
            Resource::Probe(probe) => (ResourceKind::Probe, &probe.id),
            Resource::Webhook(webhook) => (ResourceKind::Webhook, &webhook.id),
            Resource::Registrar(registrar) => (ResourceKind::Registrar, &registrar.name),
            Resource::AccountPool(pool) => (ResourceKind::AccountPool, &pool.name),
            Resource::MediaFile(media) => (ResourceKind::MediaFile, &media.name),
        }),
        Event::Deleted(object) => Some((object.kind(), &object.id)),
        Event::Reset(_) | Event::Bookmark(_) => None,
    }
}

fn json(revision: u64, event: &Event) -> Result<Value, CliError> {
    let (kind, id) = about(event).unzip();
    let object = match event {
        Event::Put(resource) => match &resource.resource {
            Some(Resource::Test(test)) => Some(serde_json::to_value(TestJson::from(test))),
            Some(Resource::Run(run)) => Some(serde_json::to_value(RunJson::from(run))),
            Some(Resource::Worker(worker)) => Some(serde_json::to_value(WorkerJson::from(worker))),
            Some(Resource::Project(project)) => Some(serde_json::to_value(ProjectJson::from(project))),
            Some(Resource::Probe(probe)) => Some(serde_json::to_value(ProbeJson::from(probe))),
            Some(Resource::Webhook(webhook)) => Some(serde_json::to_value(WebhookJson::from(webhook))),
            Some(Resource::Registrar(registrar)) => {
                Some(serde_json::to_value(RegistrarJson::from(registrar)))
            }
            Some(Resource::AccountPool(pool)) => Some(serde_json::to_value(AccountPoolJson::from(pool))),
            Some(Resource::MediaFile(media)) => Some(serde_json::to_value(MediaFileJson::from(media))),
            None => None,
        },
        Event::Deleted(_) | Event::Reset(_) | Event::Bookmark(_) => None,
    };
    let name = name(event);
    let document = EventJson {
        event: &name,
        revision,
        kind: kind.map(Named::name),
        id,
        project: project(event),
        reason: reset(event),
        object: object.transpose().map_err(std::io::Error::from)?,
    };
    Ok(serde_json::to_value(document).map_err(std::io::Error::from)?)
}

fn project(event: &Event) -> Option<&str> {
    match event {
        Event::Deleted(object) => Some(object.project.as_str()).filter(|project| !project.is_empty()),
        Event::Put(_) | Event::Reset(_) | Event::Bookmark(_) => None,
    }
}

fn reset(event: &Event) -> Option<&'static str> {
    match event {
        Event::Reset(reset) => Some(name_of::<ResetReason>(reset.reason)),
        Event::Put(_) | Event::Deleted(_) | Event::Bookmark(_) => None,
    }
}

/// The same names as those of `GET /events`.
fn name(event: &Event) -> String {
    match event {
        Event::Put(_) => about(event).map_or_else(String::new, |(kind, _)| kind.name().to_ascii_lowercase()),
        Event::Deleted(_) => "deleted".to_owned(),
        Event::Reset(_) => "reset".to_owned(),
        Event::Bookmark(_) => "bookmark".to_owned(),
    }
}

/// `    1234  run      0190…  RUNNING smoke  INCALL 120  CLOSED 80`.
fn line(revision: u64, event: &Event) -> String {
    let name = name(event);
    let id = about(event).map_or("", |(_, id)| id);
    let text = match event {
        Event::Put(resource) => match &resource.resource {
            Some(Resource::Test(test)) => format!("{} version {}", test.name, test.version),
            Some(Resource::Worker(worker)) => {
                format!("{} {}", name_of::<WorkerStatus>(worker.status), worker.name)
            }
            Some(Resource::Project(_)) => String::new(),
            Some(Resource::Probe(probe)) => probe_line(probe),
            Some(Resource::Webhook(webhook)) => format!(
                "{} {}  pending {}  dead {}",
                name_of::<WebhookStatus>(webhook.status),
                if webhook.name.is_empty() {
                    &webhook.url
                } else {
                    &webhook.name
                },
                webhook.pending,
                webhook.dead
            ),
            Some(Resource::Registrar(registrar)) => format!("{} of {}", registrar.domain, registrar.project),
            Some(Resource::AccountPool(pool)) => {
                format!(
                    "{} accounts, {} in use, of {}",
                    pool.accounts, pool.in_use, pool.project
                )
            }
            Some(Resource::MediaFile(media)) => format!("{} bytes, of {}", media.bytes, media.project),
            Some(Resource::Run(run)) => {
                let reason = run.reason.as_ref().filter(|reason| reason.code != 0);
                let reason = reason.map_or("", |reason| name_of::<RunReasonCode>(reason.code));
                let parts = [
                    name_of::<RunStatus>(run.status).to_owned(),
                    run.test_name.clone(),
                    reason.to_owned(),
                    phase_counts(run),
                    outcome_counts(run),
                ];
                let parts = parts.into_iter().filter(|part| !part.is_empty());
                parts.collect::<Vec<_>>().join("  ")
            }
            None => String::new(),
        },
        Event::Deleted(object) => {
            let kind = object.kind().name().to_ascii_lowercase();
            match object.project.as_str() {
                "" => kind,
                project => format!("{kind} of {project}"),
            }
        }
        Event::Reset(_) => reset(event).unwrap_or_default().to_owned(),
        Event::Bookmark(_) => String::new(),
    };
    format!("{revision:>8}  {name:<8}  {id:<36}  {text}")
        .trim_end()
        .to_owned()
}

/// `DEGRADED fra  mos mean is 3.2`.
fn probe_line(probe: &Probe) -> String {
    let name = probe
        .definition
        .as_ref()
        .map_or("", |definition| &definition.name);
    match &probe.health {
        Some(health) => format!(
            "{} {name}  {}",
            name_of::<ProbeStatus>(health.status),
            health.reason
        ),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use reeve_proto::v1::{Reset, ResourceRef, Run};

    use super::*;

    fn run() -> Event {
        Event::Put(reeve_proto::v1::Resource {
            resource: Some(Resource::Run(Run {
                id: "r1".into(),
                test_name: "smoke".into(),
                status: RunStatus::Queued.into(),
                revision: 7,
                ..Default::default()
            })),
        })
    }

    #[test]
    fn a_change_is_one_line_with_its_revision_and_what_it_is_about() {
        assert_eq!(
            line(7, &run()),
            format!("       7  run       {:<36}  QUEUED  smoke", "r1")
        );
        let deleted = Event::Deleted(ResourceRef {
            kind: ResourceKind::Worker.into(),
            id: "w1".into(),
            project: String::new(),
        });
        assert_eq!(
            line(8, &deleted),
            format!("       8  deleted   {:<36}  worker", "w1")
        );
    }

    #[test]
    fn what_is_known_by_its_name_says_of_which_project_it_was() {
        let deleted = Event::Deleted(ResourceRef {
            kind: ResourceKind::AccountPool.into(),
            id: "phones".into(),
            project: "blue".into(),
        });
        assert_eq!(
            line(8, &deleted),
            format!("       8  deleted   {:<36}  account_pool of blue", "phones")
        );
        let document = json(8, &deleted).unwrap();
        assert_eq!(
            (&document["kind"], &document["project"]),
            (&"ACCOUNT_POOL".into(), &"blue".into())
        );
    }

    #[test]
    fn as_json_it_carries_the_object_of_the_rest_api() {
        let document = json(7, &run()).unwrap();
        assert_eq!(
            (&document["event"], &document["revision"]),
            (&"run".into(), &7.into())
        );
        assert_eq!(document["object"]["status"], "QUEUED");
        let reset = Event::Reset(Reset {
            reason: ResetReason::SlowConsumer.into(),
        });
        assert_eq!(
            json(9, &reset).unwrap(),
            serde_json::json!({"event": "reset", "revision": 9, "reason": "SLOW_CONSUMER"})
        );
    }
}
