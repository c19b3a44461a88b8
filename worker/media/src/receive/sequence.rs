//! What the sequence numbers of one source say: what came, came twice, came late, and did not come (RFC 3550, A.1 and A.3).
//!
//! A packet is judged lost not when a later one comes, but once [`HORIZON`] later ones could have: packets that change places do
//! not count as lost for a moment.

/// How far the newest packet must be ahead for one that has not come to count as lost: 160 ms, beyond any playout buffer here.
pub const HORIZON: u64 = 8;
/// A larger step forward is another numbering, not loss.
const MAX_DROPOUT: u16 = 3_000;
/// How far back packets are told from their duplicates; older ones are of another numbering.
const WINDOW: u64 = 1_024;
const WORDS: usize = WINDOW as usize / 64;
/// Numbers start here, so that those before the first that came have one.
const ORIGIN: u64 = 1 << 16;

/// Counts since the source was first heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Different packets that came.
    pub rx: u64,
    /// Packets that came again.
    pub dup: u64,
    /// Packets that came after a later one.
    pub ooo: u64,
    /// Packets whose fate is settled.
    pub expected: u64,
    /// Those of them that have not come. A late arrival takes it back.
    pub lost: i64,
}

impl Counts {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            rx: self.rx + other.rx,
            dup: self.dup + other.dup,
            ooo: self.ooo + other.ooo,
            expected: self.expected + other.expected,
            lost: self.lost + other.lost,
        }
    }
}

/// What a packet was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The newest so far.
    Newest,
    /// A later one was here before it.
    Reordered,
    /// It was here before.
    Duplicate,
    /// Far from the others: not counted. If the next one follows it, both begin a new numbering.
    Astray,
    /// The second of a new numbering: this one has ended, and a new [`Sequence`] has to begin with the number before.
    Restarted,
}

/// The numbers of one source.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// The lowest that came.
    base: u64,
    highest: u64,
    /// Up to here the fate of every packet is known.
    settled: u64,
    /// Bit n modulo [`WINDOW`] for each number n that came.
    seen: [u64; WORDS],
    counts: Counts,
    /// What would follow one that was astray.
    restart: Option<u16>,
}

impl Sequence {
    /// Begins with the first packet of a source.
    #[must_use]
    pub fn new(first: u16) -> Self {
        let base = ORIGIN + u64::from(first);
        let mut sequence = Self {
            base,
            highest: base,
            settled: base - 1,
            seen: [0; WORDS],
            counts: Counts {
                rx: 1,
                ..Counts::default()
            },
            restart: None,
        };
        sequence.mark(base);
        sequence
    }

    /// Takes a packet's number.
    pub fn observe(&mut self, number: u16) -> Outcome {
        let ahead = number.wrapping_sub(self.highest as u16);
        let behind = u64::from(ahead.wrapping_neg());
        let outcome = if ahead == 0 {
            Outcome::Duplicate
        } else if ahead < MAX_DROPOUT {
            self.advance(u64::from(ahead));
            Outcome::Newest
        } else if behind < WINDOW {
            self.late(self.highest - behind)
        } else if self.restart == Some(number) {
            Outcome::Restarted
        } else {
            self.restart = Some(number.wrapping_add(1));
            return Outcome::Astray;
        };
        self.restart = None;
        match outcome {
            Outcome::Newest => self.counts.rx += 1,
            Outcome::Reordered => {
                self.counts.rx += 1;
                self.counts.ooo += 1;
            }
            Outcome::Duplicate => self.counts.dup += 1,
            Outcome::Astray | Outcome::Restarted => {}
        }
        outcome
    }

    /// Settles everything up to the newest: nothing more is coming.
    pub fn flush(&mut self) {
        self.settle(self.highest);
    }

    /// So far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Packets from the first to the newest, settled or not.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.highest - self.base + 1
    }

    /// The newest number with its cycles above, as report blocks have it.
    #[must_use]
    pub fn extended_highest(&self) -> u32 {
        (self.highest - ORIGIN) as u32
    }

    fn advance(&mut self, by: u64) {
        // Numbers on the way have not come, even if their bits are still set from one window ago.
        if by >= WINDOW - HORIZON {
            // Bits that are not settled yet would be cleared among them.
            self.settle(self.highest);
            self.seen = [0; WORDS];
        } else {
            for number in self.highest + 1..=self.highest + by {
                self.clear(number);
            }
        }
        self.highest += by;
        self.mark(self.highest);
        self.settle(self.highest.saturating_sub(HORIZON));
    }

    /// One that is not the newest.
    fn late(&mut self, number: u64) -> Outcome {
        if number < self.base {
            // It left before the first that came. Those between are settled as lost, until they come.
            let more = self.base - number;
            self.counts.expected += more;
            self.counts.lost += more as i64 - 1;
            self.base = number;
        } else if self.has(number) {
            return Outcome::Duplicate;
        } else if number <= self.settled {
            self.counts.lost -= 1;
        }
        self.mark(number);
        Outcome::Reordered
    }

    fn settle(&mut self, up_to: u64) {
        while self.settled < up_to {
            self.settled += 1;
            self.counts.expected += 1;
            // Beyond the window behind the newest nothing has come: the bits were cleared.
            let came = self.highest - self.settled < WINDOW && self.has(self.settled);
            self.counts.lost += i64::from(!came);
        }
    }

    fn mark(&mut self, number: u64) {
        let (word, bit) = place(number);
        self.seen[word] |= bit;
    }

    fn clear(&mut self, number: u64) {
        let (word, bit) = place(number);
        self.seen[word] &= !bit;
    }

    fn has(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.seen[word] & bit != 0
    }
}

fn place(number: u64) -> (usize, u64) {
    let at = number % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests;
