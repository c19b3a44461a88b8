//! The kinds of causes that are told apart, and the words for each.

/// Each is logged once until a session stands, and again after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CauseKind {
    /// The node's name does not resolve (R103).
    Dns,
    /// Nothing listens there (R104).
    Refused,
    /// No connection, or no answer, in time (R101).
    TimedOut,
    /// The connection stood and the node stopped answering.
    Silent,
    /// The stream broke or ended.
    Broken,
    /// The node cannot reach a leader.
    NoLeader,
    /// The node sends its sessions elsewhere.
    Leaving,
    /// The node has too much to do.
    Overloaded,
    /// The token is wrong (R102).
    TokenRejected,
    /// The token was good for a time that is over.
    TokenExpired,
    /// The API key is wrong, has expired or was revoked.
    KeyRejected,
    /// The API key does not allow the call.
    RoleTooLow,
    /// A ping worker's name is that of a worker that is ONLINE (D4a).
    NameTaken,
    /// The worker was deleted.
    WorkerDeleted,
    /// A newer session of this worker exists.
    Superseded,
    /// Anything else.
    Other,
}

impl CauseKind {
    /// Label of the metric, and `cause` on the status page.
    pub fn label(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Silent => "silent",
            Self::Broken => "broken",
            Self::NoLeader => "no_leader",
            Self::Leaving => "leaving",
            Self::Overloaded => "overloaded",
            Self::TokenRejected => "token_rejected",
            Self::TokenExpired => "token_expired",
            Self::KeyRejected => "key_rejected",
            Self::RoleTooLow => "role_too_low",
            Self::NameTaken => "name_taken",
            Self::WorkerDeleted => "worker_deleted",
            Self::Superseded => "superseded",
            Self::Other => "other",
        }
    }

    /// What happened.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Dns => "the name does not resolve",
            Self::Refused => "nothing listens at this address",
            Self::TimedOut => "no answer in time",
            Self::Silent => "the node went silent",
            Self::Broken => "the connection broke",
            Self::NoLeader => "the node has no leader",
            Self::Leaving => "the node sends its sessions elsewhere",
            Self::Overloaded => "the node has too much to do",
            Self::TokenRejected => "authentication failed: the token is not that of a worker",
            Self::TokenExpired => "authentication failed: the token has expired",
            Self::KeyRejected => "authentication failed: the API key is wrong, has expired or was revoked",
            Self::RoleTooLow => "not allowed: the API key's role does not allow a worker's calls",
            Self::NameTaken => "a worker of this name is ONLINE",
            Self::WorkerDeleted => "the worker was deleted from the cluster",
            Self::Superseded => "a newer process holds the session of this worker",
            Self::Other => "the call failed",
        }
    }

    /// What to do next about it, at this address.
    pub fn advice(self, node: &str) -> String {
        let port = node.rsplit_once(':').map_or(node, |(_, port)| port);
        match self {
            Self::Dns => "check the spelling in REEVE_NODES (--node) and this host's DNS".to_owned(),
            Self::Refused => format!(
                "check that a node runs there and that {port} is its gRPC port, and REEVE_NODES (--node)"
            ),
            Self::TimedOut => format!(
                "check that outbound TCP {port} is open in every firewall on the way, and that a node answers there"
            ),
            Self::Silent | Self::Broken => "nothing to do if it comes back; else check the node and the network".to_owned(),
            Self::NoLeader => "check with `reeve cluster status` that a majority of the nodes runs".to_owned(),
            Self::Leaving => "nothing to do: the next node is tried".to_owned(),
            Self::Overloaded => "nothing to do if it comes back; else the cluster needs more or larger nodes".to_owned(),
            Self::TokenRejected | Self::TokenExpired => {
                "regenerate it (`reeve worker token regenerate`) and put the new one into the --config file, which is read again, or \
                 restart with it"
                    .to_owned()
            }
            Self::KeyRejected | Self::RoleTooLow => {
                "make one with the role WORKER (`reeve key create`) and restart with it in REEVE_API_KEY".to_owned()
            }
            Self::NameTaken => {
                "if that is a process before this one that did not unregister, this one takes over by itself once the old one is \
                 UNREACHABLE (two minutes after its last ping by default); else choose another --name"
                    .to_owned()
            }
            Self::WorkerDeleted => "create another worker and start it with the token of that one".to_owned(),
            Self::Superseded => "see to it that only one process runs with this token".to_owned(),
            Self::Other => "see the detail, and the node's log".to_owned(),
        }
    }

    /// Whether the answer holds on every node until somebody acts.
    pub fn is_refusal(self) -> bool {
        match self {
            Self::TokenRejected
            | Self::TokenExpired
            | Self::KeyRejected
            | Self::RoleTooLow
            | Self::WorkerDeleted => true,
            Self::Dns
            | Self::Refused
            | Self::TimedOut
            | Self::Silent
            | Self::Broken
            | Self::NoLeader
            | Self::Leaving
            | Self::Overloaded
            | Self::NameTaken
            | Self::Superseded
            | Self::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Covers: R101, R103, R104
    #[test]
    fn the_advice_names_the_port_that_must_be_open() {
        for kind in [CauseKind::Refused, CauseKind::TimedOut] {
            assert!(kind.advice("node.example:50052").contains("50052"), "{kind:?}");
        }
        assert!(CauseKind::Dns.advice("x:1").contains("REEVE_NODES"));
    }
}
