//! Calls held at once: what they cost, and whether every packet was sent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reeve_testkit::until;

use super::bed::{Bed, Ended};
use super::calls::Calls;
use super::evidence::{figures, late_share, sum};
use super::scrape::Packets;
use super::{Figure, MARGIN, Sizes, now_ms, remark_missing};
use crate::machine::{cpu_of_threads, cpu_time, datagrams_sent, peak_resident_bytes, resident_bytes};
use crate::peer::sipp::{CallerSpec, Rtp, Sipp};
use crate::report::{Aim, Report};
use crate::stats::quantile;

/// Packets of a call in a second, one way.
const RATE: f64 = 50.0;
/// From the last call's answer to the first BYE, beside what is measured.
const SLACK: Duration = Duration::from_secs(10);
const MIB: f64 = 1_048_576.0;
/// Goals.
const MOST_CORE_PERCENT: f64 = 50.0;
const MOST_MIB: f64 = 150.0;

/// What a caller's process used while all calls stood.
struct Used {
    core_percent: f64,
    resident: f64,
    peak: f64,
    /// Of all UDP datagrams that both sides owe, per cent.
    datagrams: Option<f64>,
    seconds: f64,
    /// Per cent of a core by name of the thread, highest first.
    threads: Vec<(String, f64)>,
}

/// A look at a process and at what the machine has sent.
struct Look {
    at: Instant,
    cpu: Duration,
    threads: BTreeMap<String, Duration>,
    datagrams: Option<u64>,
}

impl Look {
    fn at(pid: u32) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            cpu: cpu_time(pid).context("the caller is gone")?,
            threads: cpu_of_threads(pid),
            datagrams: datagrams_sent(),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes and counts are far below 2^52")]
fn used(before: &Look, after: &Look, pid: u32, calls: u32) -> Used {
    let seconds = (after.at - before.at).as_secs_f64();
    let percent = |time: Duration| time.as_secs_f64() / seconds * 100.0;
    let mut threads: Vec<(String, f64)> = after
        .threads
        .iter()
        .map(|(name, time)| {
            let earlier = before.threads.get(name).copied().unwrap_or_default();
            (name.clone(), percent(time.saturating_sub(earlier)))
        })
        .filter(|(_, share)| *share >= 0.1)
        .collect();
    threads.sort_by(|a, b| b.1.total_cmp(&a.1));
    let owed = 2.0 * RATE * f64::from(calls) * seconds;
    let sent = before.datagrams.zip(after.datagrams);
    Used {
        core_percent: percent(after.cpu - before.cpu),
        resident: resident_bytes(pid).unwrap_or(0) as f64 / MIB,
        peak: peak_resident_bytes(pid).unwrap_or(0) as f64 / MIB,
        datagrams: sent.map(|(before, after)| (after - before) as f64 / owed * 100.0),
        seconds,
        threads,
    }
}

/// Ours, then SIPp, to the same kind of callee.
///
/// # Errors
/// Something does not start, or the calls do not come about.
pub async fn run(bed: &mut Bed, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let case = format!("{} calls held for {} s", sizes.calls, sizes.measured.as_secs());
    let (ours, packets, ended, bounds) = ours(bed, sizes).await?;
    let peer = peer(bed, sizes).await?;
    costs(&case, &ours, &peer, report);
    let rows = ended.evidence.between(bounds.0, bounds.1);
    let rate = RATE * f64::from(sizes.calls) * ours.seconds;
    let share = |sent: f64| Some(sent / rate * 100.0);
    let p = |figure| quantile(&figures(&rows, figure), 0.95);
    let mos = figures(&rows, |row| row.mos);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand rows")]
    let mean = (!mos.is_empty()).then(|| mos.iter().sum::<f64>() / mos.len() as f64);
    let evidence_sent = sum(&rows, |row| row.packets_sent);
    for figure in [
        Figure {
            measure: "RTP sent of RTP due, by the worker's metrics",
            unit: "%",
            reeve: packets,
            peer: None,
            aim: None,
        },
        Figure {
            measure: "the same by its evidence",
            unit: "%",
            reeve: share(evidence_sent),
            peer: None,
            aim: None,
        },
        Figure {
            measure: "UDP datagrams of both sides of 100 a second and call",
            unit: "%",
            reeve: ours.datagrams,
            peer: peer.datagrams,
            aim: None,
        },
        Figure {
            measure: "seconds that are invalid",
            unit: "%",
            reeve: late_share(&rows),
            peer: None,
            aim: Some(Aim::AtMost(1.0)),
        },
        Figure {
            measure: "MOS, mean",
            unit: "",
            reeve: mean,
            peer: None,
            aim: None,
        },
        Figure {
            measure: "jitter, p95",
            unit: "ms",
            reeve: p(|row| row.jitter_ms),
            peer: None,
            aim: None,
        },
        Figure {
            measure: "round trip, p95",
            unit: "ms",
            reeve: p(|row| row.rtt_ms),
            peer: None,
            aim: None,
        },
    ] {
        figure.add(&case, report);
    }
    let threads: Vec<String> = ours
        .threads
        .iter()
        .map(|(name, share)| format!("{name} {share:.1}"))
        .collect();
    report.remarks.push(format!(
        "SIP, {case}: outcomes {}; SIPp as callee echoes RTP and sends no RTCP, so there is no round trip, and calls from 6 s on end with \
         the warning \"no RTCP\"; the worker's datagrams include one of RTCP a second and call",
        ended.words()
    ));
    report.remarks.push(format!(
        "SIP, {case}: the worker's threads in % of a core: {}",
        threads.join(", ")
    ));
    remark_missing(&case, &ended.missing, report);
    Ok(())
}

fn costs(case: &str, ours: &Used, peer: &Used, report: &mut Report) {
    for (measure, unit, reeve, peer, most) in [
        (
            "CPU of the caller's process",
            "% of a core",
            ours.core_percent,
            peer.core_percent,
            Some(MOST_CORE_PERCENT),
        ),
        ("its memory", "MiB", ours.resident, peer.resident, Some(MOST_MIB)),
        ("its memory at its peak", "MiB", ours.peak, peer.peak, None),
    ] {
        let figure = Figure {
            measure,
            unit,
            reeve: Some(reeve),
            peer: Some(peer),
            aim: most.map(Aim::AtMost),
        };
        figure.add(case, report);
    }
    let figure = Figure {
        measure: "CPU against SIPp's",
        unit: "% of a core",
        reeve: Some(ours.core_percent),
        peer: Some(peer.core_percent),
        aim: Some(Aim::TimesPeerAtMost(1.0)),
    };
    figure.add(case, report);
}

fn duration(sizes: &Sizes) -> Duration {
    sizes.buildup + sizes.measured + SLACK
}

async fn ours(bed: &mut Bed, sizes: &Sizes) -> Result<(Used, Option<f64>, Ended, (i64, i64))> {
    let callee = Sipp::callee(&bed.directory, "held-callee", &bed.cores.rest(), Rtp::Echo).await?;
    bed.fresh_worker(None).await?;
    bed.registrar(callee.port).await?;
    let calls = Calls {
        callers: sizes.calls,
        buildup: sizes.buildup,
        duration: duration(sizes),
        uris: vec![format!("sip:echo@127.0.0.1:{}", callee.port)],
    };
    for share in calls.shares() {
        bed.accounts(&share.name, share.callers).await?;
    }
    let id = bed.submit(calls.definition()).await?;
    let limit = sizes.buildup + SLACK;
    let in_call = bed.until_in_call(&id, sizes.calls, limit).await?;
    anyhow::ensure!(
        in_call == sizes.calls,
        "only {in_call} of {} calls stand",
        sizes.calls
    );
    let pid = bed.worker_pid()?;
    let (from, before, packets) = (now_ms(), Look::at(pid)?, Packets::of(&bed.metrics().await?));
    tokio::time::sleep(sizes.measured).await;
    let after = Look::at(pid)?;
    let share = Packets::of(&bed.metrics().await?).share_since(packets);
    let until = now_ms();
    let used = used(&before, &after, pid, sizes.calls);
    let ended = bed.ended(&id, duration(sizes) + MARGIN).await?;
    Ok((used, share, ended, (from, until)))
}

async fn peer(bed: &Bed, sizes: &Sizes) -> Result<Used> {
    let folder = &bed.directory;
    let callee = Sipp::callee(folder, "held-peer-callee", &bed.cores.rest(), Rtp::Echo).await?;
    let spec = CallerSpec {
        to: callee.port,
        target: format!("sip:echo@127.0.0.1:{}", callee.port),
        calls: sizes.calls,
        per_second: (sizes.calls / u32::try_from(sizes.buildup.as_secs())?).max(1),
        duration: duration(sizes),
        rtp: true,
        password: None,
    };
    let mut caller = Sipp::caller(folder, "held-peer-caller", &bed.cores.first(), &spec)?;
    until(sizes.buildup + MARGIN, "all of SIPp's calls stand", || async {
        caller.so_far().current >= u64::from(sizes.calls)
    })
    .await?;
    let pid = caller.pid();
    let before = Look::at(pid)?;
    tokio::time::sleep(sizes.measured).await;
    let used = used(&before, &Look::at(pid)?, pid, sizes.calls);
    caller.ended(duration(sizes) + MARGIN, |_| {}).await?;
    Ok(used)
}
