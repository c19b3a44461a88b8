//! The kinds of objects that can be watched. A new kind is an arm in each function here and one in [`super::event::Event::json`].

use std::sync::Arc;

use reeve_proto::names::Named;
use reeve_proto::v1;
use reeve_proto::v1::ResourceKind as Kind;
use reeve_proto::v1::resource::Resource;
use reeve_state::State;
use reeve_state::change::{Change, Delta, Row};
use reeve_state::id::{RunId, ScopedName};
use reeve_state::record::{Assignment, Run};

use super::super::{Api, projects};
use super::event::Tags;
use crate::convert::{enums, probe, run, sip, test, webhook};

/// What a changed row means to watchers.
pub enum Touch {
    /// Nothing.
    Nothing,
    /// An object came or changed; the row as it is now.
    Put(Row),
    /// An object is gone; the row as it was.
    Deleted(Row),
    /// A run's own row changed, which is shown with its assignments.
    Run(RunId),
    /// Only its assignments did.
    Counts(RunId),
    /// An account of the pool changed, or who uses it; it is shown with all of its accounts.
    Pool(ScopedName),
    /// Whoever listens may have lost the right to.
    Keys,
}

/// What a change means to watchers.
pub fn touch(change: &Change) -> Touch {
    match change {
        Change::Test(delta) => object(delta, Row::Test),
        Change::Worker(delta) => object(delta, Row::Worker),
        Change::Project(delta) => object(delta, Row::Project),
        Change::Probe(delta) => object(delta, Row::Probe),
        Change::Webhook(delta) => object(delta, Row::Webhook),
        Change::Run(delta) if delta.after.is_some() => Touch::Run(delta.key),
        Change::Run(delta) => object(delta, Row::Run),
        Change::Assignment(delta) => Touch::Counts(delta.key.run),
        Change::Key(_) => Touch::Keys,
        Change::Registrar(delta) => object(delta, Row::Registrar),
        Change::Media(delta) => object(delta, Row::Media),
        Change::SipAccount(delta) => Touch::Pool(delta.key.pool.clone()),
        Change::SipLease(delta) => match delta.after.as_ref().or(delta.before.as_ref()) {
            Some(lease) => Touch::Pool(lease.pool.clone()),
            None => Touch::Nothing,
        },
        // The counts of a chunk are in its assignment, and both change together.
        Change::Chunk(_)
        | Change::Request(_)
        | Change::Event(_)
        | Change::ProbeSlot(_)
        | Change::Manifest(_)
        | Change::Summary(_)
        // Its webhook counts it, and changes with it.
        | Change::Delivery(_) => Touch::Nothing,
    }
}

fn object<K, V>(delta: &Delta<K, V>, row: fn(Arc<V>) -> Row) -> Touch {
    match (&delta.before, &delta.after) {
        (_, Some(after)) => Touch::Put(row(Arc::clone(after))),
        (Some(before), None) => Touch::Deleted(row(Arc::clone(before))),
        (None, None) => Touch::Nothing,
    }
}

/// What kind of object a row is of; `None`: of none.
pub fn kind(row: &Row) -> Option<Kind> {
    match row {
        Row::Test(_) => Some(Kind::Test),
        Row::Worker(_) => Some(Kind::Worker),
        Row::Run(_) => Some(Kind::Run),
        Row::Project(_) => Some(Kind::Project),
        Row::Probe(_) => Some(Kind::Probe),
        Row::Webhook(_) => Some(Kind::Webhook),
        Row::Registrar(_) => Some(Kind::Registrar),
        // Any account stands for its pool.
        Row::SipAccount(_) => Some(Kind::AccountPool),
        Row::Media(_) => Some(Kind::MediaFile),
        Row::Delivery(_)
        | Row::Assignment(_)
        | Row::Chunk(..)
        | Row::Request(_)
        | Row::Event(_)
        | Row::Key(_)
        | Row::ProbeSlot(_)
        | Row::Manifest(_)
        | Row::Summary(_)
        | Row::SipLease(_) => None,
    }
}

/// Every object of a kind.
pub fn rows(state: &State, kind: Kind) -> Vec<Row> {
    match kind {
        Kind::Test => state.tests().cloned().map(Row::Test).collect(),
        Kind::Run => state.runs().cloned().map(Row::Run).collect(),
        Kind::Worker => state.workers().cloned().map(Row::Worker).collect(),
        Kind::Project => state.projects().cloned().map(Row::Project).collect(),
        Kind::Probe => state.probes().cloned().map(Row::Probe).collect(),
        Kind::Webhook => state.webhooks().cloned().map(Row::Webhook).collect(),
        Kind::Registrar => state.registrars().cloned().map(Row::Registrar).collect(),
        Kind::AccountPool => {
            let first = |(pool, _)| state.pool_accounts(pool, None).next().cloned();
            let accounts = state.account_pools().filter_map(first);
            accounts.map(Row::SipAccount).collect()
        }
        Kind::MediaFile => state.media_files().cloned().map(Row::Media).collect(),
        Kind::Unspecified => Vec::new(),
    }
}

/// The order in which they are listed: what others refer to comes first.
pub fn every() -> [Kind; 9] {
    [
        Kind::Project,
        Kind::Registrar,
        Kind::AccountPool,
        Kind::MediaFile,
        Kind::Test,
        Kind::Worker,
        Kind::Run,
        Kind::Probe,
        Kind::Webhook,
    ]
}

/// What filters look at; `None`: no object of the API.
pub fn tags(state: &State, row: &Row) -> Option<Tags> {
    match row {
        Row::Test(row) => Some(Tags {
            kind: Kind::Test,
            id: row.id.to_string(),
            test: Some(row.id),
            project: Some(row.project.clone()),
            ..Tags::default()
        }),
        Row::Worker(row) => Some(Tags {
            kind: Kind::Worker,
            id: row.id.to_string(),
            workers: vec![row.id],
            status: Some(enums::worker_status(row.status()).name()),
            ..Tags::default()
        }),
        Row::Run(row) => Some(run_tags(row, state.assignments(row.id))),
        Row::Project(row) => Some(Tags {
            kind: Kind::Project,
            id: row.name.to_string(),
            project: Some(row.name.clone()),
            ..Tags::default()
        }),
        Row::Probe(row) => Some(Tags {
            kind: Kind::Probe,
            id: row.id.to_string(),
            test: Some(row.definition.test),
            project: Some(row.project.clone()),
            status: Some(row.health.status().name()),
            ..Tags::default()
        }),
        Row::Webhook(row) => Some(Tags {
            kind: Kind::Webhook,
            id: row.id.to_string(),
            test: row.test,
            project: Some(row.project.clone()),
            status: Some(row.status.name()),
            ..Tags::default()
        }),
        Row::Registrar(row) => Some(named(Kind::Registrar, &row.key)),
        Row::SipAccount(row) => Some(named(Kind::AccountPool, &row.key.pool)),
        Row::Media(row) => Some(named(Kind::MediaFile, &row.key)),
        Row::Assignment(_)
        | Row::Chunk(..)
        | Row::Request(_)
        | Row::Event(_)
        | Row::Key(_)
        | Row::ProbeSlot(_)
        | Row::Manifest(_)
        | Row::Summary(_)
        | Row::SipLease(_)
        | Row::Delivery(_) => None,
    }
}

/// The same for what is known by a name within its project.
pub fn named(kind: Kind, key: &ScopedName) -> Tags {
    Tags {
        kind,
        id: key.name.to_string(),
        project: Some(key.project.clone()),
        ..Tags::default()
    }
}

/// The same for a run with these assignments.
pub fn run_tags<'a>(row: &Run, assignments: impl Iterator<Item = &'a Arc<Assignment>>) -> Tags {
    let mut workers: Vec<_> = assignments.map(|assignment| assignment.worker).collect();
    workers.sort_unstable();
    workers.dedup();
    Tags {
        kind: Kind::Run,
        id: row.id.to_string(),
        run: Some(row.id),
        test: Some(row.test),
        workers,
        project: Some(row.project.clone()),
        status: Some(enums::run_status(row.life.status()).name()),
    }
}

/// To the wire.
pub fn resource(api: &Api, state: &State, row: &Row) -> Option<Resource> {
    match row {
        Row::Test(row) => Some(Resource::Test(test::test(row))),
        Row::Worker(row) => Some(Resource::Worker(api.worker_for_admins(state, row))),
        Row::Run(row) => Some(Resource::Run(run::run(state, row))),
        Row::Project(row) => Some(Resource::Project(projects::message(row, state.usage(&row.name)))),
        Row::Probe(row) => Some(Resource::Probe(probe::probe(state, row))),
        Row::Webhook(row) => Some(Resource::Webhook(webhook::webhook(state, row))),
        Row::Registrar(row) => Some(Resource::Registrar(sip::registrar(row))),
        Row::SipAccount(row) => Some(Resource::AccountPool(sip::pool(state, &row.key.pool))),
        Row::Media(row) => Some(Resource::MediaFile(sip::media(row))),
        Row::Assignment(_)
        | Row::Chunk(..)
        | Row::Request(_)
        | Row::Event(_)
        | Row::Key(_)
        | Row::ProbeSlot(_)
        | Row::Manifest(_)
        | Row::Summary(_)
        | Row::SipLease(_)
        | Row::Delivery(_) => None,
    }
}

/// The name of the kind as `GET /events` has it: `run`.
pub fn name(kind: v1::ResourceKind) -> String {
    kind.name().to_ascii_lowercase()
}
