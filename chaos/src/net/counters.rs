//! What the rules and the daemon have counted.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::host::{Link, in_switch};
use super::rules::counter;
use super::state::NetFault;
use crate::tool;

/// All counters at one moment. They only grow.
#[derive(Debug)]
pub(super) struct Counters {
    rules: BTreeMap<String, u64>,
    delayed: BTreeMap<Link, u64>,
}

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    counter: Option<Counter>,
}

#[derive(Deserialize)]
struct Counter {
    name: String,
    packets: u64,
}

impl Counters {
    /// Reads those of the rules; those of the daemon are given.
    pub(super) fn read(delayed: BTreeMap<Link, u64>) -> Result<Self> {
        let printed = tool::run(in_switch("nft", &["-j", "list", "counters"]))?;
        let rules = parse(&printed).context("what nft says of its counters")?;
        Ok(Self { rules, delayed })
    }

    /// How many packets a fault has hit on a link.
    pub(super) fn of(&self, fault: &NetFault, link: Link) -> u64 {
        let named = |kind| self.rules.get(&counter(kind, link)).copied();
        let counted = match fault {
            NetFault::Cut { .. } => named("cut"),
            NetFault::Loss { .. } => named("loss"),
            NetFault::Duplicate { .. } => named("dup"),
            NetFault::Delay { .. } => self.delayed.get(&link).copied(),
            NetFault::LinkDown { .. } | NetFault::Reset { .. } => None,
        };
        counted.unwrap_or(0)
    }
}

fn parse(printed: &str) -> Result<BTreeMap<String, u64>> {
    let listing: Listing = serde_json::from_str(printed)?;
    let counters = listing.nftables.into_iter().filter_map(|entry| entry.counter);
    Ok(counters.map(|counter| (counter.name, counter.packets)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_fault_has_its_own_counter_on_each_link() {
        let printed = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
            {"counter": {"family": "bridge", "name": "cut_1_2", "packets": 7, "bytes": 0}},
            {"counter": {"family": "netdev", "name": "dup_1_2", "packets": 9, "bytes": 0}}]}"#;
        let (here, there) = (Link::new(1, 2), Link::new(2, 1));
        let counters = Counters {
            rules: parse(printed).unwrap(),
            delayed: BTreeMap::from([(there, 4)]),
        };
        let links = vec![here];
        let cut = NetFault::Cut { links: links.clone() };
        let twice = NetFault::Duplicate { links, permille: 1 };
        assert_eq!((counters.of(&cut, here), counters.of(&cut, there)), (7, 0));
        assert_eq!(counters.of(&twice, here), 9);
    }
}
