//! The logs of several nodes: whether each is whole, whether they match, and what all of them together say was committed.
//!
//! A node may have cut its log, or have installed a snapshot in its place; what it lacks is taken from another. Behind what a node
//! knows to be committed its log may hold what was never committed, and differ from the others: that breaks nothing.

use std::collections::BTreeMap;

use crate::checker::verdict::Finding;
use crate::dump::{Dump, Entry, Payload};

/// A log begins here, or one before.
const FIRST_INDEX: u64 = 1;

/// What was committed, as far as any node has it.
pub struct Committed<'a> {
    /// By index.
    pub entries: BTreeMap<u64, &'a Entry>,
    /// Up to where any node knows the log to be committed.
    pub upto: u64,
}

impl Dump {
    /// Up to where it knows the log to be committed.
    fn knows(&self) -> u64 {
        self.committed.unwrap_or(0).max(self.applied)
    }

    fn kept(&self) -> impl Iterator<Item = &Entry> {
        let cut = self.purged;
        self.entries
            .iter()
            .filter(move |entry| cut.is_none_or(|cut| entry.index > cut))
    }
}

/// All of them together.
pub fn committed(dumps: &[Dump]) -> Committed<'_> {
    let mut entries = BTreeMap::new();
    for dump in dumps {
        let known = dump.kept().take_while(|entry| entry.index <= dump.knows());
        for entry in known {
            entries.entry(entry.index).or_insert(entry);
        }
    }
    Committed {
        entries,
        upto: dumps.iter().map(Dump::knows).max().unwrap_or(0),
    }
}

impl Committed<'_> {
    /// What no node has.
    fn lacks(&self) -> Option<u64> {
        let first = self.entries.keys().next().copied().unwrap_or(u64::MAX);
        if first > FIRST_INDEX {
            return Some(FIRST_INDEX);
        }
        (first..=self.upto).find(|index| !self.entries.contains_key(index))
    }
}

/// Every log goes on where it was cut, without a gap, to what its state is after; and all of them together go back to the first entry.
pub fn whole(dumps: &[Dump], committed: &Committed<'_>) -> Finding {
    let mut finding = Finding::of(
        "I2",
        "logs are without gaps, and reach what the state on disk is after",
    );
    for dump in dumps {
        let begins = dump.purged.map_or(FIRST_INDEX, |cut| cut + 1);
        let mut expected = dump.kept().next().map_or(begins, |entry| entry.index.min(begins));
        for entry in dump.kept() {
            finding.examined += 1;
            if entry.index != expected {
                let what = format!(
                    "{}: entry {expected} is missing before {}",
                    dump.name, entry.index
                );
                finding.violations.push(what);
            }
            expected = entry.index + 1;
        }
        if expected <= dump.applied {
            finding.violations.push(format!(
                "{}: the state is after entry {}, the log ends at {}",
                dump.name,
                dump.applied,
                expected - 1
            ));
        }
        if let Some(cut) = dump.purged {
            let note = format!("the log of {} was cut up to entry {cut}", dump.name);
            finding.notes.push(note);
        }
    }
    if finding.violations.is_empty()
        && let Some(index) = committed.lacks()
    {
        if dumps
            .iter()
            .any(|dump| dump.purged.is_some_and(|cut| index <= cut))
        {
            finding.harness.push(format!(
                "no node has entry {index} any more: one must keep its whole log (--log-keep-entries)"
            ));
        } else {
            let what = format!("entry {index} was committed and is on no node");
            finding.violations.push(what);
        }
    }
    finding
}

/// What is committed is the same wherever it is known to be, and an index, a term and its leader are of one entry everywhere (log matching).
pub fn matching(dumps: &[Dump], committed: &Committed<'_>) -> Finding {
    let mut finding = Finding::of("I11", "committed entries are the same on every node");
    let mut first: BTreeMap<(u64, u64, u64), (&str, &Entry)> = BTreeMap::new();
    for dump in dumps {
        for entry in dump.kept() {
            let (name, other) = first
                .entry((entry.index, entry.term, entry.leader))
                .or_insert((&dump.name, entry));
            finding.examined += usize::from(*name != dump.name);
            if *other != entry {
                finding.violations.push(format!(
                    "entry {} of term {} is one on {name} and another on {}",
                    entry.index, entry.term, dump.name
                ));
            }
            let there = committed.entries.get(&entry.index);
            if let Some(there) = there.filter(|there| entry.index <= dump.knows() && **there != entry) {
                finding.violations.push(format!(
                    "entry {} is committed in term {} and in term {} ({})",
                    entry.index, there.term, entry.term, dump.name
                ));
            }
        }
    }
    finding
}

/// Every entry that is committed is on a majority. A node whose disk cannot be read may have it.
pub fn on_quorum(dumps: &[Dump], committed: &Committed<'_>) -> Finding {
    let mut finding = Finding::of("I11", "what is committed is on a majority of the voters");
    let voters = voters(committed, dumps.len());
    let majority = voters / 2 + 1;
    let unread = voters.saturating_sub(dumps.len());
    let held: Vec<(Option<u64>, BTreeMap<u64, u64>)> = dumps
        .iter()
        .map(|dump| {
            let terms = dump.kept().map(|entry| (entry.index, entry.term)).collect();
            (dump.purged, terms)
        })
        .collect();
    for (index, entry) in &committed.entries {
        finding.examined += 1;
        let has = |(cut, terms): &&(Option<u64>, BTreeMap<u64, u64>)| {
            cut.is_some_and(|cut| *index <= cut) || terms.get(index) == Some(&entry.term)
        };
        let count = held.iter().filter(has).count();
        if count + unread < majority {
            finding.violations.push(format!(
                "entry {index} of term {} is committed and on {count} of {voters} nodes",
                entry.term
            ));
        }
    }
    finding
}

/// How many nodes vote by the last membership that was committed.
fn voters(committed: &Committed<'_>, dumps: usize) -> usize {
    let mut voters = dumps;
    for entry in committed.entries.values() {
        if let Payload::Membership(membership) = &entry.payload
            && let Some(last) = membership.configs.last()
        {
            voters = last.ids.len();
        }
    }
    voters
}

/// Terms rise along every log, and leaders within a term: openraft orders votes by term and node.
pub fn one_leader(dumps: &[Dump]) -> Finding {
    let mut finding = Finding::of("I7", "terms rise along the log, and leaders within a term");
    for dump in dumps {
        let mut before = (0, 0);
        for entry in &dump.entries {
            finding.examined += 1;
            let now = (entry.term, entry.leader);
            if now < before {
                finding.violations.push(format!(
                    "{}: entry {} is of term {} and node {}, after one of term {} and node {}",
                    dump.name, entry.index, now.0, now.1, before.0, before.1
                ));
            }
            before = now;
        }
    }
    finding
}
