//! Maximum flow from demands to classes of seats.
//!
//! Seats that the same demands may use are one class, so the graph has as many nodes as there are demands and different
//! sets of demands, however many seats there are. Augments along shortest paths.

use std::collections::{BTreeMap, VecDeque};

use super::solve::{Demand, Pieces};

struct Class {
    /// Demands that may use it.
    demands: Vec<usize>,
    /// Seats with their room.
    seats: Vec<(u32, usize)>,
    /// Room that is left.
    left: u64,
}

pub(crate) struct Flow {
    /// What of each demand is not placed.
    left: Vec<u64>,
    classes: Vec<Class>,
    /// Classes of each demand.
    uses: Vec<Vec<usize>>,
    /// By demand, by class.
    amount: Vec<Vec<u64>>,
}

impl Flow {
    /// Places as much of the demands as fits.
    pub(crate) fn maximum<'a>(
        demands: impl Iterator<Item = &'a Demand> + Clone,
        room: impl Fn(usize) -> u32,
    ) -> Self {
        let classes = classes(demands.clone(), room);
        let left: Vec<u64> = demands.map(|demand| u64::from(demand.count)).collect();
        let mut uses = vec![Vec::new(); left.len()];
        for (index, class) in classes.iter().enumerate() {
            for demand in &class.demands {
                uses[*demand].push(index);
            }
        }
        let amount = vec![vec![0; classes.len()]; left.len()];
        let mut flow = Self {
            left,
            classes,
            uses,
            amount,
        };
        // What a demand has it never loses again. So each gets something first: what is short is then taken from each
        // only as far as it must, and no demand goes without if that can be helped.
        for demand in 0..flow.left.len() {
            flow.augment(demand, 1);
        }
        for demand in 0..flow.left.len() {
            while flow.left[demand] > 0 && flow.augment(demand, u64::MAX) {}
        }
        flow
    }

    /// What of each demand has no place, those left out that are placed whole.
    pub(crate) fn unmet_by_demand(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let left = self.left.iter().copied().enumerate();
        left.filter(|(_, left)| *left > 0)
    }

    /// Endpoints that have no place.
    pub(crate) fn unmet(&self) -> u64 {
        self.left.iter().sum()
    }

    /// The demands that compete for what is short: more room for any of them helps.
    pub(crate) fn tight(&self) -> Vec<usize> {
        let mut reached = vec![false; self.left.len()];
        for demand in (0..self.left.len()).filter(|demand| self.left[*demand] > 0) {
            for (index, step) in self.search(demand).from_class.iter().enumerate() {
                reached[index] |= step.is_some() || index == demand;
            }
        }
        (0..reached.len()).filter(|demand| reached[*demand]).collect()
    }

    /// The seats that each demand gets: the largest amounts on the seats with the most room.
    pub(crate) fn pieces(&self) -> Vec<Pieces> {
        let mut pieces = vec![Pieces::new(); self.left.len()];
        for (index, class) in self.classes.iter().enumerate() {
            let mut seats = class.seats.clone();
            seats.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            let mut seats = seats.into_iter();
            let mut current = seats.next();
            for demand in &class.demands {
                let mut rest = self.amount[*demand][index];
                while let (true, Some((room, seat))) = (rest > 0, current) {
                    let count = u32::try_from(rest).unwrap_or(u32::MAX).min(room);
                    if count > 0 {
                        pieces[*demand].push((seat, count));
                    }
                    rest -= u64::from(count);
                    current = if count == room {
                        seats.next()
                    } else {
                        Some((room - count, seat))
                    };
                }
            }
        }
        pieces
    }

    /// Sends up to `limit` more of a demand along a shortest path; false if there is none.
    fn augment(&mut self, demand: usize, limit: u64) -> bool {
        let search = self.search(demand);
        let Some(end) = search.end else { return false };
        let mut most = self.left[demand].min(self.classes[end].left).min(limit);
        search.walk(end, |_, taken_from| {
            if let Some((other, class)) = taken_from {
                most = most.min(self.amount[other][class]);
            }
        });
        let mut moves = Vec::new();
        search.walk(end, |given_to, taken_from| moves.push((given_to, taken_from)));
        for ((demand, class), taken_from) in moves {
            self.amount[demand][class] += most;
            if let Some((other, class)) = taken_from {
                self.amount[other][class] -= most;
            }
        }
        self.left[demand] -= most;
        self.classes[end].left -= most;
        true
    }

    /// Breadth first from a demand to a class with room, over demands that could give way.
    fn search(&self, start: usize) -> Search {
        let mut search = Search {
            start,
            from_demand: vec![None; self.classes.len()],
            from_class: vec![None; self.left.len()],
            end: None,
        };
        let mut queue = VecDeque::from([start]);
        while let Some(demand) = queue.pop_front() {
            for class in &self.uses[demand] {
                if search.from_demand[*class].is_some() {
                    continue;
                }
                search.from_demand[*class] = Some(demand);
                if self.classes[*class].left > 0 {
                    search.end = Some(*class);
                    return search;
                }
                for other in &self.classes[*class].demands {
                    let known = *other == start || search.from_class[*other].is_some();
                    if !known && self.amount[*other][*class] > 0 {
                        search.from_class[*other] = Some(*class);
                        queue.push_back(*other);
                    }
                }
            }
        }
        search
    }
}

/// A demand and a class.
type Edge = (usize, usize);

struct Search {
    start: usize,
    /// The demand from which each class was reached.
    from_demand: Vec<Option<usize>>,
    /// The class from which each demand was reached.
    from_class: Vec<Option<usize>>,
    /// The first class with room.
    end: Option<usize>,
}

impl Search {
    /// Goes back from `end`: the edge that gets more, and the edge of the same demand that gets less.
    fn walk(&self, end: usize, mut step: impl FnMut(Edge, Option<Edge>)) {
        let mut class = end;
        while let Some(demand) = self.from_demand[class] {
            let before = if demand == self.start {
                None
            } else {
                self.from_class[demand]
            };
            step((demand, class), before.map(|before| (demand, before)));
            match before {
                Some(before) => class = before,
                None => return,
            }
        }
    }
}

fn classes<'a>(demands: impl Iterator<Item = &'a Demand>, room: impl Fn(usize) -> u32) -> Vec<Class> {
    let mut by_seat: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, demand) in demands.enumerate() {
        for seat in demand.seats.iter() {
            by_seat.entry(*seat).or_default().push(index);
        }
    }
    let mut classes: BTreeMap<Vec<usize>, Vec<(u32, usize)>> = BTreeMap::new();
    for (seat, demands) in by_seat {
        classes.entry(demands).or_default().push((room(seat), seat));
    }
    let class = |(demands, seats): (Vec<usize>, Vec<(u32, usize)>)| {
        let left = seats.iter().map(|(room, _)| u64::from(*room)).sum();
        Class { demands, seats, left }
    };
    classes.into_iter().map(class).collect()
}
