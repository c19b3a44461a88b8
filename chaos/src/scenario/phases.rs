//! One scenario from beginning to end: load, load and faults, recovery, a fault that stays, the end. It leaves evidence in a directory;
//! judging it is for others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::deed::{Deed, Who};
use super::nemesis::Nemesis;
use super::plan::{self, Plan};
use crate::check::{self, Evidence};
use crate::client::{Client, Common, Setup, calls};
use crate::definition::definition;
use crate::event::{Events, Phase, What};
use crate::finals;
use crate::history::History;
use crate::history::recorder::Recorder;
use crate::judge;
use crate::observer;
use crate::setting::Setting;
use crate::stage::{EXCHANGE_INTERVAL_MS, Programs, Stage};

/// Everything must serve again within this.
const RECOVERS: Duration = Duration::from_secs(60);
const CLIENTS_END: Duration = Duration::from_secs(60);
const STOPS: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(50);
/// What the old checks found.
const CHECKS: &str = "checks.json";

/// What is to be performed.
#[derive(Clone, Debug)]
pub struct Order {
    /// The plan.
    pub plan: Plan,
    /// The programs.
    pub programs: Programs,
    /// An empty directory for the evidence.
    pub directory: PathBuf,
}

/// Performs it.
///
/// # Errors
/// The harness could not do what it was to do. That the cluster did wrong is in the evidence.
pub async fn perform(order: Order) -> Result<()> {
    let Order {
        plan,
        programs,
        directory,
    } = order;
    let events = Events::create(&directory)?;
    let stage = Stage::set_up(&plan, programs, &directory, events.clone()).await?;
    setting(&plan, &stage).store(&directory)?;
    let mut nemesis = Nemesis::new(plan.clone());
    let mut performance = Performance {
        plan,
        events,
        directory: directory.clone(),
        stage,
    };
    let done = performance.run(&mut nemesis).await;
    // However it went, what was done can be done again.
    nemesis.played().store(&directory, plan::PLAYED)?;
    match done {
        Ok(()) => Ok(()),
        Err(error) => performance.give_up(error),
    }
}

/// The cluster did not do within a time what it must: a finding about the cluster, not about the harness.
#[derive(Debug, thiserror::Error)]
#[error("{rule}: {seen}")]
struct Stuck {
    rule: &'static str,
    seen: String,
}

fn must<T>(rule: &'static str, result: Result<T>) -> Result<T> {
    result.map_err(|error| {
        let seen = format!("{error:#}");
        Stuck { rule, seen }.into()
    })
}

fn setting(plan: &Plan, stage: &Stage) -> Setting {
    let shape = &plan.shape;
    Setting {
        scenario: plan.scenario.clone(),
        seed: plan.seed,
        mutant: plan.mutant.clone(),
        nodes: stage.members(),
        workers: stage.workers(),
        clients: shape.clients,
        down_after_ms: shape.down_after_ms,
        heartbeat_interval_ms: shape.heartbeat_interval_ms,
        exchange_interval_ms: EXCHANGE_INTERVAL_MS,
        reconnect_timeout_ms: shape.reconnect_timeout_ms,
        rehome_grace_ms: shape.rehome_grace_ms,
        election_max_ms: shape.election_max_ms,
    }
}

struct Performance {
    plan: Plan,
    events: Events,
    directory: PathBuf,
    stage: Stage,
}

impl Performance {
    async fn run(&mut self, nemesis: &mut Nemesis) -> Result<()> {
        let history = Arc::new(History::create(&self.directory.join("history.jsonl"))?);
        let (stop, stopped) = watch::channel(false);
        self.phase(Phase::WarmUp);
        let mut clients = self.clients(&history, &stopped)?;
        let _observers = self.observers();
        sleep(Duration::from_millis(self.plan.warm_up_ms)).await;
        self.phase(Phase::Faults);
        nemesis.play(&mut self.stage).await?;
        self.phase(Phase::Recovery);
        must(
            "the cluster serves again once everything is healed",
            self.recover().await,
        )?;
        if self.plan.minority_ms > 0 {
            self.phase(Phase::Minority);
            must(
                "a majority serves without the others",
                self.minority(nemesis).await,
            )?;
        }
        self.phase(Phase::Final);
        stop.send_replace(true);
        let ended = timeout(CLIENTS_END, async {
            while let Some(client) = clients.join_next().await {
                client.context("a client panicked")??;
            }
            anyhow::Ok(())
        });
        let clients = "every client gets its last answer";
        must(clients, ended.await.context("a client still waits").flatten())?;
        must("the cluster comes to rest", self.finish(&history).await)
    }

    /// What is on the disks is kept all the same.
    fn give_up(&mut self, error: anyhow::Error) -> Result<()> {
        let stuck = error.downcast::<Stuck>()?;
        self.events.note(What::Expected {
            rule: stuck.rule.to_owned(),
            met: false,
            seen: stuck.seen,
        });
        self.stage.look();
        let nodes: Vec<String> = self.stage.nodes().iter().map(|node| node.name.clone()).collect();
        for name in nodes
            .iter()
            .filter(|name| self.stage.runs(name))
            .cloned()
            .collect::<Vec<_>>()
        {
            self.stage.stop_node(&name, STOPS)?;
        }
        self.stage.keep_data()
    }

    /// They end with what is returned.
    fn observers(&self) -> JoinSet<()> {
        let mut observers = JoinSet::new();
        for (name, connection) in self.stage.connections() {
            observers.spawn(observer::observe(name, connection, self.events.clone()));
        }
        let nodes = self.stage.nodes().iter();
        let data = nodes
            .map(|node| (node.name.clone(), node.files.clone()))
            .collect();
        observers.spawn(observer::observe_use(self.events.clone(), data));
        observers
    }

    fn phase(&self, phase: Phase) {
        self.events.note(What::Phase { phase });
    }

    fn clients(
        &self,
        history: &Arc<History>,
        stopped: &watch::Receiver<bool>,
    ) -> Result<JoinSet<Result<()>>> {
        let nodes: Vec<_> = self
            .stage
            .connections()
            .into_iter()
            .map(|(_, node)| node)
            .collect();
        let common = Common::new(self.stage.workers());
        let count = self.plan.shape.clients;
        let mut clients = JoinSet::new();
        for number in 0..count {
            let setup = Setup {
                number,
                clients: count,
                seed: self.plan.seed,
                nodes: nodes.clone(),
                history: Arc::clone(history),
                recorder: Recorder::create(&self.directory, number, count)?,
                common: common.clone(),
                mix: self.plan.load.mix(),
            };
            clients.spawn(Client::new(setup, stopped.clone()).run());
        }
        Ok(clients)
    }

    /// Everything is healed: there is one leader, every node takes writes and has everything, every worker is back.
    async fn recover(&mut self) -> Result<()> {
        let since = Instant::now();
        for worker in self.stage.workers() {
            self.stage.revive(&worker)?;
        }
        self.stage.agreed_leader(RECOVERS).await?;
        self.serves("one leader that all follow", since);
        for name in self.stage.members() {
            self.write_through(&name).await?;
        }
        self.serves("a write through every node", since);
        self.stage.caught_up(RECOVERS).await?;
        self.serves("every node has everything", since);
        self.stage.sessions(RECOVERS).await?;
        self.serves("every worker has a session", since);
        Ok(())
    }

    fn serves(&self, what: &str, since: Instant) {
        self.events.note(What::Serves {
            what: what.to_owned(),
            after_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }

    async fn write_through(&self, name: &str) -> Result<()> {
        let connection = self.stage.connection(name)?;
        let deadline = Instant::now() + RECOVERS;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let id = format!("harness-{name}-{}-{attempt}", crate::time::now_us());
            match calls::apply_test(connection.clone(), &id, definition("harness", 1, 0)).await {
                Ok(_) => return Ok(()),
                Err(status) if Instant::now() > deadline => {
                    return Err(status).with_context(|| format!("{name} takes no writes"));
                }
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    /// One fault of a minority stays: the others must serve, and go on doing so.
    async fn minority(&mut self, nemesis: &mut Nemesis) -> Result<()> {
        let mut rng = StdRng::seed_from_u64(self.plan.seed ^ 0x6d69_6e6f);
        let who = Who::Follower {
            offset: rng.random_range(1..self.plan.shape.nodes.max(2)),
        };
        let in_sandbox = self.stage.world.network.is_some();
        let deed = match rng.random_range(0..3) {
            0 => Deed::Kill(who),
            1 => Deed::Pause(who),
            _ if in_sandbox => Deed::Isolate(who),
            _ => Deed::Kill(who),
        };
        nemesis.lasting(&mut self.stage, deed).await?;
        let since = Instant::now();
        let until = since + Duration::from_millis(self.plan.minority_ms);
        let leader =
            reeve_testkit::until_some(RECOVERS, "a leader of the majority", || self.stage.leader()).await?;
        self.write_through(&leader).await?;
        self.serves("a write while a minority is away", since);
        while Instant::now() < until {
            self.stage.look();
            sleep(AGAIN).await;
        }
        self.write_through(&leader).await?;
        nemesis.end_all(&mut self.stage).await?;
        let since = Instant::now();
        self.stage.agreed_leader(RECOVERS).await?;
        self.stage.caught_up(RECOVERS).await?;
        self.serves("the minority is back and has everything", since);
        Ok(())
    }

    /// Every run ends, every node is read, then stopped; its disk is kept.
    async fn finish(&mut self, history: &Arc<History>) -> Result<()> {
        let peers = self.stage.connections();
        let open = finals::settle(&peers).await?;
        self.events.note(What::Expected {
            rule: "every run ends".to_owned(),
            met: open == 0,
            seen: format!("{open} runs go on"),
        });
        let nodes = finals::collect(&peers).await?;
        let evidence = Evidence {
            records: history.finish()?,
            nodes,
        };
        let checks = check::all(&evidence);
        std::fs::write(
            self.directory.join(CHECKS),
            serde_json::to_string_pretty(&checks)?,
        )?;
        let said = finals::said(&peers).await?;
        std::fs::write(self.directory.join(judge::SAID), serde_json::to_string(&said)?)?;
        self.stage.look();
        for name in self.stage.members() {
            self.stage.stop_node(&name, STOPS)?;
        }
        self.stage.keep_data()
    }
}
