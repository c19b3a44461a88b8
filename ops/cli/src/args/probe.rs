//! `reeve probe …`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use reeve_proto::probe::{parse_every, parse_threshold};
use reeve_proto::v1;

use super::{ProjectArgs, ReadArgs, WatchArgs, parse_name};

/// What is said of a new probe.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProbeCreateArgs {
    /// Unique among the probes of the project.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: String,
    /// Id or name of the test that it runs.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) test: String,
    /// How often: 5m, 15m, 30m or 60m.
    #[arg(long, value_parser = parse_every, value_name = "INTERVAL", conflicts_with = "cron", required_unless_present = "cron")]
    pub(crate) every: Option<u32>,
    /// When, in UTC: minute, hour, day of the month, month, weekday; such as '*/10 6-22 * * MON-FRI'.
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) cron: Option<String>,
    /// Limits of a metric, such as 'mos: warn 3.5, crit 2.5' or 'setup_time_ms p95: warn 500, crit 800'; may be given again.
    #[arg(long = "threshold", value_parser = parse_threshold, value_name = "LIMITS")]
    pub(crate) thresholds: Vec<v1::Threshold>,
    /// Repeating the command under the same id makes no second probe.
    #[arg(long)]
    pub(crate) request_id: Option<String>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProbeCommand {
    /// Make a probe: a test that runs on a schedule, and is measured against thresholds.
    Create(Box<ProbeCreateArgs>),
    /// Create the probe, or update the one of that name.
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
    /// List the probes with their health.
    List {
        /// Only probes of this health.
        #[arg(long, value_parser = parse_name::<v1::ProbeStatus>)]
        status: Option<v1::ProbeStatus>,
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        watch: WatchArgs,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Show one probe: its health metric by metric, and what its last runs have in common.
    Get {
        /// Id or name.
        id: String,
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Show the last times that a probe was due, newest first, and what became of them.
    #[command(visible_alias = "slots")]
    History {
        /// Id or name.
        id: String,
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Let no slot fire from now on; a run that is not over goes on.
    Pause {
        /// Id or name.
        id: String,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Let slots fire again from now on.
    Resume {
        /// Id or name.
        id: String,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Delete a probe with its history; its runs stay.
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
