//! The workers as placement sees them: one look at the state, shared by all runs of a pass.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use reeve_state::State;
use reeve_state::command::Placement;
use reeve_state::id::WorkerId;
use reeve_state::mutant::{self, Mutant};
use reeve_state::record::{Group, PlacementFilter, Selector, TestDefinition, Worker};
use reeve_state::transition::worker::WorkerStatus;

/// Endpoints that earlier plans of the same pass took, and that the state does not know of yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservations {
    taken: BTreeMap<WorkerId, u32>,
    /// Of those, with executor `sip`.
    sip: BTreeMap<WorkerId, u32>,
}

impl Reservations {
    /// Counts what a plan for a definition took.
    pub fn add(&mut self, definition: &TestDefinition, placements: &[Placement]) {
        let count = |sums: &mut BTreeMap<WorkerId, u32>, placement: &Placement| {
            let sum = sums.entry(placement.worker).or_default();
            *sum = sum.saturating_add(placement.count);
        };
        for placement in placements {
            count(&mut self.taken, placement);
            if is_sip(definition, placement) {
                count(&mut self.sip, placement);
            }
        }
    }

    /// What was taken on a worker, and how much of it with executor `sip`.
    fn on(&self, worker: WorkerId) -> (u32, u32) {
        let of = |sums: &BTreeMap<WorkerId, u32>| sums.get(&worker).copied().unwrap_or(0);
        (of(&self.taken), of(&self.sip))
    }
}

/// One worker.
#[derive(Clone, Debug)]
pub(crate) struct Seat<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) online: bool,
    pub(crate) capacity: u32,
    /// Endpoints reserved on it, by the state or by this pass.
    pub(crate) used: u32,
    /// Endpoints held back for an older run that waits.
    pub(crate) held: u32,
    /// Of those, with executor `sip`.
    pub(crate) held_sip: u32,
    /// SIP endpoints that this pass took before.
    sip_taken: u32,
    /// Where to look up what SIP endpoints take of it, once somebody asks.
    state: &'a State,
    sip_used: OnceCell<u32>,
}

impl Seat<'_> {
    /// Most endpoints on it at once, or what its machine carries of SIP endpoints.
    pub(crate) fn capacity(&self, sip: bool) -> u32 {
        if sip {
            self.worker.sip_capacity()
        } else {
            self.capacity
        }
    }

    /// What could still be placed on it, what is held back included.
    pub(crate) fn free(&self, sip: bool) -> u32 {
        let free = self.capacity.saturating_sub(self.used);
        if sip && self.worker.sip_capacity.is_some() {
            let used = *self.sip_used.get_or_init(|| self.reserved_sip());
            free.min(self.capacity(sip).saturating_sub(used))
        } else {
            free
        }
    }

    /// Holds endpoints back.
    pub(crate) fn hold(&mut self, count: u32, sip: bool) {
        self.held = self.held.saturating_add(count);
        if sip {
            self.held_sip = self.held_sip.saturating_add(count);
        }
    }

    fn reserved_sip(&self) -> u32 {
        self.state
            .sip_reserved(self.worker.id)
            .saturating_add(self.sip_taken)
    }

    /// Takes endpoints, or gives them back.
    fn change(&mut self, count: u32, sip: bool, change: fn(u32, u32) -> u32) {
        self.used = change(self.used, count);
        if sip {
            let reserved = self.reserved_sip();
            self.sip_used.get_or_init(|| reserved);
            if let Some(used) = self.sip_used.get_mut() {
                *used = change(*used, count);
            }
        }
    }
}

/// Every worker that is not deleted, by id.
#[derive(Clone, Debug)]
pub(crate) struct Fleet<'a> {
    pub(crate) seats: Vec<Seat<'a>>,
}

/// Which filter a worker falls to, and who may use what is held back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Workers that are out of the question, such as those that did not become ready.
    pub(crate) exclude: &'a BTreeSet<WorkerId>,
    /// Whether what is held back for older runs may be used.
    pub(crate) use_held: bool,
    /// Whether what is asked for are SIP endpoints, of which a worker carries fewer.
    pub(crate) sip: bool,
}

impl<'a> Fleet<'a> {
    pub(crate) fn new(state: &'a State, overlay: &Reservations) -> Self {
        let seats = state
            .workers()
            .map(AsRef::as_ref)
            .filter_map(|worker: &Worker| {
                let status = worker.status();
                let (taken, sip_taken) = overlay.on(worker.id);
                (status != WorkerStatus::Deleted).then(|| Seat {
                    worker,
                    online: status == WorkerStatus::Online
                        || status == WorkerStatus::Draining && mutant::is(Mutant::NoDrainCheck),
                    capacity: worker.capacity(),
                    used: state.reserved(worker.id).saturating_add(taken),
                    held: 0,
                    held_sip: 0,
                    sip_taken,
                    state,
                    sip_used: OnceCell::new(),
                })
            })
            .collect();
        Self { seats }
    }

    /// Takes what was placed for a definition, so that no later plan of the pass takes it too.
    pub(crate) fn reserve(&mut self, definition: &TestDefinition, placements: &[Placement]) {
        if mutant::is(Mutant::CapacityAtPropose) {
            return;
        }
        for placement in placements {
            self.change(definition, placement, u32::saturating_add);
        }
    }

    /// Takes back what a placement reserved.
    pub(crate) fn give_back(&mut self, definition: &TestDefinition, placement: &Placement) {
        self.change(definition, placement, u32::saturating_sub);
    }

    fn change(&mut self, definition: &TestDefinition, placement: &Placement, change: fn(u32, u32) -> u32) {
        let sip = is_sip(definition, placement);
        if let Some(seat) = self.seat_mut(placement.worker) {
            seat.change(placement.count, sip, change);
        }
    }

    /// The worker with this id, unless it is deleted.
    pub(crate) fn seat(&self, worker: WorkerId) -> Option<&Seat<'a>> {
        let index = self
            .seats
            .binary_search_by_key(&worker, |seat| seat.worker.id)
            .ok()?;
        self.seats.get(index)
    }

    fn seat_mut(&mut self, worker: WorkerId) -> Option<&mut Seat<'a>> {
        let index = self
            .seats
            .binary_search_by_key(&worker, |seat| seat.worker.id)
            .ok()?;
        self.seats.get_mut(index)
    }

    /// The first filter that a worker falls to; `None`: it is a candidate.
    pub(crate) fn falls_to(
        &self,
        seat: &Seat<'_>,
        selector: &Selector,
        view: View<'_>,
    ) -> Option<PlacementFilter> {
        PlacementFilter::ALL.into_iter().find(|filter| match filter {
            PlacementFilter::OtherWorker => !selector.matches_worker(seat.worker),
            PlacementFilter::OtherRegion => !selector.matches_region(seat.worker),
            PlacementFilter::LabelsDiffer => !selector.matches_labels(seat.worker),
            PlacementFilter::NotOnline => !seat.online,
            PlacementFilter::NoFreeCapacity => room(seat, view) == 0,
        })
    }

    /// Positions of the workers that match and are ONLINE, full or not.
    pub(crate) fn online_matches(&self, selector: &Selector, view: View<'_>) -> Vec<usize> {
        let matches = |seat: &Seat<'_>| {
            seat.online && selector.matches(seat.worker) && !view.exclude.contains(&seat.worker.id)
        };
        (0..self.seats.len())
            .filter(|index| matches(&self.seats[*index]))
            .collect()
    }
}

/// What may be placed on a worker within a view.
pub(crate) fn room(seat: &Seat<'_>, view: View<'_>) -> u32 {
    if view.use_held {
        return seat.free(view.sip);
    }
    let room = seat.free(false).saturating_sub(seat.held);
    if view.sip {
        room.min(seat.free(true).saturating_sub(seat.held_sip))
    } else {
        room
    }
}

fn is_sip(definition: &TestDefinition, placement: &Placement) -> bool {
    let group = definition.groups.get(placement.group as usize);
    group.is_some_and(Group::is_sip)
}
