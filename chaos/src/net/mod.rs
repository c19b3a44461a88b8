//! A network of our own: one switch, one host for each node or worker, and faults between any two of them.
//!
//! Every host is a network namespace with one cable to the switch; what goes from one to another passes the switch, where
//! packets are counted, dropped, doubled and delayed. A new set of faults is installed in one transaction.

mod build;
mod counters;
mod delay;
mod fallback;
mod host;
mod proxy;
mod queue;
mod reset;
mod rules;
mod state;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub use delay::Shape;
pub use fallback::ProxyNetwork;
pub use host::{HARNESS, Host, Link};
pub use proxy::{Proxies, Proxy};
pub use queue::serve as serve_queue;
pub use state::NetFault;

use crate::fault::Proof;
use counters::Counters;
use delay::DelayDaemon;
use state::Weather;

/// Datagrams of ours that have to meet a rule before it is said to be installed.
const PROBES: u32 = 3;
/// A rule by chance must let this many pass on average, so that it is met for sure.
const CHANCE_HITS: u32 = 30;
/// Of a delay: after the last datagram until the daemon has seen all.
const DAEMON_LOOKS: Duration = Duration::from_secs(5);
/// A datagram that is delayed on purpose was counted after so long.
const ONLY_LATE: Duration = Duration::from_secs(1);
/// Between two looks at the counters.
const AGAIN: Duration = Duration::from_millis(20);

/// The network.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<Host>,
    seed: u64,
    /// What is wrong with it, in order of injection.
    active: Vec<NetFault>,
    delays: Option<DelayDaemon>,
    /// What the daemon was told last.
    delayed: BTreeMap<Link, Shape>,
    /// What was counted before a fault was installed.
    before: Vec<(NetFault, u64)>,
}

impl Network {
    /// Builds a network of this many hosts, 1 to 200, and a cable for the harness itself. Only in the sandbox.
    ///
    /// # Errors
    /// A tool failed.
    pub fn build(hosts: u8, seed: u64) -> Result<Self> {
        build::build(hosts)?;
        let hosts: Vec<Host> = (1..=hosts).map(Host::new).collect();
        build::wait_until_passing(&hosts.iter().collect::<Vec<_>>())?;
        Ok(Self {
            hosts,
            seed,
            active: Vec::new(),
            delays: None,
            delayed: BTreeMap::new(),
            before: Vec::new(),
        })
    }

    /// A host by its number; [`HARNESS`] is the harness itself.
    pub fn host(&self, number: u8) -> Host {
        Host::new(number)
    }

    /// All hosts, without the harness.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Installs a fault, and sees it bite: datagrams of ours must be counted on each of its links.
    ///
    /// # Errors
    /// It may or may not be installed.
    pub fn inject(&mut self, fault: &NetFault) -> Result<Proof> {
        if let NetFault::Reset { host, peer } = fault {
            return reset::reset(&self.host(*host), peer.map(|peer| self.host(peer)).as_ref());
        }
        let before = self.total(fault)?;
        self.active.push(fault.clone());
        self.apply()?;
        self.before.push((fault.clone(), before));
        if let NetFault::LinkDown { host } = fault {
            return build::is_down(*host)?
                .then(|| Proof::new(1, format!("link of host {host} down")))
                .with_context(|| format!("the link of host {host} is still up"));
        }
        self.prove(fault)
    }

    /// Takes one fault away, and tells how often it bit, our own datagrams included.
    ///
    /// # Errors
    /// It may still be there.
    pub fn heal(&mut self, fault: &NetFault) -> Result<Proof> {
        if matches!(fault, NetFault::Reset { .. }) {
            return Ok(Proof::new(
                0,
                "nothing to heal: connections are opened anew".to_owned(),
            ));
        }
        let total = self.total(fault)?;
        let Some(position) = self.active.iter().position(|active| active == fault) else {
            bail!("this fault was not injected: {fault:?}");
        };
        self.active.remove(position);
        self.apply()?;
        let known = self.before.iter().position(|(of, _)| of == fault);
        let before = known.map_or(0, |position| self.before.remove(position).1);
        if let NetFault::LinkDown { host } = fault {
            // Unless another fault keeps it down, or cuts it from us.
            if !self
                .active
                .iter()
                .any(|other| other.closes(Link::new(*host, HARNESS)))
            {
                build::wait_until_passing(&[&self.host(*host)])?;
            }
            return Ok(Proof::new(1, "link up, datagrams arrive".to_owned()));
        }
        Ok(Proof::new(
            total.saturating_sub(before),
            fault.effect().to_owned(),
        ))
    }

    fn apply(&mut self) -> Result<()> {
        let weather = Weather::of(&self.active);
        build::set_links(&self.hosts, &weather.down)?;
        rules::install(&weather)?;
        if weather.delays == self.delayed {
            return Ok(());
        }
        let daemon = match self.delays.take() {
            Some(daemon) => self.delays.insert(daemon),
            None => self.delays.insert(DelayDaemon::start(self.seed)?),
        };
        daemon.set(&weather.delays)?;
        rules::queue(&weather.delays)?;
        self.delayed = weather.delays;
        Ok(())
    }

    fn prove(&mut self, fault: &NetFault) -> Result<Proof> {
        let before = self.counted()?;
        // Where another fault lets nothing through, nothing gets as far as to be counted.
        let others = || self.active.iter().filter(|other| *other != fault);
        let open = |link: &&Link| !others().any(|other| other.closes(**link));
        let links: Vec<Link> = fault.links().iter().filter(open).copied().collect();
        let probes = fault.permille().map_or(PROBES, |permille| {
            (CHANCE_HITS * 1000).div_ceil(u32::from(permille.max(1)))
        });
        for link in &links {
            self.host(link.from).send_probes(&self.host(link.to), probes)?;
        }
        // A packet is counted before the call that sends it returns, unless the daemon does the counting.
        let deadline = Instant::now() + DAEMON_LOOKS;
        loop {
            let after = self.counted()?;
            let hits =
                |link: &Link| after.of(fault, *link) - before.of(fault, *link).min(after.of(fault, *link));
            let silent: Vec<&Link> = links.iter().filter(|link| hits(link) == 0).collect();
            if silent.is_empty() {
                let sum = links.iter().map(hits).sum();
                return Ok(Proof::new(sum, fault.effect().to_owned()));
            }
            if Instant::now() > deadline {
                bail!("nothing was counted on {silent:?}");
            }
            // A host whose cable was out a moment ago does not know its neighbours yet, and drops what it is to send.
            // What is held for a while is only late, and is not sent twice.
            if Instant::now() + DAEMON_LOOKS > deadline + ONLY_LATE {
                for link in silent {
                    self.host(link.from).send_probes(&self.host(link.to), 1)?;
                }
            }
            std::thread::sleep(AGAIN);
        }
    }

    fn total(&mut self, fault: &NetFault) -> Result<u64> {
        let counted = self.counted()?;
        Ok(fault.links().iter().map(|link| counted.of(fault, *link)).sum())
    }

    fn counted(&mut self) -> Result<Counters> {
        let delayed = match &mut self.delays {
            Some(daemon) => daemon.counts()?,
            None => BTreeMap::new(),
        };
        Counters::read(delayed)
    }
}
