//! The tests that clients run: small, short, and with all outcomes good unless a fault makes them otherwise.

use prost_types::Duration;
use reeve_proto::v1::group::Executor;
use reeve_proto::v1::{Group, SimExecutor, TestDefinition};

/// What the name of the group begins with; the value follows.
const GROUP: &str = "callers-";

/// The value that a definition is recognised by, from the name of its group.
pub fn value_of(group: &str) -> u64 {
    let value = group.strip_prefix(GROUP).and_then(|value| value.parse().ok());
    value.unwrap_or(0)
}

/// A test of one group. A run of it takes two to three seconds.
pub fn definition(name: &str, endpoints: u32, value: u64) -> TestDefinition {
    let millis = |millis: i64| {
        Some(Duration {
            seconds: millis / 1_000,
            nanos: i32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0),
        })
    };
    TestDefinition {
        name: name.to_owned(),
        duration: millis(1_000),
        buildup: millis(500),
        // Longer than any fault, so that most runs begin in the end.
        queue_timeout: millis(20_000),
        max_execution: millis(30_000),
        on_worker_loss: None,
        groups: vec![Group {
            name: format!("{GROUP}{value}"),
            endpoints,
            selector: None,
            callee: None,
            executor: Some(Executor::Sim(SimExecutor {
                setup_min: millis(50),
                setup_max: millis(200),
                outcomes: Vec::new(),
                quality: None,
            })),
        }],
    }
}
