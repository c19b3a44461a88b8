//! Known bugs that the harness must find: what each is, which scenario is to show it, and which invariant is then named. A harness that
//! finds none of them has proved nothing by finding nothing.
//!
//! The bugs are in the program if it is built with the feature [`FEATURE`], `cargo build --release -p reeve-cli --features mutants`; a node has the one that [`VARIABLE`] names, and does not start
//! if it has none of that name. [`crate::checker::lost`] is the one on our side: a line of a history that was not kept.

use crate::checker::verdict::{Finding, Word};

/// Of `reeve-cli`; never in a release.
pub const FEATURE: &str = "mutants";
/// What a node is told its bug by.
#[cfg(test)]
pub const VARIABLE: &str = "REEVE_MUTANT";

/// One known bug.
#[derive(Debug)]
pub struct Mutant {
    /// What it is chosen by.
    pub name: &'static str,
    /// What is wrong.
    pub bug: &'static str,
    /// The scenario that shows it, by name.
    pub scenario: &'static str,
    /// The invariants of which one must be found broken.
    pub breaks: &'static [&'static str],
    /// What shows, and what it takes.
    pub shows: &'static str,
}

/// All of them, in the order of `reeve_state::mutant::Mutant::ALL`.
pub const ALL: [Mutant; 12] = [
    Mutant {
        name: "no-fsync-append",
        bug: "entries of the log are acknowledged before they are on disk",
        scenario: "S3",
        breaks: &["I1", "I2", "I11"],
        shows: "all nodes, or a majority, lose power: what was acknowledged in the last seconds is gone; a kill does not show it",
    },
    Mutant {
        name: "no-fsync-vote",
        bug: "votes are given before they are on disk",
        scenario: "S3",
        breaks: &["I11", "I7", "I13"],
        shows: "all nodes lose power within some 30 s of a vote: terms fall, and Raft finds a vote below its own log and panics",
    },
    Mutant {
        name: "local-read",
        bug: "every node answers linearizable reads from what it has applied",
        scenario: "S4",
        breaks: &["I1"],
        shows: "a read at a follower is behind an answer given before it; without faults by milliseconds, while it is cut off by seconds",
    },
    Mutant {
        name: "leader-read",
        bug: "a leader answers linearizable reads without asking whether it still leads",
        scenario: "S4",
        breaks: &["I1"],
        shows: "a leader that is cut off answers clients on its side while the others write; shorter cuts than an election show nothing",
    },
    Mutant {
        name: "no-fence",
        bug: "who led once goes on planning, whoever leads is handed the plans, and nobody checks their term",
        scenario: "S4",
        breaks: &["I7"],
        shows: "a leader that was paused or cut off, not killed, plans beside its successor; surely once it leads again",
    },
    Mutant {
        name: "offline-local-clock",
        bug: "whoever woke up gives up the workers that it did not hear meanwhile, whoever leads now",
        scenario: "S9",
        breaks: &["I9"],
        shows: "workers whose session is on another node go OFFLINE when a leader wakes that was paused for longer than down_after",
    },
    Mutant {
        name: "capacity-at-propose",
        bug: "apply does not check capacity, and the planner does not count what it placed a moment ago",
        scenario: "S17",
        breaks: &["I5"],
        shows: "two runs that wait are placed in one look: any load that waits for capacity shows it",
    },
    Mutant {
        name: "no-drain-check",
        bug: "neither apply nor the planner minds that a worker drains",
        scenario: "S16",
        breaks: &["I8"],
        shows: "a run that starts while a worker drains is placed on it",
    },
    Mutant {
        name: "token-cache",
        bug: "a node that let a key or a token in once lets it in for ever",
        scenario: "S18",
        breaks: &["I10"],
        shows: "a key or token that was used at a node before it was revoked is used there again; reads only, apply refuses writes",
    },
    Mutant {
        name: "status-without-dag",
        bug: "any status may follow any other, and a stop that comes late cancels what has ended",
        scenario: "S1",
        breaks: &["I3", "I4"],
        shows: "a run is stopped after it has ended, and is CANNOT_RUN_FOR_NOW instead of refused",
    },
    Mutant {
        name: "no-idempotency",
        bug: "a request that is repeated is done again",
        scenario: "S1",
        breaks: &["I1", "I2"],
        shows: "a request to start a run is sent again under its id, and gives another run",
    },
    Mutant {
        name: "lost-outcome",
        bug: "what endpoints did is dropped when the log cannot be reached at once",
        scenario: "S1",
        breaks: &["I6"],
        shows: "endpoints end while there is no leader for 150 ms: they are SUCCESS in the ledger and OSERROR in the end",
    },
];

/// The one of this name.
pub fn find(name: &str) -> Option<&'static Mutant> {
    ALL.iter().find(|mutant| mutant.name == name)
}

impl Mutant {
    /// The finding that gives it away: one of an invariant that it breaks. Anything else that failed may have another cause.
    pub fn killed_by<'a>(&self, findings: &'a [Finding]) -> Option<&'a Finding> {
        findings
            .iter()
            .find(|finding| finding.word() == Word::Violated && self.breaks.contains(&finding.invariant))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::scenario::catalog;

    /// We share no code with what we check; a list of names may be read all the same.
    const SOURCE: &str = include_str!("../../raft/state/src/mutant.rs");
    const NODE: &str = include_str!("../../node/server/src/mutants.rs");

    #[test]
    fn every_bug_that_the_program_has_is_in_the_table_in_the_same_order() {
        let names = SOURCE
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once("=> \""))
            .filter_map(|(_, name)| name.strip_suffix("\","));
        assert!(names.eq(ALL.iter().map(|mutant| mutant.name)));
        assert!(NODE.contains(&format!("\"{VARIABLE}\"")));
    }

    #[test]
    fn every_bug_has_a_scenario_and_an_invariant() {
        for mutant in &ALL {
            assert!(catalog::find(mutant.scenario).is_some(), "{}", mutant.name);
            assert!(!mutant.breaks.is_empty(), "{}", mutant.name);
            assert!(std::ptr::eq(find(mutant.name).unwrap(), mutant));
        }
        assert!(find("no-such-bug").is_none());
    }

    #[test]
    fn a_bug_is_found_by_its_invariant_and_by_no_other() {
        let finding = |invariant, violations: usize| Finding {
            examined: 1,
            violations: vec!["broken".to_owned(); violations],
            ..Finding::of(invariant, "a rule")
        };
        let fence = find("no-fence").unwrap();
        assert!(fence.killed_by(&[finding("I7", 1)]).is_some());
        assert!(fence.killed_by(&[finding("I7", 0), finding("I1", 1)]).is_none());
        let mut doubtful = finding("I7", 0);
        doubtful.unknown.push("late".to_owned());
        doubtful.harness.push("a gap".to_owned());
        assert!(fence.killed_by(&[doubtful]).is_none());
    }
}
