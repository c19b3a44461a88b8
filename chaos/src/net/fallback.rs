//! The faults of the network that proxies can stand in for.

use std::time::Duration;

use anyhow::{Result, bail};

use super::host::Link;
use super::proxy::{Mode, Modes, Proxies};
use super::state::{NetFault, Weather};
use crate::fault::Proof;

/// Time for connections to notice that they are reset.
const RESET: Duration = Duration::from_millis(50);

/// Proxies between hosts, one for each link on which connections are opened.
#[derive(Debug)]
pub struct ProxyNetwork {
    proxies: Proxies,
    active: Vec<NetFault>,
}

impl ProxyNetwork {
    /// With these proxies.
    pub fn new(proxies: Proxies) -> Self {
        Self {
            proxies,
            active: Vec::new(),
        }
    }

    /// Whether proxies can do this at all: they know bytes, not packets.
    pub fn can(fault: &NetFault) -> bool {
        match fault {
            NetFault::Cut { .. } | NetFault::LinkDown { .. } | NetFault::Reset { .. } => true,
            NetFault::Delay { shape, .. } => shape.in_order,
            NetFault::Loss { .. } | NetFault::Duplicate { .. } => false,
        }
    }

    /// Installs a fault; the proof says how many proxies are in another mode now.
    ///
    /// # Errors
    /// There is no proxy that it would change, or nothing was reset.
    pub fn inject(&mut self, fault: &NetFault) -> Result<Proof> {
        if let NetFault::Reset { host, peer } = fault {
            return self.reset(*host, *peer);
        }
        self.active.push(fault.clone());
        let changed = self.apply();
        if changed == 0 {
            bail!("no proxy is on the way");
        }
        Ok(Proof::new(changed, "proxies changed".to_owned()))
    }

    /// Takes one fault away.
    ///
    /// # Errors
    /// It was not there.
    pub fn heal(&mut self, fault: &NetFault) -> Result<Proof> {
        if matches!(fault, NetFault::Reset { .. }) {
            return Ok(Proof::new(
                0,
                "nothing to heal: connections are opened anew".to_owned(),
            ));
        }
        let Some(position) = self.active.iter().position(|active| active == fault) else {
            bail!("this fault was not injected: {fault:?}");
        };
        self.active.remove(position);
        Ok(Proof::new(self.apply(), "proxies changed".to_owned()))
    }

    fn apply(&self) -> u64 {
        let weather = Weather::of(&self.active);
        let mut changed = 0;
        for (link, proxy) in &self.proxies {
            let wanted = modes(&weather, *link);
            changed += u64::from(wanted != proxy.modes());
            proxy.set(wanted);
        }
        changed
    }

    fn reset(&self, host: u8, peer: Option<u8>) -> Result<Proof> {
        let touches = |link: &Link| {
            let other = if link.from == host { link.to } else { link.from };
            (link.from == host || link.to == host) && peer.is_none_or(|peer| peer == other)
        };
        let hit: Vec<_> = self.proxies.iter().filter(|(link, _)| touches(link)).collect();
        let before: u64 = hit.iter().map(|(_, proxy)| proxy.hits()).sum();
        for (_, proxy) in &hit {
            proxy.set(Modes {
                forward: Mode::Reset,
                backward: Mode::Reset,
            });
        }
        std::thread::sleep(RESET);
        let after: u64 = hit.iter().map(|(_, proxy)| proxy.hits()).sum();
        self.apply();
        if after == before {
            bail!("host {host} has no connection to be reset");
        }
        Ok(Proof::new(after - before, "connections reset".to_owned()))
    }
}

/// A link's packets are forward bytes of its own connections, and backward bytes of those that its receiver opened.
fn modes(weather: &Weather, link: Link) -> Modes {
    Modes {
        forward: mode(weather, link),
        backward: mode(weather, Link::new(link.to, link.from)),
    }
}

fn mode(weather: &Weather, link: Link) -> Mode {
    let unplugged = weather.down.contains(&link.from) || weather.down.contains(&link.to);
    if unplugged || weather.cuts.contains(&link) {
        return Mode::Stall;
    }
    let late = |shape: &super::Shape| {
        // The middle of what packets would get.
        Mode::Delay(Duration::from_millis(u64::from(
            shape.base_ms + shape.jitter_ms / 2,
        )))
    };
    weather.delays.get(&link).map_or(Mode::Pass, late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_way_cut_stalls_one_direction_of_the_connections_of_both() {
        let cut = NetFault::Cut {
            links: vec![Link::new(1, 2)],
        };
        let weather = Weather::of(&[cut]);
        let (stall, pass) = (Mode::Stall, Mode::Pass);
        let there = modes(&weather, Link::new(1, 2));
        assert_eq!((there.forward, there.backward), (stall, pass));
        let back = modes(&weather, Link::new(2, 1));
        assert_eq!((back.forward, back.backward), (pass, stall));
        assert_eq!(modes(&weather, Link::new(1, 3)), Modes::default());
    }

    #[test]
    fn an_unplugged_host_is_stalled_on_every_link() {
        let weather = Weather::of(&[NetFault::LinkDown { host: 2 }]);
        assert_eq!(mode(&weather, Link::new(2, 3)), Mode::Stall);
        assert_eq!(mode(&weather, Link::new(3, 2)), Mode::Stall);
        assert_eq!(mode(&weather, Link::new(3, 1)), Mode::Pass);
    }

    #[test]
    fn packets_that_are_lost_or_overtake_are_beyond_a_proxy() {
        let links = vec![Link::new(1, 2)];
        let loss = NetFault::Loss {
            links: links.clone(),
            permille: 1,
        };
        assert!(!ProxyNetwork::can(&loss));
        let twice = NetFault::Duplicate { links, permille: 1 };
        assert!(!ProxyNetwork::can(&twice));
    }
}
