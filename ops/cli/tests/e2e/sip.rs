//! What SIP endpoints need, over a whole cluster: secrets are sealed and never shown, a run has accounts of its own, media are on most nodes.

use serde_json::json;

use crate::cluster::*;
use crate::process::until;

/// One second of silence.
fn wav() -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    for word in [7_u16, 1] {
        file.extend(word.to_le_bytes());
    }
    for long in [8_000_u32, 8_000] {
        file.extend(long.to_le_bytes());
    }
    for word in [1_u16, 8] {
        file.extend(word.to_le_bytes());
    }
    file.extend(b"data");
    file.extend(8_000_u32.to_le_bytes());
    file.extend([0xff; 8_000]);
    file
}

fn definition(media: &str) -> String {
    let sip = format!("sip: {{registrar: lab, accounts: pool{media}}}");
    format!(
        "name: calls\nduration: 1s\nqueueTimeout: 0s\ngroups:\n\
         - {{name: callers, endpoints: 2, executor: sip, callee: {{group: receivers}}, {sip}}}\n\
         - {{name: receivers, endpoints: 2, executor: sip, {sip}}}\n"
    )
}

/// Covers: R120, R121, R122
#[test]
fn a_run_of_calls_is_judged_by_what_is_there_and_secrets_stay_secret() {
    let mut cluster = Cluster::start_with(2, 1, &[("REEVE_CLUSTER_SECRET", SECRET)]);
    let dir = cluster.dir.path().to_owned();
    write(&dir.join("calls.yaml"), &definition(", media: hello"));
    cluster.json(&["test", "apply", "-f", "calls.yaml"]);
    let refused = |cluster: &Cluster| {
        let ran = cluster.reeve(&["run", "start", "calls", "--wait"]);
        assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
        ran.stdout
    };
    let said = refused(&cluster);
    assert!(
        said.contains("INVALID_CONFIGURATION") && said.contains("the registrar \"lab\""),
        "{said}"
    );

    cluster.json(&[
        "registrar",
        "apply",
        "lab",
        "--domain",
        "lab.example",
        "--host",
        "127.0.0.1",
        "--port",
        "5070",
    ]);
    let said = refused(&cluster);
    assert!(said.contains("the media file \"hello\""), "{said}");

    std::fs::write(dir.join("hello.wav"), wav()).unwrap();
    let media = cluster.json(&["media", "put", "hello", "-f", "hello.wav"]);
    assert_eq!(
        (&media["duration"], &media["bytes"]),
        (&json!("1s"), &json!(8_044))
    );
    write(&dir.join("not.wav"), "no sound");
    let bad = cluster.reeve(&["media", "put", "bad", "-f", "not.wav"]);
    assert!(bad.code != 0 && bad.stderr.contains("content"), "{}", bad.stderr);

    write(
        &dir.join("accounts.csv"),
        "username,secret\n1001,s3cret-one\n1002,s3cret-two\n1003,s3cret-three\n",
    );
    let pool = cluster.json(&["account", "apply", "pool", "-f", "accounts.csv"]);
    assert_eq!(pool["accounts"], 3);
    let said = refused(&cluster);
    for part in ["ACCOUNTS_UNAVAILABLE", "needs 4 accounts", "it has 3, 3 are free"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }

    write(
        &dir.join("more.yaml"),
        "- {username: \"1004\", secret: s3cret-four, realm: lab}\n",
    );
    cluster.json(&["account", "apply", "pool", "-f", "more.yaml"]);
    let listed = cluster.reeve(&["account", "list", "pool", "-o", "json"]);
    assert!(
        listed.stdout.contains("1004") && !listed.stdout.contains("s3cret"),
        "{}",
        listed.stdout
    );

    let events = cluster.spawn_reeve(
        "pools",
        &["events", "--kind", "account_pool", "--initial", "-o", "jsonl"],
    );
    until("the pool is told", SOON, || {
        events.printed().contains("\"accounts\":4").then_some(())
    });

    // Everything is there. Nobody listens at the registrar's address, and nobody waits for what comes of that.
    let run = cluster.json(&["run", "start", "calls"]);
    let id = run["id"].as_str().unwrap().to_owned();
    cluster.until_run(&id, &["RUNNING"]);
    until("its accounts are told", SOON, || {
        events.printed().contains("\"inUse\":4").then_some(())
    });
    cluster.json(&["run", "stop", &id]);
    until("the run is over", SOON, || {
        let run = cluster.json(&["run", "get", &id]);
        let over = ["COMPLETED", "FAILED", "CANNOT_RUN_FOR_NOW"].contains(&run["status"].as_str().unwrap());
        over.then_some(run)
    });
    until("they are told to be free", SOON, || {
        let printed = events.printed();
        let last = printed.lines().rfind(|line| line.contains("\"inUse\""))?;
        last.contains("\"inUse\":0").then_some(())
    });
    let accounts = cluster.json(&["account", "list", "pool"]);
    assert!(
        accounts["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row.get("usedByRun").is_none())
    );

    // Nothing of a secret on any disk or in any log; it was in the file only.
    for node in 0..2 {
        cluster.kill_node(node);
    }
    for entry in walk(&dir) {
        let own = entry
            .extension()
            .is_some_and(|extension| extension == "csv" || extension == "yaml");
        let bytes = std::fs::read(&entry).unwrap();
        let found = bytes.windows(7).any(|window| window == b"s3cret-");
        assert!(own || !found, "{} has a secret in it", entry.display());
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn a_node_without_a_cluster_secret_says_what_to_set() {
    let cluster = Cluster::start(1, 0);
    write(&cluster.dir.path().join("accounts.csv"), "1001,s3cret\n");
    let ran = cluster.reeve(&["account", "apply", "pool", "-f", "accounts.csv"]);
    assert!(
        ran.code != 0 && ran.stderr.contains("REEVE_CLUSTER_SECRET"),
        "{}",
        ran.stderr
    );
    write(&cluster.dir.path().join("accounts.csv"), "1001\n");
    cluster.json(&["account", "apply", "pool", "-f", "accounts.csv"]);
}
