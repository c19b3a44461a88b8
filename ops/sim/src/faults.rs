//! What goes wrong: drawn from the seed, each for a while.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use crate::cluster::Cluster;
use crate::node::Order;
use crate::setting::Mutant;

/// A fault in force.
enum Fault {
    /// A host is down.
    Crash(String),
    /// Links do not carry everything.
    Cut(Vec<(String, String)>),
}

/// Draws faults, and ends them.
pub(crate) struct Faults {
    calm_ms: u64,
    /// In a hundred.
    pauses: u32,
    next_ms: u64,
    active: Vec<(u64, Fault)>,
}

/// How a link is cut.
#[derive(Clone, Copy)]
enum How {
    /// What is sent is lost, in both directions.
    Lose,
    /// What is sent by the first is lost.
    LoseSent,
    /// What is sent to the first is lost.
    LoseReceived,
    /// What is sent waits.
    Hold,
}

impl Faults {
    /// Pauses are made common where they are what is to be shown.
    pub(crate) fn new(calm_ms: u64, mutant: Mutant) -> Self {
        Self {
            calm_ms,
            pauses: if mutant == Mutant::LocalClock { 60 } else { 10 },
            next_ms: 2_000,
            active: Vec::new(),
        }
    }

    pub(crate) fn step(&mut self, cluster: &mut Cluster, random: &mut StdRng, now_ms: u64) {
        let (over, active): (Vec<_>, Vec<_>) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|(until, _)| *until <= now_ms);
        self.active = active;
        for (_, fault) in over {
            end(cluster, fault);
        }
        if now_ms >= self.next_ms {
            self.next_ms = now_ms + random.random_range(self.calm_ms / 2..=self.calm_ms * 3 / 2);
            self.begin(cluster, random, now_ms);
        }
    }

    fn begin(&mut self, cluster: &mut Cluster, random: &mut StdRng, now_ms: u64) {
        let until = now_ms + random.random_range(100..=9_000);
        let node = victim(cluster, random);
        let worker = random.random_range(0..cluster.posts.len());
        if random.random_ratio(self.pauses, 100) {
            return pause(cluster, random, node);
        }
        let fault = match random.random_range(0..100) {
            0..32 => crash_node(cluster, random, node),
            32..60 => cut_node(cluster, random, node),
            60..70 => split(cluster, random),
            70..78 => crash_worker(cluster, random, worker),
            78..90 => cut_worker(cluster, random, worker),
            _ => {
                reset(cluster, random);
                None
            }
        };
        self.active.extend(fault.map(|fault| (until, fault)));
    }

    /// Everything is well again.
    pub(crate) fn end_all(&mut self, cluster: &mut Cluster) {
        cluster.note("everything heals");
        for (_, fault) in std::mem::take(&mut self.active) {
            end(cluster, fault);
        }
        cluster.heal_all();
    }
}

fn end(cluster: &mut Cluster, fault: Fault) {
    match fault {
        Fault::Crash(host) => {
            if cluster.restart(&host) && host.starts_with('n') {
                cluster.eye.lock().coverage.restarts += 1;
            }
        }
        Fault::Cut(links) => {
            for (one, other) in &links {
                cluster.heal(one, other);
            }
            let cut: Vec<String> = links
                .iter()
                .map(|(one, other)| format!("{one}-{other}"))
                .collect();
            cluster.note(&format!("links are whole again: {}", cut.join(" ")));
        }
    }
}

/// The leader, half of the time.
fn victim(cluster: &Cluster, random: &mut StdRng) -> usize {
    let any = random.random_range(0..cluster.seats.len());
    if random.random_bool(0.5) {
        cluster.leader().unwrap_or(any)
    } else {
        any
    }
}

fn crash_node(cluster: &mut Cluster, random: &mut StdRng, node: usize) -> Option<Fault> {
    let host = cluster.seats[node].host();
    let crashed = cluster.crash(&host, random.random_bool(0.5));
    cluster.eye.lock().coverage.crashes += u64::from(crashed);
    crashed.then_some(Fault::Crash(host))
}

fn crash_worker(cluster: &mut Cluster, random: &mut StdRng, worker: usize) -> Option<Fault> {
    let host = cluster.posts[worker].host();
    let crashed = cluster.crash(&host, random.random_bool(0.5));
    cluster.eye.lock().coverage.worker_crashes += u64::from(crashed);
    crashed.then_some(Fault::Crash(host))
}

/// The node's clock goes on, and nothing of the node did meanwhile.
fn pause(cluster: &Cluster, random: &mut StdRng, node: usize) {
    let span = Duration::from_millis(random.random_range(1_000..=12_000));
    let seat = &cluster.seats[node];
    if seat.ask(Order::Pause(span)) {
        let mut eye = cluster.eye.lock();
        eye.coverage.pauses += 1;
        eye.paused_ms = Some(eye.now_ms);
        eye.note(&format!("{} was paused for {} ms", seat.host(), span.as_millis()));
    }
}

fn reset(cluster: &Cluster, random: &mut StdRng) {
    let hosts = cluster.hosts();
    let one = &hosts[random.random_range(0..cluster.seats.len())];
    let other = &hosts[random.random_range(0..hosts.len())];
    if one != other {
        cluster.reset(one, other);
        let mut eye = cluster.eye.lock();
        eye.coverage.resets += 1;
        eye.note(&format!("connections {one}-{other} are reset"));
    }
}

fn how(random: &mut StdRng) -> How {
    match random.random_range(0..4) {
        0 => How::Lose,
        1 => How::LoseSent,
        2 => How::LoseReceived,
        _ => How::Hold,
    }
}

fn cut(cluster: &Cluster, links: Vec<(String, String)>, how: How) -> Option<Fault> {
    for (one, other) in &links {
        match how {
            How::Lose => cluster.sim.partition(one.as_str(), other.as_str()),
            How::LoseSent => cluster.sim.partition_oneway(one.as_str(), other.as_str()),
            How::LoseReceived => cluster.sim.partition_oneway(other.as_str(), one.as_str()),
            How::Hold => cluster.sim.hold(one.as_str(), other.as_str()),
        }
    }
    let mut eye = cluster.eye.lock();
    let what = match how {
        How::Lose => {
            eye.coverage.cuts += 1;
            "cut"
        }
        How::LoseSent => {
            eye.coverage.oneway += 1;
            "cut from the first to the second"
        }
        How::LoseReceived => {
            eye.coverage.oneway += 1;
            "cut from the second to the first"
        }
        How::Hold => {
            eye.coverage.holds += 1;
            "held"
        }
    };
    let names: Vec<String> = links
        .iter()
        .map(|(one, other)| format!("{one}-{other}"))
        .collect();
    eye.note(&format!("links are {what}: {}", names.join(" ")));
    Some(Fault::Cut(links))
}

/// A node from the other nodes, and sometimes from workers.
fn cut_node(cluster: &Cluster, random: &mut StdRng, node: usize) -> Option<Fault> {
    let me = cluster.seats[node].host();
    let with_workers = random.random_bool(0.3);
    let links = cluster
        .hosts()
        .into_iter()
        .filter(|host| *host != me && (with_workers || host.starts_with('n')))
        .map(|host| (me.clone(), host))
        .collect();
    cut(cluster, links, how(random))
}

/// Some nodes from the others.
fn split(cluster: &Cluster, random: &mut StdRng) -> Option<Fault> {
    let (one, other): (Vec<String>, Vec<String>) = cluster
        .seats
        .iter()
        .map(crate::node::Seat::host)
        .partition(|_| random.random_bool(0.5));
    let links: Vec<_> = one
        .iter()
        .flat_map(|one| other.iter().map(move |other| (one.clone(), other.clone())))
        .collect();
    if links.is_empty() {
        return None;
    }
    cut(cluster, links, how(random))
}

/// A worker from some of the nodes, or from all.
fn cut_worker(cluster: &Cluster, random: &mut StdRng, worker: usize) -> Option<Fault> {
    let me = cluster.posts[worker].host();
    let all = random.random_bool(0.6);
    let links: Vec<_> = cluster
        .seats
        .iter()
        .map(|seat| (me.clone(), seat.host()))
        .filter(|_| all || random.random_bool(0.5))
        .collect();
    if links.is_empty() {
        return None;
    }
    cluster.eye.lock().coverage.worker_cuts += 1;
    cut(cluster, links, how(random))
}
