//! One term of leadership: a loop that wakes, looks and proposes. There is one, so no two passes run at once.

use std::time::Duration;

use reeve_state::time::Time;
use reeve_store::{FeedItem, Leadership};
use tokio::time::Instant;

use super::dirty::Dirty;
use super::fleet::FleetPlanner;
use super::outcome::LostLead;
use super::probes::ProbePlanner;
use super::runs::RunPlanner;
use crate::context::Context;

/// Least rest before a look at what changed: what commits together is looked at together.
const SHORTEST_REST: Duration = Duration::from_micros(300);
/// Most rest before a look at what changed, and the rest before a plan that was refused is made again.
const LONGEST_REST: Duration = Duration::from_millis(5);
/// The longest sleep: cluster time is slewed, so far deadlines are measured again.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// What a leader keeps while it leads. All of it can be found again in the state.
pub(super) struct Lead {
    context: Context,
    dirty: Dirty,
    runs: RunPlanner,
    fleet: FleetPlanner,
    probes: ProbePlanner,
}

impl Lead {
    pub(super) fn new(context: &Context, leadership: Leadership) -> Self {
        let term = leadership.term;
        let now = context.store.cluster_now();
        let led_ms = u64::try_from(leadership.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let since = Time(now.0.saturating_sub(led_ms));
        Self {
            dirty: Dirty::default(),
            runs: RunPlanner::new(context, term, since),
            fleet: FleetPlanner::new(context, term, since, leadership.since),
            probes: ProbePlanner::new(context, term),
            context: context.clone(),
        }
    }

    /// Leads until the log refuses the term or the store is closed. Everything that is live is looked at first.
    pub(super) async fn run(&mut self) {
        let Ok(mut feed) = self.context.store.watch(None) else {
            tracing::error!("the change feed cannot be read from its end");
            return;
        };
        self.everything();
        let mut debounce: Option<Instant> = Some(Instant::now());
        loop {
            let wake = debounce.unwrap_or_else(|| self.next_wake());
            tokio::select! {
                // First: a busy feed must not keep planners waiting.
                biased;
                () = tokio::time::sleep_until(wake) => {
                    debounce = None;
                    if let Err(LostLead) = self.pass().await {
                        return;
                    }
                    // Plans that were refused because the state moved on come again at once, but not in the same breath.
                    if self.dirty.wants_pass() {
                        debounce = Some(Instant::now() + LONGEST_REST);
                    }
                }
                item = feed.next() => match item {
                    Some(item) => {
                        self.note(item);
                        if self.dirty.wants_look() {
                            debounce.get_or_insert_with(|| Instant::now() + self.rest());
                        }
                    }
                    None => return,
                },
            }
        }
    }

    fn note(&mut self, item: FeedItem) {
        match item {
            FeedItem::Changes { changes, .. } => self.dirty.note(&changes),
            FeedItem::Reset { revision, .. } => {
                tracing::info!(%revision, "the change feed was reset; looking at everything that is live");
                self.everything();
            }
        }
    }

    fn everything(&mut self) {
        self.dirty = Dirty::everything(&self.context.store.local());
        self.runs.reset();
        self.fleet.reset();
        self.probes.reset();
    }

    async fn pass(&mut self) -> Result<(), LostLead> {
        self.fleet.pass(&mut self.dirty).await?;
        self.probes.pass(&mut self.dirty).await?;
        self.runs.pass(&mut self.dirty).await
    }

    /// As long as the last plan took to make: a run that comes alone is not kept waiting, and planning takes at most half of a core.
    fn rest(&self) -> Duration {
        self.runs.planning().clamp(SHORTEST_REST, LONGEST_REST)
    }

    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let latest = now + LONGEST_SLEEP;
        let cluster_now = self.context.store.cluster_now();
        let at = |time: Time| now + Duration::from_millis(time.since(cluster_now).0);
        let times = [
            self.runs.next_wake(),
            self.fleet.next_drain(),
            self.fleet.next_registry(),
            self.probes.next_wake(),
        ];
        times
            .into_iter()
            .flatten()
            .map(at)
            .chain([self.fleet.next_look(), latest])
            .min()
            .unwrap_or(latest)
    }
}
