//! How late packets are, and the daemon that makes them so.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::host::{Link, in_switch};

/// How late packets of a link are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shape {
    /// At least, milliseconds.
    pub base_ms: u32,
    /// At most so much more, milliseconds; each value is equally likely.
    pub jitter_ms: u32,
    /// None overtakes another.
    pub in_order: bool,
}

/// The stream of delays of one link: the same seed gives the same delays.
#[derive(Debug)]
pub(super) struct Delays {
    rng: StdRng,
    shape: Shape,
    /// When the last packet was due, microseconds.
    last_us: u64,
}

impl Delays {
    pub(super) fn new(seed: u64, link: Link, shape: Shape) -> Self {
        let own = (u64::from(link.from) << 8 | u64::from(link.to)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            rng: StdRng::seed_from_u64(seed ^ own),
            shape,
            last_us: 0,
        }
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// When a packet is due that came at this time; both in microseconds of one clock.
    pub(super) fn due(&mut self, now_us: u64) -> u64 {
        let jitter = self.rng.random_range(0..=u64::from(self.shape.jitter_ms) * 1000);
        let mut due = now_us + u64::from(self.shape.base_ms) * 1000 + jitter;
        if self.shape.in_order {
            due = due.max(self.last_us);
        }
        self.last_us = due;
        due
    }
}

/// What is asked of the daemon, a line each. It answers every line with [`Counts`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// From now on these links are delayed so, and no others.
    Set(Vec<(Link, Shape)>),
    /// Just the counts.
    Count,
}

/// How many packets were delayed, for each link.
pub(super) type Counts = Vec<(Link, u64)>;

/// The daemon, in the place of the switch. It ends when its stdin does.
#[derive(Debug)]
pub(super) struct DelayDaemon {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl DelayDaemon {
    pub(super) fn start(seed: u64) -> Result<Self> {
        let own = std::env::current_exe().context("where this program is")?;
        let mut process = in_switch(&own.to_string_lossy(), &["stand-in", "queue", "--seed"])
            .arg(seed.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the delay daemon cannot be started")?;
        let orders = process.stdin.take().context("it has a stdin")?;
        let answers = BufReader::new(process.stdout.take().context("it has a stdout")?);
        let mut daemon = Self {
            process,
            orders,
            answers,
        };
        // Its answer says that it holds the queue.
        daemon.counts()?;
        Ok(daemon)
    }

    pub(super) fn set(&mut self, delays: &BTreeMap<Link, Shape>) -> Result<()> {
        let shapes = delays.iter().map(|(link, shape)| (*link, *shape));
        self.ask(&Order::Set(shapes.collect())).map(|_| ())
    }

    pub(super) fn counts(&mut self) -> Result<BTreeMap<Link, u64>> {
        Ok(self.ask(&Order::Count)?.into_iter().collect())
    }

    fn ask(&mut self, order: &Order) -> Result<Counts> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        self.orders
            .write_all(line.as_bytes())
            .context("the delay daemon has ended")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        serde_json::from_str(&answer).context("the delay daemon has ended")
    }
}

impl Drop for DelayDaemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link = Link { from: 1, to: 2 };

    fn shape(in_order: bool) -> Shape {
        Shape {
            base_ms: 80,
            jitter_ms: 40,
            in_order,
        }
    }

    fn dues(seed: u64, link: Link, in_order: bool) -> Vec<u64> {
        let mut delays = Delays::new(seed, link, shape(in_order));
        (0..1000).map(|n| delays.due(n * 100)).collect()
    }

    #[test]
    fn the_same_seed_and_link_give_the_same_delays() {
        assert_eq!(dues(1, LINK, false), dues(1, LINK, false));
        assert_ne!(dues(1, LINK, false), dues(2, LINK, false));
        assert_ne!(dues(1, LINK, false), dues(1, Link::new(2, 1), false));
    }

    #[test]
    fn packets_overtake_each_other_only_if_they_may() {
        let inversions = |dues: &[u64]| dues.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(inversions(&dues(1, LINK, false)) > 300);
        assert_eq!(inversions(&dues(1, LINK, true)), 0);
    }

    #[test]
    fn a_delay_is_between_its_bounds() {
        for (n, due) in (0..).zip(dues(7, LINK, false)) {
            let delay = due - n * 100;
            assert!((80_000..=120_000).contains(&delay), "{delay}");
        }
    }
}
