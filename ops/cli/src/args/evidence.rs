//! `reeve run metrics`.

use clap::Args;

use super::ReadArgs;

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Id of the run.
    pub(crate) id: String,
    /// One metric over time, for example setup_time_ms.
    #[arg(long, value_name = "METRIC", conflicts_with_all = ["endpoint", "live"])]
    pub(crate) series: Option<String>,
    /// The step of the series, 1s to 1h.
    #[arg(long, requires = "series", default_value = "1s")]
    pub(crate) step: String,
    /// Only endpoints of this group, for a series.
    #[arg(long, requires = "series")]
    pub(crate) group: Option<String>,
    /// Everything about one endpoint: its samples and its log.
    #[arg(long, value_name = "GROUP/INDEX", conflicts_with = "live")]
    pub(crate) endpoint: Option<String>,
    /// One line a second until the end of the run.
    #[arg(long)]
    pub(crate) live: bool,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}
