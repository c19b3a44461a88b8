//! Bytes of answers, for followers that handed a command on.

use reeve_proto::internal as wire;
use reeve_proto::internal::placement_fault as fault;
use reeve_proto::internal::refusal as refused;
use reeve_state::command::{
    Applied, FieldViolation, ObjectKind, PlacementFault, Refusal, Reply, Resumed, SessionGrant,
};
use reeve_state::id::{AssignmentEpoch, ProbeId, ProjectName, Revision, RunId, SessionEpoch, WorkerId};
use reeve_state::time::Time;

use super::enums::Numbered;
use super::{DecodeError, Wire, fixed, id_bytes, list, message, protos};

impl Wire for Applied {
    type Proto = wire::Applied;

    fn to_proto(&self) -> Self::Proto {
        let result = match &self.result {
            Ok(reply) => wire::applied::Result::Reply(reply.to_proto()),
            Err(refusal) => wire::applied::Result::Refusal(refusal.to_proto()),
        };
        wire::Applied {
            revision: self.revision.0,
            result: Some(result),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let result = match proto.result.ok_or(DecodeError::UnknownKind("result"))? {
            wire::applied::Result::Reply(reply) => Ok(Reply::from_proto(reply)?),
            wire::applied::Result::Refusal(refusal) => Err(Refusal::from_proto(refusal)?),
        };
        Ok(Self {
            revision: Revision(proto.revision),
            result,
        })
    }
}

impl Wire for Reply {
    type Proto = wire::Reply;

    fn to_proto(&self) -> Self::Proto {
        use wire::reply::Reply as Kind;
        let reply = match self {
            Self::Done => Kind::Done(wire::Empty {}),
            Self::Object {
                object,
                created,
                replayed,
            } => Kind::Object(wire::ObjectReply {
                object: Some(object.to_proto()),
                created: *created,
                replayed: *replayed,
            }),
            Self::Session(grant) => Kind::Session(grant.to_proto()),
            Self::Reported { acked_seq } => Kind::Reported(*acked_seq),
        };
        wire::Reply { reply: Some(reply) }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use wire::reply::Reply as Kind;
        Ok(match proto.reply.ok_or(DecodeError::UnknownKind("reply"))? {
            Kind::Done(wire::Empty {}) => Self::Done,
            Kind::Object(reply) => Self::Object {
                object: message("object", reply.object)?,
                created: reply.created,
                replayed: reply.replayed,
            },
            Kind::Session(grant) => Self::Session(SessionGrant::from_proto(grant)?),
            Kind::Reported(acked_seq) => Self::Reported { acked_seq },
        })
    }
}

impl Wire for SessionGrant {
    type Proto = wire::SessionGrant;

    fn to_proto(&self) -> Self::Proto {
        wire::SessionGrant {
            worker: id_bytes(self.worker.as_bytes()),
            epoch: self.epoch.0,
            resumed: protos(&self.resumed),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            worker: worker_id(&proto.worker)?,
            epoch: SessionEpoch(proto.epoch),
            resumed: list(proto.resumed)?,
        })
    }
}

impl Wire for Resumed {
    type Proto = wire::Resumed;

    fn to_proto(&self) -> Self::Proto {
        wire::Resumed {
            run: id_bytes(self.run.as_bytes()),
            epoch: self.epoch.0,
            acked_seq: self.acked_seq,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let run = run_id(&proto.run)?;
        Ok(Self {
            run,
            epoch: AssignmentEpoch(proto.epoch),
            acked_seq: proto.acked_seq,
        })
    }
}

impl Wire for FieldViolation {
    type Proto = wire::FieldViolation;

    fn to_proto(&self) -> Self::Proto {
        wire::FieldViolation {
            field: self.field.clone(),
            rule: self.rule.clone(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            field: proto.field,
            rule: proto.rule,
        })
    }
}

impl Wire for PlacementFault {
    type Proto = wire::PlacementFault;

    fn to_proto(&self) -> Self::Proto {
        use fault::Fault;
        let fault = match self {
            Self::UnknownWorker(worker) => Fault::UnknownWorker(id_bytes(worker.as_bytes())),
            Self::NotOnline { worker, status } => Fault::NotOnline(fault::NotOnline {
                worker: id_bytes(worker.as_bytes()),
                status: status.number(),
            }),
            Self::SelectorMismatch { worker, group } => Fault::SelectorMismatch(fault::SelectorMismatch {
                worker: id_bytes(worker.as_bytes()),
                group: *group,
            }),
            Self::CapacityExceeded { worker, free, asked } => {
                Fault::CapacityExceeded(fault::CapacityExceeded {
                    worker: id_bytes(worker.as_bytes()),
                    free: *free,
                    asked: *asked,
                })
            }
            Self::NotCovered { group } => Fault::NotCovered(*group),
            Self::NotWithdrawable { ordinal } => Fault::NotWithdrawable(*ordinal),
        };
        wire::PlacementFault { fault: Some(fault) }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        use fault::Fault;
        Ok(
            match proto.fault.ok_or(DecodeError::UnknownKind("placement fault"))? {
                Fault::UnknownWorker(worker) => Self::UnknownWorker(worker_id(&worker)?),
                Fault::NotOnline(f) => Self::NotOnline {
                    worker: worker_id(&f.worker)?,
                    status: Numbered::numbered("status", f.status)?,
                },
                Fault::SelectorMismatch(f) => Self::SelectorMismatch {
                    worker: worker_id(&f.worker)?,
                    group: f.group,
                },
                Fault::CapacityExceeded(f) => Self::CapacityExceeded {
                    worker: worker_id(&f.worker)?,
                    free: f.free,
                    asked: f.asked,
                },
                Fault::NotCovered(group) => Self::NotCovered { group },
                Fault::NotWithdrawable(ordinal) => Self::NotWithdrawable { ordinal },
            },
        )
    }
}

impl Wire for Refusal {
    type Proto = wire::Refusal;

    fn to_proto(&self) -> Self::Proto {
        wire::Refusal {
            refusal: Some(refusal_to_proto(self)),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        refusal_from_proto(proto.refusal.ok_or(DecodeError::UnknownKind("refusal"))?)
    }
}

fn refusal_to_proto(refusal: &Refusal) -> refused::Refusal {
    use refused::Refusal as Kind;
    match refusal {
        Refusal::NotFound { kind, id } => Kind::NotFound(refused::NotFound {
            kind: kind.number(),
            id: id.clone(),
        }),
        Refusal::AlreadyExists { kind, name } => Kind::AlreadyExists(refused::AlreadyExists {
            kind: kind.number(),
            name: name.clone(),
        }),
        Refusal::RequestIdReused { request_id } => Kind::RequestIdReused(request_id.clone()),
        Refusal::Invalid { violations } => Kind::Invalid(refused::Invalid {
            violations: protos(violations),
        }),
        Refusal::WrongStatus {
            kind,
            id,
            status,
            allowed,
        } => Kind::WrongStatus(refused::WrongStatus {
            kind: kind.number(),
            id: id.clone(),
            status: status.clone(),
            allowed: allowed.clone(),
        }),
        Refusal::TestInUse { id, runs } => Kind::TestInUse(refused::TestInUse {
            id: id.clone(),
            runs: *runs,
        }),
        Refusal::Stale {
            kind,
            id,
            planned,
            actual,
        } => Kind::Stale(refused::Stale {
            kind: kind.number(),
            id: id.clone(),
            planned: planned.0,
            actual: actual.0,
        }),
        Refusal::StaleTerm { fence_term, term } => Kind::StaleTerm(refused::StaleTerm {
            fence_term: *fence_term,
            term: *term,
        }),
        Refusal::SessionOver { worker, epoch } => Kind::SessionOver(refused::SessionOver {
            worker: id_bytes(worker.as_bytes()),
            epoch: epoch.0,
        }),
        Refusal::TokenRejected => Kind::TokenRejected(wire::Empty {}),
        Refusal::TokenExpired { worker } => Kind::TokenExpired(id_bytes(worker.as_bytes())),
        Refusal::KeyRejected { reason } => Kind::KeyRejected(reason.number()),
        Refusal::RoleTooLow { role, needs } => Kind::RoleTooLow(refused::RoleTooLow {
            role: role.number(),
            needs: needs.number(),
        }),
        Refusal::KeysExist => Kind::KeysExist(wire::Empty {}),
        Refusal::LastAdminKey { id } => Kind::LastAdminKey(id.clone()),
        Refusal::WorkerBusy { worker, assignments } => Kind::WorkerBusy(refused::WorkerBusy {
            worker: id_bytes(worker.as_bytes()),
            assignments: *assignments,
        }),
        Refusal::WorkerOfAnotherKey { worker } => Kind::WorkerOfAnotherKey(id_bytes(worker.as_bytes())),
        Refusal::OverPlan(fault) => Kind::OverPlan(fault.to_proto()),
        Refusal::SipUnavailable(fault) => Kind::SipUnavailable(fault.to_proto()),
        Refusal::InUse { kind, name, by } => Kind::InUse(refused::InUse {
            kind: kind.number(),
            name: name.clone(),
            by: by.clone(),
        }),
        Refusal::ProjectInUse {
            project,
            tests,
            runs,
            keys,
        } => Kind::ProjectInUse(refused::ProjectInUse {
            project: project.to_string(),
            tests: *tests,
            runs: *runs,
            keys: *keys,
        }),
        Refusal::OtherProject { project, of_key } => Kind::OtherProject(refused::OtherProject {
            project: project.clone(),
            of_key: of_key.clone(),
        }),
        Refusal::WrongProfile { worker, is, wanted } => Kind::WrongProfile(refused::WrongProfile {
            worker: id_bytes(worker.as_bytes()),
            is: is.number(),
            wanted: wanted.number(),
        }),
        Refusal::EpochOver {
            run,
            epoch,
            confirm,
            acked_seq,
        } => Kind::EpochOver(refused::EpochOver {
            run: id_bytes(run.as_bytes()),
            epoch: epoch.0,
            confirm: *confirm,
            acked_seq: *acked_seq,
        }),
        Refusal::ReportOutOfOrder { seq, expected } => Kind::ReportOutOfOrder(refused::ReportOutOfOrder {
            seq: *seq,
            expected: *expected,
        }),
        Refusal::ReportInvalid { rule } => Kind::ReportInvalid(rule.clone()),
        Refusal::Placement(fault) => Kind::Placement(fault.to_proto()),
        Refusal::NotYet { run, rule } => Kind::NotYet(refused::NotYet {
            run: id_bytes(run.as_bytes()),
            rule: rule.clone(),
        }),
        Refusal::ClusterVersion {
            version,
            in_force,
            known,
        } => Kind::ClusterVersion(refused::ClusterVersionImpossible {
            version: *version,
            in_force: *in_force,
            known: *known,
        }),
        Refusal::TestProbed { id, probe } => Kind::TestProbed(refused::TestProbed {
            id: id.clone(),
            probe: probe.clone(),
        }),
        Refusal::SlotNotOpen { probe, slot, cursor } => Kind::SlotNotOpen(refused::SlotNotOpen {
            probe: id_bytes(probe.as_bytes()),
            slot_ms: slot.0,
            cursor_ms: cursor.0,
        }),
    }
}

fn refusal_from_proto(refusal: refused::Refusal) -> Result<Refusal, DecodeError> {
    use refused::Refusal as Kind;
    Ok(match refusal {
        Kind::NotFound(r) => Refusal::NotFound {
            kind: kind(r.kind)?,
            id: r.id,
        },
        Kind::AlreadyExists(r) => Refusal::AlreadyExists {
            kind: kind(r.kind)?,
            name: r.name,
        },
        Kind::RequestIdReused(request_id) => Refusal::RequestIdReused { request_id },
        Kind::Invalid(r) => Refusal::Invalid {
            violations: list(r.violations)?,
        },
        Kind::WrongStatus(r) => Refusal::WrongStatus {
            kind: kind(r.kind)?,
            id: r.id,
            status: r.status,
            allowed: r.allowed,
        },
        Kind::TestInUse(r) => Refusal::TestInUse {
            id: r.id,
            runs: r.runs,
        },
        Kind::Stale(r) => Refusal::Stale {
            kind: kind(r.kind)?,
            id: r.id,
            planned: Revision(r.planned),
            actual: Revision(r.actual),
        },
        Kind::StaleTerm(r) => Refusal::StaleTerm {
            fence_term: r.fence_term,
            term: r.term,
        },
        Kind::SessionOver(r) => Refusal::SessionOver {
            worker: worker_id(&r.worker)?,
            epoch: SessionEpoch(r.epoch),
        },
        Kind::TokenRejected(wire::Empty {}) => Refusal::TokenRejected,
        Kind::TokenExpired(worker) => Refusal::TokenExpired {
            worker: worker_id(&worker)?,
        },
        Kind::KeyRejected(reason) => Refusal::KeyRejected {
            reason: Numbered::numbered("reason", reason)?,
        },
        Kind::RoleTooLow(r) => Refusal::RoleTooLow {
            role: Numbered::numbered("role", r.role)?,
            needs: Numbered::numbered("needs", r.needs)?,
        },
        Kind::KeysExist(wire::Empty {}) => Refusal::KeysExist,
        Kind::LastAdminKey(id) => Refusal::LastAdminKey { id },
        Kind::WorkerBusy(r) => Refusal::WorkerBusy {
            worker: worker_id(&r.worker)?,
            assignments: r.assignments,
        },
        Kind::OverPlan(fault) => Refusal::OverPlan(Wire::from_proto(fault)?),
        Kind::SipUnavailable(fault) => Refusal::SipUnavailable(Wire::from_proto(fault)?),
        Kind::InUse(r) => Refusal::InUse {
            kind: kind(r.kind)?,
            name: r.name,
            by: r.by,
        },
        Kind::ProjectInUse(fault) => Refusal::ProjectInUse {
            project: ProjectName::from(fault.project.as_str()),
            tests: fault.tests,
            runs: fault.runs,
            keys: fault.keys,
        },
        Kind::OtherProject(fault) => Refusal::OtherProject {
            project: fault.project,
            of_key: fault.of_key,
        },
        Kind::WorkerOfAnotherKey(worker) => Refusal::WorkerOfAnotherKey {
            worker: worker_id(&worker)?,
        },
        Kind::WrongProfile(r) => Refusal::WrongProfile {
            worker: worker_id(&r.worker)?,
            is: Numbered::numbered("is", r.is)?,
            wanted: Numbered::numbered("wanted", r.wanted)?,
        },
        Kind::EpochOver(r) => Refusal::EpochOver {
            run: run_id(&r.run)?,
            epoch: AssignmentEpoch(r.epoch),
            confirm: r.confirm,
            acked_seq: r.acked_seq,
        },
        Kind::ReportOutOfOrder(r) => Refusal::ReportOutOfOrder {
            seq: r.seq,
            expected: r.expected,
        },
        Kind::ReportInvalid(rule) => Refusal::ReportInvalid { rule },
        Kind::Placement(fault) => Refusal::Placement(PlacementFault::from_proto(fault)?),
        Kind::NotYet(r) => Refusal::NotYet {
            run: run_id(&r.run)?,
            rule: r.rule,
        },
        Kind::ClusterVersion(r) => Refusal::ClusterVersion {
            version: r.version,
            in_force: r.in_force,
            known: r.known,
        },
        Kind::TestProbed(r) => Refusal::TestProbed {
            id: r.id,
            probe: r.probe,
        },
        Kind::SlotNotOpen(r) => Refusal::SlotNotOpen {
            probe: ProbeId::from_bytes(fixed("probe", &r.probe)?),
            slot: Time(r.slot_ms),
            cursor: Time(r.cursor_ms),
        },
    })
}

fn kind(number: u32) -> Result<ObjectKind, DecodeError> {
    Numbered::numbered("kind", number)
}

fn run_id(bytes: &[u8]) -> Result<RunId, DecodeError> {
    Ok(RunId::from_bytes(fixed("run", bytes)?))
}

fn worker_id(bytes: &[u8]) -> Result<WorkerId, DecodeError> {
    Ok(WorkerId::from_bytes(fixed("worker", bytes)?))
}
