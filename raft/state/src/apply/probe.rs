//! Commands on probes. Health changes only through [`crate::transition::probe`].

mod evaluate;
mod put;

use std::sync::Arc;

use crate::apply::run;
use crate::apply::tx::Tx;
use crate::command::{DeleteProbe, FireProbe, ObjectKind, PauseProbe, Refusal, Reply, SkipSlot};
use crate::id::ProbeId;
use crate::record::{ObjectRef, OpenSlot, Probe, ProbeSlot, ProbeSlotKey};
use crate::time::Time;

pub(super) use evaluate::evaluate;
pub(super) use put::put;

/// Its runs stay, with their test; its slots go with it.
pub(super) fn delete(tx: &mut Tx<'_>, command: &DeleteProbe) -> Result<Reply, Refusal> {
    let probe = tx.probe(command.probe)?;
    if let Some(key) = &probe.created_by {
        tx.remove_request(key);
    }
    tx.remove_probe(&probe);
    Ok(answer(probe.id, false))
}

/// Pausing twice changes nothing the second time. A probe that goes on does so from now: what was due meanwhile is not made up for.
pub(super) fn pause(tx: &mut Tx<'_>, command: &PauseProbe) -> Result<Reply, Refusal> {
    let probe = tx.probe(command.probe)?;
    if probe.paused_at.is_some() == command.paused {
        return Ok(answer(probe.id, false));
    }
    let now = tx.now();
    tx.put_probe(Probe {
        paused_at: command.paused.then_some(now),
        cursor: probe.cursor.max(now),
        ..Probe::clone(&probe)
    });
    Ok(answer(probe.id, false))
}

/// Creates the run of a slot exactly as a user's start would (R228, R229).
pub(super) fn fire(tx: &mut Tx<'_>, command: &FireProbe) -> Result<Reply, Refusal> {
    let probe = tx.probe(command.probe)?;
    due(tx, &probe, command.slot)?;
    if probe.revision != command.revision {
        return Err(Refusal::Stale {
            kind: ObjectKind::Probe,
            id: probe.id.to_string(),
            planned: command.revision,
            actual: probe.revision,
        });
    }
    if let Some(open) = probe.open {
        let rule = format!(
            "it is the run of the slot before, which is not settled: {}",
            open.slot.0
        );
        return Err(Refusal::NotYet { run: open.run, rule });
    }
    run::create(tx, command.run, probe.definition.test, Some(probe.id), None)?;
    let next = settled(&probe, command.slot);
    tx.put_probe(Probe {
        open: Some(OpenSlot {
            slot: command.slot,
            run: command.run,
        }),
        last_run: Some(command.run),
        ..next
    });
    let at = tx.now();
    tx.put_probe_slot(ProbeSlot {
        run: Some(command.run),
        ..slot(&probe, command.slot, at)
    });
    Ok(Reply::Object {
        object: ObjectRef::Run(command.run),
        created: true,
        replayed: false,
    })
}

/// One row for a slot, or for several in a row.
pub(super) fn skip(tx: &mut Tx<'_>, command: &SkipSlot) -> Result<Reply, Refusal> {
    let probe = tx.probe(command.probe)?;
    due(tx, &probe, command.slot)?;
    tx.put_probe(settled(&probe, command.slot));
    let at = tx.now();
    tx.put_probe_slot(ProbeSlot {
        skipped: Some(command.reason),
        count: command.count.max(1),
        ..slot(&probe, command.slot, at)
    });
    Ok(answer(probe.id, false))
}

/// The probe after one more of its slots.
fn settled(probe: &Probe, slot: Time) -> Probe {
    Probe {
        cursor: slot,
        last_slot: Some(slot),
        slots: probe.slots + 1,
        ..probe.clone()
    }
}

fn slot(probe: &Probe, slot: Time, at: Time) -> ProbeSlot {
    ProbeSlot {
        key: ProbeSlotKey {
            probe: probe.id,
            slot,
        },
        at,
        run: None,
        skipped: None,
        count: 1,
        end: None,
        revision: probe.revision,
    }
}

/// Whether a slot may fire or be skipped: one of the schedule's, later than every one before, and not in the future.
fn due(tx: &Tx<'_>, probe: &Probe, slot: Time) -> Result<(), Refusal> {
    if probe.paused_at.is_some() {
        return Err(Refusal::WrongStatus {
            kind: ObjectKind::Probe,
            id: probe.id.to_string(),
            status: "PAUSED".to_owned(),
            allowed: vec!["ACTIVE".to_owned()],
        });
    }
    let of_schedule = probe.definition.schedule.is_slot(slot, probe.id);
    if slot <= probe.cursor || slot > tx.now() || !of_schedule {
        return Err(slot_refused(probe, slot));
    }
    Ok(())
}

fn slot_refused(probe: &Probe, slot: Time) -> Refusal {
    Refusal::SlotNotOpen {
        probe: probe.id,
        slot,
        cursor: probe.cursor,
    }
}

fn answer(probe: ProbeId, created: bool) -> Reply {
    Reply::Object {
        object: ObjectRef::Probe(probe),
        created,
        replayed: false,
    }
}

/// The probe with this name in the same project.
fn named(tx: &Tx<'_>, project: &crate::id::ProjectName, name: &str) -> Option<Arc<Probe>> {
    tx.state().probe_named(project, name).cloned()
}
