//! One call at a time to one node, with the key and within a time.

use std::future::Future;
use std::time::Duration;

use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{
    PingWorkerRequest, PingWorkerResponse, RegisterWorkerRequest, RegisterWorkerResponse,
    UnregisterWorkerRequest,
};
use tokio::time::timeout;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::backoff::BackoffLimits;
use crate::cause::{Cause, CauseKind};
use crate::connect::connect;

/// How long a call may take; the next node is asked then.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no result.
#[derive(Debug)]
pub enum CallError {
    /// No answer at all.
    NoAnswer(Cause),
    /// The node answered with an error.
    Answered(Box<Status>),
}

impl From<Cause> for CallError {
    fn from(cause: Cause) -> Self {
        Self::NoAnswer(cause)
    }
}

/// A connection to a node.
#[derive(Clone, Debug)]
pub struct Client {
    inner: WorkersClient<Channel>,
    authorization: MetadataValue<Ascii>,
    call_timeout: Duration,
}

impl Client {
    /// Connects.
    pub async fn connect(
        node: &str,
        authorization: MetadataValue<Ascii>,
        limits: &BackoffLimits,
    ) -> Result<Self, CallError> {
        Ok(Self {
            inner: WorkersClient::new(connect(node, limits).await?),
            authorization,
            call_timeout: limits.welcome_timeout.min(CALL_TIMEOUT),
        })
    }

    /// R343.
    pub async fn register(
        &mut self,
        message: RegisterWorkerRequest,
    ) -> Result<RegisterWorkerResponse, CallError> {
        let request = self.request(message);
        within(self.call_timeout, self.inner.register_worker(request)).await
    }

    /// R346.
    pub async fn ping(&mut self, message: PingWorkerRequest) -> Result<PingWorkerResponse, CallError> {
        let request = self.request(message);
        within(self.call_timeout, self.inner.ping_worker(request)).await
    }

    /// R349.
    pub async fn unregister(&mut self, id: String) -> Result<(), CallError> {
        let request = self.request(UnregisterWorkerRequest { id });
        within(self.call_timeout, self.inner.unregister_worker(request))
            .await
            .map(|_| ())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        // The node drops a call that nobody waits for any more.
        request.set_timeout(self.call_timeout);
        request
            .metadata_mut()
            .insert("authorization", self.authorization.clone());
        request
    }
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CallError> {
    match timeout(limit, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(CallError::Answered(Box::new(status))),
        Err(_) => Err(CallError::NoAnswer(Cause::new(
            CauseKind::TimedOut,
            "no answer to the call",
        ))),
    }
}
