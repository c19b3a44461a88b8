//! `reeve run trace`.

use std::io::IsTerminal;

use reeve_proto::json::TraceJson;
use reeve_proto::trace;
use reeve_proto::v1::runs_client::RunsClient;
use reeve_proto::v1::{GetRunTraceRequest, RunTracePart};

use crate::args::{GlobalArgs, OutputFormat, TraceArgs};
use crate::client::Cluster;
use crate::error::CliError;
use crate::output::{Output, gaps_text, note};
use crate::trace::{Timed, ladder, pcap};

pub(crate) async fn trace(global: &GlobalArgs, output: &Output, args: TraceArgs) -> Result<u8, CliError> {
    if args.pcap && args.file.is_none() && std::io::stdout().is_terminal() {
        return Err(CliError::message(
            "--file: is required with --pcap where stdout is a terminal",
        ));
    }
    let mut whole = fetch(global, &args).await?;
    let bytes = if args.pcap {
        let capture = pcap(&Timed::all(&whole.messages));
        if capture.left_out > 0 {
            note(&format!(
                "{} messages have no addresses and are left out",
                capture.left_out
            ));
        }
        tell_gaps(&whole);
        capture.bytes
    } else if output.is_table() {
        let mut text = ladder(&whole);
        gaps_text(&mut text, &whole.gaps);
        text.into_bytes()
    } else {
        trace::sort_by_endpoint(&mut whole);
        json(output, &TraceJson::new(&args.id, &whole))?
    };
    match &args.file {
        Some(file) => std::fs::write(file, bytes)
            .map_err(|error| CliError::message(format!("--file: {}: {error}", file.display())))?,
        None => output.raw(&bytes)?,
    }
    Ok(0)
}

async fn fetch(global: &GlobalArgs, args: &TraceArgs) -> Result<RunTracePart, CliError> {
    let request = GetRunTraceRequest {
        id: args.id.clone(),
        group: args.group.clone().unwrap_or_default(),
        endpoint: args.endpoint,
        consistency: args.read.consistency(),
    };
    let mut parts = Cluster::new(global)?
        .call(request, |channel, request| async move {
            RunsClient::new(channel).get_run_trace(request).await
        })
        .await?;
    let mut whole = RunTracePart::default();
    while let Some(part) = parts.message().await? {
        trace::add(&mut whole, part);
    }
    Ok(whole)
}

fn json(output: &Output, trace: &TraceJson) -> Result<Vec<u8>, CliError> {
    let text = if output.format == OutputFormat::Jsonl {
        serde_json::to_string(trace)
    } else {
        serde_json::to_string_pretty(trace)
    };
    let mut text = text.map_err(std::io::Error::from)?;
    text.push('\n');
    Ok(text.into_bytes())
}

fn tell_gaps(whole: &RunTracePart) {
    let mut text = String::new();
    gaps_text(&mut text, &whole.gaps);
    if !text.is_empty() {
        note(text.trim_end());
    }
}
