//! `reeve project …`, and which project a command is about.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::{ReadArgs, WatchArgs};

/// The project that a command is about.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ProjectArgs {
    /// The project that is meant [default: your key's]; only admins may name another.
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
}

impl ProjectArgs {
    /// As the wire has it: empty for none.
    pub(crate) fn name(&self) -> String {
        self.project.clone().unwrap_or_default()
    }
}

/// What a project may use at once.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LimitArgs {
    /// Most endpoints of all its runs that are queued or running.
    #[arg(long, value_parser = parse_limit, value_name = "N|none")]
    pub(crate) max_endpoints: Option<u32>,
    /// Most runs that are queued or running.
    #[arg(long, value_parser = parse_limit, value_name = "N|none")]
    pub(crate) max_runs: Option<u32>,
    /// Most endpoints of one run.
    #[arg(long, value_parser = parse_limit, value_name = "N|none")]
    pub(crate) max_run_endpoints: Option<u32>,
    /// Whether its runs are queued at all.
    #[arg(long, value_parser = parse_subscription, value_name = "active|inactive")]
    pub(crate) subscription: Option<bool>,
}

/// How credits change: one of these.
#[derive(Debug, Clone, Copy, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct CreditArgs {
    /// So many endpoint-minutes more; less than 0 takes some away.
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    pub(crate) add: Option<i64>,
    /// So many endpoint-minutes are left.
    #[arg(long, value_name = "N")]
    pub(crate) set: Option<u64>,
    /// They are not counted any more.
    #[arg(long)]
    pub(crate) unlimited: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// Make a project; limits that are not given do not exist.
    Create {
        /// Unique among projects.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        limits: LimitArgs,
        /// Endpoint-minutes that its runs may use [default: they are not counted].
        #[arg(long, value_name = "N")]
        credits: Option<u64>,
        /// Repeating the command under the same id makes no second project.
        #[arg(long)]
        request_id: Option<String>,
    },
    /// List the projects that you may see, with what their runs take up.
    List {
        #[command(flatten)]
        watch: WatchArgs,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Show one project: its limits, what its runs take up, its credits.
    Get {
        /// Its name [default: the project of your key].
        name: Option<String>,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Change limits; those that are not named stay. Nothing that is queued or running is stopped.
    Set {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        limits: LimitArgs,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
    },
    /// Change the credits that are left, in endpoint-minutes.
    Credits {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        change: CreditArgs,
        /// Why: shown with the project.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        reason: String,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
    },
    /// Delete a project that has no tests, no live runs and no keys in force.
    Delete {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
    },
}

/// A limit; `none` takes it away, which is 0 on the wire.
fn parse_limit(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1, or none".to_owned()),
        Ok(limit) => Ok(limit),
        Err(_) if text.eq_ignore_ascii_case("none") => Ok(0),
        Err(_) => Err("must be a number from 1 on, or none".to_owned()),
    }
}

fn parse_subscription(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "active" => Ok(true),
        "inactive" => Ok(false),
        _ => Err("expected active or inactive".to_owned()),
    }
}
