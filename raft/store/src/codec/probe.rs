//! Bytes of probes, their slots and the commands on them.

use std::sync::Arc;

use reeve_proto::internal as wire;
use reeve_state::command as state;
use reeve_state::id::{ProbeId, ProjectName, Revision, RunId, TestId};
use reeve_state::record::{
    MetricResult, OpenSlot, Probe, ProbeDefinition, ProbeSlot, ProbeSlotKey, SlotEnd, Threshold,
};
use reeve_state::schedule::{Cron, Interval, Schedule};
use reeve_state::time::Time;
use reeve_state::transition::probe::ProbeHealth;
use wire::probe_definition::Schedule as Kind;

use super::enums::Numbered;
use super::{DecodeError, Wire, fixed, id_bytes, list, message, ms, optional, protos, time};

fn probe_id(bytes: &[u8]) -> Result<ProbeId, DecodeError> {
    Ok(ProbeId::from_bytes(fixed("probe", bytes)?))
}

fn run_id(bytes: &[u8]) -> Result<RunId, DecodeError> {
    Ok(RunId::from_bytes(fixed("run", bytes)?))
}

fn maybe_number<T: Numbered>(value: Option<&T>) -> Option<u32> {
    value.map(Numbered::number)
}

fn maybe_numbered<T: Numbered>(field: &'static str, number: Option<u32>) -> Result<Option<T>, DecodeError> {
    number.map(|number| T::numbered(field, number)).transpose()
}

// === commands ===

impl Wire for state::PutProbe {
    type Proto = wire::PutProbe;

    fn to_proto(&self) -> Self::Proto {
        wire::PutProbe {
            id: id_bytes(self.id.as_bytes()),
            project: self.project.to_string(),
            definition: Some(self.definition.to_proto()),
            mode: self.mode.number(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            id: probe_id(&proto.id)?,
            project: ProjectName::from(proto.project.as_str()),
            definition: Arc::new(message("definition", proto.definition)?),
            mode: Numbered::numbered("mode", proto.mode)?,
        })
    }
}

impl Wire for state::DeleteProbe {
    type Proto = wire::DeleteProbe;

    fn to_proto(&self) -> Self::Proto {
        wire::DeleteProbe {
            probe: id_bytes(self.probe.as_bytes()),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            probe: probe_id(&proto.probe)?,
        })
    }
}

impl Wire for state::PauseProbe {
    type Proto = wire::PauseProbe;

    fn to_proto(&self) -> Self::Proto {
        wire::PauseProbe {
            probe: id_bytes(self.probe.as_bytes()),
            paused: self.paused,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            probe: probe_id(&proto.probe)?,
            paused: proto.paused,
        })
    }
}

impl Wire for state::FireProbe {
    type Proto = wire::FireProbe;

    fn to_proto(&self) -> Self::Proto {
        wire::FireProbe {
            probe: id_bytes(self.probe.as_bytes()),
            slot_ms: self.slot.0,
            run: id_bytes(self.run.as_bytes()),
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            probe: probe_id(&proto.probe)?,
            slot: Time(proto.slot_ms),
            run: run_id(&proto.run)?,
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for state::SkipSlot {
    type Proto = wire::SkipSlot;

    fn to_proto(&self) -> Self::Proto {
        wire::SkipSlot {
            probe: id_bytes(self.probe.as_bytes()),
            slot_ms: self.slot.0,
            reason: self.reason.number(),
            count: self.count,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            probe: probe_id(&proto.probe)?,
            slot: Time(proto.slot_ms),
            reason: Numbered::numbered("reason", proto.reason)?,
            count: proto.count,
        })
    }
}

impl Wire for state::EvaluateProbe {
    type Proto = wire::EvaluateProbe;

    fn to_proto(&self) -> Self::Proto {
        wire::EvaluateProbe {
            probe: id_bytes(self.probe.as_bytes()),
            slot_ms: self.slot.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            probe: probe_id(&proto.probe)?,
            slot: Time(proto.slot_ms),
        })
    }
}

// === records ===

impl Wire for ProbeDefinition {
    type Proto = wire::ProbeDefinition;

    fn to_proto(&self) -> Self::Proto {
        let schedule = match &self.schedule {
            Schedule::Every(interval) => Kind::EveryMinutes(interval.minutes()),
            Schedule::Cron(cron) => Kind::Cron(cron.as_str().to_owned()),
        };
        wire::ProbeDefinition {
            name: self.name.clone(),
            test: id_bytes(self.test.as_bytes()),
            schedule: Some(schedule),
            thresholds: protos(&self.thresholds),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        let schedule = match proto.schedule.ok_or(DecodeError::UnknownKind("schedule"))? {
            Kind::EveryMinutes(minutes) => {
                Schedule::Every(Interval::from_minutes(minutes).ok_or(DecodeError::Unknown {
                    field: "every_minutes",
                    value: u64::from(minutes),
                })?)
            }
            Kind::Cron(text) => Schedule::Cron(
                Cron::parse(&text)
                    .map_err(|_| DecodeError::Inconsistent("a cron expression cannot be read"))?,
            ),
        };
        Ok(Self {
            name: proto.name,
            test: TestId::from_bytes(fixed("test", &proto.test)?),
            schedule,
            thresholds: list(proto.thresholds)?,
        })
    }
}

impl Wire for Threshold {
    type Proto = wire::Threshold;

    fn to_proto(&self) -> Self::Proto {
        wire::Threshold {
            metric: self.metric.clone(),
            statistic: self.statistic.number(),
            direction: self.direction.number(),
            warning_milli: self.warning,
            critical_milli: self.critical,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            metric: proto.metric,
            statistic: Numbered::numbered("statistic", proto.statistic)?,
            direction: Numbered::numbered("direction", proto.direction)?,
            warning: proto.warning_milli,
            critical: proto.critical_milli,
        })
    }
}

impl Wire for MetricResult {
    type Proto = wire::MetricResult;

    fn to_proto(&self) -> Self::Proto {
        wire::MetricResult {
            metric: self.metric.clone(),
            statistic: self.statistic.number(),
            value_milli: self.value,
            status: self.status.number(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            metric: proto.metric,
            statistic: Numbered::numbered("statistic", proto.statistic)?,
            value: proto.value_milli,
            status: Numbered::numbered("status", proto.status)?,
        })
    }
}

impl Wire for ProbeHealth {
    type Proto = wire::ProbeHealth;

    fn to_proto(&self) -> Self::Proto {
        wire::ProbeHealth {
            status: self.status().number(),
            since_ms: self.since().0,
            reason: self.reason().to_owned(),
            results: protos(self.results()),
            slot_ms: ms(self.slot()),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Self::restore(
            Numbered::numbered("status", proto.status)?,
            Time(proto.since_ms),
            proto.reason,
            list(proto.results)?,
            time(proto.slot_ms),
        )
        .ok_or(DecodeError::Inconsistent(
            "a probe's health is not what its results say",
        ))
    }
}

impl Wire for OpenSlot {
    type Proto = wire::OpenSlot;

    fn to_proto(&self) -> Self::Proto {
        wire::OpenSlot {
            slot_ms: self.slot.0,
            run: id_bytes(self.run.as_bytes()),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            slot: Time(proto.slot_ms),
            run: run_id(&proto.run)?,
        })
    }
}

impl Wire for Probe {
    type Proto = wire::Probe;

    fn to_proto(&self) -> Self::Proto {
        wire::Probe {
            id: id_bytes(self.id.as_bytes()),
            project: self.project.to_string(),
            definition: Some(self.definition.to_proto()),
            paused_at_ms: ms(self.paused_at),
            health: Some(self.health.to_proto()),
            cursor_ms: self.cursor.0,
            open: self.open.as_ref().map(Wire::to_proto),
            last_slot_ms: ms(self.last_slot),
            last_run: self.last_run.map(|run| id_bytes(run.as_bytes())),
            slots: self.slots,
            created_at_ms: self.created_at.0,
            updated_at_ms: self.updated_at.0,
            created_by: self.created_by.as_ref().map(Wire::to_proto),
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            id: probe_id(&proto.id)?,
            project: ProjectName::from(proto.project.as_str()),
            definition: Arc::new(message("definition", proto.definition)?),
            paused_at: time(proto.paused_at_ms),
            health: message("health", proto.health)?,
            cursor: Time(proto.cursor_ms),
            open: optional(proto.open)?,
            last_slot: time(proto.last_slot_ms),
            last_run: proto.last_run.as_deref().map(run_id).transpose()?,
            slots: proto.slots,
            created_at: Time(proto.created_at_ms),
            updated_at: Time(proto.updated_at_ms),
            created_by: optional(proto.created_by)?,
            revision: Revision(proto.revision),
        })
    }
}

impl Wire for SlotEnd {
    type Proto = wire::SlotEnd;

    fn to_proto(&self) -> Self::Proto {
        wire::SlotEnd {
            at_ms: self.at.0,
            status: maybe_number(self.status.as_ref()),
            reason: maybe_number(self.reason.as_ref()),
            endpoints: self.endpoints,
            errors: self.errors,
            results: protos(&self.results),
            health: self.health.number(),
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            at: Time(proto.at_ms),
            status: maybe_numbered("status", proto.status)?,
            reason: maybe_numbered("reason", proto.reason)?,
            endpoints: proto.endpoints,
            errors: proto.errors,
            results: list(proto.results)?,
            health: Numbered::numbered("health", proto.health)?,
        })
    }
}

impl Wire for ProbeSlot {
    type Proto = wire::ProbeSlot;

    fn to_proto(&self) -> Self::Proto {
        wire::ProbeSlot {
            probe: id_bytes(self.key.probe.as_bytes()),
            slot_ms: self.key.slot.0,
            at_ms: self.at.0,
            run: self.run.map(|run| id_bytes(run.as_bytes())),
            skipped: maybe_number(self.skipped.as_ref()),
            count: self.count,
            end: self.end.as_ref().map(Wire::to_proto),
            revision: self.revision.0,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            key: ProbeSlotKey {
                probe: probe_id(&proto.probe)?,
                slot: Time(proto.slot_ms),
            },
            at: Time(proto.at_ms),
            run: proto.run.as_deref().map(run_id).transpose()?,
            skipped: maybe_numbered("skipped", proto.skipped)?,
            count: proto.count,
            end: optional(proto.end)?,
            revision: Revision(proto.revision),
        })
    }
}
