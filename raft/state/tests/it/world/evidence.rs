//! Evidence and the end of a run's life.

use std::collections::BTreeMap;

use reeve_state::command::*;
use reeve_state::id::*;
use reeve_state::record::*;
use reeve_state::time::{Millis, Time};

use super::{World, run_id};

/// Chunk `seq` of an assignment, as its worker measured it.
pub fn chunk(run: u8, ordinal: u32, worker: WorkerId, kind: EvidenceKind, seq: u32) -> RecordChunk {
    RecordChunk {
        run: run_id(run),
        epoch: AssignmentEpoch(u64::from(ordinal) + 1),
        worker,
        kind,
        seq,
        node: NodeId(1),
        path: format!("runs/{run}/{ordinal}/{}-{seq}.jsonl.gz", kind.name()),
        rows: 10,
        bytes: 1_000,
        sha256: [seq as u8; 32],
        first_at: Time(1),
        last_at: Time(2),
        last: false,
        dropped: 0,
    }
}

pub fn summary(run: u8, complete: bool) -> Command {
    Command::RecordSummary(RecordSummary {
        run: run_id(run),
        metrics: BTreeMap::from([(SUCCESS_RATE.to_owned(), Aggregate::one(100_000))]),
        complete,
        missing: String::new(),
        responses: BTreeMap::new(),
        groups: Vec::new(),
    })
}

pub fn purge_run(run: u8, retention: Millis) -> Command {
    Command::PurgeRun(PurgeRun {
        run: run_id(run),
        retention,
    })
}

impl World {
    /// Chunk `seq` of an assignment, from the worker that has it.
    pub fn chunk(&self, run: u8, ordinal: u32, kind: EvidenceKind, seq: u32) -> RecordChunk {
        chunk(run, ordinal, self.assignment(run, ordinal).worker, kind, seq)
    }

    pub fn manifest(&self, run: u8, ordinal: u32, kind: EvidenceKind, seq: u32) -> Option<&Manifest> {
        let assignment = AssignmentKey {
            run: run_id(run),
            ordinal,
        };
        let key = ManifestKey {
            assignment,
            kind,
            seq,
        };
        self.state.manifest(key).map(std::sync::Arc::as_ref)
    }

    pub fn unsummarised(&self) -> Vec<RunId> {
        self.state.unsummarised_runs().map(|run| run.id).collect()
    }
}
