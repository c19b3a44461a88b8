//! Keys of callers: who may do what (D27a).

use std::fmt;

use crate::id::{KeyHash, KeyId, Revision};
use crate::record::RequestKey;
use crate::time::Time;

/// What a key allows. Each of viewer, operator and admin allows what the one before does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Tests, runs and workers.
    Operator,
    /// Keys and members of the cluster.
    Admin,
    /// What a ping worker calls, and nothing else.
    Worker,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Admin, Self::Worker];

    /// The name that users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "VIEWER",
            Self::Operator => "OPERATOR",
            Self::Admin => "ADMIN",
            Self::Worker => "WORKER",
        }
    }

    /// Whether a key of this role may do what is asked of `access`.
    pub const fn allows(self, access: Access) -> bool {
        match (self, access) {
            (Self::Admin, Access::Read | Access::Operate | Access::Administer | Access::Ping)
            | (Self::Operator, Access::Read | Access::Operate | Access::Ping)
            | (Self::Viewer, Access::Read)
            | (Self::Worker, Access::Ping) => true,
            (Self::Operator, Access::Administer)
            | (Self::Viewer, Access::Operate | Access::Administer | Access::Ping)
            | (Self::Worker, Access::Read | Access::Operate | Access::Administer) => false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a call needs of the caller's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// To see.
    Read,
    /// To change tests, runs and workers.
    Operate,
    /// To change keys and members of the cluster.
    Administer,
    /// To speak as a ping worker.
    Ping,
}

impl Access {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Read, Self::Operate, Self::Administer, Self::Ping];

    /// The roles that allow it, for messages.
    pub const fn roles(self) -> &'static str {
        match self {
            Self::Read => "VIEWER, OPERATOR or ADMIN",
            Self::Operate => "OPERATOR or ADMIN",
            Self::Administer => "ADMIN",
            Self::Ping => "WORKER, OPERATOR or ADMIN",
        }
    }
}

/// A caller's key. The key itself is never in the state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// Unique among keys that are not revoked.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The project that its calls are for where they name none.
    pub project: String,
    /// What it hashes to.
    pub hash: KeyHash,
    /// When it was created.
    pub created_at: Time,
    /// From then on it is refused.
    pub expires_at: Option<Time>,
    /// Since then it is refused.
    pub revoked_at: Option<Time>,
    /// The request that created it, remembered as long as the key lives.
    pub created_by: Option<RequestKey>,
    /// Of its last change.
    pub revision: Revision,
}

impl ApiKey {
    /// Whether calls with it are taken at `now`.
    pub fn in_force(&self, now: Time) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }
}
