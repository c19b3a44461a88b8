//! What a worker shows over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// One page.
///
/// # Errors
/// Nobody answers, or not with 200.
pub async fn get(address: &str, path: &str) -> Result<String> {
    timeout(PATIENCE, fetch(address, path)).await?
}

async fn fetch(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // Version 1.0: the body is what comes until the end, in one piece.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").context("no HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("{path}: {status}");
    }
    Ok(body.to_owned())
}

/// RTP packets since the worker started, by its own count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Packets {
    /// That were due.
    pub due: f64,
    /// That were sent.
    pub sent: f64,
}

impl Packets {
    /// Reads them from `/metrics`; nothing is none.
    pub fn of(metrics: &str) -> Self {
        let known: BTreeMap<&str, f64> = metrics
            .lines()
            .filter_map(|line| line.strip_prefix("reeve_worker_media_packets_total{end=\""))
            .filter_map(|line| line.split_once("\"} "))
            .filter_map(|(end, value)| Some((end, value.parse().ok()?)))
            .collect();
        let of = |end| known.get(end).copied().unwrap_or(0.0);
        Self {
            due: of("due"),
            sent: of("sent"),
        }
    }

    /// Sent since then, of what was due since then; `None`: nothing was.
    pub fn share_since(self, before: Self) -> Option<f64> {
        let due = self.due - before.due;
        (due > 0.0).then(|| (self.sent - before.sent) / due * 100.0)
    }
}

/// How many calls the worker says that it can hold, wherever its health says so: the first number whose name has `sip` in it, in
/// itself or in what it is part of. `None`: it says nothing.
pub fn sip_capacity(health: &serde_json::Value) -> Option<f64> {
    find(health, false)
}

fn find(value: &serde_json::Value, within: bool) -> Option<f64> {
    let serde_json::Value::Object(fields) = value else {
        return value.as_f64().filter(|_| within);
    };
    fields.iter().find_map(|(name, value)| {
        let named = name.to_lowercase().contains("sip");
        find(value, within || named)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn packets_are_those_of_their_label() {
        let of = |due: u32, sent: u32| {
            Packets::of(&format!(
                "# TYPE reeve_worker_media_packets_total counter\nreeve_worker_media_packets_total{{end=\"due\"}} {due}\n\
                 reeve_worker_media_packets_total{{end=\"sent\"}} {sent}\nother 3\n"
            ))
        };
        assert_eq!(of(200, 150).share_since(of(100, 100)), Some(50.0));
        assert_eq!(of(100, 100).share_since(of(100, 100)), None);
        assert_eq!(Packets::of(""), Packets::default());
    }

    #[test]
    fn a_capacity_for_sip_is_found_by_its_name() {
        assert_eq!(
            sip_capacity(&json!({"capacity": {"endpoints": 9, "sipCalls": 700}})),
            Some(700.0)
        );
        assert_eq!(
            sip_capacity(&json!({"sip": {"capacity": 700}, "a": 1})),
            Some(700.0)
        );
        assert_eq!(sip_capacity(&json!({"capacity": {"endpoints": 9}})), None);
    }
}
