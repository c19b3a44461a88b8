//! What a call costs on this machine: calls between sockets of ours, played through as fast as they go instead of in their own time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::EngineConfig;
use super::batch::Batch;
use super::ports::{PortRange, Ports};
use super::thread::{SLOT_NS, SLOTS, cpu_time, read, serve};
use super::wishes::identity;
use crate::Source;
use crate::call::Call;
use crate::clock::{Clock, Mono, Stamps};
use crate::health::Pulse;
use crate::session::SessionId;
use crate::stream::{Codec, Direction, Stream};

/// Enough that the state of one does not stay in the caches closest to the processor until its next visit.
const CALLS: u64 = 96;
/// Seconds that are played; the cheapest of them counts: in the others somebody else was in the way.
const SECONDS: u64 = 4;
/// Slots in one of them.
const SECOND: u64 = 1_000;

/// CPU time that one second of one two-way call takes of the engine's thread on this machine. Measuring it takes about 0.1 s of CPU.
///
/// # Errors
/// Sockets cannot be had, or packets do not arrive.
pub fn cost_of_a_call(config: &EngineConfig) -> io::Result<Duration> {
    let mut rehearsal = Rehearsal::new(config)?;
    let mut cheapest = Duration::MAX;
    for second in 0..SECONDS {
        let before = cpu_time();
        rehearsal.play(second * SECOND..(second + 1) * SECOND);
        cheapest = cheapest.min(cpu_time().saturating_sub(before));
    }
    if rehearsal.pulse.sent < CALLS * SECONDS * 45 || cheapest.is_zero() {
        return Err(io::Error::other("packets to ourselves do not go out"));
    }
    Ok(cheapest / CALLS as u32)
}

struct Rehearsal {
    calls: Vec<(Ports, Call)>,
    batch: Batch,
    pulse: Pulse,
    rows: u64,
}

impl Rehearsal {
    fn new(config: &EngineConfig) -> io::Result<Self> {
        let range = PortRange::new(&config.ports, config.tos)?;
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ports = (0..CALLS)
            .map(|_| range.open(here))
            .collect::<io::Result<Vec<_>>>()?;
        let addresses: Vec<SocketAddr> = ports.iter().map(|ports| ports.local).collect();
        let sound = Source::Tone.encoded(Codec::Pcmu);
        let clock = Clock::start();
        let buffer = Duration::from_millis(config.jitter_buffer_ms.into());
        let calls = ports.into_iter().zip(0..).map(|(ports, number)| {
            // The first with the second, the third with the fourth.
            let peer = addresses[number as usize ^ 1];
            let call = Call::new(
                &stream(peer),
                Arc::clone(&sound),
                identity(SessionId(number)),
                Direction::SendRecv,
                (config.late_limit, buffer),
                (Mono(number % SLOTS * SLOT_NS), clock.clone()),
            );
            (ports, call)
        });
        Ok(Self {
            calls: calls.collect(),
            batch: Batch::new(),
            pulse: Pulse::default(),
            rows: 0,
        })
    }

    /// These milliseconds, one after the other.
    fn play(&mut self, slots: std::ops::Range<u64>) {
        let (wall, stamps) = (SystemTime::now(), Stamps::default());
        for tick in slots {
            let now = Mono(tick * SLOT_NS);
            let here = (tick % SLOTS) as usize;
            for (ports, call) in self.calls.iter_mut().skip(here).step_by(SLOTS as usize) {
                read(
                    &mut self.batch,
                    ports,
                    call,
                    call.slots().is_multiple_of(5),
                    &stamps,
                    now,
                );
                // The true clock is looked at as it would be, for what that costs.
                let clock = || {
                    std::hint::black_box(SystemTime::now());
                    now
                };
                serve(ports, call, (now, clock), wall, &mut self.pulse, |_| {
                    self.rows += 1
                });
            }
        }
    }
}

fn stream(peer: SocketAddr) -> Stream {
    let mut remote_rtcp = peer;
    remote_rtcp.set_port(peer.port() + 1);
    Stream {
        remote_rtp: peer,
        remote_rtcp,
        codec: Codec::Pcmu,
        payload_type: Codec::Pcmu.static_payload_type(),
        dtmf_payload_type: None,
        source: Source::Tone,
        plc: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_of_every_call_is_sent_heard_and_counted_in_its_second() {
        let mut rehearsal = Rehearsal::new(&EngineConfig {
            ports: 24_000..=24_399,
            ..EngineConfig::default()
        })
        .unwrap();
        rehearsal.play(0..2 * SECOND + SLOTS);
        assert_eq!(rehearsal.pulse.skipped + rehearsal.pulse.late, 0);
        assert_eq!(rehearsal.rows, 2 * CALLS);
        let last = Mono((2 * SECOND + SLOTS) * SLOT_NS);
        for (_, call) in &mut rehearsal.calls {
            let (_, totals) = call.finish(last, &mut rehearsal.pulse);
            assert!(totals.rx >= 100, "{totals:?}");
            assert_eq!(totals.lost, 0);
        }
    }

    #[test]
    fn a_call_costs_something_and_less_than_a_processor() {
        let config = EngineConfig {
            ports: 24_400..=24_799,
            ..EngineConfig::default()
        };
        let cost = cost_of_a_call(&config).unwrap();
        assert!(cost > Duration::from_micros(20), "{cost:?}");
        assert!(cost < Duration::from_millis(20), "{cost:?}");
    }

    #[test]
    fn without_ports_there_is_no_figure() {
        let config = EngineConfig {
            ports: 24_800..=24_803,
            ..EngineConfig::default()
        };
        assert!(cost_of_a_call(&config).is_err());
    }
}
