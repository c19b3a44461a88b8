//! Writes the lines of one client.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::time;

use super::op::{F, Input, Op, Output, Res};

/// A call that was sent.
#[derive(Clone, Debug)]
pub struct Called {
    /// What was called.
    pub f: F,
    /// The object.
    pub k: String,
    /// What it was given.
    pub input: Input,
    /// Position of the node.
    pub node: usize,
    /// When, ns.
    pub inv: u64,
}

/// The only writer of one client's file.
pub struct Recorder {
    path: PathBuf,
    file: BufWriter<File>,
    writers: u64,
    process: u64,
    seq: u64,
    failed: Option<std::io::Error>,
}

impl Recorder {
    /// Begins the file `ops-WRITER.jsonl` of one of `writers` clients in a directory.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(directory: &Path, writer: usize, writers: usize) -> Result<Self> {
        let path = directory.join(format!("ops-{writer:04}.jsonl"));
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        Ok(Self {
            path,
            file: BufWriter::new(file),
            writers: writers as u64,
            process: writer as u64,
            seq: 0,
            failed: None,
        })
    }

    /// Notes when a call is sent. It is written once it ended.
    pub fn call(&self, f: F, k: impl Into<String>, input: Input, node: usize) -> Called {
        Called {
            f,
            k: k.into(),
            input,
            node,
            inv: time::now_ns(),
        }
    }

    /// The call was answered.
    pub fn ok(&mut self, called: Called, out: Output, revision: Option<u64>) {
        self.write(called, Res::Ok, out, revision);
    }

    /// The call was not answered, or refused.
    pub fn error(&mut self, called: Called, status: &Status) {
        let read = !called.f.mutates();
        if read && status.code() == Code::NotFound {
            let out = Output {
                absent: true,
                ..Output::default()
            };
            return self.write(called, Res::Ok, out, None);
        }
        let res = if read || proves_nothing_applied(status) {
            Res::Fail
        } else {
            Res::Info
        };
        let out = Output {
            error: Some(format!("{:?}: {}", status.code(), status.message())),
            ..Output::default()
        };
        self.write(called, res, out, None);
    }

    fn write(&mut self, called: Called, res: Res, out: Output, revision: Option<u64>) {
        let op = Op {
            p: self.process,
            seq: self.seq,
            f: called.f,
            k: called.k,
            input: called.input,
            inv: called.inv,
            ret: (res != Res::Info).then(time::now_ns),
            res,
            out,
            revision,
            node: called.node,
        };
        self.seq += 1;
        if res == Res::Info {
            self.process += self.writers;
        }
        let written = serde_json::to_writer(&mut self.file, &op)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"));
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }

    /// Everything is in the file.
    ///
    /// # Errors
    /// Something could not be written.
    pub fn finish(mut self) -> Result<()> {
        let written = match self.failed.take() {
            Some(error) => Err(error),
            None => self.file.flush(),
        };
        written.with_context(|| self.path.display().to_string())
    }
}

/// Whether an error proves that the mutation it answers was not applied.
///
/// `UNAVAILABLE` proves it only if the node itself said so, with a reason: the transport uses the same code for a connection that
/// broke after the request was sent. `NOT_FOUND` proves nothing: the object may have been written, and be gone by the time that
/// the answer was made.
pub fn proves_nothing_applied(status: &Status) -> bool {
    match status.code() {
        Code::InvalidArgument
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => true,
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted => {
            status.get_details_error_info().is_some()
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::NotFound
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::DataLoss => false,
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;
    use crate::history::op::{load, unsound};

    #[test]
    fn only_a_node_that_gives_its_reason_proves_that_it_did_nothing() {
        let broken = Status::unavailable("tcp connect error");
        assert!(!proves_nothing_applied(&broken));
        let details = ErrorDetails::with_error_info("NOT_LEADER", "reeve", std::collections::HashMap::new());
        let said = Status::with_error_details(Code::Unavailable, "not the leader", details);
        assert!(proves_nothing_applied(&said));
        for (code, proves) in [
            (Code::FailedPrecondition, true),
            (Code::AlreadyExists, true),
            (Code::DeadlineExceeded, false),
            (Code::Cancelled, false),
            (Code::NotFound, false),
            (Code::Internal, false),
        ] {
            assert_eq!(proves_nothing_applied(&Status::new(code, "")), proves, "{code:?}");
        }
    }

    #[test]
    #[allow(clippy::unwrap_used)]
    fn what_a_recorder_writes_is_sound_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        for writer in 0..2 {
            let mut recorder = Recorder::create(directory.path(), writer, 2).unwrap();
            for (f, status) in [
                (F::ApplyTest, None),
                (F::ApplyTest, Some(Status::deadline_exceeded("late"))),
                (F::GetTest, Some(Status::deadline_exceeded("late"))),
                (F::GetTest, Some(Status::not_found("no test"))),
            ] {
                let called = recorder.call(f, "test/a", Input::default(), 0);
                match status {
                    None => recorder.ok(called, Output::default(), Some(3)),
                    Some(status) => recorder.error(called, &status),
                }
            }
            recorder.finish().unwrap();
        }
        let histories: Vec<Vec<Op>> = (0..2)
            .map(|writer| load(&directory.path().join(format!("ops-{writer:04}.jsonl"))).unwrap())
            .collect();
        assert_eq!(unsound(&histories), Vec::<String>::new());
        let ends: Vec<(u64, Res, bool)> = histories[1]
            .iter()
            .map(|op| (op.p, op.res, op.out.absent))
            .collect();
        assert_eq!(
            ends,
            [
                (1, Res::Ok, false),
                (1, Res::Info, false),
                (3, Res::Fail, false),
                (3, Res::Ok, true)
            ]
        );
    }
}
