//! As much of an HTTP client as these tests need.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::node::ADMIN;

pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// `error.reason` of the body.
    pub fn reason(&self) -> String {
        self.json()["error"]["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Names of the fields that break rules.
    pub fn fields(&self) -> Vec<String> {
        let json = self.json();
        let fields = json["error"]["details"]["fields"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        fields
            .iter()
            .map(|field| field["field"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

pub async fn get(addr: SocketAddr, path: &str) -> io::Result<Answer> {
    send(addr, "GET", path, &[], "").await
}

/// With the admin's key, unless `headers` name an authorization; an empty one is none.
pub async fn send(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(addr).await?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n");
    let authorized = headers.iter().any(|(name, _)| *name == "authorization");
    let admin = format!("Bearer {ADMIN}");
    let own = (!authorized).then_some(("authorization", admin.as_str()));
    for (name, value) in headers.iter().chain(&own).filter(|(_, value)| !value.is_empty()) {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    // A node that has heard enough answers before everything is said, and hears no more.
    let (mut answers, mut asks) = stream.split();
    let mut bytes = Vec::new();
    let (_, read) = tokio::join!(
        asks.write_all(request.as_bytes()),
        answers.read_to_end(&mut bytes)
    );
    if bytes.is_empty() {
        read?;
    }
    let text = String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.ok_or(io::ErrorKind::InvalidData)?,
        body: body.to_owned(),
    })
}
