//! `reeve events …`.

use clap::Args;
use reeve_proto::v1;

use super::parse_name;

/// Which changes. Every part that is given must fit.
#[derive(Debug, Clone, Args)]
pub(crate) struct EventsArgs {
    /// Only objects of these kinds: run, worker, test, …
    #[arg(long, value_delimiter = ',', value_parser = parse_name::<v1::ResourceKind>, value_name = "KIND,…")]
    pub(crate) kind: Vec<v1::ResourceKind>,
    /// Only this run, by id.
    #[arg(long)]
    pub(crate) run: Option<String>,
    /// Only this worker and the runs with endpoints on it; id or name.
    #[arg(long)]
    pub(crate) worker: Option<String>,
    /// Only this test and its runs; id or name.
    #[arg(long)]
    pub(crate) test: Option<String>,
    /// Only what belongs to this project.
    #[arg(long)]
    pub(crate) project: Option<String>,
    /// Only runs, workers and probes that have one of these statuses after the change.
    #[arg(long, value_delimiter = ',', value_name = "STATUS,…")]
    pub(crate) status: Vec<String>,
    /// Begin after this revision; from now on if not given.
    #[arg(long, value_name = "REVISION", conflicts_with = "initial")]
    pub(crate) from: Option<u64>,
    /// Begin with the objects as they are.
    #[arg(long)]
    pub(crate) initial: bool,
}
