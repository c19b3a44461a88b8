//! Real calls on a worker that lacks something: time on a processor, file descriptors. SIPp answers them. Needs `ops/bootstrap sip`.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::*;
use crate::process::{pass, until};

const SECRET: &str = "e2e-cluster-secret-of-at-least-32-characters";
const CALLS: u64 = 10;

/// SIPp's own callee, which sends back what it hears. It ends with the test.
struct Callee {
    process: Child,
    port: u16,
}

impl Callee {
    fn start() -> Self {
        let free = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.local_addr().unwrap().port()
        };
        // RTP is even, and what is above it must be free too.
        let (port, media) = (free(), free() & !1);
        let process = Command::new("sipp")
            .args(["-sn", "uas", "-i", "127.0.0.1", "-p", &port.to_string()])
            .args([
                "-mi",
                "127.0.0.1",
                "-mp",
                &media.to_string(),
                "-rtp_echo",
                "-nostdin",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process.expect("SIPp is not installed: ops/bootstrap sip");
        let wanted = format!("0100007F:{port:04X} ");
        until("SIPp listens", SOON, || {
            let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
            sockets.contains(&wanted).then_some(())
        });
        Self { process, port }
    }
}

impl Drop for Callee {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A cluster whose worker calls SIPp: so many calls of so many seconds.
fn given(callee: &Callee, calls: u64, seconds: u32) -> Cluster {
    let settings = [
        ("REEVE_CLUSTER_SECRET", SECRET),
        // A machine that is busy with other tests is no reason; a generator that does not keep up counts as 100 %.
        ("--unhealthy-above-cpu-percent", "99"),
    ];
    let mut cluster = Cluster::start_with(1, 0, &settings);
    cluster.create_worker("w1");
    let env = [
        ("REEVE_WORKER_TOKEN", cluster.token("w1").to_owned()),
        ("REEVE_NODES", cluster.addresses()),
    ];
    let worker = cluster.spawn_worker_with("w1", &["--health-interval", "200ms"], &env);
    cluster.adopt_worker("w1", worker);
    cluster.until_worker("w1", "ONLINE");
    let port = callee.port.to_string();
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
    let accounts: String = (0..calls).map(|number| format!("user{number:03},,\n")).collect();
    write(&cluster.dir.path().join("accounts.csv"), &accounts);
    cluster.json(&["account", "apply", "phones", "-f", "accounts.csv"]);
    cluster.apply(&format!(
        "name: call\nduration: {seconds}s\ngroups:\n\
         - name: callers\n  endpoints: {calls}\n  executor: sip\n  callee: {{uri: 'sip:svc@127.0.0.1:{port}'}}\n  \
         sip: {{registrar: lab, accounts: phones, registerExpires: 0s}}\n"
    ));
    cluster
}

/// What was measured of a caller, second by second.
fn seconds(cluster: &Cluster, id: &str, caller: u64) -> Vec<Value> {
    let one = cluster.json(&["run", "metrics", id, "--endpoint", &format!("callers/{caller}")]);
    let samples = one["samples"].as_array().unwrap().iter();
    samples
        .map(|sample| sample["values"].clone())
        .filter(|values| values["packets_due"].is_number())
        .collect()
}

/// A generator that is late measures itself. Here it is held up again and again, as on a machine that has no time for it.
///
/// Covers: R93, R106
#[test]
fn a_worker_without_time_turns_error_and_gives_no_quality_of_seconds_in_which_it_was_late() {
    let callee = Callee::start();
    let mut cluster = given(&callee, CALLS, 12);
    let id = cluster.start_run("call");
    cluster.until_phase(&id, "INCALL", CALLS);
    let error = until("the worker is ERROR", SOON, || {
        let process = cluster.worker_process("w1");
        process.signal(Signal::SIGSTOP);
        pass(Duration::from_millis(150));
        process.signal(Signal::SIGCONT);
        pass(Duration::from_millis(50));
        let worker = cluster.worker("w1");
        (worker["status"] == "ERROR").then_some(worker)
    });
    assert!(error["conditions"].to_string().contains("CPU"), "{error:#}");

    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_accounted(&run, CALLS);
    assert_eq!(
        run["endpoints"]["byOutcome"]["COMPLETED_WITH_WARNINGS"], CALLS,
        "{run:#}"
    );
    until("the summary", SOON, || {
        (cluster.json(&["run", "metrics", &id])["summarised"] == true).then_some(())
    });
    let (mut late, mut good) = (0, 0);
    for caller in 0..CALLS {
        for second in seconds(&cluster, &id, caller) {
            let missed = second["packets_sent"].as_f64() < second["packets_due"].as_f64();
            let slow = second["send_lateness_ms"].as_f64() > Some(20.0);
            if !missed && !slow {
                good += u32::from(second["mos"].is_number());
                continue;
            }
            late += 1;
            for figure in [
                "mos",
                "r_factor",
                "jitter_ms",
                "rtt_ms",
                "fraction_lost",
                "packets_lost",
            ] {
                assert!(second[figure].is_null(), "{figure} of a late second: {second:#}");
            }
        }
    }
    assert!(late >= CALLS, "{late} late seconds");
    assert!(good > 0, "before and after it was well");
}

/// Each call takes two descriptors: those that get none say so, and nothing else of the worker suffers.
///
/// Covers: R164
#[test]
fn calls_without_file_descriptors_end_in_oserror_and_the_others_go_on() {
    const MANY: u64 = 40;
    let callee = Callee::start();
    let mut cluster = given(&callee, MANY, 4);
    let pid = cluster.worker_process("w1").pid();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    // Room for the SIP stack and for about half of the calls.
    let limit = format!("--nofile={0}:{0}", open + 50);
    let limited = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &limit])
        .status();
    assert!(limited.unwrap().success());
    let id = cluster.start_run("call");
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(run["status"], "COMPLETED", "{run:#}");
    assert_accounted(&run, MANY);
    let ends = &run["endpoints"]["byOutcome"];
    let count = |name: &str| ends[name].as_u64().unwrap_or(0);
    let well = count("SUCCESS") + count("COMPLETED_WITH_WARNINGS");
    assert!(well >= 10 && count("OSERROR") >= 10, "{run:#}");
    assert_eq!(well + count("OSERROR"), MANY, "{run:#}");
    let ladder = cluster.reeve(&["run", "trace", &id, "--group", "callers"]);
    assert!(ladder.stdout.contains("Too many open files"), "{}", ladder.stdout);
    assert_eq!(cluster.worker("w1")["status"], "ONLINE");
}
