//! The laws of probes.

use std::collections::BTreeSet;

use crate::record::KEPT_SLOTS;
use crate::state::State;
use crate::transition::probe::ProbeStatus;

/// Slots are keyed by probe and instant, so it remains that no run is in two of them, that it is the probe's, and that only the
/// slot that is open lacks an end. A run that was purged says nothing any more, nor does one that was started later.
pub(super) fn one_run_a_slot(state: &State, broken: &mut Vec<String>) {
    let mut runs = BTreeSet::new();
    for slot in state.probe_slots.values() {
        let Some(id) = slot.run else {
            if slot.skipped.is_none() || slot.end.is_some() {
                broken.push(format!("{:?} has neither a run nor a reason", slot.key));
            }
            continue;
        };
        if let Some(run) = state.run(id).filter(|run| run.created_at == slot.at) {
            let of_probe = run.probe == Some(slot.key.probe) && slot.skipped.is_none();
            if !of_probe || !runs.insert(id) {
                broken.push(format!("{id:?} is not the run of {:?}, or of two", slot.key));
            }
        }
        let open = state.probe(slot.key.probe).and_then(|probe| probe.open);
        if slot.end.is_none() != (open.map(|open| (open.slot, open.run)) == Some((slot.key.slot, id))) {
            broken.push(format!(
                "{:?} is open or not, and its probe says otherwise",
                slot.key
            ));
        }
    }
}

pub(super) fn slots_in_order(state: &State, broken: &mut Vec<String>) {
    let mut kept = 0;
    for probe in state.probes.values() {
        let slots: Vec<_> = state.probe_slots(probe.id).map(|slot| slot.key.slot).collect();
        let ever = usize::try_from(probe.slots).unwrap_or(usize::MAX);
        if slots.len() != ever.min(KEPT_SLOTS) {
            broken.push(format!("{:?}: {ever} slots, {} kept", probe.id, slots.len()));
        }
        if slots.last().copied() != probe.last_slot || slots.iter().any(|slot| *slot > probe.cursor) {
            broken.push(format!(
                "{:?}: last {:?}, cursor {:?}, kept {slots:?}",
                probe.id, probe.last_slot, probe.cursor
            ));
        }
        kept += slots.len();
    }
    if kept != state.probe_slots.len() {
        broken.push(format!(
            "{} slots of unknown probes",
            state.probe_slots.len() - kept
        ));
    }
}

pub(super) fn health_of_last_slot(state: &State, broken: &mut Vec<String>) {
    for probe in state.probes.values() {
        let health = &probe.health;
        let worst = ProbeStatus::worst(health.results().iter().map(|result| result.status));
        if !health.results().is_empty() && health.status() != worst {
            broken.push(format!(
                "{:?} is {}, its results say {worst}",
                probe.id,
                health.status()
            ));
        }
        if health.slot().is_none() && health.status() != ProbeStatus::Unknown {
            broken.push(format!("{:?} is {} and never ran", probe.id, health.status()));
        }
        for slot in state
            .probe_slots(probe.id)
            .filter(|slot| Some(slot.key.slot) == health.slot())
        {
            let said = slot.end.as_ref().map(|end| (end.health, end.results.as_slice()));
            if said != Some((health.status(), health.results())) {
                broken.push(format!("{:?} is {health:?}, its slot said {said:?}", probe.id));
            }
        }
    }
}

pub(super) fn cursor_forward(before: &State, after: &State, broken: &mut Vec<String>) {
    for was in before.probes.values() {
        let is = after.probes.get(&was.id);
        if let Some(is) = is.filter(|is| is.cursor < was.cursor) {
            broken.push(format!("{:?}: {:?} after {:?}", was.id, is.cursor, was.cursor));
        }
    }
}
