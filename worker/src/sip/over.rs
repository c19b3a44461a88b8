//! What a registrar's messages travel by, and whom a worker trusts with them.

use std::path::Path;

use reeve_proto::v1::{SipRegistrar, SipTransport};
use reeve_sip::Carrier;
use reeve_sip::tls::Trust;

/// Of SIP by UDP or TCP.
const PORT: u16 = 5060;
/// Of SIP within TLS.
const TLS_PORT: u16 = 5061;

/// See the module. Endpoints of one address and the same of these share a stack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Over {
    /// Datagrams.
    Udp,
    /// One connection.
    Tcp,
    /// One within TLS, to the peer whose certificate is for this host.
    Tls(String),
}

impl Over {
    /// What an offer asks for; the certificate is to be for the host that requests go to.
    pub fn of(registrar: &SipRegistrar) -> Result<Self, String> {
        match SipTransport::try_from(registrar.transport) {
            Ok(SipTransport::Udp | SipTransport::Unspecified) => Ok(Self::Udp),
            Ok(SipTransport::Tcp) => Ok(Self::Tcp),
            Ok(SipTransport::Tls) => Ok(Self::Tls(host(registrar))),
            Err(_) => Err("sip.registrar.transport: this worker does not know it".to_owned()),
        }
    }

    /// The port where none is named.
    pub fn port(&self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => PORT,
            Self::Tls(_) => TLS_PORT,
        }
    }

    /// What carries it. With TLS files are read: the authorities of `ca`, or of this machine.
    pub fn carrier(&self, ca: Option<&Path>) -> Result<Carrier, String> {
        let name = match self {
            Self::Udp => return Ok(Carrier::Udp),
            Self::Tcp => return Ok(Carrier::Tcp),
            Self::Tls(name) => name,
        };
        let trust = ca.map_or_else(Trust::system, Trust::file);
        let tls = trust.and_then(|trust| trust.named(name));
        tls.map(Carrier::Tls)
            .map_err(|error| format!("sip.registrar.transport: TLS cannot be had: {error}"))
    }
}

fn host(registrar: &SipRegistrar) -> String {
    let proxy = reeve_sip::plan::place(&registrar.outbound_proxy).map(|(host, _)| host);
    let named = [&registrar.host, &registrar.domain];
    let named = || named.into_iter().find(|host| !host.is_empty()).cloned();
    proxy.or_else(named).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn registrar(transport: SipTransport) -> SipRegistrar {
        SipRegistrar {
            domain: "lab.example".to_owned(),
            transport: transport.into(),
            ..SipRegistrar::default()
        }
    }

    #[test]
    fn the_certificate_is_to_be_for_where_requests_go() {
        let mut registrar = registrar(SipTransport::Tls);
        let mut host_is = |host: &str, proxy: &str| {
            registrar.host = host.to_owned();
            registrar.outbound_proxy = proxy.to_owned();
            Over::of(&registrar).unwrap()
        };
        assert_eq!(host_is("", ""), Over::Tls("lab.example".to_owned()));
        assert_eq!(host_is("10.0.0.5", ""), Over::Tls("10.0.0.5".to_owned()));
        assert_eq!(
            host_is("10.0.0.5", "sip:edge.example:5099"),
            Over::Tls("edge.example".to_owned())
        );
    }

    #[test]
    fn each_transport_has_its_port_and_an_unknown_one_is_refused() {
        let port = |transport| Over::of(&registrar(transport)).unwrap().port();
        assert_eq!(port(SipTransport::Unspecified), 5060);
        assert_eq!(port(SipTransport::Tcp), 5060);
        assert_eq!(port(SipTransport::Tls), 5061);
        let unknown = SipRegistrar {
            transport: 99,
            ..registrar(SipTransport::Udp)
        };
        let rule = Over::of(&unknown).unwrap_err();
        assert!(rule.starts_with("sip.registrar.transport: "), "{rule}");
    }

    #[test]
    fn an_authority_that_cannot_be_read_is_named() {
        let over = Over::of(&registrar(SipTransport::Tls)).unwrap();
        let why = over.carrier(Some(Path::new("/no/such/ca.pem"))).unwrap_err();
        assert!(
            why.starts_with("sip.registrar.transport: TLS cannot be had: /no/such/ca.pem"),
            "{why}"
        );
    }
}
