//! Which changes a watcher asked for.

use std::collections::BTreeSet;
use std::str::FromStr;

use reeve_proto::names::Named;
use reeve_proto::v1;
use reeve_proto::v1::ResourceKind as Kind;
use reeve_state::State;
use reeve_state::id::{ProjectName, RunId, TestId, WorkerId};

use super::super::call::Caller;
use super::super::read::{find_test, find_worker, parse_id};
use super::super::scope::Scope;
use super::event::Tags;
use crate::error::ApiError;

/// Every part that is set must fit.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Empty: all.
    kinds: BTreeSet<i32>,
    id: Option<String>,
    run: Option<RunId>,
    test: Option<TestId>,
    worker: Option<WorkerId>,
    project: Option<ProjectName>,
    /// What the caller may see of what belongs to a project; `None`: all of it.
    scope: Option<Scope>,
    /// Empty: all.
    statuses: BTreeSet<&'static str>,
}

impl Filter {
    /// Names are looked up in this state.
    pub fn decode(request: &v1::WatchRequest, state: &State, caller: &Caller) -> Result<Self, ApiError> {
        let scope = caller.scope(&request.project)?;
        let set = |text: &String| (!text.is_empty()).then(|| text.clone());
        let run = set(&request.run).map(|text| parse_id("run", &text)).transpose()?;
        let test = set(&request.test)
            .map(|text| by_id_or(&text, || find_test(state, &scope, &text).map(|row| row.id)));
        let worker =
            set(&request.worker).map(|text| by_id_or(&text, || find_worker(state, &text).map(|row| row.id)));
        Ok(Self {
            kinds: kinds(&request.kinds)?,
            id: set(&request.id),
            run,
            test: test.transpose()?,
            worker: worker.transpose()?,
            project: set(&request.project).map(|name| ProjectName::from(name.as_str())),
            scope: Some(scope),
            statuses: request
                .statuses
                .iter()
                .map(|name| status(name))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether objects of this kind can pass at all.
    pub fn wants(&self, kind: Kind) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind.into()))
            && (self.run.is_none() || kind == Kind::Run)
    }

    /// Workers are everyone's; what belongs to a project is shown to who may see it.
    fn may_see(&self, tags: &Tags) -> bool {
        let shown = |scope: &Scope| tags.project.as_ref().is_none_or(|project| scope.shows(project));
        self.scope.as_ref().is_none_or(shown)
    }

    /// Whether this run can pass at all.
    pub fn wants_run(&self, run: RunId) -> bool {
        self.wants(Kind::Run) && self.run.is_none_or(|wanted| wanted == run)
    }

    /// Whether a change passes. That an object is gone passes whatever its status was.
    pub fn passes(&self, tags: &Tags, deleted: bool) -> bool {
        let fits = |status: &'static str| self.statuses.contains(status);
        self.wants(tags.kind)
            && self.id.as_ref().is_none_or(|id| *id == tags.id)
            && (self.run.is_none() || self.run == tags.run)
            && (self.test.is_none() || self.test == tags.test)
            && self.worker.is_none_or(|worker| tags.workers.contains(&worker))
            && (self.project.is_none() || self.project == tags.project)
            && self.may_see(tags)
            && (self.statuses.is_empty() || deleted || tags.status.is_some_and(fits))
    }
}

/// An id stands for itself, whether there is such an object or not; a name must be known.
fn by_id_or<T: FromStr>(text: &str, named: impl FnOnce() -> Result<T, ApiError>) -> Result<T, ApiError> {
    text.parse().or_else(|_| named())
}

fn kinds(numbers: &[i32]) -> Result<BTreeSet<i32>, ApiError> {
    for number in numbers {
        match Kind::try_from(*number) {
            Ok(
                Kind::Test
                | Kind::Run
                | Kind::Worker
                | Kind::Project
                | Kind::Probe
                | Kind::Webhook
                | Kind::Registrar
                | Kind::AccountPool
                | Kind::MediaFile,
            ) => {}
            Ok(Kind::Unspecified) | Err(_) => {
                let rule = format!("{number} is not a ResourceKind");
                return Err(ApiError::invalid("kinds", rule));
            }
        }
    }
    Ok(numbers.iter().copied().collect())
}

fn status(name: &str) -> Result<&'static str, ApiError> {
    let run = v1::RunStatus::from_name(name).map(Named::name);
    let worker = || v1::WorkerStatus::from_name(name).map(Named::name);
    let probe = || v1::ProbeStatus::from_name(name).map(Named::name);
    run.or_else(worker).or_else(probe).ok_or_else(|| {
        let rule = format!(
            "{name:?} is not one of {}, {}, {}",
            v1::RunStatus::expected(),
            v1::WorkerStatus::expected(),
            v1::ProbeStatus::expected()
        );
        ApiError::invalid("statuses", rule)
    })
}
