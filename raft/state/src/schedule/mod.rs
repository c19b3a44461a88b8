//! When a probe is due: every so many minutes, or by a cron expression. Pure arithmetic on UTC, the same on every node.
//!
//! A **slot** is an instant of the schedule, and names one execution of the probe. It is **due** then or up to half a minute later:
//! probes are spread by a hash of their id, so that a hundred of them with the same schedule do not fire at once.

mod cron;

use crate::id::ProbeId;
use crate::time::{Millis, Time};

pub use cron::{Cron, CronError};

/// Probes with a cron expression are due up to this long after the instant that is written.
pub const CRON_SPREAD: Millis = Millis::from_secs(30);

/// The intervals there are (R218).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// 5 minutes.
    Five,
    /// 15 minutes.
    Fifteen,
    /// 30 minutes.
    Thirty,
    /// 60 minutes.
    Sixty,
}

impl Interval {
    /// All intervals.
    pub const ALL: [Self; 4] = [Self::Five, Self::Fifteen, Self::Thirty, Self::Sixty];

    /// In minutes.
    pub const fn minutes(self) -> u32 {
        match self {
            Self::Five => 5,
            Self::Fifteen => 15,
            Self::Thirty => 30,
            Self::Sixty => 60,
        }
    }

    /// The interval of so many minutes, if there is one.
    pub fn from_minutes(minutes: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.minutes() == minutes)
    }

    /// As a span.
    pub const fn span(self) -> Millis {
        Millis(self.minutes() as u64 * 60_000)
    }
}

/// When a probe runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// Every so many minutes, counted from an instant of the probe's own.
    Every(Interval),
    /// At the minutes that an expression names.
    Cron(Cron),
}

impl Schedule {
    /// The first slot after `after`; `None`: time ends before.
    pub fn next_after(&self, after: Time, probe: ProbeId) -> Option<Time> {
        match self {
            Self::Every(interval) => {
                let (span, phase) = (interval.span().0, phase(*interval, probe));
                match after.0.checked_sub(phase) {
                    None => Some(Time(phase)),
                    Some(since) => (since / span)
                        .checked_add(1)?
                        .checked_mul(span)?
                        .checked_add(phase)
                        .map(Time),
                }
            }
            Self::Cron(cron) => cron.next_after(after),
        }
    }

    /// Whether `at` is a slot.
    pub fn is_slot(&self, at: Time, probe: ProbeId) -> bool {
        match self {
            Self::Every(interval) => {
                let since = at.0.checked_sub(phase(*interval, probe));
                since.is_some_and(|since| since.is_multiple_of(interval.span().0))
            }
            Self::Cron(cron) => cron.is_at(at),
        }
    }

    /// When a slot is due.
    pub fn due(&self, slot: Time, probe: ProbeId) -> Time {
        match self {
            Self::Every(_) => slot,
            Self::Cron(_) => slot + Millis(spread(probe) % CRON_SPREAD.0),
        }
    }
}

/// Where in the interval the probe's slots lie, in whole seconds so that they can be read.
fn phase(interval: Interval, probe: ProbeId) -> u64 {
    spread(probe) % (interval.span().0 / 1_000) * 1_000
}

/// A number that is the same for the same probe for ever, and different between probes.
fn spread(probe: ProbeId) -> u64 {
    probe
        .as_bytes()
        .iter()
        .fold(0, |sum, byte| mixed(sum ^ u64::from(*byte)))
}

/// Spreads the bits of a number over all of it (the finalizer of MurmurHash3).
pub(crate) const fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests;
