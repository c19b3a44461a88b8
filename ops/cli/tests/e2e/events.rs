//! Whoever listens misses nothing when nodes die.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::*;
use crate::process::{ADMIN_KEY, until};

/// What a browser's `EventSource` does: it reads, and goes on elsewhere with the last id when the connection breaks.
struct Source {
    stream: BufReader<TcpStream>,
    last_id: Option<u64>,
}

impl Source {
    fn open(address: &str, path: &str, last_id: Option<u64>) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let header = last_id.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
        // 1.0: the body comes as it is, without chunks.
        let head = format!("GET {path} HTTP/1.0\r\nauthorization: Bearer {ADMIN_KEY}\r\n{header}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Self {
            stream: BufReader::new(stream),
            last_id,
        }
    }

    /// The next event, its name and its data; `None` when the connection is lost.
    fn next(&mut self) -> Option<(String, Value)> {
        let (mut name, mut data) = (String::new(), None);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let (field, value) = line.trim_end().split_once(": ").unwrap_or_default();
            match field {
                "event" => name = value.to_owned(),
                "data" => data = Some(serde_json::from_str(value).unwrap()),
                "id" => self.last_id = Some(value.parse().unwrap()),
                _ if line.trim().is_empty() => {
                    if let Some(data) = data.take() {
                        return Some((name, data));
                    }
                }
                _ => {}
            }
        }
    }
}

// Covers: R144, R199
#[test]
fn a_listener_that_goes_on_at_another_node_misses_no_status() {
    let mut cluster = Cluster::start(3, 2);
    cluster.apply(&definition("smoke", 100, 4));
    let at = cluster.leader();
    let mut source = Source::open(&cluster.http(at), "/events?kind=run", None);
    assert_eq!(source.next().unwrap().0, "bookmark");
    let id = cluster.start_run("smoke");
    let path = format!("/events?kind=run&run={id}");
    let (mut statuses, mut revisions, mut killed) = (Vec::new(), Vec::new(), false);
    while statuses.last().map(String::as_str) != Some("COMPLETED") {
        let Some((name, data)) = source.next() else {
            let next = cluster.follower();
            source = Source::open(&cluster.http(next), &path, source.last_id);
            continue;
        };
        assert!(["run", "bookmark"].contains(&name.as_str()), "{name}: {data:#}");
        if name == "run" {
            revisions.push(data["revision"].as_u64().unwrap());
            statuses.push(data["status"].as_str().unwrap().to_owned());
        }
        if !killed && data["endpoints"]["byPhase"]["INCALL"].as_u64() > Some(0) {
            cluster.kill_node(at);
            killed = true;
        }
    }
    assert!(killed, "the node died in the middle");
    statuses.dedup();
    assert_eq!(statuses, ["PENDING", "QUEUED", "RUNNING", "COMPLETED"]);
    let shown = revisions.len();
    revisions.dedup();
    assert!(revisions.is_sorted(), "in order: {revisions:?}");
    assert!(
        shown - revisions.len() <= 1,
        "only what was read last may come again"
    );
}

#[test]
fn the_events_command_goes_on_at_another_node() {
    let mut cluster = Cluster::start(3, 2);
    cluster.apply(&definition("smoke", 50, 3));
    let at = cluster.leader();
    let only = cluster.grpc(at);
    let mut tail = cluster.spawn_reeve(
        "tail",
        &[
            "--addr",
            &only,
            "events",
            "--kind",
            "run",
            "--initial",
            "-o",
            "jsonl",
        ],
    );
    let id = cluster.start_run("smoke");
    until("the run is seen", SOON, || {
        tail.printed().contains("RUNNING").then_some(())
    });
    cluster.kill_node(at);
    until("its end is seen", SOON, || {
        tail.printed().contains("\"status\":\"COMPLETED\"").then_some(())
    });
    let printed = tail.printed();
    let lines = printed
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut statuses: Vec<String> = lines
        .filter(|event| event["event"] == "run" && event["id"] == id.as_str())
        .map(|event| event["object"]["status"].as_str().unwrap().to_owned())
        .collect();
    statuses.dedup();
    assert_eq!(statuses, ["PENDING", "QUEUED", "RUNNING", "COMPLETED"]);
    tail.signal(Signal::SIGINT);
    assert_ne!(tail.exit_code(SOON), 1);
}

// Covers: R173, R188, R196
#[test]
fn waiting_for_a_run_tells_how_it_went_by_its_exit_code_and_ctrl_c_leaves_it_alone() {
    let cluster = Cluster::start(1, 1);
    cluster.apply(&definition("long", 20, 600));
    let mut waiting = cluster.spawn_reeve("waiting", &["run", "start", "long", "--wait"]);
    until("it runs", SOON, || {
        waiting.printed().contains("RUNNING").then_some(())
    });
    waiting.signal(Signal::SIGINT);
    assert_eq!(waiting.exit_code(SOON), 130, "{}", waiting.printed());
    let printed = waiting.printed();
    assert!(printed.contains("the run goes on"), "{printed}");
    let id = cluster.json(&["run", "list", "--test", "long"])["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(printed.contains(&format!("reeve run stop {id}")), "{printed}");
    assert_eq!(cluster.run(&id)["status"], "RUNNING");

    let late = cluster.reeve(&["run", "wait", &id, "--timeout", "1s"]);
    assert_eq!((late.code, late.stdout.as_str()), (4, ""), "{}", late.stderr);

    cluster.apply(&definition("huge", 9_000_000, 1).replace("groups:", "queue_timeout: 1s\ngroups:"));
    let refused = cluster.reeve(&["run", "start", "huge", "--wait"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    for part in [
        "Reason: INSUFFICIENT_CAPACITY",
        "Would help, any one of:",
        "CANNOT_RUN_FOR_NOW",
    ] {
        assert!(refused.stdout.contains(part), "{part}: {}", refused.stdout);
    }
    assert!(
        refused
            .stderr
            .contains("CANNOT_RUN_FOR_NOW  INSUFFICIENT_CAPACITY"),
        "{}",
        refused.stderr
    );
    let json = cluster.reeve(&["run", "start", "huge", "--wait", "-o", "json"]);
    let run: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (json.code, run["status"].as_str()),
        (2, Some("CANNOT_RUN_FOR_NOW"))
    );
    assert!(
        run["explanation"]["suggestion"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{run:#}"
    );

    cluster.reeve(&["run", "stop", &id]);
    let stopped = cluster.reeve(&["run", "watch", &id, "-o", "jsonl"]);
    assert_eq!(stopped.code, 0, "{}", stopped.stderr);
    let last: Value = serde_json::from_str(stopped.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["reason"]["code"], "STOPPED_BY_USER", "{last:#}");
}

#[test]
fn a_node_that_stays_cut_off_sends_its_listeners_elsewhere() {
    let mut cluster = Cluster::start(3, 0);
    let at = cluster.leader();
    let mut source = Source::open(&cluster.http(at), "/events", None);
    assert_eq!(source.next().unwrap().0, "bookmark");
    for other in (0..3).filter(|node| *node != at) {
        cluster.kill_node(other);
    }
    let end = loop {
        let (name, data) = source
            .next()
            .expect("the node is there and says why it ends the stream");
        if name == "end" {
            break data;
        }
    };
    assert_eq!(end["error"]["reason"], "SHEDDING", "{end:#}");
}
