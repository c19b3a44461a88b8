//! A test on the wire.

use reeve_proto::v1;
use reeve_state::record::Test;

use super::{definition, time};

/// To the wire.
pub fn test(test: &Test) -> v1::Test {
    v1::Test {
        id: test.id.to_string(),
        name: test.definition.name.clone(),
        version: test.version,
        definition: Some(definition::encode(&test.definition)),
        created_at: Some(time::timestamp(test.created_at)),
        updated_at: Some(time::timestamp(test.updated_at)),
        revision: test.revision.0,
        project: test.project.to_string(),
    }
}
