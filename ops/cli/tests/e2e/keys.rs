//! Keys of callers: who has none is told how to get one, who has one may do what its role allows, until it is revoked.

use reeve_proto::bearer::Bearer;
use reeve_proto::v1::WatchRequest;
use reeve_proto::v1::watch_client::WatchClient;
use serde_json::Value;
use tonic::transport::Endpoint;

use crate::cluster::*;
use crate::http::{http, http_as};
use crate::process::{ADMIN_KEY, until};

/// Arguments of `reeve`.
type Command = &'static [&'static str];

impl Cluster {
    /// A new key of this role, named after it.
    fn key(&self, role: &str) -> String {
        let created = self.json(&["key", "create", "--name", role, "--role", role]);
        created["secret"].as_str().unwrap().to_owned()
    }

    /// Runs `reeve ARGS` with the key, which must be refused with this reason in a line and what to do in another.
    fn assert_refused(&self, key: Option<&str>, addresses: &str, args: &[&str], reason: &str, advice: &str) {
        let ran = self.reeve_as(key, addresses, args);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (1, ""),
            "{args:?}: {}",
            ran.stderr
        );
        let lines: Vec<_> = ran.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{args:?}: {}", ran.stderr);
        assert!(lines[0].contains(reason), "{args:?}: {}", ran.stderr);
        assert!(lines[1].contains(advice), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn without_a_key_every_command_is_refused_with_what_to_do_about_it() {
    let cluster = Cluster::start(1, 1);
    let file = cluster.dir.path().join("smoke.yaml");
    write(&file, &definition("smoke", 1, 1));
    let id = "01939b4e-0000-7000-8000-000000000000";
    let apply = format!("test apply -f {}", file.display());
    let add = "cluster add --id 9 --name n9 --raft-addr 127.0.0.1:1 --grpc-addr 127.0.0.1:2 --http-addr 127.0.0.1:3";
    let with_id = [
        "run get",
        "run watch",
        "run stop",
        "run wait",
        "worker get",
        "worker history",
        "worker drain",
        "worker undrain",
        "worker token regenerate",
        "worker delete",
        "worker wait --for online",
        "key revoke",
        "test get",
        "test delete",
        "run start",
    ]
    .map(|command| format!("{command} {id}"));
    let whole = [
        apply.as_str(),
        add,
        "test list",
        "run list",
        "worker create --name w --region r",
        "worker list",
        "worker cleanup --all-offline",
        "key list",
        "key whoami",
        "key create --name k --role admin",
        "cluster members",
        "cluster remove 1",
        "cluster transfer-leader",
        "cluster status",
        "status",
    ];
    for command in whole.into_iter().chain(with_id.iter().map(String::as_str)) {
        let args: Vec<_> = command.split(' ').collect();
        cluster.assert_refused(None, &cluster.addresses(), &args, "KEY_MISSING", "REEVE_API_KEY");
    }
    let unknown = "cmk_ffffffffffffffffffffffffffffffff";
    let list = ["worker", "list"];
    cluster.assert_refused(
        Some(unknown),
        &cluster.addresses(),
        &list,
        "KEY_REJECTED",
        "reeve key create",
    );
    let garbage = cluster.reeve_as(Some("secret"), &cluster.addresses(), &list);
    assert_eq!(garbage.code, 1);
    assert!(!garbage.stderr.contains("secret"), "{}", garbage.stderr);
    let (code, body) = http_as(None, &cluster.http(0), "GET", "/workers", "");
    assert!(code == 401 && body.contains("KEY_MISSING"), "{body}");
    assert_eq!(cluster.json(&["test", "list"])["items"], Value::Array(vec![]));
    assert_eq!(cluster.worker("w1")["status"], "ONLINE");
    cluster.assert_never_printed(&[unknown]);
}

#[test]
fn a_key_may_do_what_its_role_allows() {
    let cluster = Cluster::start(3, 1);
    cluster.apply(&definition("smoke", 5, 1));
    let [viewer, operator, worker] = ["viewer", "operator", "worker"].map(|role| cluster.key(role));
    let read: Command = &["worker", "list"];
    let operate: Command = &["run", "start", "smoke"];
    let administer: Command = &["key", "create", "--name", "more", "--role", "viewer"];
    let nodes: Command = &["cluster", "transfer-leader"];
    let rows = [
        (&viewer, vec![read], vec![operate, administer, nodes]),
        (&operator, vec![read, operate], vec![administer, nodes]),
        (&worker, vec![], vec![read, operate, administer, nodes]),
    ];
    for node in 0..3 {
        let at = cluster.grpc(node);
        for (key, may, may_not) in &rows {
            for args in may {
                let ran = cluster.reeve_as(Some(key), &at, args);
                assert_eq!(ran.code, 0, "{args:?}: {}", ran.stderr);
            }
            for args in may_not {
                cluster.assert_refused(Some(key), &at, args, "ROLE_TOO_LOW", "reeve key whoami");
            }
        }
    }
    assert_eq!(
        cluster.json(&["key", "list"])["items"].as_array().unwrap().len(),
        4
    );
    let whoami = cluster.reeve_as(
        Some(&viewer),
        &cluster.addresses(),
        &["-o", "json", "key", "whoami"],
    );
    let whoami: Value = serde_json::from_str(&whoami.stdout).unwrap();
    assert_eq!(
        (&whoami["name"], &whoami["role"]),
        (&"viewer".into(), &"VIEWER".into())
    );
    cluster.assert_never_printed(&[&viewer, &operator, &worker, ADMIN_KEY]);
}

#[test]
fn a_key_that_is_revoked_is_refused_on_every_node_and_its_streams_end() {
    let cluster = Cluster::start(3, 1);
    cluster.apply(&definition("long", 5, 600));
    let key = cluster.key("viewer");
    let run = cluster.start_run("long");
    let mut watches = cluster.spawn_reeve_as(&key, "watch", &["run", "watch", &run]);
    let lists = cluster.spawn_reeve_as(&key, "lists", &["worker", "list", "--watch"]);
    let streams: Vec<_> = (0..3).map(|node| Stream::of(&key, &cluster.grpc(node))).collect();
    until("the list shows the worker", SOON, || {
        lists.printed().contains("w1").then_some(())
    });
    until("the run is followed", SOON, || {
        watches.printed().contains("RUNNING").then_some(())
    });

    cluster.json(&["key", "revoke", "viewer"]);
    for node in 0..3 {
        let at = cluster.grpc(node);
        for args in [
            &["worker", "list"][..],
            &["run", "list", "--local"],
            &["key", "whoami"],
        ] {
            cluster.assert_refused(Some(&key), &at, args, "KEY_REJECTED", "revoked");
        }
        let (code, body) = http_as(Some(&key), &cluster.http(node), "GET", "/runs", "");
        assert!(code == 401 && body.contains("KEY_REJECTED"), "{body}");
    }
    for stream in streams {
        let said = stream.end();
        assert!(said.contains("revoked"), "{said}");
    }
    assert_eq!(watches.exit_code(SOON), 1, "{}", watches.printed());
    assert!(
        watches.printed().contains("KEY_REJECTED"),
        "{}",
        watches.printed()
    );
    let mut lists = lists;
    assert_eq!(lists.exit_code(SOON), 1, "{}", lists.printed());
    cluster.assert_never_printed(&[&key]);
}

/// A Watch call that stands.
struct Stream {
    end: std::sync::mpsc::Receiver<String>,
}

impl Stream {
    fn of(key: &str, address: &str) -> Self {
        let (ended, end) = std::sync::mpsc::channel();
        let (stands, begun) = std::sync::mpsc::channel();
        let bearer = Bearer::new(key).unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut client = WatchClient::new(bearer.on(endpoint.connect().await.unwrap()));
                let watch = client.watch(WatchRequest::default()).await;
                let mut stream = watch.unwrap().into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(_)) => drop(stands.send(())),
                        Ok(None) => break drop(ended.send("ended without a word".to_owned())),
                        Err(status) => break drop(ended.send(status.to_string())),
                    }
                }
            });
        });
        begun.recv_timeout(SOON).expect("the node takes the watch");
        Self { end }
    }

    /// What it was told at its end.
    fn end(self) -> String {
        self.end.recv_timeout(SOON).expect("the stream ends")
    }
}

#[test]
fn the_first_key_is_made_once_and_without_a_key() {
    // More is logged than usual.
    let cluster = Cluster::without_key(3, &[("RUST_LOG", "debug")]);
    let bootstrap =
        |node: usize| cluster.reeve_as(None, &cluster.grpc(node), &["-o", "name", "key", "bootstrap"]);
    until("the node has a leader", SOON, || {
        let listens = std::net::TcpStream::connect(cluster.http(0)).is_ok();
        (listens && http(&cluster.http(0), "GET", "/readyz", "").0 == 200).then_some(())
    });
    let first = bootstrap(0);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let first = first.stdout.trim();
    assert!(first.starts_with("cmk_") && first.len() == 36, "its form");
    for node in 0..3 {
        let at = cluster.grpc(node);
        let again = bootstrap(node);
        assert_eq!((again.code, again.stdout.as_str()), (1, ""), "{}", again.stderr);
        assert!(again.stderr.contains("KEYS_EXIST"), "{}", again.stderr);
        let mine = cluster.reeve_as(Some(first), &at, &["-o", "json", "key", "list"]);
        assert_eq!(mine.code, 0, "{}", mine.stderr);
        let list: Value = serde_json::from_str(&mine.stdout).unwrap();
        assert_eq!(list["items"][0]["role"], "ADMIN", "{list:#}");
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
    }
    // Whoever made the secret up gets the same key again: an answer that was lost locks nobody out.
    let repeated = http(
        &cluster.http(1),
        "POST",
        "/keys/bootstrap",
        &format!(r#"{{"secret":"{first}"}}"#),
    );
    assert_eq!(repeated.0, 201, "{}", repeated.1);
    cluster.assert_never_printed(&[first]);
}
