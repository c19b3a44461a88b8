//! A bare tonic server that does nothing: the ceiling of any gRPC service on this machine, in a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use reeve_testkit::{Child, free_addresses, until_some};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::load::{CALL_TIMEOUT, Caller};
use crate::spread::{connections, share};

mod wire {
    #![allow(missing_docs, clippy::all)]
    tonic::include_proto!("reeve.bench");
}

use wire::EchoMessage;
use wire::echo_client::EchoClient;
use wire::echo_server::{Echo, EchoServer};

const START: Duration = Duration::from_secs(10);

struct Mirror;

#[tonic::async_trait]
impl Echo for Mirror {
    async fn echo(&self, request: Request<EchoMessage>) -> Result<Response<EchoMessage>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// Serves until the process is ended.
///
/// # Errors
/// The address cannot be used.
pub async fn serve(address: SocketAddr) -> Result<()> {
    let server = Server::builder()
        .tcp_nodelay(true)
        .add_service(EchoServer::new(Mirror));
    Ok(server.serve(address).await?)
}

/// The echo server's process.
pub struct EchoPeer {
    address: String,
    _child: Child,
}

impl EchoPeer {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start(directory: &Path) -> Result<Self> {
        let address = free_addresses(1)?.pop().context("no free port")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["echo-server", &address]);
        let child = Child::spawn("echo", command, &directory.join("echo.log"))?;
        until_some(START, "the echo server answers", || connect(&address)).await?;
        Ok(Self {
            address,
            _child: child,
        })
    }

    /// That many clients.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn callers(&self, clients: usize, payload: usize) -> Result<Vec<EchoCall>> {
        let mut channels = Vec::new();
        for _ in 0..connections(clients) {
            channels.push(
                connect(&self.address)
                    .await
                    .context("the echo server does not answer")?,
            );
        }
        let callers = share(&channels, clients).map(|channel| EchoCall {
            client: EchoClient::new(channel),
            payload: vec![b'x'; payload],
        });
        Ok(callers.collect())
    }
}

async fn connect(address: &str) -> Option<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    endpoint.tcp_nodelay(true).connect().await.ok()
}

/// A client of the echo server.
pub struct EchoCall {
    client: EchoClient<Channel>,
    payload: Vec<u8>,
}

impl Caller for EchoCall {
    async fn call(&mut self) -> Result<(), Status> {
        let mut request = Request::new(EchoMessage {
            payload: self.payload.clone(),
        });
        request.set_timeout(CALL_TIMEOUT);
        self.client.echo(request).await.map(drop)
    }
}
