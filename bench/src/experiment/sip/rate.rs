//! Calls a second: short calls, through a proxy that asks for credentials and directly, with media and without.

use std::time::Duration;

use anyhow::{Context, Result};
use reeve_proto::v1::EndpointOutcome;

use super::bed::{Bed, DOMAIN, PASSWORD};
use super::calls::Calls;
use super::evidence::figures;
use super::{Figure, GOAL, MARGIN, PEER, Sizes, remark_missing};
use crate::machine::cpu_time;
use crate::peer::kamailio::Kamailio;
use crate::peer::sipp::{CallerSpec, Rtp, Sipp};
use crate::report::{Aim, Finding, Report};
use crate::stats::quantile;

/// Of each call.
const TALK: Duration = Duration::from_secs(1);
/// A rate counts as held if so many of its calls ended in SUCCESS, per cent, and nothing was sent twice.
const LEAST_PERCENT: f64 = 99.9;
/// How long a run may take longer than its calls before it is stopped: more than any timer of SIP.
const PATIENCE: Duration = Duration::from_secs(60);
/// SIPp writes its counts once a second.
const COUNTED: Duration = Duration::from_millis(1_500);

/// Which way calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Through Kamailio, which asks for credentials; with RTP.
    Digest,
    /// With RTP.
    Direct,
    /// The callee wants no RTP.
    Silent,
}

impl Way {
    fn words(self) -> &'static str {
        match self {
            Self::Digest => "digest through Kamailio, RTP",
            Self::Direct => "direct, RTP",
            Self::Silent => "direct, no RTP",
        }
    }

    fn rtp(self) -> Rtp {
        match self {
            Self::Digest | Self::Direct => Rtp::Echo,
            Self::Silent => Rtp::None,
        }
    }

    /// Goal for the highest rate, calls a second.
    fn aim(self) -> Option<f64> {
        match self {
            Self::Digest => Some(500.0),
            Self::Direct => None,
            Self::Silent => Some(2_000.0),
        }
    }
}

/// What one side did at one rate.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    success_percent: f64,
    /// SUCCESS or with warnings.
    took_place_percent: f64,
    cpu_us: f64,
    setup_p50_ms: Option<f64>,
    setup_p99_ms: Option<f64>,
    /// Messages that came to the callee twice, or that it sent twice.
    again: u64,
}

impl Done {
    fn held(&self) -> bool {
        self.success_percent >= LEAST_PERCENT && self.again == 0
    }
}

/// All rates, ours and SIPp's in turn.
///
/// # Errors
/// Something does not start, or a run does not come to its end.
pub async fn run(bed: &mut Bed, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let kamailio = Kamailio::start(&bed.directory, &bed.cores.rest(), DOMAIN, PASSWORD).await?;
    report
        .versions
        .insert("kamailio", kamailio_words(kamailio.as_ref()));
    for way in [Way::Digest, Way::Direct, Way::Silent] {
        let proxy = match (way, &kamailio) {
            (Way::Digest, None) => continue,
            (Way::Digest, Some(kamailio)) => Some(kamailio.port),
            (Way::Direct | Way::Silent, _) => None,
        };
        let mut best = [0.0_f64; 2];
        for rate in rates(way, sizes) {
            let ours = ours(bed, way, proxy, rate, sizes, report).await?;
            let peer = peer(bed, way, proxy, rate, sizes).await?;
            tell(&case(way, rate, sizes), &ours, &peer, report);
            for (best, done) in best.iter_mut().zip([ours, peer]) {
                if done.held() {
                    *best = best.max(f64::from(rate));
                }
            }
        }
        let measure = "highest of these rates without a failure or retransmission";
        let finding = Finding::new(GOAL, way.words(), measure, "calls/s")
            .reeve(Some(best[0]))
            .peer(PEER, Some(best[1]))
            .aim(
                way.aim()
                    .filter(|_| !sizes.quick && sizes.only_rate.is_none())
                    .map(Aim::AtLeast),
            );
        report.findings.push(finding);
    }
    report.remarks.push(
        "SIP, calls/s: CPU for a call is that of the caller's whole process over the whole run; the worker's includes media, a row for each \
         second and call, the trace and the start of the run. SIPp as caller measures nothing and does not read what is echoed. Success of \
         SIPp is a call that went as its scenario says"
            .to_owned(),
    );
    Ok(())
}

fn kamailio_words(kamailio: Option<&Kamailio>) -> String {
    match kamailio {
        Some(_) => "as the demo starts it, two children".to_owned(),
        None => "MISSING: not installed, so nothing goes through it".to_owned(),
    }
}

fn rates(way: Way, sizes: &Sizes) -> Vec<u32> {
    if let Some(only) = sizes.only_rate {
        return vec![only];
    }
    match (way, sizes.quick) {
        (_, true) => vec![50],
        (Way::Digest, false) => vec![250, 500],
        // With RTP these are as many calls at once, beside their signalling.
        (Way::Direct, false) => vec![500, 1_000],
        (Way::Silent, false) => vec![1_000, 2_000],
    }
}

fn case(way: Way, rate: u32, sizes: &Sizes) -> String {
    let seconds = sizes.rated.as_secs();
    format!("{rate} calls/s of 1 s for {seconds} s, {}", way.words())
}

fn count(rate: u32, sizes: &Sizes) -> Result<u32> {
    Ok(rate * u32::try_from(sizes.rated.as_secs())?)
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand calls")]
fn tell(case: &str, ours: &Done, peer: &Done, report: &mut Report) {
    let both = |of: fn(&Done) -> Option<f64>| (of(ours), of(peer));
    for (measure, unit, (reeve, peer)) in [
        ("ended in SUCCESS", "%", both(|done| Some(done.success_percent))),
        (
            "took place, with warnings or without",
            "%",
            both(|done| Some(done.took_place_percent)),
        ),
        ("CPU for a call", "µs", both(|done| Some(done.cpu_us))),
        ("set-up, p50", "ms", both(|done| done.setup_p50_ms)),
        ("set-up, p99", "ms", both(|done| done.setup_p99_ms)),
        (
            "retransmissions that the callee saw or sent",
            "messages",
            both(|done| Some(done.again as f64)),
        ),
    ] {
        let figure = Figure {
            measure,
            unit,
            reeve,
            peer,
            aim: None,
        };
        figure.add(case, report);
    }
}

async fn ours(
    bed: &mut Bed,
    way: Way,
    proxy: Option<u16>,
    rate: u32,
    sizes: &Sizes,
    report: &mut Report,
) -> Result<Done> {
    let name = format!("rate-{way:?}-{rate}-callee");
    let callee = Sipp::callee(&bed.directory, &name, &bed.cores.rest(), way.rtp()).await?;
    bed.fresh_worker(None).await?;
    bed.registrar(proxy.unwrap_or(callee.port)).await?;
    let callers = count(rate, sizes)?;
    let calls = Calls {
        callers,
        buildup: sizes.rated,
        duration: TALK,
        uris: vec![format!("sip:echo@127.0.0.1:{}", callee.port)],
    };
    for share in calls.shares() {
        bed.accounts(&share.name, share.callers).await?;
    }
    let pid = bed.worker_pid()?;
    let before = cpu_time(pid).context("the worker is gone")?;
    let id = bed.submit(calls.definition()).await?;
    let limit = sizes.rated + TALK + PATIENCE;
    let (ended, stopped) = bed.ended_or_stopped(&id, limit).await?;
    let used = cpu_time(pid).context("the worker is gone")? - before;
    tokio::time::sleep(COUNTED).await;
    let seen = callee.so_far();
    let case = case(way, rate, sizes);
    let success = ended.with(EndpointOutcome::Success);
    if success < callers {
        report
            .remarks
            .push(format!("SIP, {case}: {} {stopped}", ended.words()));
    }
    remark_missing(&case, &ended.missing, report);
    let percent = |count: u32| f64::from(count) / f64::from(callers) * 100.0;
    let rows: Vec<_> = ended.evidence.rows.iter().collect();
    let setup = figures(&rows, |row| row.call_setup_time_ms);
    Ok(Done {
        success_percent: percent(success),
        took_place_percent: percent(success + ended.with(EndpointOutcome::CompletedWithWarnings)),
        cpu_us: used.as_secs_f64() * 1e6 / f64::from(callers),
        setup_p50_ms: quantile(&setup, 0.5),
        setup_p99_ms: quantile(&setup, 0.99),
        again: seen.came_again + seen.sent_again,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand calls")]
async fn peer(bed: &Bed, way: Way, proxy: Option<u16>, rate: u32, sizes: &Sizes) -> Result<Done> {
    let name = |role: &str| format!("rate-{way:?}-{rate}-peer-{role}");
    let callee = Sipp::callee(&bed.directory, &name("callee"), &bed.cores.rest(), way.rtp()).await?;
    let calls = count(rate, sizes)?;
    let spec = CallerSpec {
        to: proxy.unwrap_or(callee.port),
        target: format!("sip:echo@127.0.0.1:{}", callee.port),
        calls,
        per_second: rate,
        duration: TALK,
        rtp: way != Way::Silent,
        password: proxy.is_some().then_some(PASSWORD),
    };
    let mut caller = Sipp::caller(&bed.directory, &name("caller"), &bed.cores.first(), &spec)?;
    let mut used = Duration::ZERO;
    // Of a process that has ended nothing is known any more.
    let look = |pid| used = cpu_time(pid).filter(|time| !time.is_zero()).unwrap_or(used);
    let done = caller.ended(sizes.rated + TALK + MARGIN, look).await?;
    tokio::time::sleep(COUNTED).await;
    let seen = callee.so_far();
    let percent = done.successful as f64 / f64::from(calls) * 100.0;
    Ok(Done {
        success_percent: percent,
        took_place_percent: percent,
        cpu_us: used.as_secs_f64() * 1e6 / f64::from(calls),
        setup_p50_ms: None,
        setup_p99_ms: None,
        again: seen.came_again + seen.sent_again,
    })
}
