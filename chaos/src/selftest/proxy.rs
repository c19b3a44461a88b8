//! What proxies do where there is no network of our own.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::runtime::Runtime;

use super::bench::Bench;
use crate::fault::{Fault, World};
use crate::net::{Link, NetFault, Proxies, Proxy, ProxyNetwork, Shape};

const LINK: Link = Link { from: 1, to: 2 };
const WAIT: Duration = Duration::from_millis(150);

pub(super) fn cases(bench: &mut Bench) -> Result<()> {
    let runtime = Runtime::new()?;
    let proxy = runtime.block_on(Proxy::start(echo()?))?;
    let address = proxy.address();
    let network = bench.world.network.take();
    bench.world.proxies = Some(ProxyNetwork::new(Proxies::from([(LINK, proxy)])));
    let mut stream = connect(address)?;
    let cut = Fault::Net(NetFault::Cut { links: vec![LINK] });
    let during = |_: &mut World| {
        stream.write_all(b"x")?;
        let held = stream.read(&mut [0]).err().context("the byte came back")?;
        ensure!(
            matches!(held.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "{held}"
        );
        Ok("a byte is held".to_owned())
    };
    let after = |_: &mut World| {
        ensure!(connect(address)?.peer_addr()? == address, "another proxy");
        Ok("connections pass".to_owned())
    };
    bench.case("proxy: cut one-way", &cut, during, after);
    let delay = Fault::Net(NetFault::Delay {
        links: vec![LINK],
        shape: Shape {
            base_ms: 60,
            jitter_ms: 0,
            in_order: true,
        },
    });
    bench.case(
        "proxy: delay 60 ms",
        &delay,
        |_| trip(address, 60, 149),
        |_| trip(address, 0, 59),
    );
    resets(bench, address)?;
    bench.world.proxies = None;
    bench.world.network = network;
    Ok(())
}

fn resets(bench: &mut Bench, address: SocketAddr) -> Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])?;
    let reset = Fault::Net(NetFault::Reset { host: 1, peer: None });
    let during = |_: &mut World| {
        let error = stream
            .read(&mut [0])
            .err()
            .context("the connection still stands")?;
        ensure!(error.kind() == ErrorKind::ConnectionReset, "{error}");
        Ok("client sees ECONNRESET".to_owned())
    };
    bench.case("proxy: reset", &reset, during, |_| trip(address, 0, 149));
    Ok(())
}

/// A byte there and back.
fn trip(address: SocketAddr, lowest: u128, highest: u128) -> Result<String> {
    let mut stream = connect(address)?;
    let begun = std::time::Instant::now();
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])?;
    let took = begun.elapsed().as_millis();
    ensure!((lowest..=highest).contains(&took), "{took} ms there and back");
    Ok(format!("{took} ms there and back"))
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(WAIT))?;
    Ok(stream)
}

/// Sends back what it gets, for as long as we live.
fn echo() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    Ok(address)
}
