//! Measures how long writes are unavailable: small writes at a steady pace through several nodes, answered or not.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::load::Caller;

/// An outage longer than this is reported as an error.
const LIMIT: Duration = Duration::from_secs(30);

/// A write that was acknowledged.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    sent: Instant,
    answered: Instant,
}

/// Writers that send without waiting for earlier answers, so that one that hangs hides nothing.
pub struct Probe {
    acknowledged: UnboundedReceiver<Acknowledged>,
    _writers: JoinSet<()>,
}

impl Probe {
    /// One writer for each caller, each sending once in `pace`.
    pub fn start<C: Caller + Clone + Sync>(callers: Vec<C>, pace: Duration) -> Self {
        let (sender, acknowledged) = unbounded_channel();
        let mut writers = JoinSet::new();
        for caller in callers {
            writers.spawn(write(caller, pace, sender.clone()));
        }
        Self {
            acknowledged,
            _writers: writers,
        }
    }

    /// From `instant` until the first acknowledgement of a write that was sent after it.
    ///
    /// # Errors
    /// There was none for half a minute.
    pub async fn first_after(&mut self, instant: Instant) -> Result<Duration> {
        loop {
            let next = self.next(instant + LIMIT).await?;
            if next.sent > instant {
                return Ok(next.answered.duration_since(instant));
            }
        }
    }

    /// Longest time between two acknowledgements that follow each other, from the first one to the first at or after
    /// `until`.
    ///
    /// # Errors
    /// There was none for half a minute.
    pub async fn longest_gap(&mut self, until: Instant) -> Result<Duration> {
        let mut last = self.next(until + LIMIT).await?.answered;
        let mut longest = Duration::ZERO;
        while last < until {
            let answered = self.next(until + LIMIT).await?.answered;
            longest = longest.max(answered.saturating_duration_since(last));
            last = answered;
        }
        Ok(longest)
    }

    async fn next(&mut self, deadline: Instant) -> Result<Acknowledged> {
        match timeout_at(deadline, self.acknowledged.recv()).await {
            Ok(next) => next.context("every writer ended"),
            Err(_) => bail!("no write was acknowledged for {LIMIT:?}"),
        }
    }
}

async fn write<C: Caller + Clone + Sync>(caller: C, pace: Duration, sender: UnboundedSender<Acknowledged>) {
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut calls = JoinSet::new();
    loop {
        ticks.tick().await;
        while calls.try_join_next().is_some() {}
        let (mut caller, sender) = (caller.clone(), sender.clone());
        calls.spawn(async move {
            let sent = Instant::now();
            if caller.call().await.is_ok() {
                // The probe may be over; then nobody asks any more.
                let _ = sender.send(Acknowledged {
                    sent,
                    answered: Instant::now(),
                });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tonic::Status;

    use super::*;

    #[derive(Clone)]
    struct Switch(Arc<AtomicBool>);

    impl Caller for Switch {
        async fn call(&mut self) -> Result<(), Status> {
            match self.0.load(Ordering::SeqCst) {
                true => Ok(()),
                false => Err(Status::unavailable("off")),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_measured_from_its_start_to_the_first_answer() {
        let on = Arc::new(AtomicBool::new(true));
        let mut probe = Probe::start(vec![Switch(Arc::clone(&on))], Duration::from_millis(10));
        probe.first_after(Instant::now()).await.unwrap();
        let off_at = Instant::now();
        on.store(false, Ordering::SeqCst);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            on.store(true, Ordering::SeqCst);
        });
        let outage = probe.first_after(off_at).await.unwrap();
        assert!((300..=311).contains(&outage.as_millis()), "{outage:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_gap_is_found() {
        let on = Arc::new(AtomicBool::new(true));
        let mut probe = Probe::start(vec![Switch(Arc::clone(&on))], Duration::from_millis(10));
        let switch = tokio::spawn(async move {
            for (state, millis) in [(false, 100), (true, 200)] {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                on.store(state, Ordering::SeqCst);
            }
        });
        switch.await.unwrap();
        let gap = probe
            .longest_gap(Instant::now() + Duration::from_millis(100))
            .await
            .unwrap();
        assert!((200..=220).contains(&gap.as_millis()), "{gap:?}");
    }
}
