//! One who answers calls for the accuracy of figures: each callee is a session of the media engine behind a relay that does a known
//! thing to the packets.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use reeve_media::testkit::{Counted, Path, Relay};
use reeve_media::{Codec, Direction, Engine, EngineConfig, Session, Source, Stream};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Where the callees' own RTP is: not where the worker's is.
const PORTS: std::ops::RangeInclusive<u16> = 44_000..=44_199;
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One callee.
pub struct Callee {
    relay: Relay,
    session: Session,
}

impl Callee {
    fn start(engine: &Engine, there: Path, back: Path, seed: u64) -> Result<Self> {
        Ok(Self {
            relay: Relay::start(there, back, seed)?,
            session: engine.open(HERE)?,
        })
    }

    /// What the relay did to what this callee sent.
    pub fn counted(&self) -> Counted {
        self.relay.counted()[1]
    }

    /// The call is answered: sound flows both ways, through the relay. What the answer says.
    fn answer(&self, caller: SocketAddr) -> Result<String> {
        self.relay.connect(caller, self.session.local());
        let (remote_rtp, remote_rtcp) = self.relay.for_b()?;
        self.session.begin(Stream {
            remote_rtp,
            remote_rtcp,
            codec: Codec::Pcmu,
            payload_type: 0,
            dtmf_payload_type: None,
            source: Source::Tone,
            plc: true,
        });
        let (rtp, rtcp) = self.relay.for_a()?;
        Ok(format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtcp:{}\r\n",
            rtp.port(),
            rtcp.port()
        ))
    }
}

/// All of them, at one address.
pub struct Answerer {
    /// Where it listens.
    pub port: u16,
    /// By the user part of their URIs.
    pub callees: Arc<BTreeMap<&'static str, Callee>>,
    serves: JoinHandle<()>,
    _engine: Engine,
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.serves.abort();
    }
}

impl Answerer {
    /// One callee for each name: what is done to what the caller sends, and to what the callee sends. After so long, callees fall silent,
    /// so that nothing is under way when the caller hangs up.
    ///
    /// # Errors
    /// A port cannot be had.
    pub async fn start(cases: &[(&'static str, Path, Path)], silent_after: Duration) -> Result<Self> {
        let config = EngineConfig {
            ports: PORTS,
            ..EngineConfig::default()
        };
        let engine = Engine::start(config, drop)?;
        let mut callees = BTreeMap::new();
        for (seed, (name, there, back)) in (1..).zip(cases) {
            callees.insert(*name, Callee::start(&engine, *there, *back, seed)?);
        }
        let callees = Arc::new(callees);
        let socket = UdpSocket::bind((HERE, 0)).await?;
        let port = socket.local_addr()?.port();
        let serves = tokio::spawn(serve(socket, Arc::clone(&callees), silent_after));
        Ok(Self {
            port,
            callees,
            serves,
            _engine: engine,
        })
    }
}

async fn serve(socket: UdpSocket, callees: Arc<BTreeMap<&'static str, Callee>>, silent_after: Duration) {
    let mut answers: BTreeMap<String, String> = BTreeMap::new();
    let mut buffer = vec![0; 65_536];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let Some(answer) = answers.get(&request).cloned().or_else(|| {
            let answer = answer(&request, &callees, silent_after)?;
            answers.insert(request.clone(), answer.clone());
            Some(answer)
        }) else {
            continue;
        };
        // Who does not get it asks again.
        let _ = socket.send_to(answer.as_bytes(), from).await;
    }
}

/// `None`: there is nothing to answer.
fn answer(
    request: &str,
    callees: &Arc<BTreeMap<&'static str, Callee>>,
    silent_after: Duration,
) -> Option<String> {
    let (method, rest) = request.split_once(' ')?;
    let user = rest.strip_prefix("sip:")?.split(['@', ' ']).next()?;
    let (name, callee) = callees.get_key_value(user)?;
    match method {
        "INVITE" => {
            let sdp = callee.answer(audio(request)?).ok()?;
            let (callees, name) = (Arc::clone(callees), *name);
            tokio::spawn(async move {
                tokio::time::sleep(silent_after).await;
                if let Some(callee) = callees.get(name) {
                    callee.session.direct(Direction::Inactive);
                }
            });
            let host = header(request, "to:")
                .split_once('@')?
                .1
                .split(['>', ';'])
                .next()?
                .to_owned();
            let more = format!("Contact: <sip:{user}@{host}>\r\nContent-Type: application/sdp\r\n");
            Some(response(request, &more, &sdp))
        }
        "BYE" => {
            callee.session.end();
            Some(response(request, "", ""))
        }
        _ => None,
    }
}

/// Where the caller wants its sound.
fn audio(request: &str) -> Option<SocketAddr> {
    let line = request.lines().find_map(|line| line.strip_prefix("m=audio "))?;
    let port = line.split(' ').next()?.parse().ok()?;
    Some(SocketAddr::new(HERE, port))
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let found = request.lines().find(|line| line.to_lowercase().starts_with(name));
    found.unwrap_or_default()
}

fn response(request: &str, more: &str, body: &str) -> String {
    let to = header(request, "to:");
    let tag = if to.contains("tag=") { "" } else { ";tag=answerer" };
    format!(
        "SIP/2.0 200 OK\r\n{}\r\n{}\r\n{to}{tag}\r\n{}\r\n{}\r\n{more}Content-Length: {}\r\n\r\n{body}",
        header(request, "via:"),
        header(request, "from:"),
        header(request, "call-id:"),
        header(request, "cseq:"),
        body.len()
    )
}

/// A callee of this name, which must be one of those that were started.
///
/// # Errors
/// There is none.
pub fn callee<'a>(answerer: &'a Answerer, name: &str) -> Result<&'a Callee> {
    answerer
        .callees
        .get(name)
        .with_context(|| format!("no callee {name}"))
}
