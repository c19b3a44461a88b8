//! One attempt: resolve, check, connect to exactly what was checked, post, and see what the receiver answers.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use reeve_state::command::AttemptOutcome;
use reeve_state::definition::WebhookUrl;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::PrivateNetworks;

/// Of an answer's body no more is read: only its status counts.
const MOST_OF_BODY: usize = 4 << 10;
/// Nor longer than this.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest head of an answer, in bytes.
const MOST_OF_HEAD: usize = 64 << 10;

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) url: WebhookUrl,
    pub(super) id: String,
    /// Unix seconds.
    pub(super) timestamp: u64,
    pub(super) signature: String,
    pub(super) body: Bytes,
}

/// Posts messages.
pub(super) trait Post: Clone + Send + Sync + 'static {
    /// What came of the attempt. Never later than the time-out.
    fn post(&self, message: Message) -> impl Future<Output = AttemptOutcome> + Send;
}

/// The addresses of a host.
type Resolve = dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// Posts by HTTP/1.1, over TLS for `https`. A connection serves one message: what was checked is what is connected to.
#[derive(Clone)]
pub(super) struct HttpPost(Arc<Inner>);

struct Inner {
    tls: TlsConnector,
    resolve: Box<Resolve>,
    allowed: PrivateNetworks,
    timeout: Duration,
}

impl HttpPost {
    /// Trusts the certificate authorities that this machine trusts. Reads files.
    pub(super) fn new(allowed: PrivateNetworks, timeout: Duration) -> Result<Self, rustls::Error> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            tracing::warn!("no certificate authorities are installed: webhooks over https will fail");
        }
        Self::with(roots, Box::new(system), allowed, timeout)
    }

    fn with(
        roots: RootCertStore,
        resolve: Box<Resolve>,
        allowed: PrivateNetworks,
        timeout: Duration,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(Inner {
            tls: TlsConnector::from(Arc::new(config)),
            resolve,
            allowed,
            timeout,
        })))
    }
}

impl Post for HttpPost {
    async fn post(&self, message: Message) -> AttemptOutcome {
        let inner = &self.0;
        match tokio::time::timeout(inner.timeout, inner.attempt(message)).await {
            Ok(Ok(status)) => AttemptOutcome::Answered(status),
            Ok(Err(error)) => AttemptOutcome::Failed(error),
            Err(_) => AttemptOutcome::Failed(format!("no answer within {} ms", inner.timeout.as_millis())),
        }
    }
}

impl Inner {
    async fn attempt(&self, message: Message) -> Result<u16, String> {
        let url = message.url.clone();
        let stream = self.connect(&url).await?;
        if !url.https {
            return exchange(stream, message).await;
        }
        let name = ServerName::try_from(url.host.clone())
            .map_err(|_| format!("{:?} is no name that a certificate can have", url.host))?;
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(|error| format!("TLS with {}: {error}", url.authority))?;
        exchange(stream, message).await
    }

    /// To the first address of the host that webhooks may be sent to and that answers.
    async fn connect(&self, url: &WebhookUrl) -> Result<TcpStream, String> {
        let resolved = (self.resolve)(url.host.clone(), url.port)
            .await
            .map_err(|error| format!("{} cannot be resolved: {error}", url.host))?;
        let mut last = format!("{} has no address", url.host);
        for address in resolved {
            let ip = address.ip();
            if let Err(refused) = self.allowed.check(ip) {
                last = refused.to_string();
            } else if !url.https && !self.allowed.allows_plain(ip) {
                last = format!("{ip} would be sent to unencrypted; use https");
            } else {
                match TcpStream::connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = format!("connecting to {address}: {error}"),
                }
            }
        }
        Err(last)
    }
}

fn system(host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
}

/// Sends the message and waits for the answer's status. Redirects are answers like others.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    message: Message,
) -> Result<u16, String> {
    let request = request(message)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MOST_OF_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(told)?;
    let answer = async move {
        let response = sender.send_request(request).await.map_err(told)?;
        let status = response.status().as_u16();
        // The receiver may finish what it says; what it says does not matter.
        let _ = tokio::time::timeout(BODY_TIMEOUT, drain(response)).await;
        Ok(status)
    };
    alongside(pin!(connection), pin!(answer)).await
}

/// Drives a connection for as long as somebody waits for what comes over it.
async fn alongside<C: Future, A: Future>(mut connection: Pin<&mut C>, mut answer: Pin<&mut A>) -> A::Output {
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    }
}

fn request(message: Message) -> Result<Request<Full<Bytes>>, String> {
    Request::post(message.url.target)
        .header("host", message.url.authority)
        .header("content-type", "application/json")
        .header("user-agent", concat!("Reeve/", env!("CARGO_PKG_VERSION")))
        .header("connection", "close")
        .header("webhook-id", message.id)
        .header("webhook-timestamp", message.timestamp)
        .header("webhook-signature", message.signature)
        .body(Full::new(message.body))
        .map_err(told)
}

async fn drain(response: Response<Incoming>) {
    let mut body = response.into_body();
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read >= MOST_OF_BODY {
            return;
        }
    }
}

/// An error with what caused it.
fn told(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        append(&mut text, inner);
        cause = inner.source();
    }
    text
}

fn append(text: &mut String, cause: impl Display) {
    let cause = cause.to_string();
    if !text.ends_with(&cause) {
        text.push_str(": ");
        text.push_str(&cause);
    }
}

#[cfg(test)]
mod tests;
