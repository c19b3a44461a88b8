//! One simulation, from its seed to its verdict.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Once};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reeve_state::command::Command;
use reeve_store::outside;

use crate::cluster::{Cluster, TICK};
use crate::coverage::Coverage;
use crate::faults::Faults;
use crate::judge;
use crate::load::{Clients, create_worker};
use crate::net::{Ground, Links};
use crate::node::Order;
use crate::oracle::{Eye, Oracle};
use crate::setting::{Mutant, Setting};
use crate::settle;
use crate::trace::{Trace, Violation};

/// Everything must be well so long after the last fault.
const SETTLE_MS: u64 = 60_000;
/// Logs and states are compared so often.
const COMPARE_MS: u64 = 500;

/// How a simulation is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Keeps every line of the trace.
    pub keep_all: bool,
    /// Something that is broken on purpose.
    pub mutant: Mutant,
    /// A short life: for tests.
    pub brief: bool,
    /// Stops after so many ticks.
    pub most_ticks: Option<u64>,
}

/// What came of a simulation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// The first law that was broken.
    pub violation: Option<Violation>,
    /// What happened.
    pub trace: Trace,
    /// What was gone through.
    pub coverage: Coverage,
}

/// Runs the simulation of a seed.
pub fn run(seed: u64, options: Options) -> Outcome {
    let eye: Eye = Arc::new(Mutex::new(Oracle::new(options.keep_all)));
    watch_for_panics(seed);
    let ran = catch_unwind(AssertUnwindSafe(|| simulate(seed, options, &eye)));
    let mut oracle = eye.lock();
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(error)) => oracle.broken("hosts go on", format!("{error:#}")),
        Err(_) => oracle.broken("nothing panics", PANIC.take().unwrap_or_default()),
    }
    oracle.coverage.simulated_ms = oracle.now_ms;
    Outcome {
        seed,
        violation: oracle.violation.clone(),
        trace: oracle.trace.clone(),
        coverage: oracle.coverage,
    }
}

thread_local! {
    /// What panicked on this thread, in whatever task.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static SEED: Cell<u64> = const { Cell::new(0) };
}

/// A task that panics is gone without a word: what it said is kept. It is said at once as well, because turmoil then ends the host,
/// which tokio does not always survive.
fn watch_for_panics(seed: u64) {
    static ONCE: Once = Once::new();
    PANIC.set(None);
    SEED.set(seed);
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if outside::is_simulated() && std::env::var_os("REEVE_SIM_PANICS").is_none() {
                let seed = SEED.get();
                let first = PANIC.with_borrow(Option::is_none);
                if first {
                    let _ = writeln!(
                        std::io::stderr(),
                        "seed {seed}: {panic}; replay: reeve-sim --seed {seed}"
                    );
                    PANIC.set(Some(panic.to_string()));
                }
            } else {
                before(panic);
            }
        }));
    });
}

fn simulate(seed: u64, options: Options, eye: &Eye) -> anyhow::Result<()> {
    let setting = Setting::draw(seed, options.mutant, options.brief);
    let (now_ms, links) = (Rc::new(Cell::new(0)), Links::default());
    let _simulated = outside::simulate(Rc::new(Ground::new(seed, Rc::clone(&now_ms), links.clone())));
    let folder = tempfile::tempdir()?;
    let cluster = Cluster::build(&setting, eye, &links, folder.path())?;
    eye.lock().note(&format!("{setting:?}"));
    Run {
        faults: Faults::new(setting.calm_ms, setting.mutant),
        random: StdRng::seed_from_u64(seed ^ 0x00c0_ffee),
        clients: Clients::default(),
        next_command_ms: 2_000,
        next_compare_ms: 0,
        ticks: 0,
        most_ticks: options.most_ticks.unwrap_or(u64::MAX),
        lost: None,
        cluster,
        setting,
        now_ms,
    }
    .go()
}

struct Run {
    setting: Setting,
    cluster: Cluster,
    faults: Faults,
    random: StdRng,
    clients: Clients,
    next_command_ms: u64,
    next_compare_ms: u64,
    ticks: u64,
    most_ticks: u64,
    /// The worker that died for good.
    lost: Option<usize>,
    now_ms: Rc<Cell<u64>>,
}

impl Run {
    fn go(mut self) -> anyhow::Result<()> {
        while self.now_ms.get() < self.setting.chaos_ms && self.tick()? {
            self.load();
            self.faults
                .step(&mut self.cluster, &mut self.random, self.now_ms.get());
        }
        if self.cluster.eye.lock().violation.is_some() {
            return Ok(());
        }
        self.faults.end_all(&mut self.cluster);
        if self.setting.loses_one {
            let lost = self.random.random_range(0..self.setting.workers);
            let host = self.cluster.posts[lost].host();
            self.cluster.crash(&host, false);
            self.lost = Some(lost);
        }
        if self.settle()? {
            judge::compare(&self.cluster);
            judge::compare_rows(&self.cluster);
            settle::acknowledged(&self.cluster);
        }
        Ok(())
    }

    /// One step of everything; whether to go on.
    fn tick(&mut self) -> anyhow::Result<bool> {
        let eye = Arc::clone(&self.cluster.eye);
        self.cluster
            .sim
            .step()
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        self.ticks += 1;
        let now_ms = self.ticks * TICK.as_millis() as u64;
        self.now_ms.set(now_ms);
        eye.lock().now_ms = now_ms;
        judge::glance(&self.cluster);
        if let Some(panic) = PANIC.take() {
            eye.lock().broken("nothing panics", panic);
        }
        if now_ms >= self.next_compare_ms {
            self.next_compare_ms = now_ms + COMPARE_MS;
            judge::compare(&self.cluster);
            self.register();
        }
        let broken = eye.lock().violation.is_some();
        Ok(!broken && self.ticks < self.most_ticks)
    }

    /// Workers that are not registered yet.
    fn register(&mut self) {
        let known = self.cluster.eye.lock().newest().map(|(_, state)| state.clone());
        let Some(leader) = self.cluster.leader() else {
            return;
        };
        for post in &self.cluster.posts {
            if known.as_ref().is_none_or(|state| state.worker(post.id).is_none()) {
                let order = Order::Propose(self.clients.number(), Box::new(create_worker(post)));
                self.cluster.seats[leader].ask(order);
            }
        }
    }

    fn load(&mut self) {
        let now_ms = self.now_ms.get();
        if now_ms < self.next_command_ms {
            return;
        }
        let think = self.setting.think_ms;
        self.next_command_ms = now_ms + self.random.random_range(think / 2..=think * 3 / 2);
        let seat = &self.cluster.seats[self.random.random_range(0..self.cluster.seats.len())];
        let Some(context) = seat.context() else { return };
        if self.random.random_bool(0.02) {
            seat.ask(Order::Snapshot);
        }
        let state = context.store.local();
        let (number, envelope) = self.clients.next(&mut self.random, &state, &self.cluster.posts);
        if let Command::RegenerateToken(new) = &envelope.command {
            let mut eye = self.cluster.eye.lock();
            eye.hashes.insert(new.token_hash, self.clients.tokens);
        }
        seat.ask(Order::Propose(number, Box::new(envelope)));
    }

    /// Whether everything became well.
    fn settle(&mut self) -> anyhow::Result<bool> {
        let healed_ms = self.now_ms.get();
        // Faults end anywhere in a tick; what they broke is noticed after it.
        while self.tick()? {
            let since_ms = self.now_ms.get() - healed_ms;
            let missing = settle::missing(&self.cluster, self.lost);
            self.look_for_the_lost(since_ms);
            match missing {
                None if since_ms >= 2_000 => return Ok(true),
                Some(what) if since_ms >= SETTLE_MS => {
                    let law = "once everything is well, all goes on and every run ends";
                    let detail = format!("after {SETTLE_MS} ms: {what}");
                    self.cluster.eye.lock().broken(law, detail);
                    return Ok(false);
                }
                None | Some(_) => {}
            }
        }
        Ok(false)
    }

    fn look_for_the_lost(&self, since_ms: u64) {
        let Some(lost) = self.lost else { return };
        let mut eye = self.cluster.eye.lock();
        let post = &self.cluster.posts[lost];
        let offline = eye.newest().is_none_or(|(_, state)| {
            state
                .worker(post.id)
                .is_none_or(|worker| worker.session.is_none())
        });
        if !offline && since_ms > settle::DECLARED_MS {
            let detail = format!("{} died {since_ms} ms ago", post.host());
            eye.broken("a dead worker is OFFLINE in time", detail);
        }
    }
}
