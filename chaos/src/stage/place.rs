//! Network, disks, clocks and limits: what the plan breaks is there to be broken, and nothing else, because each costs something.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use reeve_testkit::free_addresses;
use tokio::runtime::Handle;

use super::node::Node;
use crate::clock::Clock;
use crate::disk::{Disk, Shim};
use crate::fault::{Target, World};
use crate::net::{HARNESS, Link, Network, Proxies, Proxy, ProxyNetwork};
use crate::process::Cgroup;
use crate::sandbox::{self, Facts, Need};
use crate::scenario::deed::Deed;
use crate::scenario::plan::Plan;

const DISK_MIB: u64 = 768;
const PORTS: [u16; 3] = [7001, 7002, 7003];

/// What was built.
pub(super) struct Place {
    pub world: World,
    pub nodes: Vec<Node>,
    pub scratch: PathBuf,
}

/// The number of a worker's host: after those of the nodes, and of one that may join.
pub fn host_of_worker(nodes: usize, index: usize) -> u8 {
    u8::try_from(nodes + 2 + index).unwrap_or(u8::MAX)
}

/// The number of a node's host: that of the node.
pub fn host_of_node(name: &str) -> u8 {
    name.trim_start_matches('n').parse().unwrap_or(u8::MAX)
}

pub(super) fn build(plan: &Plan, directory: &Path) -> Result<Place> {
    let facts = Facts::gather();
    let inside = facts.lacks(Need::Sandbox).is_none();
    let scratch = if inside {
        sandbox::scratch()
    } else {
        directory.join("scratch")
    };
    std::fs::create_dir_all(scratch.join("objects"))?;
    let mut world = World::new(facts);
    let count = u64::try_from(plan.shape.nodes)? + 1;
    if inside {
        let hosts = host_of_worker(plan.shape.nodes, plan.shape.workers);
        world.network = Some(Network::build(hosts, plan.seed)?);
    }
    let mut proxies = Proxies::new();
    let tools = Tools::for_plan(plan, &world.facts, &scratch)?;
    let mut nodes = Vec::new();
    for id in 1..=count {
        let mut target = tools.node(id, &scratch)?;
        target.host = world
            .network
            .as_ref()
            .map(|network| network.host(host_of_node(&format!("n{id}"))));
        let mut node = Node::new(id, addresses(id, &target)?, target.files.clone(), id == count)?;
        if !inside {
            let to = node.listen_raft.parse()?;
            let proxy = Handle::current().block_on(Proxy::start(to))?;
            node.raft = proxy.address().to_string();
            proxies.insert(Link::new(HARNESS, u8::try_from(id)?), proxy);
        }
        nodes.push(node);
        world.targets.insert(format!("n{id}"), target);
    }
    for index in 0..plan.shape.workers {
        let name = format!("w{}", index + 1);
        let mut target = tools.worker(&name, &scratch)?;
        let number = host_of_worker(plan.shape.nodes, index);
        target.host = world.network.as_ref().map(|network| network.host(number));
        world.targets.insert(name, target);
    }
    if !inside {
        world.proxies = Some(ProxyNetwork::new(proxies));
    }
    Ok(Place {
        world,
        nodes,
        scratch,
    })
}

/// For clients, nodes and people. Outside of a sandbox every node has a loopback address of its own, so that a proxy that takes a free port
/// of the usual one never takes a node's.
fn addresses(id: u64, target: &Target) -> Result<[SocketAddr; 3]> {
    if let Some(host) = &target.host {
        return Ok(PORTS.map(|port| SocketAddr::from((host.address(), port))));
    }
    let own = Ipv4Addr::new(127, 0, 77, u8::try_from(id)?);
    let free = free_addresses(PORTS.len())?;
    let ports: Vec<SocketAddr> = free
        .iter()
        .map(|address| address.parse())
        .collect::<Result<_, _>>()?;
    let addresses: Vec<SocketAddr> = ports
        .iter()
        .map(|address| SocketAddr::from((own, address.port())))
        .collect();
    addresses
        .try_into()
        .ok()
        .context("as many addresses as were asked for")
}

/// What the plan needs of what the machine has.
struct Tools {
    disks: bool,
    shim: Option<PathBuf>,
    clocks: Option<PathBuf>,
    groups: Option<sandbox::CgroupVersion>,
}

impl Tools {
    fn for_plan(plan: &Plan, facts: &Facts, scratch: &Path) -> Result<Self> {
        let has = |needs: &[Need]| needs.iter().all(|need| facts.lacks(*need).is_none());
        let disks = plan.needs(|deed| {
            matches!(
                deed,
                Deed::PowerCut(_) | Deed::DiskFull(_) | Deed::SlowDisk { .. }
            )
        });
        let disks = disks && has(&[Need::Root, Need::Sandbox, Need::Tool("mkfs.ext4")]);
        let shim = plan.needs(|deed| matches!(deed, Deed::Sync { .. } | Deed::Write { .. }));
        let clocks = plan.needs(|deed| matches!(deed, Deed::Clock { .. }));
        let groups = plan.needs(|deed| {
            matches!(
                deed,
                Deed::Cpu { .. } | Deed::Memory { .. } | Deed::SlowDisk { .. }
            )
        });
        Ok(Self {
            disks,
            shim: match shim && has(&[Need::Tool("cc")]) {
                true => Some(Shim::compile(scratch)?),
                false => None,
            },
            clocks: facts.faketime.clone().filter(|_| clocks),
            groups: facts
                .cgroups
                .filter(|_| groups && facts.lacks(Need::Root).is_none()),
        })
    }

    fn node(&self, id: u64, scratch: &Path) -> Result<Target> {
        let name = format!("n{id}");
        let root = scratch.join(&name);
        let disk = match self.disks {
            true => Some(Disk::create(scratch, &name, DISK_MIB)?),
            false => None,
        };
        let files = root.join("data");
        std::fs::create_dir_all(&files).with_context(|| files.display().to_string())?;
        let mut target = self.any(&name, &files, scratch)?;
        target.disk = disk;
        target.shim = match &self.shim {
            Some(library) => Some(Shim::new(library, scratch, &name, &files)?),
            None => None,
        };
        Ok(target)
    }

    fn worker(&self, name: &str, scratch: &Path) -> Result<Target> {
        self.any(name, &scratch.join(name), scratch)
    }

    fn any(&self, name: &str, files: &Path, scratch: &Path) -> Result<Target> {
        let mut target = Target::new(files);
        target.clock = match &self.clocks {
            Some(library) => Some(Clock::new(library, scratch, name)?),
            None => None,
        };
        target.cgroup = match self.groups {
            Some(version) => Some(Cgroup::create(version, name)?),
            None => None,
        };
        Ok(target)
    }
}
