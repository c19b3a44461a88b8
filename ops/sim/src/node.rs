//! A simulated node: the real one, and what the simulation asks of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use reeve_node::{Context, NodeConfig};
use reeve_state::State;
use reeve_state::command::{Command, EntryMeta, Envelope, SetLink};
use reeve_state::id::NodeId;
use reeve_state::time::Time;
use reeve_state::transition::worker::{Link, LivenessProfile};
use reeve_store::sim::{Apply, SimDisk};
use reeve_store::{Lane, ProposeError};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::oracle::Eye;
use crate::setting::{DOWN, Mutant};

/// How long a client waits.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the simulation asks of a node.
pub(crate) enum Order {
    /// A client's command, with its number.
    Propose(u64, Box<Envelope>),
    /// The process stood still for so long.
    Pause(Duration),
    /// Make a snapshot.
    Snapshot,
}

/// A node's place: what outlives its crashes.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) id: NodeId,
    pub(crate) config: NodeConfig,
    pub(crate) disk: SimDisk,
    pub(crate) mutant: Mutant,
    pub(crate) eye: Eye,
    running: Rc<RefCell<Option<Running>>>,
}

#[derive(Clone)]
struct Running {
    context: Context,
    orders: mpsc::UnboundedSender<Order>,
}

impl Seat {
    pub(crate) fn new(config: NodeConfig, disk: SimDisk, mutant: Mutant, eye: Eye) -> Self {
        Self {
            id: config.id,
            config,
            disk,
            mutant,
            eye,
            running: Rc::default(),
        }
    }

    /// The host's name.
    pub(crate) fn host(&self) -> String {
        format!("n{}", self.id)
    }

    /// The node that runs here.
    pub(crate) fn context(&self) -> Option<Context> {
        self.running
            .borrow()
            .as_ref()
            .map(|running| running.context.clone())
    }

    /// Asks; whether somebody is there to hear it.
    pub(crate) fn ask(&self, order: Order) -> bool {
        let running = self.running.borrow();
        running
            .as_ref()
            .is_some_and(|running| running.orders.send(order).is_ok())
    }

    /// The host crashed.
    pub(crate) fn gone(&self) {
        self.running.replace(None);
        self.disk.crash();
        self.eye.lock().opens(self.id);
    }

    /// The software of the host.
    pub(crate) async fn live(self) -> turmoil::Result {
        let apply = watched(self.eye.clone(), self.id, self.mutant);
        let context = reeve_node::sim::start(self.config.clone(), self.disk.clone(), apply).await?;
        let (orders, mut asked) = mpsc::unbounded_channel();
        let running = Running {
            context: context.clone(),
            orders,
        };
        self.running.replace(Some(running));
        self.eye.lock().note(&format!("n{} is up", self.id));
        while let Some(order) = asked.recv().await {
            match order {
                Order::Propose(number, envelope) => {
                    tokio::spawn(propose(context.clone(), self.eye.clone(), number, *envelope));
                }
                Order::Pause(span) => {
                    tokio::time::advance(span).await;
                    if self.mutant == Mutant::LocalClock {
                        give_up(&context).await;
                    }
                }
                Order::Snapshot => {
                    let store = context.store.clone();
                    let eye = self.eye.clone();
                    tokio::spawn(async move {
                        if store.snapshot().await.is_ok() {
                            eye.lock().coverage.snapshots += 1;
                        }
                    });
                }
            }
        }
        Ok(())
    }
}

/// Applies, and shows what came of it.
fn watched(eye: Eye, node: NodeId, mutant: Mutant) -> Apply {
    Arc::new(move |state: &mut State, meta: &EntryMeta, envelope: &Envelope| {
        let before = state.clone();
        let mut mine = EntryMeta { ..*meta };
        if mutant == Mutant::OwnTime && node.0 == 2 {
            mine.stamp = Time(mine.stamp.0 + 1);
        }
        let step = reeve_state::apply(state, &mine, envelope);
        eye.lock().applied(node, (&before, state), meta, envelope, &step);
        step
    })
}

async fn propose(context: Context, eye: Eye, number: u64, envelope: Envelope) {
    let command = envelope.command.clone();
    let answer = context
        .store
        .propose(envelope, Lane::Users, Instant::now() + PATIENCE)
        .await;
    let mut eye = eye.lock();
    let outcome = match answer {
        Ok(applied) => match applied.result {
            Ok(_) => {
                eye.coverage.acked += 1;
                if let Command::ApplyTest(test) = &command {
                    eye.acked_tests.insert(test.id);
                }
                if let Command::StartRun(start) = &command {
                    eye.acked_runs.insert(start.run);
                }
                format!("acknowledged at revision {}", applied.revision)
            }
            Err(refusal) => {
                eye.coverage.refused += 1;
                format!("refused: {refusal}")
            }
        },
        Err(ProposeError::OutcomeUnknown) => {
            eye.coverage.unknown += 1;
            "outcome unknown".to_owned()
        }
        Err(error) => {
            eye.coverage.refused += 1;
            format!("not proposed: {error}")
        }
    };
    let node = context.config.id;
    eye.note(&format!(
        "client at n{node}: command {number}, {}: {outcome}",
        command.name()
    ));
}

/// What a leader must not do: trust its own clock after a pause.
async fn give_up(context: &Context) {
    let leadership = *context.store.leadership().borrow();
    let state = context.store.local();
    let mut plans = Vec::new();
    for worker in state.workers() {
        let heard = context.liveness.heard(worker.id, LivenessProfile::Session);
        if let (Some(session), Some(heard)) = (worker.session, heard)
            && heard.age >= DOWN
        {
            let command = SetLink {
                worker: worker.id,
                epoch: session.epoch,
                link: Link::Down,
                reason: "silent by my clock".to_owned(),
            };
            plans.push(Envelope::planned(Command::SetLink(command), leadership.term));
        }
    }
    let store = context.store.clone();
    tokio::spawn(async move { drop(store.propose_local(plans).await) });
}
