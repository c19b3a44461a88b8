//! What the fuzzer reaches of this crate: the decoders of what workers and callers send.

use reeve_proto::v1;
use reeve_proto::v1::session_request::Message;
use reeve_state::id::WorkerId;

use crate::convert::definition;
use crate::error::ApiError;
use crate::gateway;

/// Decodes what a worker says, as its session would; how that went.
pub fn session_request(request: &v1::SessionRequest) -> String {
    let Some(message) = &request.message else {
        return "nothing".to_owned();
    };
    let worker = WorkerId::from_bytes([3; 16]);
    let kind = match message {
        Message::Hello(_) => "hello",
        Message::Heartbeat(_) => "heartbeat",
        Message::Report(_) => "report",
        Message::Drain(_) => "drain",
        Message::Goodbye(_) => "goodbye",
        Message::Live(_) => "live",
    };
    match gateway::decoded(worker, message) {
        Ok(()) => format!("{kind} taken"),
        Err(bad) => format!("{kind} {bad}"),
    }
}

/// Decodes a definition; one that is good is the same after it went out and came in again.
///
/// # Panics
/// It is not.
pub fn test_definition(wire: &v1::TestDefinition) -> String {
    match definition::decode(Some(wire)) {
        Ok(decoded) => {
            let again = definition::decode(Some(&definition::encode(&decoded)));
            assert_eq!(again.ok(), Some(decoded), "what goes out comes in again");
            "good".to_owned()
        }
        Err(ApiError::Invalid(violations)) => {
            let fields = violations
                .iter()
                .take(3)
                .map(|violation| violation.field.as_str());
            fields.collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.to_string(),
    }
}
