//! What followers hand on to the leader, on both ends.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reeve_proto::internal as wire;
use reeve_proto::internal::leader_service_server::LeaderService;
use reeve_proto::internal::propose_outcome::Outcome as Sent;
use reeve_state::command::Applied;
use reeve_state::id::NodeId;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};

use crate::admin::{self, Change};
use crate::codec::{Wire, decode_envelope};
use crate::error::{AdminError, ProposeError};
use crate::lanes::{Item, Lane, Route};
use crate::member::MemberInfo;
use crate::peers::never_sent;
use crate::proposer::{Attempt, Outcome};
use crate::server::invalid;
use crate::shared::Shared;

/// How long the leader may take for a read index.
const READ_INDEX_TIMEOUT: Duration = Duration::from_secs(1);

/// A call to the leader: given up when it leads no longer.
async fn while_it_leads<T>(
    shared: &Shared,
    leader: NodeId,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let mut leadership = shared.leadership.subscribe();
    tokio::select! {
        biased;
        result = call => result,
        _ = leadership.wait_for(|l| l.leader != Some(leader)) => Err(Status::aborted("the leader changed")),
    }
}

/// Hands a batch to the leader.
pub(crate) async fn propose(shared: &Shared, leader: NodeId, batch: &[Item]) -> Attempt {
    let Some(member) = shared.member(leader) else {
        return Attempt::NotProposed;
    };
    let Ok(mut client) = shared.peers.leader(&member.raft_addr) else {
        return Attempt::NotProposed;
    };
    let now = Instant::now();
    let items = batch.iter().map(|item| wire::ProposeItem {
        envelope: item.envelope.clone(),
        lane: item.lane.number(),
        deadline_ms: millis(item.deadline.saturating_duration_since(now)),
    });
    let request = wire::ProposeBatchRequest {
        peering: shared.peers.peering(leader.0),
        items: items.collect(),
    };
    let latest = batch.iter().map(|item| item.deadline).max().unwrap_or(now);
    let call = async {
        match tokio::time::timeout_at(latest, client.propose_batch(request)).await {
            Ok(result) => result.map(Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("the leader did not answer")),
        }
    };
    match while_it_leads(shared, leader, call).await {
        Ok(response) if response.outcomes.len() == batch.len() => {
            Attempt::Done(response.outcomes.into_iter().map(outcome).collect())
        }
        Ok(_) => Attempt::Unknown,
        // Refused by the target before it looked at the commands, or not sent at all.
        Err(status) if refused_at_once(&status) => Attempt::NotProposed,
        Err(status) => {
            tracing::debug!(%leader, %status, "handing commands on failed");
            Attempt::Unknown
        }
    }
}

fn refused_at_once(status: &Status) -> bool {
    matches!(status.code(), Code::FailedPrecondition | Code::InvalidArgument) || never_sent(status)
}

fn outcome(sent: wire::ProposeOutcome) -> Outcome {
    match sent.outcome {
        Some(Sent::Applied(applied)) => {
            Applied::from_proto(applied).map_or(Outcome::Unknown, Outcome::Applied)
        }
        Some(Sent::NotProposed(wire::Empty {})) => Outcome::NotProposed,
        Some(Sent::LaneFullMs(ms)) => Outcome::LaneFull(Duration::from_millis(ms)),
        Some(Sent::Unknown(wire::Empty {})) | None => Outcome::Unknown,
    }
}

/// Asks the leader for a read index.
pub(crate) async fn read_index(shared: &Shared, leader: NodeId) -> Result<u64, Status> {
    let member = shared
        .member(leader)
        .ok_or_else(|| Status::unavailable("the leader is not a member"))?;
    let mut client = shared
        .peers
        .leader(&member.raft_addr)
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let request = wire::ReadIndexRequest {
        peering: shared.peers.peering(leader.0),
    };
    let call = async {
        match tokio::time::timeout(READ_INDEX_TIMEOUT, client.read_index(request)).await {
            Ok(result) => Ok(result?.into_inner().index),
            Err(_) => Err(Status::deadline_exceeded("the leader did not answer")),
        }
    };
    while_it_leads(shared, leader, call).await
}

/// Asks the leader to change the cluster.
pub(crate) async fn change_cluster(shared: &Shared, leader: NodeId, change: &Change) -> Result<(), Status> {
    use wire::change_cluster_request::Change as Kind;
    let member = shared
        .member(leader)
        .ok_or_else(|| Status::unavailable("the leader is not a member"))?;
    let mut client = shared
        .peers
        .leader(&member.raft_addr)
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let change = match change {
        Change::Add(member) => Kind::AddMember(member.to_proto()),
        Change::Remove(node) => Kind::RemoveMember(node.0),
        Change::Transfer(to) => Kind::TransferLeader(to.map_or(0, |to| to.0)),
    };
    let request = wire::ChangeClusterRequest {
        peering: shared.peers.peering(leader.0),
        change: Some(change),
    };
    client.change_cluster(request).await.map(|_| ())
}

/// What the leader does for followers.
pub(crate) struct ForwardService(pub(crate) Arc<Shared>);

impl ForwardService {
    fn leads(&self) -> Result<(), Status> {
        if self.0.leader() == Some(self.0.me) {
            Ok(())
        } else {
            Err(Status::unavailable("this node does not lead"))
        }
    }
}

#[tonic::async_trait]
impl LeaderService for ForwardService {
    async fn propose_batch(
        &self,
        request: Request<wire::ProposeBatchRequest>,
    ) -> Result<Response<wire::ProposeBatchResponse>, Status> {
        let request = request.into_inner();
        self.0.check(request.peering)?;
        if self.leads().is_err() {
            return Err(Status::failed_precondition("this node does not lead"));
        }
        let now = Instant::now();
        let (mut items, mut tickets) = (Vec::new(), Vec::new());
        for item in request.items {
            let Some(lane) = acceptable(&item) else {
                tickets.push(None);
                continue;
            };
            let deadline = now + Duration::from_millis(item.deadline_ms);
            let (item, ticket) = Item::new(item.envelope, lane, deadline, Route::Here, false);
            items.push(item);
            tickets.push(Some(ticket));
        }
        self.0.lanes.push(items);
        let mut outcomes = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            let result = match ticket {
                Some(ticket) => ticket.wait(|| self.0.why_unavailable()).await,
                None => Err(ProposeError::NotLeader),
            };
            let outcome = match result {
                Ok(applied) => Sent::Applied(applied.to_proto()),
                Err(ProposeError::Unavailable { .. } | ProposeError::NotLeader | ProposeError::Fatal(_)) => {
                    Sent::NotProposed(wire::Empty {})
                }
                Err(ProposeError::OutcomeUnknown) => Sent::Unknown(wire::Empty {}),
                Err(ProposeError::LaneFull { retry_after }) => Sent::LaneFullMs(millis(retry_after)),
            };
            outcomes.push(wire::ProposeOutcome {
                outcome: Some(outcome),
            });
        }
        Ok(Response::new(wire::ProposeBatchResponse { outcomes }))
    }

    async fn read_index(
        &self,
        request: Request<wire::ReadIndexRequest>,
    ) -> Result<Response<wire::ReadIndexResponse>, Status> {
        self.0.check(request.into_inner().peering)?;
        self.leads()?;
        let index = self
            .0
            .reads
            .next()
            .await
            .map_err(|_| Status::unavailable("no quorum confirmed this leader"))?;
        Ok(Response::new(wire::ReadIndexResponse { index }))
    }

    async fn change_cluster(
        &self,
        request: Request<wire::ChangeClusterRequest>,
    ) -> Result<Response<wire::ChangeClusterResponse>, Status> {
        use wire::change_cluster_request::Change as Kind;
        let request = request.into_inner();
        self.0.check(request.peering)?;
        self.leads()?;
        let change = match request
            .change
            .ok_or_else(|| Status::invalid_argument("an unknown change"))?
        {
            Kind::AddMember(member) => Change::Add(MemberInfo::from_proto(member).map_err(invalid)?),
            Kind::RemoveMember(node) => Change::Remove(NodeId(node)),
            Kind::TransferLeader(0) => Change::Transfer(None),
            Kind::TransferLeader(node) => Change::Transfer(Some(NodeId(node))),
        };
        match admin::change_here(&self.0, &change).await {
            Ok(()) => Ok(Response::new(wire::ChangeClusterResponse {})),
            Err(AdminError::Refused(rule)) => Err(Status::failed_precondition(rule)),
            Err(AdminError::Unavailable) => Err(Status::unavailable("the change was not confirmed in time")),
            Err(AdminError::Fatal(fault)) => Err(Status::unavailable(fault.to_string())),
        }
    }
}

/// The lane of a command that this node can apply. Any other must not enter the log; it is refused without its neighbours.
fn acceptable(item: &wire::ProposeItem) -> Option<Lane> {
    match decode_envelope(&item.envelope) {
        Ok(_) => Lane::numbered(item.lane),
        Err(error) => {
            tracing::warn!(%error, "a command that was handed on is not known here");
            None
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
