//! Rows as they stand on disk and in snapshots: what decodes has bytes that decode to the same row.

use rand::rngs::StdRng;
use reeve_store::{row_from_bytes, row_to_bytes};

use super::Target;
use crate::engine::digits_out;
use crate::mutate;

pub struct Row;

impl Target for Row {
    fn name(&self) -> &'static str {
        "row"
    }

    fn mutate(&self, rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
        mutate::proto(rng, input, other)
    }

    fn run(&mut self, input: &[u8]) -> String {
        match row_from_bytes(input) {
            Ok(row) => {
                let bytes = row_to_bytes(&row);
                let again = row_from_bytes(&bytes);
                assert_eq!(again.as_ref(), Ok(&row), "a row comes back from its bytes");
                let kind = format!("{row:?}");
                kind.split('(').next().unwrap_or_default().to_owned()
            }
            Err(error) => digits_out(&error.to_string()),
        }
    }
}
