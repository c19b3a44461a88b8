//! API SKELETON of reeve-store, for compiling against; the real one replaces it.
#![allow(missing_docs, clippy::unimplemented, unused_variables)]
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use reeve_state::State;
use reeve_state::change::Change;
use reeve_state::command::{Applied, Envelope};
use reeve_state::id::{NodeId, Revision};
use reeve_state::time::Time;

#[derive(Clone, Debug)]
pub struct RaftTimings { pub heartbeat: Duration, pub election_min: Duration, pub election_max: Duration }
impl Default for RaftTimings { fn default() -> Self { Self { heartbeat: Duration::from_millis(50), election_min: Duration::from_millis(150), election_max: Duration::from_millis(300) } } }
#[derive(Clone, Debug)]
pub struct StoreConfig { pub node_id: NodeId, pub node_name: String, pub cluster_id: String, pub data_dir: PathBuf, pub raft_addr: SocketAddr, pub members: Vec<MemberInfo>, pub raft: RaftTimings }
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberInfo { pub id: u64, pub name: String, pub raft_addr: String, pub grpc_addr: String, pub http_addr: String }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency { Linearizable, Local }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane { Liveness, Reconciler, Reports, Users }
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnavailableReason { NoLeader, NoQuorum, ShuttingDown }
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProposeError {
    #[error("not proposed: {0:?}")] Unavailable(UnavailableReason),
    #[error("outcome unknown")] OutcomeUnknown,
    #[error("lane full")] LaneFull { retry_after: Duration },
    #[error("not the leader")] NotLeader,
    #[error("fatal: {0}")] Fatal(String),
}
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError { #[error("unavailable: {0:?}")] Unavailable(UnavailableReason), #[error("fatal: {0}")] Fatal(String) }
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdminError { #[error("unavailable: {0:?}")] Unavailable(UnavailableReason), #[error("{0}")] Refused(String), #[error("outcome unknown")] OutcomeUnknown, #[error("fatal: {0}")] Fatal(String) }
#[derive(Debug, thiserror::Error)]
pub enum OpenError { #[error("{0}")] Other(String) }
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("revision {asked:?} is compacted, oldest {oldest:?}")]
pub struct Compacted { pub asked: Revision, pub oldest: Revision }
#[derive(Clone, Debug)]
pub enum FeedItem { Changes { revision: Revision, changes: Arc<[Change]> }, Reset { revision: Revision } }
pub struct Feed {}
impl Feed { pub async fn next(&mut self) -> Option<FeedItem> { unimplemented!() } }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership { pub leader: Option<NodeId>, pub term: u64, pub established: bool, pub since: Instant }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole { Voter, Learner }
#[derive(Clone, Debug)]
pub struct MemberStatus { pub info: MemberInfo, pub role: MemberRole, pub leader: bool, pub reachable: bool, pub matched_index: Option<u64> }
#[derive(Clone, Debug)]
pub struct StoreStatus { pub node_id: NodeId, pub leader: Option<NodeId>, pub term: u64, pub last_log_index: u64, pub last_applied_index: u64, pub revision: Revision, pub snapshot_index: u64, pub cluster_version: u32, pub members: Vec<MemberStatus> }
#[derive(Clone)]
pub struct Store {}
impl Store {
    /// `extra`: the node's own services on the node-to-node listener.
    pub async fn open(config: StoreConfig, extra: Option<tonic::service::Routes>) -> Result<Self, OpenError> { unimplemented!() }
    pub async fn propose(&self, envelope: Envelope, lane: Lane, deadline: Instant) -> Result<Applied, ProposeError> { unimplemented!() }
    pub async fn propose_local(&self, envelopes: Vec<Envelope>) -> Result<Vec<Applied>, ProposeError> { unimplemented!() }
    pub async fn read(&self, consistency: Consistency, deadline: Instant) -> Result<Arc<State>, ReadError> { unimplemented!() }
    pub fn local(&self) -> Arc<State> { unimplemented!() }
    pub fn local_with_index(&self) -> (u64, Arc<State>) { unimplemented!() }
    pub fn watch(&self, after: Option<Revision>) -> Result<Feed, Compacted> { unimplemented!() }
    pub fn leadership(&self) -> tokio::sync::watch::Receiver<Leadership> { unimplemented!() }
    pub fn cluster_now(&self) -> Time { unimplemented!() }
    pub fn note_peer_wall(&self, peer: NodeId, wall_ms: i64) { unimplemented!() }
    pub fn note_leader_time(&self, cluster: Time, rtt: Duration) { unimplemented!() }
    pub fn status(&self) -> StoreStatus { unimplemented!() }
    pub async fn state_hash(&self) -> (u64, String) { unimplemented!() }
    pub async fn add_member(&self, member: MemberInfo, deadline: Instant) -> Result<(), AdminError> { unimplemented!() }
    pub async fn remove_member(&self, id: NodeId, deadline: Instant) -> Result<(), AdminError> { unimplemented!() }
    pub async fn transfer_leader(&self, to: Option<NodeId>, deadline: Instant) -> Result<NodeId, AdminError> { unimplemented!() }
    pub async fn snapshot(&self) -> Result<(), AdminError> { unimplemented!() }
    pub async fn shutdown(&self) { unimplemented!() }
    /// Resolves with the message when the process must stop.
    pub async fn fatal(&self) -> String { unimplemented!() }
}
