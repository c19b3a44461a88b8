//! The rules of the configuration, as a table.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use super::*;

fn args() -> NodeArgs {
    NodeArgs {
        id: Some(1),
        data_dir: Some(PathBuf::from("data")),
        ..NodeArgs::default()
    }
}

#[test]
fn a_number_is_all_a_single_node_needs() {
    let config = NodeArgs {
        id: Some(7),
        ..NodeArgs::default()
    }
    .load()
    .unwrap();
    assert_eq!(config.name, "n7");
    assert_eq!(config.data_dir, PathBuf::from("reeve-data/n7"));
    assert_eq!(config.cluster_id, "reeve");
    assert_eq!(config.grpc_addr, "127.0.0.1:50052".parse().unwrap());
    assert_eq!(config.raft_addr, "127.0.0.1:50051".parse().unwrap());
    assert_eq!(config.http_addr, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.peers, vec![config.member()]);
    assert_eq!(config.heartbeat_interval, Duration::from_secs(30));
    assert_eq!(config.down_after, Duration::from_secs(60));
    assert_eq!(config.rehome_grace(), Duration::from_secs(10));
    assert_eq!(config.worker_purge_after, Duration::from_secs(7 * 86_400));
    assert_eq!(config.drain_timeout, Duration::from_secs(3_600));
}

/// Each row: how it is broken, which setting is named, and a word of the rule.
#[test]
fn every_rule_names_its_setting() {
    type Break = fn(&mut NodeArgs);
    let rows: &[(Break, &str, &str)] = &[
        (|a| a.id = None, "id", "required"),
        (|a| a.id = Some(0), "id", "greater than 0"),
        (|a| a.name = Some(" ".into()), "name", "empty"),
        (|a| a.cluster_id = Some(String::new()), "cluster_id", "empty"),
        (|a| a.data_dir = Some(PathBuf::new()), "data_dir", "empty"),
        (
            |a| a.grpc_addr = Some("0.0.0.0:1".parse().unwrap()),
            "grpc_addr",
            "loopback",
        ),
        (
            |a| a.raft_addr = Some("10.0.0.1:1".parse().unwrap()),
            "raft_addr",
            "loopback",
        ),
        (
            |a| a.http_addr = Some("[::]:1".parse().unwrap()),
            "http_addr",
            "loopback",
        ),
        (
            |a| a.http_addr = Some("127.0.0.1:50052".parse().unwrap()),
            "http_addr",
            "taken by grpc_addr",
        ),
        (
            |a| a.raft_addr = Some("127.0.0.1:0".parse().unwrap()),
            "raft_addr",
            "port",
        ),
        (
            |a| a.peers = Some("2=n2,h:1,h:2,h:3".into()),
            "peers",
            "contain this node",
        ),
        (
            |a| a.peers = Some("1=other,h:1,h:2,h:3".into()),
            "peers",
            "name this node",
        ),
        (
            |a| a.peers = Some("1=n1,h:1,h:2,h:3;1=n2,h:4,h:5,h:6".into()),
            "peers",
            "ids must differ",
        ),
        (
            |a| a.peers = Some("1=n1,h:1,h:2,h:3;2=n1,h:4,h:5,h:6".into()),
            "peers",
            "names must differ",
        ),
        (
            |a| a.peers = Some("1=n1,h:1,h:2,h:3;2=n2,h:1,h:5,h:6".into()),
            "peers",
            "addresses must differ",
        ),
        (
            |a| a.peers = Some("1=n1,h:1,h:2".into()),
            "peers",
            "is not ID=NAME",
        ),
        (
            |a| a.peers = Some("1=n1,h:1,h:2,h".into()),
            "peers",
            "is not HOST:PORT",
        ),
        (|a| a.peers = Some(" ; ".into()), "peers", "names no node"),
        (
            |a| {
                a.peers = Some("1=n1,h:1,h:2,h:3".into());
                a.join = Some(true);
            },
            "peers",
            "join",
        ),
        (
            |a| a.heartbeat_interval_ms = Some(0),
            "heartbeat_interval_ms",
            "greater than 0",
        ),
        (
            |a| a.exchange_interval_ms = Some(0),
            "exchange_interval_ms",
            "greater than 0",
        ),
        (|a| a.shed_after_ms = Some(1_999), "shed_after_ms", "twice"),
        (|a| a.down_after_ms = Some(44_999), "down_after_ms", "45000"),
        (
            |a| a.reconnect_timeout_ms = Some(25_001),
            "down_after_ms",
            "60001",
        ),
        (
            |a| a.raft_heartbeat_ms = Some(0),
            "raft_heartbeat_ms",
            "greater than 0",
        ),
        (
            |a| a.raft_election_min_ms = Some(99),
            "raft_election_min_ms",
            "twice",
        ),
        (
            |a| a.raft_election_max_ms = Some(150),
            "raft_election_max_ms",
            "greater than",
        ),
        (
            |a| a.ready_timeout_ms = Some(0),
            "ready_timeout_ms",
            "greater than 0",
        ),
        (|a| a.start_delay_ms = Some(60_001), "start_delay_ms", "at most"),
        (|a| a.stop_grace_ms = Some(0), "stop_grace_ms", "greater than 0"),
        (
            |a| a.shutdown_timeout_ms = Some(0),
            "shutdown_timeout_ms",
            "greater than 0",
        ),
    ];
    for (break_it, field, word) in rows {
        let mut args = args();
        break_it(&mut args);
        let error = args.load().expect_err(field);
        let named = error
            .violations
            .iter()
            .any(|v| v.field == *field && v.rule.contains(word));
        assert!(named, "{field} / {word}: {error}");
    }
}

#[test]
fn all_violations_are_reported_at_once() {
    let broken = NodeArgs {
        id: Some(0),
        start_delay_ms: Some(60_001),
        cluster_id: Some(String::new()),
        ..args()
    };
    let fields: Vec<_> = broken
        .load()
        .unwrap_err()
        .violations
        .iter()
        .map(|v| v.field)
        .collect();
    assert_eq!(fields, ["id", "cluster_id", "start_delay_ms"]);
}

#[test]
fn the_limits_themselves_are_allowed() {
    let edge = NodeArgs {
        down_after_ms: Some(45_000),
        ..args()
    };
    assert!(edge.load().is_ok());
}

#[test]
fn flags_go_before_the_file_and_the_file_before_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.toml");
    std::fs::write(
        &path,
        "id = 3\nname = \"file\"\ncluster_id = \"lab\"\ngrpc_addr = \"127.0.0.1:7000\"\n",
    )
    .unwrap();
    let flags = NodeArgs {
        config: Some(path),
        name: Some("flag".into()),
        ..NodeArgs::default()
    };
    let config = flags.load().unwrap();
    assert_eq!(
        (config.id, config.name.as_str(), config.cluster_id.as_str()),
        (NodeId(3), "flag", "lab")
    );
    assert_eq!(config.grpc_addr.port(), 7000);
    assert_eq!(config.http_addr.port(), 8080);
}

#[test]
fn a_file_with_an_unknown_setting_is_refused_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.toml");
    std::fs::write(&path, "id = 3\nheartbeat = 5\n").unwrap();
    let error = NodeArgs {
        config: Some(path),
        ..NodeArgs::default()
    }
    .load()
    .unwrap_err();
    assert!(error.to_string().contains("heartbeat"), "{error}");
    let missing = NodeArgs {
        config: Some(dir.path().join("none.toml")),
        ..NodeArgs::default()
    };
    assert!(missing.load().unwrap_err().to_string().contains("none.toml"));
}

#[test]
fn a_node_that_joins_has_no_first_members() {
    let config = NodeArgs {
        join: Some(true),
        ..args()
    }
    .load()
    .unwrap();
    assert!(config.peers.is_empty());
}

#[test]
fn peers_are_written_as_they_are_read() {
    let text = "1=n1,127.0.0.1:1,127.0.0.1:2,127.0.0.1:3;2=n2,host:4,host:5,host:6";
    assert_eq!(format_peers(&parse_peers(text).unwrap()), text);
}
