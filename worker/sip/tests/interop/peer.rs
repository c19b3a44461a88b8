//! A peer made by hand, message by message: for what no real one can be told to do.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::given::PATIENCE;

pub const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";

/// One connection.
pub struct Wire<S = TcpStream> {
    pub stream: S,
    rest: Vec<u8>,
    /// Everything that came by it.
    pub heard: VecDeque<Vec<u8>>,
}

impl Wire<TcpStream> {
    pub async fn accepted(listener: &TcpListener) -> Self {
        let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        Self::of(stream)
    }

    pub async fn to(peer: SocketAddr) -> Self {
        Self::of(TcpStream::connect(peer).await.unwrap())
    }

    /// In pieces that arrive one by one.
    pub async fn stammer(&mut self, text: &str) {
        self.stream.set_nodelay(true).unwrap();
        for part in text.as_bytes().chunks(37) {
            self.stream.write_all(part).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn of(stream: S) -> Self {
        Self {
            stream,
            rest: Vec::new(),
            heard: VecDeque::new(),
        }
    }

    /// The next whole message.
    pub async fn hear(&mut self) -> String {
        loop {
            if let Some(length) = whole(&self.rest) {
                let message: Vec<u8> = self.rest.drain(..length).collect();
                self.heard.push_back(message.clone());
                return String::from_utf8(message).unwrap();
            }
            let mut buffer = [0; 4096];
            let count = timeout(PATIENCE, self.stream.read(&mut buffer))
                .await
                .unwrap()
                .unwrap();
            assert!(count > 0, "they closed the connection");
            self.rest.extend_from_slice(&buffer[..count]);
        }
    }

    /// The next message that begins so.
    pub async fn await_message(&mut self, start: &str) -> String {
        loop {
            let message = self.hear().await;
            if message.starts_with(start) {
                return message;
            }
        }
    }

    pub async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }
}

fn whole(bytes: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.find("\r\n\r\n")? + 4;
    let length = header(&text[..head], "Content-Length").map_or(0, |value| value.parse().unwrap());
    (bytes.len() >= head + length).then_some(head + length)
}

/// The first value of a header.
pub fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = message.lines();
    lines.find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A response to a request, with more headers and perhaps a body.
pub fn response(request: &str, status: &str, more: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.lines().take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap();
        if ["Via", "From", "Call-ID", "CSeq"]
            .iter()
            .any(|kept| kept.eq_ignore_ascii_case(name))
        {
            text.push_str(&format!("{line}\r\n"));
        }
        if name.eq_ignore_ascii_case("To") {
            let tag = if line.contains(";tag=") { "" } else { ";tag=peer" };
            text.push_str(&format!("{line}{tag}\r\n"));
        }
    }
    format!("{text}{more}Content-Length: {}\r\n\r\n{body}", body.len())
}
