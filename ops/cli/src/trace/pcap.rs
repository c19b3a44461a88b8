//! A trace as a capture file: pcap with nanoseconds, each message a UDP datagram in a packet made up around it.
//!
//! Messages that travelled in a stream are shown as datagrams too. What one endpoint sent and another received is one packet.

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
    for timed in all {
        if !timed.message.sent
            && let Some(times) = sent.get_mut(&key(timed)).filter(|times| **times > 0)
        {
            *times -= 1;
            continue;
        }
        let (from, to) = timed.ends();
        match (from.parse(), to.parse()) {
            (Ok(from), Ok(to)) => record(&mut bytes, timed.at_us, &packet(from, to, &timed.message.raw)),
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

fn packet(from: SocketAddr, to: SocketAddr, raw: &[u8]) -> Vec<u8> {
    let mut packet = [TO_MAC, FROM_MAC].concat();
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let raw = &raw[..raw.len().min(MOST_LENGTH - IPV4_HEADER - UDP_HEADER)];
            let pair = [source.octets(), target.octets()].concat();
            packet.extend(IPV4.to_be_bytes());
            packet.extend(ipv4(&pair, UDP_HEADER + raw.len()));
            packet.extend(udp(&pair, (from.port(), to.port()), raw));
        }
        (source, target) => {
            let raw = &raw[..raw.len().min(MOST_LENGTH - UDP_HEADER)];
            let pair = [six(source).octets(), six(target).octets()].concat();
            packet.extend(IPV6.to_be_bytes());
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(length(UDP_HEADER + raw.len()));
            packet.extend([UDP, 64]);
            packet.extend(&pair);
            packet.extend(udp(&pair, (from.port(), to.port()), raw));
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

fn ipv4(pair: &[u8], payload: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(length(IPV4_HEADER + payload));
    // No number; not to be fragmented; 64 hops; the checksum comes later.
    header.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
    header.extend(pair);
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// The datagram; the checksum is over both addresses too.
fn udp(pair: &[u8], (from, to): (u16, u16), raw: &[u8]) -> Vec<u8> {
    let length = length(UDP_HEADER + raw.len());
    let mut datagram = Vec::with_capacity(UDP_HEADER + raw.len());
    datagram.extend(from.to_be_bytes());
    datagram.extend(to.to_be_bytes());
    datagram.extend(length);
    datagram.extend([0, 0]);
    datagram.extend(raw);
    let sum = checksum(&[pair, &[0, UDP], &length, &datagram]);
    // Zero would say that there is none.
    let sum = if sum == 0 { u16::MAX } else { sum };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
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

    /// Covers: R154. Where tshark is there.
    #[test]
    fn tshark_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.pcap");
        std::fs::write(&file, pcap(&Timed::all(&call())).bytes).unwrap();
        let Ok(read) = Command::new("tshark")
            .args([
                "-o",
                "ip.check_checksum:TRUE",
                "-o",
                "udp.check_checksum:TRUE",
                "-r",
            ])
            .arg(&file)
            .args(["-Y", "sip", "-T", "fields"])
            .args([
                "-e",
                "sip.Method",
                "-e",
                "sip.Status-Code",
                "-e",
                "udp.checksum.status",
                "-e",
                "frame.time_epoch",
            ])
            .output()
        else {
            return;
        };
        let text = String::from_utf8(read.stdout).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(rows.len(), 3, "{text}");
        // 1 is good, also in the words of newer ones.
        let good = |row: &[&str]| row[2] == "1" || row[2] == "Good";
        assert!(rows.iter().all(|row| good(row)), "{text}");
        assert_eq!((rows[0][0], rows[1][1], rows[2][0]), ("INVITE", "486", "BYE"));
        assert!(rows[1][3].starts_with("1700000000.02"), "{text}");
    }
}
