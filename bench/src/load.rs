//! The load generator, the same for us and for the peers: each client makes one call after the other.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;
use tonic::Status;

/// After this a call has failed.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failed call a client waits, so that a dead server is not asked in a busy loop.
const AFTER_ERROR: Duration = Duration::from_millis(20);

/// One client.
pub trait Caller: Send + 'static {
    /// Makes one call and waits for its answer.
    fn call(&mut self) -> impl Future<Output = Result<(), Status>> + Send;
}

/// How long the load lasts.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Not counted.
    pub warm_up: Duration,
    /// Counted.
    pub measured: Duration,
}

/// What one round of load gave.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Series {
    /// Calls that were answered within the measured time.
    pub operations: u64,
    /// The measured time.
    pub seconds: f64,
    /// Answered calls a second.
    pub per_second: f64,
    /// Half of the calls took at most this, milliseconds.
    pub p50_ms: f64,
    /// 99 % of the calls took at most this, milliseconds.
    pub p99_ms: f64,
    /// The slowest call, milliseconds.
    pub max_ms: f64,
    /// Calls that failed, by code.
    pub errors: BTreeMap<String, u64>,
}

/// Calls of one client.
struct Tally {
    /// Microseconds.
    latency: Histogram<u64>,
    errors: BTreeMap<String, u64>,
}

impl Tally {
    fn new() -> Result<Self> {
        Ok(Self {
            latency: Histogram::new_with_max(60_000_000, 3)?,
            errors: BTreeMap::new(),
        })
    }

    fn add(&mut self, other: &Self) -> Result<()> {
        self.latency.add(&other.latency)?;
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
        Ok(())
    }

    fn into_series(self, measured: Duration) -> Series {
        let ms = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1e3;
        let operations = self.latency.len();
        Series {
            operations,
            seconds: measured.as_secs_f64(),
            per_second: per_second(operations, measured),
            p50_ms: ms(self.latency.value_at_quantile(0.5)),
            p99_ms: ms(self.latency.value_at_quantile(0.99)),
            max_ms: ms(self.latency.max()),
            errors: self.errors,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn per_second(operations: u64, measured: Duration) -> f64 {
    operations as f64 / measured.as_secs_f64()
}

/// Lets every client call in a closed loop.
///
/// # Errors
/// A client panicked.
pub async fn closed_loop<C: Caller>(callers: Vec<C>, shape: Shape) -> Result<Series> {
    let from = Instant::now() + shape.warm_up;
    let to = from + shape.measured;
    let mut clients = JoinSet::new();
    for caller in callers {
        clients.spawn(client(caller, from, to));
    }
    let mut total = Tally::new()?;
    while let Some(tally) = clients.join_next().await {
        total.add(&tally??)?;
    }
    Ok(total.into_series(shape.measured))
}

async fn client<C: Caller>(mut caller: C, from: Instant, to: Instant) -> Result<Tally> {
    let mut tally = Tally::new()?;
    loop {
        let sent = Instant::now();
        if sent >= to {
            return Ok(tally);
        }
        let outcome = caller.call().await;
        let answered = Instant::now();
        // What began in the warm-up or ended after the end is not counted, for anybody.
        let counts = sent >= from && answered <= to;
        match outcome {
            Ok(()) if counts => {
                let micros = u64::try_from((answered - sent).as_micros()).unwrap_or(u64::MAX);
                tally.latency.saturating_record(micros);
            }
            Ok(()) => {}
            Err(status) => {
                if counts {
                    *tally.errors.entry(format!("{:?}", status.code())).or_default() += 1;
                }
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    struct Every(u64, u64);

    impl Caller for Every {
        async fn call(&mut self) -> Result<(), Status> {
            self.1 += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
            if self.1.is_multiple_of(self.0) {
                Err(Status::unavailable("on purpose"))
            } else {
                Ok(())
            }
        }
    }

    #[tokio::test]
    async fn answers_and_failures_are_counted_apart() {
        let shape = Shape {
            warm_up: Duration::ZERO,
            measured: Duration::from_millis(300),
        };
        let callers = (0..4).map(|_| Every(2, 0)).collect();
        let series = closed_loop(callers, shape).await.unwrap();
        assert!(series.operations > 0, "{series:?}");
        assert!(series.errors["Unavailable"] > 0, "{series:?}");
        assert!(series.p50_ms >= 1.0 && series.p50_ms <= series.p99_ms && series.p99_ms <= series.max_ms);
        assert!((series.per_second - per_second(series.operations, shape.measured)).abs() < 1e-9);
    }
}
