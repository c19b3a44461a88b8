//! Which projects a call is about (D27a): its key's, or the one that an admin names.

use reeve_state::State;
use reeve_state::command::{ObjectKind, Refusal};
use reeve_state::id::ProjectName;
use reeve_state::record::Role;

use super::call::Caller;
use crate::error::ApiError;

/// Where a call looks.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// Whether the caller named the project.
    pub(super) named: bool,
    /// Names are looked up in this one, and what is created is of it.
    pub(super) project: ProjectName,
    /// Whether objects of other projects exist for the call.
    everywhere: bool,
}

impl Scope {
    /// A project that the caller named has to exist: a list of nothing would hide the mistake.
    pub(super) fn must_exist(&self, state: &State) -> Result<(), ApiError> {
        if self.named && !state.project_exists(&self.project) {
            return Err(ApiError::NotFound {
                kind: ObjectKind::Project,
                id: self.project.to_string(),
            });
        }
        Ok(())
    }

    /// Whether what is of this project exists for the call.
    pub(super) fn shows(&self, project: &ProjectName) -> bool {
        self.everywhere || self.project == *project
    }
}

impl Caller {
    /// What a call is about that names this project; empty: none.
    ///
    /// # Errors
    /// Another project than the key's, which only admins may name.
    pub(super) fn scope(&self, named: &str) -> Result<Scope, Refusal> {
        let admin = self.role == Role::Admin;
        if named.is_empty() {
            return Ok(Scope {
                named: false,
                project: ProjectName::from(self.project.as_str()),
                everywhere: admin,
            });
        }
        if !admin && named != self.project {
            return Err(Refusal::OtherProject {
                project: named.to_owned(),
                of_key: self.project.clone(),
            });
        }
        Ok(Scope {
            named: true,
            project: ProjectName::from(named),
            everywhere: false,
        })
    }

    /// Whether what is of this project exists for the caller.
    pub(super) fn sees(&self, project: &ProjectName) -> bool {
        self.role == Role::Admin || self.project == project.as_str()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use reeve_state::id::KeyId;

    use super::*;

    fn caller(role: Role) -> Caller {
        Caller {
            key: KeyId::from_bytes([1; 16]),
            name: "ann".to_owned(),
            role,
            project: "mine".to_owned(),
        }
    }

    #[test]
    fn only_admins_reach_beyond_their_own_project() {
        let (mine, other) = (ProjectName::from("mine"), ProjectName::from("other"));
        for role in [Role::Viewer, Role::Operator] {
            for named in ["", "mine"] {
                let scope = caller(role).scope(named).unwrap();
                assert_eq!(scope.project, mine);
                assert!(scope.shows(&mine) && !scope.shows(&other), "{role} {named:?}");
            }
            let refused = caller(role).scope("other").unwrap_err();
            assert!(matches!(refused, Refusal::OtherProject { .. }), "{role}");
        }
        let all = caller(Role::Admin).scope("").unwrap();
        assert!(all.project == mine && all.shows(&mine) && all.shows(&other));
        let one = caller(Role::Admin).scope("other").unwrap();
        assert!(one.project == other && one.shows(&other) && !one.shows(&mine));
    }
}
