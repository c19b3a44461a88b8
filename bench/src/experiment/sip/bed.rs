//! One node and one worker process, started as a user would, and the runs on them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reeve_proto::bearer::Connection;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::sip_client::SipClient;
use reeve_proto::v1::tests_client::TestsClient;
use reeve_proto::v1::workers_client::WorkersClient;
use reeve_proto::v1::{
    ApplyAccountsRequest, ApplyRegistrarRequest, ApplyTestRequest, CreateWorkerResponse, EndpointOutcome,
    EndpointPhase, GetRunMetricsRequest, GetRunRequest, GetWorkerRequest, NewSipAccount, Run, RunStatus,
    StartRunRequest, StopRunRequest, TestDefinition, Worker, WorkerStatus,
};
use reeve_testkit::{Cluster, ClusterSpec, Program, WorkerProcess, create_worker, free_addresses, until};

use super::evidence::{self, Evidence};
use super::scrape::{get, sip_capacity};
use crate::confine::{Cores, Quota};
use crate::numbers::fresh;

/// Every account's.
pub const PASSWORD: &str = "bench-password";
/// Realm of all accounts.
pub const DOMAIN: &str = "bench.example";
/// Name of the only registrar; where it is changes from case to case.
pub const REGISTRAR: &str = "bench";
/// Accounts that one call may apply.
const ACCOUNTS_A_CALL: u32 = 1_000;
/// More than any case needs; the worker itself says what its CPU allows.
const CAPACITY: u32 = 100_000;
const SOON: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
/// How long endpoints may take to hang up, and those that the worker does not close.
const STOPPED: Duration = Duration::from_secs(180);
/// How long the node may take to write a summary.
const SUMMARY: Duration = Duration::from_secs(30);

/// The node, the worker and where everything is kept.
pub struct Bed {
    cluster: Cluster,
    channel: Connection,
    created: CreateWorkerResponse,
    program: PathBuf,
    worker: Option<WorkerProcess>,
    http: String,
    /// Where everything is kept.
    pub directory: PathBuf,
    /// Who runs where.
    pub cores: Cores,
    /// The version that the node reports.
    pub version: String,
}

/// Whether a worker gets runs although its processor is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// It does: without a quota, a worker tells of the whole machine, on which others may be at work.
    MayBeBusy,
    /// As by default, above 90 % it does not.
    Watched,
}

/// What became of a run.
pub struct Ended {
    /// Endpoints by outcome.
    pub outcomes: BTreeMap<String, u32>,
    /// Every row of its evidence.
    pub evidence: Evidence,
    /// What of the evidence is missing, in the node's words; empty: nothing.
    pub missing: String,
}

impl Ended {
    /// How many ended so.
    pub fn with(&self, outcome: EndpointOutcome) -> u32 {
        self.outcomes.get(&name(outcome)).copied().unwrap_or(0)
    }

    /// `SUCCESS 998, TIMEOUT 2 (INVITE: no response 2)`.
    pub fn words(&self) -> String {
        let outcomes: Vec<String> = self
            .outcomes
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let details: Vec<String> = self
            .evidence
            .details
            .iter()
            .filter(|(detail, _)| !detail.is_empty())
            .map(|(detail, count)| format!("{detail} {count}"))
            .collect();
        match details.is_empty() {
            true => outcomes.join(", "),
            false => format!("{} ({})", outcomes.join(", "), details.join("; ")),
        }
    }
}

fn name(outcome: EndpointOutcome) -> String {
    outcome
        .as_str_name()
        .trim_start_matches("ENDPOINT_OUTCOME_")
        .to_owned()
}

impl Bed {
    /// Starts a node and registers the worker; its process does not run yet.
    ///
    /// # Errors
    /// The node does not start.
    pub async fn start(program: PathBuf, directory: PathBuf, cores: Cores, cpu: Cpu) -> Result<Self> {
        std::fs::create_dir_all(&directory)?;
        // It keeps nothing but the password of this file.
        let mut flags = vec!["--cluster-secret=the bench keeps no secrets of anybody".to_owned()];
        if cpu == Cpu::MayBeBusy {
            flags.push("--unhealthy-above-cpu-percent=100".to_owned());
        }
        let mut cluster = Cluster::start(ClusterSpec {
            program: program.clone(),
            directory: directory.clone(),
            nodes: 1,
            flags,
        })?;
        let leader = cluster.agreed_leader(SOON).await?;
        cores.others(cluster.pid(leader).context("the node runs")?)?;
        let version = cluster.status(leader, false).await?.version;
        let channel = cluster.connect(leader).await?;
        let created = create_worker(channel.clone(), "w0", CAPACITY).await?;
        Ok(Self {
            cluster,
            channel,
            created,
            program,
            worker: None,
            http: String::new(),
            directory,
            cores,
            version,
        })
    }

    /// A fresh process of the worker, within a quota from its first breath if there is one. Waits until it takes runs.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn fresh_worker(&mut self, quota: Option<&Quota>) -> Result<()> {
        // It is to be measured beyond what it says that it carries, too.
        self.start_worker(quota, vec![("REEVE_WORKER_SIP_CAPACITY", CAPACITY.to_string())])
            .await
    }

    /// What a fresh worker says of itself within a quota: how many SIP endpoints it carries. It runs no more then.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn told_capacity(&mut self, quota: &Quota) -> Result<Option<f64>> {
        self.start_worker(Some(quota), Vec::new()).await?;
        let told = sip_capacity(&self.health().await?);
        self.stop_worker();
        Ok(told)
    }

    async fn start_worker(
        &mut self,
        quota: Option<&Quota>,
        mut environment: Vec<(&'static str, String)>,
    ) -> Result<()> {
        self.worker = None;
        self.http = free_addresses(1)?.pop().context("no free port")?;
        let nodes: Vec<String> = self
            .cluster
            .nodes()
            .iter()
            .map(|node| node.grpc.clone())
            .collect();
        let mut words = quota.map(Quota::enter).unwrap_or_default();
        words.extend(self.cores.first());
        words.push(self.program.display().to_string());
        words.extend(["worker", "--exit-with-parent"].map(str::to_owned));
        let path = PathBuf::from(words.remove(0));
        environment.extend([
            ("REEVE_WORKER_TOKEN", self.created.token.clone()),
            ("REEVE_NODES", nodes.join(",")),
            ("REEVE_WORKER_HTTP_ADDR", self.http.clone()),
        ]);
        let program = Program {
            path,
            arguments: words,
            environment,
        };
        let mut worker = WorkerProcess::of(program, self.directory.clone(), self.created.clone())?;
        worker.start()?;
        self.worker = Some(worker);
        until(SOON * 3, "the worker takes runs", || async {
            let connected = self
                .health()
                .await
                .is_ok_and(|health| health["connected"] == true);
            connected
                && self
                    .worker()
                    .await
                    .is_ok_and(|worker| worker.status() == WorkerStatus::Online)
        })
        .await
    }

    /// SIGKILL, if it runs.
    pub fn stop_worker(&mut self) {
        self.worker = None;
    }

    /// Process id of the worker.
    ///
    /// # Errors
    /// It does not run.
    pub fn worker_pid(&self) -> Result<u32> {
        let pid = self.worker.as_ref().and_then(WorkerProcess::pid);
        pid.context("the worker does not run")
    }

    /// What the cluster knows of the worker.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn worker(&self) -> Result<Worker> {
        let id = self.created.worker.as_ref().map(|worker| worker.id.clone());
        let request = GetWorkerRequest {
            id: id.unwrap_or_default(),
            ..GetWorkerRequest::default()
        };
        let answer = WorkersClient::new(self.channel.clone())
            .get_worker(request)
            .await?;
        answer.into_inner().worker.context("the answer names no worker")
    }

    /// The worker's own `/healthz`.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn health(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&get(&self.http, "/healthz").await?)?)
    }

    /// The worker's own `/metrics`.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metrics(&self) -> Result<String> {
        get(&self.http, "/metrics").await
    }

    /// Says where requests go from now on.
    ///
    /// # Errors
    /// It is refused.
    pub async fn registrar(&self, port: u16) -> Result<()> {
        let request = ApplyRegistrarRequest {
            name: REGISTRAR.to_owned(),
            domain: DOMAIN.to_owned(),
            host: "127.0.0.1".to_owned(),
            port: port.into(),
            ..ApplyRegistrarRequest::default()
        };
        SipClient::new(self.channel.clone())
            .apply_registrar(request)
            .await?;
        Ok(())
    }

    /// A pool of at least so many accounts.
    ///
    /// # Errors
    /// It is refused.
    pub async fn accounts(&self, pool: &str, count: u32) -> Result<()> {
        let mut client = SipClient::new(self.channel.clone());
        for first in (0..count).step_by(ACCOUNTS_A_CALL as usize) {
            let accounts = first..count.min(first + ACCOUNTS_A_CALL);
            let account = |number: u32| NewSipAccount {
                username: format!("{pool}{number:05}"),
                secret: Some(PASSWORD.to_owned()),
                realm: String::new(),
            };
            let request = ApplyAccountsRequest {
                pool: pool.to_owned(),
                accounts: accounts.map(account).collect(),
                ..ApplyAccountsRequest::default()
            };
            client.apply_accounts(request).await?;
        }
        Ok(())
    }

    /// Submits a run of this definition; its id.
    ///
    /// # Errors
    /// It is refused.
    pub async fn submit(&self, definition: TestDefinition) -> Result<String> {
        let name = definition.name.clone();
        let request = ApplyTestRequest {
            definition: Some(definition),
            ..ApplyTestRequest::default()
        };
        TestsClient::new(self.channel.clone()).apply_test(request).await?;
        let request = StartRunRequest {
            test: name,
            request_id: format!("sip-{}", fresh()),
            ..StartRunRequest::default()
        };
        let started = RunsClient::new(self.channel.clone())
            .start_run(request)
            .await?
            .into_inner();
        Ok(started.run.context("the answer names no run")?.id)
    }

    async fn run(&self, id: &str) -> Result<Run> {
        let request = GetRunRequest {
            id: id.to_owned(),
            ..GetRunRequest::default()
        };
        let answer = RunsClient::new(self.channel.clone()).get_run(request).await?;
        answer.into_inner().run.context("the answer names no run")
    }

    /// Waits until so many endpoints are in their call, or the limit is over; how many are.
    ///
    /// # Errors
    /// The run ended before, or the node does not answer.
    pub async fn until_in_call(&self, id: &str, endpoints: u32, limit: Duration) -> Result<u32> {
        let deadline = Instant::now() + limit;
        loop {
            let run = self.run(id).await?;
            let counts = run.endpoints.clone().unwrap_or_default();
            let in_call = counts
                .by_phase
                .iter()
                .find(|count| count.phase() == EndpointPhase::Incall);
            let in_call = in_call.map_or(0, |count| count.count);
            if in_call >= endpoints || Instant::now() > deadline {
                return Ok(in_call);
            }
            if over(&run) {
                bail!(
                    "the run ended before all were in their call: {:?} {:?}",
                    run.status(),
                    run.reason
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until a run is over and its evidence complete.
    ///
    /// # Errors
    /// It is not over within the limit, or it was not COMPLETED.
    pub async fn ended(&self, id: &str, limit: Duration) -> Result<Ended> {
        let deadline = Instant::now() + limit;
        let run = loop {
            let run = self.run(id).await?;
            if over(&run) {
                break run;
            }
            if Instant::now() > deadline {
                bail!("the run is not over after {limit:?}: {}", phases(&run));
            }
            tokio::time::sleep(PAUSE).await;
        };
        if run.status() != RunStatus::Completed {
            bail!("the run ended {:?}: {:?}", run.status(), run.reason);
        }
        let missing = self.missing(id).await?;
        let counts = run.endpoints.unwrap_or_default();
        let outcomes = counts.by_outcome.iter();
        Ok(Ended {
            outcomes: outcomes
                .filter(|count| count.count > 0)
                .map(|count| (name(count.outcome()), count.count))
                .collect(),
            evidence: evidence::read(&self.directory.join("objects").join("runs").join(id))?,
            missing,
        })
    }

    /// The same, but a run that is not over within the limit is stopped. The words for that; empty: it was over by itself.
    ///
    /// # Errors
    /// It cannot be stopped.
    pub async fn ended_or_stopped(&self, id: &str, limit: Duration) -> Result<(Ended, String)> {
        let error = match self.ended(id, limit).await {
            Ok(ended) => return Ok((ended, String::new())),
            Err(error) => error,
        };
        let request = StopRunRequest {
            id: id.to_owned(),
            ..StopRunRequest::default()
        };
        RunsClient::new(self.channel.clone()).stop_run(request).await?;
        let ended = self.ended(id, STOPPED).await?;
        Ok((ended, format!("stopped: {error}")))
    }

    async fn missing(&self, id: &str) -> Result<String> {
        let mut client = RunsClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let request = GetRunMetricsRequest {
            id: id.to_owned(),
            ..GetRunMetricsRequest::default()
        };
        let deadline = Instant::now() + SUMMARY;
        loop {
            let answer = client.get_run_metrics(request.clone()).await?.into_inner();
            if answer.summarised {
                return Ok(answer.missing);
            }
            if Instant::now() > deadline {
                return Ok("there is no summary".to_owned());
            }
            tokio::time::sleep(PAUSE * 4).await;
        }
    }
}

/// `CALLING 5762, CLOSED 9000`.
fn phases(run: &Run) -> String {
    let counts = run.endpoints.iter().flat_map(|counts| &counts.by_phase);
    let words: Vec<String> = counts
        .filter(|count| count.count > 0)
        .map(|count| {
            let name = count.phase().as_str_name();
            format!("{} {}", name.trim_start_matches("ENDPOINT_PHASE_"), count.count)
        })
        .collect();
    words.join(", ")
}

fn over(run: &Run) -> bool {
    match run.status() {
        RunStatus::Completed | RunStatus::Failed | RunStatus::CannotRunForNow => true,
        RunStatus::Unspecified | RunStatus::Pending | RunStatus::Queued | RunStatus::Running => false,
    }
}
