//! What a worker shows its token for: a session, and evidence. Both as a stranger who found the token would.

use std::time::Duration;

use reeve_proto::bearer::Connection;
use reeve_proto::v1::session_request::Message as Said;
use reeve_proto::v1::session_response::Message as Answer;
use reeve_proto::v1::worker_gateway_client::WorkerGatewayClient;
use reeve_proto::v1::{EvidenceKind, Goodbye, Hello, PutChunkRequest, SessionRequest};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status};

use super::common::Secret;

/// Of one attempt. Many are made while a node is cut off.
const TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long a node may take to end a session that says Goodbye.
const FAREWELL: Duration = Duration::from_millis(300);
/// A run that does not exist.
const NO_RUN: &str = "00000000-0000-0000-0000-000000000000";

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A session, which ends at once.
    Session,
    /// Evidence of a run that does not exist.
    Evidence,
}

impl Way {
    /// For the history.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Evidence => "evidence",
        }
    }
}

/// Shows a token. True: it was accepted, false: it was refused for what it is; an error says nothing of it.
pub async fn show(node: Connection, way: Way, secret: &Secret, incarnation: u128) -> Result<bool, Status> {
    let shown = async {
        match way {
            Way::Session => session(node, secret, incarnation).await,
            Way::Evidence => evidence(node, secret).await,
        }
    };
    let answer = timeout(TIMEOUT, shown).await;
    match answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time"))) {
        Err(status) if status.code() == Code::Unauthenticated => Ok(false),
        answer => answer,
    }
}

async fn session(node: Connection, secret: &Secret, incarnation: u128) -> Result<bool, Status> {
    let hello = Hello {
        token: secret.reveal().to_owned(),
        incarnation: format!("{incarnation:032x}"),
        // Nothing is ever placed here.
        capacity: 0,
        version: "chaos".to_owned(),
        ..Default::default()
    };
    let (say, said) = mpsc::channel(2);
    let message = |message| SessionRequest {
        message: Some(message),
    };
    // The channel is new and has room.
    let _ = say.try_send(message(Said::Hello(hello)));
    let mut client = WorkerGatewayClient::new(node);
    let mut answers = client.session(ReceiverStream::new(said)).await?.into_inner();
    match answers.message().await?.and_then(|answer| answer.message) {
        Some(Answer::Welcome(_)) => {}
        Some(_) | None => return Err(Status::aborted("the session ended without a word")),
    }
    let reason = "chaos".to_owned();
    let _ = say.try_send(message(Said::Goodbye(Goodbye { reason })));
    drop(say);
    // It was accepted, however it ends.
    let _ = timeout(FAREWELL, async {
        while let Ok(Some(_)) = answers.message().await {}
    })
    .await;
    Ok(true)
}

async fn evidence(node: Connection, secret: &Secret) -> Result<bool, Status> {
    let request = PutChunkRequest {
        token: secret.reveal().to_owned(),
        run_id: NO_RUN.to_owned(),
        epoch: 1,
        kind: EvidenceKind::Metrics.into(),
        sha256: Sha256::digest([]).to_vec(),
        ..Default::default()
    };
    match WorkerGatewayClient::new(node)
        .put_chunk(Request::new(request))
        .await
    {
        Ok(_) => Ok(true),
        // Whose token it is was known before it was found that there is no such run.
        Err(status) if status.code() == Code::NotFound => Ok(true),
        Err(status) => Err(status),
    }
}
