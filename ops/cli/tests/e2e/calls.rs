//! Real calls: Kamailio as registrar and proxy, SIP endpoints of a real worker. Needs `ops/bootstrap sip`.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::cluster::*;
use crate::process::{until, until_listened_at};

/// The registrar of the demo; it ends with the test.
struct Kamailio {
    process: Child,
    port: u16,
}

impl Kamailio {
    fn start(dir: &Path) -> Self {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/sip/kamailio.cfg");
        let text = std::fs::read_to_string(template).unwrap();
        let text = text
            .replace("@PORT@", &port.to_string())
            .replace("@DOMAIN@", "lab.example")
            .replace("@PASSWORD@", "call-me");
        write(&dir.join("kamailio.cfg"), &text);
        std::fs::create_dir_all(dir.join("kamailio")).unwrap();
        let mut command = Command::new("kamailio");
        command.args(["-DD", "-E", "-m", "64", "-M", "8", "-f"]);
        command
            .arg(dir.join("kamailio.cfg"))
            .arg("-Y")
            .arg(dir.join("kamailio"));
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process.expect("Kamailio is not installed: ops/bootstrap sip");
        until_listened_at(port);
        Self { process, port }
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its children end with it, if it is asked.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// Covers: R1, R33, R35, R139, R153, R154, R157
#[test]
fn calls_go_on_to_their_end_while_their_worker_drains() {
    let cluster = Cluster::start_with(1, 1, &[("REEVE_CLUSTER_SECRET", SECRET)]);
    let dir = cluster.dir.path().to_owned();
    let kamailio = Kamailio::start(&dir);
    let port = kamailio.port.to_string();
    cluster.json(&[
        "registrar",
        "apply",
        "lab",
        "--domain",
        "lab.example",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
    ]);
    write(&dir.join("accounts.csv"), "anna,call-me,\nberta,call-me,\n");
    cluster.json(&["account", "apply", "phones", "-f", "accounts.csv"]);
    let sip = "sip: {registrar: lab, accounts: phones}";
    cluster.apply(&format!(
        "name: call\nduration: 6s\ngroups:\n\
         - {{name: callers, endpoints: 1, executor: sip, callee: {{group: receivers}}, {sip}}}\n\
         - {{name: receivers, endpoints: 1, executor: sip, {sip}}}\n"
    ));
    let id = cluster.start_run("call");
    cluster.until_phase(&id, "INCALL", 2);
    let mut drain = cluster.spawn_reeve("drain", &["worker", "drain", "w1"]);
    cluster.until_worker("w1", "DRAINING");
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_accounted(&run, 2);
    // A machine that is slow for a moment makes warnings of it; whatever else is wrong is not the drain's doing either.
    let ends = &run["endpoints"]["byOutcome"];
    let well = ["SUCCESS", "COMPLETED_WITH_WARNINGS"]
        .iter()
        .filter_map(|name| ends[*name].as_u64());
    assert_eq!(well.sum::<u64>(), 2, "{run:#}");
    assert_eq!(drain.exit_code(SOON), 0, "{}", drain.printed());

    let metrics = until("the summary", SOON, || {
        let metrics = cluster.json(&["run", "metrics", &id]);
        (metrics["summarised"] == true).then_some(metrics)
    });
    assert_eq!(metrics["responses"]["REGISTER 200"], 2, "{metrics:#}");
    assert_eq!(
        metrics["responses"]["INVITE 200"], 1,
        "a call counts where it is made: {metrics:#}"
    );
    let groups = metrics["groups"].as_array().unwrap();
    let of = |group: usize, name: &str| groups[group]["responses"][name].as_u64();
    assert_eq!(
        (of(0, "INVITE 200"), of(1, "INVITE 200")),
        (Some(1), None),
        "{metrics:#}"
    );
    assert_eq!((of(0, "REGISTER 200"), of(1, "REGISTER 200")), (Some(1), Some(1)));
    assert_eq!(
        groups[0]["metrics"]["pdd_ms"], metrics["metrics"]["pdd_ms"],
        "callers have it"
    );
    assert_eq!(groups[1]["metrics"].get("pdd_ms"), None, "receivers do not");
    let callers = cluster.reeve(&["run", "metrics", &id, "--group", "callers", "-o", "table"]);
    assert!(
        callers.stdout.contains("group callers") && callers.stdout.contains("INVITE 200: 1"),
        "{}",
        callers.stdout
    );
    let metrics = metrics["metrics"].clone();
    assert_eq!(metrics["asr"]["mean"], 100.0, "{metrics:#}");
    assert!(metrics["mos"]["mean"].as_f64().unwrap() > 4.0, "{metrics:#}");
    let pdd = metrics["pdd_ms"]["mean"].as_f64().unwrap();
    assert!(pdd > 0.0 && pdd < metrics["call_setup_time_ms"]["mean"].as_f64().unwrap());
    let ladder = cluster.reeve(&["run", "trace", &id, "--group", "callers", "--endpoint", "0"]);
    for message in [
        "REGISTER sip:lab.example",
        "401",
        "407",
        "180",
        "ACK sip:",
        "BYE sip:",
    ] {
        assert!(
            ladder.stdout.contains(message),
            "{message} is not in {}",
            ladder.stdout
        );
    }
}
