//! A worker's chunk: checked, stored, and then recorded in the log, in this order.

use std::sync::Arc;
use std::time::Duration;

use reeve_proto::v1;
use reeve_state::State;
use reeve_state::command::{Command, Envelope, ObjectKind, RecordChunk, Refusal};
use reeve_state::definition::MAX_CHUNK_BYTES;
use reeve_state::id::{AssignmentEpoch, RunId, TokenHash, WorkerId};
use reeve_state::record::{EvidenceKind, Manifest, ManifestKey};
use reeve_state::time::Time;
use reeve_store::{Consistency, Lane};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tonic::Status;

use super::Objects;
use crate::context::Context;
use crate::error::ApiError;

/// How long storing and recording may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// Stores a chunk and records it. The same again changes nothing.
pub(crate) async fn put_chunk(
    context: &Context,
    token: Option<TokenHash>,
    request: v1::PutChunkRequest,
) -> Result<(), Status> {
    let token = token.ok_or_else(|| Status::unauthenticated("the token is not one"))?;
    let _place = context
        .evidence
        .intake()
        .try_acquire()
        .map_err(|_| Status::resource_exhausted("too many chunks are stored at once; try again"))?;
    let deadline = Instant::now() + PATIENCE;
    let (run, kind) = check(&request).map_err(Status::from)?;
    let epoch = AssignmentEpoch(request.epoch);
    let (worker, key, known) = find(context, token, run, (epoch, kind, request.seq), deadline).await?;
    if let Some(known) = known {
        return if known.sha256.as_slice() == request.sha256.as_slice() {
            Ok(())
        } else {
            Err(taken(&known.path).into())
        };
    }
    let command = record(context, &request, worker, (run, epoch, kind), Objects::path(key));
    let path = command.path.clone();
    let objects = context.evidence.objects();
    match objects.put(&path, request.data.into()).await {
        Ok(Ok(())) => {}
        Ok(Err(super::objects::Different)) => return Err(taken(&path).into()),
        Err(error) => {
            tracing::warn!(path, %error, "a chunk cannot be stored");
            return Err(Status::unavailable("the chunk cannot be stored"));
        }
    }
    let envelope = Envelope::internal(Command::RecordChunk(command));
    let applied = context.store.propose(envelope, Lane::Reports, deadline).await;
    let result = applied.map_err(ApiError::from).map_err(Status::from)?.result;
    if let Err(Refusal::NotFound { .. }) = &result {
        // Purged meanwhile: what was just stored belongs to nothing.
        if let Err(error) = objects.delete_run(run).await {
            tracing::warn!(%run, %error, "objects of a purged run remain");
        }
    }
    result
        .map(|_| ())
        .map_err(|refusal| ApiError::from(refusal).into())
}

fn taken(path: &str) -> ApiError {
    Refusal::AlreadyExists {
        kind: ObjectKind::Evidence,
        name: path.to_owned(),
    }
    .into()
}

fn check(request: &v1::PutChunkRequest) -> Result<(RunId, EvidenceKind), ApiError> {
    let run = request
        .run_id
        .parse()
        .map_err(|_| ApiError::invalid("run_id", "must be a UUID"))?;
    let kind = match v1::EvidenceKind::try_from(request.kind) {
        Ok(v1::EvidenceKind::Metrics) => EvidenceKind::Metrics,
        Ok(v1::EvidenceKind::Events) => EvidenceKind::Events,
        Ok(v1::EvidenceKind::Trace) => EvidenceKind::Trace,
        Ok(v1::EvidenceKind::Unspecified) | Err(_) => {
            return Err(ApiError::invalid("kind", "must be METRICS, EVENTS or TRACE"));
        }
    };
    if request.data.len() as u64 > MAX_CHUNK_BYTES {
        return Err(ApiError::invalid(
            "data",
            format!("at most {MAX_CHUNK_BYTES} bytes"),
        ));
    }
    if Sha256::digest(&request.data).as_slice() != request.sha256.as_slice() {
        return Err(ApiError::invalid("sha256", "is not that of the data"));
    }
    if request.first_at_ms < 0 || request.first_at_ms > request.last_at_ms {
        return Err(ApiError::invalid(
            "first_at_ms",
            "must not be negative, and not after last_at_ms",
        ));
    }
    Ok((run, kind))
}

/// The worker of the token, the chunk's name, and its manifest if it is there. Always the cluster is asked: what this node remembers of
/// the token may have been replaced since (R91).
async fn find(
    context: &Context,
    token: TokenHash,
    run: RunId,
    chunk: (AssignmentEpoch, EvidenceKind, u32),
    deadline: Instant,
) -> Result<(WorkerId, ManifestKey, Option<Arc<Manifest>>), Status> {
    let state = context.store.read(Consistency::Linearizable, deadline).await;
    let state = state.map_err(ApiError::from).map_err(Status::from)?;
    find_in(&state, context.store.cluster_now(), token, run, chunk)
}

fn find_in(
    state: &State,
    now: Time,
    token: TokenHash,
    run: RunId,
    (epoch, kind, seq): (AssignmentEpoch, EvidenceKind, u32),
) -> Result<(WorkerId, ManifestKey, Option<Arc<Manifest>>), Status> {
    let worker = state
        .worker_by_token(token)
        .ok_or_else(|| Status::unauthenticated("no worker has this token"))?;
    // The command that takes it away may not have been applied yet.
    if worker.token_expires_at.is_some_and(|at| at <= now) {
        return Err(Status::unauthenticated("the worker's token has expired"));
    }
    let assignment = state
        .assignment_by_epoch(run, epoch)
        .filter(|assignment| assignment.worker == worker.id)
        .ok_or_else(|| {
            Status::from(ApiError::NotFound {
                kind: ObjectKind::Assignment,
                id: format!("{run} epoch {}", epoch.0),
            })
        })?;
    let key = ManifestKey {
        assignment: assignment.key,
        kind,
        seq,
    };
    Ok((worker.id, key, state.manifest(key).cloned()))
}

fn record(
    context: &Context,
    request: &v1::PutChunkRequest,
    worker: WorkerId,
    (run, epoch, kind): (RunId, AssignmentEpoch, EvidenceKind),
    path: String,
) -> RecordChunk {
    let time = |ms: i64| Time(u64::try_from(ms).unwrap_or_default());
    RecordChunk {
        run,
        epoch,
        worker,
        kind,
        seq: request.seq,
        node: context.config.id,
        path,
        rows: request.rows,
        bytes: request.data.len() as u64,
        sha256: Sha256::digest(&request.data).into(),
        first_at: time(request.first_at_ms),
        last_at: time(request.last_at_ms),
        last: request.last,
        dropped: request.dropped,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reeve_state::apply;
    use reeve_state::command::{CreateWorker, EntryMeta};
    use reeve_state::record::WorkerKind;
    use reeve_state::time::Millis;
    use reeve_state::transition::worker::LivenessProfile;
    use tonic::Code;

    use super::*;

    #[test]
    fn a_token_that_ran_out_shows_nothing_although_nobody_took_it_away_yet() {
        let token = TokenHash([7; 32]);
        let create = CreateWorker {
            id: WorkerId::from_bytes([1; 16]),
            name: "w".to_owned(),
            kind: WorkerKind::UserOwned,
            profile: LivenessProfile::Session,
            region: String::new(),
            labels: Default::default(),
            capacity: Some(10),
            token_hash: token,
            token_ttl: Some(Millis(1_000)),
        };
        let mut state = State::default();
        let entry = EntryMeta {
            term: 1,
            index: 1,
            stamp: Time(5_000),
        };
        let step = apply(
            &mut state,
            &entry,
            &Envelope::internal(Command::CreateWorker(create)),
        );
        step.applied.result.unwrap();
        let asked = |now| {
            let chunk = (AssignmentEpoch(1), EvidenceKind::Metrics, 0);
            let answer = find_in(&state, Time(now), token, RunId::from_bytes([2; 16]), chunk);
            answer.err().map(|status| status.code())
        };
        assert_eq!(asked(5_999), Some(Code::NotFound), "the assignment is looked for");
        assert_eq!(asked(6_000), Some(Code::Unauthenticated));
    }
}
