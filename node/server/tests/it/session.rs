//! A session worker that says what the test tells it to.

use std::time::Duration;

use reeve_proto::v1;
use reeve_proto::v1::session_request::Message as Say;
use reeve_proto::v1::session_response::Message as Heard;
use reeve_proto::v1::worker_gateway_client::WorkerGatewayClient;
use reeve_proto::v1::{SessionRequest, SessionResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

/// More than any of these tests needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Session {
    tx: mpsc::Sender<SessionRequest>,
    rx: Streaming<SessionResponse>,
}

impl Session {
    /// Connects and says nothing.
    pub async fn dial(channel: &Channel) -> Self {
        let (tx, requests) = mpsc::channel(64);
        let rx = WorkerGatewayClient::new(channel.clone())
            .session(ReceiverStream::new(requests))
            .await
            .unwrap()
            .into_inner();
        Self { tx, rx }
    }

    /// Connects and says Hello.
    pub async fn hello(channel: &Channel, token: &str) -> Self {
        let session = Self::dial(channel).await;
        let hello = v1::Hello {
            token: token.to_owned(),
            incarnation: "0190a6e0-0000-7000-8000-000000000000".to_owned(),
            capacity: 1_000,
            ..v1::Hello::default()
        };
        session.say(Say::Hello(hello)).await;
        session
    }

    /// Connects, says Hello and takes the Welcome.
    pub async fn connect(channel: &Channel, token: &str) -> Self {
        let mut session = Self::hello(channel, token).await;
        let Heard::Welcome(_) = session.hear().await else {
            panic!("the first answer is Welcome")
        };
        session
    }

    pub async fn say(&self, message: Say) {
        // A node that has ended the stream does not read any more: the test sees that where it listens.
        let _ = self
            .tx
            .send(SessionRequest {
                message: Some(message),
            })
            .await;
    }

    pub async fn beat(&self, heartbeat: v1::Heartbeat) {
        self.say(Say::Heartbeat(heartbeat)).await;
    }

    async fn next(&mut self) -> Result<Option<SessionResponse>, Status> {
        tokio::time::timeout(PATIENCE, self.rx.message())
            .await
            .expect("the node answers in time")
    }

    /// What the node answers first: a message, or the end.
    pub async fn first(&mut self) -> Result<Option<SessionResponse>, Status> {
        self.next().await
    }

    /// The next message.
    pub async fn hear(&mut self) -> Heard {
        let response = self.next().await.unwrap().expect("the session goes on");
        response.message.expect("a message")
    }

    pub async fn hear_ack(&mut self) -> v1::HeartbeatAck {
        match self.hear().await {
            Heard::HeartbeatAck(ack) => ack,
            other => panic!("expected the answer to a heartbeat, heard {other:?}"),
        }
    }

    /// How the stream ends, whatever comes before: code and reason; `None`: in order.
    pub async fn end(&mut self) -> Option<(Code, String)> {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => {
                    let reason = status.get_details_error_info().map(|info| info.reason);
                    return Some((status.code(), reason.unwrap_or_default()));
                }
            }
        }
    }
}
