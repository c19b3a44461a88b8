//! Placement: which worker takes how many endpoints of each group (R94–R98, R123, R132, R133).
//!
//! All groups fit, or nothing is placed. Apply checks the result with the same predicates and never searches, so that
//! the algorithm can change between versions.

mod changes;
mod explain;
mod flow;
pub(crate) mod gaps;
mod solve;

use std::collections::BTreeSet;
use std::rc::Rc;

use reeve_state::State;
use reeve_state::command::Placement;
use reeve_state::definition::rank;
use reeve_state::id::WorkerId;
use reeve_state::record::{Explanation, Group, Run, Selector, TestDefinition};
use reeve_state::transition::run::RunReasonCode;

use crate::config::PlanConfig;
use crate::fleet::{Fleet, Reservations, Seat, View, room};
use gaps::Range;
use solve::{Demand, Pieces, Room};

/// Why a definition cannot be placed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaceable {
    /// `NoOnlineWorkers`, `InsufficientCapacity` or `WorkersBusy` (D10).
    pub code: RunReasonCode,
    /// For people.
    pub message: String,
    /// Filter by filter, with the smallest change that would help.
    pub explanation: Explanation,
}

/// No worker is out of the question, and what is held back stays so.
static NOBODY: BTreeSet<WorkerId> = BTreeSet::new();

/// Most workers that an explanation names one by one, where it is kept with its run.
pub(crate) const LISTED_STORED: usize = 10;

/// Most workers that an explanation names one by one, where it is made for an answer.
pub(crate) const LISTED_LIVE: usize = 1_000;

pub(crate) const EVERYONE: View<'static> = View {
    exclude: &NOBODY,
    use_held: false,
    sip: false,
};

/// Places every endpoint of a definition, by group, then first endpoint.
///
/// # Errors
/// The typed reason of D10, with its explanation.
pub fn place(
    state: &State,
    definition: &TestDefinition,
    overlay: &Reservations,
    config: &PlanConfig,
) -> Result<Vec<Placement>, Unplaceable> {
    let fleet = Fleet::new(state, overlay);
    let ask = Ask::whole(definition);
    let everyone = ask.everyone();
    ask.place(&fleet, everyone, config)
        .ok_or_else(|| ask.explain(&fleet, everyone, LISTED_STORED))
}

/// Places again what no assignment covers any more once `withdraw` are gone, on workers that had none of it.
///
/// # Errors
/// The typed reason of D10, with its explanation, for the endpoints concerned.
pub fn replace(
    state: &State,
    run: &Run,
    withdraw: &[u32],
    overlay: &Reservations,
    config: &PlanConfig,
) -> Result<Vec<Placement>, Unplaceable> {
    let fleet = Fleet::new(state, overlay);
    let exclude = gaps::workers_of(state, run, withdraw);
    let ask = Ask::some(&run.definition, gaps::uncovered(state, run, withdraw));
    let view = View {
        exclude: &exclude,
        use_held: true,
        sip: ask.has_sip(),
    };
    ask.place(&fleet, view, config)
        .ok_or_else(|| ask.explain(&fleet, view, LISTED_STORED))
}

/// How the workers would fall away for a definition, placeable or not; the suggestion is empty if it is.
pub fn explain(state: &State, definition: &TestDefinition, overlay: &Reservations) -> Explanation {
    let fleet = Fleet::new(state, overlay);
    let ask = Ask::whole(definition);
    ask.explain(&fleet, ask.everyone(), LISTED_LIVE).explanation
}

/// What is to be placed: ranges of endpoints of the groups of a definition.
pub(crate) struct Ask<'a> {
    pub(crate) definition: &'a TestDefinition,
    ranges: Vec<Range>,
    /// Whether it began as all of the definition, so that it may be suggested to ask for less.
    whole: bool,
}

impl<'a> Ask<'a> {
    /// Every endpoint of a definition.
    pub(crate) fn whole(definition: &'a TestDefinition) -> Self {
        let ranges = definition.groups.iter().zip(0..).map(|(group, index)| Range {
            group: index,
            first: 0,
            count: group.endpoints,
        });
        Self {
            definition,
            ranges: ranges.filter(|range| range.count > 0).collect(),
            whole: true,
        }
    }

    /// What is missing of a definition, by group and first endpoint.
    pub(crate) fn some(definition: &'a TestDefinition, ranges: Vec<Range>) -> Self {
        Self {
            definition,
            ranges,
            whole: false,
        }
    }

    /// Of it what are SIP endpoints, or what are not: a worker has a capacity for each.
    fn part(&self, sip: bool) -> Self {
        let is_part = |range: &&Range| self.group(range.group).is_some_and(Group::is_sip) == sip;
        Self {
            definition: self.definition,
            ranges: self.ranges.iter().filter(is_part).copied().collect(),
            whole: self.whole,
        }
    }

    /// Whether SIP endpoints are among what is asked for.
    pub(crate) fn has_sip(&self) -> bool {
        self.ranges
            .iter()
            .any(|range| self.group(range.group).is_some_and(Group::is_sip))
    }

    /// All workers, as this run sees them.
    pub(crate) fn everyone(&self) -> View<'static> {
        View {
            sip: self.has_sip(),
            ..EVERYONE
        }
    }

    /// How many endpoints of a group are asked for.
    fn count(&self, group: u32) -> u32 {
        let ranges = self.ranges.iter().filter(|range| range.group == group);
        ranges.map(|range| range.count).fold(0, u32::saturating_add)
    }

    /// The groups of which something is asked for, in order, each with a demand of how much and of whom: of the ONLINE
    /// workers that match, those that `keep` lets pass.
    fn demands(
        &self,
        fleet: &Fleet<'_>,
        view: View<'_>,
        keep: impl Fn(&Seat<'_>) -> bool,
    ) -> (Vec<u32>, Vec<Demand>) {
        let mut groups: Vec<u32> = self.ranges.iter().map(|range| range.group).collect();
        groups.dedup();
        let mut known: Vec<(&Selector, Rc<[usize]>)> = Vec::new();
        let mut demands = Vec::new();
        for group in &groups {
            let Some(selector) = self.group(*group).map(|group| &group.selector) else {
                continue;
            };
            let seats = match known.iter().find(|(other, _)| *other == selector) {
                Some((_, seats)) => Rc::clone(seats),
                None => {
                    let mut seats = fleet.online_matches(selector, view);
                    seats.retain(|seat| keep(&fleet.seats[*seat]));
                    let seats: Rc<[usize]> = seats.into();
                    known.push((selector, Rc::clone(&seats)));
                    seats
                }
            };
            demands.push(Demand {
                count: self.count(*group),
                seats,
            });
        }
        (groups, demands)
    }

    fn group(&self, index: u32) -> Option<&'a Group> {
        self.definition.groups.get(index as usize)
    }

    /// Demands on the ONLINE workers, full or not.
    fn online_demands(&self, fleet: &Fleet<'_>, view: View<'_>) -> (Vec<u32>, Vec<Demand>) {
        self.demands(fleet, view, |_| true)
    }

    /// Demands on the ONLINE workers with room, within what the view allows.
    fn free_demands(&self, fleet: &Fleet<'_>, view: View<'_>) -> (Vec<u32>, Vec<Demand>) {
        self.demands(fleet, view, |seat| room(seat, view) > 0)
    }

    /// Placements, or `None` if it does not fit. SIP endpoints come first, because fewer workers have room for them.
    pub(crate) fn place(
        &self,
        fleet: &Fleet<'_>,
        view: View<'_>,
        config: &PlanConfig,
    ) -> Option<Vec<Placement>> {
        let (sip, scripted) = (self.part(true), self.part(false));
        let mut placements = if sip.ranges.is_empty() {
            scripted.place_one_kind(fleet, view, config)?
        } else if scripted.ranges.is_empty() {
            sip.place_one_kind(fleet, view, config)?
        } else {
            let mut placements = sip.place_one_kind(fleet, view, config)?;
            let mut rest = fleet.clone();
            rest.reserve(self.definition, &placements);
            placements.extend(scripted.place_one_kind(&rest, view, config)?);
            placements.sort_by_key(|placement| (placement.group, placement.first));
            placements
        };
        self.receivers_first(&mut placements);
        Some(placements)
    }

    fn place_one_kind(
        &self,
        fleet: &Fleet<'_>,
        view: View<'_>,
        config: &PlanConfig,
    ) -> Option<Vec<Placement>> {
        let sip = self.has_sip();
        let view = View { sip, ..view };
        let (groups, demands) = self.free_demands(fleet, view);
        let pieces = solve::solve(&rooms(fleet, view), &demands, config.min_chunk)?;
        let mut placements = Vec::new();
        for (group, pieces) in groups.into_iter().zip(pieces) {
            self.cut(fleet, group, pieces, &mut placements);
        }
        Some(placements)
    }

    /// Groups that others call are offered first, so that they are the first to be ready.
    fn receivers_first(&self, placements: &mut [Placement]) {
        let groups = &self.definition.groups;
        if groups.iter().all(|group| group.callee.is_none()) {
            return;
        }
        let ranks: Vec<usize> = (0..groups.len())
            .map(|group| rank(self.definition, group))
            .collect();
        placements.sort_by_key(|placement| ranks.get(placement.group as usize).copied());
    }

    /// Cuts the ranges of a group into the pieces that the workers got.
    fn cut(&self, fleet: &Fleet<'_>, group: u32, pieces: Pieces, placements: &mut Vec<Placement>) {
        let mut ranges = self.ranges.iter().filter(|range| range.group == group).copied();
        let mut range = ranges.next();
        for (seat, mut count) in pieces {
            while let (true, Some(open)) = (count > 0, range) {
                let taken = count.min(open.count);
                let worker = fleet.seats[seat].worker.id;
                placements.push(Placement {
                    worker,
                    group,
                    first: open.first,
                    count: taken,
                });
                count -= taken;
                let rest = Range {
                    first: open.first + taken,
                    count: open.count - taken,
                    ..open
                };
                range = if rest.count > 0 { Some(rest) } else { ranges.next() };
            }
        }
    }

    /// Whether it could ever be placed on the workers that are ONLINE, were they idle.
    pub(crate) fn hopeless(&self, fleet: &Fleet<'_>) -> bool {
        let (_, demands) = self.online_demands(fleet, EVERYONE);
        let (_, sip) = self.part(true).online_demands(fleet, EVERYONE);
        demands.iter().any(|demand| demand.seats.is_empty())
            || !solve::shortage(&idle_rooms(fleet, true), &sip).is_empty()
            || !solve::shortage(&idle_rooms(fleet, false), &demands).is_empty()
    }

    /// The ONLINE workers that some group may use, each once for every group that may.
    pub(crate) fn candidates(&self, fleet: &Fleet<'_>) -> impl Iterator<Item = WorkerId> {
        let (_, demands) = self.online_demands(fleet, EVERYONE);
        let seats = demands.into_iter().flat_map(|demand| demand.seats.to_vec());
        let ids: Vec<WorkerId> = seats.map(|seat| fleet.seats[seat].worker.id).collect();
        ids.into_iter()
    }

    /// Holds back from younger runs what this one could use: where it is short all that is free, elsewhere what it asks for.
    pub(crate) fn hold(&self, fleet: &mut Fleet<'_>, config: &PlanConfig) {
        for sip in [true, false] {
            let part = self.part(sip);
            if !part.ranges.is_empty() {
                part.hold_one_kind(fleet, View { sip, ..EVERYONE }, config);
            }
        }
    }

    fn hold_one_kind(&self, fleet: &mut Fleet<'_>, view: View<'_>, config: &PlanConfig) {
        let (_, demands) = self.free_demands(fleet, view);
        let rooms = rooms(fleet, view);
        for members in solve::components(rooms.len(), &demands) {
            let part: Vec<Demand> = members.iter().map(|member| demands[*member].clone()).collect();
            match solve::solve(&rooms, &part, config.min_chunk) {
                Some(pieces) => {
                    for (seat, count) in pieces.into_iter().flatten() {
                        fleet.seats[seat].hold(count, view.sip);
                    }
                }
                None => {
                    // A worker that several groups may use is asked for once: then nothing is left.
                    for seat in part.iter().flat_map(|demand| demand.seats.iter()) {
                        let left = room(&fleet.seats[*seat], view);
                        fleet.seats[*seat].hold(left, view.sip);
                    }
                }
            }
        }
    }
}

/// What is left on each worker within a view.
fn rooms(fleet: &Fleet<'_>, view: View<'_>) -> Vec<Room> {
    let room = |seat: &Seat<'_>| Room {
        capacity: seat.capacity(view.sip),
        used: seat.capacity(view.sip).saturating_sub(room(seat, view)),
    };
    fleet.seats.iter().map(room).collect()
}

/// What each worker could take if it were idle.
fn idle_rooms(fleet: &Fleet<'_>, sip: bool) -> Vec<Room> {
    fleet
        .seats
        .iter()
        .map(|seat| Room {
            capacity: seat.capacity(sip),
            used: 0,
        })
        .collect()
}
