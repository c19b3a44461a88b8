//! Webhooks of a real cluster: leaders die between a change and its message, and every change is told all the same.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::cluster::*;
use crate::process::{pass, until};

const ALLOWED: [(&str, &str); 1] = [("--webhook-allow-private", "loopback")];

/// A message: its id, and what it says.
type Message = (String, Value);

/// Hears everything, and answers only while it is open.
struct Receiver {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Message>>>,
    open: Arc<AtomicBool>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            heard: Arc::default(),
            open: Arc::new(AtomicBool::new(true)),
        };
        let (heard, open) = (Arc::clone(&receiver.heard), Arc::clone(&receiver.open));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (heard, open) = (Arc::clone(&heard), Arc::clone(&open));
                std::thread::spawn(move || serve(stream, &heard, &open));
            }
        });
        receiver
    }

    fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    fn open(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
    }

    fn heard(&self) -> Vec<Message> {
        self.heard.lock().unwrap().clone()
    }

    /// What was heard of a run, each message once: the order in which they came first.
    fn statuses(&self, run: &str) -> Vec<(u64, String)> {
        let mut told = Vec::new();
        for (_, body) in self.heard() {
            let data = &body["data"];
            let one = (
                data["sequence"].as_u64().unwrap(),
                data["to"].as_str().unwrap_or_default().to_owned(),
            );
            if data["runId"] == run && !told.contains(&one) {
                told.push(one);
            }
        }
        told
    }
}

/// One request; while the receiver is closed, the sender waits for nothing.
fn serve(mut stream: TcpStream, heard: &Mutex<Vec<Message>>, open: &AtomicBool) {
    let mut text = String::new();
    let mut buffer = [0; 4_096];
    let message = loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
        if let Some(message) = parse(&text) {
            break message;
        }
    };
    heard.lock().unwrap().push(message);
    if open.load(Ordering::SeqCst) {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    } else {
        // Until the sender gives up or dies.
        let _ = stream.read(&mut buffer);
    }
}

fn parse(text: &str) -> Option<Message> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let length: usize = header("content-length: ")?.parse().ok()?;
    if body.len() < length {
        return None;
    }
    Some((
        header("webhook-id: ")?.to_owned(),
        serde_json::from_str(body).unwrap(),
    ))
}

const WHOLE: [(u64, &str); 4] = [(1, "PENDING"), (2, "QUEUED"), (3, "RUNNING"), (4, "COMPLETED")];

fn whole() -> Vec<(u64, String)> {
    WHOLE
        .iter()
        .map(|(sequence, status)| (*sequence, (*status).to_owned()))
        .collect()
}

// Covers: R214
#[test]
fn every_status_is_told_in_order_though_leaders_die_between_the_change_and_the_message() {
    let mut cluster = Cluster::start_with(3, 2, &ALLOWED);
    let receiver = Receiver::start();
    cluster.json(&["webhook", "create", "--name", "h", "--url", &receiver.url()]);
    cluster.apply(&definition("smoke", 10, 1));
    let mut runs = Vec::new();
    for _ in 0..2 {
        receiver.open(false);
        runs.extend((0..3).map(|_| cluster.start_run("smoke")));
        // Committed and on the wire; the answer never comes, and whoever sent it dies.
        let last = runs.last().unwrap().clone();
        until("messages are under way", SOON, || {
            let told = runs.iter().any(|run| !receiver.statuses(run).is_empty());
            (told && cluster.run(&last)["status"] != "PENDING").then_some(())
        });
        let leader = cluster.leader();
        cluster.kill_node(leader);
        receiver.open(true);
        cluster.leader();
        for run in &runs {
            until("every status is told", SOON * 2, || {
                (receiver.statuses(run) == whole()).then_some(())
            });
        }
        cluster.start_node(leader);
    }
    // The same id says the same, however often it came; different ids are different events.
    let mut said = BTreeMap::new();
    for (id, body) in receiver.heard() {
        let before = said.insert(id.clone(), body.clone());
        assert!(before.is_none_or(|before| before == body), "{id}");
    }
    assert_eq!(said.len(), runs.len() * 4);
    until("the outbox is empty", SOON, || {
        let hook = cluster.json(&["webhook", "get", "h"]);
        (hook["pending"] == 0 && hook["delivered"] == 24).then_some(())
    });
    cluster.until_all_agree();
}

#[test]
fn a_webhook_from_the_command_line() {
    let cluster = Cluster::start_with(1, 0, &ALLOWED);
    let receiver = Receiver::start();
    let made = cluster.reeve(&[
        "webhook",
        "create",
        "--name",
        "h",
        "--url",
        &receiver.url(),
        "--event",
        "run.status_changed",
        "-o",
        "name",
    ]);
    assert!(made.stdout.starts_with("whsec_"), "{}", made.stdout);
    let id = cluster.reeve(&["webhook", "test", "h"]).stdout;
    until("the test arrives", SOON, || {
        receiver
            .heard()
            .first()
            .filter(|(heard, _)| *heard == id.trim())
            .map(|_| ())
    });
    until("it is shown as delivered", SOON, || {
        let shown = cluster.reeve(&["webhook", "deliveries", "h"]).stdout;
        shown.contains("DELIVERED").then_some(())
    });
    let rotated = cluster
        .reeve(&["webhook", "rotate-secret", "h", "-o", "name"])
        .stdout;
    assert!(rotated.starts_with("whsec_") && rotated != made.stdout);
    assert!(
        cluster
            .reeve(&["webhook", "get", "h"])
            .stdout
            .contains("signed with the secret before")
    );
    assert!(
        cluster
            .reeve(&["webhook", "pause", "h"])
            .stdout
            .contains("PAUSED")
    );
    assert!(
        cluster
            .reeve(&["webhook", "resume", "h"])
            .stdout
            .contains("ACTIVE")
    );
    let changed = cluster.json(&["webhook", "update", "h", "--all-events", "--name", "other"]);
    assert_eq!(
        (&changed["name"], changed["events"].as_array().map(Vec::len)),
        (&"other".into(), Some(0))
    );
    let listed = cluster.reeve(&["webhook", "list"]);
    assert!(listed.stdout.contains("other"), "{}", listed.stdout);
    assert_eq!(cluster.reeve(&["webhook", "replay", "other", "--all"]).code, 0);
    let refused = cluster.reeve(&["webhook", "create", "--url", "https://10.0.0.1/"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("url") && refused.stderr.contains("private network"),
        "{}",
        refused.stderr
    );
    assert_eq!(cluster.reeve(&["webhook", "delete", "other"]).code, 0);
    assert_eq!(cluster.reeve(&["webhook", "get", "other"]).code, 1);
    // Neither the secret nor its bytes are in what the node prints.
    let log = std::fs::read_to_string(cluster.log("n1")).unwrap();
    assert!(!log.contains("whsec_"), "a secret is in the log");
}

#[test]
fn an_event_is_not_lost_when_all_nodes_are_killed() {
    let mut cluster = Cluster::start_with(3, 0, &ALLOWED);
    let receiver = Receiver::start();
    cluster.json(&["webhook", "create", "--name", "h", "--url", &receiver.url()]);
    receiver.open(false);
    let id = cluster.reeve(&["webhook", "test", "h"]).stdout;
    until("it is under way", SOON, || {
        (!receiver.heard().is_empty()).then_some(())
    });
    for node in 0..3 {
        cluster.kill_node(node);
    }
    let before = receiver.heard().len();
    receiver.open(true);
    for node in 0..3 {
        cluster.start_node(node);
    }
    cluster.leader();
    until("it arrives", SOON, || {
        (receiver.heard().len() > before).then_some(())
    });
    assert!(receiver.heard().iter().all(|(heard, _)| *heard == id.trim()));
    until("it is delivered", SOON, || {
        (cluster.json(&["webhook", "get", "h"])["delivered"] == 1).then_some(())
    });
    let heard = receiver.heard().len();
    pass(Duration::from_millis(500));
    assert_eq!(receiver.heard().len(), heard, "and not again");
}
