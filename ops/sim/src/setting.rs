//! What a seed decides before anything runs.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reeve_store::sim::DiskFaults;

/// Something that is broken on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mutant {
    /// Nothing.
    #[default]
    None,
    /// Disks acknowledge entries without a sync.
    ForgetEntries,
    /// Disks acknowledge votes without a sync. openraft panics when a term goes back, which may end the program.
    ForgetVotes,
    /// A node believes that it is the whole cluster, and commits without a quorum.
    Lonely,
    /// A leader that was paused gives workers up by its own clock.
    LocalClock,
    /// A node applies commands with a time of its own.
    OwnTime,
}

impl Mutant {
    pub(crate) fn disk(self) -> DiskFaults {
        DiskFaults {
            forget_entries: self == Self::ForgetEntries,
            forget_votes: self == Self::ForgetVotes,
        }
    }
}

/// What a seed decides before anything runs.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Everything is drawn from it.
    pub seed: u64,
    /// Three or five.
    pub nodes: usize,
    /// Sessions that are wanted.
    pub workers: usize,
    /// Least and most time of a message on its way.
    pub latency_ms: (u64, u64),
    /// Least and most time of a sync.
    pub sync_ms: (u64, u64),
    /// How long faults go on.
    pub chaos_ms: u64,
    /// Mean time between two faults.
    pub calm_ms: u64,
    /// Mean time between two commands of clients.
    pub think_ms: u64,
    /// A snapshot after so many entries.
    pub snapshot_entries: u64,
    /// Whether a worker dies for good when everything else heals.
    pub loses_one: bool,
    /// Something that is broken on purpose.
    pub mutant: Mutant,
}

impl Setting {
    /// Of a seed; `brief`: a short life with much in it.
    pub fn draw(seed: u64, mutant: Mutant, brief: bool) -> Self {
        let drawn = Self::drawn(seed, mutant);
        if !brief {
            return drawn;
        }
        Self {
            chaos_ms: 4_000 + drawn.chaos_ms % 2_500,
            calm_ms: 300 + drawn.calm_ms % 700,
            loses_one: seed.is_multiple_of(8),
            nodes: if seed.is_multiple_of(6) { 5 } else { 3 },
            ..drawn
        }
    }

    fn drawn(seed: u64, mutant: Mutant) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let latency = random.random_range(1..=10);
        let sync = random.random_range(1..=5);
        Self {
            seed,
            nodes: if random.random_bool(0.7) { 3 } else { 5 },
            workers: random.random_range(2..=5),
            latency_ms: (latency, latency + random.random_range(2..=30)),
            sync_ms: (sync, sync + random.random_range(0..=25)),
            chaos_ms: random.random_range(8_000..=22_000),
            calm_ms: random.random_range(600..=4_000),
            think_ms: random.random_range(100..=900),
            snapshot_entries: random.random_range(20..=150),
            loses_one: random.random_bool(0.5),
            mutant,
        }
    }
}

/// The times that nodes and workers live by.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(1_500);
pub(crate) const EXCHANGE: Duration = Duration::from_millis(500);
pub(crate) const SHED: Duration = Duration::from_millis(1_200);
pub(crate) const RECONNECT: Duration = Duration::from_millis(1_500);
pub(crate) const DOWN: Duration = Duration::from_secs(6);
