//! Calls to a cluster: any node will do, and the next one is asked when one does not answer.

use std::error::Error;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reeve_proto::bearer::{Bearer, Connection};
use reeve_worker::Secret;
use tokio::time::Instant;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

use crate::args::GlobalArgs;
use crate::error::CliError;

/// How long a call may take unless the user says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A silent connection is probed, so that a node that is gone or frozen is noticed while we only listen.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// Pauses between rounds over the addresses while nodes answer that they cannot serve yet.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// With less time left than this, an UNAVAILABLE that we have says more than the time-out of one more attempt would.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(500);
/// What a node may take beyond the deadline it was given.
const DEADLINE_SLACK: Duration = Duration::from_millis(500);

/// One node's address and the channel to it.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) channel: Connection,
}

/// The nodes that we know of, the one that answered last in front.
pub(crate) struct Cluster {
    nodes: Mutex<Vec<Node>>,
    bearer: Bearer,
    timeout: Duration,
}

/// How one attempt at one node went wrong.
enum Failure {
    /// The node may not have seen it, or says that it cannot serve it: ask another.
    NextNode { answered: bool, status: Status },
    /// An answer.
    Final(Status),
}

impl Cluster {
    /// A client for the addresses of the command line. Nothing is connected yet.
    pub(crate) fn new(global: &GlobalArgs) -> Result<Self, CliError> {
        Self::connect_to(
            &global.addr,
            bearer(global.api_key.as_ref())?,
            global.timeout.unwrap_or(DEFAULT_TIMEOUT),
        )
    }

    /// A client whose calls are bounded by the default even where the user's time-out is about something longer.
    pub(crate) fn for_waiting(global: &GlobalArgs) -> Result<Self, CliError> {
        let timeout = global
            .timeout
            .map_or(DEFAULT_TIMEOUT, |limit| limit.min(DEFAULT_TIMEOUT));
        Self::connect_to(&global.addr, bearer(global.api_key.as_ref())?, timeout)
    }

    /// A client for these addresses, which shows this key.
    pub(crate) fn connect_to(
        addresses: &[String],
        bearer: Bearer,
        timeout: Duration,
    ) -> Result<Self, CliError> {
        let mut nodes: Vec<Node> = Vec::new();
        for address in addresses
            .iter()
            .map(|address| address.trim())
            .filter(|address| !address.is_empty())
        {
            if nodes.iter().all(|node| node.address != address) {
                nodes.push(connect(address, &bearer)?);
            }
        }
        if nodes.is_empty() {
            return Err(CliError::message("--addr names no address"));
        }
        Ok(Self {
            nodes: Mutex::new(nodes),
            bearer,
            timeout,
        })
    }

    /// A client of one node, with the same key.
    pub(crate) fn only(&self, address: &str, timeout: Duration) -> Result<Self, CliError> {
        Self::connect_to(&[address.to_owned()], self.bearer.clone(), timeout)
    }

    /// The nodes, the one to ask first in front.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.lock().clone()
    }

    /// Adds addresses that a node told us of.
    pub(crate) fn learn(&self, addresses: impl IntoIterator<Item = String>) {
        let mut nodes = self.lock();
        for address in addresses {
            if nodes.iter().all(|node| node.address != address)
                && let Ok(node) = connect(&address, &self.bearer)
            {
                nodes.push(node);
            }
        }
    }

    /// Asks another node first from now on.
    pub(crate) fn demote(&self, address: &str) {
        let mut nodes = self.lock();
        if nodes.first().is_some_and(|node| node.address == address) {
            nodes.rotate_left(1);
        }
    }

    /// A call to any node. `attempt` must be repeatable: a read, or a write with a request id.
    ///
    /// Nodes that are unreachable or answer UNAVAILABLE are passed over; while at least one of them lives the round is
    /// repeated until the deadline, because an election takes less than that.
    pub(crate) async fn call<M, T, F, R>(&self, message: M, attempt: F) -> Result<T, CliError>
    where
        M: Clone,
        F: Fn(Connection, Request<M>) -> R,
        R: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let mut unreachable = Vec::new();
            let mut unavailable = None;
            for node in self.nodes() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || (left < SHORTEST_ATTEMPT && unavailable.is_some()) {
                    break;
                }
                match once(&node, &message, &attempt, left).await {
                    Ok(answer) => return Ok(answer),
                    Err(Failure::Final(status)) => return Err(status.into()),
                    Err(Failure::NextNode { answered, status }) => {
                        self.demote(&node.address);
                        if answered {
                            unavailable = Some(status);
                        } else {
                            unreachable.push((node.address, root_cause(&status)));
                        }
                    }
                }
            }
            match unavailable {
                Some(status) if Instant::now() + pause + SHORTEST_ATTEMPT >= deadline => {
                    return Err(status.into());
                }
                Some(_) => tokio::time::sleep(pause).await,
                None if unreachable.is_empty() => {
                    return Err(Status::deadline_exceeded("no answer before the deadline").into());
                }
                None => return Err(CliError::Unreachable(unreachable)),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Node>> {
        // A list of addresses is whole whatever happened to the thread that held it.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the user's key becomes in a call.
fn bearer(key: Option<&Secret>) -> Result<Bearer, CliError> {
    match key {
        None => Ok(Bearer::NONE),
        Some(key) => Bearer::new(key.reveal()).map_err(|error| CliError::message(error.to_string())),
    }
}

fn connect(address: &str, bearer: &Bearer) -> Result<Node, CliError> {
    let refused = |rule: &str| {
        CliError::message(format!(
            "{address:?} is not an address of a node: {rule}; write HOST:PORT, such as 127.0.0.1:50052"
        ))
    };
    if address.starts_with("https://") {
        return Err(refused("nodes do not speak TLS yet"));
    }
    let bare = address.strip_prefix("http://").unwrap_or(address);
    let endpoint =
        Endpoint::from_shared(format!("http://{bare}")).map_err(|error| refused(&error.to_string()))?;
    // Without a port it would be HTTP's, where no node ever is.
    if endpoint.uri().port().is_none() {
        return Err(refused("it has no port"));
    }
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    Ok(Node {
        address: address.to_owned(),
        channel: bearer.on(endpoint.connect_lazy()),
    })
}

async fn once<M, T, F, R>(node: &Node, message: &M, attempt: &F, left: Duration) -> Result<T, Failure>
where
    M: Clone,
    F: Fn(Connection, Request<M>) -> R,
    R: Future<Output = Result<Response<T>, Status>>,
{
    let mut request = Request::new(message.clone());
    request.set_timeout(left);
    match tokio::time::timeout(left + DEADLINE_SLACK, attempt(node.channel.clone(), request)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(classify(&node.address, status)),
        Err(_) => Err(Failure::Final(Status::deadline_exceeded(
            "no answer before the deadline",
        ))),
    }
}

fn classify(address: &str, status: Status) -> Failure {
    if is_not_a_node(&status) {
        let text = format!(
            "{address} answers, but not as a node of this version does; \
             is it the gRPC address (usually port 50052), not that of HTTP or of node to node?"
        );
        Failure::Final(Status::unimplemented(text))
    } else if is_broken_connection(&status) {
        Failure::NextNode {
            answered: false,
            status,
        }
    } else if status.code() == Code::Unavailable {
        Failure::NextNode {
            answered: true,
            status,
        }
    } else {
        Failure::Final(status)
    }
}

/// Whether something answered that does not know our calls: another port of a node, or another program.
fn is_not_a_node(status: &Status) -> bool {
    let unknown_call =
        status.code() == Code::Unimplemented && status.get_error_details().error_info().is_none();
    // An answer of an HTTP server, read as if it were gRPC.
    unknown_call || (status.code() == Code::Internal && status.message().starts_with("protocol error"))
}

/// Whether the status was made here because the connection failed, rather than sent by a node.
pub(crate) fn is_broken_connection(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return false;
        }
        if error.is::<tonic::transport::Error>() || error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    // Statuses that nodes send have no source; one without a known cause broke on the way.
    status.source().is_some()
}

/// Whether asking again, here or elsewhere, may help.
pub(crate) fn is_transient(error: &CliError) -> bool {
    match error {
        CliError::Unreachable(_) => true,
        CliError::Status(status) => {
            is_broken_connection(status)
                || matches!(
                    status.code(),
                    Code::Unavailable
                        | Code::DeadlineExceeded
                        | Code::ResourceExhausted
                        | Code::Aborted
                        | Code::OutOfRange
                        | Code::Cancelled
                        | Code::Unknown
                )
        }
        CliError::Definition { .. } | CliError::TimedOut(_) | CliError::Message(_) | CliError::Io(_) => false,
    }
}

/// Why there was no answer, in a few words.
pub(crate) fn short_reason(error: &CliError) -> String {
    match error {
        CliError::Status(status) if is_broken_connection(status) => root_cause(status),
        CliError::Status(_)
        | CliError::Unreachable(_)
        | CliError::Definition { .. }
        | CliError::TimedOut(_)
        | CliError::Message(_)
        | CliError::Io(_) => error.to_string(),
    }
}

/// The innermost cause: “Connection refused” rather than “transport error”.
fn root_cause(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    if status.message().starts_with("h2 protocol error") {
        return "the connection broke".to_owned();
    }
    without_number(&text)
}

/// `Connection refused (os error 111)` without what only programmers want.
pub(crate) fn without_number(text: &str) -> String {
    text.split_once(" (os error ")
        .map_or(text, |(words, _)| words)
        .to_owned()
}

/// An id under which a write may be repeated; the user's own if there is one.
pub(crate) fn request_id(given: Option<String>) -> String {
    given
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use reeve_proto::v1::GetStatusRequest;
    use reeve_proto::v1::cluster_client::ClusterClient;

    use super::*;

    #[tokio::test]
    async fn all_addresses_are_tried_and_named() {
        // Bound and closed again: nobody listens there.
        let addresses: Vec<String> = (0..2)
            .map(|_| {
                std::net::TcpListener::bind("127.0.0.1:0")
                    .unwrap()
                    .local_addr()
                    .unwrap()
                    .to_string()
            })
            .collect();
        let cluster = Cluster::connect_to(&addresses, Bearer::NONE, Duration::from_secs(5)).unwrap();
        let error = cluster
            .call(GetStatusRequest::default(), |channel, request| async move {
                ClusterClient::new(channel).get_status(request).await
            })
            .await
            .unwrap_err();
        let CliError::Unreachable(tried) = error else {
            panic!("{error:?}")
        };
        assert_eq!(
            tried
                .iter()
                .map(|(address, _)| address.clone())
                .collect::<Vec<_>>(),
            addresses
        );
        assert!(tried[0].1.contains("refused"), "{tried:?}");
    }

    #[tokio::test]
    async fn unavailable_is_asked_elsewhere_and_an_answer_is_final() {
        let addresses = ["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()];
        let cluster = Cluster::connect_to(&addresses, Bearer::NONE, Duration::from_secs(5)).unwrap();
        let calls = std::sync::atomic::AtomicU32::new(0);
        let answer = cluster
            .call((), |_, _| async {
                match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                    0 => Err(Status::unavailable("no leader")),
                    _ => Ok(Response::new(7)),
                }
            })
            .await
            .unwrap();
        assert_eq!(answer, 7);
        let error = cluster
            .call((), |_, _| async {
                Err::<Response<()>, _>(Status::not_found("x"))
            })
            .await;
        assert!(matches!(error, Err(CliError::Status(status)) if status.code() == Code::NotFound));
    }

    #[tokio::test]
    async fn nodes_that_stay_unavailable_are_quoted_before_the_deadline() {
        let cluster =
            Cluster::connect_to(&["127.0.0.1:1".to_owned()], Bearer::NONE, Duration::from_secs(1)).unwrap();
        let began = Instant::now();
        let answer = cluster
            .call((), |_, _| async {
                Err::<Response<()>, _>(Status::unavailable("no leader"))
            })
            .await
            .unwrap_err();
        assert!(matches!(answer, CliError::Status(status) if status.message() == "no leader"));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_one_is_refused_with_the_rule() {
        for (address, rule) in [
            ("127.0.0.1", "no port"),
            ("https://127.0.0.1:50052", "TLS"),
            ("a b:1", "invalid"),
            ("http://", "invalid"),
        ] {
            let error = Cluster::connect_to(&[address.to_owned()], Bearer::NONE, DEFAULT_TIMEOUT)
                .err()
                .map(|error| error.to_string());
            assert!(
                error
                    .as_ref()
                    .is_some_and(|error| error.contains(address) && error.contains(rule)),
                "{address}: {error:?}"
            );
        }
        assert!(
            Cluster::connect_to(
                &["http://localhost:50052".to_owned()],
                Bearer::NONE,
                DEFAULT_TIMEOUT
            )
            .is_ok()
        );
    }

    #[tokio::test]
    async fn what_is_no_node_is_named_as_such() {
        let cluster =
            Cluster::connect_to(&["127.0.0.1:1".to_owned()], Bearer::NONE, DEFAULT_TIMEOUT).unwrap();
        for status in [
            Status::unimplemented(""),
            Status::internal("protocol error: received message with invalid compression flag: 123"),
        ] {
            let error = cluster
                .call((), |_, _| async { Err::<Response<()>, _>(status.clone()) })
                .await
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("127.0.0.1:1") && error.contains("gRPC address"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_given_request_id_is_kept_and_a_missing_one_is_made() {
        assert_eq!(request_id(Some("x".into())), "x");
        assert_ne!(request_id(None), request_id(None));
    }
}
