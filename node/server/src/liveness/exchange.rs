//! The sending end of the exchange: whom this node heard, and what its clock says, to every other node about once a second.

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_proto::bearer::{Bearer, Connection};
use reeve_proto::internal::node_exchange_client::NodeExchangeClient;
use reeve_proto::internal::{self, ExchangeRequest, ExchangeResponse, SessionAge};
use reeve_state::id::NodeId;
use reeve_state::time::Time;
use reeve_store::outside::{self, wall_ms};
use reeve_store::{MemberInfo, Store, shown_secret};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;
use tonic::Status;
use tonic::transport::Endpoint;

use super::{Liveness, TICK};
use crate::context::Context;

/// A peer that does not answer within two intervals, or at most for so long, did not acknowledge.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A machine may be busy.
const LEAST_TIMEOUT: Duration = Duration::from_secs(1);

/// The pulse and the exchange, until the node stops.
pub async fn run(context: Context) {
    // Bound once; a second call would be for the same store.
    let _ = context.liveness.0.store.set(context.store.clone());
    let mut sender = Sender::new(&context);
    tokio::select! {
        biased;
        () = context.shutdown.cancelled() => {}
        () = pulse(&context) => {}
        () = sender.run(context.config.exchange_interval) => {}
    }
}

async fn pulse(context: &Context) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        context.liveness.tick(&context.store, Instant::now());
    }
}

/// One long-lived channel a peer, and at most one call under way on each.
struct Sender {
    liveness: Liveness,
    store: Store,
    /// The cluster secret.
    bearer: Bearer,
    peers: BTreeMap<NodeId, Peer>,
    calls: JoinSet<Made>,
    timeout: Duration,
}

/// A call that is over.
struct Made {
    peer: NodeId,
    answered: bool,
}

struct Peer {
    raft_addr: String,
    client: NodeExchangeClient<Connection>,
    busy: bool,
}

impl Sender {
    fn new(context: &Context) -> Self {
        Self {
            liveness: context.liveness.clone(),
            store: context.store.clone(),
            bearer: shown_secret(context.config.cluster_secret.as_ref()),
            peers: BTreeMap::new(),
            calls: JoinSet::new(),
            timeout: (context.config.exchange_interval * 2).clamp(LEAST_TIMEOUT, TIMEOUT),
        }
    }

    async fn run(&mut self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Some(done) = self.calls.join_next() => {
                    if let Ok(made) = done {
                        self.made(&made);
                    }
                }
                _ = ticks.tick() => self.send_all(),
            }
        }
    }

    fn made(&mut self, made: &Made) {
        let Some(peer) = self.peers.get_mut(&made.peer) else {
            return;
        };
        peer.busy = false;
        if !made.answered {
            // TCP repeats what was lost ever more seldom: after a cut of seconds it would be silent for seconds more. A new connection is
            // tried at once.
            match connect(&peer.raft_addr, &self.bearer, self.timeout) {
                Ok(client) => peer.client = client,
                Err(error) => {
                    tracing::warn!(node = made.peer.0, %error, "the address of a member cannot be used")
                }
            }
        }
    }

    fn send_all(&mut self) {
        self.follow_membership();
        let free: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, peer)| !peer.busy)
            .map(|(id, _)| *id)
            .collect();
        if free.is_empty() {
            return;
        }
        let digest = digest(&self.liveness, Instant::now());
        for id in free {
            let Some(peer) = self.peers.get_mut(&id) else {
                continue;
            };
            peer.busy = true;
            let call = Call {
                liveness: self.liveness.clone(),
                store: self.store.clone(),
                client: peer.client.clone(),
                timeout: self.timeout,
                request: ExchangeRequest {
                    to_node: id.0,
                    ..digest.clone()
                },
            };
            self.calls.spawn(call.make());
        }
    }

    /// Channels follow the members: who left loses its own, who moved gets a new one.
    fn follow_membership(&mut self) {
        let me = self.liveness.0.me;
        let members: Vec<MemberInfo> = self
            .store
            .status()
            .members
            .into_iter()
            .map(|member| member.info)
            .filter(|info| info.id != me)
            .collect();
        self.peers.retain(|id, peer| {
            members
                .iter()
                .any(|member| member.id == *id && member.raft_addr == peer.raft_addr)
        });
        for member in members {
            if self.peers.contains_key(&member.id) {
                continue;
            }
            match connect(&member.raft_addr, &self.bearer, self.timeout) {
                Ok(client) => {
                    let peer = Peer {
                        raft_addr: member.raft_addr,
                        client,
                        busy: false,
                    };
                    self.peers.insert(member.id, peer);
                }
                Err(error) => {
                    tracing::warn!(node = member.id.0, %error, "the address of a member cannot be used")
                }
            }
        }
    }
}

fn connect(
    raft_addr: &str,
    bearer: &Bearer,
    timeout: Duration,
) -> Result<NodeExchangeClient<Connection>, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{raft_addr}"))?
        .connect_timeout(timeout / 2)
        .timeout(timeout)
        .tcp_nodelay(true);
    Ok(NodeExchangeClient::new(
        bearer.on(outside::connect_lazy(&endpoint)),
    ))
}

struct Call {
    liveness: Liveness,
    store: Store,
    client: NodeExchangeClient<Connection>,
    timeout: Duration,
    request: ExchangeRequest,
}

impl Call {
    async fn make(mut self) -> Made {
        let peer = NodeId(self.request.to_node);
        let sent = Instant::now();
        let answer = tokio::time::timeout(self.timeout, self.client.exchange(self.request)).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        match &answer {
            Ok(response) => note_answer(&self.liveness, &self.store, peer, sent, response.get_ref()),
            Err(status) => {
                tracing::debug!(node = peer.0, code = ?status.code(), "exchange failed: {}", status.message())
            }
        }
        Made {
            peer,
            answered: answer.is_ok(),
        }
    }
}

fn note_answer(liveness: &Liveness, store: &Store, peer: NodeId, sent: Instant, answer: &ExchangeResponse) {
    {
        let mut acknowledged = liveness.0.acknowledged.lock();
        acknowledged.note(peer, sent);
        if answer.live_leader != 0 {
            acknowledged.note_leader(NodeId(answer.live_leader), sent);
        }
    }
    store.note_peer_wall(peer, answer.wall_ms);
    if answer.removed {
        liveness.0.removed.send_replace(true);
    }
    if answer.leader {
        let cluster_time = Time(u64::try_from(answer.cluster_time_ms).unwrap_or(0));
        store.note_leader_time(cluster_time, sent.elapsed());
    }
}

/// The sessions that this node holds, with their ages.
fn digest(liveness: &Liveness, now: Instant) -> ExchangeRequest {
    let shared = &liveness.0;
    let ages_unknown = shared.pulse.lock().ages_unknown(now);
    let sessions = shared
        .table
        .lock()
        .held_by(shared.me)
        .map(|(worker, lease)| SessionAge {
            worker_id: worker.as_bytes().to_vec().into(),
            epoch: lease.epoch.0,
            age_ms: u32::try_from(now.saturating_duration_since(lease.heard).as_millis()).unwrap_or(u32::MAX),
            active_endpoints: lease.vitals.active_endpoints,
            resources: lease.vitals.resources.map(|resources| internal::Resources {
                cpu_percent: resources.cpu_percent.into(),
                memory_percent: resources.memory_percent.into(),
                disk_percent: resources.disk_percent.into(),
            }),
            clock_skew_ms: lease.vitals.clock_skew_ms,
        })
        .collect();
    ExchangeRequest {
        cluster_id: shared.cluster_id.clone(),
        from_node: shared.me.0,
        to_node: 0,
        wall_ms: wall_ms(),
        sessions,
        ages_unknown,
    }
}
