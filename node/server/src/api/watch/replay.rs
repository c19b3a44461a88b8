//! The state as it was at each revision of the last few commands: today's state, taken back by their changes and brought forward
//! again one by one. So a run is shown exactly as each command left it, however late it is looked at.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use reeve_proto::v1::ResourceKind as Kind;
use reeve_proto::v1::resource::Resource;
use reeve_state::State;
use reeve_state::change::{Change, Row};
use reeve_state::id::{Revision, RunId, ScopedName};
use reeve_state::record::{Assignment, AssignmentKey, Run};
use tokio::time::Instant;

use super::super::Api;
use super::counts::Counts;
use super::event::{Event, Tags, Unit};
use super::filter::Filter;
use super::kinds::{self, Touch};
use crate::convert::{run, sip};

/// One command's changes.
pub struct Step {
    /// The state's revision after it.
    pub revision: Revision,
    /// Every row that it changed.
    pub changes: Arc<[Change]>,
}

/// Commands that are being shown, one after the other.
pub struct Replay {
    /// With all of them applied.
    state: Arc<State>,
    steps: VecDeque<Step>,
    /// Rows that differ from those of `state`.
    runs: BTreeMap<RunId, Option<Arc<Run>>>,
    assignments: BTreeMap<AssignmentKey, Option<Arc<Assignment>>>,
    /// Pools of accounts, and the last command that touches each: they are counted once, as they are in the end.
    pools: BTreeMap<ScopedName, Revision>,
}

/// Who is shown things, and how often counts.
pub struct View<'a> {
    /// The handlers.
    pub api: &'a Api,
    /// What is left out.
    pub filter: &'a Filter,
    /// Counts that wait.
    pub counts: &'a mut Counts,
}

impl Replay {
    /// `state` is the one after the last of the steps. Runs that the filter leaves out are not followed.
    pub fn new(state: Arc<State>, steps: VecDeque<Step>, filter: &Filter) -> Self {
        let mut replay = Self {
            state,
            steps,
            runs: BTreeMap::new(),
            assignments: BTreeMap::new(),
            pools: BTreeMap::new(),
        };
        if filter.wants(Kind::AccountPool) {
            replay.pools = touched_pools(&replay.steps);
        }
        for change in replay.steps.iter().flat_map(|step| step.changes.iter()) {
            match change {
                Change::Run(delta) if filter.wants_run(delta.key) => {
                    let before = || delta.before.clone();
                    replay.runs.entry(delta.key).or_insert_with(before);
                }
                Change::Assignment(delta) if filter.wants_run(delta.key.run) => {
                    let before = || delta.before.clone();
                    replay.assignments.entry(delta.key).or_insert_with(before);
                }
                // Of other objects, only the changed row itself is shown.
                Change::Run(_)
                | Change::Assignment(_)
                | Change::Test(_)
                | Change::Chunk(_)
                | Change::Worker(_)
                | Change::Request(_)
                | Change::Event(_)
                | Change::Key(_)
                | Change::Project(_)
                | Change::Registrar(_)
                | Change::SipAccount(_)
                | Change::SipLease(_)
                | Change::Media(_)
                | Change::Probe(_)
                | Change::ProbeSlot(_)
                | Change::Manifest(_)
                | Change::Summary(_)
                | Change::Webhook(_)
                | Change::Delivery(_) => {}
            }
        }
        replay
    }

    /// The state after all steps.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// What the next command did. Counts are not in it: they wait until all commands are shown.
    pub fn next(&mut self, view: &mut View<'_>, now: Instant) -> Option<Unit> {
        let step = self.steps.pop_front()?;
        let mut events = Vec::new();
        let mut touched = BTreeMap::new();
        for change in step.changes.iter() {
            self.advance(change);
            match kinds::touch(change) {
                Touch::Nothing | Touch::Keys => {}
                Touch::Run(run) | Touch::Counts(run) if !view.filter.wants_run(run) => {}
                Touch::Put(row) => events.extend(self.event(view, &row, false, step.revision)),
                Touch::Deleted(row) => {
                    events.extend(self.event(view, &row, true, step.revision));
                    if let Row::Run(run) = row {
                        touched.remove(&run.id);
                        view.counts.shown(run.id, now);
                    }
                }
                Touch::Run(run) => {
                    touched.insert(run, true);
                }
                Touch::Counts(run) => {
                    touched.entry(run).or_insert(false);
                }
                Touch::Pool(pool) => {
                    // Its other accounts in the same command find it gone.
                    if self.pools.get(&pool) == Some(&step.revision) {
                        self.pools.remove(&pool);
                        events.extend(self.pool_event(view, &pool, step.revision));
                    }
                }
            }
        }
        for (id, itself) in touched {
            if itself {
                view.counts.shown(id, now);
                events.extend(self.run_event(view, id, step.revision));
            } else {
                view.counts.changed(id, step.revision, now);
            }
        }
        Some(Unit {
            at: step.revision,
            complete: view.counts.complete(step.revision),
            events,
        })
    }

    /// Runs whose counts are due, as they are after all steps. `None`: there are none.
    pub fn counts(&mut self, view: &mut View<'_>, at: Revision, now: Instant) -> Option<Unit> {
        let due = view.counts.due(now);
        if due.is_empty() {
            return None;
        }
        let events = due.into_iter().filter_map(|id| self.run_event(view, id, at));
        Some(Unit {
            at,
            events: events.collect(),
            complete: view.counts.complete(at),
        })
    }

    fn advance(&mut self, change: &Change) {
        match change {
            // Rows that are followed are all there.
            Change::Run(delta) => {
                if let Some(row) = self.runs.get_mut(&delta.key) {
                    row.clone_from(&delta.after);
                }
            }
            Change::Assignment(delta) => {
                if let Some(row) = self.assignments.get_mut(&delta.key) {
                    row.clone_from(&delta.after);
                }
            }
            Change::Test(_)
            | Change::Chunk(_)
            | Change::Worker(_)
            | Change::Request(_)
            | Change::Event(_)
            | Change::Key(_)
            | Change::Project(_)
            | Change::Registrar(_)
            | Change::SipAccount(_)
            | Change::SipLease(_)
            | Change::Media(_)
            | Change::Probe(_)
            | Change::ProbeSlot(_)
            | Change::Manifest(_)
            | Change::Summary(_)
            | Change::Webhook(_)
            | Change::Delivery(_) => {}
        }
    }

    fn event(&self, view: &View<'_>, row: &Row, deleted: bool, at: Revision) -> Option<Arc<Event>> {
        if !view.filter.wants(kinds::kind(row)?) {
            return None;
        }
        let tags = if let Row::Run(run) = row {
            self.run_tags(run)
        } else {
            kinds::tags(&self.state, row)?
        };
        if !view.filter.passes(&tags, deleted) {
            return None;
        }
        let put = match deleted {
            true => None,
            false => Some(kinds::resource(view.api, &self.state, row)?),
        };
        Some(Arc::new(Event::new(tags, put, at)))
    }

    /// A pool of accounts after all steps; without accounts it is gone.
    fn pool_event(&self, view: &View<'_>, pool: &ScopedName, at: Revision) -> Option<Arc<Event>> {
        let tags = kinds::named(Kind::AccountPool, pool);
        let is_there = self.state.pool_size(pool) > 0;
        let put = || Resource::AccountPool(sip::pool(&self.state, pool));
        let passes = view.filter.passes(&tags, !is_there);
        passes.then(|| Arc::new(Event::new(tags, is_there.then(put), at)))
    }

    /// A run as it is at this step; `None` if it is gone, or not asked for.
    fn run_event(&self, view: &View<'_>, id: RunId, at: Revision) -> Option<Arc<Event>> {
        let row = match self.runs.get(&id) {
            Some(row) => row.as_ref()?,
            None => self.state.run(id)?,
        };
        let tags = self.run_tags(row);
        if !view.filter.passes(&tags, false) {
            return None;
        }
        let assignments: Vec<Arc<Assignment>> = self.assignments_of(id).into_values().collect();
        let put = run::run_with(&self.state, row, &assignments);
        Some(Arc::new(Event::new(tags, Some(Resource::Run(put)), at)))
    }

    fn run_tags(&self, row: &Run) -> Tags {
        kinds::run_tags(row, self.assignments_of(row.id).values())
    }

    fn assignments_of(&self, run: RunId) -> BTreeMap<AssignmentKey, Arc<Assignment>> {
        let rows = self.state.assignments(run);
        let mut all: BTreeMap<_, _> = rows.map(|row| (row.key, Arc::clone(row))).collect();
        let (first, last) = (0, u32::MAX);
        let key = |ordinal| AssignmentKey { run, ordinal };
        for (key, row) in self.assignments.range(key(first)..=key(last)) {
            match row {
                Some(row) => all.insert(*key, Arc::clone(row)),
                None => all.remove(key),
            };
        }
        all
    }
}

fn touched_pools(steps: &VecDeque<Step>) -> BTreeMap<ScopedName, Revision> {
    let mut pools = BTreeMap::new();
    for step in steps {
        for change in step.changes.iter() {
            if let Touch::Pool(pool) = kinds::touch(change) {
                pools.insert(pool, step.revision);
            }
        }
    }
    pools
}
