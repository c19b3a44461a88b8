//! What happened, line by line.

use std::collections::VecDeque;
use std::fmt;

/// Lines that a violation is shown with.
const LAST: usize = 30;

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The law.
    pub law: String,
    /// Where, and how.
    pub detail: String,
    /// Simulated time.
    pub at_ms: u64,
    /// Lines of the trace until then.
    pub step: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (at {}.{:03} s, step {}): {}",
            self.law,
            self.at_ms / 1_000,
            self.at_ms % 1_000,
            self.step,
            self.detail
        )
    }
}

/// All lines as a hash, the last ones as they are, and all of them if asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    lines: u64,
    hash: u64,
    last: VecDeque<String>,
    all: Option<Vec<String>>,
}

impl Trace {
    /// Nothing happened yet.
    pub fn new(keep_all: bool) -> Self {
        Self {
            lines: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            last: VecDeque::new(),
            all: keep_all.then(Vec::new),
        }
    }

    pub(crate) fn line(&mut self, at_ms: u64, text: &str) {
        let line = format!("{:>3}.{:03} {text}", at_ms / 1_000, at_ms % 1_000);
        for byte in line.bytes().chain([b'\n']) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.lines += 1;
        if let Some(all) = &mut self.all {
            all.push(line.clone());
        }
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// How many lines there were.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Of all lines.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }

    /// All lines, if they were kept.
    pub fn all(&self) -> Option<&[String]> {
        self.all.as_deref()
    }
}
