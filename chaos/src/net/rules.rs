//! The rules of the switch, for nft and iptables.
//!
//! Counters are objects of their own, so that they survive when the rules are replaced.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;

use super::delay::Shape;
use super::host::{Link, address, in_switch};
use super::state::Weather;
use crate::tool;

/// The netfilter queue that delayed packets wait in.
pub(super) const QUEUE: u16 = 0;

/// After the queue (priority 0), so that a cut also stops what was held there when it came.
const BRIDGE: &str = "add table bridge chaos
add chain bridge chaos pass { type filter hook forward priority 10; policy accept; }
flush chain bridge chaos pass
";

/// Replaces all rules in one transaction.
pub(super) fn install(weather: &Weather) -> Result<()> {
    tool::feed(in_switch("nft", &["-f", "-"]), &render(weather)).map(|_| ())
}

/// Sends the packets of these links to the queue; if nobody serves it they pass. The chain itself stays: with it would go
/// every packet that is held.
pub(super) fn queue(delays: &BTreeMap<Link, Shape>) -> Result<()> {
    if !delays.is_empty() {
        let setting = "net.bridge.bridge-nf-call-iptables=1";
        tool::run(in_switch("sysctl", &["-q", "-w", setting]))?;
    }
    tool::feed(
        in_switch("iptables-restore", &["-w", "--noflush"]),
        &render_queue(delays),
    )
    .map(|_| ())
}

fn render(weather: &Weather) -> String {
    let mut text = BRIDGE.to_owned();
    for link in &weather.cuts {
        drop_rule(&mut text, "cut", *link, "");
    }
    for (link, permille) in &weather.loss {
        drop_rule(
            &mut text,
            "loss",
            *link,
            &format!("numgen random mod 1000 < {permille} "),
        );
    }
    text.push_str("add table netdev chaos\nflush table netdev chaos\n");
    for (link, permille) in &weather.duplicates {
        double_rule(&mut text, *link, *permille);
    }
    text
}

fn drop_rule(text: &mut String, kind: &str, link: Link, chance: &str) {
    let name = counter(kind, link);
    let (from, to) = (address(link.from), address(link.to));
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "add counter bridge chaos {name}\n\
         add rule bridge chaos pass ip saddr {from} ip daddr {to} {chance}counter name \"{name}\" drop\n",
    );
}

/// Copies are made where packets come in, which only this kind of table can do.
fn double_rule(text: &mut String, link: Link, permille: u16) {
    let name = counter("dup", link);
    let Link { from, to } = link;
    let _ = write!(
        text,
        "add counter netdev chaos {name}\n\
         add chain netdev chaos in_{from} {{ type filter hook ingress device \"p{from}\" priority 0; }}\n\
         add rule netdev chaos in_{from} ip daddr {} numgen random mod 1000 < {permille} counter name \"{name}\" \
         dup to \"p{to}\"\n",
        address(to),
    );
}

/// What the counter of a link is called.
pub(super) fn counter(kind: &str, link: Link) -> String {
    format!("{kind}_{}_{}", link.from, link.to)
}

fn render_queue(delays: &BTreeMap<Link, Shape>) -> String {
    let mut text = "*filter\n-F FORWARD\n".to_owned();
    for link in delays.keys() {
        let (from, to) = (address(link.from), address(link.to));
        let _ = writeln!(
            text,
            "-A FORWARD -s {from} -d {to} -j NFQUEUE --queue-num {QUEUE} --queue-bypass"
        );
    }
    text.push_str("COMMIT\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::NetFault;

    #[test]
    fn without_faults_every_rule_is_gone_and_the_chain_stays() {
        let text = render(&Weather::default());
        assert!(text.contains("flush chain bridge chaos pass\n"));
        assert!(!text.contains("add rule"));
        assert_eq!(render_queue(&BTreeMap::new()), "*filter\n-F FORWARD\nCOMMIT\n");
    }

    #[test]
    fn a_cut_is_a_rule_in_one_direction_with_a_counter() {
        let links = vec![Link::new(1, 2)];
        let text = render(&Weather::of(&[NetFault::Cut { links }]));
        let rule = "add rule bridge chaos pass ip saddr 10.77.0.1 ip daddr 10.77.0.2 counter name \"cut_1_2\" drop\n";
        assert!(text.contains(rule), "{text}");
        assert!(!text.contains("ip saddr 10.77.0.2"));
    }

    #[test]
    fn loss_and_doubling_are_left_to_chance() {
        let links = vec![Link::new(2, 3)];
        let loss = NetFault::Loss {
            links: links.clone(),
            permille: 20,
        };
        let twice = NetFault::Duplicate { links, permille: 50 };
        let text = render(&Weather::of(&[loss, twice]));
        assert!(text.contains("numgen random mod 1000 < 20 counter name \"loss_2_3\" drop\n"));
        assert!(text.contains("device \"p2\" priority 0"));
        assert!(text.contains("numgen random mod 1000 < 50 counter name \"dup_2_3\" dup to \"p3\"\n"));
    }

    #[test]
    fn delayed_links_go_through_the_queue() {
        let shape = Shape {
            base_ms: 5,
            jitter_ms: 0,
            in_order: true,
        };
        let text = render_queue(&BTreeMap::from([(Link::new(1, 2), shape)]));
        assert!(
            text.contains("-A FORWARD -s 10.77.0.1 -d 10.77.0.2 -j NFQUEUE --queue-num 0 --queue-bypass\n")
        );
    }
}
