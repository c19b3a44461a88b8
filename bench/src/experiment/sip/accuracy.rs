//! How exact figures are: calls over paths that do a known thing, and what the worker says of them.

use std::time::Duration;

use anyhow::Result;
use reeve_media::testkit::{Counted, Path};

use super::answerer::{Answerer, callee};
use super::bed::Bed;
use super::calls::Calls;
use super::evidence::{Row, figures, late_share, sum};
use super::{Figure, MARGIN, Sizes, remark_missing};
use crate::report::{Aim, Report};

/// The end of a call, in which its callee is silent.
const SILENCE: Duration = Duration::from_secs(4);
/// Rows at the beginning of a call, in which jitter is still settling.
const SETTLING: usize = 3;
/// Goals.
const MOST_RTT_MS: f64 = 0.5;
const MOST_JITTER_PERCENT: f64 = 10.0;
const MOST_MOS: f64 = 0.05;
/// Of the E-model (G.107, and G.113 for G.711 with concealment), written down once more: who checks must not use what is checked.
const R_DEFAULT: f64 = 93.2;
const BPL: f64 = 25.1;
const PTIME_MS: f64 = 20.0;
const BUFFER_MS: f64 = 40.0;

/// A path, and what it should look like.
struct Case {
    name: &'static str,
    words: &'static str,
    /// Each way.
    delay_ms: u64,
    /// From the callee to the worker.
    loss: f64,
    jitter_ms: u64,
}

const CASES: [Case; 5] = [
    case("rtt40", "round trip of 40 ms", 20, 0.0, 0),
    case("rtt400", "round trip of 400 ms", 200, 0.0, 0),
    case("loss1", "1 % loss", 0, 0.01, 0),
    case("loss5", "5 % loss", 0, 0.05, 0),
    case("jitter30", "jitter, uniform from 0 to 30 ms", 0, 0.0, 30),
];

const fn case(name: &'static str, words: &'static str, delay_ms: u64, loss: f64, jitter_ms: u64) -> Case {
    Case {
        name,
        words,
        delay_ms,
        loss,
        jitter_ms,
    }
}

impl Case {
    fn paths(&self) -> (&'static str, Path, Path) {
        let there = Path {
            delay: Duration::from_millis(self.delay_ms),
            ..Path::default()
        };
        let back = Path {
            loss: self.loss,
            jitter: Duration::from_millis(self.jitter_ms),
            ..there
        };
        (self.name, there, back)
    }

    /// The score that a second with this loss should have.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds are few")]
    fn theory(&self, row: &Row) -> Option<f64> {
        // The mean of a difference of two that are uniform.
        let jitter = self.jitter_ms as f64 / 3.0;
        row.mos?;
        Some(mos(2.0 * self.delay_ms as f64, row.fraction_lost?, jitter))
    }
}

/// The E-model's score.
fn mos(rtt_ms: f64, loss: f64, jitter_ms: f64) -> f64 {
    let ta = rtt_ms / 2.0 + PTIME_MS + BUFFER_MS.max(2.0 * jitter_ms);
    let idd = if ta <= 100.0 {
        0.0
    } else {
        let x = (ta / 100.0).log2();
        25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
    };
    let percent = loss * 100.0;
    let r = R_DEFAULT - idd - 95.0 * percent / (percent + BPL);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

/// One call for each path, all at once.
///
/// # Errors
/// Something does not start, or the run does not come to its end.
pub async fn run(bed: &mut Bed, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let paths = CASES.each_ref().map(Case::paths);
    let heard = sizes.long;
    let answerer = Answerer::start(&paths, heard).await?;
    bed.fresh_worker(None).await?;
    bed.registrar(answerer.port).await?;
    let uri = |case: &Case| format!("sip:{}@127.0.0.1:{}", case.name, answerer.port);
    let calls = Calls {
        callers: u32::try_from(CASES.len())?,
        buildup: Duration::ZERO,
        duration: heard + SILENCE,
        uris: CASES.iter().map(uri).collect(),
    };
    for share in calls.shares() {
        bed.accounts(&share.name, share.callers).await?;
    }
    let id = bed.submit(calls.definition()).await?;
    let ended = bed.ended(&id, heard + SILENCE + MARGIN).await?;
    for (case, share) in CASES.iter().zip(calls.shares()) {
        let of_case = |row: &&Row| row.is_interval() && row.group == share.name;
        let rows: Vec<&Row> = ended.evidence.rows.iter().filter(of_case).collect();
        tell(
            case,
            &rows,
            callee(&answerer, case.name)?.counted(),
            heard,
            report,
        );
    }
    report.remarks.push(format!(
        "SIP, accuracy: {} calls at once for {} s; outcomes {} (a callee falls silent {} s before the end, so that nothing is under way then: \
         \"a second without a packet\"); the relay is a process without priority and delays by what it oversleeps, too",
        CASES.len(),
        heard.as_secs(),
        ended.words(),
        SILENCE.as_secs()
    ));
    remark_missing("accuracy", &ended.missing, report);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand packets")]
fn tell(case: &Case, rows: &[&Row], counted: Counted, heard: Duration, report: &mut Report) {
    let whole = usize::try_from(heard.as_secs()).unwrap_or(0);
    let steady: Vec<&Row> = rows.iter().copied().take(whole).skip(SETTLING).collect();
    let mean = |figure: fn(&Row) -> Option<f64>| {
        let all = figures(&steady, figure);
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    };
    let mut add = |measure: &str, unit, reeve, most: Option<f64>| {
        let figure = Figure {
            measure,
            unit,
            reeve,
            peer: None,
            aim: most.map(Aim::AtMost),
        };
        figure.add(case.words, report);
    };
    if case.delay_ms > 0 {
        let rtt = mean(|row| row.rtt_ms);
        let error = rtt.map(|rtt| (rtt - 2.0 * case.delay_ms as f64).abs());
        add("round trip, mean", "ms", rtt, None);
        add("its error", "ms", error, Some(MOST_RTT_MS));
    }
    if case.jitter_ms > 0 {
        let jitter = mean(|row| row.jitter_ms);
        let theory = case.jitter_ms as f64 / 3.0;
        let error = jitter.map(|jitter| (jitter - theory).abs() / theory * 100.0);
        add("jitter, mean", "ms", jitter, None);
        add(
            "its distance from theory (10 ms)",
            "%",
            error,
            Some(MOST_JITTER_PERCENT),
        );
    }
    if case.loss > 0.0 {
        let passed = counted.came.saturating_sub(counted.lost) as f64;
        let received = passed - sum(rows, |row| row.packets_received);
        // An invalid second does not say what was lost in it.
        let whole = late_share(rows) == Some(0.0);
        let lost = whole.then(|| (counted.lost as f64 - sum(rows, |row| row.packets_lost)).abs());
        add(
            "packets lost by the relay",
            "packets",
            Some(counted.lost as f64),
            None,
        );
        add(
            "packets that it passed and the worker did not count",
            "packets",
            Some(received.abs()),
            Some(0.0),
        );
        add("losses that only one of them counted", "packets", lost, Some(0.0));
    }
    let score = mean(|row| row.mos);
    let theories: Vec<f64> = steady.iter().filter_map(|row| case.theory(row)).collect();
    let theory = theories.iter().sum::<f64>() / theories.len() as f64;
    add("MOS, mean", "", score, None);
    let distance = score.map(|score| (score - theory).abs());
    add(
        &format!("its distance from theory ({theory:.3})"),
        "",
        distance,
        Some(MOST_MOS),
    );
    add("seconds that are invalid", "%", late_share(rows), None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_what_the_recommendation_says() {
        for (rtt, loss, jitter, expected) in [
            (0.0, 0.0, 0.0, 4.409),
            (400.0, 0.0, 0.0, 4.134),
            (0.0, 0.05, 0.0, 3.92),
            (0.0, 0.01, 10.0, 4.33),
        ] {
            let score = mos(rtt, loss, jitter);
            assert!((score - expected).abs() < 0.006, "{rtt} {loss} {jitter}: {score}");
        }
    }
}
