//! What clients do, in which shares.

use std::ops::Range;

/// What a client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Do {
    /// Writes its own test.
    Apply,
    /// Starts a run of its own test.
    Start,
    /// Reads its own test.
    Read,
    /// Sends an old start again.
    Repeat,
    /// Writes a test that is shared.
    WriteShared,
    /// Deletes one.
    DeleteShared,
    /// Reads one.
    ReadShared,
    /// Stops a run.
    Stop,
    /// Reads a run.
    ReadRun,
    /// Reads a list.
    List,
    /// Gives a worker that nobody starts a token, or another one.
    Token,
    /// Uses a token of such a worker, new or old.
    UseToken,
    /// Gives such a worker another token, and uses the old and the new one at once on every node.
    TokenRace,
    /// Reads a worker.
    ReadWorker,
    /// Drains a worker that runs, and takes that back.
    Drain,
}

/// The workload of a scenario. Each has a little of everything that a checker looks at: one that saw nothing has not passed.
#[derive(Clone, Debug)]
pub struct Mix {
    /// What is done, in shares of their sum.
    pub shares: &'static [(u32, Do)],
    /// Between two requests of a client, milliseconds.
    pub pause_ms: Range<u64>,
    /// Endpoints of the tests of clients.
    pub endpoints: Range<u32>,
    /// How many runs all clients start at most; none: no limit.
    pub most_runs: Option<usize>,
}

impl Mix {
    /// Something of everything.
    pub fn usual() -> Self {
        Self {
            shares: &[
                (32, Do::Apply),
                (14, Do::Start),
                (9, Do::Read),
                (4, Do::Repeat),
                (6, Do::WriteShared),
                (2, Do::DeleteShared),
                (8, Do::ReadShared),
                (3, Do::Stop),
                (7, Do::ReadRun),
                (3, Do::List),
                (3, Do::Token),
                (4, Do::UseToken),
                (1, Do::TokenRace),
                (3, Do::ReadWorker),
                (1, Do::Drain),
            ],
            pause_ms: 5..40,
            endpoints: 10..40,
            most_runs: None,
        }
    }

    /// Workers are drained and undrained all the time, while runs are placed.
    pub fn drains() -> Self {
        Self {
            shares: &[
                (7, Do::Apply),
                (45, Do::Start),
                (3, Do::Read),
                (2, Do::UseToken),
                (3, Do::TokenRace),
                (5, Do::Stop),
                (10, Do::ReadRun),
                (5, Do::ReadWorker),
                (20, Do::Drain),
            ],
            ..Self::usual()
        }
    }

    /// Two hundred runs of one endpoint are asked for within seconds; for workers that take few.
    pub fn capacity() -> Self {
        Self {
            shares: &[
                (63, Do::Start),
                (2, Do::UseToken),
                (3, Do::TokenRace),
                (2, Do::ReadWorker),
                (5, Do::Repeat),
                (5, Do::Stop),
                (12, Do::ReadRun),
                (3, Do::Read),
                (5, Do::List),
            ],
            pause_ms: 1..10,
            endpoints: 1..2,
            most_runs: Some(200),
        }
    }

    /// Tokens are regenerated, and used at once, old and new, on every node.
    pub fn tokens() -> Self {
        Self {
            shares: &[
                (12, Do::Apply),
                (10, Do::Start),
                (3, Do::Read),
                (5, Do::Token),
                (30, Do::UseToken),
                (30, Do::TokenRace),
                (10, Do::ReadWorker),
            ],
            ..Self::usual()
        }
    }

    /// What the roll of a die below the sum of the shares stands for.
    pub fn at(&self, mut roll: u32) -> Do {
        for (share, what) in self.shares {
            if roll < *share {
                return *what;
            }
            roll -= share;
        }
        Do::Apply
    }

    /// The sum of the shares.
    pub fn sum(&self) -> u32 {
        self.shares.iter().map(|(share, _)| share).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_as_often_as_its_share_says() {
        for mix in [Mix::usual(), Mix::drains(), Mix::capacity(), Mix::tokens()] {
            assert_eq!(mix.sum(), 100, "per cent");
            for (share, what) in mix.shares {
                let times = (0..mix.sum()).filter(|roll| mix.at(*roll) == *what).count();
                assert_eq!(times, *share as usize, "{what:?}");
            }
        }
    }
}
