//! A worker that gets too little of a processor: whether it says so, and whether it keeps silent about quality meanwhile.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use reeve_proto::v1::WorkerStatus;

use super::bed::{Bed, Ended};
use super::calls::Calls;
use super::evidence::Row;
use super::sink::{Arrivals, MOST_GAP_MS, Sink, has_gap};
use super::{Figure, MARGIN, Sizes, remark_missing};
use crate::confine::Quota;
use crate::peer::sipp::{Rtp, Sipp};
use crate::report::{Aim, Report};
use crate::stats::worst;

/// What it has until all calls stand, per cent of a processor. Below the whole, so that it looks at itself and not at the machine.
const ENOUGH_PERCENT: u32 = 95;
const PAUSE: Duration = Duration::from_millis(100);

/// Builds the calls up, takes the processor away, and looks at what was exported and at what the other side got.
///
/// # Errors
/// Something does not start, or the run does not come to its end.
pub async fn run(bed: &mut Bed, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let Some(quota) = Quota::create() else {
        report
            .remarks
            .push("SIP, starved: not measured; control groups need root".to_owned());
        return Ok(());
    };
    let case = format!(
        "{} calls on {} % of a processor for {} s",
        sizes.starving_calls,
        sizes.starved_percent,
        sizes.starved.as_secs()
    );
    let sink = Sink::start()?;
    let outcome = starve(bed, &quota, sink.port, sizes, report).await;
    bed.stop_worker();
    let (ended, error_after) = outcome?;
    let arrivals = sink.end()?;
    let checked = Checked::of(&ended, &arrivals);
    for (measure, unit, value, most) in [
        ("seconds of calls", "rows", checked.rows, None),
        (
            "of them with packets missed or over 20 ms late",
            "rows",
            checked.late,
            None,
        ),
        ("quality figures in these", "figures", checked.lies, Some(0.0)),
        (
            "rows with quality in whose second the callee saw a gap",
            "rows",
            checked.gaps,
            Some(0.0),
        ),
        (
            "datagrams that are in the evidence",
            "datagrams",
            checked.sent,
            None,
        ),
        (
            "difference to those that the callee got",
            "datagrams",
            (checked.sent - checked.came).abs(),
            Some(0.0),
        ),
        ("latest packet", "ms", checked.latest, None),
    ] {
        let figure = Figure {
            measure,
            unit,
            reeve: Some(value),
            peer: None,
            aim: most.map(Aim::AtMost),
        };
        figure.add(&case, report);
    }
    let figure = Figure {
        measure: "until the worker was ERROR",
        unit: "s",
        reeve: error_after.map(|after| after.as_secs_f64()),
        peer: None,
        aim: None,
    };
    figure.add(&case, report);
    report.remarks.push(format!(
        "SIP, {case}: outcomes {}; the worker {}; a gap is more than {MOST_GAP_MS} ms between two packets of a call as they came to a socket of \
         reeve-bench; {} rows of {} could be held against a call of the callee",
        ended.words(),
        error_after.map_or("stayed ONLINE".to_owned(), |after| format!(
            "turned ERROR {:.1} s after its processor was taken away",
            after.as_secs_f64()
        )),
        checked.compared,
        checked.rows
    ));
    remark_missing(&case, &ended.missing, report);
    Ok(())
}

async fn starve(
    bed: &mut Bed,
    quota: &Quota,
    media: u16,
    sizes: &Sizes,
    report: &mut Report,
) -> Result<(Ended, Option<Duration>)> {
    let rest = bed.cores.rest();
    let callee = Sipp::callee(&bed.directory, "starved-callee", &rest, Rtp::Elsewhere(media)).await?;
    quota.limit(Some(ENOUGH_PERCENT))?;
    bed.fresh_worker(Some(quota)).await?;
    bed.registrar(callee.port).await?;
    let calls = Calls {
        callers: sizes.starving_calls,
        buildup: sizes.buildup,
        duration: sizes.buildup + sizes.starved,
        uris: vec![format!("sip:echo@127.0.0.1:{}", callee.port)],
    };
    for share in calls.shares() {
        bed.accounts(&share.name, share.callers).await?;
    }
    let id = bed.submit(calls.definition()).await?;
    bed.until_in_call(&id, calls.callers, sizes.buildup * 2).await?;
    quota.limit(Some(sizes.starved_percent))?;
    let begun = Instant::now();
    let mut error_after = None;
    while begun.elapsed() < sizes.starved + sizes.buildup && error_after.is_none() {
        let worker = bed.worker().await?;
        error_after = (worker.status() == WorkerStatus::Error).then(|| begun.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    let ended = bed.ended(&id, sizes.starved + sizes.buildup + MARGIN).await;
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            report.remarks.push(format!(
                "SIP, starved: the run was not over {} s after it should have been, so the worker got its processor back ({error:#})",
                MARGIN.as_secs()
            ));
            quota.limit(None)?;
            bed.ended(&id, MARGIN).await?
        }
    };
    Ok((ended, error_after))
}

/// What was exported, held against itself and against what came.
#[derive(Debug, Default, PartialEq)]
struct Checked {
    rows: f64,
    late: f64,
    /// Quality figures in rows of seconds that were not kept.
    lies: f64,
    /// Rows with quality in seconds in which the other side saw a gap.
    gaps: f64,
    compared: f64,
    sent: f64,
    came: f64,
    latest: f64,
}

impl Checked {
    #[expect(clippy::cast_precision_loss, reason = "a few million packets")]
    fn of(ended: &Ended, arrivals: &Arrivals) -> Self {
        let mut checked = Self {
            came: arrivals.values().map(Vec::len).sum::<usize>() as f64,
            ..Self::default()
        };
        let rows = ended.evidence.intervals();
        let lateness: Vec<f64> = rows.iter().filter_map(|row| row.send_lateness_ms).collect();
        checked.latest = worst(&lateness).unwrap_or(0.0);
        // Rows of a call are in the order of its seconds.
        let mut seconds: HashMap<(&str, u32), u32> = HashMap::new();
        for row in rows {
            let who = (row.group.as_str(), row.endpoint);
            let second = seconds.entry(who).or_default();
            let port = ended.evidence.ports.get(&(row.group.clone(), row.endpoint));
            checked.row(row, *second, port.and_then(|port| arrivals.get(port)));
            *second += 1;
        }
        checked
    }

    fn row(&mut self, row: &Row, second: u32, arrivals: Option<&Vec<u32>>) {
        self.rows += 1.0;
        self.sent += row.packets_sent.unwrap_or(0.0);
        if row.was_late() || row.says_late() {
            self.late += 1.0;
            self.lies += f64::from(u32::try_from(row.quality()).unwrap_or(u32::MAX));
        }
        let Some(arrivals) = arrivals else { return };
        self.compared += 1.0;
        if row.quality() > 0 && has_gap(arrivals, second) {
            self.gaps += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_of_a_second_that_was_not_kept_is_counted_by_either_side() {
        let row = |sent: f64, mos| Row {
            packets_due: Some(50.0),
            packets_sent: Some(sent),
            mos,
            ..Row::default()
        };
        let steady: Vec<u32> = (0..200).map(|number| number * 20).collect();
        let mut checked = Checked::default();
        checked.row(&row(50.0, Some(4.4)), 0, Some(&steady));
        checked.row(&row(30.0, None), 1, Some(&steady));
        assert_eq!((checked.late, checked.lies, checked.gaps), (1.0, 0.0, 0.0));
        checked.row(&row(30.0, Some(4.4)), 1, Some(&steady));
        assert_eq!(checked.lies, 1.0);
        // It says that it kept time, and nothing came.
        checked.row(&row(50.0, Some(4.4)), 1, Some(&vec![0, 20, 5_000]));
        assert_eq!(checked.gaps, 1.0);
    }
}
