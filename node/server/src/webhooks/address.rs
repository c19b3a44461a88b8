//! Which addresses a webhook may be sent to: what a user names must not reach what only this machine or its network can (SSRF).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Networks that webhooks may be sent to although they are not public.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivateNetworks(Vec<Network>);

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    first: IpAddr,
    bits: u8,
}

/// Networks by name: those of `loopback`, and those that `true` adds to them.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
const PRIVATE: [&str; 5] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    address: IpAddr,
    kind: &'static str,
    /// Whether the operator could allow it.
    can_be_allowed: bool,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is {}, to which webhooks are not sent",
            self.address, self.kind
        )?;
        if self.can_be_allowed {
            f.write_str(" unless the nodes' setting webhook_allow_private names it")?;
        }
        Ok(())
    }
}

impl PrivateNetworks {
    /// `true`, `false`, `loopback`, addresses, and networks as `10.1.0.0/16`, separated by commas.
    ///
    /// # Errors
    /// What is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut networks = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let named: &[&[&str]] = match word {
                "false" => &[],
                "loopback" => &[&LOOPBACK],
                "true" => &[&LOOPBACK, &PRIVATE],
                _ => &[&[word]],
            };
            for network in named.iter().copied().flatten() {
                networks.push(network.parse()?);
            }
        }
        Ok(Self(networks))
    }

    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether messages to this address may go unencrypted: only where the operator named its network.
    pub fn allows_plain(&self, address: IpAddr) -> bool {
        self.names(plain(address))
    }

    /// Whether webhooks may be sent there.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let address = plain(address);
        let Some(kind) = special(address) else {
            return Ok(());
        };
        let can_be_allowed = !is_never_a_host(address);
        if can_be_allowed && self.names(address) {
            return Ok(());
        }
        Err(Refused {
            address,
            kind,
            can_be_allowed,
        })
    }

    fn names(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                first.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                first.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not true, false, loopback, an address, or a network such as 10.1.0.0/16");
        let (first, bits) = match text.split_once('/') {
            Some((first, bits)) => (first, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().map_err(|_| wrong())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().map_err(|_| wrong())?,
        };
        if bits > most {
            return Err(wrong());
        }
        Ok(Self { first, bits })
    }
}

/// An IPv4 address in IPv6 clothes is what is inside: mapped, by NAT64, or by 6to4.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let inside = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => inside(g, h),
        [0x2002, high, low, ..] => inside(high, low),
        _ => address,
    }
}

/// What is special about an address; `None`: it is public.
fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let kind = match address.octets() {
        [0, ..] => "an unspecified address",
        [10, ..] | [192, 168, ..] => "an address of a private network",
        [172, second, ..] if second & 0xf0 == 16 => "an address of a private network",
        [100, second, ..] if second & 0xc0 == 64 => "an address of a carrier's private network",
        [127, ..] => "a loopback address",
        // Among them 169.254.169.254, where clouds tell a machine its secrets.
        [169, 254, ..] => "a link-local address",
        [192, 0, 0, _] => "an address of a protocol",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "an address for documentation",
        [192, 88, 99, _] => "an address of a relay",
        [198, 18 | 19, ..] => "an address for benchmarks",
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved address",
        _ => return None,
    };
    Some(kind)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let kind = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "an unspecified address",
        [0, 0, 0, 0, 0, 0, 0, 1] => "a loopback address",
        [0, 0, 0, 0, 0, 0, ..] => "a reserved address",
        [0x64, 0xff9b, ..] => "an address of a private network",
        [0x100, 0, 0, 0, ..] => "a reserved address",
        [0x2001, 0, ..] => "an address of a tunnel",
        [0x2001, 0xdb8, ..] => "an address for documentation",
        [0x3fff, second, ..] if second & 0xf000 == 0 => "an address for documentation",
        [first, ..] if first & 0xfe00 == 0xfc00 => "an address of a private network",
        [first, ..] if first & 0xffc0 == 0xfe80 => "a link-local address",
        [first, ..] if first & 0xffc0 == 0xfec0 => "an address of a private network",
        [first, ..] if first & 0xff00 == 0xff00 => "a multicast address",
        // Everything public begins with 001.
        [first, ..] if first & 0xe000 != 0x2000 => "a reserved address",
        _ => return None,
    };
    Some(kind)
}

/// Addresses of no host: nobody can allow them.
fn is_never_a_host(address: IpAddr) -> bool {
    let broadcast = match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0 || v4.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    address.is_unspecified() || address.is_multicast() || broadcast
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const PUBLIC: [&str; 12] = [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::8.8.8.8",
    ];

    const SPECIAL: [(&str, &str); 44] = [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.0.0.1", "private"),
        ("10.255.255.255", "private"),
        ("100.64.0.1", "carrier"),
        ("100.127.255.255", "carrier"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("169.254.0.1", "link-local"),
        ("169.254.169.254", "link-local"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.192", "protocol"),
        ("192.0.2.1", "documentation"),
        ("192.88.99.1", "relay"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "benchmarks"),
        ("198.19.255.255", "benchmarks"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::127.0.0.1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:169.254.169.254", "link-local"),
        ("::ffff:7f00:1", "loopback"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b:1::1", "private"),
        ("2002:7f00:1::1", "loopback"),
        ("2002:a00:1::", "private"),
        ("2001:0:4136:e378::1", "tunnel"),
        ("2001:db8::1", "documentation"),
        ("3fff:fff::1", "documentation"),
        ("100::1", "reserved"),
        ("fc00::1", "private"),
        ("fd00:ec2::254", "private"),
        ("fe80::1", "link-local"),
        ("fec0::1", "private"),
        ("ff02::1", "multicast"),
    ];

    #[test]
    fn only_public_addresses_are_taken_unless_the_operator_says_otherwise() {
        let none = PrivateNetworks::default();
        for public in PUBLIC {
            assert_eq!(none.check(ip(public)), Ok(()), "{public}");
            assert!(!none.allows_plain(ip(public)));
        }
        for (address, kind) in SPECIAL {
            let refused = none.check(ip(address)).unwrap_err().to_string();
            assert!(refused.contains(kind), "{address}: {refused}");
        }
    }

    #[test]
    fn what_is_named_is_allowed_in_every_disguise_and_nothing_else() {
        let named = PrivateNetworks::parse("10.1.0.0/16, loopback,fd00::/8, 192.168.0.7").unwrap();
        for allowed in [
            "10.1.255.255",
            "::ffff:10.1.0.1",
            "64:ff9b::10.1.0.1",
            "127.0.0.1",
            "::1",
            "fd00::1",
            "192.168.0.7",
        ] {
            assert_eq!(named.check(ip(allowed)), Ok(()), "{allowed}");
            assert!(named.allows_plain(ip(allowed)), "{allowed}");
        }
        for refused in ["10.2.0.1", "192.168.0.8", "fc00::1", "169.254.169.254"] {
            assert!(named.check(ip(refused)).is_err(), "{refused}");
        }
    }

    #[test]
    fn allowing_all_private_networks_allows_neither_link_local_nor_what_is_no_host() {
        let all = PrivateNetworks::parse("true").unwrap();
        for allowed in [
            "10.0.0.1",
            "172.20.0.1",
            "192.168.9.9",
            "100.64.0.1",
            "fc00::1",
            "::1",
        ] {
            assert_eq!(all.check(ip(allowed)), Ok(()), "{allowed}");
        }
        assert!(all.check(ip("169.254.169.254")).is_err());
        let everything = PrivateNetworks::parse("0.0.0.0/0,::/0").unwrap();
        assert_eq!(everything.check(ip("169.254.169.254")), Ok(()), "if it is named");
        for never in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"] {
            let refused = everything.check(ip(never)).unwrap_err().to_string();
            assert!(!refused.contains("webhook_allow_private"), "{refused}");
        }
    }

    #[test]
    fn settings_that_are_no_networks_are_refused() {
        for text in [
            "yes",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/x",
            "localhost",
        ] {
            let error = PrivateNetworks::parse(text).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
        for nothing in ["", "false", " , "] {
            assert!(PrivateNetworks::parse(nothing).unwrap().is_empty());
        }
    }
}
