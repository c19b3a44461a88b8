//! Faults of the network, seen by datagrams and connections.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::bench::{Bench, within};
use crate::fault::{Fault, Healing, World};
use crate::net::{HARNESS, Link, NetFault, Network, Shape};

const HOSTS: u8 = 5;
/// After the last datagram; without a delay they arrive at once.
const SILENCE: Duration = Duration::from_millis(250);
const LINK: Link = Link { from: 1, to: 2 };

/// Each kind, by name.
pub(super) fn examples() -> Vec<(&'static str, Fault)> {
    let links = || vec![LINK];
    let shape = |in_order| Shape {
        base_ms: 80,
        jitter_ms: 40,
        in_order,
    };
    let faults = [
        ("cut one-way 1→2", NetFault::Cut { links: links() }),
        (
            "cut 1 | 2, 3 sees all",
            NetFault::Cut {
                links: Link::between(&[1], &[2]),
            },
        ),
        (
            "cut 1 2 | 3 4 5",
            NetFault::Cut {
                links: Link::between(&[1, 2], &[3, 4, 5]),
            },
        ),
        ("link-down 2", NetFault::LinkDown { host: 2 }),
        (
            "loss 30 %",
            NetFault::Loss {
                links: links(),
                permille: 300,
            },
        ),
        (
            "duplicate 25 %",
            NetFault::Duplicate {
                links: links(),
                permille: 250,
            },
        ),
        (
            "delay 80–120 ms, reorder",
            NetFault::Delay {
                links: links(),
                shape: shape(false),
            },
        ),
        (
            "delay 80–120 ms, in order",
            NetFault::Delay {
                links: links(),
                shape: shape(true),
            },
        ),
        (
            "reset 1↔2",
            NetFault::Reset {
                host: 2,
                peer: Some(1),
            },
        ),
    ];
    faults
        .into_iter()
        .map(|(name, fault)| (name, Fault::Net(fault)))
        .collect()
}

pub(super) fn cases(bench: &mut Bench) -> Result<()> {
    let examples = examples();
    if let Some(why) = first_lack(bench, &examples) {
        for (name, _) in &examples {
            bench.skip(name, &why);
        }
        return Ok(());
    }
    bench.world.network = Some(Network::build(HOSTS, 7)?);
    ensure!(
        unreachable(&bench.world)?.is_empty(),
        "the network does not work without faults"
    );
    for (name, fault) in &examples {
        let Fault::Net(net) = fault else { continue };
        match net {
            NetFault::Cut { .. } | NetFault::LinkDown { .. } => {
                bench.case(name, fault, |world| see_cut(world, net), all_reachable);
            }
            NetFault::Loss { .. } => {
                let during =
                    |world: &mut World| within("of 2000 arrived", send(world, 2000)?.len(), 1300, 1500);
                bench.case(name, fault, during, nothing_lost);
            }
            NetFault::Duplicate { .. } => {
                let during =
                    |world: &mut World| within("of 2000 arrived", send(world, 2000)?.len(), 2400, 2600);
                bench.case(name, fault, during, nothing_lost);
            }
            NetFault::Delay { shape, .. } => {
                bench.case(name, fault, |world| see_delay(world, *shape), nothing_lost);
            }
            NetFault::Reset { .. } => reset(bench, name, fault)?,
        }
    }
    held_and_cut(bench);
    Ok(())
}

fn first_lack(bench: &Bench, examples: &[(&str, Fault)]) -> Option<String> {
    let needs = examples.iter().flat_map(|(_, fault)| fault.needs());
    needs.filter_map(|need| bench.world.facts.lacks(*need)).next()
}

/// Datagrams from host 1 to host 2 in order of arrival.
struct Arrivals(Vec<Arrival>);

struct Arrival {
    number: u32,
    late: Duration,
}

impl Arrivals {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

fn network(world: &World) -> Result<&Network> {
    world.network.as_ref().context("a network that was built")
}

fn send(world: &World, count: u32) -> Result<Arrivals> {
    let network = network(world)?;
    let (from, to) = (network.host(LINK.from).udp()?, network.host(LINK.to).udp()?);
    to.set_read_timeout(Some(SILENCE))?;
    let address = to.local_addr()?;
    let begun = Instant::now();
    let sender = std::thread::spawn(move || -> std::io::Result<()> {
        for number in 0..count {
            let mut datagram = number.to_le_bytes().to_vec();
            datagram.extend((begun.elapsed().as_micros() as u64).to_le_bytes());
            from.send_to(&datagram, address)?;
            // Not more than the receiver can hold.
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(())
    });
    let mut arrivals = Vec::new();
    let mut datagram = [0; 12];
    while to.recv(&mut datagram).is_ok() {
        let (number, sent) = datagram.split_at(4);
        let sent = Duration::from_micros(u64::from_le_bytes(sent.try_into()?));
        arrivals.push(Arrival {
            number: u32::from_le_bytes(number.try_into()?),
            late: begun.elapsed().saturating_sub(sent),
        });
    }
    sender.join().ok().context("the sender panicked")??;
    Ok(Arrivals(arrivals))
}

/// Pairs between which no datagram arrives.
fn unreachable(world: &World) -> Result<BTreeSet<Link>> {
    let network = network(world)?;
    let numbers: Vec<u8> = network
        .hosts()
        .iter()
        .map(|host| host.number)
        .chain([HARNESS])
        .collect();
    let mut sockets = Vec::new();
    for number in numbers {
        let socket = network.host(number).udp()?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        sockets.push((number, socket));
    }
    let mut missing = BTreeSet::new();
    for (from, sender) in &sockets {
        for (to, receiver) in &sockets {
            if from != to {
                sender.send_to(&[*from], receiver.local_addr()?)?;
                missing.insert(Link::new(*from, *to));
            }
        }
    }
    for (to, receiver) in &sockets {
        let mut from = [0];
        while receiver.recv(&mut from).is_ok() {
            missing.remove(&Link::new(from[0], *to));
        }
    }
    Ok(missing)
}

fn see_cut(world: &World, fault: &NetFault) -> Result<String> {
    let expected: BTreeSet<Link> = if let NetFault::LinkDown { host } = fault {
        let everybody = (1..=HOSTS).chain([HARNESS]);
        let others: Vec<u8> = everybody.filter(|other| other != host).collect();
        Link::between(&[*host], &others).into_iter().collect()
    } else {
        fault.links().iter().copied().collect()
    };
    let missing = unreachable(world)?;
    ensure!(missing == expected, "cut are {missing:?}, not {expected:?}");
    Ok(format!("of 30 ways exactly {} closed", missing.len()))
}

fn all_reachable(world: &mut World) -> Result<String> {
    let missing = unreachable(world)?;
    ensure!(missing.is_empty(), "still cut are {missing:?}");
    Ok("30 of 30 ways open".to_owned())
}

fn nothing_lost(world: &mut World) -> Result<String> {
    within("of 200 arrived", send(world, 200)?.len(), 200, 200)
}

fn see_delay(world: &World, shape: Shape) -> Result<String> {
    let Arrivals(arrivals) = send(world, 1000)?;
    ensure!(arrivals.len() == 1000, "{} of 1000 arrived", arrivals.len());
    let mut late: Vec<u64> = arrivals
        .iter()
        .map(|arrival| arrival.late.as_millis() as u64)
        .collect();
    late.sort_unstable();
    let (first, middle, last) = (late[0], late[500], late[999]);
    ensure!(first >= 79 && last <= 1_000, "{first} to {last} ms late");
    let overtaken = arrivals
        .windows(2)
        .filter(|pair| pair[0].number > pair[1].number)
        .count();
    ensure!(shape.in_order == (overtaken == 0), "{overtaken} overtaken");
    Ok(format!(
        "{first}/{middle}/{last} ms late (min/p50/max), {overtaken} overtaken"
    ))
}

fn reset(bench: &mut Bench, name: &str, fault: &Fault) -> Result<()> {
    let (mut near, far) = connect(&bench.world)?;
    let during = |_: &mut World| {
        let error = near.read(&mut [0]).err().context("the connection still stands")?;
        ensure!(error.kind() == ErrorKind::ConnectionReset, "{error}");
        drop(far);
        Ok("peer sees ECONNRESET".to_owned())
    };
    let after = |world: &mut World| connect(world).map(|_| "new connection stands".to_owned());
    bench.case(name, fault, during, after);
    Ok(())
}

fn connect(world: &World) -> Result<(TcpStream, TcpStream)> {
    let (here, there) = (network(world)?.host(1), network(world)?.host(2));
    let listener = there.within(|| Ok(TcpListener::bind((there.address(), 0))?))?;
    let address = listener.local_addr()?;
    let near = here.within(|| Ok(TcpStream::connect(address)?))?;
    near.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok((near, listener.accept()?.0))
}

/// What the delay holds when a cut comes must not arrive in spite of it.
fn held_and_cut(bench: &mut Bench) {
    let delay = Fault::Net(NetFault::Delay {
        links: vec![LINK],
        shape: Shape {
            base_ms: 800,
            jitter_ms: 0,
            in_order: true,
        },
    });
    let cut = Fault::Net(NetFault::Cut { links: vec![LINK] });
    let during = |world: &mut World| {
        let (from, to) = (network(world)?.host(1).udp()?, network(world)?.host(2).udp()?);
        to.set_read_timeout(Some(Duration::from_millis(800)))?;
        from.send_to(b"held", to.local_addr()?)?;
        let injected = world.inject(&cut);
        let arrived = to.recv(&mut [0; 8]).is_ok();
        let healed = world.heal(&cut);
        // Three of each proof, which were held too, and this one: the cut has met them all.
        let met = matches!(&healed, Healing::Healed(proof) if proof.count == 7);
        ensure!(!arrived && met, "arrived {arrived}: {injected:?}, {healed:?}");
        Ok("a held packet does not pass a cut".to_owned())
    };
    bench.case("delay + cut", &delay, during, nothing_lost);
}
