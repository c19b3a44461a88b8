//! Commands on what SIP endpoints need.

use std::sync::Arc;

use crate::id::ScopedName;
use crate::record::{SealedSecret, SipTransport};

/// Command 100. Creates a registrar, or replaces the one of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutRegistrar {
    /// Its project and name.
    pub key: ScopedName,
    /// See [`crate::record::Registrar`], as all that follow.
    pub domain: String,
    /// Where requests go.
    pub host: Option<String>,
    /// To which port.
    pub port: Option<u16>,
    /// How.
    pub transport: SipTransport,
    /// Through which proxy.
    pub outbound_proxy: Option<String>,
}

/// Command 101. Refused while a run that is QUEUED or RUNNING uses it, as the other deletions here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRegistrar {
    /// Which.
    pub key: ScopedName,
}

/// Command 102. Creates accounts, or replaces those of the same names; others of the pool stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutAccounts {
    /// The pool.
    pub pool: ScopedName,
    /// At most [`crate::definition::MAX_ACCOUNTS_AT_ONCE`].
    pub accounts: Vec<NewAccount>,
}

/// One of [`PutAccounts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// Its name.
    pub username: Arc<str>,
    /// `None`: an account that exists keeps its secret, a new one has none.
    pub secret: Option<SealedSecret>,
    /// `None`: answers any realm's challenges.
    pub realm: Option<String>,
}

/// Command 103.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteAccounts {
    /// The pool.
    pub pool: ScopedName,
    /// Which; none named: all of them.
    pub usernames: Vec<Arc<str>>,
}

/// Command 104. Creates a media file, or replaces the one of this name. Its bytes are in the object stores of most nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutMedia {
    /// Its project and name.
    pub key: ScopedName,
    /// Of its bytes.
    pub sha256: [u8; 32],
    /// How many.
    pub bytes: u64,
    /// How long it plays, milliseconds.
    pub duration_ms: u64,
}

/// Command 105.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteMedia {
    /// Which.
    pub key: ScopedName,
}
