//! What becomes of connections, mostly with pipes in the place of sockets, so that time can be skipped.
#![allow(clippy::unwrap_used)]

use rsipstack::EndpointBuilder;
use rsipstack::transaction::Endpoint;
use rsipstack::transport::TransportLayer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::DropGuard;

use super::*;

const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

struct Given {
    links: Arc<Links>,
    peer: SocketAddr,
    endpoint: Endpoint,
    _ends: DropGuard,
}

async fn given() -> Given {
    let token = CancellationToken::new();
    let local = "127.0.0.1:0".parse().unwrap();
    let (links, place) = Links::bind(local, None, Arc::default(), token.clone()).unwrap();
    let endpoint = EndpointBuilder::new()
        .with_transport_layer(TransportLayer::new(token.clone()))
        .with_cancel_token(token.clone())
        .build();
    links.serve(&endpoint.inner, place).await.unwrap();
    Given {
        links,
        peer: "127.0.0.2:5060".parse().unwrap(),
        endpoint,
        _ends: token.drop_guard(),
    }
}

impl Given {
    /// Both ends of a connection that the peer opens, which takes so many bytes that nobody reads.
    fn pipe(&self, bytes: usize) -> (Stream, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(bytes);
        let (reading, writing) = tokio::io::split(ours);
        let stream = Stream {
            local: self.links.local,
            reading: Box::new(reading),
            writing: Box::new(writing),
            room: Some(Arc::clone(&self.links.room).try_acquire_owned().unwrap()),
        };
        (stream, theirs)
    }

    /// The peer's end of a connection that it opened.
    async fn came(&self, bytes: usize) -> DuplexStream {
        let (stream, theirs) = self.pipe(bytes);
        self.links.link(self.peer, Some(stream)).await.unwrap();
        theirs
    }

    fn is_linked(&self) -> bool {
        self.links.table.lock().contains_key(&self.peer)
    }
}

/// Everything that comes until it is silent for a second.
async fn heard(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(read) = timeout(SECOND, stream.read(&mut buffer)).await {
        match read.unwrap() {
            0 => break,
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_is_answered_once_and_the_next_one_again() {
    let given = given().await;
    let mut theirs = given.came(16 * 1024).await;
    theirs.write_all(&PING.repeat(1_000)).await.unwrap();
    assert_eq!(heard(&mut theirs).await, PONG);
    theirs.write_all(PING).await.unwrap();
    assert_eq!(heard(&mut theirs).await, PONG);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_opens_a_connection_and_says_nothing_is_given_up() {
    let given = given().await;
    let mut theirs = given.came(64).await;
    sleep(9 * MINUTE).await;
    theirs.write_all(PONG).await.unwrap();
    sleep(9 * MINUTE).await;
    assert!(given.is_linked());
    assert_eq!(given.links.room.available_permits(), MOST_ACCEPTED - 1);
    sleep(2 * MINUTE).await;
    assert!(!given.is_linked());
    assert_eq!(timeout(SECOND, theirs.read(&mut [0])).await.unwrap().unwrap(), 0);
    assert_eq!(given.links.room.available_permits(), MOST_ACCEPTED);
}

/// Although it is not split into halves that close by themselves.
#[tokio::test(start_paused = true)]
async fn a_connection_that_the_peer_takes_nothing_from_is_closed() {
    let given = given().await;
    let mut theirs = given.came(4).await;
    for _ in 0..3 {
        theirs.write_all(PING).await.unwrap();
        sleep(SECOND).await;
    }
    sleep(MINUTE).await;
    let mut rest = Vec::new();
    let closed = timeout(SECOND, theirs.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "it is still open");
    assert_eq!(rest, PONG.repeat(2));
    assert!(!given.is_linked());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_while_the_last_one_ends_is_taken() {
    let given = given().await;
    let first = given.came(64).await;
    sleep(SECOND).await;
    // The link is told both before it hears of either.
    let known = given.links.table.lock().get(&given.peer).cloned().unwrap();
    let (stream, mut theirs) = given.pipe(64);
    let _ = known.tell.send(Told::Ended(1));
    let _ = known.tell.send(Told::Came(stream));
    sleep(SECOND).await;
    theirs.write_all(PING).await.unwrap();
    assert_eq!(heard(&mut theirs).await, PONG);
    drop((first, theirs));
    sleep(SECOND).await;
    assert!(!given.is_linked());
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_of_no_use_ends_unless_it_is_wanted_or_held() {
    let given = given().await;
    let connections = || given.endpoint.inner.transport_layer.connections_count();
    let none = connections();
    for _ in 0..3 {
        given.links.reach(given.peer).await.unwrap();
        sleep(119 * SECOND).await;
        assert!(given.is_linked());
    }
    let hold = given.links.hold(given.peer).unwrap();
    sleep(10 * MINUTE).await;
    assert!(given.is_linked());
    assert_eq!(connections(), none + 1);
    drop(hold);
    sleep(2 * MINUTE).await;
    assert!(!given.is_linked());
    assert_eq!(connections(), none, "the stack has forgotten it too");
    given.links.reach(given.peer).await.unwrap();
    assert!(given.is_linked());
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_are_closed_at_once() {
    let given = given().await;
    given.links.room.forget_permits(MOST_ACCEPTED - 1);
    let connect = || TcpStream::connect(given.links.local());
    let answered = async |stream: &mut TcpStream| {
        let _ = stream.write_all(PING).await;
        let mut pong = [0; 2];
        stream.read_exact(&mut pong).await.is_ok_and(|_| pong == PONG)
    };
    let mut first = connect().await.unwrap();
    assert!(answered(&mut first).await);
    assert!(!answered(&mut connect().await.unwrap()).await);
    assert!(answered(&mut first).await, "the first is not disturbed");
    drop(first);
    let room = timeout(MINUTE, Arc::clone(&given.links.room).acquire_owned()).await;
    drop(room.unwrap().unwrap());
    assert!(answered(&mut connect().await.unwrap()).await);
}
