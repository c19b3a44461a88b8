//! From how many calls on a worker with a share of a processor no longer keeps time, and whether it had said so before.

use std::time::Duration;

use anyhow::Result;

use super::bed::Bed;
use super::calls::Calls;
use super::evidence::late_share;
use super::sink::Sink;
use super::{Figure, MARGIN, Sizes, now_ms};
use crate::confine::Quota;
use crate::peer::sipp::{Rtp, Sipp};
use crate::report::{Aim, Report};

/// More invalid seconds than this, per cent, and the worker is beyond what it can do.
const MOST_INVALID: f64 = 1.0;
/// Calls that begin in a second while they build up.
const CALLS_A_SECOND: u32 = 40;
const SLACK: Duration = Duration::from_secs(4);
/// From one step to the next, in quarters.
const QUARTERS: u32 = 5;
/// Steps upwards at most.
const MOST_STEPS: usize = 10;
/// Halvings between the last that held and the first that did not.
const HALVINGS: usize = 2;

/// What was found at one number of calls.
struct Step {
    invalid_percent: f64,
    /// Periods in which the worker was denied the processor: without any, it was the machine that was late.
    throttled: u64,
}

impl Step {
    fn words(&self, calls: u32) -> String {
        let Self {
            invalid_percent,
            throttled,
            ..
        } = self;
        format!("{calls} calls {invalid_percent:.1} % ({throttled} periods throttled)")
    }
}

/// Searches upwards, then between.
///
/// # Errors
/// Something does not start, or a run does not come to its end.
pub async fn run(bed: &mut Bed, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let Some(quota) = Quota::create() else {
        report
            .remarks
            .push("SIP, onset: not measured; control groups need root".to_owned());
        return Ok(());
    };
    let found = search(bed, &quota, sizes, report).await;
    bed.stop_worker();
    let (onset, capacity) = found?;
    let case = format!("worker on {} % of a processor", sizes.onset_percent);
    let figure = |measure, unit, reeve, aim| Figure {
        measure,
        unit,
        reeve,
        peer: None,
        aim,
    };
    let held = "most calls with at most 1 % of seconds invalid";
    figure(held, "calls", Some(f64::from(onset)), None).add(&case, report);
    figure("SIP capacity that it tells of itself", "calls", capacity, None).add(&case, report);
    let ratio = capacity.filter(|_| onset > 0).map(|told| told / f64::from(onset));
    let aim = Some(Aim::Between(0.8, 1.2));
    figure("told by found", "", ratio, aim).add(&case, report);
    if capacity.is_none() {
        report
            .remarks
            .push("SIP, onset: the worker tells no SIP capacity (`GET /healthz`)".to_owned());
    }
    Ok(())
}

async fn search(
    bed: &mut Bed,
    quota: &Quota,
    sizes: &Sizes,
    report: &mut Report,
) -> Result<(u32, Option<f64>)> {
    let (mut held, mut broke) = (0, None);
    quota.limit(Some(sizes.onset_percent))?;
    let capacity = bed.told_capacity(quota).await?;
    let mut calls = sizes.onset_from;
    let mut halvings = 0;
    let mut words = Vec::new();
    for _ in 0..MOST_STEPS + HALVINGS {
        let mut found = step(bed, quota, calls, sizes).await?;
        words.push(found.words(calls));
        if found.invalid_percent > MOST_INVALID {
            // What else the machine does can do that once.
            let again = step(bed, quota, calls, sizes).await?;
            words.push(again.words(calls));
            found.invalid_percent = found.invalid_percent.min(again.invalid_percent);
        }
        if found.invalid_percent <= MOST_INVALID {
            held = calls;
        } else {
            broke = Some(calls);
        }
        calls = match broke {
            None => calls * QUARTERS / 4,
            Some(broke) => {
                if halvings == HALVINGS || broke - held <= 1 {
                    break;
                }
                // Below the first step there may be nothing that holds: downwards it goes faster.
                halvings += usize::from(held > 0);
                u32::midpoint(held, broke)
            }
        };
    }
    report
        .remarks
        .push(format!("SIP, onset: invalid seconds at {}", words.join(", ")));
    Ok((held, capacity))
}

async fn step(bed: &mut Bed, quota: &Quota, callers: u32, sizes: &Sizes) -> Result<Step> {
    let sink = Sink::start()?;
    let rest = bed.cores.rest();
    let name = format!("onset-{callers}-callee");
    let callee = Sipp::callee(&bed.directory, &name, &rest, Rtp::Elsewhere(sink.port)).await?;
    quota.limit(Some(sizes.onset_percent))?;
    bed.fresh_worker(Some(quota)).await?;
    bed.registrar(callee.port).await?;
    let buildup = Duration::from_secs(u64::from(callers.div_ceil(CALLS_A_SECOND)));
    let calls = Calls {
        callers,
        buildup,
        duration: buildup + sizes.onset_measured + SLACK,
        uris: vec![format!("sip:echo@127.0.0.1:{}", callee.port)],
    };
    for share in calls.shares() {
        bed.accounts(&share.name, share.callers).await?;
    }
    let id = bed.submit(calls.definition()).await?;
    // Fewer may stand, if it is beyond what the worker can do.
    bed.until_in_call(&id, callers, buildup + SLACK).await?;
    let (from, throttled) = (now_ms(), quota.throttled());
    tokio::time::sleep(sizes.onset_measured).await;
    let until = now_ms();
    let throttled = quota.throttled() - throttled;
    // What remains is not measured.
    quota.limit(None)?;
    let ended = bed.ended(&id, calls.duration + MARGIN).await?;
    sink.end()?;
    let rows = ended.evidence.between(from, until);
    Ok(Step {
        // Without a row it kept no second at all.
        invalid_percent: late_share(&rows).unwrap_or(100.0),
        throttled,
    })
}
