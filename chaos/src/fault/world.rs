//! Everything that can be broken.

use std::collections::BTreeMap;

use super::{Fault, Healing, Injection, Target};
use crate::net::{NetFault, Network, ProxyNetwork};
use crate::sandbox::Facts;

/// The network and the targets. Its calls start programs and wait for them: not on a thread of an async runtime.
#[derive(Debug)]
pub struct World {
    /// What this machine allows.
    pub facts: Facts,
    /// The network of namespaces, in a sandbox.
    pub network: Option<Network>,
    /// What is left of it outside.
    pub proxies: Option<ProxyNetwork>,
    /// Nodes and workers by their names.
    pub targets: BTreeMap<String, Target>,
}

impl World {
    /// An empty world.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            network: None,
            proxies: None,
            targets: BTreeMap::new(),
        }
    }

    /// Injects a fault. Faults overlap freely, except two of one kind on one target.
    pub fn inject(&mut self, fault: &Fault) -> Injection {
        if let Fault::Net(net) = fault {
            return self.inject_net(fault, net);
        }
        if let Some(why) = self.lacks(fault) {
            return Injection::Skipped(why);
        }
        match self.target(fault) {
            Err(unknown) => Injection::Indeterminate(unknown),
            Ok(target) => match target.inject(fault) {
                Ok(result) => Injection::of(result),
                Err(missing) => Injection::Skipped(missing),
            },
        }
    }

    /// Heals a fault that was injected.
    pub fn heal(&mut self, fault: &Fault) -> Healing {
        if let Fault::Net(net) = fault {
            return match (&mut self.network, &mut self.proxies) {
                (Some(network), _) => Healing::of(network.heal(net)),
                (None, Some(proxies)) => Healing::of(proxies.heal(net)),
                (None, None) => Healing::Failed("there is no network".to_owned()),
            };
        }
        match self.target(fault) {
            Err(unknown) => Healing::Failed(unknown),
            Ok(target) => Healing::of(target.heal(fault)),
        }
    }

    fn inject_net(&mut self, fault: &Fault, net: &NetFault) -> Injection {
        if let Some(network) = &mut self.network {
            let lacks = |need: &_| self.facts.lacks(*need);
            return match fault.needs().iter().find_map(lacks) {
                Some(why) => Injection::Skipped(why),
                None => Injection::of(network.inject(net)),
            };
        }
        match &mut self.proxies {
            Some(proxies) if ProxyNetwork::can(net) => Injection::of(proxies.inject(net)),
            Some(_) => Injection::Skipped("a proxy cannot do this".to_owned()),
            None => {
                let why = self.lacks(fault);
                Injection::Skipped(why.unwrap_or_else(|| "there is no network".to_owned()))
            }
        }
    }

    fn lacks(&self, fault: &Fault) -> Option<String> {
        fault.needs().iter().find_map(|need| self.facts.lacks(*need))
    }

    fn target(&mut self, fault: &Fault) -> Result<&mut Target, String> {
        let name = fault.target().unwrap_or_default();
        self.targets
            .get_mut(name)
            .ok_or_else(|| format!("there is no target {name:?}"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::net::Link;

    fn world(root: bool) -> World {
        let mut world = World::new(Facts::of(root, root, &["mkfs.ext4", "mount", "losetup"]));
        world
            .targets
            .insert("n1".to_owned(), Target::new(Path::new("/nowhere")));
        world
    }

    fn power_cut(target: &str) -> Fault {
        Fault::PowerCut {
            target: target.to_owned(),
        }
    }

    #[test]
    fn what_cannot_be_had_is_skipped_and_says_why() {
        let skipped = world(false).inject(&power_cut("n1"));
        assert_eq!(skipped, Injection::Skipped("root is needed".to_owned()));
        let without_disk = world(true).inject(&power_cut("n1"));
        assert_eq!(without_disk, Injection::Skipped("it has no disk".to_owned()));
        let cut = Fault::Net(NetFault::Cut {
            links: vec![Link::new(1, 2)],
        });
        assert!(matches!(world(false).inject(&cut), Injection::Skipped(_)));
    }

    #[test]
    fn a_mistake_of_the_harness_is_no_skipped_fault() {
        assert!(matches!(
            world(true).inject(&power_cut("n9")),
            Injection::Indeterminate(_)
        ));
        assert!(matches!(world(true).heal(&power_cut("n9")), Healing::Failed(_)));
        let kill = Fault::Kill {
            target: "n1".to_owned(),
        };
        assert!(matches!(world(true).heal(&kill), Healing::Failed(_)));
    }
}
