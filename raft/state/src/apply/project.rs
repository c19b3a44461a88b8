//! Commands on projects, and the settlement of what runs reserved.

use std::sync::Arc;

use crate::apply::tx::Tx;
use crate::command::{
    AdjustCredits, CreditChange, DeleteProject, FieldViolation, ObjectKind, PlanChange, PutMode, PutProject,
    Refusal, Reply,
};
use crate::definition;
use crate::id::{ProjectName, ScopedName};
use crate::record::{CreditAdjustment, ObjectRef, Plan, Project, RequestKey, Run};
use crate::state::State;
use crate::transition::run::RunStatus;

pub(super) fn put(
    tx: &mut Tx<'_>,
    command: &PutProject,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    let violations = definition::validate_project(command);
    if !violations.is_empty() {
        return Err(Refusal::Invalid { violations });
    }
    match command.mode {
        PutMode::Create { credits } => create(tx, command, credits, created_by),
        PutMode::Update => update(tx, command),
    }
}

fn create(
    tx: &mut Tx<'_>,
    command: &PutProject,
    credits: Option<u64>,
    created_by: Option<RequestKey>,
) -> Result<Reply, Refusal> {
    if tx.state().project_exists(&command.project) {
        return Err(Refusal::AlreadyExists {
            kind: ObjectKind::Project,
            name: command.project.to_string(),
        });
    }
    let now = tx.now();
    tx.put_project(Project {
        name: command.project.clone(),
        plan: changed(Plan::UNLIMITED, command.plan),
        credits,
        credits_spent: 0,
        last_adjustment: None,
        created_at: now,
        updated_at: now,
        created_by,
        revision: tx.revision(),
    });
    Ok(about(&command.project, true))
}

/// Lower limits stop no run that is queued or running: they are looked at when the next is queued.
fn update(tx: &mut Tx<'_>, command: &PutProject) -> Result<Reply, Refusal> {
    not_default(&command.project)?;
    let project = tx.project(&command.project)?;
    let plan = changed(project.plan, command.plan);
    if plan != project.plan {
        let updated_at = tx.now();
        tx.put_project(Project {
            plan,
            updated_at,
            ..Project::clone(&project)
        });
    }
    Ok(about(&command.project, false))
}

fn changed(plan: Plan, change: PlanChange) -> Plan {
    let limit = |old: Option<u32>, new: Option<u32>| match new {
        None => old,
        Some(limit) => (limit > 0).then_some(limit),
    };
    Plan {
        max_concurrent_endpoints: limit(plan.max_concurrent_endpoints, change.max_concurrent_endpoints),
        max_concurrent_runs: limit(plan.max_concurrent_runs, change.max_concurrent_runs),
        max_run_endpoints: limit(plan.max_run_endpoints, change.max_run_endpoints),
        subscription_active: change.subscription_active.unwrap_or(plan.subscription_active),
    }
}

pub(super) fn delete(tx: &mut Tx<'_>, command: &DeleteProject) -> Result<Reply, Refusal> {
    not_default(&command.project)?;
    let project = tx.project(&command.project)?;
    let (state, now) = (tx.state(), tx.now());
    let tests = state.test_count(&project.name);
    let runs = state.usage(&project.name).live;
    let keys = state
        .keys()
        .filter(|key| key.project == project.name.as_str() && key.in_force(now))
        .count();
    if tests > 0 || runs > 0 || keys > 0 {
        return Err(Refusal::ProjectInUse {
            project: project.name.clone(),
            tests: u32::try_from(tests).unwrap_or(u32::MAX),
            runs: u32::try_from(runs).unwrap_or(u32::MAX),
            keys: u32::try_from(keys).unwrap_or(u32::MAX),
        });
    }
    if let Some(by) = has_resources(state, &project.name) {
        return Err(Refusal::InUse {
            kind: ObjectKind::Project,
            name: project.name.to_string(),
            by,
        });
    }
    if let Some(key) = &project.created_by {
        tx.remove_request(key);
    }
    tx.remove_project(&project);
    Ok(about(&command.project, false))
}

pub(super) fn adjust(tx: &mut Tx<'_>, command: &AdjustCredits) -> Result<Reply, Refusal> {
    not_default(&command.project)?;
    let violations = definition::validate_adjustment(command);
    if !violations.is_empty() {
        return Err(Refusal::Invalid { violations });
    }
    let project = tx.project(&command.project)?;
    let credits = match (command.change, project.credits) {
        (CreditChange::Unlimited, _) => None,
        (CreditChange::Set(credits), _) => Some(credits),
        (CreditChange::Add(_), None) => {
            return Err(invalid(
                "add",
                "the project's credits are not counted; set them first",
            ));
        }
        (CreditChange::Add(more), Some(left)) => Some(added(left, more)?),
    };
    let adjustment = CreditAdjustment {
        at: tx.now(),
        actor: tx.actor(),
        reason: command.reason.clone(),
        left: credits,
    };
    tx.put_project(Project {
        credits,
        last_adjustment: Some(adjustment),
        ..Project::clone(&project)
    });
    Ok(about(&command.project, false))
}

/// What would be left behind, for another project of this name to find.
fn has_resources(state: &State, project: &ProjectName) -> Option<String> {
    let registrar = state
        .registrars()
        .map(|row| &row.key)
        .find(|key| key.project == *project);
    let pool = state
        .account_pools()
        .map(|(pool, _)| pool)
        .find(|key| key.project == *project);
    let media = state
        .media_files()
        .map(|row| &row.key)
        .find(|key| key.project == *project);
    let told = |kind: ObjectKind, key: &ScopedName| format!("it has the {} {key}", kind.name());
    None.or(registrar.map(|key| told(ObjectKind::Registrar, key)))
        .or(pool.map(|key| told(ObjectKind::AccountPool, key)))
        .or(media.map(|key| told(ObjectKind::Media, key)))
}

fn added(left: u64, more: i64) -> Result<u64, Refusal> {
    let sum = left.checked_add_signed(more);
    match sum {
        None if more < 0 => Err(invalid(
            "add",
            format!("only {left} endpoint-minutes are left to take away"),
        )),
        Some(sum) if sum <= definition::MAX_CREDITS => Ok(sum),
        Some(_) | None => Err(invalid(
            "add",
            format!("at most {} endpoint-minutes", definition::MAX_CREDITS),
        )),
    }
}

/// Refuses what is said of a project that does not exist; `field` is where it was named.
pub(super) fn must_exist(tx: &Tx<'_>, field: &str, project: &ProjectName) -> Result<(), Refusal> {
    if tx.state().project_exists(project) {
        Ok(())
    } else {
        Err(invalid(field, format!("there is no project {project}")))
    }
}

/// What a run that ends gives back. Only what was reserved is charged, and of that only what was used: endpoints for the time from
/// the common start instant, in whole endpoint-minutes.
pub(super) fn settle(tx: &mut Tx<'_>, run: &mut Run, to: RunStatus) {
    let Some(reserved) = run.credits_reserved else {
        return;
    };
    let used = match to {
        RunStatus::Completed | RunStatus::Failed => run.start_at.map_or(0, |start_at| {
            definition::endpoint_minutes(run.definition.endpoints(), tx.now().since(start_at))
        }),
        RunStatus::Pending | RunStatus::Queued | RunStatus::Running | RunStatus::CannotRunForNow => 0,
    };
    let used = used.min(reserved);
    run.credits_used = Some(used);
    let project = tx.state().project(&run.project).cloned();
    // Without a project or its count there is nowhere to give it back to.
    if let Some((project, left)) = project.and_then(|project| Some((Arc::clone(&project), project.credits?)))
    {
        tx.put_project(Project {
            credits: Some(left.saturating_add(reserved - used)),
            credits_spent: project.credits_spent.saturating_add(used),
            ..Project::clone(&project)
        });
    }
}

/// Takes what a run reserves from its project's credits.
pub(super) fn reserve(tx: &mut Tx<'_>, run: &mut Run, reserved: Option<u64>) -> Result<(), Refusal> {
    run.credits_reserved = reserved;
    let Some(reserved) = reserved else {
        return Ok(());
    };
    let project = tx.project(&run.project)?;
    tx.put_project(Project {
        credits: project.credits.map(|left| left.saturating_sub(reserved)),
        ..Project::clone(&project)
    });
    Ok(())
}

fn not_default(project: &ProjectName) -> Result<(), Refusal> {
    if project.is_default() {
        return Err(invalid(
            "name",
            "the project default always exists and has no limits; create another one for limits",
        ));
    }
    Ok(())
}

fn invalid(field: &str, rule: impl Into<String>) -> Refusal {
    Refusal::Invalid {
        violations: vec![FieldViolation {
            field: field.to_owned(),
            rule: rule.into(),
        }],
    }
}

fn about(project: &ProjectName, created: bool) -> Reply {
    Reply::Object {
        object: ObjectRef::Project(project.clone()),
        created,
        replayed: false,
    }
}
