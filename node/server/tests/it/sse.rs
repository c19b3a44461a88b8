//! As much of a client of server-sent events as these tests need.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::node::ADMIN;

/// More than any of these tests needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream that stands.
pub struct Events {
    lines: BufReader<TcpStream>,
    /// The last id that was received.
    pub last_id: Option<u64>,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub id: Option<u64>,
    pub data: Value,
}

impl Events {
    /// With the admin's key.
    pub async fn open(addr: SocketAddr, path: &str, last_id: Option<u64>) -> Self {
        Self::open_as(addr, path, last_id, ADMIN).await
    }

    pub async fn open_as(addr: SocketAddr, path: &str, last_id: Option<u64>, key: &str) -> Self {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // 1.0: the body comes as it is, without chunks.
        let mut request = format!("GET {path} HTTP/1.0\r\nhost: {addr}\r\nauthorization: Bearer {key}\r\n");
        if let Some(id) = last_id {
            request.push_str(&format!("last-event-id: {id}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self {
            lines: BufReader::new(stream),
            last_id,
        };
        let status = events.line().await.expect("an answer");
        assert!(status.contains(" 200 "), "{status}");
        let mut head = String::new();
        loop {
            match events.line().await.expect("a head").as_str() {
                "" => break,
                line => head.push_str(&format!("{}\n", line.to_lowercase())),
            }
        }
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        events
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.lines.read_line(&mut line));
        let read = read.await.expect("the node says something").ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Event> {
        let (mut name, mut id, mut data) = (String::new(), None, String::new());
        loop {
            let line = self.line().await?;
            match line.split_once(':').unwrap_or((&line, "")) {
                ("", "") if !data.is_empty() => break,
                ("event", text) => name = text.trim().to_owned(),
                ("data", text) => data.push_str(text.trim()),
                ("id", text) => id = Some(text.trim().parse().unwrap()),
                // A comment, or an empty line after one.
                _ => {}
            }
        }
        if let Some(id) = id {
            assert!(self.last_id.is_none_or(|last| last < id), "ids rise: {id}");
            self.last_id = Some(id);
        }
        Some(Event {
            name,
            id,
            data: serde_json::from_str(&data).unwrap(),
        })
    }

    /// The next event of this name; others are passed over.
    pub async fn next_named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }
}
