//! Within TLS: the other side proves who it is, and the trace has the plain text.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use reeve_sip::tap::Transport;
use reeve_sip::tls::Trust;
use reeve_sip::{Carrier, Shared};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::given::{PATIENCE, Peer, caller, folder, kamailio_with, plan, receiver, start, texts, us_by};
use crate::peer::{Wire, header, response};
use crate::sipp::listens;

/// An authority of its own in `ca.pem`, and a certificate of it for the proxy.
fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let made = Command::new("openssl")
            .current_dir(folder)
            .args(arguments.split(' '))
            .output();
        let made = made.expect("openssl is not installed: ops/bootstrap sip");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    std::fs::write(
        folder.join("ext"),
        "subjectAltName=DNS:demo.example,IP:127.0.0.1\n",
    )
    .unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"
    ));
    openssl(&format!(
        "req {key} -keyout key.pem -out request.pem -subj /CN=proxy"
    ));
    openssl(
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile ext",
    );
}

/// The proxy of the demo, within TLS too. Gives whom to trust.
async fn kamailio() -> (Peer, Trust) {
    let folder = folder();
    certificates(folder.path());
    let trust = Trust::file(&folder.path().join("ca.pem")).unwrap();
    let home = folder.path().display().to_string();
    let by_tls = |text: String, port| {
        let listen = format!("enable_tls=yes\nlisten=tls:127.0.0.1:{port}\nlisten=udp:");
        let module = format!(
            "loadmodule \"tls.so\"\nmodparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\nmodparam(\"tls\", \"private_key\", \"{home}/key.pem\")\n\
             modparam(\"tls\", \"certificate\", \"{home}/cert.pem\")\nmodparam(\"usrloc\""
        );
        text.replace("disable_tcp=yes", "disable_tcp=no\ntcp_children=1")
            .replace("listen=udp:", &listen)
            .replacen("modparam(\"usrloc\"", &module, 1)
    };
    let peer = kamailio_with(by_tls, folder).await;
    listens(peer.address, "tcp").await;
    (peer, trust)
}

async fn us(trust: &Trust, name: &str) -> Shared {
    us_by(Carrier::Tls(trust.named(name).unwrap())).await
}

/// Covers: R139, R142, R154.
#[tokio::test]
async fn a_caller_and_a_receiver_talk_through_the_proxy_within_tls() {
    let (peer, trust) = kamailio().await;
    for name in ["demo.example", "127.0.0.1"] {
        let us = us(&trust, name).await;
        let mut bob = start(&us, plan(peer.address, "bob", receiver()));
        bob.until(Phase::Registered).await;
        let mut alice = start(&us, plan(peer.address, "alice", caller("sip:bob@demo.example")));
        let (outcome, why) = alice.end().await;
        assert_eq!(outcome, Outcome::Success, "{why}: {:#?}", alice.lines());
        let (outcome, why) = bob.end().await;
        assert_eq!(outcome, Outcome::Success, "{why}: {:#?}", bob.lines());
        for endpoint in [&alice, &bob] {
            for (message, text) in endpoint.trace.iter().zip(texts(endpoint)) {
                assert_eq!(message.transport, Transport::Tls);
                assert_eq!((message.local, message.remote), (us.stack.local(), peer.address));
                let via = header(&text, "Via").unwrap();
                assert!(via.starts_with("SIP/2.0/TLS "), "{text}");
            }
        }
        let invite = texts(&alice).into_iter().find(|text| text.starts_with("INVITE "));
        let contact = header(invite.as_ref().unwrap(), "Contact").unwrap().to_owned();
        assert!(
            contact.starts_with("<sip:") && contact.ends_with(";transport=TLS>"),
            "{contact}"
        );
    }
}

/// Covers: R163.
#[tokio::test]
async fn a_registrar_that_cannot_prove_who_it_is_is_told_nothing() {
    let (peer, trust) = kamailio().await;
    let strangers = folder();
    certificates(strangers.path());
    let others = Trust::file(&strangers.path().join("ca.pem")).unwrap();
    for (trust, name, expected) in [
        (&others, "demo.example", "invalid peer certificate"),
        (&trust, "other.example", "not valid for name \"other.example\""),
    ] {
        let us = us(trust, name).await;
        let mut alice = start(&us, plan(peer.address, "alice", receiver()));
        let (outcome, why) = alice.end().await;
        assert_eq!(outcome, Outcome::RegistrationFailed, "{why}");
        assert!(
            why.starts_with(&format!("registrar: no connection to {}: TLS: ", peer.address))
                && why.contains(expected),
            "{why}"
        );
        assert!(alice.trace.is_empty());
    }
}

/// A registrar made by hand, with a certificate for the demo's domain.
fn acceptor(folder: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

/// It cannot be connected to, so it sees to it that there is a connection to call it by, from the port that its Contact names.
#[tokio::test]
async fn who_waits_for_a_call_opens_a_connection_again_that_the_registrar_closed() {
    let folder = folder();
    certificates(folder.path());
    let trust = Trust::file(&folder.path().join("ca.pem")).unwrap();
    let acceptor = acceptor(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let us = us(&trust, "demo.example").await;
    let mut bob = start(&us, plan(listener.local_addr().unwrap(), "bob", receiver()));
    let (stream, from) = listener.accept().await.unwrap();
    assert_eq!(from, us.stack.local());
    let mut wire = Wire::of(acceptor.accept(stream).await.unwrap());
    let request = wire.await_message("REGISTER ").await;
    let contact = format!("Contact: {}\r\n", header(&request, "Contact").unwrap());
    wire.say(&response(&request, "200 OK", &contact, "")).await;
    bob.until(Phase::Registered).await;
    drop(wire);
    let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
    let (stream, again) = accepted.expect("it is not opened again").unwrap();
    assert_eq!(again, from);
    // This time it comes to nothing; it is not the last one.
    drop(stream);
    let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
    let (stream, _) = accepted.expect("it is tried once only").unwrap();
    let mut wire = Wire::of(acceptor.accept(stream).await.unwrap());
    bob.hang_up(None);
    let farewell = wire.await_message("REGISTER ").await;
    wire.say(&response(&farewell, "200 OK", "", "")).await;
    bob.end().await;
}
