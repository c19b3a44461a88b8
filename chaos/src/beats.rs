//! What a worker knows of its own session: `beats-WORKER-N.jsonl` in the directory of a scenario, one file a process, written by
//! the worker itself at the moment that it happens:
//!
//! ```json
//! {"at":1000,"worker":"w1","beat":"started","capacity":10}
//! {"at":1100,"worker":"w1","beat":"session","node":"10.0.0.1:50052"}
//! {"at":1240,"worker":"w1","beat":"acked","node":"10.0.0.1:50052","sent":1200}
//! {"at":1300,"worker":"w1","beat":"assigned","node":"10.0.0.1:50052","run":"…","epoch":1,"endpoints":4}
//! {"at":2000,"worker":"w1","beat":"ended","node":"10.0.0.1:50052","reason":"silent"}
//! {"at":2100,"worker":"w1","beat":"refused","node":"10.0.0.2:50052","reason":"no_leader"}
//! ```
//!
//! `refused` is every attempt that came to nothing, also where nobody answered: the reason is the label of the worker's own cause.
//! A session that ends because the process was killed has no line; the next process begins another file.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::lines;

/// What the names of the files begin with.
pub const PREFIX: &str = "beats-";

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it was known, microseconds of [`crate::time`].
    pub at: u64,
    /// The worker's name.
    pub worker: String,
    /// What happened.
    #[serde(flatten)]
    pub beat: Beat,
}

/// What happened to a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "beat", rename_all = "snake_case")]
pub enum Beat {
    /// The process began.
    Started {
        /// Most endpoints that it takes at once; none: as many as the machine allows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capacity: Option<u32>,
    },
    /// A node took the session: it said Welcome.
    Session {
        /// Its address.
        node: String,
    },
    /// A heartbeat was acknowledged.
    Acked {
        /// Address of the node.
        node: String,
        /// When the heartbeat was sent, microseconds.
        sent: u64,
    },
    /// The session ended.
    Ended {
        /// Address of the node.
        node: String,
        /// Why; `left`: the worker said Goodbye.
        reason: String,
    },
    /// No session came of an attempt.
    Refused {
        /// Address of the node.
        node: String,
        /// Why.
        reason: String,
    },
    /// Work was received, new or once more: after a session that broke it is offered again.
    Assigned {
        /// Address of the node.
        node: String,
        /// The run's id.
        run: String,
        /// The epoch of the assignment.
        epoch: u64,
        /// How many endpoints.
        endpoints: u32,
    },
}

/// Reads a file; a killed process may leave a torn last line.
///
/// # Errors
/// The file cannot be read.
pub fn load(path: &Path) -> Result<Vec<Line>> {
    lines::load(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn lines_are_as_documented_and_a_torn_one_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("beats-w1-0.jsonl");
        let text = concat!(
            r#"{"at":1240,"worker":"w1","beat":"acked","node":"a:1","sent":1200}"#,
            "\n",
            r#"{"at":1300,"worker":"w1","beat":"assigned","node":"a:1","run":"r","epoch":1,"endpoints":4}"#,
            "\n",
            r#"{"at":2000,"wor"#,
        );
        std::fs::write(&path, text).unwrap();
        let lines = load(&path).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0].beat,
            Beat::Acked {
                node: "a:1".to_owned(),
                sent: 1200
            }
        );
        let written: Vec<String> = lines
            .iter()
            .map(|line| serde_json::to_string(line).unwrap())
            .collect();
        assert!(text.starts_with(&written.join("\n")), "{written:?}");
        std::fs::write(&path, text.to_owned() + "\n").unwrap();
        assert!(load(&path).is_err(), "a whole line that cannot be read");
    }
}
