//! Applies entries: decode, apply, one batch on disk, then publish. Nothing is seen before it is written.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use openraft::EntryPayload;
use openraft::storage::ApplyResponder;
use prost::Message;
use reeve_proto::internal as wire;
use reeve_state::change::Change;
use reeve_state::command::{Applied, EntryMeta, Envelope};
use reeve_state::time::Time;
use rocksdb::WriteBatch;

use super::StateMachine;
use super::disk::put;
use crate::codec::{decode_envelope, describe, row_after, row_key};
use crate::entry::VERSION;
use crate::feed::Step;
use crate::types::{Entry, EntryData, LogId, StoredMembership, TypeConfig};

/// What a run of entries leads to, before it is written.
#[derive(Default)]
pub(super) struct Pending {
    batch: WriteBatch,
    steps: Vec<Step>,
    replies: Vec<(ApplyResponder<TypeConfig>, Vec<Applied>)>,
    pub(super) bytes: usize,
    pub(super) entries: usize,
}

impl StateMachine {
    /// Applies one entry to the state in memory, which nobody else sees yet.
    pub(super) fn stage(
        &mut self,
        entry: Entry,
        responder: Option<ApplyResponder<TypeConfig>>,
        pending: &mut Pending,
    ) -> io::Result<()> {
        let log_id = entry.log_id;
        let replies = match entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership);
                Vec::new()
            }
            EntryPayload::Normal(data) => self.stage_commands(log_id, &data, pending)?,
        };
        self.applied = Some(log_id);
        pending.entries += 1;
        if let Some(responder) = responder {
            pending.replies.push((responder, replies));
        }
        Ok(())
    }

    fn stage_commands(
        &mut self,
        log_id: LogId,
        data: &EntryData,
        pending: &mut Pending,
    ) -> io::Result<Vec<Applied>> {
        let entry =
            wire::LogEntry::decode(data.0.clone()).map_err(|error| self.stop(log_id, &error.to_string()))?;
        if entry.version != VERSION || entry.encoded_len() != data.0.len() {
            return Err(self.stop(log_id, "a newer program wrote the entry"));
        }
        pending.bytes += data.0.len();
        let stamp = Time(entry.stamp_ms).max(self.state.meta().cluster_time);
        let meta = EntryMeta {
            term: log_id.leader_id.term,
            index: log_id.index,
            stamp,
        };
        let mut replies = Vec::with_capacity(entry.envelopes.len());
        for bytes in &entry.envelopes {
            let envelope = decode_envelope(bytes).map_err(|error| self.stop(log_id, &error.to_string()))?;
            replies.push(self.stage_command(&meta, &envelope, pending)?);
        }
        Ok(replies)
    }

    fn stage_command(
        &mut self,
        meta: &EntryMeta,
        envelope: &Envelope,
        pending: &mut Pending,
    ) -> io::Result<Applied> {
        let before = self.state.meta().revision;
        let applied = catch_unwind(AssertUnwindSafe(|| (self.apply)(&mut self.state, meta, envelope)));
        let Ok(step) = applied else {
            let command = describe(&envelope.command);
            let message = format!(
                "apply panicked at entry {}, revision {before}: {command}",
                meta.index
            );
            self.fatal.set(message.clone());
            return Err(io::Error::other(message));
        };
        if !step.changes.is_empty() {
            let bytes = step
                .changes
                .iter()
                .map(|change| write(&mut pending.batch, change))
                .sum();
            pending.steps.push(Step {
                revision: self.state.meta().revision,
                changes: Arc::from(step.changes),
                bytes,
            });
        }
        Ok(step.applied)
    }

    /// Writes what was staged, then shows it: state, answers, feed.
    pub(super) fn commit(&mut self, pending: Pending) -> io::Result<()> {
        if pending.entries == 0 {
            return Ok(());
        }
        let written = self.db.write(
            pending.batch,
            &self.state,
            self.applied.as_ref(),
            &self.membership,
        );
        if let Err(error) = written {
            let message = format!("writing the state failed: {error}");
            self.fatal.set(message.clone());
            // As with the log: closing a database after a failed write may abort the process.
            std::mem::forget(Arc::clone(&self.db));
            return Err(io::Error::other(message));
        }
        let next = self.applied.map_or(0, |id| id.index + 1);
        self.published.count_bytes(pending.bytes);
        self.published.publish(next, self.state.clone());
        for (responder, replies) in pending.replies {
            responder.send(replies);
        }
        self.published.feed.publish(pending.steps);
        Ok(())
    }

    /// A committed entry that cannot be read: this node stops rather than guess.
    fn stop(&self, log_id: LogId, detail: &str) -> io::Error {
        let message = format!("entry {} of the log cannot be applied: {detail}", log_id.index);
        self.fatal.set(message.clone());
        io::Error::other(message)
    }
}

fn write(batch: &mut WriteBatch, change: &Change) -> usize {
    match row_after(change) {
        Some(row) => put(batch, &row),
        None => {
            let key = row_key(change);
            let size = key.len();
            batch.delete(key);
            size
        }
    }
}
