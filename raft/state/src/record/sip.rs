//! What SIP endpoints need beside a definition: registrars, accounts and media files, and who uses which account.

use std::fmt;
use std::sync::Arc;

use crate::id::{Revision, RunId, ScopedName};
use crate::record::RequestKey;
use crate::time::Time;

/// Where accounts register, and where calls go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Registrar {
    /// Its project and name.
    pub key: ScopedName,
    /// Realm of the addresses of record: `sip:user@domain`.
    pub domain: String,
    /// Where requests go; `None`: to the domain.
    pub host: Option<String>,
    /// `None`: the transport's own.
    pub port: Option<u16>,
    /// How requests travel.
    pub transport: SipTransport,
    /// A SIP URI that all requests pass first.
    pub outbound_proxy: Option<String>,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// The request that created it, remembered as long as it lives.
    pub created_by: Option<RequestKey>,
    /// Of its last change.
    pub revision: Revision,
}

/// How SIP messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SipTransport {
    /// Datagrams.
    Udp = 1,
    /// A connection.
    Tcp = 2,
    /// An encrypted connection.
    Tls = 3,
}

/// Identifies an account: a user name within a pool. A pool is its accounts; one without any does not exist.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SipAccountKey {
    /// The pool, by project and name.
    pub pool: ScopedName,
    /// The user part of the address of record, and the digest's user name.
    pub username: Arc<str>,
}

/// An account that one endpoint at a time may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipAccount {
    /// Which.
    pub key: SipAccountKey,
    /// Its secret; `None`: it answers no challenge.
    pub secret: Option<SealedSecret>,
    /// Answers only this realm's challenges; `None`: any.
    pub realm: Option<String>,
    /// When it was last changed.
    pub updated_at: Time,
    /// Of its last change.
    pub revision: Revision,
}

/// A secret as it lies in the log and the state: encrypted by the node that took it, with a key of the cluster secret (ADR 21).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SealedSecret {
    /// Tells which cluster secret it was sealed with, without telling it.
    pub key_id: [u8; 8],
    /// Nonce and ciphertext.
    pub sealed: Vec<u8>,
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(…)")
    }
}

/// Identifies the accounts that a group of a run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SipLeaseKey {
    /// The run.
    pub run: RunId,
    /// Index of the group in its definition.
    pub group: u32,
}

/// The accounts that a group uses from when its run is queued until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipLease {
    /// Whose they are for that time.
    pub key: SipLeaseKey,
    /// Where they are from.
    pub pool: ScopedName,
    /// Endpoint i of the group has the i-th.
    pub usernames: Vec<Arc<str>>,
    /// When they were assigned.
    pub revision: Revision,
}

/// A sound file that endpoints send. Its bytes are in the object stores of nodes, by their hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaFile {
    /// Its project and name.
    pub key: ScopedName,
    /// Of its bytes.
    pub sha256: [u8; 32],
    /// How many.
    pub bytes: u64,
    /// How long it plays, milliseconds.
    pub duration_ms: u64,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// The request that created it, remembered as long as it lives.
    pub created_by: Option<RequestKey>,
    /// Of its last change.
    pub revision: Revision,
}
