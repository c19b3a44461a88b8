//! Nodes and workers die in the middle of a run.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::cluster::*;
use crate::process::until;

const HAPPY: [&str; 4] = ["PENDING", "QUEUED", "RUNNING", "COMPLETED"];

// Covers: R119, R125, R136, R139, R146, R148, R201
#[test]
fn a_run_survives_the_death_of_its_leader() {
    let mut cluster = Cluster::start(3, 3);
    cluster.apply(&definition("smoke", 300, 5));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 100);
    let old = cluster.leader();
    cluster.kill_node(old);
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(statuses(&run), HAPPY);
    assert_accounted(&run, 300);
    assert_eq!(
        run["endpoints"]["byOutcome"]["SUCCESS"], 300,
        "nothing was lost: {run:#}"
    );
    assert_ne!(cluster.leader(), old);
    cluster.start_node(old);
    cluster.until_all_agree();
    let again = cluster.run(&id);
    // An assignment may have been let go only after the run had ended.
    for told in ["status", "timeline", "endpoints", "startAt", "definition"] {
        assert_eq!(again[told], run[told], "the node that was dead tells the same");
    }
}

#[test]
fn a_run_does_not_notice_the_death_of_a_follower() {
    let mut cluster = Cluster::start(3, 2);
    cluster.apply(&definition("smoke", 100, 3));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 20);
    let (leader, follower) = (cluster.leader(), cluster.follower());
    let term = cluster.status(leader, false).unwrap().term;
    cluster.kill_node(follower);
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 100);
    assert_eq!(
        cluster.status(leader, false).unwrap().term,
        term,
        "no election was needed"
    );
    cluster.start_node(follower);
    cluster.until_all_agree();
}

#[test]
fn everything_is_there_after_all_nodes_were_killed() {
    let mut cluster = Cluster::start(3, 2);
    cluster.apply(&definition("done", 10, 1));
    let done = cluster.start_run("done");
    let done_run = cluster.until_run(&done, &["COMPLETED"]);
    cluster.apply(&definition("smoke", 100, 4));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 50);
    for node in 0..3 {
        cluster.kill_node(node);
    }
    for node in 0..3 {
        cluster.start_node(node);
    }
    cluster.leader();
    // The workers went on alone, and nobody was declared dead.
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 100, "{run:#}");
    let mut after = cluster.run(&done);
    // Workers let go of an assignment after the run ended: that may still have been under way.
    let mut before = done_run.clone();
    for run in [&mut before, &mut after] {
        run["revision"].take();
        run["assignments"].take();
    }
    assert_eq!(after, before);
    assert_eq!(
        cluster.json(&["test", "list"])["items"].as_array().unwrap().len(),
        2
    );
    cluster.until_worker("w1", "ONLINE");
    cluster.until_all_agree();
}

// Covers: R14, R18, R22, R70, R72, R73, R109, R110
#[test]
fn the_endpoints_of_a_killed_worker_are_closed_once_and_the_run_goes_on() {
    let mut cluster = Cluster::start(3, 2);
    cluster.apply(&definition("smoke", 200, 4));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 100);
    cluster.kill_worker("w1");
    cluster.until_worker("w1", "OFFLINE");
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(statuses(&run), HAPPY);
    assert_accounted(&run, 200);
    assert_eq!(run["endpoints"]["byOutcome"]["OSERROR"], 100);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 100);
    // It comes back as a new process and is welcome, and what is told does not change.
    cluster.start_worker("w1");
    let worker = cluster.until_worker("w1", "ONLINE");
    assert_eq!(worker["capacity"]["reserved"], 0);
    assert_eq!(cluster.run(&id)["endpoints"], run["endpoints"]);
}

// Covers: R74, R147, R166, R168, R202
#[test]
fn a_run_whose_only_worker_is_killed_fails() {
    let mut cluster = Cluster::start(1, 1);
    cluster.apply(&definition("smoke", 20, 60));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 20);
    cluster.kill_worker("w1");
    let ran = cluster.reeve(&["run", "wait", &id]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let run = cluster.run(&id);
    assert_eq!(run["status"], "FAILED");
    assert_eq!(run["reason"]["message"], "All workers disconnected");
    assert_accounted(&run, 20);
}

// Covers: R2, R46
#[test]
fn a_worker_whose_node_is_killed_moves_and_loses_nothing() {
    let mut cluster = Cluster::start(3, 3);
    cluster.apply(&definition("smoke", 150, 5));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 100);
    let session = cluster.worker("w2")["sessionNode"].as_str().unwrap().to_owned();
    let node = session.trim_start_matches('n').parse::<usize>().unwrap() - 1;
    cluster.kill_node(node);
    let moved = until("the worker has moved", SOON, || {
        let worker = cluster.worker("w2");
        assert_ne!(
            worker["status"], "OFFLINE",
            "a healthy worker was declared dead: {worker:#}"
        );
        (worker["sessionNode"] != session.as_str() && worker["status"] == "ONLINE").then_some(worker)
    });
    assert!(moved["sessionEpoch"].as_u64().unwrap() > 1);
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 150, "{run:#}");
}

// Covers: R24, R27, R28, R31, R65, R66, R67, R68, R69
#[test]
fn a_worker_that_gets_sigterm_finishes_what_it_has_and_leaves() {
    let mut cluster = Cluster::start(1, 2);
    cluster.apply(&definition("smoke", 100, 3));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 50);
    cluster.worker_process("w1").signal(Signal::SIGTERM);
    cluster.until_worker("w1", "DRAINING");
    let code = cluster.worker_process("w1").exit_code(SOON);
    assert_eq!(code, 0, "{}", cluster.worker_process("w1").printed());
    let worker = cluster.until_worker("w1", "OFFLINE");
    assert_eq!(worker["capacity"]["reserved"], 0);
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(run["endpoints"]["byOutcome"]["SUCCESS"], 100, "{run:#}");
}

#[test]
fn a_worker_that_is_frozen_is_fenced_when_it_wakes() {
    let mut cluster = Cluster::start(1, 2);
    cluster.apply(&definition("smoke", 100, 12));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 100);
    cluster.worker_process("w1").signal(Signal::SIGSTOP);
    cluster.until_worker("w1", "OFFLINE");
    let closed = cluster.run(&id)["endpoints"]["byOutcome"].clone();
    assert_eq!(closed["OSERROR"], 50);
    cluster.worker_process("w1").signal(Signal::SIGCONT);
    let back = cluster.until_worker("w1", "ONLINE");
    assert!(back["sessionEpoch"].as_u64().unwrap() > 1);
    until("it let go of what it held", SOON, || {
        (cluster.worker("w1")["capacity"]["reserved"] == 0).then_some(())
    });
    let run = cluster.until_run(&id, &["COMPLETED"]);
    assert_accounted(&run, 100);
    assert_eq!(run["endpoints"]["byOutcome"]["OSERROR"], 50);
}

#[test]
fn a_node_that_gets_sigterm_hands_leadership_over() {
    let mut cluster = Cluster::start(3, 0);
    let old = cluster.leader();
    cluster.node(old).signal(Signal::SIGTERM);
    assert_eq!(cluster.node(old).exit_code(SOON), 0);
    cluster.kill_finished(old);
    let begun = Instant::now();
    cluster.apply(&definition("smoke", 10, 1));
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_ne!(cluster.leader(), old);
}

impl Cluster {
    /// Forgets a node that ended by itself.
    pub fn kill_finished(&mut self, node: usize) {
        self.kill_node(node);
    }
}
