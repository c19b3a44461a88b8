//! Keeps the indexes in step with the tables: every changed row passes through here.

pub(crate) mod sip;
pub(crate) mod webhook;

use std::sync::Arc;

use crate::change::{Change, Delta, Row};
use crate::id::{ProjectName, RunId, WorkerId};
use crate::record::{ApiKey, Assignment, Probe, RequestRecord, Run, RunSummary, Test, Usage, Worker};
use crate::state::{Index, Meta, State};
use crate::time::Time;
use crate::transition::run::RunStatus;
use crate::transition::worker::{LivenessProfile, WorkerStatus};

impl State {
    /// A state from its rows, as they were stored or sent. The indexes are derived anew.
    pub fn from_rows(meta: Meta, rows: impl IntoIterator<Item = Row>) -> Self {
        let mut state = Self {
            meta,
            ..Self::default()
        };
        for row in rows {
            state.insert(row);
        }
        state
    }

    fn insert(&mut self, row: Row) {
        self.set(match row {
            Row::Test(row) => Change::Test(Delta {
                key: row.id,
                before: None,
                after: Some(row),
            }),
            Row::Run(row) => Change::Run(Delta {
                key: row.id,
                before: None,
                after: Some(row),
            }),
            Row::Assignment(row) => Change::Assignment(Delta {
                key: row.key,
                before: None,
                after: Some(row),
            }),
            Row::Chunk(key, row) => Change::Chunk(Delta {
                key,
                before: None,
                after: Some(row),
            }),
            Row::Worker(row) => Change::Worker(Delta {
                key: row.id,
                before: None,
                after: Some(row),
            }),
            Row::Request(row) => Change::Request(Delta {
                key: row.key.clone(),
                before: None,
                after: Some(row),
            }),
            Row::Event(row) => Change::Event(Delta {
                key: row.key,
                before: None,
                after: Some(row),
            }),
            Row::Key(row) => Change::Key(Delta {
                key: row.id,
                before: None,
                after: Some(row),
            }),
            Row::Webhook(row) => Change::Webhook(Delta {
                key: row.id,
                before: None,
                after: Some(row),
            }),
            Row::Delivery(row) => Change::Delivery(Delta {
                key: row.key,
                before: None,
                after: Some(row),
            }),
            Row::Probe(row) => Change::Probe(Delta {
                key: row.id,
                before: None,
                after: Some(row),
            }),
            Row::ProbeSlot(row) => Change::ProbeSlot(Delta {
                key: row.key,
                before: None,
                after: Some(row),
            }),
            Row::Manifest(row) => Change::Manifest(Delta {
                key: row.key,
                before: None,
                after: Some(row),
            }),
            Row::Summary(row) => Change::Summary(Delta {
                key: row.run,
                before: None,
                after: Some(row),
            }),
            Row::Project(row) => Change::Project(Delta {
                key: row.name.clone(),
                before: None,
                after: Some(row),
            }),
            Row::Registrar(row) => Change::Registrar(Delta {
                key: row.key.clone(),
                before: None,
                after: Some(row),
            }),
            Row::SipAccount(row) => Change::SipAccount(Delta {
                key: row.key.clone(),
                before: None,
                after: Some(row),
            }),
            Row::SipLease(row) => Change::SipLease(Delta {
                key: row.key,
                before: None,
                after: Some(row),
            }),
            Row::Media(row) => Change::Media(Delta {
                key: row.key.clone(),
                before: None,
                after: Some(row),
            }),
        });
    }

    /// Writes one row and what follows from it.
    pub(crate) fn set(&mut self, change: Change) {
        self.index.update(&change);
        match change {
            Change::Test(delta) => write(&mut self.tests, delta),
            Change::Run(delta) => write(&mut self.runs, delta),
            Change::Assignment(delta) => write(&mut self.assignments, delta),
            Change::Chunk(delta) => write(&mut self.chunks, delta),
            Change::Worker(delta) => write(&mut self.workers, delta),
            Change::Request(delta) => write(&mut self.requests, delta),
            Change::Event(delta) => write(&mut self.events, delta),
            Change::Key(delta) => write(&mut self.keys, delta),
            Change::Webhook(delta) => write(&mut self.webhooks, delta),
            Change::Delivery(delta) => write(&mut self.deliveries, delta),
            Change::Probe(delta) => write(&mut self.probes, delta),
            Change::ProbeSlot(delta) => write(&mut self.probe_slots, delta),
            Change::Manifest(delta) => write(&mut self.manifests, delta),
            Change::Summary(delta) => write(&mut self.summaries, delta),
            Change::Project(delta) => write(&mut self.projects, delta),
            Change::Registrar(delta) => write(&mut self.registrars, delta),
            Change::SipAccount(delta) => write(&mut self.sip_accounts, delta),
            Change::SipLease(delta) => write(&mut self.sip_leases, delta),
            Change::Media(delta) => write(&mut self.media, delta),
        }
    }
}

fn write<K: Ord + Clone, V>(table: &mut imbl::OrdMap<K, Arc<V>>, delta: Delta<K, V>) {
    match delta.after {
        Some(row) => table.insert(delta.key, row),
        None => table.remove(&delta.key),
    };
}

/// Whether a row was replaced by one that is indexed the same way: most changes are, and then no index is touched.
fn indexed_alike<K, V>(delta: &Delta<K, V>, alike: impl Fn(&V, &V) -> bool) -> bool {
    matches!((&delta.before, &delta.after), (Some(before), Some(after)) if alike(before, after))
}

fn tests_alike(before: &Test, after: &Test) -> bool {
    (&before.project, &before.definition.name) == (&after.project, &after.definition.name)
}

/// A test's name is unique within its project.
fn test_name(row: &Test) -> (ProjectName, String) {
    (row.project.clone(), row.definition.name.clone())
}

/// What one run adds to its project's usage.
pub(crate) fn usage_of(row: &Run) -> Usage {
    let live = Usage {
        live: 1,
        ..Usage::default()
    };
    match row.life.status() {
        RunStatus::Pending => live,
        RunStatus::Queued | RunStatus::Running => Usage {
            runs: 1,
            endpoints: u64::from(row.definition.endpoints()),
            reserved: row.credits_reserved.unwrap_or(0),
            ..live
        },
        RunStatus::Completed | RunStatus::Failed | RunStatus::CannotRunForNow => Usage::default(),
    }
}

/// A run's project and definition never change.
fn runs_alike(before: &Run, after: &Run) -> bool {
    usage_of(before) == usage_of(after)
}

/// Since when a run is terminal.
fn ended(row: &Run) -> Option<(Time, RunId)> {
    let entry = row.life.timeline().last()?;
    entry.status.is_terminal().then_some((entry.at, row.id))
}

/// Whether a run executed and ended, so that it is to have a summary.
fn to_be_summarised(row: &Run) -> bool {
    match row.life.status() {
        RunStatus::Completed | RunStatus::Failed => true,
        RunStatus::Pending | RunStatus::Queued | RunStatus::Running | RunStatus::CannotRunForNow => false,
    }
}

fn assignments_alike(before: &Assignment, after: &Assignment) -> bool {
    let holds = |row: &Assignment| row.life.status().holds_capacity();
    (holds(before), before.worker, before.count) == (holds(after), after.worker, after.count)
}

fn workers_alike(before: &Worker, after: &Worker) -> bool {
    let seen = |row: &Worker| {
        (
            row.token_hash,
            row.facts.deleted_at,
            expiring_token(row),
            offline_ping(row),
        )
    };
    before.name == after.name && seen(before) == seen(after)
}

/// When the token will run out, where that is still to be told.
fn expiring_token(row: &Worker) -> Option<(Time, WorkerId)> {
    let open = row.facts.deleted_at.is_none() && row.facts.credential_rejected.is_none();
    row.token_expires_at.filter(|_| open).map(|at| (at, row.id))
}

/// Since when a ping worker is OFFLINE.
fn offline_ping(row: &Worker) -> Option<(Time, WorkerId)> {
    let offline = row.profile == LivenessProfile::Ping && row.status() == WorkerStatus::Offline;
    offline.then_some((row.facts.link.since, row.id))
}

fn probes_alike(before: &Probe, after: &Probe) -> bool {
    let seen = |row: &Probe| (row.cursor, row.paused_at.is_some(), row.open.is_some());
    let (b, a) = (&before.definition, &after.definition);
    seen(before) == seen(after)
        && before.project == after.project
        && (&b.name, &b.schedule) == (&a.name, &a.schedule)
}

fn probe_name(row: &Probe) -> (ProjectName, String) {
    (row.project.clone(), row.definition.name.clone())
}

impl Index {
    fn update(&mut self, change: &Change) {
        match change {
            Change::Test(delta) if indexed_alike(delta, tests_alike) => {}
            Change::Run(delta) if indexed_alike(delta, runs_alike) => {}
            Change::Assignment(delta) if indexed_alike(delta, assignments_alike) => {}
            Change::Worker(delta) if indexed_alike(delta, workers_alike) => {}
            Change::Probe(delta) if indexed_alike(delta, probes_alike) => {}
            Change::Test(delta) => {
                delta.before.iter().for_each(|row| self.forget_test(row));
                delta.after.iter().for_each(|row| self.learn_test(row));
            }
            Change::Run(delta) => {
                delta.before.iter().for_each(|row| self.forget_run(row));
                delta.after.iter().for_each(|row| self.learn_run(row));
            }
            Change::Assignment(delta) => {
                delta.before.iter().for_each(|row| self.forget_assignment(row));
                delta.after.iter().for_each(|row| self.learn_assignment(row));
            }
            Change::Chunk(_)
            | Change::Event(_)
            | Change::Project(_)
            | Change::Registrar(_)
            | Change::Media(_)
            | Change::ProbeSlot(_)
            | Change::Manifest(_) => {}
            Change::Worker(delta) => {
                delta.before.iter().for_each(|row| self.forget_worker(row));
                delta.after.iter().for_each(|row| self.learn_worker(row));
            }
            Change::Request(delta) => {
                delta.before.iter().for_each(|row| self.forget_request(row));
                delta.after.iter().for_each(|row| self.learn_request(row));
            }
            Change::Key(delta) => {
                delta.before.iter().for_each(|row| self.forget_key(row));
                delta.after.iter().for_each(|row| self.learn_key(row));
            }
            Change::Webhook(delta) => self.webhooks.webhook(delta),
            Change::Delivery(delta) => self.webhooks.delivery(delta),
            Change::SipAccount(delta) => self.sip.account(delta),
            Change::SipLease(delta) => self.sip.lease(delta),
            Change::Probe(delta) => {
                delta.before.iter().for_each(|row| self.forget_probe(row));
                delta.after.iter().for_each(|row| self.learn_probe(row));
            }
            Change::Summary(delta) => {
                delta.before.iter().for_each(|row| self.forget_summary(row));
                delta.after.iter().for_each(|row| self.learn_summary(row));
            }
        }
    }

    fn forget_test(&mut self, row: &Test) {
        self.test_by_name.remove(&test_name(row));
    }

    fn learn_test(&mut self, row: &Test) {
        self.test_by_name.insert(test_name(row), row.id);
    }

    fn forget_run(&mut self, row: &Run) {
        self.live_runs.remove(&row.id);
        self.unsummarised.remove(&row.id);
        if let Some(since) = ended(row) {
            self.ended_runs.remove(&since);
        }
        self.use_up(row, u64::saturating_sub);
    }

    fn learn_run(&mut self, row: &Run) {
        self.use_up(row, u64::saturating_add);
        if !row.life.status().is_terminal() {
            self.live_runs.insert(row.id);
        }
        if to_be_summarised(row) {
            self.unsummarised.insert(row.id);
        }
        if let Some(since) = ended(row) {
            self.ended_runs.insert(since);
        }
    }

    /// A summary goes only with its run, and before it: what is left to summarise is taken out with the run.
    fn forget_summary(&mut self, row: &RunSummary) {
        self.unsummarised.insert(row.run);
    }

    fn learn_summary(&mut self, row: &RunSummary) {
        self.unsummarised.remove(&row.run);
    }

    /// Adds what a run takes up to its project's usage, or takes it away.
    fn use_up(&mut self, row: &Run, change: fn(u64, u64) -> u64) {
        let own = usage_of(row);
        if own == Usage::default() {
            return;
        }
        let sum = self.usage.get(&row.project).copied().unwrap_or_default();
        let sum = Usage {
            live: change(sum.live, own.live),
            runs: change(sum.runs, own.runs),
            endpoints: change(sum.endpoints, own.endpoints),
            reserved: change(sum.reserved, own.reserved),
        };
        if sum == Usage::default() {
            self.usage.remove(&row.project);
        } else {
            self.usage.insert(row.project.clone(), sum);
        }
    }

    fn forget_assignment(&mut self, row: &Assignment) {
        if !row.life.status().holds_capacity() {
            return;
        }
        self.worker_assignments.remove(&(row.worker, row.key));
        let left = self
            .reserved
            .get(&row.worker)
            .copied()
            .unwrap_or(0)
            .saturating_sub(row.count);
        if left == 0 {
            self.reserved.remove(&row.worker);
        } else {
            self.reserved.insert(row.worker, left);
        }
    }

    fn learn_assignment(&mut self, row: &Assignment) {
        if !row.life.status().holds_capacity() {
            return;
        }
        self.worker_assignments.insert((row.worker, row.key));
        let sum = self
            .reserved
            .get(&row.worker)
            .copied()
            .unwrap_or(0)
            .saturating_add(row.count);
        self.reserved.insert(row.worker, sum);
    }

    fn forget_worker(&mut self, row: &Worker) {
        match row.facts.deleted_at {
            Some(at) => {
                self.deleted.remove(&(at, row.id));
            }
            None => {
                self.worker_by_name.remove(&row.name);
                if let Some(hash) = &row.token_hash {
                    self.worker_by_token.remove(hash);
                }
            }
        }
        if let Some(due) = expiring_token(row) {
            self.expiring_tokens.remove(&due);
        }
        if let Some(since) = offline_ping(row) {
            self.offline_ping.remove(&since);
        }
    }

    fn learn_worker(&mut self, row: &Worker) {
        match row.facts.deleted_at {
            Some(at) => {
                self.deleted.insert((at, row.id));
            }
            None => {
                self.worker_by_name.insert(row.name.clone(), row.id);
                if let Some(hash) = row.token_hash {
                    self.worker_by_token.insert(hash, row.id);
                }
            }
        }
        if let Some(due) = expiring_token(row) {
            self.expiring_tokens.insert(due);
        }
        if let Some(since) = offline_ping(row) {
            self.offline_ping.insert(since);
        }
    }

    fn forget_key(&mut self, row: &ApiKey) {
        self.key_by_hash.remove(&row.hash);
        if row.revoked_at.is_none() {
            self.key_by_name.remove(&row.name);
        }
    }

    fn learn_key(&mut self, row: &ApiKey) {
        self.key_by_hash.insert(row.hash, row.id);
        if row.revoked_at.is_none() {
            self.key_by_name.insert(row.name.clone(), row.id);
        }
    }

    fn forget_probe(&mut self, row: &Probe) {
        self.probe_by_name.remove(&probe_name(row));
        self.open_probes.remove(&row.id);
        if let Some(due) = row.next_due() {
            self.due_probes.remove(&(due, row.id));
        }
    }

    fn learn_probe(&mut self, row: &Probe) {
        self.probe_by_name.insert(probe_name(row), row.id);
        if row.open.is_some() {
            self.open_probes.insert(row.id);
        }
        if let Some(due) = row.next_due() {
            self.due_probes.insert((due, row.id));
        }
    }

    fn forget_request(&mut self, row: &RequestRecord) {
        if let Some(at) = row.expires_at {
            self.expiring_requests.remove(&(at, row.key.clone()));
        }
    }

    fn learn_request(&mut self, row: &RequestRecord) {
        if let Some(at) = row.expires_at {
            self.expiring_requests.insert((at, row.key.clone()));
        }
    }
}
