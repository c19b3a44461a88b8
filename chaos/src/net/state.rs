//! What can be wrong with the network, and what it adds up to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::delay::Shape;
use super::host::Link;

/// A fault of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "net", rename_all = "snake_case")]
pub enum NetFault {
    /// Nothing passes on these links. Every partition is one of these: one-way, bridge, ring.
    Cut {
        /// The links.
        links: Vec<Link>,
    },
    /// The cable of a host is unplugged.
    LinkDown {
        /// The host.
        host: u8,
    },
    /// Packets are lost by chance.
    Loss {
        /// The links.
        links: Vec<Link>,
        /// How many in a thousand.
        permille: u16,
    },
    /// Packets arrive twice by chance.
    Duplicate {
        /// The links.
        links: Vec<Link>,
        /// How many in a thousand.
        permille: u16,
    },
    /// Packets arrive late, each by its own time, so that they overtake each other unless order is kept.
    Delay {
        /// The links.
        links: Vec<Link>,
        /// How late.
        #[serde(flatten)]
        shape: Shape,
    },
    /// Established TCP connections are reset, once.
    Reset {
        /// Whose.
        host: u8,
        /// Only those with this host.
        peer: Option<u8>,
    },
}

impl NetFault {
    /// The links it is about; none for those that are about a host.
    pub fn links(&self) -> &[Link] {
        match self {
            Self::Cut { links }
            | Self::Loss { links, .. }
            | Self::Duplicate { links, .. }
            | Self::Delay { links, .. } => links,
            Self::LinkDown { .. } | Self::Reset { .. } => &[],
        }
    }

    /// How many packets of a thousand it hits, if it leaves that to chance.
    pub fn permille(&self) -> Option<u16> {
        match self {
            Self::Loss { permille, .. } | Self::Duplicate { permille, .. } => Some(*permille),
            Self::Cut { .. } | Self::LinkDown { .. } | Self::Delay { .. } | Self::Reset { .. } => None,
        }
    }

    /// For the report.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Cut { .. } => "cut",
            Self::LinkDown { .. } => "link-down",
            Self::Loss { .. } => "loss",
            Self::Duplicate { .. } => "duplicate",
            Self::Delay { .. } => "delay",
            Self::Reset { .. } => "reset",
        }
    }

    /// Whether nothing passes on this link while it is in force.
    pub(super) fn closes(&self, link: Link) -> bool {
        match self {
            Self::Cut { links } => links.contains(&link),
            Self::LinkDown { host } => *host == link.from || *host == link.to,
            Self::Loss { .. } | Self::Duplicate { .. } | Self::Delay { .. } | Self::Reset { .. } => false,
        }
    }

    /// What is counted.
    pub(super) fn effect(&self) -> &'static str {
        match self {
            Self::Cut { .. } | Self::Loss { .. } => "packets dropped",
            Self::LinkDown { .. } => "link down",
            Self::Duplicate { .. } => "packets doubled",
            Self::Delay { .. } => "packets delayed",
            Self::Reset { .. } => "connections reset",
        }
    }
}

/// All faults together, as they are installed. Where two meet on one link, the stronger wins, and a cut beats all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Weather {
    pub cuts: BTreeSet<Link>,
    pub down: BTreeSet<u8>,
    pub loss: BTreeMap<Link, u16>,
    pub duplicates: BTreeMap<Link, u16>,
    pub delays: BTreeMap<Link, Shape>,
}

impl Weather {
    pub(super) fn of(faults: &[NetFault]) -> Self {
        let mut weather = Self::default();
        for fault in faults {
            weather.add(fault);
        }
        // The second copy of a packet goes past the rules of the switch.
        weather
            .duplicates
            .retain(|link, _| !weather.cuts.contains(link) && !weather.down.contains(&link.to));
        weather
    }

    fn add(&mut self, fault: &NetFault) {
        match fault {
            NetFault::Cut { links } => self.cuts.extend(links),
            NetFault::LinkDown { host } => {
                self.down.insert(*host);
            }
            NetFault::Loss { links, permille } => strengthen(&mut self.loss, links, *permille),
            NetFault::Duplicate { links, permille } => strengthen(&mut self.duplicates, links, *permille),
            NetFault::Delay { links, shape } => strengthen(&mut self.delays, links, *shape),
            NetFault::Reset { .. } => {}
        }
    }
}

fn strengthen<T: Ord + Copy>(known: &mut BTreeMap<Link, T>, links: &[Link], value: T) {
    for link in links {
        let entry = known.entry(*link).or_insert(value);
        *entry = value.max(*entry);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn loss(from: u8, to: u8, permille: u16) -> NetFault {
        let links = vec![Link::new(from, to)];
        NetFault::Loss { links, permille }
    }

    #[test]
    fn faults_that_overlap_leave_each_other_in_place() {
        let cut = |links: &[Link]| NetFault::Cut {
            links: links.to_vec(),
        };
        let (a, b) = (Link::new(1, 2), Link::new(2, 3));
        let both = [cut(&[a]), cut(&[a, b])];
        assert_eq!(Weather::of(&both).cuts, BTreeSet::from([a, b]));
        assert_eq!(Weather::of(&both[..1]).cuts, BTreeSet::from([a]));
        assert_eq!(Weather::of(&[]), Weather::default());
    }

    #[test]
    fn the_stronger_of_two_wins() {
        let weather = Weather::of(&[loss(1, 2, 300), loss(1, 2, 20)]);
        assert_eq!(weather.loss, BTreeMap::from([(Link::new(1, 2), 300)]));
    }

    #[test]
    fn a_cut_link_carries_no_second_copies_either() {
        let link = Link::new(1, 2);
        let twice = NetFault::Duplicate {
            links: vec![link],
            permille: 500,
        };
        let cut = NetFault::Cut { links: vec![link] };
        assert_eq!(Weather::of(std::slice::from_ref(&twice)).duplicates.len(), 1);
        assert!(Weather::of(&[twice.clone(), cut]).duplicates.is_empty());
        assert!(
            Weather::of(&[twice, NetFault::LinkDown { host: 2 }])
                .duplicates
                .is_empty()
        );
    }

    #[test]
    fn a_fault_is_a_value_that_can_be_stored() {
        let fault = NetFault::Delay {
            links: vec![Link::new(1, 2)],
            shape: Shape {
                base_ms: 80,
                jitter_ms: 40,
                in_order: false,
            },
        };
        let stored = serde_json::to_string(&fault).unwrap();
        let expected =
            r#"{"net":"delay","links":[{"from":1,"to":2}],"base_ms":80,"jitter_ms":40,"in_order":false}"#;
        assert_eq!(stored, expected);
        assert_eq!(serde_json::from_str::<NetFault>(&stored).unwrap(), fault);
    }
}
