//! Commands as they stand in the log: what decodes encodes to the same bytes, and everything else is refused.

use bytes::Bytes;
use rand::rngs::StdRng;
use reeve_store::{decode_envelope, encode_envelope};

use super::Target;
use crate::engine::digits_out;
use crate::mutate;

pub struct Log;

impl Target for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        super::golden_commands()
    }

    fn mutate(&self, rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
        mutate::proto(rng, input, other)
    }

    fn run(&mut self, input: &[u8]) -> String {
        let bytes = Bytes::copy_from_slice(input);
        match decode_envelope(&bytes) {
            Ok(envelope) => {
                assert_eq!(
                    encode_envelope(&envelope),
                    bytes,
                    "what decodes encodes to the same"
                );
                format!("{} {}", envelope.command.name(), envelope.request.is_some())
            }
            Err(error) => digits_out(&error.to_string()),
        }
    }
}
