//! What simulations went through: a check that met nothing has not passed.

use std::fmt;

macro_rules! coverage {
    ($($field:ident: $what:literal,)+) => {
        /// How often each thing happened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Coverage {
            $(#[doc = $what] pub $field: u64,)+
        }

        impl Coverage {
            /// Adds what another simulation went through.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
            }

            /// Each count with its name.
            pub fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$(($what, self.$field),)+]
            }
        }
    };
}

coverage! {
    simulated_ms: "simulated milliseconds",
    entries: "commands applied first",
    applied: "commands applied, on all nodes",
    leaders: "leaders elected",
    shared_terms: "leaders of a term that had one",
    crashes: "crashes of nodes",
    restarts: "restarts of nodes from what was synced",
    cuts: "partitions",
    oneway: "one-way partitions",
    holds: "links held",
    resets: "connections reset",
    pauses: "pauses of nodes",
    worker_crashes: "crashes of workers",
    worker_cuts: "workers cut off",
    welcomes: "sessions of workers",
    heartbeats: "heartbeats acknowledged",
    suspects: "workers that became suspect",
    offline: "workers that went OFFLINE",
    runs: "runs started",
    completed: "runs completed",
    failed: "runs failed",
    rejected: "runs rejected",
    drains: "drains asked for",
    tokens: "tokens regenerated",
    acked: "commands of clients acknowledged",
    unknown: "commands of clients with an unknown outcome",
    refused: "commands of clients refused or not proposed",
    stale_plans: "commands refused because their term was over",
    snapshots: "snapshots made",
    installed: "snapshots installed from a leader",
}

/// What need not happen in every series of seeds.
const SELDOM: [&str; 2] = [
    "commands refused because their term was over",
    "leaders of a term that had one",
];

impl Coverage {
    /// What must have happened, and did not.
    pub fn missing(&self) -> Vec<&'static str> {
        self.counts()
            .into_iter()
            .filter(|(what, count)| *count == 0 && !SELDOM.contains(what))
            .map(|(what, _)| what)
            .collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in self.counts() {
            writeln!(f, "  {count:>12}  {what}")?;
        }
        Ok(())
    }
}
