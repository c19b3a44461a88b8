//! The events of a scenario as intervals: who was away when, which faults were in force, when a majority of the nodes was together.

use std::collections::BTreeMap;

use crate::event::{Event, What};
use crate::fault::{Fault, Healing, Injection};
use crate::net::{Link, NetFault};
use crate::setting::Setting;

/// From, and until just before, µs.
pub type Span = (u64, u64);

/// A fault from its injection to its healing.
#[derive(Clone, Debug)]
pub struct FaultSpan<'a> {
    /// What.
    pub fault: &'a Fault,
    /// When it was injected, µs.
    pub at: u64,
    /// What became of that.
    pub result: &'a Injection,
    /// When it was healed, and what became of that.
    pub healed: Option<(u64, &'a Healing)>,
}

impl FaultSpan<'_> {
    /// Whether it was in force.
    pub fn installed(&self) -> bool {
        matches!(self.result, Injection::Installed(_))
    }

    /// While it was in force.
    pub fn span(&self) -> Span {
        (self.at, self.healed.map_or(u64::MAX, |(at, _)| at))
    }

    fn in_force(&self, at: u64) -> bool {
        let (from, to) = self.span();
        self.installed() && from <= at && at < to
    }
}

/// A scenario that is over.
pub struct Story<'a> {
    /// What it was run with.
    pub setting: &'a Setting,
    /// Its events, in order.
    pub events: &'a [Event],
    /// Its faults, in order.
    pub faults: Vec<FaultSpan<'a>>,
    /// When each process did not run, or stood still.
    away: BTreeMap<&'a str, Vec<Span>>,
}

impl<'a> Story<'a> {
    /// Of events and setting.
    pub fn of(setting: &'a Setting, events: &'a [Event]) -> Self {
        let faults = faults(events);
        let away = away(events, &faults);
        Self {
            setting,
            events,
            faults,
            away,
        }
    }

    /// When the last event was.
    pub fn end(&self) -> u64 {
        self.events.last().map_or(0, |event| event.at)
    }

    /// Whether a process did not run, or stood still.
    pub fn is_away(&self, name: &str, at: u64) -> bool {
        let spans = self.away.get(name).map_or(&[][..], Vec::as_slice);
        spans.iter().any(|(from, to)| *from <= at && at < *to)
    }

    /// The number of a process's host: nodes have their own, one is spare, then come workers.
    pub fn host(&self, name: &str) -> u8 {
        let nodes = self.setting.nodes.len();
        let number = match self.setting.workers.iter().position(|worker| worker == name) {
            Some(position) => nodes + 2 + position,
            None => name.trim_start_matches('n').parse().unwrap_or(0),
        };
        u8::try_from(number).unwrap_or(u8::MAX)
    }

    /// Whether nothing passes between two processes in one direction, or in the other.
    fn apart(&self, one: &str, other: &str, at: u64) -> bool {
        let (one, other) = (self.host(one), self.host(other));
        self.faults.iter().filter(|span| span.in_force(at)).any(|span| {
            let Fault::Net(net) = span.fault else {
                return false;
            };
            match net {
                NetFault::Cut { links } => {
                    links.contains(&Link::new(one, other)) || links.contains(&Link::new(other, one))
                }
                NetFault::LinkDown { host } => *host == one || *host == other,
                NetFault::Loss { .. }
                | NetFault::Duplicate { .. }
                | NetFault::Delay { .. }
                | NetFault::Reset { .. } => false,
            }
        })
    }

    /// Whether a majority of the nodes ran and reached each other.
    pub fn majority(&self, at: u64) -> bool {
        let running: Vec<&str> = self
            .setting
            .nodes
            .iter()
            .map(String::as_str)
            .filter(|node| !self.is_away(node, at))
            .collect();
        let wanted = self.setting.nodes.len() / 2 + 1;
        (0u32..1 << running.len()).any(|chosen| {
            let of = |position: &usize| chosen >> position & 1 == 1;
            let group: Vec<usize> = (0..running.len()).filter(of).collect();
            let together = |a: &usize| {
                let mut others = group.iter().filter(|b| *b > a);
                others.all(|b| !self.apart(running[*a], running[*b], at))
            };
            group.len() >= wanted && group.iter().all(together)
        })
    }

    /// Whether a worker reached no node: it did not run, stood still, or was cut from all.
    pub fn out_of_reach(&self, worker: &str, at: u64) -> bool {
        let mut nodes = self.setting.nodes.iter();
        self.is_away(worker, at) || nodes.all(|node| self.apart(worker, node, at))
    }

    /// Whether a fault is about nodes, or the network between them; what is between workers and nodes is not.
    fn is_of_nodes(&self, fault: &Fault) -> bool {
        let Fault::Net(net) = fault else {
            let target = fault.target().unwrap_or_default();
            return !self.setting.workers.iter().any(|worker| worker == target);
        };
        let last = self.setting.nodes.len() + 1;
        let is_node = |host: u8| usize::from(host) <= last;
        match net {
            NetFault::Cut { links }
            | NetFault::Loss { links, .. }
            | NetFault::Duplicate { links, .. }
            | NetFault::Delay { links, .. } => {
                links.iter().any(|link| is_node(link.from) && is_node(link.to))
            }
            NetFault::LinkDown { host } | NetFault::Reset { host, .. } => is_node(*host),
        }
    }

    /// Whether something slows nodes, or the network between them, down.
    fn hampered(&self, at: u64) -> bool {
        let in_force = self.faults.iter().filter(|span| span.in_force(at));
        let mut of_nodes = in_force.filter(|span| self.is_of_nodes(span.fault));
        of_nodes.any(|span| match span.fault {
            Fault::Net(net) => match net {
                NetFault::Loss { .. } | NetFault::Duplicate { .. } | NetFault::Delay { .. } => true,
                NetFault::Cut { .. } | NetFault::LinkDown { .. } | NetFault::Reset { .. } => false,
            },
            Fault::Cpu { .. }
            | Fault::Memory { .. }
            | Fault::DiskFull { .. }
            | Fault::SlowDisk { .. }
            | Fault::Sync { .. }
            | Fault::Write { .. }
            | Fault::Flip { .. } => true,
            // Who is away is looked at elsewhere, and no clock may matter.
            Fault::Kill { .. } | Fault::Pause { .. } | Fault::PowerCut { .. } | Fault::Clock { .. } => false,
        })
    }

    /// Every instant at which something about nodes or the network between them became another, and at which the leader or the term did.
    fn turns(&self) -> Vec<u64> {
        let is_worker = |name: &str| self.setting.workers.iter().any(|worker| worker == name);
        let mut known: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        let of_nodes = self.faults.iter().filter(|span| self.is_of_nodes(span.fault));
        let mut turns: Vec<u64> = of_nodes
            .flat_map(|span| [Some(span.at), span.healed.map(|(at, _)| at)])
            .flatten()
            .collect();
        for event in self.events {
            let turn = if let What::Started { process, .. } | What::Ended { process, .. } = &event.what {
                !is_worker(process)
            } else if let What::Seen {
                node, term, leader, ..
            } = &event.what
            {
                known.insert(node, (*term, *leader)) != Some((*term, *leader))
            } else {
                matches!(event.what, What::Administered { .. })
            };
            if turn {
                turns.push(event.at);
            }
        }
        turns.push(self.end());
        turns.sort_unstable();
        turns
    }

    /// When nothing happened to nodes, and a majority of them was well and together.
    pub fn calm(&self) -> Vec<Span> {
        let turns = self.turns();
        let spans = turns.windows(2).map(|pair| (pair[0], pair[1]));
        spans
            .filter(|(from, to)| from < to && self.majority(*from) && !self.hampered(*from))
            .collect()
    }

    /// For how long, within a span, no majority was together, or nodes were slowed down, µs.
    pub fn excused(&self, (from, to): Span) -> u64 {
        let mut bounds: Vec<u64> = self
            .turns()
            .into_iter()
            .filter(|at| from < *at && *at < to)
            .collect();
        bounds.insert(0, from);
        bounds.push(to);
        let parts = bounds.windows(2).map(|pair| (pair[0], pair[1]));
        parts
            .filter(|(at, _)| !self.majority(*at) || self.hampered(*at))
            .map(|(at, next)| next - at)
            .sum()
    }

    /// When a worker was out of reach without a break.
    pub fn outages(&self, worker: &str) -> Vec<Span> {
        let mut bounds: Vec<u64> = self
            .faults
            .iter()
            .flat_map(|span| [span.span().0, span.span().1])
            .collect();
        let of_it = self.away.get(worker).into_iter().flatten();
        bounds.extend(of_it.flat_map(|(from, to)| [*from, *to]));
        bounds.retain(|at| *at < self.end());
        bounds.sort_unstable();
        bounds.dedup();
        bounds.push(self.end());
        let mut outages: Vec<Span> = Vec::new();
        for pair in bounds.windows(2) {
            // Before it was started for the first time it was no worker.
            if pair[0] == 0 || !self.out_of_reach(worker, pair[0]) {
                continue;
            }
            match outages.last_mut() {
                Some(last) if last.1 == pair[0] => last.1 = pair[1],
                Some(_) | None => outages.push((pair[0], pair[1])),
            }
        }
        outages
    }

    /// Who led at an instant, as far as nodes said: by the newest term that was seen.
    pub fn leader(&self, at: u64) -> Option<String> {
        let mut newest = (0, 0);
        for event in self.events.iter().take_while(|event| event.at < at) {
            if let What::Seen { term, leader, .. } = &event.what
                && *leader != 0
                && *term >= newest.0
            {
                newest = (*term, *leader);
            }
        }
        (newest.1 != 0).then(|| format!("n{}", newest.1))
    }
}

fn faults(events: &[Event]) -> Vec<FaultSpan<'_>> {
    let mut faults: Vec<(u32, FaultSpan<'_>)> = Vec::new();
    for event in events {
        if let What::Injected {
            number,
            fault,
            result,
        } = &event.what
        {
            let span = FaultSpan {
                fault,
                at: event.at,
                result,
                healed: None,
            };
            faults.push((*number, span));
        }
        if let What::Healed { number, result } = &event.what
            && let Some((_, span)) = faults.iter_mut().rfind(|(of, _)| of == number)
        {
            span.healed = Some((event.at, result));
        }
    }
    faults.into_iter().map(|(_, span)| span).collect()
}

fn away<'a>(events: &'a [Event], faults: &[FaultSpan<'a>]) -> BTreeMap<&'a str, Vec<Span>> {
    let mut away: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    let mut gone: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events {
        if let What::Started { process, .. } = &event.what {
            // Before its first start it was not there.
            let first = !away.contains_key(process.as_str());
            let since = gone.remove(process.as_str());
            let since = since.unwrap_or(if first { 0 } else { event.at });
            away.entry(process).or_default().push((since, event.at));
        } else if let What::Ended { process, .. } = &event.what {
            gone.entry(process).or_insert(event.at);
        } else if let What::Injected {
            fault: Fault::Kill { target } | Fault::PowerCut { target },
            result: Injection::Installed(_),
            ..
        } = &event.what
        {
            gone.entry(target).or_insert(event.at);
        }
    }
    for (process, since) in gone {
        away.entry(process).or_default().push((since, u64::MAX));
    }
    for span in faults.iter().filter(|span| span.installed()) {
        if let Fault::Pause { target } = span.fault {
            away.entry(target).or_default().push(span.span());
        }
    }
    away
}

#[cfg(test)]
pub mod tests;
