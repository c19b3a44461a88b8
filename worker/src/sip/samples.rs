//! What is measured, by the names that users know. Quality figures of a second in which the generator was late are not among them.

use std::time::Duration;

use reeve_media::Interval;
use reeve_proto::response::Response;
use reeve_sip::Closed;
use reeve_sip::figures::Figures;

use crate::clock::MonoMs;
use crate::evidence::Milli;
use crate::executor::Samples;

/// Final responses after which a caller knows that the other side was there: busy, no answer, rejected.
const EFFECTIVE: [u16; 6] = [480, 486, 600, 603, 607, 608];
/// The same for SEER (RFC 6076).
const SESSION_EFFECTIVE: [u16; 4] = [480, 486, 600, 603];

struct Figure(&'static str, Option<Milli>);

fn samples(at: MonoMs, offset: u32, figures: Vec<Figure>) -> Samples {
    let known = figures
        .into_iter()
        .filter_map(|Figure(name, value)| Some((name, value?)));
    let (metrics, values): (Vec<_>, Vec<_>) = known.unzip();
    Samples {
        at,
        offsets: if metrics.is_empty() {
            Vec::new()
        } else {
            vec![offset]
        },
        metrics,
        values,
        responses: Vec::new(),
    }
}

/// How requests of endpoints were answered, and nothing else.
pub fn of_responses(at: MonoMs, offsets: impl Iterator<Item = u32>, responses: Vec<Response>) -> Samples {
    Samples {
        at,
        metrics: Vec::new(),
        offsets: offsets.collect(),
        values: Vec::new(),
        responses,
    }
}

fn count(number: impl Into<i64>) -> Option<Milli> {
    Some(number.into().saturating_mul(1_000))
}

fn ms(micros: Option<u32>) -> Option<Milli> {
    micros.map(Milli::from)
}

fn rating(value: Option<f64>) -> Option<Milli> {
    // At most 100 in whole thousandths.
    value.map(|value| (value * 1_000.0).round() as Milli)
}

/// One second of an endpoint's media.
pub fn of_interval(at: MonoMs, offset: u32, interval: &Interval) -> Samples {
    let quality = interval.valid;
    let lost = interval.lost.max(0);
    let fraction =
        (quality && interval.expected > 0).then(|| lost.saturating_mul(1_000) / i64::from(interval.expected));
    samples(
        at,
        offset,
        vec![
            Figure("mos", rating(interval.mos.filter(|_| quality))),
            Figure("r_factor", rating(interval.r.filter(|_| quality))),
            Figure("jitter_ms", ms(interval.jitter_us.filter(|_| quality))),
            Figure("rtt_ms", ms(interval.rtt_us.filter(|_| quality))),
            Figure("fraction_lost", fraction),
            Figure("packets_lost", if quality { count(lost) } else { None }),
            Figure("packets_due", count(interval.tx_due)),
            Figure("packets_sent", count(interval.tx_sent)),
            Figure("packets_received", count(interval.rx)),
            Figure("duplicate_packets", count(interval.dup)),
            Figure("out_of_order_packets", count(interval.ooo)),
            Figure("late_packets", count(interval.discarded)),
            Figure("send_lateness_ms", i64::try_from(interval.tx_late_max_us).ok()),
            Figure("generator_late", count(i64::from(!interval.valid))),
        ],
    )
}

/// What is known of a call in the end. Ratios are one sample of 0 or 100 for each seizure: their mean is the ratio (R155, R156).
pub fn of_call(at: MonoMs, offset: u32, closed: &Closed, calls: bool) -> Samples {
    let figures = &closed.figures;
    let seized = calls && figures.seized;
    let ratio = |holds: bool| seized.then_some(if holds { 100_000 } else { 0 });
    let answered = figures.setup.is_some();
    let rang = figures.pdd.is_some();
    let responses = closed.responses.clone();
    let samples = samples(
        at,
        offset,
        vec![
            Figure("register_time_ms", span(figures.register)),
            Figure("trying_time_ms", span(figures.trying).filter(|_| calls)),
            Figure("auth_time_ms", span(figures.auth).filter(|_| calls)),
            Figure("pdd_ms", span(figures.pdd).filter(|_| calls)),
            Figure("call_setup_time_ms", span(figures.setup).filter(|_| calls)),
            Figure("ring_time_ms", span(figures.ring).filter(|_| calls)),
            Figure("asr", ratio(answered)),
            Figure("ner", ratio(answered || effective(figures, rang))),
            Figure(
                "seer",
                session_effective(figures).and_then(|holds| ratio(answered || holds)),
            ),
        ],
    );
    if samples.is_empty() && !responses.is_empty() {
        return of_responses(at, std::iter::once(offset), responses);
    }
    Samples { responses, ..samples }
}

/// Whether the network did its part although nobody answered.
fn effective(figures: &Figures, rang: bool) -> bool {
    match figures.code {
        Some(code) if EFFECTIVE.contains(&code) => true,
        // Rung and not answered.
        Some(408 | 487) => rang,
        Some(_) => false,
        None => rang,
    }
}

/// As RFC 6076 has it; redirections do not count at all.
fn session_effective(figures: &Figures) -> Option<bool> {
    match figures.code {
        Some(300..=399) => None,
        Some(code) => Some(SESSION_EFFECTIVE.contains(&code)),
        None => Some(false),
    }
}

fn span(span: Option<Duration>) -> Option<Milli> {
    span.map(|span| Milli::try_from(span.as_micros()).unwrap_or(Milli::MAX))
}

#[cfg(test)]
mod tests;
