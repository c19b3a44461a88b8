//! Definitions of calls.

use std::time::Duration;

use prost_types::Duration as WireDuration;
use reeve_proto::v1::group::Executor;
use reeve_proto::v1::{Callee, Group, SipExecutor, TestDefinition};

use super::bed::REGISTRAR;

/// Most endpoints of a group: a pool has at most so many accounts.
const MOST_OF_A_GROUP: u32 = 10_000;

/// Callers that do not register, all with the same shape.
#[derive(Clone, Debug)]
pub struct Calls {
    /// How many there are, over all callees.
    pub callers: u32,
    /// How long it takes until the last one begins.
    pub buildup: Duration,
    /// From answer to BYE.
    pub duration: Duration,
    /// Whom they call, in equal shares.
    pub uris: Vec<String>,
}

/// Callers of one pool of accounts.
pub struct Share {
    /// Name of the group and of its pool.
    pub name: String,
    /// Callers.
    pub callers: u32,
    uri: String,
}

impl Calls {
    /// Groups of at most as many callers as a pool may have accounts; all build up at the same time.
    pub fn shares(&self) -> Vec<Share> {
        let each = u32::try_from(self.uris.len()).unwrap_or(1).max(1);
        let groups = self
            .callers
            .div_ceil(MOST_OF_A_GROUP)
            .max(1)
            .next_multiple_of(each);
        let uris = self.uris.iter().cycle();
        (0..groups)
            .zip(uris)
            .map(|(number, uri)| Share {
                name: format!("g{number}"),
                callers: self.callers / groups + u32::from(number < self.callers % groups),
                uri: uri.clone(),
            })
            .collect()
    }

    /// The definition.
    pub fn definition(&self) -> TestDefinition {
        let groups = self.shares().into_iter().map(|share| Group {
            endpoints: share.callers,
            selector: None,
            callee: Some(Callee {
                group: String::new(),
                uri: share.uri,
            }),
            executor: Some(Executor::Sip(SipExecutor {
                registrar: REGISTRAR.to_owned(),
                accounts: share.name.clone(),
                register_expires: wire(Duration::ZERO),
                ..SipExecutor::default()
            })),
            name: share.name,
        });
        TestDefinition {
            name: "bench-sip".to_owned(),
            duration: wire(self.duration),
            buildup: wire(self.buildup),
            queue_timeout: wire(Duration::from_secs(60)),
            max_execution: wire(Duration::from_secs(3_600)),
            on_worker_loss: None,
            groups: groups.collect(),
        }
    }
}

fn wire(duration: Duration) -> Option<WireDuration> {
    Some(WireDuration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_shared_between_pools_and_callees() {
        let calls = |callers, uris: &[&str]| Calls {
            callers,
            buildup: Duration::from_secs(10),
            duration: Duration::from_secs(1),
            uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
        };
        let sizes = |calls: &Calls| {
            calls
                .shares()
                .iter()
                .map(|share| share.callers)
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(&calls(1_000, &["sip:a@b"])), [1_000]);
        assert_eq!(sizes(&calls(20_001, &["sip:a@b"])), [6_667, 6_667, 6_667]);
        let three = calls(7, &["sip:a@b", "sip:c@b", "sip:d@b"]);
        assert_eq!(sizes(&three), [3, 2, 2]);
        let groups = three.definition().groups;
        assert_eq!(
            groups[2].callee.as_ref().map(|callee| &*callee.uri),
            Some("sip:d@b")
        );
    }
}
