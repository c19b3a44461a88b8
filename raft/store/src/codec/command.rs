//! Bytes of envelopes and commands.

use std::sync::Arc;

use bytes::Bytes;
use reeve_proto::internal as wire;
use reeve_proto::internal::envelope::Command as Kind;
use reeve_proto::internal::report::Event;
use reeve_state::command as state;
use reeve_state::command::{Command, EndpointReport, Envelope, Placement, ReportEvent, RequestTag};
use reeve_state::id::{
    AssignmentEpoch, Incarnation, KeyHash, KeyId, NodeId, Revision, RunId, SessionEpoch, TestId, TokenHash,
    WorkerId,
};
use reeve_state::record::Explanation;
use reeve_state::time::Millis;
use reeve_state::transition::endpoint::{EndpointOutcome, EndpointPhase};

use super::enums::Numbered;
use super::record::{definition, project_name, project_text};
use super::{DecodeError, Wire, fixed, id_bytes, list, message, optional, protos, required, span};

impl Wire for Envelope {
    type Proto = wire::Envelope;

    fn to_proto(&self) -> Self::Proto {
        wire::Envelope {
            request: self.request.as_ref().map(Wire::to_proto),
            fence_term: self.fence_term,
            principal: self.principal.map(|key| id_bytes(key.as_bytes())),
            command: Some(command_to_proto(&self.command)),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let command = proto.command.ok_or(DecodeError::UnknownKind("command"))?;
        Ok(Self {
            request: optional(proto.request)?,
            fence_term: proto.fence_term,
            principal: proto.principal.as_ref().map(key_id).transpose()?,
            command: command_from_proto(command)?,
        })
    }
}

impl Wire for RequestTag {
    type Proto = wire::RequestTag;

    fn to_proto(&self) -> Self::Proto {
        wire::RequestTag {
            key: Some(self.key.to_proto()),
            hash: id_bytes(&self.hash),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: message("key", proto.key)?,
            hash: fixed("hash", &proto.hash)?,
        })
    }
}

fn command_to_proto(command: &Command) -> Kind {
    match command {
        Command::RaiseClusterVersion(c) => Kind::RaiseClusterVersion(c.to_proto()),
        Command::ApplyTest(c) => Kind::ApplyTest(c.to_proto()),
        Command::DeleteTest(c) => Kind::DeleteTest(c.to_proto()),
        Command::StartRun(c) => Kind::StartRun(c.to_proto()),
        Command::StopRun(c) => Kind::StopRun(c.to_proto()),
        Command::QueueRun(c) => Kind::QueueRun(c.to_proto()),
        Command::PlaceRun(c) => Kind::PlaceRun(c.to_proto()),
        Command::BeginRun(c) => Kind::BeginRun(c.to_proto()),
        Command::CompleteRun(c) => Kind::CompleteRun(c.to_proto()),
        Command::FailRun(c) => Kind::FailRun(c.to_proto()),
        Command::RejectRun(c) => Kind::RejectRun(c.to_proto()),
        Command::AbandonAssignments(c) => Kind::AbandonAssignments(c.to_proto()),
        Command::CreateWorker(c) => Kind::CreateWorker(c.to_proto()),
        Command::ConnectWorker(c) => Kind::ConnectWorker(c.to_proto()),
        Command::DisconnectWorker(c) => Kind::DisconnectWorker(c.to_proto()),
        Command::SetLink(c) => Kind::SetLink(c.to_proto()),
        Command::SetHealth(c) => Kind::SetHealth(c.to_proto()),
        Command::SetDrain(c) => Kind::SetDrain(c.to_proto()),
        Command::RegisterWorker(c) => Kind::RegisterWorker(c.to_proto()),
        Command::PingWorker(c) => Kind::PingWorker(c.to_proto()),
        Command::UnregisterWorker(c) => Kind::UnregisterWorker(c.to_proto()),
        Command::RegenerateToken(c) => Kind::RegenerateToken(c.to_proto()),
        Command::Report(c) => Kind::Report(c.to_proto()),
        Command::ExpireToken(c) => Kind::ExpireToken(c.to_proto()),
        Command::DeleteWorker(c) => Kind::DeleteWorker(c.to_proto()),
        Command::PurgeWorker(c) => Kind::PurgeWorker(c.to_proto()),
        Command::CreateKey(c) => Kind::CreateKey(c.to_proto()),
        Command::RevokeKey(c) => Kind::RevokeKey(c.to_proto()),
        Command::PutProbe(c) => Kind::PutProbe(c.to_proto()),
        Command::DeleteProbe(c) => Kind::DeleteProbe(c.to_proto()),
        Command::PauseProbe(c) => Kind::PauseProbe(c.to_proto()),
        Command::FireProbe(c) => Kind::FireProbe(c.to_proto()),
        Command::SkipSlot(c) => Kind::SkipSlot(c.to_proto()),
        Command::EvaluateProbe(c) => Kind::EvaluateProbe(c.to_proto()),
        Command::RecordChunk(c) => Kind::RecordChunk(c.to_proto()),
        Command::PurgeRun(c) => Kind::PurgeRun(c.to_proto()),
        Command::RecordSummary(c) => Kind::RecordSummary(c.to_proto()),
        Command::KeepLateReports(c) => Kind::KeepLateReports(c.to_proto()),
        Command::PutProject(c) => Kind::PutProject(c.to_proto()),
        Command::DeleteProject(c) => Kind::DeleteProject(c.to_proto()),
        Command::AdjustCredits(c) => Kind::AdjustCredits(c.to_proto()),
        Command::PutRegistrar(c) => Kind::PutRegistrar(c.to_proto()),
        Command::DeleteRegistrar(c) => Kind::DeleteRegistrar(c.to_proto()),
        Command::PutAccounts(c) => Kind::PutAccounts(c.to_proto()),
        Command::DeleteAccounts(c) => Kind::DeleteAccounts(c.to_proto()),
        Command::PutMedia(c) => Kind::PutMedia(c.to_proto()),
        Command::DeleteMedia(c) => Kind::DeleteMedia(c.to_proto()),
        Command::PutWebhook(c) => Kind::PutWebhook(c.to_proto()),
        Command::DeleteWebhook(c) => Kind::DeleteWebhook(c.to_proto()),
        Command::RotateSecret(c) => Kind::RotateSecret(c.to_proto()),
        Command::RecordDeliveries(c) => Kind::RecordDeliveries(c.to_proto()),
        Command::ReplayDelivery(c) => Kind::ReplayDelivery(c.to_proto()),
        Command::PauseWebhook(c) => Kind::PauseWebhook(c.to_proto()),
        Command::TestWebhook(c) => Kind::TestWebhook(c.to_proto()),
    }
}

fn command_from_proto(kind: Kind) -> Result<Command, DecodeError> {
    Ok(match kind {
        Kind::RaiseClusterVersion(c) => Command::RaiseClusterVersion(Wire::from_proto(c)?),
        Kind::ApplyTest(c) => Command::ApplyTest(Wire::from_proto(c)?),
        Kind::DeleteTest(c) => Command::DeleteTest(Wire::from_proto(c)?),
        Kind::StartRun(c) => Command::StartRun(Wire::from_proto(c)?),
        Kind::StopRun(c) => Command::StopRun(Wire::from_proto(c)?),
        Kind::QueueRun(c) => Command::QueueRun(Wire::from_proto(c)?),
        Kind::PlaceRun(c) => Command::PlaceRun(Wire::from_proto(c)?),
        Kind::BeginRun(c) => Command::BeginRun(Wire::from_proto(c)?),
        Kind::CompleteRun(c) => Command::CompleteRun(Wire::from_proto(c)?),
        Kind::FailRun(c) => Command::FailRun(Wire::from_proto(c)?),
        Kind::RejectRun(c) => Command::RejectRun(Wire::from_proto(c)?),
        Kind::AbandonAssignments(c) => Command::AbandonAssignments(Wire::from_proto(c)?),
        Kind::CreateWorker(c) => Command::CreateWorker(Wire::from_proto(c)?),
        Kind::ConnectWorker(c) => Command::ConnectWorker(Wire::from_proto(c)?),
        Kind::DisconnectWorker(c) => Command::DisconnectWorker(Wire::from_proto(c)?),
        Kind::SetLink(c) => Command::SetLink(Wire::from_proto(c)?),
        Kind::SetHealth(c) => Command::SetHealth(Wire::from_proto(c)?),
        Kind::SetDrain(c) => Command::SetDrain(Wire::from_proto(c)?),
        Kind::RegisterWorker(c) => Command::RegisterWorker(Wire::from_proto(c)?),
        Kind::PingWorker(c) => Command::PingWorker(Wire::from_proto(c)?),
        Kind::UnregisterWorker(c) => Command::UnregisterWorker(Wire::from_proto(c)?),
        Kind::RegenerateToken(c) => Command::RegenerateToken(Wire::from_proto(c)?),
        Kind::Report(c) => Command::Report(Wire::from_proto(c)?),
        Kind::ExpireToken(c) => Command::ExpireToken(Wire::from_proto(c)?),
        Kind::DeleteWorker(c) => Command::DeleteWorker(Wire::from_proto(c)?),
        Kind::PurgeWorker(c) => Command::PurgeWorker(Wire::from_proto(c)?),
        Kind::CreateKey(c) => Command::CreateKey(Wire::from_proto(c)?),
        Kind::RevokeKey(c) => Command::RevokeKey(Wire::from_proto(c)?),
        Kind::PutProbe(c) => Command::PutProbe(Wire::from_proto(c)?),
        Kind::DeleteProbe(c) => Command::DeleteProbe(Wire::from_proto(c)?),
        Kind::PauseProbe(c) => Command::PauseProbe(Wire::from_proto(c)?),
        Kind::FireProbe(c) => Command::FireProbe(Wire::from_proto(c)?),
        Kind::SkipSlot(c) => Command::SkipSlot(Wire::from_proto(c)?),
        Kind::EvaluateProbe(c) => Command::EvaluateProbe(Wire::from_proto(c)?),
        Kind::RecordChunk(c) => Command::RecordChunk(Wire::from_proto(c)?),
        Kind::PurgeRun(c) => Command::PurgeRun(Wire::from_proto(c)?),
        Kind::RecordSummary(c) => Command::RecordSummary(Wire::from_proto(c)?),
        Kind::KeepLateReports(c) => Command::KeepLateReports(Wire::from_proto(c)?),
        Kind::PutProject(c) => Command::PutProject(Wire::from_proto(c)?),
        Kind::DeleteProject(c) => Command::DeleteProject(Wire::from_proto(c)?),
        Kind::AdjustCredits(c) => Command::AdjustCredits(Wire::from_proto(c)?),
        Kind::PutRegistrar(c) => Command::PutRegistrar(Wire::from_proto(c)?),
        Kind::DeleteRegistrar(c) => Command::DeleteRegistrar(Wire::from_proto(c)?),
        Kind::PutAccounts(c) => Command::PutAccounts(Wire::from_proto(c)?),
        Kind::DeleteAccounts(c) => Command::DeleteAccounts(Wire::from_proto(c)?),
        Kind::PutMedia(c) => Command::PutMedia(Wire::from_proto(c)?),
        Kind::DeleteMedia(c) => Command::DeleteMedia(Wire::from_proto(c)?),
        Kind::PutWebhook(c) => Command::PutWebhook(Wire::from_proto(c)?),
        Kind::DeleteWebhook(c) => Command::DeleteWebhook(Wire::from_proto(c)?),
        Kind::RotateSecret(c) => Command::RotateSecret(Wire::from_proto(c)?),
        Kind::RecordDeliveries(c) => Command::RecordDeliveries(Wire::from_proto(c)?),
        Kind::ReplayDelivery(c) => Command::ReplayDelivery(Wire::from_proto(c)?),
        Kind::PauseWebhook(c) => Command::PauseWebhook(Wire::from_proto(c)?),
        Kind::TestWebhook(c) => Command::TestWebhook(Wire::from_proto(c)?),
    })
}

fn run_id(bytes: &Bytes) -> Result<RunId, DecodeError> {
    Ok(RunId::from_bytes(fixed("run", bytes)?))
}

fn test_id(bytes: &Bytes) -> Result<TestId, DecodeError> {
    Ok(TestId::from_bytes(fixed("test", bytes)?))
}

fn worker_id(bytes: &Bytes) -> Result<WorkerId, DecodeError> {
    Ok(WorkerId::from_bytes(fixed("worker", bytes)?))
}

fn key_id(bytes: &Bytes) -> Result<KeyId, DecodeError> {
    Ok(KeyId::from_bytes(fixed("key", bytes)?))
}

/// One `impl Wire`: the message's fields from `$c`, the command's fields from `$p`.
macro_rules! wire {
    ($state:ty, $proto:ident, |$c:ident| { $($to:tt)* }, |$p:ident| { $($from:tt)* }) => {
        impl Wire for $state {
            type Proto = wire::$proto;

            fn to_proto(&self) -> Self::Proto {
                let $c = self;
                wire::$proto { $($to)* }
            }

            fn from_proto($p: Self::Proto) -> Result<Self, DecodeError> {
                Ok(Self { $($from)* })
            }
        }
    };
}

wire!(state::RaiseClusterVersion, RaiseClusterVersion,
    |c| { version: c.version },
    |p| { version: p.version });

wire!(state::ApplyTest, ApplyTest,
|c| {
    id: id_bytes(c.id.as_bytes()),
    definition: Some(c.definition.to_proto()),
    mode: c.mode.number(),
    project: project_text(&c.project),
},
|p| {
    id: test_id(&p.id)?,
    definition: definition(p.definition)?,
    mode: Numbered::numbered("mode", p.mode)?,
    project: project_name(&p.project),
});

wire!(state::DeleteTest, DeleteTest,
    |c| { test: id_bytes(c.test.as_bytes()) },
    |p| { test: test_id(&p.test)? });

wire!(state::StartRun, StartRun,
    |c| { run: id_bytes(c.run.as_bytes()), test: id_bytes(c.test.as_bytes()) },
    |p| { run: run_id(&p.run)?, test: test_id(&p.test)? });

wire!(state::StopRun, StopRun,
    |c| { run: id_bytes(c.run.as_bytes()), grace_ms: c.grace.0 },
    |p| { run: run_id(&p.run)?, grace: span(p.grace_ms) });

wire!(state::QueueRun, QueueRun,
    |c| { run: id_bytes(c.run.as_bytes()), revision: c.revision.0 },
    |p| { run: run_id(&p.run)?, revision: Revision(p.revision) });

wire!(Placement, Placement,
    |c| { worker: id_bytes(c.worker.as_bytes()), group: c.group, first: c.first, count: c.count },
    |p| { worker: worker_id(&p.worker)?, group: p.group, first: p.first, count: p.count });

wire!(state::PlaceRun, PlaceRun,
|c| {
    run: id_bytes(c.run.as_bytes()),
    revision: c.revision.0,
    withdraw: c.withdraw.clone(),
    placements: protos(&c.placements),
    ready_timeout_ms: c.ready_timeout.0,
},
|p| {
    run: run_id(&p.run)?,
    revision: Revision(p.revision),
    withdraw: p.withdraw,
    placements: list(p.placements)?,
    ready_timeout: span(p.ready_timeout_ms),
});

wire!(state::BeginRun, BeginRun,
    |c| { run: id_bytes(c.run.as_bytes()), revision: c.revision.0, start_delay_ms: c.start_delay.0 },
    |p| { run: run_id(&p.run)?, revision: Revision(p.revision), start_delay: span(p.start_delay_ms) });

wire!(state::CompleteRun, CompleteRun,
    |c| { run: id_bytes(c.run.as_bytes()), revision: c.revision.0 },
    |p| { run: run_id(&p.run)?, revision: Revision(p.revision) });

wire!(state::FailRun, FailRun,
|c| {
    run: id_bytes(c.run.as_bytes()),
    revision: c.revision.0,
    reason: Some(c.reason.to_proto()),
    outcome: c.outcome.number(),
},
|p| {
    run: run_id(&p.run)?,
    revision: Revision(p.revision),
    reason: message("reason", p.reason)?,
    outcome: Numbered::numbered("outcome", p.outcome)?,
});

wire!(state::RejectRun, RejectRun,
|c| {
    run: id_bytes(c.run.as_bytes()),
    revision: c.revision.0,
    reason: Some(c.reason.to_proto()),
    explanation: c.explanation.as_ref().map(|explanation| explanation.to_proto()),
},
|p| {
    run: run_id(&p.run)?,
    revision: Revision(p.revision),
    reason: message("reason", p.reason)?,
    explanation: optional::<Explanation>(p.explanation)?.map(Arc::new),
});

wire!(state::AbandonAssignments, AbandonAssignments,
|c| {
    run: id_bytes(c.run.as_bytes()),
    revision: c.revision.0,
    ordinals: c.ordinals.clone(),
    detail: c.detail.clone(),
},
|p| {
    run: run_id(&p.run)?,
    revision: Revision(p.revision),
    ordinals: p.ordinals,
    detail: p.detail,
});

wire!(state::CreateWorker, CreateWorker,
|c| {
    id: id_bytes(c.id.as_bytes()),
    name: c.name.clone(),
    kind: c.kind.number(),
    profile: c.profile.number(),
    region: c.region.clone(),
    labels: c.labels.clone(),
    capacity: c.capacity,
    token_hash: id_bytes(&c.token_hash.0),
    token_ttl_ms: c.token_ttl.map(|span| span.0),
},
|p| {
    id: worker_id(&p.id)?,
    name: p.name,
    kind: Numbered::numbered("kind", p.kind)?,
    profile: Numbered::numbered("profile", p.profile)?,
    region: p.region,
    labels: p.labels,
    capacity: p.capacity,
    token_hash: TokenHash(fixed("token_hash", &p.token_hash)?),
    token_ttl: p.token_ttl_ms.map(Millis),
});

wire!(state::ConnectWorker, ConnectWorker,
|c| {
    token_hash: id_bytes(&c.token_hash.0),
    node: c.node.0,
    incarnation: id_bytes(&c.incarnation.0),
    capacity: c.capacity,
    sip_capacity: c.sip_capacity,
    health: protos(&c.health),
    held: held_to_proto(&c.held),
    draining_ms: c.draining.map(|span| span.0),
    version: c.version.clone(),
    attempt: c.attempt,
},
|p| {
    token_hash: TokenHash(fixed("token_hash", &p.token_hash)?),
    node: NodeId(p.node),
    incarnation: Incarnation(fixed("incarnation", &p.incarnation)?),
    capacity: p.capacity,
    sip_capacity: p.sip_capacity,
    health: list(p.health)?,
    held: held_from_proto(p.held)?,
    draining: p.draining_ms.map(Millis),
    version: p.version,
    attempt: p.attempt,
});

wire!(state::RegisterWorker, RegisterWorker,
|c| {
    id: id_bytes(c.id.as_bytes()),
    name: c.name.clone(),
    version: c.version.clone(),
    ip_address: c.ip_address.clone(),
    function_blocks: c.function_blocks.iter().cloned().collect(),
    region: c.region.clone(),
    labels: c.labels.clone(),
    capacity: c.capacity,
},
|p| {
    id: worker_id(&p.id)?,
    name: p.name,
    version: p.version,
    ip_address: p.ip_address,
    function_blocks: p.function_blocks.into_iter().collect(),
    region: p.region,
    labels: p.labels,
    capacity: p.capacity,
});

wire!(state::PingWorker, PingWorker,
    |c| { worker: id_bytes(c.worker.as_bytes()), node: c.node.0, health: protos(&c.health) },
    |p| { worker: worker_id(&p.worker)?, node: NodeId(p.node), health: list(p.health)? });

wire!(state::UnregisterWorker, UnregisterWorker,
    |c| { worker: id_bytes(c.worker.as_bytes()) },
    |p| { worker: worker_id(&p.worker)? });

wire!(state::RegenerateToken, RegenerateToken,
|c| {
    worker: id_bytes(c.worker.as_bytes()),
    token_hash: id_bytes(&c.token_hash.0),
    token_ttl_ms: c.token_ttl.map(|span| span.0),
},
|p| {
    worker: worker_id(&p.worker)?,
    token_hash: TokenHash(fixed("token_hash", &p.token_hash)?),
    token_ttl: p.token_ttl_ms.map(Millis),
});

wire!(state::ExpireToken, ExpireToken,
    |c| { worker: id_bytes(c.worker.as_bytes()) },
    |p| { worker: worker_id(&p.worker)? });

wire!(state::DeleteWorker, DeleteWorker,
    |c| { worker: id_bytes(c.worker.as_bytes()), offline_for_ms: c.offline_for.map(|span| span.0), force: c.force },
    |p| { worker: worker_id(&p.worker)?, offline_for: p.offline_for_ms.map(Millis), force: p.force });

wire!(state::PurgeWorker, PurgeWorker,
    |c| { worker: id_bytes(c.worker.as_bytes()), retention_ms: c.retention.0 },
    |p| { worker: worker_id(&p.worker)?, retention: span(p.retention_ms) });

wire!(state::CreateKey, CreateKey,
|c| {
    id: id_bytes(c.id.as_bytes()),
    name: c.name.clone(),
    role: c.role.number(),
    project: c.project.clone(),
    hash: id_bytes(&c.hash.0),
    ttl_ms: c.ttl.map(|span| span.0),
    bootstrap: c.bootstrap,
},
|p| {
    id: key_id(&p.id)?,
    name: p.name,
    role: Numbered::numbered("role", p.role)?,
    project: p.project,
    hash: KeyHash(fixed("hash", &p.hash)?),
    ttl: p.ttl_ms.map(Millis),
    bootstrap: p.bootstrap,
});

wire!(state::RevokeKey, RevokeKey,
    |c| { key: id_bytes(c.key.as_bytes()) },
    |p| { key: key_id(&p.key)? });

wire!(state::DisconnectWorker, DisconnectWorker,
    |c| { worker: id_bytes(c.worker.as_bytes()), epoch: c.epoch.0, reason: c.reason.clone() },
    |p| { worker: worker_id(&p.worker)?, epoch: SessionEpoch(p.epoch), reason: p.reason });

wire!(state::SetLink, SetLink,
|c| {
    worker: id_bytes(c.worker.as_bytes()),
    epoch: c.epoch.0,
    link: c.link.number(),
    reason: c.reason.clone(),
},
|p| {
    worker: worker_id(&p.worker)?,
    epoch: SessionEpoch(p.epoch),
    link: Numbered::numbered("link", p.link)?,
    reason: p.reason,
});

wire!(state::SetHealth, SetHealth,
    |c| { worker: id_bytes(c.worker.as_bytes()), epoch: c.epoch.0, issues: protos(&c.issues) },
    |p| { worker: worker_id(&p.worker)?, epoch: SessionEpoch(p.epoch), issues: list(p.issues)? });

wire!(state::DrainOrder, DrainOrder,
|c| {
    actor: Some(c.actor.to_proto()),
    reason: c.reason.clone(),
    timeout_ms: c.timeout.0,
    then: c.then.number(),
},
|p| {
    actor: message("actor", p.actor)?,
    reason: p.reason,
    timeout: span(p.timeout_ms),
    then: Numbered::numbered("then", p.then)?,
});

wire!(state::SetDrain, SetDrain,
    |c| { worker: id_bytes(c.worker.as_bytes()), drain: c.drain.as_ref().map(Wire::to_proto) },
    |p| { worker: worker_id(&p.worker)?, drain: optional(p.drain)? });

wire!(state::Report, Report,
|c| {
    worker: id_bytes(c.worker.as_bytes()),
    run: id_bytes(c.run.as_bytes()),
    epoch: c.epoch.0,
    seq: c.seq,
    event: Some(event_to_proto(&c.event)),
},
|p| {
    worker: worker_id(&p.worker)?,
    run: run_id(&p.run)?,
    epoch: AssignmentEpoch(p.epoch),
    seq: p.seq,
    event: event_from_proto(p.event)?,
});

wire!(state::KeepLateReports, KeepLateReports,
|c| {
    worker: id_bytes(c.worker.as_bytes()),
    run: id_bytes(c.run.as_bytes()),
    epoch: c.epoch.0,
    reports: Some(progress_to_proto(&c.reports)),
},
|p| {
    worker: worker_id(&p.worker)?,
    run: run_id(&p.run)?,
    epoch: AssignmentEpoch(p.epoch),
    reports: progress_from_proto(&required("reports", p.reports)?)?,
});

fn held_to_proto(held: &[(RunId, AssignmentEpoch)]) -> Vec<wire::HeldAssignment> {
    held.iter()
        .map(|(run, epoch)| wire::HeldAssignment {
            run: id_bytes(run.as_bytes()),
            epoch: epoch.0,
        })
        .collect()
}

fn held_from_proto(held: Vec<wire::HeldAssignment>) -> Result<Vec<(RunId, AssignmentEpoch)>, DecodeError> {
    held.into_iter()
        .map(|one| Ok((run_id(&one.run)?, AssignmentEpoch(one.epoch))))
        .collect()
}

fn event_to_proto(event: &ReportEvent) -> Event {
    match event {
        ReportEvent::Ready => Event::Ready(wire::Empty {}),
        ReportEvent::NotReady { reason } => Event::NotReady(reason.clone()),
        ReportEvent::Progress(reports) => Event::Progress(progress_to_proto(reports)),
        ReportEvent::StartedLate { by } => Event::StartedLateMs(by.0),
        ReportEvent::Closed => Event::Closed(wire::Empty {}),
    }
}

pub(super) fn progress_to_proto(reports: &[EndpointReport]) -> wire::Progress {
    wire::Progress {
        offsets: reports.iter().map(|report| report.offset).collect(),
        phases: reports.iter().map(|report| report.phase as u8).collect(),
        outcomes: reports
            .iter()
            .map(|report| report.outcome.map_or(0, |outcome| outcome as u8))
            .collect(),
    }
}

fn event_from_proto(event: Option<Event>) -> Result<ReportEvent, DecodeError> {
    match event.ok_or(DecodeError::UnknownKind("event of a report"))? {
        Event::Ready(wire::Empty {}) => Ok(ReportEvent::Ready),
        Event::NotReady(reason) => Ok(ReportEvent::NotReady { reason }),
        Event::Progress(progress) => Ok(ReportEvent::Progress(progress_from_proto(&progress)?)),
        Event::StartedLateMs(by) => Ok(ReportEvent::StartedLate { by: Millis(by) }),
        Event::Closed(wire::Empty {}) => Ok(ReportEvent::Closed),
    }
}

pub(super) fn progress_from_proto(progress: &wire::Progress) -> Result<Vec<EndpointReport>, DecodeError> {
    let count = progress.offsets.len();
    if progress.phases.len() != count || progress.outcomes.len() != count {
        return Err(DecodeError::Inconsistent(
            "the lists of a progress report differ in length",
        ));
    }
    let bytes = progress.phases.iter().zip(&progress.outcomes);
    progress
        .offsets
        .iter()
        .zip(bytes)
        .map(|(offset, (phase, outcome))| endpoint(*offset, *phase, *outcome))
        .collect()
}

fn endpoint(offset: u32, phase: u8, outcome: u8) -> Result<EndpointReport, DecodeError> {
    let phase = EndpointPhase::from_byte(phase).ok_or(DecodeError::Unknown {
        field: "phases",
        value: u64::from(phase),
    })?;
    let outcome = match outcome {
        0 => None,
        byte => Some(EndpointOutcome::from_byte(byte).ok_or(DecodeError::Unknown {
            field: "outcomes",
            value: u64::from(byte),
        })?),
    };
    Ok(EndpointReport {
        offset,
        phase,
        outcome,
    })
}
