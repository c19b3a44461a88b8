//! SIP: what a worker can do on one processor, how exact it is, and whether it says so when it cannot. Beside it SIPp with the same
//! calls. On a cluster of its own, one node and one worker process, both started as a user would.

mod accuracy;
mod answerer;
mod bed;
mod calls;
mod evidence;
mod held;
mod onset;
mod rate;
mod scrape;
mod sink;
mod starved;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::confine::Cores;
use crate::peer::sipp::Sipp;
use crate::report::{Aim, Finding, Report};
use bed::{Bed, Cpu};

/// The goal that all of these figures belong to.
const GOAL: &str = "SIP";
/// With whom they are compared.
const PEER: &str = "SIPp";
/// Steps that are waited for on top of what a case itself takes.
const MARGIN: Duration = Duration::from_secs(120);

/// One of the experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Calls held at once: processor, memory, packets, quality
    Held,
    /// Calls a second: through a proxy that asks for credentials, and directly
    Rate,
    /// Round trip, loss, jitter and MOS on paths that do a known thing
    Accuracy,
    /// A worker with too little of a processor: whether it keeps silent about quality
    Starved,
    /// From how many calls on a worker no longer keeps time
    Onset,
}

impl Part {
    fn cpu(self) -> Cpu {
        match self {
            Self::Held | Self::Rate | Self::Accuracy | Self::Onset => Cpu::MayBeBusy,
            Self::Starved => Cpu::Watched,
        }
    }
}

/// How far it goes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Calls at once.
    pub calls: u32,
    /// How long they build up.
    pub buildup: Duration,
    /// How long all of them are measured.
    pub measured: Duration,
    /// Calls a second, if only one rate is wanted.
    pub only_rate: Option<u32>,
    /// How long each rate is kept up.
    pub rated: Duration,
    /// How long figures are compared with what was done to the packets.
    pub long: Duration,
    /// Calls of the worker that is starved.
    pub starving_calls: u32,
    /// What it gets, per cent of a processor.
    pub starved_percent: u32,
    /// For how long.
    pub starved: Duration,
    /// What the worker gets whose limit is searched for, per cent of a processor.
    pub onset_percent: u32,
    /// With how many calls the search begins.
    pub onset_from: u32,
    /// How long each number of calls is held.
    pub onset_measured: Duration,
    /// Fewer steps everywhere.
    pub quick: bool,
}

impl Sizes {
    /// What is published.
    pub fn full(calls: Option<u32>, only_rate: Option<u32>) -> Self {
        Self {
            calls: calls.unwrap_or(1_000),
            buildup: Duration::from_secs(10),
            measured: Duration::from_secs(20),
            only_rate,
            rated: Duration::from_secs(10),
            long: Duration::from_secs(60),
            starving_calls: 500,
            starved_percent: 10,
            starved: Duration::from_secs(60),
            onset_percent: 30,
            onset_from: 300,
            onset_measured: Duration::from_secs(15),
            quick: false,
        }
    }

    /// A look in passing.
    pub fn quick(calls: Option<u32>, only_rate: Option<u32>) -> Self {
        Self {
            calls: calls.unwrap_or(100),
            buildup: Duration::from_secs(3),
            measured: Duration::from_secs(6),
            only_rate,
            rated: Duration::from_secs(3),
            long: Duration::from_secs(12),
            starving_calls: 100,
            starved_percent: 3,
            starved: Duration::from_secs(12),
            onset_percent: 10,
            onset_from: 100,
            onset_measured: Duration::from_secs(6),
            quick: true,
        }
    }
}

/// One experiment, or all of them.
///
/// # Errors
/// Something does not start, or a run does not come to its end.
pub async fn run(
    program: PathBuf,
    directory: &Path,
    part: Option<Part>,
    sizes: &Sizes,
    report: &mut Report,
) -> Result<()> {
    let Some(version) = Sipp::version() else {
        bail!("SIPp is not installed, and without it nobody answers: ops/bootstrap sip");
    };
    report.versions.insert("sipp", version);
    let cores = Cores::split()?;
    report.remarks.push(format!("SIP: {}", cores.remark()));
    let wanted = Part::value_variants()
        .iter()
        .filter(|each| part.is_none_or(|wanted| wanted == **each));
    for each in wanted {
        let name = format!("sip-{each:?}").to_lowercase();
        crate::say(&name);
        let folder = directory.join(name);
        let mut bed = Bed::start(program.clone(), folder, cores.clone(), each.cpu()).await?;
        report.versions.insert("reeve", bed.version.clone());
        let bed = &mut bed;
        let done = match each {
            Part::Held => held::run(bed, sizes, report).await,
            Part::Rate => rate::run(bed, sizes, report).await,
            Part::Accuracy => accuracy::run(bed, sizes, report).await,
            Part::Starved => starved::run(bed, sizes, report).await,
            Part::Onset => onset::run(bed, sizes, report).await,
        };
        if let Err(error) = done {
            // What the others found must not be lost.
            report
                .remarks
                .push(format!("SIP: {each:?} could not be measured: {error:#}"));
        }
    }
    Ok(())
}

/// One figure of ours, perhaps beside SIPp's.
struct Figure<'a> {
    measure: &'a str,
    unit: &'static str,
    reeve: Option<f64>,
    peer: Option<f64>,
    aim: Option<Aim>,
}

impl Figure<'_> {
    fn add(self, case: &str, report: &mut Report) {
        let finding = Finding::new(GOAL, case, self.measure, self.unit).reeve(self.reeve);
        let finding = match self.peer {
            Some(peer) => finding.peer(PEER, Some(peer)),
            None => finding,
        };
        report.findings.push(finding.aim(self.aim));
    }
}

/// Now, Unix milliseconds: cluster time is this, on a cluster of one machine.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What did not come with the evidence of a case belongs into the remarks.
fn remark_missing(case: &str, missing: &str, report: &mut Report) {
    if !missing.is_empty() {
        report
            .remarks
            .push(format!("SIP, {case}: evidence is missing: {missing}"));
    }
}
