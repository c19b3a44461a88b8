//! Namespaces, cables and the switch. Few calls of `ip`, each with many lines, because starting it is what costs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::host::{HARNESS, Host, address};
use crate::tool;

const MOST_HOSTS: u8 = 200;
/// Within this the switch has noticed every cable.
const NOTICED: Duration = Duration::from_secs(10);

/// Builds everything for this many hosts.
pub(super) fn build(hosts: u8) -> Result<()> {
    if hosts == 0 || hosts > MOST_HOSTS {
        bail!("a network has 1 to {MOST_HOSTS} hosts, not {hosts}");
    }
    batch(None, &namespaces(hosts))?;
    batch(None, &cables(hosts))?;
    batch(Some("sw"), &switch(hosts))?;
    for number in 1..=hosts {
        batch(Some(&format!("n{number}")), &ends(number))?;
    }
    batch(None, &ends(HARNESS))
}

/// Waits until datagrams of these hosts arrive at the harness: a port passes nothing until the switch has noticed its
/// cable, which it does in its own time.
pub(super) fn wait_until_passing(hosts: &[&Host]) -> Result<()> {
    let harness = Host::new(HARNESS).udp()?;
    harness.set_read_timeout(Some(Duration::from_millis(20)))?;
    let address = harness.local_addr()?;
    let senders = hosts.iter().map(|host| Ok((host.number, host.udp()?)));
    let mut waiting = senders.collect::<Result<BTreeMap<u8, UdpSocket>>>()?;
    let deadline = Instant::now() + NOTICED;
    while !waiting.is_empty() {
        if Instant::now() > deadline {
            bail!("nothing arrives from hosts {:?}", waiting.keys());
        }
        for (number, socket) in &waiting {
            socket.send_to(&[*number], address)?;
        }
        let mut number = [0];
        while harness.recv(&mut number).is_ok() {
            waiting.remove(&number[0]);
        }
    }
    Ok(())
}

fn namespaces(hosts: u8) -> String {
    let mut lines = "netns add sw\n".to_owned();
    for number in 1..=hosts {
        line(&mut lines, &format!("netns add n{number}"));
    }
    lines
}

fn cables(hosts: u8) -> String {
    let mut lines = String::new();
    for number in 1..=hosts {
        line(
            &mut lines,
            &format!("link add v{number} netns n{number} type veth peer name p{number} netns sw"),
        );
    }
    let harness = format!("link add v{HARNESS} type veth peer name p{HARNESS} netns sw");
    line(&mut lines, &harness);
    lines
}

fn switch(hosts: u8) -> String {
    let mut lines = "link add br0 type bridge\nlink set br0 up\n".to_owned();
    for number in (1..=hosts).chain([HARNESS]) {
        line(&mut lines, &format!("link set p{number} master br0 up"));
    }
    lines
}

fn ends(number: u8) -> String {
    format!(
        "addr add {}/24 dev v{number}\nlink set v{number} up\nlink set lo up\n",
        address(number)
    )
}

fn line(lines: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(lines, "{text}");
}

fn batch(namespace: Option<&str>, lines: &str) -> Result<()> {
    let mut command = tool::command("ip", [""; 0]);
    if let Some(name) = namespace {
        command.args(["-n", name]);
    }
    command.args(["-batch", "-"]);
    tool::feed(command, lines).map(|_| ())
}

/// Links of the hosts in `down` go down, all others up; only those that are not yet so are touched.
pub(super) fn set_links(hosts: &[Host], down: &BTreeSet<u8>) -> Result<()> {
    let are_down = ports_down()?;
    let mut lines = String::new();
    for Host { number } in hosts {
        let wanted = down.contains(number);
        if wanted != are_down.contains(number) {
            let state = if wanted { "down" } else { "up" };
            line(&mut lines, &format!("link set p{number} {state}"));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    batch(Some("sw"), &lines)
}

/// Whether the link of a host is down.
pub(super) fn is_down(number: u8) -> Result<bool> {
    Ok(ports_down()?.contains(&number))
}

fn ports_down() -> Result<BTreeSet<u8>> {
    let printed = tool::run(tool::command("ip", ["-n", "sw", "-j", "link", "show"]))?;
    parse_down(&printed).context("what ip says of the switch")
}

fn parse_down(printed: &str) -> Result<BTreeSet<u8>> {
    let links: Vec<Value> = serde_json::from_str(printed)?;
    let down = links.iter().filter_map(|link| {
        let number = link["ifname"].as_str()?.strip_prefix('p')?.parse().ok()?;
        let up = link["flags"].as_array()?.iter().any(|flag| flag == "UP");
        (!up).then_some(number)
    });
    Ok(down.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_host_and_the_harness_have_a_cable_to_the_switch() {
        assert_eq!(namespaces(2), "netns add sw\nnetns add n1\nnetns add n2\n");
        assert!(cables(2).contains("link add v2 netns n2 type veth peer name p2 netns sw\n"));
        assert!(switch(2).ends_with("link set p2 master br0 up\nlink set p250 master br0 up\n"));
        assert!(ends(2).starts_with("addr add 10.77.0.2/24 dev v2\n"));
    }

    #[test]
    fn a_link_that_is_down_is_told_by_its_flags() {
        let printed = r#"[{"ifname":"lo","flags":[]},{"ifname":"p1","flags":["UP"]},{"ifname":"p2","flags":["BROADCAST"]}]"#;
        assert_eq!(parse_down(printed).unwrap(), BTreeSet::from([2]));
    }

    #[test]
    fn a_network_without_hosts_is_refused() {
        assert!(build(0).is_err());
        assert!(build(201).is_err());
    }
}
