//! What all clients know, and what they call what they share.
//!
//! Linearizability is checked object by object, and the time that takes grows with the calls on an object and with the clients that
//! call at once: so few clients share one, and after so many calls they go on to another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Clients that share an object.
const SHARE: usize = 8;
/// Calls on an object, about.
const MOST_CALLS: usize = 800;
/// Tokens of a worker that are remembered: the newest.
const TOKENS: usize = 4;
/// Runs that are still looked at and stopped: the newest.
const RECENT: usize = 12;

/// A worker's credential. It is in no history and in no message.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Of the text that a node gave.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// To be shown to a node.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// A token that somebody got.
#[derive(Clone, Debug)]
pub struct Token {
    /// The request that made it: no two tokens are of the same, so it stands for the token in histories.
    pub request: String,
    /// The token.
    pub secret: Secret,
}

/// What all clients know. Cheap to clone.
#[derive(Clone, Default)]
pub struct Common {
    /// Runs that were started, oldest first.
    runs: Arc<Mutex<Vec<String>>>,
    /// Starts that were asked for.
    asked: Arc<AtomicUsize>,
    /// The workers that run, by name.
    workers: Arc<[String]>,
    /// Tokens of workers that nobody starts, oldest first.
    tokens: Arc<Mutex<BTreeMap<String, Vec<Token>>>>,
    /// Calls on each object that is shared.
    calls: Arc<Mutex<BTreeMap<String, usize>>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Common {
    /// No run was started yet.
    pub fn new(workers: Vec<String>) -> Self {
        Self {
            workers: workers.into(),
            ..Self::default()
        }
    }

    /// The workers that run.
    pub fn workers(&self) -> &[String] {
        &self.workers
    }

    /// One of the objects of a kind that this client shares, for the next call or few.
    pub fn name(&self, kind: &str, client: usize, number: u32) -> String {
        let object = format!("{kind}-{}-{number}", client / SHARE);
        let mut calls = lock(&self.calls);
        let calls = calls.entry(object.clone()).or_default();
        *calls += 1;
        format!("{object}-{}", *calls / MOST_CALLS)
    }

    /// Whether one more run may be started.
    pub fn may_start(&self, most: Option<usize>) -> bool {
        let before = self.asked.fetch_add(1, Ordering::Relaxed);
        most.is_none_or(|most| before < most)
    }

    /// A run was started.
    pub fn started(&self, run: String) {
        lock(&self.runs).push(run);
    }

    /// One of the newest runs, by a number that is as good as any.
    pub fn recent_run(&self, any: usize) -> Option<String> {
        let runs = lock(&self.runs);
        let recent = &runs[runs.len().saturating_sub(RECENT)..];
        recent.get(any % recent.len().max(1)).cloned()
    }

    /// A worker got this token.
    pub fn got_token(&self, worker: &str, token: Token) {
        let mut tokens = lock(&self.tokens);
        let of = tokens.entry(worker.to_owned()).or_default();
        of.push(token);
        let surplus = of.len().saturating_sub(TOKENS);
        of.drain(..surplus);
    }

    /// The newest tokens of a worker, oldest first.
    pub fn tokens(&self, worker: &str) -> Vec<Token> {
        lock(&self.tokens).get(worker).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_clients_share_an_object_and_not_for_many_calls() {
        let common = Common::default();
        assert_eq!(common.name("shared", 7, 1), common.name("shared", 0, 1));
        assert_ne!(common.name("shared", 7, 1), common.name("shared", 8, 1));
        let first = common.name("idle", 0, 1);
        let mut calls = 1;
        while common.name("idle", 3, 1) == first {
            calls += 1;
        }
        assert!((MOST_CALLS - 1..=MOST_CALLS).contains(&calls), "{calls}");
    }

    #[test]
    fn the_newest_tokens_and_runs_are_remembered_and_secrets_are_not_printed() {
        let common = Common::default();
        for number in 0..TOKENS + 3 {
            let (request, secret) = (format!("r{number}"), Secret::new("cmw_1".to_owned()));
            common.got_token("w", Token { request, secret });
        }
        let tokens = common.tokens("w");
        assert_eq!((tokens.len(), tokens[0].request.as_str()), (TOKENS, "r3"));
        assert!(!format!("{tokens:?}").contains("cmw_"));
        assert_eq!(common.recent_run(5), None);
        (0..20).for_each(|number| common.started(format!("run{number}")));
        assert_eq!(common.recent_run(RECENT).as_deref(), Some("run8"));
        assert!(common.may_start(Some(1)) && !common.may_start(Some(1)) && common.may_start(None));
    }
}
