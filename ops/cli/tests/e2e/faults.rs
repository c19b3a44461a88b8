//! Faults of the environment: no quorum, bad tokens, broken files.

use std::time::Duration;

use crate::cluster::*;
use crate::process::until;

#[test]
fn without_a_quorum_nothing_is_promised_and_status_still_answers() {
    let mut cluster = Cluster::start(3, 0);
    cluster.apply(&definition("smoke", 10, 1));
    cluster.until_all_agree();
    let leader = cluster.leader();
    let left = cluster.follower();
    for node in (0..3).filter(|node| *node != left) {
        cluster.kill_node(node);
    }
    let at = cluster.grpc(left);
    until("the node notices", SOON, || {
        cluster.status(left, false).filter(|status| status.leader_id == 0)
    });
    for args in [&["test", "list"][..], &["run", "start", "smoke"][..]] {
        let ran = cluster.reeve_at(&at, &[&["--timeout", "2s"], args].concat());
        assert_eq!(ran.code, 1, "{args:?}");
        assert!(
            ran.stderr.contains("UNAVAILABLE") && ran.stderr.contains("leader"),
            "{}",
            ran.stderr
        );
    }
    let local = cluster.json_at(&at, &["test", "list", "--local"]);
    assert_eq!(local["items"].as_array().unwrap().len(), 1);
    assert_eq!(cluster.reeve_at(&at, &["cluster", "status"]).code, 0);
    cluster.start_node(leader);
    cluster.leader();
    cluster.apply(&definition("smoke", 20, 1));
    assert_eq!(
        cluster.json(&["run", "list"])["items"].as_array().unwrap().len(),
        0,
        "the run was not started"
    );
}

// Covers: R51, R52, R83, R84, R90, R102
#[test]
fn a_wrong_token_is_refused_and_never_shown() {
    let mut cluster = Cluster::start(1, 0);
    cluster.create_worker("w1");
    let token = cluster.token("w1").to_owned();
    assert_eq!(token.len(), 68);
    assert!(token.starts_with("cmw_") && token[4..].bytes().all(|byte| byte.is_ascii_hexdigit()));
    let wrong = format!("cmw_{}", "0".repeat(64));
    let stranger = cluster.spawn_worker("stranger", &wrong);
    until("the worker says so", SOON, || {
        let log = stranger.printed();
        (log.contains("token")).then_some(())
    });
    cluster.start_worker("w1");
    cluster.until_worker("w1", "ONLINE");
    let logs = [
        stranger.printed(),
        cluster.worker_process("w1").printed(),
        cluster.node(0).printed(),
    ];
    for log in logs {
        assert!(
            !log.contains(&wrong[4..]) && !log.contains(&token[4..]),
            "a token is in a log:\n{log}"
        );
    }
    let mut malformed = cluster.spawn_worker("malformed", "cmw_abc");
    assert_eq!(malformed.exit_code(SOON), 1);
    assert!(malformed.printed().contains("token"), "{}", malformed.printed());
}

#[test]
fn a_corrupt_log_is_named_and_the_node_does_not_start() {
    let mut cluster = Cluster::start(1, 0);
    for version in 1..20 {
        cluster.apply(&definition("smoke", version, 1));
    }
    cluster.kill_node(0);
    let log = cluster.data_dir(0).join("log");
    let mut broken = 0;
    for entry in std::fs::read_dir(&log).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".log") || name.ends_with(".sst") {
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            if middle > 0 {
                bytes[middle] ^= 0xff;
                std::fs::write(&path, bytes).unwrap();
                broken += 1;
            }
        }
    }
    assert!(broken > 0, "nothing to break in {}", log.display());
    cluster.start_node(0);
    assert_eq!(cluster.node(0).exit_code(SOON), 1);
    let printed = cluster.node(0).printed();
    assert!(printed.contains(&log.display().to_string()), "{printed}");
}

#[test]
fn a_node_of_another_cluster_or_with_another_id_does_not_start() {
    let mut cluster = Cluster::start(1, 0);
    cluster.kill_node(0);
    let dir = cluster.data_dir(0).display().to_string();
    let raft = cluster.raft(0);
    let start = |flags: &[&str]| {
        let mut args: Vec<String> = ["node", "--data-dir", &dir].map(str::to_owned).to_vec();
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        args.extend(
            [
                "--grpc-addr",
                "127.0.0.1:0",
                "--raft-addr",
                &raft,
                "--http-addr",
                "127.0.0.1:0",
            ]
            .map(str::to_owned),
        );
        let mut process =
            crate::process::Process::start(&cluster.dir.path().join("stranger.log"), &args, &[]);
        (process.exit_code(Duration::from_secs(10)), process.printed())
    };
    let (code, printed) = start(&["--id", "7"]);
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains('7') && printed.contains('1'), "{printed}");
    let (code, printed) = start(&["--id", "1", "--cluster-id", "elsewhere"]);
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains("elsewhere"), "{printed}");
    let (code, printed) = start(&["--id", "0"]);
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains("id"), "{printed}");
}
