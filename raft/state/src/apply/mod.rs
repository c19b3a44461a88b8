//! `apply`: the one place where truth changes. One file per concern; every command ends in one function there.

mod access;
mod assignment;
mod drain;
mod evidence;
mod history;
mod key;
mod outbox;
mod probe;
mod project;
mod registry;
mod request;
mod run;
mod scope;
mod sip;
mod test;
mod tx;
mod webhook;
mod worker;

use crate::change::Change;
use crate::command::{Applied, Command, EntryMeta, Envelope, RaiseClusterVersion, Refusal, Reply};
use crate::id::Revision;
use crate::mutant::{self, Mutant};
use crate::state::{KNOWN_CLUSTER_VERSION, State};
use access::Actor;
use tx::Tx;

/// What applying one command gave: the answer, and the rows that changed (none if it was refused).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The answer.
    pub applied: Applied,
    /// The rows that changed, each once.
    pub changes: Vec<Change>,
}

/// Applies one command of an entry.
///
/// A refused command changes nothing but cluster time, which every entry carries forward. Each command is atomic by
/// itself: its neighbours in the entry do not see that it was refused.
pub fn apply(state: &mut State, entry: &EntryMeta, envelope: &Envelope) -> Step {
    state.meta.cluster_time = state.meta.cluster_time.max(entry.stamp);
    let answered = fenced(state, entry, envelope)
        .or_else(|| forbidden(state, envelope))
        .or_else(|| request::replayed(state, envelope));
    if let Some(applied) = answered {
        return Step {
            applied,
            changes: Vec::new(),
        };
    }
    let actor = Actor::of(state, envelope);
    let mut tx = Tx::begin(state, actor, envelope.principal);
    let result = execute(&mut tx, envelope)
        .and_then(|reply| request::remember(&mut tx, envelope, &reply).map(|()| reply));
    match result {
        Ok(reply) => {
            let (revision, changes) = tx.commit();
            Step {
                applied: Applied {
                    revision,
                    result: Ok(reply),
                },
                changes,
            }
        }
        Err(refusal) => {
            tx.roll_back();
            Step {
                applied: refused(state.meta.revision, refusal),
                changes: Vec::new(),
            }
        }
    }
}

fn refused(revision: Revision, refusal: Refusal) -> Applied {
    Applied {
        revision,
        result: Err(refusal),
    }
}

fn forbidden(state: &State, envelope: &Envelope) -> Option<Applied> {
    let refusal = access::check(state, envelope).err()?;
    Some(refused(state.meta.revision, refusal))
}

fn fenced(state: &State, entry: &EntryMeta, envelope: &Envelope) -> Option<Applied> {
    if mutant::is(Mutant::NoFence) {
        return None;
    }
    let fence_term = envelope.fence_term.filter(|term| *term != entry.term)?;
    Some(refused(
        state.meta.revision,
        Refusal::StaleTerm {
            fence_term,
            term: entry.term,
        },
    ))
}

fn execute(tx: &mut Tx<'_>, envelope: &Envelope) -> Result<Reply, Refusal> {
    let created_by = envelope.request.as_ref().map(|tag| tag.key.clone());
    match &envelope.command {
        Command::RaiseClusterVersion(command) => raise_cluster_version(tx, command),
        Command::ApplyTest(command) => test::apply(tx, command, created_by),
        Command::DeleteTest(command) => test::delete(tx, command),
        Command::StartRun(command) => run::start(tx, command, created_by),
        Command::StopRun(command) => run::stop(tx, command),
        Command::QueueRun(command) => run::queue(tx, command),
        Command::PlaceRun(command) => run::place(tx, command),
        Command::BeginRun(command) => run::begin(tx, command),
        Command::CompleteRun(command) => run::complete(tx, command),
        Command::FailRun(command) => run::fail(tx, command),
        Command::RejectRun(command) => run::reject(tx, command),
        Command::AbandonAssignments(command) => run::abandon(tx, command),
        Command::CreateWorker(command) => worker::create(tx, command, created_by),
        Command::ConnectWorker(command) => worker::connect(tx, command),
        Command::DisconnectWorker(command) => worker::disconnect(tx, command),
        Command::SetLink(command) => worker::set_link(tx, command),
        Command::SetHealth(command) => worker::set_health(tx, command),
        Command::SetDrain(command) => drain::set(tx, command),
        Command::RegisterWorker(command) => registry::register(tx, command, created_by),
        Command::PingWorker(command) => registry::ping(tx, command),
        Command::UnregisterWorker(command) => registry::unregister(tx, command),
        Command::RegenerateToken(command) => registry::regenerate_token(tx, command),
        Command::Report(command) => assignment::report(tx, command),
        Command::ExpireToken(command) => registry::expire_token(tx, command),
        Command::DeleteWorker(command) => registry::delete(tx, command),
        Command::PurgeWorker(command) => registry::purge(tx, command),
        Command::CreateKey(command) => key::create(tx, command, created_by),
        Command::RevokeKey(command) => key::revoke(tx, command),
        Command::PutProbe(command) => probe::put(tx, command, created_by),
        Command::DeleteProbe(command) => probe::delete(tx, command),
        Command::PauseProbe(command) => probe::pause(tx, command),
        Command::FireProbe(command) => probe::fire(tx, command),
        Command::SkipSlot(command) => probe::skip(tx, command),
        Command::EvaluateProbe(command) => probe::evaluate(tx, command),
        Command::RecordChunk(command) => evidence::record_chunk(tx, command),
        Command::PurgeRun(command) => evidence::purge_run(tx, command),
        Command::RecordSummary(command) => evidence::record_summary(tx, command),
        Command::KeepLateReports(command) => assignment::keep_late(tx, command),
        Command::PutProject(command) => project::put(tx, command, created_by),
        Command::DeleteProject(command) => project::delete(tx, command),
        Command::AdjustCredits(command) => project::adjust(tx, command),
        Command::PutRegistrar(command) => sip::put_registrar(tx, command, created_by),
        Command::DeleteRegistrar(command) => sip::delete_registrar(tx, command),
        Command::PutAccounts(command) => sip::put_accounts(tx, command),
        Command::DeleteAccounts(command) => sip::delete_accounts(tx, command),
        Command::PutMedia(command) => sip::put_media(tx, command, created_by),
        Command::DeleteMedia(command) => sip::delete_media(tx, command),
        Command::PutWebhook(command) => webhook::put(tx, command, created_by),
        Command::DeleteWebhook(command) => webhook::delete(tx, command),
        Command::RotateSecret(command) => webhook::rotate(tx, command),
        Command::RecordDeliveries(command) => outbox::record(tx, command),
        Command::ReplayDelivery(command) => webhook::replay(tx, command),
        Command::PauseWebhook(command) => webhook::pause(tx, command),
        Command::TestWebhook(command) => webhook::test(tx, command),
    }
}

fn raise_cluster_version(tx: &mut Tx<'_>, command: &RaiseClusterVersion) -> Result<Reply, Refusal> {
    let in_force = tx.state().meta.cluster_version;
    if command.version < in_force || command.version > KNOWN_CLUSTER_VERSION {
        return Err(Refusal::ClusterVersion {
            version: command.version,
            in_force,
            known: KNOWN_CLUSTER_VERSION,
        });
    }
    tx.raise_cluster_version(command.version);
    Ok(Reply::Done)
}
