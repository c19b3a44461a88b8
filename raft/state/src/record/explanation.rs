//! Why placement answered as it did (D10).

use std::fmt;

/// Filter by filter, how the workers fell away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Explanation {
    /// One entry per group of the definition.
    pub groups: Vec<GroupExplanation>,
    /// The smallest change that would have let the run start.
    pub suggestion: String,
}

/// The workers considered for one group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupExplanation {
    /// The group's name.
    pub group: String,
    /// How many endpoints it asked for.
    pub endpoints: u32,
    /// How many workers there were to begin with.
    pub workers_considered: u32,
    /// How many each filter removed, in the order of the filters.
    pub removed: Vec<FilterCount>,
    /// Capacity of the workers that passed every filter but the last.
    pub capacity_total: u64,
    /// What of it was free.
    pub capacity_free: u64,
}

/// How many workers a filter removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FilterCount {
    /// The filter.
    pub filter: PlacementFilter,
    /// How many workers fell to it.
    pub workers: u32,
}

/// The filters of placement, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlacementFilter {
    /// Another worker is named.
    OtherWorker,
    /// Another region is named.
    OtherRegion,
    /// A label is missing or differs.
    LabelsDiffer,
    /// The worker is not ONLINE (R10).
    NotOnline,
    /// Nothing is free on it.
    NoFreeCapacity,
}

impl PlacementFilter {
    /// All filters, in order.
    pub const ALL: [Self; 5] = [
        Self::OtherWorker,
        Self::OtherRegion,
        Self::LabelsDiffer,
        Self::NotOnline,
        Self::NoFreeCapacity,
    ];

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherWorker => "OTHER_WORKER",
            Self::OtherRegion => "OTHER_REGION",
            Self::LabelsDiffer => "LABELS_DIFFER",
            Self::NotOnline => "NOT_ONLINE",
            Self::NoFreeCapacity => "NO_FREE_CAPACITY",
        }
    }
}

impl fmt::Display for PlacementFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
