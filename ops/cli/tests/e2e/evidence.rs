//! Evidence of runs: from the workers' files to what people are told, although nodes and workers die.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cluster::*;
use crate::http::{asked, http};
use crate::process::until;

/// Endpoints that are said to sound well.
fn with_quality(name: &str, endpoints: u32, duration_s: u32) -> String {
    definition(name, endpoints, duration_s).replace(
        "setup: 100ms..400ms",
        "setup: 100ms..400ms, quality: { mos: 3.8..4.4, jitter_ms: 5..20, rtt_ms: 40, fraction_lost: 0..0.02 }",
    )
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Every value of every metric of a run, as the stored files have them, sorted; read as anyone could read them.
fn stored(folders: &[PathBuf], id: &str) -> BTreeMap<String, Vec<f64>> {
    let mut found = Vec::new();
    for folder in folders {
        files(&folder.join("runs").join(id), &mut found);
    }
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for file in found
        .iter()
        .filter(|file| file.to_string_lossy().contains("metrics-"))
    {
        let mut text = String::new();
        let packed = std::fs::File::open(file).unwrap();
        flate2::read::MultiGzDecoder::new(packed)
            .read_to_string(&mut text)
            .unwrap();
        for line in text.lines() {
            let row: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
            assert_eq!(row["simulated"], true, "{line}");
            for (key, value) in row {
                if !["at", "group", "endpoint", "simulated"].contains(&key.as_str()) {
                    values.entry(key).or_default().push(value.as_f64().unwrap());
                }
            }
        }
    }
    for values in values.values_mut() {
        values.sort_by(f64::total_cmp);
    }
    values
}

/// The told figures are those of the stored values, by definitions of our own.
fn assert_figures(told: &Value, stored: &BTreeMap<String, Vec<f64>>) {
    let metrics = told["metrics"].as_object().unwrap();
    let names: Vec<&String> = metrics.keys().filter(|name| *name != "success_rate").collect();
    assert_eq!(names, stored.keys().collect::<Vec<_>>());
    for (name, values) in stored {
        let rank =
            |percent: f64| values[((values.len() as f64 * percent / 100.0).ceil() as usize).max(1) - 1];
        let expected = [
            ("count", values.len() as f64),
            ("min", values[0]),
            ("mean", values.iter().sum::<f64>() / values.len() as f64),
            ("p50", rank(50.0)),
            ("p95", rank(95.0)),
            ("p99", rank(99.0)),
            ("max", values[values.len() - 1]),
        ];
        for (figure, value) in expected {
            let told = metrics[name][figure].as_f64().unwrap();
            assert!(
                (told - value).abs() < 0.001,
                "{name} {figure}: told {told}, stored {value}"
            );
        }
    }
}

impl Cluster {
    fn until_summarised(&self, id: &str) -> Value {
        until("the run is summarised", SOON, || {
            let metrics = self.json(&["run", "metrics", id]);
            (metrics["summarised"] == true).then_some(metrics)
        })
    }

    fn until_chunks(&self, id: &str, count: u64) {
        until("chunks are stored", SOON, || {
            let metrics = self.json(&["run", "metrics", id]);
            (metrics["chunks"].as_u64().unwrap() >= count).then_some(())
        });
    }
}

// Covers: R143, R150, R152, R153, R158, R213, D14a
#[test]
fn the_figures_of_a_run_are_those_of_the_stored_files_whichever_node_has_them() {
    let cluster = Cluster::start(3, 3);
    cluster.apply(&with_quality("smoke", 150, 6));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 50);
    let live = cluster.reeve(&["-o", "jsonl", "run", "metrics", "--live", &id]);
    assert_eq!(live.code, 0, "{}", live.stderr);
    let samples: Vec<Value> = live
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let all_heard = |sample: &Value| {
        sample["assignments"] == 3 && sample["metrics"]["mos"]["count"].as_u64() >= Some(100)
    };
    assert!(samples.iter().any(all_heard), "{}", live.stdout);
    let sum = |sample: &Value| {
        sample["phases"]
            .as_object()
            .unwrap()
            .values()
            .map(|n| n.as_u64().unwrap())
            .sum::<u64>()
    };
    assert!(samples.iter().all(|sample| sum(sample) == 150), "{}", live.stdout);
    assert_eq!(
        samples.last().unwrap()["phases"]["CLOSED"],
        150,
        "the last one is of the end"
    );

    cluster.until_run(&id, &["COMPLETED"]);
    let told = cluster.until_summarised(&id);
    assert_eq!(
        (&told["complete"], &told["simulated"]),
        (&Value::Bool(true), &Value::Bool(true)),
        "{told:#}"
    );
    assert_eq!(told["gaps"].as_array().unwrap().len(), 0);
    let folders: Vec<PathBuf> = (0..3)
        .map(|node| cluster.data_dir(node).join("objects"))
        .collect();
    let values = stored(&folders, &id);
    assert_eq!(values.len(), 7, "every metric");
    assert_figures(&told, &values);
    assert_eq!(told["metrics"]["setup_time_ms"]["count"], 150);
    assert_eq!(told["metrics"]["success_rate"]["mean"], 100.0);
    assert_eq!(told["groups"][0]["outcomes"]["SUCCESS"], 150);

    let group = asked(
        &cluster.http(0),
        "GET",
        &format!("/runs/{id}/metrics?group=callers"),
        "",
        200,
    );
    assert_eq!(
        (&group["group"], &group["metrics"]),
        (&"callers".into(), &told["metrics"])
    );
    assert_eq!(
        group["groups"][0]["metrics"], told["metrics"],
        "the only group is the run"
    );
    let last = samples.last().unwrap();
    assert_eq!(last["groups"][0]["phases"], last["phases"]);

    for node in 0..3 {
        let path = format!("/runs/{id}/metrics?series=mos&step=2s&group=callers");
        let series = asked(&cluster.http(node), "GET", &path, "", 200);
        let points = series["points"].as_array().unwrap();
        assert!((3..=6).contains(&points.len()), "{series:#}");
        let count: u64 = points.iter().map(|point| point["count"].as_u64().unwrap()).sum();
        assert_eq!(count, values["mos"].len() as u64, "whichever node is asked");
        let one = asked(
            &cluster.http(node),
            "GET",
            &format!("/runs/{id}/metrics?endpoint=callers/77"),
            "",
            200,
        );
        let phases: Vec<&str> = one["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["phase"].as_str().unwrap())
            .collect();
        assert_eq!(
            phases,
            [
                "INITIALIZING",
                "REGISTERED",
                "CALLING",
                "RINGING",
                "NEGOTIATING",
                "INCALL",
                "DISCONNECTING",
                "CLOSED"
            ]
        );
        assert!(one["samples"].as_array().unwrap().len() >= 3 + 4, "{one:#}");
    }
    for (query, field) in [
        ("series=loudness", "series"),
        ("series=mos&step=10ms", "step"),
        ("series=mos&group=nobody", "group"),
        ("group=nobody", "group"),
        ("endpoint=callers/1&group=callers", "endpoint"),
        ("endpoint=callers", "endpoint"),
        ("endpoint=callers/150", "endpoint"),
        ("step=1s", "series"),
    ] {
        let (code, body) = http(
            &cluster.http(0),
            "GET",
            &format!("/runs/{id}/metrics?{query}"),
            "",
        );
        assert_eq!(code, 400, "{query}: {body}");
        assert!(
            body.contains(&format!("\"field\":\"{field}\"")),
            "{query}: {body}"
        );
    }
}

// Covers: R151, R174, R175, R178, R182, R184
#[test]
fn the_figures_are_true_although_a_worker_and_the_leader_were_killed() {
    let shared = tempfile::tempdir().unwrap();
    let url: &'static str = Box::leak(format!("file://{}", shared.path().display()).into_boxed_str());
    let mut cluster = Cluster::start_with(3, 3, &[("--object-store", url)]);
    cluster.apply(&with_quality("smoke", 150, 10));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 150);
    cluster.until_chunks(&id, 6);
    cluster.kill_worker("w1");
    let leader = cluster.leader();
    cluster.kill_node(leader);
    let run = cluster.until_run(&id, &["COMPLETED", "FAILED"]);
    assert_eq!(run["status"], "COMPLETED");
    assert_eq!(run["endpoints"]["byOutcome"]["OSERROR"], 50, "{run:#}");
    let told = cluster.until_summarised(&id);
    assert_eq!(told["complete"], false);
    let reasons: Vec<&str> = told["gaps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gap| gap["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons, ["NO_LAST_CHUNK"; 2],
        "what the killed worker had not uploaded: {told:#}"
    );
    let values = stored(&[shared.path().to_owned()], &id);
    assert_figures(&told, &values);
    assert_eq!(
        values["setup_time_ms"].len(),
        150,
        "of the killed worker's endpoints too"
    );
    assert!((66.0..67.0).contains(&told["metrics"]["success_rate"]["mean"].as_f64().unwrap()));
    let alive = (0..3).find(|node| *node != leader).unwrap();
    let workers = asked(
        &cluster.http(alive),
        "GET",
        &format!("/runs/{id}/workers"),
        "",
        200,
    );
    let killed = workers["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|worker| worker["workerName"] == "w1")
        .unwrap();
    assert_eq!(
        (&killed["endpoints"], &killed["interrupted"]),
        (&Value::from(50), &Value::from(50))
    );
    let kinds: Vec<&str> = killed["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"DISCONNECTED"), "{workers:#}");
}

// Covers: R172, R178
#[test]
fn a_failed_run_keeps_what_its_endpoints_measured() {
    let mut cluster = Cluster::start(1, 1);
    cluster.apply(&with_quality("smoke", 20, 60));
    let id = cluster.start_run("smoke");
    cluster.until_phase(&id, "INCALL", 20);
    cluster.until_chunks(&id, 2);
    let so_far = cluster.json(&["run", "metrics", &id]);
    assert_eq!(
        (&so_far["summarised"], &so_far["status"]),
        (&Value::Bool(false), &Value::from("RUNNING"))
    );
    assert_eq!(so_far["metrics"]["setup_time_ms"]["count"], 20);
    assert_eq!(so_far["gaps"][0]["reason"], "NOT_YET");
    cluster.kill_worker("w1");
    cluster.until_run(&id, &["FAILED"]);
    let told = cluster.until_summarised(&id);
    assert_eq!(told["complete"], false);
    assert_eq!(told["metrics"]["success_rate"]["mean"], 0.0);
    assert_figures(&told, &stored(&[cluster.data_dir(0).join("objects")], &id));
    let one = cluster.json(&["run", "metrics", &id, "--endpoint", "callers/7"]);
    assert_eq!(
        one["events"].as_array().unwrap().last().unwrap()["phase"],
        "INCALL"
    );
    let shown = cluster.reeve(&["run", "metrics", &id]);
    assert!(
        shown.stdout.contains("FAILED: partial, simulated") && shown.stdout.contains("NO_LAST_CHUNK"),
        "{}",
        shown.stdout
    );
}

#[test]
fn a_run_is_forgotten_with_its_files_after_its_retention() {
    let cluster = Cluster::start_with(3, 3, &[("--run-retention-s", "10")]);
    cluster.apply(&definition("smoke", 150, 1));
    let id = cluster.start_run("smoke");
    cluster.until_run(&id, &["COMPLETED"]);
    cluster.until_summarised(&id);
    until("the run is gone", SOON, || {
        (http(&cluster.http(0), "GET", &format!("/runs/{id}"), "").0 == 404).then_some(())
    });
    for path in ["metrics", "metrics?series=mos", "workers", "assignments"] {
        assert_eq!(
            http(&cluster.http(1), "GET", &format!("/runs/{id}/{path}"), "").0,
            404,
            "{path}"
        );
    }
    let mut left = Vec::new();
    for node in 0..3 {
        files(&cluster.data_dir(node).join("objects/runs").join(&id), &mut left);
    }
    assert_eq!(left, Vec::<PathBuf>::new());
    cluster.until_all_agree();
}
