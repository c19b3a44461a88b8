#![allow(clippy::unwrap_used)]

use super::*;

const LATE: Duration = Duration::from_millis(80);

/// A proxy before something that sends back whatever it gets, and a connection through it.
async fn proxied() -> (Proxy, TcpStream) {
    let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = echo.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = echo.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    let proxy = Proxy::start(address).await.unwrap();
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, stream)
}

/// Sends one byte and waits for its return.
async fn echo(stream: &mut TcpStream) -> std::io::Result<u8> {
    stream.write_u8(7).await?;
    stream.read_u8().await
}

fn forward(mode: Mode) -> Modes {
    Modes {
        forward: mode,
        backward: Mode::Pass,
    }
}

#[tokio::test]
async fn bytes_pass_and_an_end_is_passed_on() {
    let (proxy, mut stream) = proxied().await;
    assert_eq!(echo(&mut stream).await.unwrap(), 7);
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(proxy.hits(), 0);
}

#[tokio::test]
async fn a_stall_holds_bytes_until_it_is_over() {
    let (proxy, mut stream) = proxied().await;
    proxy.set(forward(Mode::Stall));
    assert!(tokio::time::timeout(LATE, echo(&mut stream)).await.is_err());
    assert_eq!(proxy.hits(), 1);
    proxy.set(Modes::default());
    assert_eq!(stream.read_u8().await.unwrap(), 7);
}

#[tokio::test]
async fn a_delay_is_added_to_its_direction() {
    let (proxy, mut stream) = proxied().await;
    proxy.set(Modes {
        forward: Mode::Delay(LATE),
        backward: Mode::Delay(LATE),
    });
    let begun = Instant::now();
    assert_eq!(echo(&mut stream).await.unwrap(), 7);
    assert!(begun.elapsed() >= LATE * 2);
}

#[tokio::test]
async fn a_stream_with_a_hole_is_reset_when_bytes_pass_again() {
    let (proxy, mut stream) = proxied().await;
    proxy.set(forward(Mode::Drop));
    assert!(tokio::time::timeout(LATE, echo(&mut stream)).await.is_err());
    proxy.set(Modes::default());
    assert!(stream.read_u8().await.is_err());
}

#[tokio::test]
async fn a_reset_ends_old_connections_and_new_ones() {
    let (proxy, mut stream) = proxied().await;
    assert_eq!(echo(&mut stream).await.unwrap(), 7);
    proxy.set(forward(Mode::Reset));
    let error = stream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    if let Ok(mut new) = TcpStream::connect(proxy.address()).await {
        assert!(echo(&mut new).await.is_err());
    }
    proxy.set(Modes::default());
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(echo(&mut new).await.unwrap(), 7);
}
