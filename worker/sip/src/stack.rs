//! One socket or one set of connections, one SIP stack above it, and the endpoints that share both.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use rsipstack::EndpointBuilder;
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Auth, Param, Request, Uri};
use rsipstack::transaction::CallIdFormat;
use rsipstack::transaction::endpoint::{EndpointInnerRef, EndpointOption};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipAddr, TransportLayer};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::dispatch::{Callers, dispatch};
use crate::routes::{Locator, Routes};
use crate::socket::TappedSocket;
use crate::stream::{Hold, Links};
use crate::tap::{Tap, Transport};
use crate::taps::Taps;
use crate::tls::Tls;

/// What the User-Agent header says.
const USER_AGENT: &str = concat!("reeve/", env!("CARGO_PKG_VERSION"));

/// What messages are carried by.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// Datagrams.
    Udp,
    /// One connection to each peer.
    Tcp,
    /// The same within TLS, to peers that prove to be this one.
    Tls(Tls),
}

/// A stack. Cheap to clone; its tasks end with the last clone.
#[derive(Clone)]
pub struct Stack {
    shared: Arc<Shared>,
}

struct Shared {
    endpoint: EndpointInnerRef,
    dialogs: Arc<DialogLayer>,
    local: SocketAddr,
    taps: Arc<Taps>,
    users: Arc<Callers>,
    routes: Arc<Routes>,
    links: Option<Arc<Links>>,
    _ends: DropGuard,
}

impl Stack {
    /// Binds a UDP socket, and serves it on the present runtime.
    ///
    /// # Errors
    /// As the system says.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let taps = Arc::new(Taps::default());
        let socket = TappedSocket::bind(address, Arc::clone(&taps))?;
        let token = CancellationToken::new();
        let connection = UdpConnection::from_socket(Arc::new(socket), None, Some(token.child_token())).await;
        let connection = connection.map_err(io::Error::other)?;
        let local = connection.get_addr().get_socketaddr().map_err(io::Error::other)?;
        let transports = TransportLayer::new(token.clone());
        transports.add_transport(connection.into());
        Self::above(transports, local, taps, None, token).await
    }

    /// The same by whatever carrier. Connections are made when there is something to send; by TCP they are also accepted.
    ///
    /// # Errors
    /// As the system says.
    pub async fn bind_by(address: SocketAddr, carrier: Carrier) -> io::Result<Self> {
        let tls = match carrier {
            Carrier::Udp => return Self::bind(address).await,
            Carrier::Tcp => None,
            Carrier::Tls(tls) => Some(tls),
        };
        let taps = Arc::new(Taps::default());
        let token = CancellationToken::new();
        let (links, place) = Links::bind(address, tls, Arc::clone(&taps), token.clone())?;
        let transports = TransportLayer::new(token.clone());
        let local = links.local();
        let stack = Self::above(transports, local, taps, Some(Arc::clone(&links)), token).await?;
        let served = links.serve(stack.endpoint(), place).await;
        served.map_err(io::Error::other)?;
        Ok(stack)
    }

    async fn above(
        transports: TransportLayer,
        local: SocketAddr,
        taps: Arc<Taps>,
        links: Option<Arc<Links>>,
        token: CancellationToken,
    ) -> io::Result<Self> {
        let routes = Arc::<Routes>::default();
        let endpoint = EndpointBuilder::new()
            .with_user_agent(USER_AGENT)
            .with_transport_layer(transports)
            .with_cancel_token(token.clone())
            .with_target_locator(Box::new(Locator {
                routes: Arc::clone(&routes),
                links: links.clone(),
            }))
            .with_option(EndpointOption {
                callid_format: CallIdFormat::Uuid,
                ..EndpointOption::default()
            })
            .build();
        let incoming = endpoint.incoming_transactions().map_err(io::Error::other)?;
        let dialogs = Arc::new(DialogLayer::new(Arc::clone(&endpoint.inner)));
        let users = Arc::<Callers>::default();
        let inner = Arc::clone(&endpoint.inner);
        begun(async move { inner.serve().await }).await;
        tokio::spawn(dispatch(incoming, Arc::clone(&dialogs), Arc::clone(&users)));
        let shared = Shared {
            endpoint: Arc::clone(&endpoint.inner),
            dialogs,
            local,
            taps,
            users,
            routes,
            links,
            _ends: token.drop_guard(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The address of the socket.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.shared.local
    }

    pub(crate) fn endpoint(&self) -> &EndpointInnerRef {
        &self.shared.endpoint
    }

    pub(crate) fn dialogs(&self) -> &Arc<DialogLayer> {
        &self.shared.dialogs
    }

    /// Which way callees are reached.
    pub(crate) fn routes(&self) -> &Arc<Routes> {
        &self.shared.routes
    }

    /// How messages travel.
    fn transport(&self) -> Transport {
        self.shared
            .links
            .as_ref()
            .map_or(Transport::Udp, |links| links.transport())
    }

    /// The address of a peer in the stack's terms; what is sent there is written down.
    pub(crate) async fn reach(&self, peer: SocketAddr) -> rsipstack::Result<SipAddr> {
        match &self.shared.links {
            Some(links) => links.reach(peer).await,
            None => Ok(SipAddr::new(rsipstack::sip::Transport::Udp, peer.into())),
        }
    }

    /// Whoever called may be gone from the connection that it called by; then requests of ours go where it wants them.
    pub(crate) async fn reach_back(&self, invite: &Request) -> Option<Hold> {
        let links = self.shared.links.as_ref()?;
        let routes = invite.typed_record_route_headers().unwrap_or_default();
        let route = routes.into_iter().next().map(|route| route.uri);
        let contacts = invite.typed_contact_headers().unwrap_or_default();
        let contact = contacts.into_iter().next().map(|contact| contact.uri);
        let route = route.or(contact);
        let peer = route.and_then(|uri| SipAddr::try_from(&uri).ok()?.get_socketaddr().ok())?;
        if let Err(error) = links.reach(peer).await {
            tracing::debug!(%peer, %error, "there is no way back");
        }
        links.hold(peer)
    }

    /// Keeps the way to this peer, which was reached.
    pub(crate) fn hold(&self, peer: SocketAddr) -> Option<Hold> {
        self.shared.links.as_ref()?.hold(peer)
    }

    /// An address of ours: requests to `user` at it are this endpoint's. No two of a stack may have the same.
    pub(crate) fn line(&self, user: String) -> (Arc<Line>, mpsc::UnboundedReceiver<Transaction>) {
        let tap = Arc::new(Tap::default());
        self.shared.taps.bind_user(&user, &tap);
        let (sender, calls) = mpsc::unbounded_channel();
        self.shared.users.lock().insert(user.clone(), sender);
        let stack = self.clone();
        (Arc::new(Line { stack, user, tap }), calls)
    }
}

/// One endpoint's share of the stack: its address and its tap. Freed when it is dropped.
pub(crate) struct Line {
    stack: Stack,
    user: String,
    /// What it sends and receives.
    pub tap: Arc<Tap>,
}

impl Line {
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Where this endpoint is reached.
    pub fn contact(&self) -> Uri {
        Uri {
            scheme: Some(rsipstack::sip::Scheme::Sip),
            auth: Some(Auth {
                user: self.user.clone(),
                password: None,
            }),
            host_with_port: self.stack.local().into(),
            params: match self.stack.transport() {
                Transport::Udp => Vec::new(),
                stream @ (Transport::Tcp | Transport::Tls) => vec![Param::Transport(stream.word())],
            },
            ..Uri::default()
        }
    }

    /// A Call-ID whose messages are this endpoint's.
    pub fn call_id(&self) -> String {
        let id = rsipstack::transaction::make_uuid_v4();
        self.stack.shared.taps.bind_call(&id, &self.tap);
        id
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stack.shared.users.lock().remove(&self.user);
        self.stack.shared.taps.forget(&self.user);
    }
}

/// Runs it as a task, once it has done what it can do at once: the stack looks for places to listen at when it begins, and those
/// that are added later are served by us.
async fn begun(serving: impl Future<Output = rsipstack::Result<()>> + Send + 'static) {
    let mut serving = Box::pin(serving);
    std::future::poll_fn(|context| {
        let _ = serving.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
    tokio::spawn(serving);
}
