//! Finds the assignment with the lowest highest utilisation, in chunks. Knows numbers only, no workers and no runs.
//!
//! **Level.** A level is a utilisation in units of 2⁻³². At level L a seat has room for `⌊L·capacity⌋ − used` more. The
//! answer is the lowest level at which all demands fit, found by bisection. Two different utilisations differ by at least
//! 1/capacity², so the bisection stops there and the result is exact for capacities up to 65,535.
//!
//! **One demand, chunks of at least m.** Each seat used takes between m and its room, so at most K = ⌊n/m⌋ seats can be
//! used, and n fits if and only if the K largest rooms that are at least m sum up to n. The test is exact and O(seats).
//!
//! **Several demands** that share seats form a component; components are solved apart, so that a crowded region does not
//! raise the level elsewhere. Within one, demands are filled greedily, the one with the fewest seats first. That keeps chunks
//! whole, but may fail although an answer exists. Then smaller chunks are tried, and last a maximum flow (`flow`), which
//! finds an answer whenever there is one. Greedy levels of overlapping demands may lie above the optimum, feasibility is exact.

use std::rc::Rc;

use super::flow::Flow;

/// Full utilisation.
const FULL: u64 = 1 << 32;

/// Most seats looked at while a level is sought. Beyond it (hundreds of groups on thousands of workers) levels get coarser.
const WORK: usize = 1 << 24;

/// Fewest rounds of bisection: the level is then exact to 1/64.
const LEAST_ROUNDS: usize = 6;

/// Where endpoints may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Most endpoints at once; more than 0.
    pub(crate) capacity: u32,
    /// Taken already.
    pub(crate) used: u32,
}

impl Room {
    /// How many more fit at a level.
    fn at(self, level: u64) -> u32 {
        let limit = (level * u64::from(self.capacity)) >> 32;
        u32::try_from(limit).unwrap_or(u32::MAX).saturating_sub(self.used)
    }
}

/// Endpoints that are alike.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    /// How many; more than 0.
    pub(crate) count: u32,
    /// Positions of the seats that they may use, ascending; shared by groups with the same selector.
    pub(crate) seats: Rc<[usize]>,
}

/// What a demand got: position of the seat and how many endpoints, by seat.
pub(crate) type Pieces = Vec<(usize, u32)>;

/// Pieces for each demand, or `None` if they do not all fit.
pub(crate) fn solve(rooms: &[Room], demands: &[Demand], min_chunk: u32) -> Option<Vec<Pieces>> {
    let mut pieces = vec![Pieces::new(); demands.len()];
    for members in components(rooms.len(), demands) {
        let component = Component::new(rooms, demands, members);
        for (demand, found) in component.members.iter().zip(component.solve(min_chunk.max(1))?) {
            pieces[*demand] = found;
        }
    }
    for found in &mut pieces {
        found.sort_unstable();
    }
    Some(pieces)
}

/// What is short for demands that share seats; demands by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shortage {
    /// Fewest endpoints of room that would do.
    pub(crate) short: u64,
    /// The demands that share the seats.
    pub(crate) members: Vec<usize>,
    /// The demands that compete for what is short: more room for any of them helps.
    pub(crate) tight: Vec<usize>,
    /// What of each demand has no place, at best; they sum to `short`. So much more room for each, or so much less of each, does.
    pub(crate) unmet: Vec<(usize, u64)>,
}

/// Whether the demands of a component would fit if there were a seat more that some of them may use.
pub(crate) fn fits_with(
    rooms: &[Room],
    demands: &[Demand],
    members: &[usize],
    extra: u32,
    may_use: impl Fn(usize) -> bool,
) -> bool {
    let seat = rooms.len();
    let mut rooms = rooms.to_vec();
    rooms.push(Room {
        capacity: extra.max(1),
        used: 0,
    });
    let widened = members.iter().map(|member| {
        let mut demand = demands[*member].clone();
        if may_use(*member) {
            demand.seats = demand.seats.iter().copied().chain([seat]).collect();
        }
        demand
    });
    shortage(&rooms, &widened.collect::<Vec<_>>()).is_empty()
}

/// Whether the demands fit, chunks left aside. If not: what is short, and which demands it is short for.
pub(crate) fn shortage(rooms: &[Room], demands: &[Demand]) -> Vec<Shortage> {
    components(rooms.len(), demands)
        .into_iter()
        .filter_map(|members| {
            let component = Component::new(rooms, demands, members);
            if component.roomy() && component.fill(FULL, 1).is_some() {
                return None;
            }
            let flow = component.flow_at(FULL);
            let short = flow.unmet();
            let position = |index: usize| component.members[index];
            let unmet = flow
                .unmet_by_demand()
                .map(|(index, count)| (position(index), count));
            (short > 0).then(|| Shortage {
                short,
                tight: flow.tight().into_iter().map(position).collect(),
                unmet: unmet.collect(),
                members: component.members.clone(),
            })
        })
        .collect()
}

/// Demands that share seats, directly or through others, by position; each once.
pub(crate) fn components(seats: usize, demands: &[Demand]) -> Vec<Vec<usize>> {
    let mut root: Vec<usize> = (0..demands.len()).collect();
    let mut owner: Vec<Option<usize>> = vec![None; seats];
    for (index, demand) in demands.iter().enumerate() {
        for seat in demand.seats.iter() {
            match owner[*seat] {
                None => owner[*seat] = Some(index),
                Some(other) => {
                    let (a, b) = (find(&root, index), find(&root, other));
                    root[a.max(b)] = a.min(b);
                }
            }
        }
    }
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); demands.len()];
    for index in 0..demands.len() {
        members[find(&root, index)].push(index);
    }
    members.retain(|component| !component.is_empty());
    members
}

fn find(root: &[usize], mut index: usize) -> usize {
    while root[index] != index {
        index = root[index];
    }
    index
}

struct Component<'a> {
    rooms: &'a [Room],
    demands: &'a [Demand],
    /// Positions of its demands, ascending.
    members: Vec<usize>,
    /// Positions within `members`, the demand with the fewest seats first.
    order: Vec<usize>,
    /// Levels closer than this are the same.
    step: u64,
}

impl<'a> Component<'a> {
    fn new(rooms: &'a [Room], demands: &'a [Demand], members: Vec<usize>) -> Self {
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by_key(|index| (demands[members[*index]].seats.len(), *index));
        let seats = || members.iter().flat_map(|member| demands[*member].seats.iter());
        let largest = seats()
            .map(|seat| u64::from(rooms[*seat].capacity))
            .max()
            .unwrap_or(1)
            .max(1);
        let exact = (FULL / largest.saturating_mul(largest) / 2).max(1);
        let rounds = (WORK / seats().count().max(1)).clamp(LEAST_ROUNDS, 32);
        let step = exact.max(FULL >> rounds);
        Self {
            rooms,
            demands,
            members,
            order,
            step,
        }
    }

    fn demand(&self, index: usize) -> &Demand {
        &self.demands[self.members[index]]
    }

    fn solve(&self, min_chunk: u32) -> Option<Vec<Pieces>> {
        if !self.roomy() {
            return None;
        }
        // Without chunks the flow is exact; with one demand filling is exact too, and cheaper.
        let single = self.members.len() == 1;
        if min_chunk > 1 || single {
            if let Some(found) = self.fill_lowest(min_chunk) {
                return Some(found);
            }
            let forced = self.largest_chunk(min_chunk);
            if let Some(chunk) = forced.filter(|chunk| *chunk > 1 || single) {
                return self.fill_lowest(chunk);
            }
        }
        self.flow_lowest()
    }

    /// Whether each demand by itself has room: cheap, and tells most failures.
    fn roomy(&self) -> bool {
        (0..self.members.len()).all(|index| {
            let demand = self.demand(index);
            let room: u64 = demand
                .seats
                .iter()
                .map(|seat| u64::from(self.rooms[*seat].at(FULL)))
                .sum();
            room >= u64::from(demand.count)
        })
    }

    /// The largest chunk below `min_chunk` with which filling succeeds at all.
    fn largest_chunk(&self, min_chunk: u32) -> Option<u32> {
        self.fill(FULL, 1)?;
        let (mut works, mut fails) = (1, min_chunk);
        while fails - works > 1 {
            let middle = works + (fails - works) / 2;
            match self.fill(FULL, middle) {
                Some(_) => works = middle,
                None => fails = middle,
            }
        }
        Some(works)
    }

    fn fill_lowest(&self, chunk: u32) -> Option<Vec<Pieces>> {
        self.lowest(|level| self.fill(level, chunk))
    }

    fn flow_lowest(&self) -> Option<Vec<Pieces>> {
        self.lowest(|level| {
            let flow = self.flow_at(level);
            (flow.unmet() == 0).then(|| flow.pieces())
        })
    }

    /// Bisects for the lowest level at which `attempt` succeeds.
    fn lowest(&self, attempt: impl Fn(u64) -> Option<Vec<Pieces>>) -> Option<Vec<Pieces>> {
        let mut best = attempt(FULL)?;
        let (mut fails, mut works) = (0, FULL);
        while works - fails > self.step {
            let middle = fails + (works - fails) / 2;
            match attempt(middle) {
                Some(found) => (best, works) = (found, middle),
                None => fails = middle,
            }
        }
        Some(best)
    }

    /// Fills the demands one after the other, each in chunks of at least `chunk` (or all of it, if it is smaller).
    fn fill(&self, level: u64, chunk: u32) -> Option<Vec<Pieces>> {
        let mut all = vec![Pieces::new(); self.members.len()];
        let mut taken: Vec<u32> = if self.order.len() > 1 {
            vec![0; self.rooms.len()]
        } else {
            Vec::new()
        };
        for index in &self.order {
            let demand = self.demand(*index);
            let room = |seat: usize| {
                self.rooms[seat]
                    .at(level)
                    .saturating_sub(taken.get(seat).copied().unwrap_or(0))
            };
            let pieces = fill_one(demand, chunk.min(demand.count), room)?;
            for (seat, count) in &pieces {
                if let Some(sum) = taken.get_mut(*seat) {
                    *sum += count;
                }
            }
            all[*index] = pieces;
        }
        Some(all)
    }

    fn flow_at(&self, level: u64) -> Flow {
        let demands = self.members.iter().map(|member| &self.demands[*member]);
        Flow::maximum(demands, |seat| self.rooms[seat].at(level))
    }
}

/// The fewest seats with the most room, each with at least `chunk` of it; `None` if the demand does not fit.
fn fill_one(demand: &Demand, chunk: u32, room: impl Fn(usize) -> u32) -> Option<Pieces> {
    let most = (demand.count / chunk.max(1)) as usize;
    let mut seats: Vec<(u32, usize)> = demand
        .seats
        .iter()
        .map(|seat| (room(*seat), *seat))
        .filter(|(room, _)| *room >= chunk.max(1))
        .collect();
    let by_room = |a: &(u32, usize), b: &(u32, usize)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
    if seats.len() > most {
        seats.select_nth_unstable_by(most.saturating_sub(1), by_room);
        seats.truncate(most);
    }
    let sum: u64 = seats.iter().map(|(room, _)| u64::from(*room)).sum();
    if sum < u64::from(demand.count) {
        return None;
    }
    seats.sort_unstable_by(by_room);
    let mut reach = 0;
    let used = seats.iter().take_while(|(room, _)| {
        let before = reach;
        reach += u64::from(*room);
        before < u64::from(demand.count)
    });
    let used: Vec<(u32, usize)> = used.copied().collect();
    let mut rest = demand
        .count
        .saturating_sub(chunk.saturating_mul(u32::try_from(used.len()).unwrap_or(u32::MAX)));
    let pieces = used.into_iter().map(|(room, seat)| {
        let more = rest.min(room - chunk);
        rest -= more;
        (seat, chunk + more)
    });
    Some(pieces.collect())
}
