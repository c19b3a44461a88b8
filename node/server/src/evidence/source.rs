//! Reading the chunks of a run, wherever they are, and saying what is not there.

use std::sync::Arc;

use bytes::Bytes;
use reeve_state::State;
use reeve_state::id::RunId;
use reeve_state::record::{Assignment, EvidenceKind, Manifest, Run};
use reeve_state::time::Time;
use reeve_state::transition::run::RunStatus;
use sha2::{Digest, Sha256};

use super::rows::{Row, for_each_line, read_row};
use crate::context::Context;

/// Why evidence is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GapReason {
    /// The assignment executes: more comes.
    NotYet,
    /// Nothing says that what came is all: the worker was lost, or could not upload.
    NoLastChunk,
    /// A number is left out between others.
    ChunkMissing,
    /// The worker gave rows up, because uploads did not get through.
    RowsDropped,
    /// It is recorded and cannot be read.
    ObjectUnreadable,
}

impl GapReason {
    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotYet => "NOT_YET",
            Self::NoLastChunk => "NO_LAST_CHUNK",
            Self::ChunkMissing => "CHUNK_MISSING",
            Self::RowsDropped => "ROWS_DROPPED",
            Self::ObjectUnreadable => "OBJECT_UNREADABLE",
        }
    }
}

/// Where evidence is missing, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Which assignment.
    pub ordinal: u32,
    /// Why.
    pub reason: GapReason,
    /// For people.
    pub detail: String,
}

/// Which chunks are read.
pub struct Selection {
    /// What they hold.
    pub kind: EvidenceKind,
    /// Of which assignments; empty: all.
    pub ordinals: Vec<u32>,
}

/// Where a row is from, as the log says; what a row says of itself is its worker's word.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The group of its assignment, by its place in the definition.
    pub group: usize,
    /// Its chunk came late.
    pub late: bool,
}

/// Reads chunks.
#[derive(Clone)]
pub struct Source(pub Context);

impl Source {
    /// Folds the rows of the selected chunks into `sum`, chunk by chunk. What cannot be read is a gap.
    pub async fn fold<A: Send + 'static>(
        &self,
        state: &State,
        run: RunId,
        selection: &Selection,
        sum: A,
        take: impl Fn(&mut A, &Row<'_>, Origin) + Send + Sync + 'static,
    ) -> (A, Vec<Gap>) {
        let take = Arc::new(take);
        let mut gaps = Vec::new();
        let mut sum = sum;
        for manifest in selected(state, run, selection) {
            let take = Arc::clone(&take);
            // A manifest is only recorded of an assignment that there is.
            let Some(assignment) = state.assignment(manifest.key.assignment) else {
                continue;
            };
            let origin = Origin {
                group: assignment.group as usize,
                late: manifest.late,
            };
            let line = move |sum: &mut A, line: &[u8]| read_row(line).map(|row| take(sum, &row, origin));
            let (folded, gap) = self.fold_chunk(&manifest, sum, line).await;
            sum = folded;
            gaps.extend(gap);
        }
        (sum, gaps)
    }

    /// Folds the lines of one chunk into `sum`, and says if it cannot be read, or not to its end.
    pub async fn fold_chunk<A: Send + 'static>(
        &self,
        manifest: &Manifest,
        mut sum: A,
        take: impl Fn(&mut A, &[u8]) -> Result<(), String> + Send + 'static,
    ) -> (A, Option<Gap>) {
        let gap = |detail: String| Gap {
            ordinal: manifest.key.assignment.ordinal,
            reason: GapReason::ObjectUnreadable,
            detail: format!("{}: {detail}", manifest.path),
        };
        let data = match self.fetch(manifest).await {
            Ok(data) => data,
            Err(detail) => return (sum, Some(gap(detail))),
        };
        let folded = tokio::task::spawn_blocking(move || {
            let read = for_each_line(&data, |line| take(&mut sum, line));
            (sum, read)
        });
        match folded.await {
            Ok((sum, read)) => (sum, read.err().map(gap)),
            // Only a panic ends it, and it is not caught anywhere else either.
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// The bytes of a chunk: from this node's store, else from the node that stored it.
    async fn fetch(&self, manifest: &Manifest) -> Result<Bytes, String> {
        let (evidence, store) = (&self.0.evidence, &self.0.store);
        let own = evidence.objects().get(&manifest.path).await;
        let data = match own {
            Ok(data) => data,
            Err(error) if manifest.node == self.0.config.id => return Err(error.to_string()),
            Err(_) => {
                let asked = evidence
                    .peers()
                    .get_object(store, manifest.node, &manifest.path)
                    .await;
                asked.map_err(|status| format!("node {}: {}", manifest.node, status.message()))?
            }
        };
        let hash: [u8; 32] = Sha256::digest(&data).into();
        if hash == manifest.sha256 {
            Ok(data)
        } else {
            Err("its bytes are not those that were recorded".to_owned())
        }
    }
}

/// The chunks that have rows, in the order of assignments and numbers.
pub fn selected(state: &State, run: RunId, selection: &Selection) -> Vec<Arc<Manifest>> {
    let wanted = |manifest: &&Arc<Manifest>| {
        let key = manifest.key;
        key.kind == selection.kind
            && manifest.rows > 0
            && (selection.ordinals.is_empty() || selection.ordinals.contains(&key.assignment.ordinal))
    };
    state.manifests(run).filter(wanted).cloned().collect()
}

/// When rows of late chunks stop to count: those of a run that FAILED count up to its end, because what it measured until then are its
/// partial results (R172); of other runs they never do (D14).
pub fn late_counts_until(run: &Run) -> Option<Time> {
    match run.life.status() {
        RunStatus::Failed => run.life.timeline().last().map(|entry| entry.at),
        RunStatus::Pending
        | RunStatus::Queued
        | RunStatus::Running
        | RunStatus::Completed
        | RunStatus::CannotRunForNow => None,
    }
}

/// Whether the last chunk of each kind is recorded.
pub fn has_ended(state: &State, assignment: &Assignment) -> bool {
    let ended = |kind: &EvidenceKind| of(state, assignment, *kind).any(|manifest| manifest.last);
    kinds(state, assignment).iter().all(ended)
}

/// What the assignment's endpoints leave: SIP messages are only waited for where there are some.
fn kinds(state: &State, assignment: &Assignment) -> &'static [EvidenceKind] {
    let group = state
        .run(assignment.key.run)
        .and_then(|run| run.definition.groups.get(assignment.group as usize));
    group.map_or(&[], |group| EvidenceKind::of(&group.executor))
}

fn of<'a>(
    state: &'a State,
    assignment: &'a Assignment,
    kind: EvidenceKind,
) -> impl Iterator<Item = &'a Arc<Manifest>> {
    state
        .manifests(assignment.key.run)
        .filter(move |manifest| manifest.key.assignment == assignment.key && manifest.key.kind == kind)
}

/// What is missing as far as the manifests tell.
pub fn gaps(state: &State, run: RunId) -> Vec<Gap> {
    let started = state.assignments(run).filter(|assignment| assignment.started);
    started
        .flat_map(|assignment| gaps_of(state, assignment))
        .collect()
}

fn gaps_of(state: &State, assignment: &Assignment) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut gap = |reason, detail| {
        gaps.push(Gap {
            ordinal: assignment.key.ordinal,
            reason,
            detail,
        });
    };
    for kind in kinds(state, assignment).iter().copied() {
        let (mut expected, mut last, mut dropped) = (0, false, 0u64);
        for manifest in of(state, assignment, kind) {
            if manifest.key.seq != expected {
                let missing = format!("{} chunks {expected} to {}", kind.name(), manifest.key.seq - 1);
                gap(GapReason::ChunkMissing, missing);
            }
            expected = manifest.key.seq + 1;
            last |= manifest.last;
            dropped += manifest.dropped;
        }
        if dropped > 0 {
            gap(
                GapReason::RowsDropped,
                format!("{dropped} rows of {}", kind.name()),
            );
        }
        if !last && assignment.life.status().is_current() && !assignment.all_closed() {
            gap(GapReason::NotYet, format!("{} are still measured", kind.name()));
        } else if !last {
            let why = if assignment.lost {
                "the worker was lost"
            } else {
                "the worker has not sent it"
            };
            gap(
                GapReason::NoLastChunk,
                format!("no last chunk of {}: {why}", kind.name()),
            );
        }
    }
    gaps
}
