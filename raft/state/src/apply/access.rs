//! Whether a caller may have what it asks for (D27a). Checked here, so that a key that was revoked cannot race.

use std::sync::Arc;

use crate::apply::scope;
use crate::command::{Command, Envelope, KeyFault, Refusal};
use crate::id::KeyId;
use crate::record::{Access, ApiKey, Role, Worker};
use crate::state::State;
use crate::time::Time;
use crate::transition::worker::DrainActor;

/// Refuses what the caller's key does not allow. What nodes decide and what workers say on their sessions has no principal.
pub(super) fn check(state: &State, envelope: &Envelope) -> Result<(), Refusal> {
    let Some(principal) = envelope.principal else {
        return Ok(());
    };
    let key = state.key_in_force(principal, state.meta().cluster_time)?;
    match envelope.command.access() {
        Some(needs) => allowed(key, needs).and_then(|()| scope::check(state, key, &envelope.command)),
        None => Err(Refusal::RoleTooLow {
            role: key.role,
            needs: Access::Administer,
        }),
    }
}

fn allowed(key: &ApiKey, needs: Access) -> Result<(), Refusal> {
    if key.role.allows(needs) {
        Ok(())
    } else {
        Err(Refusal::RoleTooLow {
            role: key.role,
            needs,
        })
    }
}

impl State {
    /// The key with this id, if calls with it are taken at `now`: the stamp of the last entry will not do outside of apply,
    /// because it stands still while nothing is written.
    ///
    /// # Errors
    /// It is unknown, revoked or expired.
    pub fn key_in_force(&self, id: KeyId, now: Time) -> Result<&Arc<ApiKey>, Refusal> {
        let rejected = |reason| Refusal::KeyRejected { reason };
        let key = self.key(id).ok_or(rejected(KeyFault::Unknown))?;
        if key.revoked_at.is_some() {
            return Err(rejected(KeyFault::Revoked));
        }
        if !key.in_force(now) {
            return Err(rejected(KeyFault::Expired));
        }
        Ok(key)
    }

    /// Whether a caller with this key may speak as a ping worker: a key of the role WORKER only as the workers that it registered, or
    /// whose own key is not in force any more. Operators and admins may speak for all.
    ///
    /// # Errors
    /// The worker is another key's.
    pub fn may_speak_for(&self, id: KeyId, worker: &Worker, now: Time) -> Result<(), Refusal> {
        let bound = self.key(id).is_some_and(|key| key.role == Role::Worker);
        let others = worker.registered_by.filter(|owner| *owner != id);
        match others {
            Some(owner) if bound && self.key_in_force(owner, now).is_ok() => {
                Err(Refusal::WorkerOfAnotherKey { worker: worker.id })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a caller with this key may do at `now` what needs `access`.
    ///
    /// # Errors
    /// The key is not in force, or its role does not allow it.
    pub fn authorize(&self, id: KeyId, access: Access, now: Time) -> Result<&Arc<ApiKey>, Refusal> {
        let key = self.key_in_force(id, now)?;
        allowed(key, access).map(|()| key)
    }
}

/// Who caused a change, as events tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Actor {
    /// A caller, by the name of its key.
    Caller(String),
    /// The worker itself.
    Worker,
    /// The platform, for maintenance (R32).
    Platform,
    /// The leader's planners.
    Reconciler,
}

impl Actor {
    /// Of a command.
    pub(super) fn of(state: &State, envelope: &Envelope) -> Self {
        if let Some(key) = envelope.principal.and_then(|id| state.key(id)) {
            return Self::Caller(key.name.clone());
        }
        match &envelope.command {
            Command::ConnectWorker(_)
            | Command::DisconnectWorker(_)
            | Command::SetHealth(_)
            | Command::RegisterWorker(_)
            | Command::PingWorker(_)
            | Command::UnregisterWorker(_)
            | Command::Report(_)
            | Command::RecordChunk(_)
            | Command::KeepLateReports(_) => Self::Worker,
            Command::SetDrain(command) => command
                .drain
                .as_ref()
                .map_or(Self::Reconciler, |order| Self::of_drain(&order.actor)),
            Command::RaiseClusterVersion(_)
            | Command::ApplyTest(_)
            | Command::DeleteTest(_)
            | Command::StartRun(_)
            | Command::StopRun(_)
            | Command::QueueRun(_)
            | Command::PlaceRun(_)
            | Command::BeginRun(_)
            | Command::CompleteRun(_)
            | Command::FailRun(_)
            | Command::RejectRun(_)
            | Command::AbandonAssignments(_)
            | Command::CreateWorker(_)
            | Command::SetLink(_)
            | Command::RegenerateToken(_)
            | Command::ExpireToken(_)
            | Command::DeleteWorker(_)
            | Command::PurgeWorker(_)
            | Command::CreateKey(_)
            | Command::RevokeKey(_)
            | Command::PutWebhook(_)
            | Command::DeleteWebhook(_)
            | Command::RotateSecret(_)
            | Command::RecordDeliveries(_)
            | Command::ReplayDelivery(_)
            | Command::PauseWebhook(_)
            | Command::TestWebhook(_)
            | Command::PutProbe(_)
            | Command::DeleteProbe(_)
            | Command::PauseProbe(_)
            | Command::FireProbe(_)
            | Command::SkipSlot(_)
            | Command::EvaluateProbe(_)
            | Command::PurgeRun(_)
            | Command::RecordSummary(_)
            | Command::PutProject(_)
            | Command::DeleteProject(_)
            | Command::AdjustCredits(_)
            | Command::PutRegistrar(_)
            | Command::DeleteRegistrar(_)
            | Command::PutAccounts(_)
            | Command::DeleteAccounts(_)
            | Command::PutMedia(_)
            | Command::DeleteMedia(_) => Self::Reconciler,
        }
    }

    fn of_drain(actor: &DrainActor) -> Self {
        match actor {
            DrainActor::Worker(_) => Self::Worker,
            DrainActor::Admin(name) => Self::Caller(name.clone()),
            DrainActor::Platform => Self::Platform,
        }
    }

    /// As events show it.
    pub(super) fn shown(&self, worker: &str) -> String {
        match self {
            Self::Caller(name) => name.clone(),
            Self::Worker => format!("worker:{worker}"),
            Self::Platform => "platform".to_owned(),
            Self::Reconciler => "reconciler".to_owned(),
        }
    }
}
