//! PlaceRun: validates what the planner decided and never searches, so that the algorithm can change between versions.

use std::collections::{BTreeMap, BTreeSet};

use crate::apply::assignment::{Ending, end};
use crate::apply::tx::Tx;
use crate::command::{PlaceRun, Placement, PlacementFault, Refusal, Reply};
use crate::id::{AssignmentEpoch, WorkerId};
use crate::mutant::{self, Mutant};
use crate::record::{Assignment, AssignmentKey, EndpointCounts, Group, Run};
use crate::transition::assignment::{AssignmentEvent, AssignmentLife};
use crate::transition::endpoint::EndpointOutcome;
use crate::transition::run::RunStatus;
use crate::transition::worker::WorkerStatus;

pub(in crate::apply) fn place(tx: &mut Tx<'_>, command: &PlaceRun) -> Result<Reply, Refusal> {
    let run = super::planned(tx, command.run, command.revision, &[RunStatus::Queued])?;
    withdraw(tx, &run, &command.withdraw)?;
    eligible(tx, &run, &command.placements)?;
    let kept = super::of_run(tx, run.id, |a| a.life.status().is_current());
    let kept = kept.iter().map(|a| (a.group, a.first, a.count));
    let new = command.placements.iter().map(|p| (p.group, p.first, p.count));
    covered(&run, kept.chain(new))?;
    let mut next = Run::clone(&run);
    for placement in &command.placements {
        tx.put_assignment(offered(&run, next.assignments, placement));
        next.assignments += 1;
    }
    next.replacements += u32::from(run.assignments > 0);
    next.ready_deadline = Some(tx.now() + command.ready_timeout);
    tx.put_run(next);
    Ok(super::about(run.id, false))
}

fn offered(run: &Run, ordinal: u32, placement: &Placement) -> Assignment {
    Assignment {
        key: AssignmentKey { run: run.id, ordinal },
        worker: placement.worker,
        group: placement.group,
        first: placement.first,
        count: placement.count,
        epoch: AssignmentEpoch(u64::from(ordinal) + 1),
        life: AssignmentLife::begin(),
        started: false,
        lost: false,
        detail: None,
        acked_seq: 0,
        counts: EndpointCounts::default(),
        interrupted: 0,
        start_late: None,
        late: Vec::new(),
        late_left_out: 0,
        revision: run.revision,
    }
}

fn withdraw(tx: &mut Tx<'_>, run: &Run, ordinals: &[u32]) -> Result<(), Refusal> {
    for &ordinal in ordinals {
        let fault = Refusal::Placement(PlacementFault::NotWithdrawable { ordinal });
        let key = AssignmentKey { run: run.id, ordinal };
        let Some(assignment) = tx.state().assignment(key).filter(|a| !a.started).cloned() else {
            return Err(fault);
        };
        if assignment.life.status().is_current() {
            let ending = Ending {
                event: AssignmentEvent::Lose,
                outcome: EndpointOutcome::Oserror,
                detail: "withdrawn: not ready",
            };
            end(tx, &assignment, &ending)?;
        }
    }
    Ok(())
}

/// Every worker is ONLINE (R10), matches its group's selector (R95, R96) and has the capacity (R97).
fn eligible(tx: &Tx<'_>, run: &Run, placements: &[Placement]) -> Result<(), Refusal> {
    let mut asked: BTreeMap<WorkerId, (u32, u32)> = BTreeMap::new();
    let mut matched: BTreeSet<(WorkerId, u32)> = BTreeSet::new();
    for placement in placements {
        let (sum, sip) = asked.entry(placement.worker).or_default();
        *sum = sum.saturating_add(placement.count);
        let group = run.definition.groups.get(placement.group as usize);
        if group.is_some_and(Group::is_sip) {
            *sip = sip.saturating_add(placement.count);
        }
        matched.insert((placement.worker, placement.group));
    }
    for (&id, &(asked, sip)) in &asked {
        let Some(worker) = tx.state().worker(id) else {
            return Err(Refusal::Placement(PlacementFault::UnknownWorker(id)));
        };
        let status = worker.status();
        let drains = status == WorkerStatus::Draining && mutant::is(Mutant::NoDrainCheck);
        if status != WorkerStatus::Online && !drains {
            return Err(Refusal::Placement(PlacementFault::NotOnline {
                worker: id,
                status,
            }));
        }
        let free = tx.state().free(worker);
        if asked > free && !mutant::is(Mutant::CapacityAtPropose) {
            return Err(Refusal::Placement(PlacementFault::CapacityExceeded {
                worker: id,
                free,
                asked,
            }));
        }
        if sip == 0 {
            continue;
        }
        let free = tx.state().sip_free(worker);
        if sip > free && !mutant::is(Mutant::CapacityAtPropose) {
            return Err(Refusal::Placement(PlacementFault::CapacityExceeded {
                worker: id,
                free,
                asked: sip,
            }));
        }
    }
    for (id, group) in matched {
        let matches = run
            .definition
            .groups
            .get(group as usize)
            .zip(tx.state().worker(id));
        if !matches.is_some_and(|(group, worker)| group.selector.matches(worker)) {
            return Err(Refusal::Placement(PlacementFault::SelectorMismatch {
                worker: id,
                group,
            }));
        }
    }
    Ok(())
}

/// Every endpoint of every group is in exactly one of the ranges `(group, first, count)`.
pub(super) fn covered(run: &Run, ranges: impl Iterator<Item = (u32, u32, u32)>) -> Result<(), Refusal> {
    let mut by_group: BTreeMap<u32, BTreeMap<u32, u32>> = BTreeMap::new();
    for (group, first, count) in ranges {
        let twice = by_group.entry(group).or_default().insert(first, count).is_some();
        if twice || count == 0 {
            return Err(Refusal::Placement(PlacementFault::NotCovered { group }));
        }
    }
    let groups = run.definition.groups.iter().map(|group| group.endpoints);
    for (group, endpoints) in (0..).zip(groups) {
        let ranges = by_group.remove(&group).unwrap_or_default();
        let end = ranges.iter().try_fold(0u32, |next, (first, count)| {
            (*first == next).then(|| next.checked_add(*count)).flatten()
        });
        if end != Some(endpoints) {
            return Err(Refusal::Placement(PlacementFault::NotCovered { group }));
        }
    }
    match by_group.keys().next() {
        Some(&group) => Err(Refusal::Placement(PlacementFault::NotCovered { group })),
        None => Ok(()),
    }
}
