//! A test: created, updated to another version, read, deleted.

use super::Applied;
use crate::checker::wgl::Model;

/// The rules of a test.
#[derive(Clone, Copy, Debug)]
pub struct TestModel;

/// The test as far as it exists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TestState {
    test: Option<Held>,
    applied: Applied,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held {
    version: u32,
    value: u64,
    /// A test is forgotten together with the request that created it.
    creator: Option<u32>,
}

/// A call with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestOp {
    /// The test was written, or may have been.
    Write {
        /// Refused if there is one.
        create_only: bool,
        /// What is written.
        value: u64,
        /// Number of a request that was sent more than once.
        request: Option<u32>,
        /// Whether the answer says that it was created.
        created: Option<bool>,
        /// The version that the answer shows: that of the write, or a later one. None: not known, or versions began again.
        shown: Option<u32>,
        /// It was answered.
        certain: bool,
    },
    /// A creation was refused because there is one.
    Taken,
    /// The test was deleted, or may have been.
    Delete {
        /// Number of a request that was sent more than once.
        request: Option<u32>,
        /// It was answered.
        certain: bool,
    },
    /// Version and value were read; none: there is no test.
    Read(Option<(u32, u64)>),
}

impl Model for TestModel {
    type State = TestState;
    type Op = TestOp;

    fn begin(&self) -> TestState {
        TestState::default()
    }

    fn step(&self, state: &TestState, op: &TestOp) -> Option<TestState> {
        match op {
            TestOp::Write {
                create_only,
                value,
                request,
                created,
                shown,
                certain,
            } => {
                if state.applied.has(*request) {
                    return Some(state.clone());
                }
                let held = match &state.test {
                    None => Held {
                        version: 1,
                        value: *value,
                        creator: *request,
                    },
                    // Refused, without anybody to tell.
                    Some(_) if *create_only => return (!certain).then(|| state.clone()),
                    Some(held) if held.value == *value => held.clone(),
                    Some(held) => Held {
                        version: held.version + 1,
                        value: *value,
                        creator: held.creator,
                    },
                };
                let told = created.is_none_or(|created| created == state.test.is_none());
                let in_time = shown.is_none_or(|shown| held.version <= shown);
                (told && in_time).then(|| TestState {
                    test: Some(held),
                    applied: state.applied.clone().and(*request),
                })
            }
            TestOp::Taken => state.test.is_some().then(|| state.clone()),
            TestOp::Delete { request, certain } => {
                if state.applied.has(*request) {
                    return Some(state.clone());
                }
                let Some(held) = &state.test else {
                    return (!certain).then(|| state.clone());
                };
                Some(TestState {
                    test: None,
                    applied: state.applied.clone().without(held.creator).and(*request),
                })
            }
            TestOp::Read(seen) => {
                let held = state.test.as_ref().map(|held| (held.version, held.value));
                (held == *seen).then(|| state.clone())
            }
        }
    }
}
