//! Commands on tests.

use std::sync::Arc;

use crate::apply::project;
use crate::apply::tx::Tx;
use crate::command::{ApplyMode, ApplyTest, DeleteTest, ObjectKind, Refusal, Reply};
use crate::definition;
use crate::record::{ObjectRef, RequestKey, Test, TestDefinition};

pub(super) fn apply(
    tx: &mut Tx<'_>,
    command: &ApplyTest,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    let mut violations = definition::validate(&command.definition);
    violations.extend(definition::unknown_workers(&command.definition, tx.state()));
    if !violations.is_empty() {
        return Err(Refusal::Invalid { violations });
    }
    project::must_exist(tx, "project", &command.project)?;
    match (
        tx.state()
            .test_named(&command.project, &command.definition.name)
            .cloned(),
        command.mode,
    ) {
        (None, ApplyMode::CreateOnly | ApplyMode::CreateOrUpdate) => create(tx, command, created_by),
        (Some(_), ApplyMode::CreateOnly) => Err(Refusal::AlreadyExists {
            kind: ObjectKind::Test,
            name: command.definition.name.clone(),
        }),
        (Some(test), ApplyMode::CreateOrUpdate) => Ok(update(tx, &test, &command.definition)),
    }
}

fn create(tx: &mut Tx<'_>, command: &ApplyTest, created_by: Option<RequestKey>) -> Result<Reply, Refusal> {
    if tx.state().test(command.id).is_some() {
        return Err(Refusal::AlreadyExists {
            kind: ObjectKind::Test,
            name: command.id.to_string(),
        });
    }
    let now = tx.now();
    tx.put_test(Test {
        id: command.id,
        project: command.project.clone(),
        version: 1,
        definition: Arc::clone(&command.definition),
        created_at: now,
        updated_at: now,
        created_by,
        revision: tx.revision(),
    });
    Ok(Reply::Object {
        object: ObjectRef::Test(command.id),
        created: true,
        replayed: false,
    })
}

/// The version rises only if the definition differs: applying the same file twice changes nothing.
fn update(tx: &mut Tx<'_>, test: &Test, definition: &Arc<TestDefinition>) -> Reply {
    if test.definition != *definition {
        let now = tx.now();
        tx.put_test(Test {
            version: test.version + 1,
            definition: Arc::clone(definition),
            updated_at: now,
            ..test.clone()
        });
    }
    Reply::Object {
        object: ObjectRef::Test(test.id),
        created: false,
        replayed: false,
    }
}

pub(super) fn delete(tx: &mut Tx<'_>, command: &DeleteTest) -> Result<Reply, Refusal> {
    let test = tx.test(command.test)?;
    let runs = tx.state().live_runs().filter(|run| run.test == test.id).count();
    if runs > 0 {
        let runs = u32::try_from(runs).unwrap_or(u32::MAX);
        return Err(Refusal::TestInUse {
            id: test.id.to_string(),
            runs,
        });
    }
    let probing = tx.state().probes().find(|probe| probe.definition.test == test.id);
    if let Some(probe) = probing {
        return Err(Refusal::TestProbed {
            id: test.id.to_string(),
            probe: probe.definition.name.clone(),
        });
    }
    if let Some(key) = &test.created_by {
        tx.remove_request(key);
    }
    tx.remove_test(test.id);
    Ok(Reply::Object {
        object: ObjectRef::Test(test.id),
        created: false,
        replayed: false,
    })
}
