//! The planner of liveness: who is suspect, who is given up, who is back (D4, D4b, D4c).
//!
//! Heartbeats are not in the state: the caller brings what the nodes heard. All times here are milliseconds of the
//! leader's monotonic clock, signed so that a worker may have been heard before that clock began.

mod brake;

use std::collections::BTreeMap;

use reeve_state::State;
use reeve_state::command::{Command, SetLink};
use reeve_state::id::{NodeId, SessionEpoch, WorkerId};
use reeve_state::record::{Session, Worker};
use reeve_state::time::{Millis, Time};
use reeve_state::transition::worker::{Link, LivenessProfile};

use crate::Planned;

pub use brake::BrakeState;

/// When workers of one profile are suspect, and when they are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Silence after which a worker is suspect.
    pub suspect: Millis,
    /// Silence after which it is given up.
    pub down: Millis,
}

/// Settings of liveness. The defaults are the sources' values (D4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivenessConfig {
    /// Of gRPC sessions: suspect after one missed heartbeat of 30 s, down after 60 s.
    pub session: Thresholds,
    /// Of ping workers: 120 s and 360 s.
    pub ping: Thresholds,
    /// Most time that workers of a lost node get to move; a third of their down threshold if that is less (D4c).
    pub rehome_grace: Millis,
    /// Fleets smaller than this are never braked (D4b).
    pub brake_from: u32,
    /// While the brake is on, at most this part of the fleet is given up per second, per cent; but at least one worker.
    pub brake_percent: u32,
    /// The planner asks to be called again no sooner than this.
    pub tick: Millis,
    /// When to look again after something was decided, or could not be.
    pub retry: Millis,
}

impl Default for LivenessConfig {
    fn default() -> Self {
        Self {
            session: Thresholds {
                suspect: Millis::from_secs(30),
                down: Millis::from_secs(60),
            },
            ping: Thresholds {
                suspect: Millis::from_secs(120),
                down: Millis::from_secs(360),
            },
            rehome_grace: Millis::from_secs(10),
            brake_from: 50,
            brake_percent: 1,
            tick: Millis(100),
            retry: Millis::from_secs(1),
        }
    }
}

impl LivenessConfig {
    fn of(&self, profile: LivenessProfile) -> Thresholds {
        match profile {
            LivenessProfile::Session => self.session,
            LivenessProfile::Ping => self.ping,
        }
    }

    fn grace(&self, thresholds: Thresholds) -> Millis {
        Millis(thresholds.down.0 / 3).min(self.rehome_grace)
    }
}

/// What the nodes' digests say of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The session. A lease of another session than the one in force is ignored.
    pub epoch: SessionEpoch,
    /// When the worker was last heard: arrival of the freshest digest less the age it gave.
    pub heard_ms: i64,
}

/// What this leader knows of who was heard when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseView {
    /// Whether fresh digests were collected since this leader began, and since its own last late tick. If not, nobody is
    /// marked suspect or down.
    pub trusted: bool,
    /// When this leader began to collect digests.
    pub since_ms: i64,
    /// By worker.
    pub leases: BTreeMap<WorkerId, Lease>,
    /// Nodes that are lost, and since when.
    pub lost_nodes: BTreeMap<NodeId, i64>,
}

/// What is to be done about links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LivenessPlan {
    /// To be proposed.
    pub commands: Vec<Planned>,
    /// When to look again if nothing changes; `None`: nobody is connected.
    pub next_wake_ms: Option<i64>,
    /// Every worker was heard in time. Then nobody can become suspect before `next_wake_ms`, whatever is heard until then, and there is
    /// nobody who could be heard again.
    pub settled: bool,
    /// To be handed in with the next call. While it is engaged, the alert is to be raised.
    pub brake: BrakeState,
}

/// Plans the links of all workers. `now` is cluster time, `now_ms` the same instant on the monotonic clock. O(workers).
pub fn plan(
    state: &State,
    view: &LeaseView,
    brake: &BrakeState,
    now: Time,
    now_ms: i64,
    config: &LivenessConfig,
) -> LivenessPlan {
    let look = Look {
        view,
        now,
        now_ms,
        config,
    };
    let mut plan = LivenessPlan {
        brake: brake.clone(),
        ..LivenessPlan::default()
    };
    let (mut connected, mut silent, mut undecided) = (0, 0, 0);
    let mut overdue: Vec<Silent<'_>> = Vec::new();
    for worker in state.workers().filter(|worker| worker.facts.deleted_at.is_none()) {
        let Some(session) = worker.session else { continue };
        connected += 1;
        let found = Silent {
            age: look.age(worker, &session),
            worker,
            session,
        };
        match look.judge(&found) {
            Judgement::Heard { until } => {
                plan.wake(until);
                plan.set(&found, Link::Up);
            }
            Judgement::Undecided { until } => {
                undecided += 1;
                plan.wake(until);
            }
            Judgement::Suspect { until } => {
                silent += 1;
                plan.wake(until);
                plan.set(&found, Link::Suspect);
            }
            Judgement::Overdue => {
                silent += 1;
                overdue.push(found);
            }
        }
    }
    plan.settled = silent + undecided == 0;
    if view.trusted {
        plan.brake.look(connected, silent, config);
        plan.give_up(overdue, now_ms, config);
    }
    plan.next_wake_ms = plan
        .next_wake_ms
        .map(|at| at.max(now_ms.saturating_add(signed(config.tick))));
    plan
}

impl LivenessPlan {
    fn wake(&mut self, at: i64) {
        self.next_wake_ms = Some(self.next_wake_ms.map_or(at, |before| before.min(at)));
    }

    fn set(&mut self, found: &Silent<'_>, link: Link) {
        if found.worker.facts.link.link == link {
            return;
        }
        let silence = Millis(found.age.unsigned_abs());
        let reason = match link {
            Link::Up => "heard again".to_owned(),
            Link::Never | Link::Suspect | Link::Down => format!("not heard for {silence}"),
        };
        let log = format!("{} is {link:?}: {reason}", found.worker.name);
        let command = SetLink {
            worker: found.worker.id,
            epoch: found.session.epoch,
            link,
            reason,
        };
        self.commands.push(Planned::new(Command::SetLink(command), log));
    }

    /// Gives up the workers that were silent longest, as many as the brake grants; the others stay suspect.
    fn give_up(&mut self, mut overdue: Vec<Silent<'_>>, now_ms: i64, config: &LivenessConfig) {
        overdue.sort_by_key(|found| (std::cmp::Reverse(found.age), found.worker.id));
        let granted = self.brake.grant(overdue.len(), now_ms, config);
        for (index, found) in overdue.iter().enumerate() {
            self.set(
                found,
                if index < granted {
                    Link::Down
                } else {
                    Link::Suspect
                },
            );
        }
        if granted < overdue.len() {
            self.wake(self.brake.next_grant_ms().unwrap_or(now_ms));
        } else if granted > 0 {
            self.wake(now_ms.saturating_add(signed(config.retry)));
        }
    }
}

/// A worker with its session, and how long it has not been heard.
struct Silent<'a> {
    age: i64,
    worker: &'a Worker,
    session: Session,
}

enum Judgement {
    /// In time, at least until then.
    Heard { until: i64 },
    /// Not to be judged before then.
    Undecided { until: i64 },
    /// Silent, but not to be given up before then.
    Suspect { until: i64 },
    /// To be given up.
    Overdue,
}

struct Look<'a> {
    view: &'a LeaseView,
    now: Time,
    now_ms: i64,
    config: &'a LivenessConfig,
}

impl Look<'_> {
    /// Milliseconds since the worker was heard. A session that no digest names counts from its own beginning, or from
    /// when this leader began to listen if that is later. A ping that brought the link up again is in the log before the digest of
    /// the node that heard it comes: by that digest's predecessor the worker would be silent once more at once.
    fn age(&self, worker: &Worker, session: &Session) -> i64 {
        let lease = self
            .view
            .leases
            .get(&worker.id)
            .filter(|lease| lease.epoch == session.epoch);
        let here_ms = |at: Time| self.now_ms.saturating_sub(signed(self.now.since(at)));
        let begun_ms = here_ms(session.since);
        let heard_ms = lease.map_or(begun_ms.max(self.view.since_ms), |lease| lease.heard_ms);
        let logged_ms = last_logged_ping(worker).map_or(heard_ms, here_ms);
        self.now_ms.saturating_sub(heard_ms.max(logged_ms)).max(0)
    }

    fn judge(&self, found: &Silent<'_>) -> Judgement {
        let thresholds = self.config.of(found.worker.profile);
        let (suspect, down) = (signed(thresholds.suspect), signed(thresholds.down));
        let heard_ms = self.now_ms.saturating_sub(found.age);
        if found.age < suspect {
            return Judgement::Heard {
                until: heard_ms.saturating_add(suspect),
            };
        }
        if !self.view.trusted {
            return Judgement::Undecided {
                until: self.now_ms.saturating_add(signed(self.config.retry)),
            };
        }
        if let Some(lost_ms) = self.view.lost_nodes.get(&found.session.node) {
            let until = lost_ms.saturating_add(signed(self.config.grace(thresholds)));
            if self.now_ms < until {
                return Judgement::Undecided { until };
            }
        }
        if found.age < down {
            return Judgement::Suspect {
                until: heard_ms.saturating_add(down),
            };
        }
        Judgement::Overdue
    }
}

/// When the log last had a ping of the worker. Sessions say in digests alone that they were heard.
fn last_logged_ping(worker: &Worker) -> Option<Time> {
    let link = &worker.facts.link;
    match (worker.profile, link.link) {
        (LivenessProfile::Ping, Link::Up) => Some(link.since),
        (LivenessProfile::Ping, Link::Never | Link::Suspect | Link::Down) | (LivenessProfile::Session, _) => {
            None
        }
    }
}

fn signed(span: Millis) -> i64 {
    i64::try_from(span.0).unwrap_or(i64::MAX)
}
