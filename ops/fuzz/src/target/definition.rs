//! Definitions of tests, in each form in which they come: what is taken means the same after it was written and read again.

use prost::Message;
use rand::rngs::StdRng;
use reeve_node::fuzz::test_definition;
use reeve_proto::definition::{DefinitionDocument, FieldViolation, from_json};
use reeve_proto::v1::TestDefinition;

use super::Target;
use crate::engine::digits_out;
use crate::mutate;

/// JSON, as REST takes it.
pub struct Json;

/// YAML, as the command line takes it.
pub struct Yaml;

/// Protobuf, as gRPC takes it.
pub struct Wire;

impl Target for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn mutate(&self, rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
        mutate::json(rng, input, other)
    }

    fn run(&mut self, input: &[u8]) -> String {
        checked(from_json(input))
    }
}

impl Target for Yaml {
    fn name(&self) -> &'static str {
        "yaml"
    }

    fn mutate(&self, rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
        mutate::text(rng, input, other)
    }

    fn run(&mut self, input: &[u8]) -> String {
        // What is not text is refused before.
        std::str::from_utf8(input).map_or_else(
            |_| "not text".to_owned(),
            |text| checked(reeve_cli::parse_definition(text)),
        )
    }
}

impl Target for Wire {
    fn name(&self) -> &'static str {
        "definition"
    }

    fn mutate(&self, rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
        mutate::proto(rng, input, other)
    }

    fn run(&mut self, input: &[u8]) -> String {
        match TestDefinition::decode(input) {
            Ok(definition) => {
                // Shown by REST and by the command line even where it is refused.
                let _ = DefinitionDocument::from(&definition);
                digits_out(&test_definition(&definition))
            }
            Err(_) => "not a message".to_owned(),
        }
    }
}

fn checked(parsed: Result<TestDefinition, Vec<FieldViolation>>) -> String {
    match parsed {
        Ok(definition) => {
            let document = DefinitionDocument::from(&definition);
            let json = serde_json::to_vec(&document).unwrap_or_default();
            assert_eq!(
                from_json(&json).as_ref(),
                Ok(&definition),
                "a definition comes back from its document"
            );
            format!("good, {}", digits_out(&test_definition(&definition)))
        }
        Err(violations) => {
            assert!(!violations.is_empty(), "what is refused is refused for a reason");
            let texts = violations.iter().take(2).map(ToString::to_string);
            let text = digits_out(&texts.collect::<Vec<_>>().join("; "));
            // Not what the caller wrote, which is always new.
            text.split('"').step_by(2).collect()
        }
    }
}
