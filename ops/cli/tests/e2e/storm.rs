//! A minute of deaths: leaders and workers are killed at random while fifty runs a second are submitted. Afterwards every submitted run is
//! there exactly once, over, and accounted for to the last endpoint, on every node.

#![allow(
    clippy::print_stdout,
    reason = "the seed, and what happened, for whoever reads why it failed"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::{Consistency, EndpointPhase, ListRunsRequest, Run, RunStatus, StartRunRequest};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tonic::{Code, Request};

use crate::cluster::*;
use crate::process::{connect, until};

/// How long the deaths go on.
const STORM: Duration = Duration::from_secs(60);
/// One submission in this time: fifty a second.
const EVERY: Duration = Duration::from_millis(20);
const WORKERS: usize = 4;
/// How long a submission may be repeated until it is answered.
const ANSWERED: Duration = Duration::from_secs(60);
/// Endpoints of the tests, by name.
const SIZES: [(&str, u32); 3] = [("storm-1", 1), ("storm-7", 7), ("storm-40", 40)];

// Covers: R113, R119, R152, R168, R199, R205, R216
#[test]
fn nothing_is_lost_and_nothing_is_told_twice_in_a_minute_of_deaths() {
    let mut cluster = Cluster::start(3, WORKERS);
    for (name, endpoints) in SIZES {
        cluster.apply(&definition(name, endpoints, 1));
    }
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let mut dice = Dice(u64::try_from(seed).unwrap() | 1);
    println!("seed {seed}");
    let load = Load::begin(&cluster);
    let end = Instant::now() + STORM;
    let mut deaths = 0;
    while Instant::now() < end {
        if dice.below(2) == 0 {
            kill_the_leader(&mut cluster);
        } else {
            kill_a_worker(&mut cluster, dice.below(WORKERS as u64) + 1, dice.below(2) == 0);
        }
        deaths += 1;
    }
    let submitted = load.end();
    println!(
        "{} runs were submitted, {deaths} times something died",
        submitted.len()
    );
    assert!(deaths >= 10, "{deaths} deaths");
    assert!(
        submitted.len() as u128 >= STORM.as_millis() / EVERY.as_millis() / 2,
        "the load was too small to show anything: {} runs",
        submitted.len()
    );
    settled(&cluster);
    let nodes: Vec<BTreeMap<String, Run>> = (0..3).map(|node| runs_of(&cluster, node)).collect();
    exactly_what_was_submitted(&submitted, &nodes[0]);
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    for run in nodes[0].values() {
        accounted(run);
        *ends.entry(run.status().as_str_name()).or_default() += 1;
    }
    println!("{ends:?}");
    for (node, runs) in nodes.iter().enumerate() {
        assert_eq!(*runs, nodes[0], "n{} tells the same as n1", node + 1);
    }
    cluster.until_all_agree();
}

fn kill_the_leader(cluster: &mut Cluster) {
    let leader = cluster.leader();
    cluster.kill_node(leader);
    // The others elect one while it is dead.
    cluster.leader();
    cluster.start_node(leader);
}

/// Some come back before they are given up, some after.
fn kill_a_worker(cluster: &mut Cluster, number: u64, late: bool) {
    let name = format!("w{number}");
    cluster.kill_worker(&name);
    if late {
        cluster.until_worker(&name, "OFFLINE");
    }
    cluster.start_worker(&name);
    cluster.until_worker(&name, "ONLINE");
}

/// Every run is over, and every worker has let go of everything.
fn settled(cluster: &Cluster) {
    until("every run is over", Duration::from_secs(120), || {
        let open = ["PENDING", "QUEUED", "RUNNING"].iter().any(|status| {
            let listed = cluster.json(&["run", "list", "--status", status]);
            !listed["items"].as_array().unwrap().is_empty()
        });
        (!open).then_some(())
    });
    until("every worker has let go", SOON, || {
        (1..=WORKERS)
            .all(|worker| cluster.worker(&format!("w{worker}"))["capacity"]["reserved"] == 0)
            .then_some(())
    });
    cluster.until_all_agree();
}

/// Each request made one run, and there is no run that nobody asked for.
fn exactly_what_was_submitted(submitted: &BTreeMap<String, String>, runs: &BTreeMap<String, Run>) {
    let mut ids: Vec<&String> = submitted.values().collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), submitted.len(), "two requests got the same run");
    let lost: Vec<_> = ids.iter().filter(|id| !runs.contains_key(**id)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let more: Vec<_> = runs.keys().filter(|id| ids.binary_search(id).is_err()).collect();
    assert!(more.is_empty(), "nobody asked for {more:?}");
}

/// Over, and each of its endpoints counted once.
fn accounted(run: &Run) {
    let size: u32 = run
        .definition
        .iter()
        .flat_map(|definition| &definition.groups)
        .map(|group| group.endpoints)
        .sum();
    let counts = run.endpoints.clone().unwrap_or_default();
    let closed = counts
        .by_phase
        .iter()
        .filter(|count| count.phase() == EndpointPhase::Closed);
    let (phases, closed): (u32, u32) = (
        counts.by_phase.iter().map(|count| count.count).sum(),
        closed.map(|count| count.count).sum(),
    );
    let outcomes: u32 = counts.by_outcome.iter().map(|count| count.count).sum();
    match run.status() {
        RunStatus::Completed | RunStatus::Failed => {
            assert_eq!((phases, closed, outcomes), (size, size, size), "{run:#?}");
        }
        RunStatus::CannotRunForNow => assert_eq!((closed, outcomes), (0, 0), "{run:#?}"),
        RunStatus::Unspecified | RunStatus::Pending | RunStatus::Queued | RunStatus::Running => {
            panic!("not over: {run:#?}")
        }
    }
}

/// What a node holds by itself.
fn runs_of(cluster: &Cluster, node: usize) -> BTreeMap<String, Run> {
    let address = cluster.grpc(node);
    let runtime = runtime();
    runtime.block_on(async {
        let connection = connect(&address).await.expect("the node is up");
        let mut client = RunsClient::new(connection).max_decoding_message_size(usize::MAX);
        let mut runs = BTreeMap::new();
        let mut page_token = String::new();
        loop {
            let request = ListRunsRequest {
                page_size: 500,
                page_token,
                consistency: Consistency::Local.into(),
                ..ListRunsRequest::default()
            };
            let page = client.list_runs(request).await.unwrap().into_inner();
            runs.extend(page.runs.into_iter().map(|run| (run.id.clone(), run)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return runs;
            }
        }
    })
}

/// The submitters: a run every 20 ms, each repeated under its request id, at any node, until it is answered.
struct Load {
    stop: Arc<AtomicBool>,
    submitted: Arc<Mutex<BTreeMap<String, String>>>,
    thread: JoinHandle<()>,
}

impl Load {
    fn begin(cluster: &Cluster) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let submitted = Arc::<Mutex<BTreeMap<String, String>>>::default();
        let nodes: Vec<String> = (0..3).map(|node| cluster.grpc(node)).collect();
        let (stopped, noted) = (Arc::clone(&stop), Arc::clone(&submitted));
        let thread = std::thread::spawn(move || runtime().block_on(submit_until(&stopped, nodes, noted)));
        Self {
            stop,
            submitted,
            thread,
        }
    }

    /// Runs by request id, once every submission is answered.
    fn end(self) -> BTreeMap<String, String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("every submission was answered");
        let submitted = self.submitted.lock().unwrap();
        submitted.clone()
    }
}

async fn submit_until(
    stop: &AtomicBool,
    nodes: Vec<String>,
    submitted: Arc<Mutex<BTreeMap<String, String>>>,
) {
    let nodes = Arc::new(nodes);
    let mut ticks = interval(EVERY);
    let mut under_way = JoinSet::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let (nodes, submitted) = (Arc::clone(&nodes), Arc::clone(&submitted));
        under_way.spawn(async move {
            let request_id = format!("storm-{number}");
            let id = timeout(ANSWERED, submit(&nodes, number, &request_id))
                .await
                .expect("the submission is answered");
            submitted.lock().unwrap().insert(request_id, id);
        });
        number += 1;
        while let Some(done) = under_way.try_join_next() {
            done.unwrap();
        }
    }
    while let Some(done) = under_way.join_next().await {
        done.unwrap();
    }
}

async fn submit(nodes: &[String], number: usize, request_id: &str) -> String {
    let mut retries = interval(Duration::from_millis(200));
    for node in (number..).map(|at| &nodes[at % nodes.len()]) {
        retries.tick().await;
        let Some(connection) = connect(node).await else {
            continue;
        };
        let mut request = Request::new(StartRunRequest {
            test: SIZES[number % SIZES.len()].0.to_owned(),
            request_id: request_id.to_owned(),
            ..StartRunRequest::default()
        });
        request.set_timeout(Duration::from_secs(5));
        match RunsClient::new(connection).start_run(request).await {
            Ok(answer) => return answer.into_inner().run.expect("the run").id,
            Err(status) => {
                let repeat = [
                    Code::Unavailable,
                    Code::DeadlineExceeded,
                    Code::ResourceExhausted,
                    Code::Cancelled,
                    Code::Unknown,
                ];
                assert!(repeat.contains(&status.code()), "{request_id}: {status:?}");
            }
        }
    }
    unreachable!("the nodes are tried for ever")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A xorshift generator: which thing dies next.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
