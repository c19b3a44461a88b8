//! `reeve worker …`: the agent, and the registry of workers.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use reeve_proto::v1;

use super::{ReadArgs, TokenTtlArgs, WatchArgs, parse_label, parse_name, parse_seconds};
use crate::cmd::worker::AgentArgs;

/// `reeve worker` alone runs an agent; with a subcommand it manages the registry.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = reeve_worker::AFTER_HELP)]
pub(crate) struct WorkerCommand {
    #[command(subcommand)]
    pub(crate) command: Option<WorkersCommand>,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// Register a worker and print its token, which is shown this once.
    Create(CreateArgs),
    /// List workers by name.
    List(ListArgs),
    /// Show one worker: the reasons behind its status, its capacity, its resources, its drain.
    Get {
        /// Id or name.
        id: String,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Show what happened to a worker's connection and status, newest first.
    #[command(alias = "events")]
    History {
        /// Id or name.
        id: String,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Give a worker no new work, and wait until it has finished what it has.
    Drain(DrainArgs),
    /// Take a drain back.
    Undrain {
        /// Id or name.
        id: String,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
    },
    /// Tokens of workers.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Delete a worker; its record is kept for a while, hidden (`list --deleted`).
    Delete {
        /// Id or name.
        id: String,
        /// Although it holds endpoints: they end CLOSED, OSERROR.
        #[arg(long)]
        force: bool,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
    },
    /// Delete ping workers that have been OFFLINE for long (24 h, unless the nodes say otherwise), and print their ids.
    Cleanup {
        /// All that are OFFLINE now, however long.
        #[arg(long)]
        all_offline: bool,
        /// Session workers too, which are never deleted by themselves; also those that never connected.
        #[arg(long)]
        include_session_workers: bool,
    },
    /// Wait until a worker has one of these statuses; --timeout says how long, exit code 4 that it was too long.
    Wait {
        /// Id or name.
        id: String,
        /// Statuses, separated by commas.
        #[arg(long = "for", required = true, value_delimiter = ',', value_parser = parse_name::<v1::WorkerStatus>, value_name = "STATUS,…")]
        statuses: Vec<v1::WorkerStatus>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Unique name.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: String,
    /// Where it is.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) region: String,
    /// What selectors match; may be repeated.
    #[arg(long = "label", value_parser = parse_label, value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<(String, String)>,
    /// Most endpoints at once; 0: what the worker itself reports.
    #[arg(long, default_value_t = 0)]
    pub(crate) capacity: u32,
    #[command(flatten)]
    pub(crate) ttl: TokenTtlArgs,
    /// Repeating the command under the same id changes nothing twice.
    #[arg(long)]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ListArgs {
    /// Only workers in this status.
    #[arg(long, value_parser = parse_name::<v1::WorkerStatus>)]
    pub(crate) status: Option<v1::WorkerStatus>,
    /// Only workers of this region.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// DELETED ones too.
    #[arg(long)]
    pub(crate) deleted: bool,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// Id or name.
    pub(crate) id: String,
    /// Why, for people.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// How long endpoints may go on before they are told to hang up [default: 1h].
    #[arg(long, value_parser = parse_seconds, value_name = "DURATION")]
    pub(crate) deadline: Option<u64>,
    /// Endpoints are told to hang up at once.
    #[arg(long, conflicts_with = "deadline")]
    pub(crate) force: bool,
    /// What follows: disconnect (the worker leaves) or resume (it takes work again) [default: disconnect].
    #[arg(long, value_parser = parse_name::<v1::AfterDrain>)]
    pub(crate) then: Option<v1::AfterDrain>,
    /// The platform's own drain, for maintenance.
    #[arg(long)]
    pub(crate) maintenance: bool,
    /// Do not wait until the worker is drained.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Say what a drain now would mean for running and waiting runs, and change nothing.
    #[arg(long, conflicts_with = "detach")]
    pub(crate) dry_run: bool,
    /// Repeating the command under the same id changes nothing twice.
    #[arg(long)]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Give a worker a new token, which is shown this once; the old one is refused and its session ends. -o name prints only the token.
    Regenerate {
        /// Id or name.
        id: String,
        /// The new token is refused this long from now on, such as 12h [default: never].
        #[arg(long, value_parser = parse_seconds, value_name = "DURATION")]
        ttl: Option<u64>,
    },
}
