//! Free ports on the loopback interface.

use std::io::Result;
use std::net::{Ipv4Addr, TcpListener};

/// Addresses on ports that were free a moment ago, `127.0.0.1:PORT`.
///
/// All are held until the last one is found, so that none comes twice. Another process may still take one before it is
/// used; whoever is started on it then says so.
///
/// # Errors
/// No port is left.
pub fn free_addresses(count: usize) -> Result<Vec<String>> {
    let listeners = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<Vec<_>>>()?;
    listeners
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_address_comes_twice_and_each_can_be_used() {
        let addresses = free_addresses(20).unwrap();
        let distinct: BTreeSet<_> = addresses.iter().collect();
        assert_eq!(distinct.len(), 20);
        for address in &addresses {
            TcpListener::bind(address).unwrap();
        }
    }
}
