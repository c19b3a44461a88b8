//! The command line.

#[cfg(test)]
mod documented;
mod events;
mod evidence;
mod key;
mod probe;
mod project;
mod sip;
mod webhook;
mod worker;

pub(crate) use events::EventsArgs;
pub(crate) use evidence::{MetricsArgs, TraceArgs};
pub(crate) use key::{KeyCommand, TokenTtlArgs};
pub(crate) use probe::{ProbeCommand, ProbeCreateArgs};
pub(crate) use project::{CreditArgs, LimitArgs, ProjectArgs, ProjectCommand};
pub(crate) use sip::{AccountCommand, MediaCommand, RegistrarCommand};
pub(crate) use webhook::{WebhookArgs, WebhookCommand};
pub(crate) use worker::{CreateArgs, DrainArgs, ListArgs, TokenCommand, WorkerCommand, WorkersCommand};

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use reeve_proto::names::Named;
use reeve_proto::v1;
use reeve_worker::Secret;

use crate::cmd::node::NodeCommand;
use crate::dev::DevArgs;

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    format!(
        "{} ({profile}, {}-{})",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    )
});

/// A highly available scheduler for fleets of workers.
#[derive(Debug, Parser)]
#[command(name = "reeve", version = VERSION.as_str(), propagate_version = false, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every client command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct GlobalArgs {
    /// gRPC addresses of nodes, separated by commas; any node will do, the next is tried when one does not answer.
    #[arg(
        long,
        global = true,
        env = "REEVE_ADDR",
        value_delimiter = ',',
        default_value = "127.0.0.1:50052",
        value_name = "HOST:PORT,…"
    )]
    pub(crate) addr: Vec<String>,
    /// API key of the caller, cmk_ and 32 hex digits; better given by the environment: others can see flags.
    #[arg(
        long,
        global = true,
        env = "REEVE_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    // Of the agent's own type: `reeve worker --api-key` is its flag and this one at once.
    pub(crate) api_key: Option<Secret>,
    /// How to print.
    #[arg(
        short = 'o',
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(crate) output: OutputFormat,
    /// How long a call may take (10s if not given); for commands that wait for something, how long to wait (no limit).
    #[arg(long, global = true, value_parser = parse_timeout, value_name = "DURATION")]
    pub(crate) timeout: Option<Duration>,
}

/// How to print what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Aligned columns.
    #[default]
    Table,
    /// Aligned columns, more of them.
    Wide,
    /// One JSON document, the same as the REST API's.
    Json,
    /// One JSON document per line and object.
    Jsonl,
    /// Only the ids.
    Name,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct ReadArgs {
    /// Answer from what the asked node has applied, without a quorum; may lag.
    #[arg(long)]
    pub(crate) local: bool,
}

/// Whether a list is shown once or kept up to date.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct WatchArgs {
    /// Show the list again whenever it changes, until Ctrl-C; jsonl and name print only what changed.
    #[arg(short, long)]
    pub(crate) watch: bool,
}

impl ReadArgs {
    pub(crate) fn consistency(self) -> i32 {
        let consistency = if self.local {
            v1::Consistency::Local
        } else {
            v1::Consistency::Linearizable
        };
        consistency.into()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply, list, show and delete test definitions.
    #[command(subcommand)]
    Test(TestCommand),
    /// Start, follow and stop runs.
    #[command(subcommand)]
    Run(RunCommand),
    /// Run a worker agent, or manage the registry of workers.
    Worker(Box<WorkerCommand>),
    /// Keys of callers: who may do what.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Projects: whose tests and runs are, and what their plans allow.
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Tests on a schedule, with thresholds and a health.
    #[command(subcommand)]
    Probe(ProbeCommand),
    /// Webhooks: where events of a project are posted to.
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// SIP registrars: where accounts register, and where calls go.
    #[command(subcommand)]
    Registrar(RegistrarCommand),
    /// Pools of SIP accounts, one for each endpoint at a time.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Sound files that SIP endpoints send.
    #[command(subcommand)]
    Media(MediaCommand),
    /// The nodes themselves.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Print changes as they happen, across the deaths of nodes; -o jsonl for programs.
    Events(Box<EventsArgs>),
    /// The cluster, its workers and its runs on one screen, once.
    Status {
        #[command(flatten)]
        read: ReadArgs,
    },
    /// The cluster, its workers and its runs live on the whole terminal; q leaves.
    Top,
    /// Run a node.
    Node(Box<NodeCommand>),
    /// Start a cluster for development: nodes and workers as processes of their own.
    Dev(DevArgs),
    /// Show that a run survives the death of the leader.
    #[command(hide = true)]
    Demo,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TestCommand {
    /// Create the test, or update the one of that name.
    Apply {
        /// YAML or JSON; - reads stdin.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// List the tests.
    List {
        #[command(flatten)]
        watch: WatchArgs,
        #[command(flatten)]
        read: ReadArgs,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Show one test.
    Get {
        /// Id or name.
        id: String,
        #[command(flatten)]
        read: ReadArgs,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Delete a test; its runs stay.
    Delete {
        /// Id or name.
        id: String,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
        #[command(flatten)]
        project: ProjectArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Start a run of a test.
    Start {
        /// Id or name of the test.
        test: String,
        /// Repeating the command under the same id gives the same run.
        #[arg(long)]
        request_id: Option<String>,
        /// Follow the run to its end.
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// List runs, newest first.
    List {
        /// Only runs in this status.
        #[arg(long, value_parser = parse_name::<v1::RunStatus>)]
        status: Option<v1::RunStatus>,
        /// Only runs of this test (id or name).
        #[arg(long)]
        test: Option<String>,
        #[command(flatten)]
        watch: WatchArgs,
        #[command(flatten)]
        read: ReadArgs,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Show one run with its timeline and outcomes.
    Get {
        /// Id.
        id: String,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Follow a run to its end, showing its progress.
    Watch {
        /// Id.
        id: String,
    },
    /// End a run early.
    Stop {
        /// Id.
        id: String,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
    },
    /// Wait for the end of a run; the exit code tells how it ended.
    Wait {
        /// Id.
        id: String,
    },
    /// Figures of a run: so far while it runs, partial ones after it FAILED.
    Metrics(MetricsArgs),
    /// SIP messages that endpoints sent and received, and why each ended as it did: a ladder diagram, JSON or a capture file.
    Trace(TraceArgs),
    /// The workers of a run, with their events while it was under way.
    Workers {
        /// Id.
        id: String,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Tell why a run is where it is: what stands in its way, worker by worker, and what would help.
    Explain {
        /// Id.
        id: String,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Tell what would become of a run, were it started now; nothing is started. The exit code is 2 if it could not start.
    Plan(PlanArgs),
    /// Put two runs side by side: durations, workers, outcomes, and what else ran at the time.
    Compare {
        /// Id of the one.
        a: String,
        /// Id of the other.
        b: String,
        #[command(flatten)]
        read: ReadArgs,
    },
}

/// What to plan.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// A definition, YAML or JSON; - reads stdin.
    #[arg(
        short,
        long,
        value_name = "FILE",
        required_unless_present = "test",
        conflicts_with = "test"
    )]
    pub(crate) file: Option<PathBuf>,
    /// Id or name of a test.
    #[arg(long)]
    pub(crate) test: Option<String>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Ask every node about itself; works without a leader.
    Status,
    /// The members as one node knows them.
    Members,
    /// Add a node as learner and promote it once it has caught up.
    Add {
        /// Number of the node, unique in the cluster.
        #[arg(long)]
        id: u64,
        /// Its name.
        #[arg(long)]
        name: String,
        /// Where other nodes reach it.
        #[arg(long)]
        raft_addr: String,
        /// Where clients and workers reach it.
        #[arg(long)]
        grpc_addr: String,
        /// REST and metrics.
        #[arg(long)]
        http_addr: String,
    },
    /// Remove a node.
    Remove {
        /// Its number.
        id: u64,
    },
    /// Hand leadership to another node.
    TransferLeader {
        /// Its number; the most advanced voter if not given.
        id: Option<u64>,
    },
}

/// A length of time that the wire counts in whole seconds.
fn parse_seconds(text: &str) -> Result<u64, String> {
    let duration = parse_timeout(text)?;
    if duration.subsec_nanos() == 0 {
        Ok(duration.as_secs())
    } else {
        Err("must be whole seconds".to_owned())
    }
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let duration = reeve_proto::definition::parse_duration(text)?;
    let duration = Duration::try_from(duration).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        Err("must be more than zero".to_owned())
    } else {
        Ok(duration)
    }
}

fn parse_name<E: Named>(text: &str) -> Result<E, String> {
    E::from_name(text).ok_or_else(|| format!("expected one of {}", E::expected()))
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        // `_` stands for a blank within an argument.
        Cli::try_parse_from(line.split_whitespace().map(|word| word.replace('_', " ")))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_key_is_read_wherever_it_stands() {
        for line in [
            &["reeve", "--api-key", "cmk_1", "worker", "list"][..],
            &["reeve", "worker", "list", "--api-key", "cmk_1"],
            &["reeve", "worker", "--ping", "--api-key", "cmk_1"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            let key = cli.global.api_key.as_ref().map(Secret::reveal);
            assert_eq!(key, Some("cmk_1"), "{line:?}");
            assert!(!format!("{cli:?}").contains("cmk_1"), "{line:?}");
        }
    }

    #[test]
    fn every_documented_command_parses() {
        for line in [
            "reeve test apply -f smoke.yaml",
            "reeve test apply -f -",
            "reeve test list -o wide",
            "reeve test get smoke --local",
            "reeve test delete smoke",
            "reeve run start smoke --request-id x --wait --timeout 1m30s",
            "reeve run list --status queued --test smoke",
            "reeve run list --watch -o jsonl",
            "reeve worker list -w",
            "reeve test list --watch",
            "reeve run get 1 -o json",
            "reeve run watch 1",
            "reeve run stop 1",
            "reeve run wait 1 --timeout 5s",
            "reeve worker create --name n --region r --label a=b --label c=d --capacity 5",
            "reeve worker list --status ONLINE",
            "reeve worker get w1",
            "reeve worker create --name n --region r --token-ttl 12h",
            "reeve worker list --status draining --region eu --deleted --watch",
            "reeve worker history w1 --local",
            "reeve worker events w1",
            "reeve worker drain w1",
            "reeve worker drain w1 --reason kernel --deadline 10m --then resume --maintenance --detach",
            "reeve worker drain w1 --force",
            "reeve worker drain w1 --dry-run -o json",
            "reeve worker undrain w1",
            "reeve worker token regenerate w1 --ttl 720h -o name",
            "reeve worker delete w1 --force",
            "reeve worker cleanup --all-offline --include-session-workers",
            "reeve worker wait w1 --for ONLINE --timeout 30s",
            "reeve worker wait w1 --for offline,deleted",
            "reeve key bootstrap",
            "reeve key bootstrap --name first -o name",
            "reeve key create --name ci --role operator --project p --ttl 720h",
            "reeve key list --all",
            "reeve key revoke ci",
            "reeve key whoami",
            "reeve probe create --name p --test t --every 5m",
            "reeve probe create --name p --test t --cron 0_*_*_*_* --threshold mos:_warn_3.5,_crit_2.5",
            "reeve probe apply -f probe.yaml --project p",
            "reeve probe list --status degraded --watch",
            "reeve probe get p -o json",
            "reeve probe history p --local",
            "reeve probe slots p",
            "reeve probe pause p",
            "reeve probe resume p --request-id x",
            "reeve probe delete p",
            "reeve events",
            "reeve events --kind run,worker --run r1 --status running,FAILED -o jsonl",
            "reeve events --worker w1 --test smoke --project p --from 17",
            "reeve events --initial --timeout 5s",
            "reeve webhook create --url https://a.test/x",
            "reeve webhook create --url https://a.test/x --name pager --event run.status_changed --event probe.health_changed --test smoke --project p -o name",
            "reeve webhook update pager --url https://b.test --event run.status_changed --test smoke --name other",
            "reeve webhook update pager --all-events --all-tests",
            "reeve webhook list --project p",
            "reeve webhook get pager",
            "reeve webhook delete pager",
            "reeve webhook rotate-secret pager -o name",
            "reeve webhook deliveries pager --dead",
            "reeve webhook deliveries pager --pending --limit 5 -o json",
            "reeve webhook replay pager --seq 3",
            "reeve webhook replay pager --all",
            "reeve webhook pause pager",
            "reeve webhook resume pager",
            "reeve webhook test pager",
            "reeve status",
            "reeve top",
            "reeve cluster status",
            "reeve cluster members --addr 127.0.0.1:1,127.0.0.1:2",
            "reeve cluster add --id 4 --name n4 --raft-addr a:1 --grpc-addr a:2 --http-addr a:3",
            "reeve cluster remove 4",
            "reeve cluster transfer-leader",
            "reeve cluster transfer-leader 2",
            "reeve completions bash",
            "reeve dev --nodes 3 --workers 3 --data-dir d --random-ports -o json",
            "reeve demo",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn bad_arguments_are_refused_with_the_rule() {
        for (line, words) in [
            (
                "reeve run list --status waiting",
                "expected one of PENDING, QUEUED, RUNNING",
            ),
            ("reeve run list --timeout 5", "no unit"),
            ("reeve events --kind robot", "expected one of TEST, RUN, WORKER"),
            ("reeve events --from 1 --initial", "cannot be used with"),
            ("reeve run list --timeout 0s", "more than zero"),
            (
                "reeve worker create --name n --region r --label nonsense",
                "expected KEY=VALUE",
            ),
            ("reeve worker create --region r", "--name"),
            (
                "reeve run list -o xml",
                "possible values: table, wide, json, jsonl, name",
            ),
            (
                "reeve key create --name n --role root",
                "expected one of VIEWER, OPERATOR, ADMIN, WORKER",
            ),
            (
                "reeve key create --name n --role admin --ttl 1500ms",
                "whole seconds",
            ),
            (
                "reeve worker wait w1 --for ready",
                "expected one of ONLINE, OFFLINE, DRAINING, ERROR",
            ),
            ("reeve worker wait w1", "--for"),
            (
                "reeve worker drain w1 --then sleep",
                "expected one of DISCONNECT, RESUME",
            ),
            (
                "reeve worker drain w1 --force --deadline 1m",
                "cannot be used with",
            ),
            ("reeve worker drain w1 --dry-run --detach", "cannot be used with"),
            ("reeve probe create --name p --test t", "--every"),
            (
                "reeve probe create --name p --test t --every 5m --cron x",
                "cannot be used with",
            ),
            ("reeve probe create --name p --test t --every 5", "no unit"),
            (
                "reeve probe create --name p --test t --every 5m --threshold mos",
                "`:` is missing",
            ),
            (
                "reeve probe list --status ill",
                "expected one of HEALTHY, DEGRADED, UNHEALTHY, UNKNOWN",
            ),
            ("reeve dev --nodes 0", "0 is not in"),
            ("reeve project create p --max-endpoints 0", "at least 1, or none"),
            ("reeve project set p --max-runs=-1", "number from 1 on, or none"),
            ("reeve project set p --subscription maybe", "active or inactive"),
            ("reeve project credits p --add 5", "--reason"),
            ("reeve project credits p --reason r", "--add"),
            (
                "reeve project credits p --add 5 --set 5 --reason r",
                "cannot be used with",
            ),
            ("reeve project create p --credits=-1", "invalid"),
            ("reeve project create", "NAME"),
            ("reeve webhook create", "--url"),
            ("reeve webhook replay pager", "--seq"),
            ("reeve webhook replay pager --seq 0", "0 is not in"),
            ("reeve webhook replay pager --seq 1 --all", "cannot be used with"),
            (
                "reeve webhook update pager --event x --all-events",
                "cannot be used with",
            ),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn globals_are_understood_before_and_after_the_command() {
        for line in ["reeve --addr a:1,b:2 run list", "reeve run list --addr a:1,b:2"] {
            assert_eq!(parse(line).unwrap().global.addr, ["a:1", "b:2"]);
        }
    }
}
