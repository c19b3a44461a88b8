//! What one endpoint is to do.

use std::net::SocketAddr;
use std::time::Duration;

use reeve_media::{Codec, Digit, Source};
use rsipstack::sip::Uri;

/// Where accounts register, and where calls go first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registrar {
    /// Realm of the addresses of record.
    pub domain: String,
    /// Where its requests go: the registrar, or the outbound proxy before it.
    pub next_hop: SocketAddr,
    /// A preloaded route that all requests pass first.
    pub route: Option<String>,
}

/// Host and port of a SIP URI, for whoever looks names up; no port: that of its scheme. `None`: it is none.
#[must_use]
pub fn place(uri: &str) -> Option<(String, Option<u16>)> {
    let uri = Uri::try_from(uri).ok()?;
    uri.scheme.as_ref()?;
    let host = uri.host_with_port.host.to_string();
    Some((host, uri.host_with_port.port.map(|port| port.value())))
}

/// Who an endpoint is.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The user part of the address of record, and the digest's user name.
    pub username: String,
    /// The digest's password.
    pub secret: String,
    /// The realm that may ask for it; empty: any.
    pub realm: String,
}

/// The secret is not printed.
impl std::fmt::Debug for Account {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Account")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// Which end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It calls.
    Caller {
        /// Whom: a SIP URI.
        target: String,
        /// How long after the first provisional response it waits for an answer.
        answer_timeout: Duration,
        /// What it does in its call.
        actions: Vec<Action>,
    },
    /// It is called.
    Receiver {
        /// How long it rings.
        ring: Duration,
        /// How long it waits for its call, since its start.
        wait: Duration,
    },
}

/// Something that a caller does in its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Since the call was answered.
    pub at: Duration,
    /// What.
    pub what: Deed,
}

/// See [`Action`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Keys are pressed.
    Dtmf(Vec<Digit>),
    /// The other side is put on hold.
    Hold,
    /// And taken back.
    Resume,
}

/// Everything that one endpoint needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it registers.
    pub registrar: Registrar,
    /// As whom.
    pub account: Account,
    /// What it does then.
    pub role: Role,
    /// How long its call lasts.
    pub duration: Duration,
    /// From its registration's slot to its call's, where its call has no slot of its own: the same for all, so that calls begin as evenly
    /// as registrations.
    pub lead: Duration,
    /// In the order of preference.
    pub codecs: Vec<Codec>,
    /// What it plays.
    pub source: Source,
    /// Whether lost packets are concealed.
    pub plc: bool,
    /// What REGISTER asks for. `None`: it does not register; whom it calls knows it by its address, as trunks do.
    pub register: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_uri_is_its_host_and_port() {
        let place_of = |uri| place(uri).map(|(host, port)| (host, port.unwrap_or(0)));
        assert_eq!(
            place_of("sip:10.0.0.5:5090;lr"),
            Some(("10.0.0.5".to_owned(), 5090))
        );
        assert_eq!(
            place_of("sip:proxy.example"),
            Some(("proxy.example".to_owned(), 0))
        );
        assert_eq!(
            place_of("sip:u@proxy.example:7"),
            Some(("proxy.example".to_owned(), 7))
        );
        assert_eq!(place_of("proxy.example"), None);
    }
}
