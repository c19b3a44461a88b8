//! SIP traces in forms that people and their tools read. Pure: messages go in, text or bytes come out.

mod ladder;
mod pcap;

use std::collections::HashMap;

use reeve_proto::v1::TraceMessage;

pub(crate) use ladder::ladder;
pub(crate) use pcap::pcap;

/// A message, and when it was on the wire.
pub(crate) struct Timed<'a> {
    /// Cluster time, microseconds since 1970. Between endpoints of several workers it is as exact as their clocks; within
    /// one endpoint it is exact.
    pub(crate) at_us: i64,
    pub(crate) message: &'a TraceMessage,
}

impl<'a> Timed<'a> {
    /// All messages in order of time.
    pub(crate) fn all(messages: &'a [TraceMessage]) -> Vec<Self> {
        // The first message of each endpoint says what its own clock means.
        let mut anchors: HashMap<(&str, u32, bool), (u32, i64)> = HashMap::new();
        for message in messages {
            let anchor = (message.seq, cluster_us(message).saturating_sub(since_us(message)));
            let known = anchors.entry(endpoint(message)).or_insert(anchor);
            if message.seq < known.0 {
                *known = anchor;
            }
        }
        let timed = |message| Timed {
            at_us: anchors
                .get(&endpoint(message))
                .map_or(0, |(_, anchor)| anchor.saturating_add(since_us(message))),
            message,
        };
        let mut all: Vec<Self> = messages.iter().map(timed).collect();
        all.sort_by_key(|timed| (timed.at_us, timed.message.wall_ns, timed.message.seq));
        all
    }

    /// Who sent it and who received it.
    pub(crate) fn ends(&self) -> (&'a str, &'a str) {
        let (local, remote) = (self.message.local.as_str(), self.message.remote.as_str());
        if self.message.sent {
            (local, remote)
        } else {
            (remote, local)
        }
    }
}

fn endpoint(message: &TraceMessage) -> (&str, u32, bool) {
    (&message.group, message.endpoint, message.late)
}

fn cluster_us(message: &TraceMessage) -> i64 {
    message.at.as_ref().map_or(0, |at| {
        at.seconds.saturating_mul(1_000_000) + i64::from(at.nanos / 1_000)
    })
}

fn since_us(message: &TraceMessage) -> i64 {
    i64::try_from(message.since_us).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn message(endpoint: u32, seq: u32, ms: i64, sent: bool, raw: &str) -> TraceMessage {
        TraceMessage {
            group: "callers".to_owned(),
            endpoint,
            at: Some(prost_types::Timestamp {
                seconds: 1_700_000_000,
                nanos: i32::try_from(ms).unwrap_or_default() * 1_000_000,
            }),
            seq,
            since_us: u64::try_from(ms * 1_000 + 7).unwrap_or_default(),
            sent,
            local: "10.0.0.1:40000".to_owned(),
            remote: "10.0.0.5:5060".to_owned(),
            transport: "udp".to_owned(),
            raw: raw.as_bytes().to_vec(),
            ..TraceMessage::default()
        }
    }

    #[test]
    fn messages_of_all_endpoints_are_in_order_of_time_to_the_microsecond() {
        let mut messages = vec![
            message(1, 1, 12, true, "ACK sip:b SIP/2.0"),
            message(2, 0, 11, true, "BYE sip:b SIP/2.0"),
            message(1, 0, 10, true, "INVITE sip:b SIP/2.0"),
        ];
        // Whole milliseconds were rounded; the endpoint's own clock knows better.
        messages[0].since_us = 11_600;
        messages[2].since_us = 10_100;
        let all = Timed::all(&messages);
        let order: Vec<_> = all
            .iter()
            .map(|timed| {
                (
                    timed.message.endpoint,
                    timed.message.seq,
                    timed.at_us - all[0].at_us,
                )
            })
            .collect();
        assert_eq!(order, [(1, 0, 0), (2, 0, 1_000), (1, 1, 1_500)]);
    }
}
