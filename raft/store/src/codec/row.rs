//! Rows of the state: their keys and bytes, on disk and in snapshots.

use std::sync::Arc;

use prost::Message;
use reeve_proto::internal as wire;
use reeve_state::Meta;
use reeve_state::change::{Change, Row};
use reeve_state::id::{Revision, ScopedName};
use reeve_state::record::{
    ApiKey, Assignment, AssignmentKey, ChunkKey, Delivery, DeliveryKey, EvidenceKind, Manifest, ManifestKey,
    MediaFile, Probe, ProbeSlot, ProbeSlotKey, Project, Registrar, RequestKey, RequestRecord, Run,
    RunSummary, SipAccount, SipAccountKey, SipLease, SipLeaseKey, Test, Webhook, Worker, WorkerEvent,
    WorkerEventKey,
};
use reeve_state::time::Time;

use super::run::{chunk_from_proto, chunk_to_proto};
use super::{DecodeError, Wire};

/// First byte of a row's key on disk, by table.
mod table {
    pub(super) const TEST: u8 = 1;
    pub(super) const RUN: u8 = 2;
    pub(super) const ASSIGNMENT: u8 = 3;
    pub(super) const CHUNK: u8 = 4;
    pub(super) const WORKER: u8 = 5;
    pub(super) const REQUEST: u8 = 6;
    pub(super) const EVENT: u8 = 7;
    pub(super) const KEY: u8 = 8;
    pub(super) const WEBHOOK: u8 = 12;
    pub(super) const DELIVERY: u8 = 13;
    pub(super) const PROBE: u8 = 10;
    pub(super) const PROBE_SLOT: u8 = 11;
    pub(super) const MANIFEST: u8 = 14;
    pub(super) const SUMMARY: u8 = 15;
    pub(super) const PROJECT: u8 = 9;
    pub(super) const REGISTRAR: u8 = 16;
    pub(super) const SIP_ACCOUNT: u8 = 17;
    pub(super) const SIP_LEASE: u8 = 18;
    pub(super) const MEDIA: u8 = 19;
}

/// Tables lie between these bytes; keys outside are the store's own.
pub(crate) const TABLES: std::ops::RangeInclusive<u8> = table::TEST..=table::MEDIA;

/// The key on disk of the row that a change is about.
pub(crate) fn row_key(change: &Change) -> Vec<u8> {
    match change {
        Change::Test(delta) => key(table::TEST, delta.key.as_bytes()),
        Change::Run(delta) => key(table::RUN, delta.key.as_bytes()),
        Change::Assignment(delta) => assignment_key(table::ASSIGNMENT, &delta.key),
        Change::Chunk(delta) => chunk_key(&delta.key),
        Change::Worker(delta) => key(table::WORKER, delta.key.as_bytes()),
        Change::Request(delta) => request_key(&delta.key),
        Change::Event(delta) => event_key(&delta.key),
        Change::Key(delta) => key(table::KEY, delta.key.as_bytes()),
        Change::Webhook(delta) => key(table::WEBHOOK, delta.key.as_bytes()),
        Change::Delivery(delta) => delivery_key(&delta.key),
        Change::Probe(delta) => key(table::PROBE, delta.key.as_bytes()),
        Change::ProbeSlot(delta) => probe_slot_key(&delta.key),
        Change::Manifest(delta) => manifest_key(&delta.key),
        Change::Summary(delta) => key(table::SUMMARY, delta.key.as_bytes()),
        Change::Project(delta) => key(table::PROJECT, delta.key.as_str().as_bytes()),
        Change::Registrar(delta) => scoped_key(table::REGISTRAR, &delta.key),
        Change::SipAccount(delta) => account_key(&delta.key),
        Change::SipLease(delta) => lease_key(&delta.key),
        Change::Media(delta) => scoped_key(table::MEDIA, &delta.key),
    }
}

/// The key on disk of a row.
pub(crate) fn key_of(row: &Row) -> Vec<u8> {
    match row {
        Row::Test(row) => key(table::TEST, row.id.as_bytes()),
        Row::Run(row) => key(table::RUN, row.id.as_bytes()),
        Row::Assignment(row) => assignment_key(table::ASSIGNMENT, &row.key),
        Row::Chunk(key, _) => chunk_key(key),
        Row::Worker(row) => key(table::WORKER, row.id.as_bytes()),
        Row::Request(row) => request_key(&row.key),
        Row::Event(row) => event_key(&row.key),
        Row::Key(row) => key(table::KEY, row.id.as_bytes()),
        Row::Webhook(row) => key(table::WEBHOOK, row.id.as_bytes()),
        Row::Delivery(row) => delivery_key(&row.key),
        Row::Probe(row) => key(table::PROBE, row.id.as_bytes()),
        Row::ProbeSlot(row) => probe_slot_key(&row.key),
        Row::Manifest(row) => manifest_key(&row.key),
        Row::Summary(row) => key(table::SUMMARY, row.run.as_bytes()),
        Row::Project(row) => key(table::PROJECT, row.name.as_str().as_bytes()),
        Row::Registrar(row) => scoped_key(table::REGISTRAR, &row.key),
        Row::SipAccount(row) => account_key(&row.key),
        Row::SipLease(row) => lease_key(&row.key),
        Row::Media(row) => scoped_key(table::MEDIA, &row.key),
    }
}

fn key(table: u8, id: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + id.len());
    key.push(table);
    key.extend_from_slice(id);
    key
}

fn assignment_key(table: u8, assignment: &AssignmentKey) -> Vec<u8> {
    let mut key = key(table, assignment.run.as_bytes());
    key.extend_from_slice(&assignment.ordinal.to_be_bytes());
    key
}

fn chunk_key(chunk: &ChunkKey) -> Vec<u8> {
    let mut key = assignment_key(table::CHUNK, &chunk.assignment);
    key.extend_from_slice(&chunk.chunk.to_be_bytes());
    key
}

fn event_key(event: &WorkerEventKey) -> Vec<u8> {
    let mut key = key(table::EVENT, event.worker.as_bytes());
    key.extend_from_slice(&event.seq.to_be_bytes());
    key
}

fn delivery_key(delivery: &DeliveryKey) -> Vec<u8> {
    let mut key = key(table::DELIVERY, delivery.webhook.as_bytes());
    key.extend_from_slice(&delivery.seq.to_be_bytes());
    key
}

fn probe_slot_key(slot: &ProbeSlotKey) -> Vec<u8> {
    let mut key = key(table::PROBE_SLOT, slot.probe.as_bytes());
    key.extend_from_slice(&slot.slot.0.to_be_bytes());
    key
}

fn manifest_key(manifest: &ManifestKey) -> Vec<u8> {
    let mut key = assignment_key(table::MANIFEST, &manifest.assignment);
    key.push(match manifest.kind {
        EvidenceKind::Metrics => 1,
        EvidenceKind::Events => 2,
        EvidenceKind::Trace => 3,
    });
    key.extend_from_slice(&manifest.seq.to_be_bytes());
    key
}

/// Every part but the last comes with its length first, so that no two names share a key.
fn scoped_key(table: u8, name: &ScopedName) -> Vec<u8> {
    let project = name.project.as_str().as_bytes();
    let mut key = key(table, &(project.len() as u64).to_be_bytes());
    key.extend_from_slice(project);
    key.extend_from_slice(name.name.as_bytes());
    key
}

fn account_key(account: &SipAccountKey) -> Vec<u8> {
    let project = account.pool.project.as_str().as_bytes();
    let pool = account.pool.name.as_bytes();
    let mut key = key(table::SIP_ACCOUNT, &(project.len() as u64).to_be_bytes());
    key.extend_from_slice(project);
    key.extend_from_slice(&(pool.len() as u64).to_be_bytes());
    key.extend_from_slice(pool);
    key.extend_from_slice(account.username.as_bytes());
    key
}

fn lease_key(lease: &SipLeaseKey) -> Vec<u8> {
    let mut key = key(table::SIP_LEASE, lease.run.as_bytes());
    key.extend_from_slice(&lease.group.to_be_bytes());
    key
}

/// The caller's length comes first, so that no two pairs share a key.
fn request_key(request: &RequestKey) -> Vec<u8> {
    let mut key = key(table::REQUEST, &(request.caller.len() as u64).to_be_bytes());
    key.extend_from_slice(request.caller.as_bytes());
    key.extend_from_slice(request.request_id.as_bytes());
    key
}

/// The row that a change leaves; `None` if it removes it.
pub(crate) fn row_after(change: &Change) -> Option<Row> {
    match change {
        Change::Test(delta) => delta.after.clone().map(Row::Test),
        Change::Run(delta) => delta.after.clone().map(Row::Run),
        Change::Assignment(delta) => delta.after.clone().map(Row::Assignment),
        Change::Chunk(delta) => delta.after.clone().map(|chunk| Row::Chunk(delta.key, chunk)),
        Change::Worker(delta) => delta.after.clone().map(Row::Worker),
        Change::Request(delta) => delta.after.clone().map(Row::Request),
        Change::Event(delta) => delta.after.clone().map(Row::Event),
        Change::Key(delta) => delta.after.clone().map(Row::Key),
        Change::Webhook(delta) => delta.after.clone().map(Row::Webhook),
        Change::Delivery(delta) => delta.after.clone().map(Row::Delivery),
        Change::Probe(delta) => delta.after.clone().map(Row::Probe),
        Change::ProbeSlot(delta) => delta.after.clone().map(Row::ProbeSlot),
        Change::Manifest(delta) => delta.after.clone().map(Row::Manifest),
        Change::Summary(delta) => delta.after.clone().map(Row::Summary),
        Change::Project(delta) => delta.after.clone().map(Row::Project),
        Change::Registrar(delta) => delta.after.clone().map(Row::Registrar),
        Change::SipAccount(delta) => delta.after.clone().map(Row::SipAccount),
        Change::SipLease(delta) => delta.after.clone().map(Row::SipLease),
        Change::Media(delta) => delta.after.clone().map(Row::Media),
    }
}

/// The bytes of a row.
pub fn row_to_bytes(row: &Row) -> Vec<u8> {
    use wire::row::Row as Kind;
    let kind = match row {
        Row::Test(row) => Kind::Test(row.to_proto()),
        Row::Run(row) => Kind::Run(row.to_proto()),
        Row::Assignment(row) => Kind::Assignment(row.to_proto()),
        Row::Chunk(key, chunk) => Kind::Chunk(chunk_to_proto(key, chunk)),
        Row::Worker(row) => Kind::Worker(row.to_proto()),
        Row::Request(row) => Kind::Request(row.to_proto()),
        Row::Event(row) => Kind::Event(row.to_proto()),
        Row::Key(row) => Kind::Key(row.to_proto()),
        Row::Webhook(row) => Kind::Webhook(row.to_proto()),
        Row::Delivery(row) => Kind::Delivery(row.to_proto()),
        Row::Probe(row) => Kind::Probe(row.to_proto()),
        Row::ProbeSlot(row) => Kind::ProbeSlot(row.to_proto()),
        Row::Manifest(row) => Kind::Manifest(row.to_proto()),
        Row::Summary(row) => Kind::Summary(row.to_proto()),
        Row::Project(row) => Kind::Project(row.to_proto()),
        Row::Registrar(row) => Kind::Registrar(row.to_proto()),
        Row::SipAccount(row) => Kind::SipAccount(row.to_proto()),
        Row::SipLease(row) => Kind::SipLease(row.to_proto()),
        Row::Media(row) => Kind::Media(row.to_proto()),
    };
    wire::Row { row: Some(kind) }.encode_to_vec()
}

/// A row from its bytes.
pub fn row_from_bytes(bytes: &[u8]) -> Result<Row, DecodeError> {
    use wire::row::Row as Kind;
    let proto = wire::Row::decode(bytes)?;
    let row = match proto.row.ok_or(DecodeError::UnknownKind("row"))? {
        Kind::Test(row) => Row::Test(Arc::new(Test::from_proto(row)?)),
        Kind::Run(row) => Row::Run(Arc::new(Run::from_proto(row)?)),
        Kind::Assignment(row) => Row::Assignment(Arc::new(Assignment::from_proto(row)?)),
        Kind::Chunk(row) => {
            let (key, chunk) = chunk_from_proto(row)?;
            Row::Chunk(key, Arc::new(chunk))
        }
        Kind::Worker(row) => Row::Worker(Arc::new(Worker::from_proto(row)?)),
        Kind::Request(row) => Row::Request(Arc::new(RequestRecord::from_proto(row)?)),
        Kind::Event(row) => Row::Event(Arc::new(WorkerEvent::from_proto(row)?)),
        Kind::Key(row) => Row::Key(Arc::new(ApiKey::from_proto(row)?)),
        Kind::Webhook(row) => Row::Webhook(Arc::new(Webhook::from_proto(row)?)),
        Kind::Delivery(row) => Row::Delivery(Arc::new(Delivery::from_proto(row)?)),
        Kind::Probe(row) => Row::Probe(Arc::new(Probe::from_proto(row)?)),
        Kind::ProbeSlot(row) => Row::ProbeSlot(Arc::new(ProbeSlot::from_proto(row)?)),
        Kind::Manifest(row) => Row::Manifest(Arc::new(Manifest::from_proto(row)?)),
        Kind::Summary(row) => Row::Summary(Arc::new(RunSummary::from_proto(row)?)),
        Kind::Project(row) => Row::Project(Arc::new(Project::from_proto(row)?)),
        Kind::Registrar(row) => Row::Registrar(Arc::new(Registrar::from_proto(row)?)),
        Kind::SipAccount(row) => Row::SipAccount(Arc::new(SipAccount::from_proto(row)?)),
        Kind::SipLease(row) => Row::SipLease(Arc::new(SipLease::from_proto(row)?)),
        Kind::Media(row) => Row::Media(Arc::new(MediaFile::from_proto(row)?)),
    };
    Ok(row)
}

impl Wire for Meta {
    type Proto = wire::Meta;

    fn to_proto(&self) -> Self::Proto {
        wire::Meta {
            revision: self.revision.0,
            cluster_time_ms: self.cluster_time.0,
            cluster_version: self.cluster_version,
        }
    }

    fn from_proto(proto: Self::Proto) -> Result<Self, DecodeError> {
        Ok(Self {
            revision: Revision(proto.revision),
            cluster_time: Time(proto.cluster_time_ms),
            cluster_version: proto.cluster_version,
        })
    }
}

/// The bytes of the meta row.
pub(crate) fn meta_to_bytes(meta: &Meta) -> Vec<u8> {
    meta.to_proto().encode_to_vec()
}

/// The meta row from its bytes.
pub(crate) fn meta_from_bytes(bytes: &[u8]) -> Result<Meta, DecodeError> {
    Meta::from_proto(wire::Meta::decode(bytes)?)
}
