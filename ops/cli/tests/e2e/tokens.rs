//! Tokens of workers: a new one ends the old one everywhere and at once, and what runs goes on.

use serde_json::Value;

use crate::cluster::*;
use crate::process::{Process, until};

/// Long enough for a worker whose token was refused to look again into its file (5 s to 10 s).
const PATIENT: [(&str, &str); 1] = [("--down-after-ms", "40000")];

impl Cluster {
    /// Starts a worker that has its token from a file, and follows a change of it.
    fn start_worker_from_file(&mut self, name: &str) {
        self.write_token(name);
        let file = self.dir.path().join(format!("{name}.toml"));
        let process = self.spawn_worker_with(
            name,
            &["--config", file.to_str().unwrap()],
            &[("REEVE_NODES", self.addresses())],
        );
        self.adopt_worker(name, process);
    }

    fn write_token(&self, name: &str) {
        let file = self.dir.path().join(format!("{name}.toml"));
        write(&file, &format!("token = \"{}\"\n", self.token(name)));
    }

    /// The new token, which is kept; the old one.
    fn regenerate(&mut self, name: &str) -> String {
        let old = self.token(name).to_owned();
        let regenerated = self.json(&["worker", "token", "regenerate", name]);
        let new = regenerated["token"].as_str().unwrap().to_owned();
        assert_ne!(new, old);
        assert!(new.starts_with("cmw_") && new.len() == 68, "its form");
        self.keep_token(name, &new);
        old
    }
}

fn says(process: &Process, words: &str) {
    until(&format!("the log says {words:?}"), SOON, || {
        process.printed().contains(words).then_some(())
    });
}

fn condition<'a>(worker: &'a Value, kind: &str) -> &'a Value {
    let conditions = worker["conditions"].as_array().unwrap();
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

// Covers: R42, R90-R92
#[test]
fn a_new_token_ends_the_old_session_at_once_and_what_runs_goes_on_until_it_is_back() {
    let mut cluster = Cluster::start_with(3, 0, &PATIENT);
    cluster.create_worker("w1");
    cluster.start_worker_from_file("w1");
    cluster.until_worker("w1", "ONLINE");
    cluster.apply(&definition("long", 20, 15));
    let run = cluster.start_run("long");
    cluster.until_phase(&run, "INCALL", 20);

    let old = cluster.regenerate("w1");
    let worker = cluster.worker("w1");
    assert_eq!(worker["status"], "ERROR", "{worker:#}");
    assert_eq!(worker["conditions"][0]["type"], "Credential", "{worker:#}");
    says(
        cluster.worker_process("w1"),
        "authentication failed: the token is not that of a worker",
    );
    let going_on = cluster.run(&run);
    assert_eq!(going_on["endpoints"]["byPhase"]["INCALL"], 20, "{going_on:#}");
    // No new work meanwhile.
    cluster.apply(&definition("other", 1, 1));
    assert_eq!(cluster.reeve(&["run", "start", "other", "--wait"]).code, 2);

    cluster.write_token("w1");
    let back = cluster.until_worker("w1", "ONLINE");
    assert_eq!(condition(&back, "Credential"), &Value::Null);
    let run = cluster.until_run(&run, &["COMPLETED", "FAILED"]);
    assert_accounted(&run, 20);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 20, "{run:#}");
    let new = cluster.token("w1").to_owned();
    cluster.assert_never_printed(&[&old, &new]);
}

// Covers: R90, R92, R102
#[test]
fn from_the_moment_the_command_returned_no_node_takes_the_old_token() {
    // More is logged than usual.
    let mut cluster = Cluster::start_with(3, 1, &[("RUST_LOG", "debug")]);
    let old = cluster.regenerate("w1");
    let strangers: Vec<_> = (0..3)
        .map(|node| cluster.spawn_worker_at(&format!("old{node}"), &old, &cluster.grpc(node)))
        .collect();
    for stranger in &strangers {
        says(stranger, "authentication failed");
        assert!(
            !stranger.printed().contains("session stands"),
            "{}",
            stranger.printed()
        );
    }
    assert_eq!(cluster.worker("w1")["sessionEpoch"], 1, "nobody came in");
    cluster.kill_worker("w1");
    cluster.start_worker("w1");
    cluster.until_worker("w1", "ONLINE");
    let new = cluster.token("w1").to_owned();
    cluster.assert_never_printed(&[&old, &new]);
}

// Covers: R42
#[test]
fn a_token_that_runs_out_turns_a_live_connection_into_an_error() {
    let mut cluster = Cluster::start_with(3, 0, &PATIENT);
    cluster.create_worker_with("w1", &["--token-ttl", "4s"]);
    cluster.start_worker_from_file("w1");
    let worker = cluster.until_worker("w1", "ONLINE");
    assert!(worker["tokenExpiresAt"].is_string(), "{worker:#}");
    let worker = cluster.until_worker("w1", "ERROR");
    assert_eq!(worker["conditions"][0]["type"], "Credential", "{worker:#}");
    says(cluster.worker_process("w1"), "the token has expired");
    let old = cluster.regenerate("w1");
    cluster.write_token("w1");
    let back = cluster.until_worker("w1", "ONLINE");
    assert_eq!(back["tokenExpiresAt"], Value::Null, "{back:#}");
    let new = cluster.token("w1").to_owned();
    cluster.assert_never_printed(&[&old, &new]);
}
