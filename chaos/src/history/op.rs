//! One call of one client: a line of JSON, and the rules that lines of a sound history keep.
//!
//! Every writer has a file of its own. Times are nanoseconds of one monotonic clock, which all writers share, so that the order
//! of real time is exact over all files.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum F {
    /// Creates a test, and refuses if the name is taken.
    CreateTest,
    /// Creates or updates a test.
    ApplyTest,
    /// Deletes a test.
    DeleteTest,
    /// Reads a test, linearizably.
    GetTest,
    /// Starts a run.
    StartRun,
    /// Stops a run.
    StopRun,
    /// Reads a run, linearizably.
    GetRun,
    /// Creates a worker.
    CreateWorker,
    /// Drains a worker.
    DrainWorker,
    /// Takes a drain back.
    UndrainWorker,
    /// Gives a worker a new token.
    RegenerateToken,
    /// Proves who one is with a token.
    UseToken,
    /// Reads a worker, linearizably.
    GetWorker,
    /// Reads a list, linearizably: only its revision counts.
    List,
}

impl F {
    /// Whether it may change something.
    pub fn mutates(self) -> bool {
        match self {
            Self::CreateTest
            | Self::ApplyTest
            | Self::DeleteTest
            | Self::StartRun
            | Self::StopRun
            | Self::CreateWorker
            | Self::DrainWorker
            | Self::UndrainWorker
            | Self::RegenerateToken => true,
            Self::GetTest | Self::GetRun | Self::UseToken | Self::GetWorker | Self::List => false,
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Res {
    /// It was answered.
    Ok,
    /// An error that proves that nothing was applied, or a read that gave nothing.
    Fail,
    /// It may have been applied, now or later.
    Info,
}

/// What a call was given. What a call has no use for is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Input {
    /// The request id; a repeated request has the one of the first.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request: String,
    /// A value that no other call writes: what a test or a drain is recognised by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// The token that is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What a call gave. What it did not tell is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    /// The status of a call that was not answered, as `Code: message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// There is no such object.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// The version of a test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The value that was written last: of a test, or of the drain in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// Whether the call created the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<bool>,
    /// The id of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The status of a run, or of a worker, by its name in the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A run was told to stop.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stop: bool,
    /// A token was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// The process: a new one after each mutation whose end is not known. Its remainder by the number of writers is the writer.
    pub p: u64,
    /// Counts the lines of a writer from 0.
    pub seq: u64,
    /// What was called.
    pub f: F,
    /// The object: `test/NAME`, `run/ID`, `request/ID` of a run that is asked for, `worker/NAME`.
    pub k: String,
    /// What it was given.
    #[serde(rename = "in", default)]
    pub input: Input,
    /// When it was called, ns.
    pub inv: u64,
    /// When it was answered, ns; none: it may be applied at any time after.
    pub ret: Option<u64>,
    /// How it ended.
    pub res: Res,
    /// What it gave.
    #[serde(default)]
    pub out: Output,
    /// The revision of the object, or of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Position of the node.
    pub node: usize,
}

/// Reads the lines of one writer.
///
/// # Errors
/// The file cannot be read, or a line is not an [`Op`].
pub fn load(path: &Path) -> Result<Vec<Op>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut ops = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line.with_context(|| path.display().to_string())?;
        let op = serde_json::from_str(&line).with_context(|| format!("{}:{number}", path.display()))?;
        ops.push(op);
    }
    Ok(ops)
}

/// What is wrong with the histories themselves, by writer: a fault of the harness, which says nothing about the system.
pub fn unsound(histories: &[Vec<Op>]) -> Vec<String> {
    let writers = histories.len() as u64;
    let mut faults = Vec::new();
    for (writer, ops) in (0u64..).zip(histories) {
        let mut before: Option<&Op> = None;
        for (expected, op) in (0u64..).zip(ops) {
            let at = || format!("writer {writer}, line {}", expected + 1);
            if op.seq != expected {
                faults.push(format!("{}: number {} where {expected} is due", at(), op.seq));
                // Everything after a gap is out of step.
                break;
            }
            if op.p % writers != writer {
                faults.push(format!("{}: process {} is of another writer", at(), op.p));
            }
            let ended = match op.res {
                Res::Ok | Res::Fail => op.ret.is_some_and(|ret| ret >= op.inv),
                Res::Info => op.ret.is_none() && op.f.mutates(),
            };
            if !ended {
                faults.push(format!("{}: its times do not fit its end", at()));
            }
            if let Some(before) = before
                && let Some(fault) = does_not_follow(before, op, writers)
            {
                faults.push(format!("{}: {fault}", at()));
            }
            before = Some(op);
        }
    }
    faults
}

fn does_not_follow(before: &Op, op: &Op, writers: u64) -> Option<&'static str> {
    let process = match before.res {
        Res::Ok | Res::Fail => before.p,
        Res::Info => before.p + writers,
    };
    if op.p != process {
        return Some("not the process that follows");
    }
    (op.inv < before.ret.unwrap_or(before.inv)).then_some("begins before the call before it ended")
}
