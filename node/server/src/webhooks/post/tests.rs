//! Receivers of every kind, on a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

use reeve_state::definition::parse_webhook_url;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

const CERTIFICATE: &[u8] = include_bytes!("../testdata/receiver.pem");
const KEY: &[u8] = include_bytes!("../testdata/receiver.key");
const TIMEOUT: Duration = Duration::from_secs(10);

fn message(url: &str) -> Message {
    Message {
        url: parse_webhook_url(url).unwrap(),
        id: "msg_1".to_owned(),
        timestamp: 1_700_000_000,
        signature: "v1,abc".to_owned(),
        body: Bytes::from_static(br#"{"type":"webhook.test"}"#),
    }
}

/// Names resolve to what the test says; nothing is asked of the network.
fn poster(allowed: &str, timeout: Duration, addresses: Vec<SocketAddr>) -> HttpPost {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(CERTIFICATE).unwrap())
        .unwrap();
    let resolve = move |_: String, _: u16| -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    };
    let allowed = PrivateNetworks::parse(allowed).unwrap();
    HttpPost::with(roots, Box::new(resolve), allowed, timeout).unwrap()
}

/// A receiver that takes one request, and gives each connection the same answer; what it was sent comes back.
async fn receiver(answer: &'static [u8], hang: bool) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heard);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = read_request(&mut stream).await;
            seen.lock().unwrap().extend(head);
            let _ = stream.write_all(answer).await;
            if hang {
                open.push(stream);
            }
        }
    });
    (address, heard)
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut read = Vec::new();
    let mut buffer = [0; 1_024];
    while !read.ends_with(b"}") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
    read
}

async fn posted_to(answer: &'static [u8]) -> AttemptOutcome {
    let (address, _) = receiver(answer, false).await;
    let post = poster("loopback", TIMEOUT, vec![address]);
    post.post(message("http://a.test/x")).await
}

fn failed(outcome: AttemptOutcome) -> String {
    match outcome {
        AttemptOutcome::Failed(error) => error,
        AttemptOutcome::Answered(status) => panic!("answered {status}"),
    }
}

#[tokio::test]
async fn a_message_is_posted_with_the_headers_of_standard_webhooks() {
    let (address, heard) = receiver(b"HTTP/1.1 204 No Content\r\n\r\n", false).await;
    let post = poster("loopback", TIMEOUT, vec![address]);
    let outcome = post.post(message("http://a.test:81/in?k=v")).await;
    assert_eq!(outcome, AttemptOutcome::Answered(204));
    let heard = String::from_utf8(heard.lock().unwrap().clone()).unwrap();
    for line in [
        "POST /in?k=v HTTP/1.1\r\n",
        "host: a.test:81\r\n",
        "content-type: application/json\r\n",
        "content-length: 23\r\n",
        "webhook-id: msg_1\r\n",
        "webhook-timestamp: 1700000000\r\n",
        "webhook-signature: v1,abc\r\n",
        "\r\n\r\n{\"type\":\"webhook.test\"}",
    ] {
        assert!(heard.contains(line), "{line:?} is not in {heard}");
    }
}

#[tokio::test]
async fn what_the_receiver_answers_is_what_came_of_it_and_redirects_are_not_followed() {
    let cases: [(&[u8], u16); 5] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200),
        (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", 500),
        (b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", 410),
        (
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            302,
        ),
        (b"HTTP/1.0 202 Accepted\r\n\r\nuntil the end", 202),
    ];
    for (answer, status) in cases {
        assert_eq!(posted_to(answer).await, AttemptOutcome::Answered(status));
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error() {
    let nothing = failed(posted_to(b"").await);
    assert!(nothing.contains("connection closed"), "{nothing}");
    let nonsense = failed(posted_to(b"220 mail.test ESMTP\r\n").await);
    assert!(nonsense.contains("invalid HTTP"), "{nonsense}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    const ENDLESS: &[u8] = &[b'x'; 1 << 20];
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(ENDLESS).await.is_ok() {}
    });
    let post = poster("loopback", TIMEOUT, vec![address]);
    let outcome = post.post(message("http://a.test/")).await;
    assert_eq!(outcome, AttemptOutcome::Answered(200));
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    static HEAD: std::sync::LazyLock<Vec<u8>> =
        std::sync::LazyLock::new(|| [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'x'; 1 << 18]].concat());
    let error = failed(posted_to(&HEAD).await);
    assert!(error.contains("too large"), "{error}");
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_in_time() {
    for answer in [b"".as_slice(), b"HTTP/1.1 200"] {
        let (address, _) = receiver(answer, true).await;
        let post = poster("loopback", Duration::from_millis(200), vec![address]);
        let error = failed(post.post(message("http://a.test/")).await);
        assert_eq!(error, "no answer within 200 ms");
    }
}

#[tokio::test]
async fn nothing_is_sent_where_nothing_may_be_sent() {
    let (address, heard) = receiver(b"HTTP/1.1 200 OK\r\n\r\n", false).await;
    let error = |allowed: &'static str, url: &'static str, addresses: Vec<SocketAddr>| async move {
        failed(poster(allowed, TIMEOUT, addresses).post(message(url)).await)
    };
    let public = SocketAddr::from(([1, 1, 1, 1], 80));
    for url in ["http://a.test/", "https://a.test/"] {
        let refused = error("false", url, vec![address]).await;
        assert!(refused.contains("127.0.0.1 is a loopback address"), "{refused}");
    }
    let refused = error("10.0.0.0/8", "http://a.test/", vec![address]).await;
    assert!(refused.contains("loopback"), "{refused}");
    let refused = error("true", "http://a.test/", vec![public]).await;
    assert_eq!(refused, "1.1.1.1 would be sent to unencrypted; use https");
    let mapped = SocketAddr::new("::ffff:127.0.0.1".parse().unwrap(), address.port());
    let refused = error("false", "https://a.test/", vec![mapped]).await;
    assert!(refused.contains("127.0.0.1 is a loopback address"), "{refused}");
    let refused = error("true", "http://a.test/", Vec::new()).await;
    assert_eq!(refused, "a.test has no address");
    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_asked_once() {
    // Public when it is checked and loopback when it is connected to: there is no second time.
    let (address, heard) = receiver(b"HTTP/1.1 200 OK\r\n\r\n", false).await;
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let resolve = move |_: String, _: u16| -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let first = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        // A port of a documentation network that nothing listens on: refused by the check.
        let documented = SocketAddr::from(([192, 0, 2, 1], 80));
        let answer = if first { documented } else { address };
        Box::pin(async move { Ok(vec![answer]) })
    };
    let none = PrivateNetworks::default();
    let post = HttpPost::with(RootCertStore::empty(), Box::new(resolve), none, TIMEOUT).unwrap();
    failed(post.post(message("https://a.test/")).await);
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_passed_over_for_the_next() {
    let (address, _) = receiver(b"HTTP/1.1 200 OK\r\n\r\n", false).await;
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let nobody = closed.local_addr().unwrap();
    drop(closed);
    let private = SocketAddr::from(([10, 0, 0, 1], 80));
    let post = poster("loopback", TIMEOUT, vec![private, nobody, address]);
    let outcome = post.post(message("http://a.test/")).await;
    assert_eq!(outcome, AttemptOutcome::Answered(200));
    let post = poster("loopback", TIMEOUT, vec![nobody]);
    let error = failed(post.post(message("http://a.test/")).await);
    assert!(error.contains(&format!("connecting to {nobody}")), "{error}");
}

/// A receiver with a certificate for receiver.test.
async fn tls_receiver() -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                read_request(&mut stream).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .await;
                let _ = stream.shutdown().await;
            }
        }
    });
    address
}

#[tokio::test]
async fn https_is_encrypted_and_the_receiver_has_to_show_who_it_is() {
    let address = tls_receiver().await;
    let post = poster("loopback", TIMEOUT, vec![address]);
    let outcome = post.post(message("https://receiver.test/x")).await;
    assert_eq!(outcome, AttemptOutcome::Answered(200));
    let error = failed(post.post(message("https://other.test/x")).await);
    assert!(error.contains("TLS with other.test"), "{error}");
    let none = RootCertStore::empty();
    let resolve = move |_: String, _: u16| -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(vec![address]) })
    };
    let allowed = PrivateNetworks::parse("loopback").unwrap();
    let post = HttpPost::with(none, Box::new(resolve), allowed, TIMEOUT).unwrap();
    let error = failed(post.post(message("https://receiver.test/x")).await);
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn localhost_is_found_by_the_system_and_refused() {
    let post = HttpPost::new(PrivateNetworks::default(), TIMEOUT).unwrap();
    for url in [
        "https://localhost/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
    ] {
        let error = failed(post.post(message(url)).await);
        assert!(
            error.contains("is a loopback address") || error.contains("cannot be resolved"),
            "{url}: {error}"
        );
    }
}
