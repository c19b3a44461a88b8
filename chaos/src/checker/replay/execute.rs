//! Which rule a command is judged by.

use reeve_proto::internal as wire;
use wire::envelope::Command;

use super::world::{ADMIN, Id, Object, Refused, Request, RequestId, Touched, WORKER_ROLE};
use super::{Replay, about_run, runs};

impl Replay {
    /// True: it was applied. False: it was answered before, and changes nothing.
    pub(super) fn apply(
        &mut self,
        term: u64,
        envelope: &wire::Envelope,
        command: &Command,
    ) -> Result<bool, Outcome> {
        if envelope.fence_term.is_some_and(|fence| fence != term) {
            return Err(Refused::StaleTerm.into());
        }
        self.may(envelope.principal.as_ref(), command)?;
        let tag = envelope.request.as_ref();
        let request = tag
            .and_then(|tag| tag.key.as_ref())
            .map(|key| (key.caller.clone(), key.request_id.clone()));
        let hash = tag.map(|tag| tag.hash.clone()).unwrap_or_default();
        if let Some(known) = request.as_ref().and_then(|id| self.remembered(id)) {
            if known.hash != hash {
                return Err(Refused::RequestReused.into());
            }
            return Ok(false);
        }
        let (object, created) = self.execute(command, envelope.principal.as_ref(), request.clone())?;
        if let (Some(id), Some(object)) = (request, object) {
            let expires = (!created).then_some(self.world.now + KEPT_MS);
            let row = Request {
                hash,
                object,
                expires,
            };
            self.world.requests.insert(id, row);
            self.world.touch(Touched::Other);
        }
        Ok(true)
    }

    fn remembered(&self, id: &RequestId) -> Option<&Request> {
        let known = self.world.requests.get(id)?;
        let lives = match &known.object {
            Object::Test(_) | Object::Other => true,
            Object::Run(id) => self.world.runs.contains_key(id),
            Object::Worker(id) => self.world.workers.contains_key(id),
            Object::Key(id) => self.world.keys.contains_key(id),
        };
        let over = known.expires.is_some_and(|at| at <= self.world.now);
        (lives && !over).then_some(known)
    }

    /// Whether the caller may: what nodes and workers say has none.
    #[allow(clippy::wildcard_enum_match_arm)]
    fn may(&self, principal: Option<&Id>, command: &Command) -> Result<(), Outcome> {
        let Some(principal) = principal else {
            return Ok(());
        };
        let key = self.world.key_in_force(principal)?;
        let operates = matches!(key.role, 2 | ADMIN);
        let allowed = match command {
            Command::ApplyTest(_)
            | Command::DeleteTest(_)
            | Command::StartRun(_)
            | Command::StopRun(_)
            | Command::CreateWorker(_)
            | Command::SetDrain(_)
            | Command::RegenerateToken(_)
            | Command::DeleteWorker(_)
            | Command::PutProbe(_)
            | Command::DeleteProbe(_)
            | Command::PauseProbe(_)
            | Command::PutWebhook(_)
            | Command::DeleteWebhook(_)
            | Command::RotateSecret(_)
            | Command::ReplayDelivery(_)
            | Command::PauseWebhook(_)
            | Command::TestWebhook(_)
            | Command::PutRegistrar(_)
            | Command::DeleteRegistrar(_)
            | Command::PutAccounts(_)
            | Command::DeleteAccounts(_)
            | Command::PutMedia(_)
            | Command::DeleteMedia(_) => operates,
            Command::CreateKey(_)
            | Command::RevokeKey(_)
            | Command::PutProject(_)
            | Command::DeleteProject(_)
            | Command::AdjustCredits(_) => key.role == ADMIN,
            Command::RegisterWorker(_) | Command::PingWorker(_) | Command::UnregisterWorker(_) => {
                operates || key.role == WORKER_ROLE
            }
            _ => false,
        };
        let project = match command {
            Command::ApplyTest(command) => Some(runs::project(&command.project)),
            Command::DeleteTest(command) => self.project_of_test(&command.test),
            Command::StartRun(command) => self.project_of_test(&command.test),
            Command::StopRun(command) => self.world.runs.get(&command.run).map(|run| run.project.clone()),
            Command::PutProbe(command) => Some(runs::project(&command.project)),
            Command::DeleteProbe(command) => self.project_of_probe(&command.probe),
            Command::PauseProbe(command) => self.project_of_probe(&command.probe),
            _ => None,
        };
        let reaches = key.role == ADMIN || project.is_none_or(|project| project == key.project);
        if allowed && reaches {
            Ok(())
        } else {
            Err(Refused::Caller.into())
        }
    }

    fn project_of_test(&self, id: &Id) -> Option<String> {
        self.world.tests.get(id).map(|test| test.project.clone())
    }

    fn project_of_probe(&self, id: &Id) -> Option<String> {
        self.world.probes.get(id).map(|probe| probe.project.clone())
    }

    /// What the command was about, and whether it created it; no object: its answer is not remembered.
    #[allow(clippy::wildcard_enum_match_arm)]
    fn execute(
        &mut self,
        command: &Command,
        principal: Option<&Id>,
        by: Option<RequestId>,
    ) -> Result<(Option<Object>, bool), Outcome> {
        let world = &mut self.world;
        let made = match command {
            Command::ApplyTest(command) => {
                let id = world.apply_test(command, by)?;
                let created = id == command.id;
                (Object::Test(id), created)
            }
            Command::DeleteTest(command) => {
                world.delete_test(command)?;
                (Object::Test(command.test.clone()), false)
            }
            Command::StartRun(command) => {
                world.start_run(command)?;
                if let Some(run) = world.runs.get_mut(&command.run) {
                    run.created_by = by;
                }
                (Object::Run(command.run.clone()), true)
            }
            Command::CreateWorker(command) => {
                world.create_worker(command, by)?;
                (Object::Worker(command.id.clone()), true)
            }
            Command::RegisterWorker(command) => {
                let id = world.register(command, by, principal)?;
                let created = id == command.id;
                (Object::Worker(id), created)
            }
            Command::CreateKey(command) => {
                world.create_key(command)?;
                (Object::Key(command.id.clone()), true)
            }
            Command::RevokeKey(command) => {
                world.revoke_key(command)?;
                (Object::Key(command.key.clone()), false)
            }
            Command::RaiseClusterVersion(command) => {
                world.raise_cluster_version(command.version)?;
                return Ok((None, false));
            }
            Command::Report(command) => {
                world.report(command)?;
                return Ok((None, false));
            }
            Command::RecordChunk(command) => {
                world.record_chunk(command)?;
                return Ok((None, false));
            }
            Command::RecordSummary(command) => {
                world.record_summary(command)?;
                return Ok((None, false));
            }
            Command::KeepLateReports(command) => {
                world.keep_late(command)?;
                return Ok((None, false));
            }
            Command::PurgeRun(command) => {
                world.purge_run(command)?;
                return Ok((None, false));
            }
            Command::PutProbe(command) => {
                let created = world.put_probe(command)? == command.id;
                (Object::Other, created)
            }
            other => return self.execute_on(other, principal).map(|object| (object, false)),
        };
        Ok((Some(made.0), made.1))
    }

    /// Commands on what exists: on runs, or else on workers.
    #[allow(clippy::wildcard_enum_match_arm)]
    fn execute_on(&mut self, command: &Command, principal: Option<&Id>) -> Result<Option<Object>, Outcome> {
        let world = &mut self.world;
        match command {
            Command::StopRun(command) => world.stop_run(command),
            Command::QueueRun(command) => world.queue_run(command),
            Command::PlaceRun(command) => world.place_run(command),
            Command::BeginRun(command) => world.begin_run(command),
            Command::CompleteRun(command) => world.complete_run(command),
            Command::FailRun(command) => world.fail_run(command),
            Command::RejectRun(command) => world.reject_run(command),
            Command::AbandonAssignments(command) => world.abandon(command),
            Command::FireProbe(command) => {
                world.fire_probe(command)?;
                return Ok(Some(Object::Run(command.run.clone())));
            }
            Command::DeleteProbe(command) => {
                return Ok(world.delete_probe(command).map(|()| Some(Object::Other))?);
            }
            Command::PauseProbe(command) => {
                return Ok(world.pause_probe(command).map(|()| Some(Object::Other))?);
            }
            Command::SkipSlot(command) => {
                return Ok(world.skip_slot(command).map(|()| Some(Object::Other))?);
            }
            Command::EvaluateProbe(command) => {
                return Ok(world.evaluate_probe(command).map(|()| Some(Object::Other))?);
            }
            other => return self.execute_on_worker(other, principal),
        }?;
        Ok(about_run(command).cloned().map(Object::Run))
    }

    #[allow(clippy::wildcard_enum_match_arm)]
    fn execute_on_worker(
        &mut self,
        command: &Command,
        principal: Option<&Id>,
    ) -> Result<Option<Object>, Outcome> {
        let world = &mut self.world;
        let worker = match command {
            Command::ConnectWorker(command) => world.connect(command).map(|()| None),
            Command::DisconnectWorker(command) => world.disconnect(command).map(|()| None),
            Command::SetLink(command) => world.set_link(command).map(|()| None),
            Command::SetHealth(command) => world.set_health(command).map(|()| None),
            Command::ExpireToken(command) => world.expire_token(command).map(|()| None),
            Command::PurgeWorker(command) => world.purge_worker(command).map(|()| None),
            Command::SetDrain(command) => world.set_drain(command).map(|()| Some(&command.worker)),
            Command::PingWorker(command) => world.ping(command, principal).map(|()| Some(&command.worker)),
            Command::UnregisterWorker(command) => world
                .unregister(command, principal)
                .map(|()| Some(&command.worker)),
            Command::RegenerateToken(command) => {
                world.regenerate_token(command).map(|()| Some(&command.worker))
            }
            Command::DeleteWorker(command) => world.delete_worker(command).map(|()| Some(&command.worker)),
            other if is_beside(other) => return Err(Outcome::Beside),
            // Newer than this model: counted, so that the replay gives no verdict that it cannot give.
            _ => return Err(Outcome::Unknown),
        }?;
        Ok(worker.cloned().map(Object::Worker))
    }
}

/// How long the answer to a request that created nothing is remembered, ms.
const KEPT_MS: u64 = 3_600_000;

pub(super) enum Outcome {
    Refused(Refused),
    /// It changes nothing that is modelled here, or is refused; either way the revision is known only roughly.
    Beside,
    Unknown,
}

/// Projects, webhooks and what SIP endpoints need: no run, worker, test or key is another afterwards. Limits of projects, and
/// which accounts are free, are not modelled.
fn is_beside(command: &Command) -> bool {
    matches!(
        command,
        Command::PutProject(_)
            | Command::DeleteProject(_)
            | Command::AdjustCredits(_)
            | Command::PutWebhook(_)
            | Command::DeleteWebhook(_)
            | Command::RotateSecret(_)
            | Command::RecordDeliveries(_)
            | Command::ReplayDelivery(_)
            | Command::PauseWebhook(_)
            | Command::TestWebhook(_)
            | Command::PutRegistrar(_)
            | Command::DeleteRegistrar(_)
            | Command::PutAccounts(_)
            | Command::DeleteAccounts(_)
            | Command::PutMedia(_)
            | Command::DeleteMedia(_)
    )
}

impl From<Refused> for Outcome {
    fn from(why: Refused) -> Self {
        Self::Refused(why)
    }
}
