//! Creates and updates probes.

use std::sync::Arc;

use super::{answer, named};
use crate::apply::tx::{Tx, not_found};
use crate::command::{ObjectKind, ProbeMode, PutProbe, Refusal, Reply};
use crate::definition;
use crate::id::ProjectName;
use crate::record::{Probe, RequestKey};
use crate::transition::probe::ProbeHealth;

pub(in crate::apply) fn put(
    tx: &mut Tx<'_>,
    command: &PutProbe,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    let taken = named(tx, &command.project, &command.definition.name);
    let violations = definition::validate_probe(&command.definition);
    if !violations.is_empty() {
        return Err(Refusal::Invalid { violations });
    }
    match (command.mode, taken) {
        (ProbeMode::Create | ProbeMode::CreateOrUpdate, None) => create(tx, command, created_by),
        (ProbeMode::Create, Some(_)) => Err(name_taken(command)),
        (ProbeMode::CreateOrUpdate, Some(probe)) => update(tx, &probe, command),
        (ProbeMode::Update, taken) => {
            let probe = tx.probe(command.id)?;
            // Its name is looked for in its own project, which the command cannot change.
            let taken = if probe.project == command.project {
                taken
            } else {
                named(tx, &probe.project, &command.definition.name)
            };
            match taken {
                Some(other) if other.id != probe.id => Err(name_taken(command)),
                Some(_) | None => update(tx, &probe, command),
            }
        }
    }
}

/// Its first slot is the first after now.
fn create(tx: &mut Tx<'_>, command: &PutProbe, created_by: Option<RequestKey>) -> Result<Reply, Refusal> {
    if tx.state().probe(command.id).is_some() {
        return Err(Refusal::AlreadyExists {
            kind: ObjectKind::Probe,
            name: command.id.to_string(),
        });
    }
    usable_test(tx, command, &command.project)?;
    let now = tx.now();
    tx.put_probe(Probe {
        id: command.id,
        project: command.project.clone(),
        definition: Arc::clone(&command.definition),
        paused_at: None,
        health: ProbeHealth::begin(now),
        cursor: now,
        open: None,
        last_slot: None,
        last_run: None,
        slots: 0,
        created_at: now,
        updated_at: now,
        created_by,
        revision: tx.revision(),
    });
    Ok(answer(command.id, true))
}

/// Saying the same again changes nothing. A new schedule begins now, so that it is not late for what it never said; the health stays
/// until the next execution, which is the first that is measured against new thresholds.
fn update(tx: &mut Tx<'_>, probe: &Arc<Probe>, command: &PutProbe) -> Result<Reply, Refusal> {
    usable_test(tx, command, &probe.project)?;
    if probe.definition != command.definition {
        let now = tx.now();
        let same = probe.definition.schedule == command.definition.schedule;
        let cursor = if same { probe.cursor } else { probe.cursor.max(now) };
        tx.put_probe(Probe {
            definition: Arc::clone(&command.definition),
            cursor,
            updated_at: now,
            ..Probe::clone(probe)
        });
    }
    Ok(answer(probe.id, false))
}

/// The test has to be of the probe's project, as its runs are: others do not exist for it.
fn usable_test(tx: &Tx<'_>, command: &PutProbe, project: &ProjectName) -> Result<(), Refusal> {
    let test = tx.test(command.definition.test)?;
    if test.project == *project {
        Ok(())
    } else {
        Err(not_found(ObjectKind::Test, test.id))
    }
}

fn name_taken(command: &PutProbe) -> Refusal {
    Refusal::AlreadyExists {
        kind: ObjectKind::Probe,
        name: command.definition.name.clone(),
    }
}
