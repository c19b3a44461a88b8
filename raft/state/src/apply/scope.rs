//! Projects as bounds: a key other than an admin's changes only what is of its own project, and learns of nothing else (D27a).

use crate::apply::tx::not_found;
use crate::command::{Command, ObjectKind, Refusal};
use crate::id::{ProbeId, ProjectName, RunId, TestId, WebhookId};
use crate::record::{ApiKey, Role};
use crate::state::State;

impl ApiKey {
    /// Whether calls with it may be about a project.
    pub fn reaches(&self, project: &ProjectName) -> bool {
        self.role == Role::Admin || self.project == project.as_str()
    }
}

/// Refuses what is about another project than the key's. What does not exist is left to the command itself: a request that is
/// repeated may be about a test that is gone.
pub(super) fn check(state: &State, key: &ApiKey, command: &Command) -> Result<(), Refusal> {
    match command {
        Command::ApplyTest(command) if !key.reaches(&command.project) => Err(Refusal::OtherProject {
            project: command.project.to_string(),
            of_key: key.project.clone(),
        }),
        Command::PutProbe(command) if !key.reaches(&command.project) => Err(Refusal::OtherProject {
            project: command.project.to_string(),
            of_key: key.project.clone(),
        }),
        Command::PutProbe(command) => probe(state, key, command.id),
        Command::DeleteProbe(command) => probe(state, key, command.probe),
        Command::PauseProbe(command) => probe(state, key, command.probe),
        Command::DeleteTest(command) => test(state, key, command.test),
        Command::StartRun(command) => test(state, key, command.test),
        Command::StopRun(command) => run(state, key, command.run),
        Command::PutWebhook(command) => match &command.new {
            Some(new) if !key.reaches(&new.project) => Err(Refusal::OtherProject {
                project: new.project.to_string(),
                of_key: key.project.clone(),
            }),
            Some(_) => Ok(()),
            None => webhook(state, key, command.id),
        },
        Command::DeleteWebhook(command) => webhook(state, key, command.webhook),
        Command::RotateSecret(command) => webhook(state, key, command.webhook),
        Command::ReplayDelivery(command) => webhook(state, key, command.webhook),
        Command::PauseWebhook(command) => webhook(state, key, command.webhook),
        Command::TestWebhook(command) => webhook(state, key, command.webhook),
        Command::PutRegistrar(command) => named(key, &command.key.project),
        Command::DeleteRegistrar(command) => named(key, &command.key.project),
        Command::PutAccounts(command) => named(key, &command.pool.project),
        Command::DeleteAccounts(command) => named(key, &command.pool.project),
        Command::PutMedia(command) => named(key, &command.key.project),
        Command::DeleteMedia(command) => named(key, &command.key.project),
        // Workers are shared by all projects; the rest is for admins, or not for callers at all.
        Command::ApplyTest(_)
        | Command::RaiseClusterVersion(_)
        | Command::QueueRun(_)
        | Command::PlaceRun(_)
        | Command::BeginRun(_)
        | Command::CompleteRun(_)
        | Command::FailRun(_)
        | Command::RejectRun(_)
        | Command::AbandonAssignments(_)
        | Command::CreateWorker(_)
        | Command::ConnectWorker(_)
        | Command::DisconnectWorker(_)
        | Command::SetLink(_)
        | Command::SetHealth(_)
        | Command::SetDrain(_)
        | Command::RegisterWorker(_)
        | Command::PingWorker(_)
        | Command::UnregisterWorker(_)
        | Command::RegenerateToken(_)
        | Command::Report(_)
        | Command::ExpireToken(_)
        | Command::DeleteWorker(_)
        | Command::PurgeWorker(_)
        | Command::CreateKey(_)
        | Command::RevokeKey(_)
        | Command::KeepLateReports(_)
        | Command::PutProject(_)
        | Command::DeleteProject(_)
        | Command::AdjustCredits(_)
        | Command::RecordDeliveries(_)
        | Command::FireProbe(_)
        | Command::SkipSlot(_)
        | Command::EvaluateProbe(_)
        | Command::RecordChunk(_)
        | Command::PurgeRun(_)
        | Command::RecordSummary(_) => Ok(()),
    }
}

/// What is known by its project and name is of the project that the caller named.
fn named(key: &ApiKey, project: &ProjectName) -> Result<(), Refusal> {
    if key.reaches(project) {
        return Ok(());
    }
    Err(Refusal::OtherProject {
        project: project.to_string(),
        of_key: key.project.clone(),
    })
}

fn test(state: &State, key: &ApiKey, id: TestId) -> Result<(), Refusal> {
    match state.test(id) {
        Some(row) if !key.reaches(&row.project) => Err(not_found(ObjectKind::Test, id)),
        Some(_) | None => Ok(()),
    }
}

fn run(state: &State, key: &ApiKey, id: RunId) -> Result<(), Refusal> {
    match state.run(id) {
        Some(row) if !key.reaches(&row.project) => Err(not_found(ObjectKind::Run, id)),
        Some(_) | None => Ok(()),
    }
}

fn probe(state: &State, key: &ApiKey, id: ProbeId) -> Result<(), Refusal> {
    match state.probe(id) {
        Some(row) if !key.reaches(&row.project) => Err(not_found(ObjectKind::Probe, id)),
        Some(_) | None => Ok(()),
    }
}

fn webhook(state: &State, key: &ApiKey, id: WebhookId) -> Result<(), Refusal> {
    match state.webhook(id) {
        Some(row) if !key.reaches(&row.project) => Err(not_found(ObjectKind::Webhook, id)),
        Some(_) | None => Ok(()),
    }
}
