//! `reeve run metrics` and `reeve run trace`.

use std::path::PathBuf;

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
    /// Only endpoints of this group.
    #[arg(long, conflicts_with = "endpoint")]
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

#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// Id of the run.
    pub(crate) id: String,
    /// Only endpoints of this group; otherwise of all groups with executor sip.
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// Only this endpoint of the group, counted from 0.
    #[arg(long, value_name = "INDEX", requires = "group")]
    pub(crate) endpoint: Option<u32>,
    /// A capture file, for Wireshark and its like; otherwise a ladder diagram, or JSON with -o json.
    #[arg(long)]
    pub(crate) pcap: bool,
    /// Where to; otherwise to stdout.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}
