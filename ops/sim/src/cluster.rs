//! The hosts of a simulation: nodes and workers, and how they are crashed, cut off and brought back.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use reeve_node::config::GivenSecret;
use reeve_node::{NodeArgs, NodeConfig};
use reeve_state::id::NodeId;
use reeve_store::sim::SimDisk;
use turmoil::Sim;

use crate::load::worker_id;
use crate::net::Links;
use crate::node::Seat;
use crate::oracle::Eye;
use crate::setting::{DOWN, EXCHANGE, HEARTBEAT, Mutant, RECONNECT, SHED, Setting};
use crate::worker::Post;

/// Granularity of simulated time.
pub(crate) const TICK: Duration = Duration::from_millis(5);

const RAFT_PORT: u16 = 1;
const GRPC_PORT: u16 = 2;
const HTTP_PORT: u16 = 3;

/// Everything that is simulated.
pub(crate) struct Cluster {
    pub(crate) sim: Sim<'static>,
    pub(crate) seats: Vec<Seat>,
    pub(crate) posts: Vec<Post>,
    pub(crate) down: BTreeSet<String>,
    pub(crate) eye: Eye,
    links: Links,
}

impl Cluster {
    pub(crate) fn build(
        setting: &Setting,
        eye: &Eye,
        links: &Links,
        folder: &std::path::Path,
    ) -> anyhow::Result<Self> {
        let mut sim = turmoil::Builder::new()
            .tick_duration(TICK)
            .min_message_latency(Duration::from_millis(setting.latency_ms.0))
            .max_message_latency(Duration::from_millis(setting.latency_ms.1))
            .simulation_duration(Duration::from_secs(100_000))
            .tcp_capacity(4_096)
            .epoch(UNIX_EPOCH)
            .rng_seed(setting.seed)
            .build();
        let addresses: Vec<IpAddr> = (1..=setting.nodes)
            .map(|node| sim.lookup(format!("n{node}")))
            .collect();
        let mut seats = Vec::new();
        for node in 1..=setting.nodes {
            let config = config(setting, node, &addresses, folder)?;
            let disk = SimDisk::new(setting.sync_ms.0..=setting.sync_ms.1, setting.mutant.disk());
            let seat = Seat::new(config, disk, setting.mutant, eye.clone());
            let software = seat.clone();
            sim.host(seat.host(), move || software.clone().live());
            seats.push(seat);
        }
        let mut posts = Vec::new();
        for number in 1..=setting.workers as u64 {
            let post = Post {
                id: worker_id(number),
                number,
                capacity: 20 + (setting.seed.wrapping_mul(number) % 60) as u32,
                nodes: addresses.iter().map(|ip| format!("{ip}:{GRPC_PORT}")).collect(),
                eye: eye.clone(),
                random: Rc::new(Cell::new(
                    setting.seed.wrapping_mul(1_000).wrapping_add(number * 100),
                )),
            };
            let software = post.clone();
            sim.host(post.host(), move || software.clone().live());
            posts.push(post);
        }
        Ok(Self {
            sim,
            seats,
            posts,
            down: BTreeSet::new(),
            eye: eye.clone(),
            links: links.clone(),
        })
    }

    /// Every host's name.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let nodes = self.seats.iter().map(Seat::host);
        nodes.chain(self.posts.iter().map(Post::host)).collect()
    }

    pub(crate) fn crash(&mut self, host: &str) -> bool {
        if !self.down.insert(host.to_owned()) {
            return false;
        }
        self.note(&format!("{host} crashes"));
        self.sim.crash(host);
        if let Some(seat) = self.seats.iter().find(|seat| seat.host() == host) {
            seat.gone();
        }
        true
    }

    pub(crate) fn restart(&mut self, host: &str) -> bool {
        if !self.down.remove(host) {
            return false;
        }
        self.note(&format!("{host} starts again"));
        self.sim.bounce(host);
        true
    }

    pub(crate) fn reset(&self, one: &str, other: &str) {
        self.links.reset(self.sim.lookup(one), self.sim.lookup(other));
    }

    /// A link is as if nothing had ever happened to it. Whatever was lost breaks the connections that it was on.
    pub(crate) fn heal(&self, one: &str, other: &str) {
        self.sim.release(one, other);
        self.sim.repair(one, other);
        self.reset(one, other);
    }

    pub(crate) fn heal_all(&self) {
        let hosts = self.hosts();
        for (number, one) in hosts.iter().enumerate() {
            for other in &hosts[number + 1..] {
                self.heal(one, other);
            }
        }
    }

    pub(crate) fn note(&self, text: &str) {
        self.eye.lock().note(text);
    }

    /// A node that runs and believes that it leads.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.seats.iter().position(|seat| {
            seat.context().is_some_and(|context| {
                let leadership = *context.store.leadership().borrow();
                leadership.leader == Some(seat.id) && leadership.established
            })
        })
    }
}

fn config(
    setting: &Setting,
    node: usize,
    addresses: &[IpAddr],
    folder: &std::path::Path,
) -> anyhow::Result<NodeConfig> {
    let ms = |span: Duration| Some(span.as_millis() as u64);
    let at = |node: usize, port: u16| std::net::SocketAddr::new(addresses[node - 1], port);
    let args = NodeArgs {
        id: Some(node as u64),
        data_dir: Some(folder.to_owned()),
        cluster_id: Some("sim".to_owned()),
        raft_addr: Some(at(node, RAFT_PORT)),
        grpc_addr: Some(at(node, GRPC_PORT)),
        http_addr: Some(at(node, HTTP_PORT)),
        allow_plaintext: Some(true),
        cluster_secret: "a secret of the simulation's own".parse::<GivenSecret>().ok(),
        heartbeat_interval_ms: ms(HEARTBEAT),
        exchange_interval_ms: ms(EXCHANGE),
        shed_after_ms: ms(SHED),
        reconnect_timeout_ms: ms(RECONNECT),
        down_after_ms: ms(DOWN),
        raft_heartbeat_ms: Some(100),
        raft_election_min_ms: Some(400),
        raft_election_max_ms: Some(800),
        snapshot_after_entries: Some(setting.snapshot_entries),
        log_keep_entries: Some(setting.snapshot_entries / 4),
        ready_timeout_ms: Some(2_000),
        start_delay_ms: Some(200),
        stop_grace_ms: Some(1_500),
        ..NodeArgs::default()
    };
    let mut config = args.load()?;
    let member = |node: usize| {
        let mut member = config.member();
        member.id = NodeId(node as u64);
        member.name = format!("n{node}");
        member.raft_addr = at(node, RAFT_PORT).to_string();
        member.grpc_addr = at(node, GRPC_PORT).to_string();
        member.http_addr = at(node, HTTP_PORT).to_string();
        member
    };
    let lonely = setting.mutant == Mutant::Lonely && node == addresses.len();
    config.peers = if lonely {
        vec![member(node)]
    } else {
        (1..=addresses.len()).map(member).collect()
    };
    Ok(config)
}
