//! Why placement answered as it did (D10).

use std::fmt;

use crate::id::WorkerId;
use crate::record::Selector;
use crate::transition::worker::WorkerStatus;

/// Filter by filter, how the workers fell away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Explanation {
    /// One entry per group of the definition.
    pub groups: Vec<GroupExplanation>,
    /// The smallest change that would have let the run start.
    pub suggestion: String,
    /// The same for programs: ways to let it start, each of one or more steps.
    pub changes: Vec<SuggestedChange>,
}

/// One step of a way to let a run start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SuggestedChange {
    /// Steps with the same number belong together; any one number would do. From 1, the smallest change first.
    pub option: u32,
    /// What to do.
    pub kind: ChangeKind,
    /// How many endpoints it is about: of capacity, or of groups.
    pub endpoints: u64,
    /// The groups concerned, by name.
    pub groups: Vec<String>,
    /// Where capacity is to be added; empty: anywhere.
    pub place: Selector,
    /// For people.
    pub text: String,
}

/// What could be done so that a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// More capacity on workers that match.
    AddCapacity,
    /// A worker that is ONLINE, where there is none.
    AddWorker,
    /// Fewer endpoints in a group.
    ReduceEndpoints,
    /// A group left out.
    RemoveGroup,
    /// Other runs end and give capacity back.
    Wait,
    /// A higher limit of the project's plan (R190, R191).
    RaiseLimit,
    /// Another definition.
    ChangeDefinition,
    /// Nothing stands in the way: start it again (R198).
    StartAgain,
}

impl ChangeKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::AddCapacity,
        Self::AddWorker,
        Self::ReduceEndpoints,
        Self::RemoveGroup,
        Self::Wait,
        Self::RaiseLimit,
        Self::ChangeDefinition,
        Self::StartAgain,
    ];

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddCapacity => "ADD_CAPACITY",
            Self::AddWorker => "ADD_WORKER",
            Self::ReduceEndpoints => "REDUCE_ENDPOINTS",
            Self::RemoveGroup => "REMOVE_GROUP",
            Self::Wait => "WAIT",
            Self::RaiseLimit => "RAISE_LIMIT",
            Self::ChangeDefinition => "CHANGE_DEFINITION",
            Self::StartAgain => "START_AGAIN",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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
    /// The workers one by one, those that came furthest through the filters first; bounded.
    pub workers: Vec<WorkerVerdict>,
    /// How many workers are not listed.
    pub workers_left_out: u32,
}

/// What placement found about one worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkerVerdict {
    /// The worker.
    pub worker: WorkerId,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its status.
    pub status: WorkerStatus,
    /// The first filter that it fell to; `None`: it passed.
    pub filter: Option<PlacementFilter>,
    /// Most endpoints at once.
    pub capacity: u32,
    /// What of it was free for this run.
    pub free: u32,
    /// What of it was held back for runs that waited longer.
    pub held: u32,
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
