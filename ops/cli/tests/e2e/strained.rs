//! Real calls on a worker that lacks something: time on a processor, file descriptors, its life. SIPp answers them. Needs
//! `ops/bootstrap sip`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::*;
use crate::process::{pass, until, until_listened_at};

const CALLS: u64 = 10;

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// What a worker tells Prometheus.
fn told(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// SIPp's own callee, which sends back what it hears. It ends with the test.
struct Callee {
    process: Child,
    port: u16,
}

impl Callee {
    fn start() -> Self {
        // RTP is even, and what is above it must be free too.
        let (port, media) = (free_port(), free_port() & !1);
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
        until_listened_at(port);
        Self { process, port }
    }
}

impl Drop for Callee {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A cluster whose workers call SIPp: so many calls of so many seconds. And where the last worker tells its metrics.
fn given(callee: &Callee, workers: &[&str], calls: u64, seconds: u32) -> (Cluster, String) {
    let mut cluster = Cluster::start_with(1, 0, &[("REEVE_CLUSTER_SECRET", SECRET)]);
    let mut metrics = String::new();
    for name in workers {
        cluster.create_worker(name);
        let env = [
            ("REEVE_WORKER_TOKEN", cluster.token(name).to_owned()),
            ("REEVE_NODES", cluster.addresses()),
        ];
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = free.local_addr().unwrap().to_string();
        drop(free);
        let worker = cluster.spawn_worker_with(name, &["--http-addr", &http], &env);
        cluster.adopt_worker(name, worker);
        cluster.until_worker(name, "ONLINE");
        metrics = http;
    }
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
    (cluster, metrics)
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
fn a_worker_without_time_says_so_and_gives_no_quality_of_seconds_in_which_it_was_late() {
    let callee = Callee::start();
    let (mut cluster, metrics) = given(&callee, &["w1"], CALLS, 12);
    let id = cluster.start_run("call");
    cluster.until_phase(&id, "INCALL", CALLS);
    // It counts that as a processor that is used up: what turns a worker ERROR. Others may use up the machine's meanwhile, so the status
    // itself would show nothing here.
    until("the generator is at its limit", SOON, || {
        let process = cluster.worker_process("w1");
        process.signal(Signal::SIGSTOP);
        pass(Duration::from_millis(150));
        process.signal(Signal::SIGCONT);
        pass(Duration::from_millis(50));
        let told = told(&metrics);
        let says = |line: &str| told.lines().any(|said| said == line);
        (says("reeve_worker_media_load_ratio 1")
            && says("reeve_worker_resource_used_ratio{resource=\"CPU\"} 1"))
        .then_some(())
    });

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
    let (mut cluster, _) = given(&callee, &["w1"], MANY, 4);
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

/// Covers: R22, R73, R109
#[test]
fn the_calls_of_a_killed_worker_end_in_oserror_once_and_no_other_call_notices() {
    // A worker gets at least 50 of a group.
    const BOTH: u64 = 120;
    let callee = Callee::start();
    let (mut cluster, _) = given(&callee, &["w1", "w2"], BOTH, 15);
    let id = cluster.start_run("call");
    cluster.until_phase(&id, "INCALL", BOTH);
    let held = |worker: &str| {
        let run = cluster.run(&id);
        let of = |part: &&Value| part["workerName"] == worker;
        let parts = run["assignments"].as_array().unwrap().iter().filter(of);
        parts.map(|part| part["endpoints"].as_u64().unwrap()).sum::<u64>()
    };
    let lost = held("w1");
    assert!(lost > 0 && lost < BOTH, "both have calls: {lost}");
    cluster.kill_worker("w1");
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(run["status"], "COMPLETED", "{run:#}");
    assert_accounted(&run, BOTH);
    let ends = &run["endpoints"]["byOutcome"];
    let count = |name: &str| ends[name].as_u64().unwrap_or(0);
    assert_eq!(count("OSERROR"), lost, "{run:#}");
    assert_eq!(
        count("SUCCESS") + count("COMPLETED_WITH_WARNINGS"),
        BOTH - lost,
        "{run:#}"
    );
}
