//! The vocabulary: peers that run as processes of their own, and endpoints that talk to them.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use reeve_media::{Codec, EngineConfig, Source};
use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use reeve_sip::plan::{Account, Plan, Registrar, Role};
use reeve_sip::tap::Message;
use reeve_sip::{Agent, Carrier, Closed, Desk, HangUp, Shared, Stack, Update};
use tokio::sync::{mpsc, watch};

pub const DOMAIN: &str = "demo.example";
pub const PASSWORD: &str = "secret";
/// Every condition that is waited for holds within this, also on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own, removed in the end.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A port that nobody else of this test program takes.
pub fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let at = NEXT.fetch_add(2, Ordering::Relaxed);
        let port = 20_000 + u16::try_from(std::process::id() % 400).unwrap() * 50 + at % 50;
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A process that ends with the test.
pub struct Peer {
    child: Child,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Kamailio's children end with it.
            let _ = Command::new("kill").arg(self.child.id().to_string()).status();
            let _ = self.child.wait();
        }
    }
}

impl Peer {
    pub fn new(mut command: Command, address: SocketAddr, folder: tempfile::TempDir) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.expect("it is not installed: ops/bootstrap sip");
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    /// Of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, and says whether it was content.
    pub async fn content(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the peer does not end");
    }
}

/// The registrar and proxy of the demo. It answers once this returns.
pub async fn kamailio() -> Peer {
    kamailio_with(|text, _| text, folder()).await
}

/// The same with its configuration changed. It must go on to listen by UDP too, so that it can be asked whether it is there.
pub async fn kamailio_with(change: impl Fn(String, u16) -> String, folder: tempfile::TempDir) -> Peer {
    let port = port();
    let template = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../ops/demo/sip/kamailio.cfg");
    let text = std::fs::read_to_string(template).unwrap();
    let text = text
        .replace("@PORT@", &port.to_string())
        .replace("@DOMAIN@", DOMAIN)
        .replace("@PASSWORD@", PASSWORD);
    let config = folder.path().join("kamailio.cfg");
    std::fs::write(&config, change(text, port)).unwrap();
    let mut command = Command::new("kamailio");
    command
        .args(["-DD", "-E", "-m", "64", "-M", "8", "-f"])
        .arg(&config)
        .arg("-Y")
        .arg(folder.path());
    let peer = Peer::new(command, SocketAddr::from(([127, 0, 0, 1], port)), folder);
    answers(peer.address).await;
    peer
}

/// Waits until a SIP peer answers anything at all.
pub async fn answers(address: SocketAddr) {
    let socket = tokio::net::UdpSocket::bind("0.0.0.0:0").await.unwrap();
    socket.connect(address).await.unwrap();
    let local = socket.local_addr().unwrap();
    let ask = format!(
        "OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKask\r\nMax-Forwards: 0\r\n\
         From: <sip:ask@{local}>;tag=1\r\nTo: <sip:{address}>\r\nCall-ID: ask@{local}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    let until = Instant::now() + PATIENCE;
    let mut buffer = [0; 4096];
    while Instant::now() < until {
        // Nothing listens there yet.
        let _ = socket.send(ask.as_bytes()).await;
        if let Ok(Ok(_)) = tokio::time::timeout(Duration::from_millis(100), socket.recv(&mut buffer)).await {
            return;
        }
    }
    panic!("{address} does not answer");
}

/// A SIP stack and a media engine of our own.
pub async fn us() -> Shared {
    us_by(Carrier::Udp).await
}

/// The same, with another carrier.
pub async fn us_by(carrier: Carrier) -> Shared {
    us_at("127.0.0.1:0".parse().unwrap(), carrier).await
}

/// The same, at another address.
pub async fn us_at(address: SocketAddr, carrier: Carrier) -> Shared {
    let first = 30_000 + u16::try_from(std::process::id() % 100).unwrap() * 300;
    let config = EngineConfig {
        ports: first..=first.saturating_add(298),
        ..EngineConfig::default()
    };
    Shared {
        stack: Stack::bind_by(address, carrier).await.unwrap(),
        desk: Desk::start(config).unwrap(),
    }
}

/// A plan to register at `next_hop` and do nothing yet.
pub fn plan(next_hop: SocketAddr, username: &str, role: Role) -> Plan {
    Plan {
        registrar: Registrar {
            domain: DOMAIN.into(),
            next_hop,
            route: None,
        },
        account: Account {
            username: username.into(),
            secret: PASSWORD.into(),
            realm: String::new(),
        },
        role,
        duration: Duration::from_secs(3),
        lead: Duration::ZERO,
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        source: Source::Tone,
        plc: true,
        register: Some(Duration::from_secs(600)),
    }
}

pub fn caller(target: &str) -> Role {
    Role::Caller {
        target: target.into(),
        answer_timeout: Duration::from_secs(20),
        actions: Vec::new(),
    }
}

pub fn receiver() -> Role {
    Role::Receiver {
        ring: Duration::from_millis(200),
        wait: Duration::from_secs(30),
    }
}

/// An endpoint that lives by itself.
pub struct Endpoint {
    said: mpsc::UnboundedReceiver<Update>,
    /// The user part under which it is reached.
    pub user: String,
    hang_up: watch::Sender<Option<HangUp>>,
    pub phases: Vec<Phase>,
    pub intervals: Vec<reeve_media::Interval>,
    pub trace: Vec<Message>,
    pub closed: Option<Closed>,
}

/// Starts an endpoint at once.
pub fn start(us: &Shared, plan: Plan) -> Endpoint {
    let (say, said) = mpsc::unbounded_channel();
    let (hang_up, orders) = watch::channel(None);
    let user = format!("{}-{}", plan.account.username, port());
    let say = Box::new(move |update| drop(say.send(update)));
    tokio::spawn(Agent::new(plan, us, user.clone(), orders, say).run(Instant::now()));
    Endpoint {
        user,
        said,
        hang_up,
        phases: Vec::new(),
        intervals: Vec::new(),
        trace: Vec::new(),
        closed: None,
    }
}

impl Endpoint {
    pub fn hang_up(&self, outcome: HangUp) {
        self.hang_up.send(Some(outcome)).unwrap();
    }

    async fn hear(&mut self) {
        let update = tokio::time::timeout(PATIENCE, self.said.recv()).await;
        match update
            .expect("the endpoint says nothing")
            .expect("the endpoint is gone")
        {
            Update::Phase(phase) => self.phases.push(phase),
            Update::Interval(interval) => self.intervals.push(interval),
            Update::Trace(messages) => self.trace.extend(messages),
            Update::Closed(closed) => self.closed = Some(*closed),
        }
    }

    pub async fn until(&mut self, phase: Phase) {
        while !self.phases.contains(&phase) {
            assert!(
                self.closed.is_none(),
                "closed before {phase:?}: {:?}",
                self.closed
            );
            self.hear().await;
        }
    }

    /// Until its media has been for so long.
    pub async fn hear_for(&mut self, time: Duration) {
        while self.intervals.last().is_none_or(|last| last.since_begin < time) {
            assert!(self.closed.is_none(), "closed: {:?}", self.closed);
            self.hear().await;
        }
    }

    /// To its end. Gives the outcome and why.
    pub async fn end(&mut self) -> (Outcome, String) {
        while self.closed.is_none() {
            self.hear().await;
        }
        let ending = &self.closed.as_ref().unwrap().ending;
        (ending.outcome, ending.detail.clone())
    }

    /// The first lines of its trace.
    pub fn lines(&self) -> Vec<String> {
        let first = |message: &Message| {
            String::from_utf8_lossy(&message.bytes)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        self.trace.iter().map(first).collect()
    }
}

/// Waits for a condition.
pub async fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it does not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The beginning of everything that an endpoint sent or received, as text.
pub fn texts(endpoint: &Endpoint) -> Vec<String> {
    let text = |message: &Message| String::from_utf8_lossy(&message.bytes).into_owned();
    endpoint.trace.iter().map(text).collect()
}
