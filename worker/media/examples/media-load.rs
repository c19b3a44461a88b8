//! N two-way calls between two engines on loopback for S seconds: `media-load [calls] [seconds]`. Each engine has N sessions, as a worker with N
//! calls would have. It prints what each engine's thread took of a core, by its own CPU clock, and what was measured.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use reeve_media::{
    Codec, Engine, EngineConfig, Event, GeneratorHealth, Interval, Session, Source, Stream, Totals,
};

/// One engine and what it tells.
struct Side {
    engine: Engine,
    events: Receiver<Event>,
    sessions: Vec<Session>,
    health: Vec<GeneratorHealth>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let calls: usize = args.next().map_or(Ok(1_000), |arg| arg.parse())?;
    let seconds: u64 = args.next().map_or(Ok(20), |arg| arg.parse())?;
    let mut sides = [side(16_384..=24_575, calls)?, side(24_576..=32_767, calls)?];
    for n in 0..calls {
        let [a, b] = [&sides[0].sessions[n], &sides[1].sessions[n]];
        a.begin(stream(b));
        b.begin(stream(a));
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        thread::sleep(Duration::from_secs(1));
        for side in &mut sides {
            side.health.push(side.engine.health());
        }
    }
    for side in &sides {
        side.sessions.iter().for_each(Session::end);
    }
    for (name, side) in ["A", "B"].into_iter().zip(sides) {
        report(name, side, calls)?;
    }
    Ok(())
}

fn side(ports: std::ops::RangeInclusive<u16>, calls: usize) -> Result<Side, Box<dyn Error>> {
    let (tell, events) = mpsc::channel();
    let config = EngineConfig {
        ports,
        ..EngineConfig::default()
    };
    let engine = Engine::start(config, move |event| {
        let _ = tell.send(event);
    })?;
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let sessions = (0..calls).map(|_| engine.open(here)).collect::<Result<_, _>>()?;
    Ok(Side {
        engine,
        events,
        sessions,
        health: Vec::new(),
    })
}

fn stream(peer: &Session) -> Stream {
    let remote_rtp = peer.local();
    let mut remote_rtcp = remote_rtp;
    remote_rtcp.set_port(remote_rtp.port() + 1);
    Stream {
        remote_rtp,
        remote_rtcp,
        codec: Codec::Pcmu,
        payload_type: 0,
        dtmf_payload_type: Some(101),
        source: Source::Tone,
        plc: true,
    }
}

fn report(name: &str, side: Side, calls: usize) -> Result<(), Box<dyn Error>> {
    let (mut intervals, mut totals): (Vec<Interval>, Vec<Totals>) = (Vec::new(), Vec::new());
    while totals.len() < calls {
        match side.events.recv_timeout(Duration::from_secs(10))? {
            Event::Interval(_, interval) => intervals.push(interval),
            Event::Ended(_, one) => totals.push(one),
        }
    }
    // The first second has the beginning of all calls in it.
    let mut health = side.health;
    let steady = health.split_off(health.len().min(2));
    let busy = steady.iter().map(|health| health.busy);
    let mean = busy.clone().sum::<f64>() / steady.len().max(1) as f64;
    println!(
        "{name}: {calls} calls: thread {:.1} % of a core (most in a second {:.1} %)",
        mean * 100.0,
        busy.fold(0.0, f64::max) * 100.0
    );
    let late = steady.iter().map(|health| health.lateness_p95).max();
    let latest = steady.iter().map(|health| health.lateness_max).max();
    println!("   lateness: worst second's p95 {late:?}, latest {latest:?}");
    let sum = |of: fn(&Totals) -> u64| totals.iter().map(of).sum::<u64>();
    println!(
        "   sent {} of {} due ({} skipped, {} refused), received {}",
        sum(|one| one.tx_sent),
        sum(|one| one.tx_due),
        sum(|one| one.tx_skipped),
        sum(|one| one.tx_refused),
        sum(|one| one.rx)
    );
    let lost: i64 = totals.iter().map(|one| one.lost).sum();
    println!(
        "   lost {lost}, duplicates {}, discarded {}, foreign {}",
        sum(|one| one.dup),
        sum(|one| one.discarded),
        sum(|one| one.foreign)
    );
    println!(
        "   intervals {}, invalid {}",
        intervals.len(),
        intervals.iter().filter(|interval| !interval.valid).count()
    );
    let of =
        |figure: fn(&Interval) -> Option<u32>| percentiles(intervals.iter().filter_map(figure).collect());
    println!("   jitter {}", of(|interval| interval.jitter_us));
    println!("   rtt    {}", of(|interval| interval.rtt_us));
    let mos = intervals
        .iter()
        .filter_map(|interval| interval.mos)
        .reduce(f64::min);
    println!(
        "   least MOS {}",
        mos.map_or("none".into(), |mos| format!("{mos:.3}"))
    );
    Ok(())
}

fn percentiles(mut values: Vec<u32>) -> String {
    values.sort_unstable();
    let at = |share: usize| values.get((values.len() * share / 100).min(values.len().saturating_sub(1)));
    match (at(50), at(95), at(100)) {
        (Some(p50), Some(p95), Some(max)) => {
            format!("p50 {p50} µs, p95 {p95} µs, max {max} µs of {}", values.len())
        }
        _ => "none".into(),
    }
}
