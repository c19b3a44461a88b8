//! Known bugs, put in on purpose: a test bench that does not find them finds nothing. All of it is behind the feature `mutants`, which no
//! release has; without it [`is`] is `false` at compile time. A process is one mutant for its whole life, chosen before its node
//! starts, so that this is no input that could differ between two calls of a planner or of apply.

/// One known bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Entries of the log are acknowledged before they are on disk.
    NoFsyncAppend,
    /// Votes are given before they are on disk.
    NoFsyncVote,
    /// Every node answers linearizable reads from what it has applied.
    LocalRead,
    /// A leader answers linearizable reads without asking anybody whether it still leads.
    LeaderRead,
    /// Who led once goes on planning, whoever leads is handed the plans, and nobody checks their term.
    NoFence,
    /// Whoever woke up gives up the workers that it did not hear meanwhile, whoever leads now.
    OfflineLocalClock,
    /// Apply does not check capacity, and the planner does not count what it placed a moment ago.
    CapacityAtPropose,
    /// Neither apply nor the planner minds that a worker drains.
    NoDrainCheck,
    /// A node that let a key or a token in once lets it in for ever.
    TokenCache,
    /// Any status may follow any other, and a stop that comes late cancels what has ended.
    StatusWithoutDag,
    /// A request that is repeated is done again.
    NoIdempotency,
    /// What endpoints did is dropped when the log cannot be reached at once.
    LostOutcome,
}

/// Why a mutant was not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotChosen {
    /// This program has none.
    #[error("it is built without the feature mutants")]
    NotCompiled,
    /// The process is another one already.
    #[error("it is the mutant {} already", .0.name())]
    Other(Mutant),
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::NoFsyncAppend,
        Self::NoFsyncVote,
        Self::LocalRead,
        Self::LeaderRead,
        Self::NoFence,
        Self::OfflineLocalClock,
        Self::CapacityAtPropose,
        Self::NoDrainCheck,
        Self::TokenCache,
        Self::StatusWithoutDag,
        Self::NoIdempotency,
        Self::LostOutcome,
    ];

    /// What it is chosen by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoFsyncAppend => "no-fsync-append",
            Self::NoFsyncVote => "no-fsync-vote",
            Self::LocalRead => "local-read",
            Self::LeaderRead => "leader-read",
            Self::NoFence => "no-fence",
            Self::OfflineLocalClock => "offline-local-clock",
            Self::CapacityAtPropose => "capacity-at-propose",
            Self::NoDrainCheck => "no-drain-check",
            Self::TokenCache => "token-cache",
            Self::StatusWithoutDag => "status-without-dag",
            Self::NoIdempotency => "no-idempotency",
            Self::LostOutcome => "lost-outcome",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.name() == name)
    }
}

#[cfg(feature = "mutants")]
static CHOSEN: std::sync::OnceLock<Mutant> = std::sync::OnceLock::new();

/// This process is the mutant from now on. To be called before anything else.
///
/// # Errors
/// The program has no mutants, or the process is another one.
#[cfg(feature = "mutants")]
pub fn choose(mutant: Mutant) -> Result<(), NotChosen> {
    match *CHOSEN.get_or_init(|| mutant) {
        chosen if chosen == mutant => Ok(()),
        other => Err(NotChosen::Other(other)),
    }
}

/// This program has no mutants.
///
/// # Errors
/// Always.
#[cfg(not(feature = "mutants"))]
pub const fn choose(_: Mutant) -> Result<(), NotChosen> {
    Err(NotChosen::NotCompiled)
}

/// Whether this process is the mutant.
#[cfg(feature = "mutants")]
pub fn is(mutant: Mutant) -> bool {
    CHOSEN.get() == Some(&mutant)
}

/// Whether this process is the mutant: it is not.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn is(_: Mutant) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_is_found_by_its_name_and_no_other() {
        for (at, mutant) in Mutant::ALL.into_iter().enumerate() {
            assert_eq!(Mutant::named(mutant.name()), Some(mutant));
            assert_eq!(mutant as usize, at, "each is in the list once");
        }
        assert_eq!(Mutant::named(""), None);
        assert_eq!(Mutant::named("no-fsync"), None);
    }

    #[cfg(not(feature = "mutants"))]
    #[test]
    fn without_the_feature_nothing_can_be_chosen_and_nothing_is() {
        const IS: bool = is(Mutant::NoFence);
        for mutant in Mutant::ALL {
            assert_eq!(choose(mutant), Err(NotChosen::NotCompiled));
            assert!(!is(mutant) && !IS);
        }
    }

    #[cfg(feature = "mutants")]
    #[test]
    fn a_process_is_one_mutant_and_stays_it() {
        assert!(!Mutant::ALL.into_iter().any(is));
        assert_eq!(choose(Mutant::NoFence), Ok(()));
        assert_eq!(choose(Mutant::NoFence), Ok(()));
        assert_eq!(choose(Mutant::LocalRead), Err(NotChosen::Other(Mutant::NoFence)));
        assert!(is(Mutant::NoFence) && !is(Mutant::LocalRead));
    }
}
