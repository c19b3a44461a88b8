#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write as _;
use std::time::Duration;

use clap::{CommandFactory as _, Parser};

use super::*;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    worker: WorkerArgs,
}

fn token() -> String {
    format!("cmw_{}", "ab".repeat(32))
}

fn key() -> String {
    format!("cmk_{}", "cd".repeat(16))
}

fn settings(flags: &[&str]) -> Result<Settings, ConfigError> {
    let flags = ["reeve-worker"].iter().chain(flags);
    Program::try_parse_from(flags).unwrap().worker.into_settings()
}

fn parse(flags: &[&str]) -> Result<WorkerConfig, ConfigError> {
    settings(flags).map(|settings| match settings {
        Settings::Session(config) => *config,
        Settings::Ping(_) => panic!("a ping worker"),
    })
}

fn parse_ping(flags: &[&str]) -> Result<PingConfig, ConfigError> {
    settings(flags).map(|settings| match settings {
        Settings::Ping(config) => *config,
        Settings::Session(_) => panic!("a session worker"),
    })
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

// Covers: R50, R93
#[test]
fn defaults_are_those_of_the_documents() {
    let config = parse(&["--token", &token()]).unwrap();
    assert_eq!(config.nodes, ["127.0.0.1:50052"]);
    assert_eq!(
        config.capacity,
        CapacityRules {
            configured: None,
            endpoints_per_core: 50_000,
            memory_per_endpoint_bytes: 16_384,
            sip: SipRule::Measured
        }
    );
    assert_eq!(config.http_addr, Some("127.0.0.1:3030".parse().unwrap()));
    assert_eq!(config.drain_deadline, Duration::from_secs(60));
    assert_eq!(config.health, HealthConfig::default());
}

#[test]
fn a_flag_wins_over_the_file() {
    let text = format!(
        "token = \"{}\"\nnodes = [\"a:1\", \"b:2\"]\ncapacity = 5\ndrain_deadline = \"2m\"\n\
         endpoints_per_core = 9\nsip_capacity = 3\nmemory_per_endpoint = \"2MiB\"\ndisk_path = \"/tmp\"\nhealth_interval = \"1s\"",
        token()
    );
    let file = file(&text);
    let path = file.path().to_str().unwrap();
    let config = parse(&["--config", path, "--capacity", "7", "--http-addr", "off"]).unwrap();
    assert_eq!((config.nodes.len(), config.http_addr), (2, None));
    assert_eq!(
        config.capacity,
        CapacityRules {
            configured: Some(7),
            endpoints_per_core: 9,
            memory_per_endpoint_bytes: 2 << 20,
            sip: SipRule::Given(3)
        }
    );
    assert_eq!(config.drain_deadline, Duration::from_secs(120));
    assert_eq!(
        config.health,
        HealthConfig {
            disk_path: "/tmp".into(),
            interval: Duration::from_secs(1)
        }
    );
    let config = parse(&["--config", path, "--nodes", "c:3,d:4", "--disk-path", "/"]).unwrap();
    assert_eq!(config.nodes, ["c:3", "d:4"]);
    assert_eq!(config.health.disk_path, PathBuf::from("/"));
}

// Covers: R343, R344, R347
#[test]
fn a_ping_worker_says_who_it_is_by_flags_or_file() {
    let flags = [
        "--ping",
        "--api-key",
        &key(),
        "--name",
        "p1",
        "--region",
        "eu",
        "--label",
        "a=b",
        "--label",
        "c=",
        "--worker-version",
        "2.0",
        "--ip-address",
        "10.0.0.1",
        "--function-block",
        "x/y:1.2.3",
        "--function-block",
        "x/z:0.0.1",
        "--nodes",
        "a:1",
    ];
    let config = parse_ping(&flags).unwrap();
    assert_eq!(
        (
            config.name.as_str(),
            config.region.as_str(),
            config.version.as_str()
        ),
        ("p1", "eu", "2.0")
    );
    assert_eq!(config.function_blocks, ["x/y:1.2.3", "x/z:0.0.1"]);
    assert_eq!(config.labels["a"], "b");
    assert_eq!(config.ip_address, "10.0.0.1");
    assert_eq!(
        parse_ping(&["--ping", "--api-key", &key(), "--capacity", "5"])
            .unwrap_err()
            .to_string(),
        "capacity: is for workers with a session: no endpoints are placed on one that pings"
    );

    let text = format!(
        "ping = true\napi_key = \"{}\"\nname = \"p2\"\nfunction_blocks = [\"x/y:1.2.3\"]\n[labels]\nzone = \"z\"",
        key()
    );
    let file = file(&text);
    let config = parse_ping(&["--config", file.path().to_str().unwrap()]).unwrap();
    assert_eq!(
        (config.name.as_str(), config.labels["zone"].as_str()),
        ("p2", "z")
    );
    assert_eq!(config.version, env!("CARGO_PKG_VERSION"));
}

#[test]
fn errors_name_the_field_and_the_rule() {
    let token = token();
    let refused = |flags: &[&str]| {
        let flags: Vec<_> = ["--token", token.as_str()].iter().chain(flags).copied().collect();
        parse(&flags).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&["--nodes", "a"]),
        "nodes: each must be host:port, \"a\" is not"
    );
    assert_eq!(
        refused(&["--nodes", "http://a:1"]),
        "nodes: each must be host:port, \"http://a:1\" is not"
    );
    assert_eq!(
        refused(&["--capacity", "0"]),
        "capacity: must be between 1 and 10000000 endpoints, is 0"
    );
    assert_eq!(
        refused(&["--sip-capacity", "0"]),
        "sip_capacity: must be between 1 and 10000000 endpoints, is 0"
    );
    assert_eq!(
        refused(&["--endpoints-per-core", "0"]),
        "endpoints_per_core: must be between 1 and 10000000 endpoints, is 0"
    );
    assert_eq!(
        refused(&["--memory-per-endpoint", "0"]),
        "memory_per_endpoint: must be at least 1 byte"
    );
    assert_eq!(
        refused(&["--memory-per-endpoint", "2kB"]),
        "memory_per_endpoint: must be a size like 16KiB or 1MiB, is \"2kB\""
    );
    assert!(
        refused(&["--memory-per-endpoint", "99999999999GiB"]).starts_with("memory_per_endpoint: must be")
    );
    assert!(refused(&["--disk-path", "/nowhere"]).starts_with("disk_path: cannot look at /nowhere: "));
    assert!(refused(&["--health-interval", "1ms"]).starts_with("health_interval: must be between"));
    assert!(refused(&["--http-addr", "here"]).starts_with("http_addr: must be an address like"));
    assert!(refused(&["--drain-deadline", "soon"]).starts_with("drain_deadline: must be a time like"));
    assert!(
        refused(&["--sip-ca", "/nowhere"]).starts_with("sip_ca: /nowhere cannot be read as certificates: ")
    );
    assert!(refused(&["--config", "/nowhere"]).starts_with("config: cannot read /nowhere: "));
    assert_eq!(
        refused(&["--name", "x"]),
        "name: only with --ping; a session worker has it from its registration"
    );
    let none = parse(&[]).unwrap_err().to_string();
    assert!(none.starts_with("token: must be given"), "{none}");
}

#[test]
fn errors_of_ping_mode_name_the_field_and_the_rule() {
    let key = key();
    let refused = |flags: &[&str]| {
        let flags: Vec<_> = ["--ping"].iter().chain(flags).copied().collect();
        parse_ping(&flags).unwrap_err().to_string()
    };
    assert!(refused(&[]).starts_with("api_key: must be given in ping mode"));
    assert!(refused(&["--api-key", &token()]).starts_with("api_key: must be cmk_"));
    assert_eq!(
        refused(&["--api-key", &key, "--label", "x"]),
        "labels: each must be key=value, \"x\" is not"
    );
    assert!(
        refused(&["--api-key", &key, "--sip-ca", "x"]).starts_with("sip_ca: is for workers with a session")
    );
    assert!(refused(&["--api-key", &key, "--function-block", "x"]).starts_with("function_blocks: each must"));
}

// Covers: R83, R90
#[test]
fn no_error_shows_a_secret() {
    let (bad, bad_key) = (token().replace('b', "x"), key().replace('d', "x"));
    let flag = parse(&["--token", &bad]).unwrap_err().to_string();
    let key_flag = parse_ping(&["--ping", "--api-key", &bad_key])
        .unwrap_err()
        .to_string();
    let file = file(&format!(
        "capacity = 1\ntoken = [\"{bad}\"]\napi_key = \"{bad_key}\"\n"
    ));
    let malformed = parse(&["--config", file.path().to_str().unwrap()])
        .unwrap_err()
        .to_string();
    assert!(malformed.contains("line 2: invalid type"), "{malformed}");
    let arguments = ["w", "--token", &bad, "--api-key", &bad_key];
    let debug = format!("{:?}", Program::try_parse_from(arguments).unwrap().worker);
    let good = format!("{:?}", settings(&["--token", &token()]).unwrap());
    let good_ping = format!("{:?}", settings(&["--ping", "--api-key", &key()]).unwrap());
    for text in [flag, key_flag, malformed, debug, good, good_ping] {
        for secret in [bad.as_str(), bad_key.as_str(), &token(), &key()] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

// Covers: R100
#[test]
fn the_help_names_every_setting_and_how_the_process_ends() {
    let help = Program::command().render_help().to_string();
    for flag in [
        "--token",
        "--node",
        "--capacity",
        "--endpoints-per-core",
        "--memory-per-endpoint",
        "--disk-path",
        "--health-interval",
        "--http-addr",
        "--drain-deadline",
        "--sip-ca",
        "--config",
        "--ping",
        "--api-key",
        "--name",
        "--region",
        "--label",
        "--worker-version",
        "--ip-address",
        "--function-block",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
    assert!(AFTER_HELP.contains("Exit codes"));
}
