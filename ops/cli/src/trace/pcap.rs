//! A trace as a capture file: pcap with nanoseconds, each message a UDP datagram or a TCP segment in a packet made up around it.
//!
//! What travelled within TLS is a segment in plain text. What one endpoint sent and another received is one packet.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::Timed;

const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// The largest packet, as usual.
const SNAP_BYTES: u32 = 262_144;
const ETHERNET: u32 = 1;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const TCP: u8 = 6;
const TCP_HEADER: usize = 20;
/// The header's length in words of 32 bits, then what it says: PSH and ACK.
const TCP_FLAGS: [u8; 2] = [0x50, 0x18];
const IPV4_HEADER: usize = 20;
/// What an IP packet's length can say.
const MOST_LENGTH: usize = 65_535;
/// Locally administered, so nobody's.
const TO_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const FROM_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A capture file.
pub(crate) struct Capture {
    pub(crate) bytes: Vec<u8>,
    /// Messages whose addresses cannot be read.
    pub(crate) left_out: usize,
}

/// The file; packets in the order of the messages.
pub(crate) fn pcap(all: &[Timed<'_>]) -> Capture {
    let mut bytes = Vec::new();
    bytes.extend(NANOSECONDS.to_le_bytes());
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(4_u16.to_le_bytes());
    // Time zone and accuracy, which nobody fills in.
    bytes.extend([0; 8]);
    bytes.extend(SNAP_BYTES.to_le_bytes());
    bytes.extend(ETHERNET.to_le_bytes());
    let mut left_out = 0;
    let mut sent: HashMap<(&str, &str, &[u8]), u32> = HashMap::new();
    for timed in all.iter().filter(|timed| timed.message.sent) {
        *sent.entry(key(timed)).or_default() += 1;
    }
    let mut streams = Streams::default();
    for timed in all {
        if !timed.message.sent
            && let Some(times) = sent.get_mut(&key(timed)).filter(|times| **times > 0)
        {
            *times -= 1;
            continue;
        }
        let (from, to) = timed.ends();
        match (from.parse(), to.parse()) {
            (Ok(from), Ok(to)) => {
                let payload = match timed.message.transport.as_str() {
                    "tcp" | "tls" => Payload::tcp(&mut streams, from, to, &timed.message.raw),
                    _ => Payload::udp(from, to, &timed.message.raw),
                };
                record(&mut bytes, timed.at_us, &packet(from, to, &payload));
            }
            (Err(_), _) | (_, Err(_)) => left_out += 1,
        }
    }
    Capture { bytes, left_out }
}

fn key<'a>(timed: &Timed<'a>) -> (&'a str, &'a str, &'a [u8]) {
    let (from, to) = timed.ends();
    (from, to, &timed.message.raw)
}

fn record(bytes: &mut Vec<u8>, at_us: i64, packet: &[u8]) {
    let seconds = u32::try_from(at_us.div_euclid(1_000_000)).unwrap_or_default();
    let nanoseconds = u32::try_from(at_us.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
    let length = u32::try_from(packet.len()).unwrap_or_default();
    for field in [seconds, nanoseconds, length, length] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(packet);
}

/// How many bytes went each way between two ends.
#[derive(Default)]
struct Streams(HashMap<(SocketAddr, SocketAddr), u32>);

impl Streams {
    /// The numbers of the next byte and of the one that is awaited from the other side. Streams begin at 1, since nobody saw them begin.
    fn advance(&mut self, from: SocketAddr, to: SocketAddr, length: usize) -> (u32, u32) {
        let awaited = self.0.get(&(to, from)).copied().unwrap_or(1);
        let next = self.0.entry((from, to)).or_insert(1);
        let seq = *next;
        *next = next.wrapping_add(u32::try_from(length).unwrap_or_default());
        (seq, awaited)
    }
}

/// What is in an IP packet: the header of the transport, with no checksum yet, and the message.
struct Payload {
    protocol: u8,
    /// Where the checksum is.
    checksum: usize,
    bytes: Vec<u8>,
}

impl Payload {
    fn udp(from: SocketAddr, to: SocketAddr, raw: &[u8]) -> Self {
        let raw = &raw[..raw.len().min(room(from, to) - UDP_HEADER)];
        let mut bytes = Vec::with_capacity(UDP_HEADER + raw.len());
        bytes.extend(from.port().to_be_bytes());
        bytes.extend(to.port().to_be_bytes());
        bytes.extend(length(UDP_HEADER + raw.len()));
        bytes.extend([0, 0]);
        bytes.extend(raw);
        Self {
            protocol: UDP,
            checksum: 6,
            bytes,
        }
    }

    fn tcp(streams: &mut Streams, from: SocketAddr, to: SocketAddr, raw: &[u8]) -> Self {
        let raw = &raw[..raw.len().min(room(from, to) - TCP_HEADER)];
        let (seq, awaited) = streams.advance(from, to, raw.len());
        let mut bytes = Vec::with_capacity(TCP_HEADER + raw.len());
        bytes.extend(from.port().to_be_bytes());
        bytes.extend(to.port().to_be_bytes());
        bytes.extend(seq.to_be_bytes());
        bytes.extend(awaited.to_be_bytes());
        bytes.extend(TCP_FLAGS);
        // As much room as there can be; no checksum; nothing urgent.
        bytes.extend([0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(raw);
        Self {
            protocol: TCP,
            checksum: 16,
            bytes,
        }
    }

    /// With the checksum, which is over both addresses too.
    fn sealed(&self, pair: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let sum = checksum(&[pair, &[0, self.protocol], &length(bytes.len()), &bytes]);
        // Zero would say of a datagram that there is none, and means the same elsewhere.
        let sum = if sum == 0 { u16::MAX } else { sum };
        bytes[self.checksum..self.checksum + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }
}

/// What a packet between these can hold.
fn room(from: SocketAddr, to: SocketAddr) -> usize {
    if from.is_ipv4() && to.is_ipv4() {
        MOST_LENGTH - IPV4_HEADER
    } else {
        MOST_LENGTH
    }
}

fn packet(from: SocketAddr, to: SocketAddr, payload: &Payload) -> Vec<u8> {
    let mut packet = [TO_MAC, FROM_MAC].concat();
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let pair = [source.octets(), target.octets()].concat();
            packet.extend(IPV4.to_be_bytes());
            packet.extend(ipv4(&pair, payload.protocol, payload.bytes.len()));
            packet.extend(payload.sealed(&pair));
        }
        (source, target) => {
            let pair = [six(source).octets(), six(target).octets()].concat();
            packet.extend(IPV6.to_be_bytes());
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(length(payload.bytes.len()));
            packet.extend([payload.protocol, 64]);
            packet.extend(&pair);
            packet.extend(payload.sealed(&pair));
        }
    }
    packet
}

fn six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn ipv4(pair: &[u8], protocol: u8, payload: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(length(IPV4_HEADER + payload));
    // No number; not to be fragmented; 64 hops; the checksum comes later.
    header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    header.extend(pair);
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// Of the Internet (RFC 1071). Only the last part may have an odd length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or_default()))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Command;

    use reeve_proto::v1::TraceMessage;

    use super::*;
    use crate::trace::tests::message;

    fn call() -> Vec<TraceMessage> {
        let sip = |start: &str, method: &str| {
            format!(
                "{start}\r\nVia: SIP/2.0/UDP 10.0.0.1:40000;branch=z9hG4bKa\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n\
                 Call-ID: c\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
            )
        };
        let mut six = message(1, 0, 30, true, &sip("BYE sip:b@x SIP/2.0", "BYE"));
        six.local = "[2001:db8::1]:40000".to_owned();
        six.remote = "[2001:db8::2]:5062".to_owned();
        vec![
            message(0, 0, 0, true, &sip("INVITE sip:b@x SIP/2.0", "INVITE")),
            message(0, 1, 20, false, &sip("SIP/2.0 486 Busy Here", "INVITE")),
            six,
        ]
    }

    /// Packets without their record headers.
    fn packets(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut rest = &bytes[24..];
        let mut packets = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
            packets.push(rest[16..16 + length].to_vec());
            rest = &rest[16 + length..];
        }
        packets
    }

    /// Covers: R154.
    #[test]
    fn every_message_is_a_packet_whose_checksums_come_to_nothing() {
        let messages = call();
        let capture = pcap(&Timed::all(&messages));
        assert_eq!(capture.bytes[..4], [0x4d, 0x3c, 0xb2, 0xa1]);
        let packets = packets(&capture.bytes);
        assert_eq!(packets.len(), 3);
        for packet in &packets[..2] {
            assert_eq!(checksum(&[&packet[14..34]]), 0, "of the header");
            let (pair, datagram) = (&packet[26..34], &packet[34..]);
            assert_eq!(checksum(&[pair, &[0, UDP], &datagram[4..6], datagram]), 0);
        }
        assert_eq!(&packets[0][26..34], [10, 0, 0, 1, 10, 0, 0, 5]);
        assert_eq!(&packets[1][26..34], [10, 0, 0, 5, 10, 0, 0, 1], "received");
        let (pair, datagram) = (&packets[2][22..54], &packets[2][54..]);
        assert_eq!(checksum(&[pair, &[0, UDP], &datagram[4..6], datagram]), 0);
        assert_eq!(&datagram[8..], messages[2].raw);
    }

    #[test]
    fn what_two_endpoints_tell_of_one_message_is_one_packet() {
        let mut messages = call();
        let mut heard = messages[0].clone();
        (heard.local, heard.remote) = (heard.remote, heard.local);
        heard.sent = false;
        heard.endpoint = 9;
        messages.push(heard);
        assert_eq!(packets(&pcap(&Timed::all(&messages)).bytes).len(), 3);
    }

    #[test]
    fn messages_that_no_packet_can_hold_are_cut_and_those_without_address_are_left_out() {
        let mut messages = call();
        messages[0].raw = vec![b'x'; 65_536];
        messages[2].raw = vec![b'x'; 65_536];
        messages[1].remote = "nowhere".to_owned();
        let capture = pcap(&Timed::all(&messages));
        assert_eq!(capture.left_out, 1);
        let lengths: Vec<_> = packets(&capture.bytes).iter().map(Vec::len).collect();
        assert_eq!(lengths, [14 + 65_535, 14 + 40 + 65_535]);
    }

    /// What tshark finds in a capture file: method, status, whether the checksum is good, when. `None`: it is not installed.
    fn read_by_tshark(messages: &[TraceMessage], by: &str) -> Option<Vec<Vec<String>>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.pcap");
        std::fs::write(&file, pcap(&Timed::all(messages)).bytes).unwrap();
        let mut command = Command::new("tshark");
        for check in ["ip.check_checksum:TRUE", &format!("{by}.check_checksum:TRUE")] {
            command.args(["-o", check]);
        }
        command.arg("-r").arg(&file).args(["-Y", "sip", "-T", "fields"]);
        let status = format!("{by}.checksum.status");
        for field in [
            "sip.Method",
            "sip.Status-Code",
            &status,
            "frame.time_epoch",
            "_ws.expert.message",
        ] {
            command.args(["-e", field]);
        }
        let text = String::from_utf8(command.output().ok()?.stdout).unwrap();
        let row = |line: &str| line.split('\t').map(str::to_owned).collect();
        Some(text.lines().map(row).collect())
    }

    fn is_the_call(rows: &[Vec<String>]) {
        assert_eq!(rows.len(), 3, "{rows:?}");
        // 1 is good, also in the words of newer ones.
        let good = |row: &[String]| row[2] == "1" || row[2] == "Good";
        assert!(rows.iter().all(|row| good(row)), "{rows:?}");
        let found = [&rows[0][0], &rows[1][1], &rows[2][0]];
        assert_eq!(found, ["INVITE", "486", "BYE"]);
        assert!(rows[1][3].starts_with("1700000000.02"), "{rows:?}");
    }

    /// Covers: R154. Where tshark is there.
    #[test]
    fn tshark_reads_it() {
        if let Some(rows) = read_by_tshark(&call(), "udp") {
            is_the_call(&rows);
        }
    }

    /// Covers: R154. Where tshark is there: what travelled in streams is in streams, without gaps.
    #[test]
    fn tshark_reads_messages_of_streams() {
        for transport in ["tcp", "tls"] {
            let mut messages = call();
            // One more in each direction, so that their numbers matter.
            let (mut ack, mut again) = (messages[0].clone(), messages[1].clone());
            ack.raw =
                b"ACK sip:b@x SIP/2.0\r\nCall-ID: c\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n".to_vec();
            again.raw = b"SIP/2.0 200 OK\r\nCall-ID: c\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n".to_vec();
            (ack.seq, again.seq) = (2, 3);
            (ack.since_us, again.since_us) = (25_007, 28_007);
            messages.splice(2..2, [ack, again]);
            for message in &mut messages {
                message.transport = transport.to_owned();
            }
            let Some(mut rows) = read_by_tshark(&messages, "tcp") else {
                return;
            };
            let lost = |row: &Vec<String>| row[4].contains("segment") || row[4].contains("out-of-order");
            assert!(!rows.iter().any(lost), "{rows:?}");
            rows.retain(|row| row[0] != "ACK" && row[1] != "200");
            is_the_call(&rows);
        }
    }

    #[test]
    fn segments_are_numbered_by_the_bytes_before_them() {
        let mut messages = call();
        messages.truncate(2);
        messages.push(messages[0].clone());
        messages[2].seq = 2;
        messages[2].since_us = 40_007;
        for message in &mut messages {
            message.transport = "tcp".to_owned();
        }
        let numbers = |packet: &Vec<u8>| {
            let number = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
            assert_eq!(packet[23], TCP);
            let (pair, segment) = (&packet[26..34], &packet[34..]);
            let length = u16::try_from(segment.len()).unwrap().to_be_bytes();
            assert_eq!(checksum(&[pair, &[0, TCP], &length, segment]), 0);
            (number(38), number(42))
        };
        let packets = packets(&pcap(&Timed::all(&messages)).bytes);
        let lengths: Vec<u32> = messages
            .iter()
            .map(|message| message.raw.len().try_into().unwrap())
            .collect();
        let found: Vec<_> = packets.iter().map(numbers).collect();
        assert_eq!(
            found,
            [(1, 1), (1, 1 + lengths[0]), (1 + lengths[0], 1 + lengths[1])]
        );
    }
}
