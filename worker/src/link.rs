//! The connection of one session attempt: a task that connects, opens the stream, and passes messages on until the end.
//! It decides nothing.

use reeve_proto::v1::worker_gateway_client::WorkerGatewayClient;
use reeve_proto::v1::{SessionRequest, SessionResponse, session_response};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::backoff::BackoffLimits;
use crate::cause::{Cause, CauseKind};
use crate::connect::connect;

/// Messages that wait for the network; more is not built.
const OUTGOING: usize = 64;
/// Of those, places that reports do not take.
const URGENT: usize = 8;
const INCOMING: usize = 256;

/// What a link has to say.
#[derive(Debug)]
pub enum LinkEvent {
    /// The connection stands; what is beside the session goes over it too.
    Connected(Channel),
    /// A message of the node.
    Message(Box<session_response::Message>),
    /// The last event.
    Ended(Cause),
}

/// One attempt. Dropping it ends the stream.
#[derive(Debug)]
pub struct Link {
    /// The node, as `host:port`.
    pub node: String,
    /// Messages to the node; None once the stream was finished.
    outgoing: Option<mpsc::Sender<SessionRequest>>,
    incoming: mpsc::Receiver<LinkEvent>,
    task: AbortHandle,
}

impl Link {
    /// Starts to connect; `hello` is the first message.
    pub fn open(node: String, hello: SessionRequest, limits: &BackoffLimits) -> Self {
        let (outgoing, requests) = mpsc::channel(OUTGOING);
        let (events, incoming) = mpsc::channel(INCOMING);
        // The channel is new and has room.
        let _ = outgoing.try_send(hello);
        let (address, limits) = (node.clone(), limits.clone());
        let task = tokio::spawn(async move {
            let cause = drive(&address, requests, &events, &limits).await;
            let _ = events.send(LinkEvent::Ended(cause)).await;
        });
        Self {
            node,
            outgoing: Some(outgoing),
            incoming,
            task: task.abort_handle(),
        }
    }

    /// Queues a message. False if the queue is full or the stream is finished.
    pub fn send(&self, message: SessionRequest) -> bool {
        self.outgoing
            .as_ref()
            .is_some_and(|outgoing| outgoing.try_send(message).is_ok())
    }

    /// Whether there is room for a report. Some is always left for heartbeats: a flood of reports must not make the worker silent.
    pub fn has_room(&self) -> bool {
        self.outgoing
            .as_ref()
            .is_some_and(|outgoing| outgoing.capacity() > URGENT)
    }

    /// The next event.
    pub async fn next(&mut self) -> LinkEvent {
        let event = self.incoming.recv().await;
        event
            .unwrap_or_else(|| LinkEvent::Ended(Cause::new(CauseKind::Broken, "the connection's task ended")))
    }

    /// No further message: ends our half of the stream once what is queued went out.
    pub fn finish(&mut self) {
        self.outgoing = None;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn drive(
    node: &str,
    requests: mpsc::Receiver<SessionRequest>,
    events: &mpsc::Sender<LinkEvent>,
    limits: &BackoffLimits,
) -> Cause {
    let channel = match connect(node, limits).await {
        Ok(channel) => channel,
        Err(cause) => return cause,
    };
    if events.send(LinkEvent::Connected(channel.clone())).await.is_err() {
        return Cause::new(CauseKind::Broken, "no longer wanted");
    }
    let opened = async {
        let mut client = WorkerGatewayClient::new(channel);
        let mut responses = client.session(ReceiverStream::new(requests)).await?.into_inner();
        let first = responses.message().await?;
        Ok((first, responses))
    };
    let (mut next, mut responses) = match timeout(limits.welcome_timeout, opened).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(status)) => return Cause::from(tonic::Status::clone(&status)),
        Err(_) => return Cause::new(CauseKind::TimedOut, "no Welcome"),
    };
    loop {
        let Some(SessionResponse { message }) = next else {
            return Cause::new(CauseKind::Broken, "the node ended the stream");
        };
        // A message of a kind that this version does not know is skipped.
        if let Some(message) = message
            && events.send(LinkEvent::Message(Box::new(message))).await.is_err()
        {
            return Cause::new(CauseKind::Broken, "no longer wanted");
        }
        next = match responses.message().await {
            Ok(next) => next,
            Err(status) => return Cause::from(status),
        };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_where_nothing_listens_is_told_as_such() {
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let hello = SessionRequest { message: None };
        let mut link = Link::open(free.to_string(), hello, &BackoffLimits::default());
        let LinkEvent::Ended(cause) = link.next().await else {
            panic!("nothing to talk to")
        };
        assert_eq!(cause.kind, CauseKind::Refused, "{}", cause.detail);
    }
}
