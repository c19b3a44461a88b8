//! SIP: what a worker can do on one processor, how exact it is, and whether it says so when it cannot. Beside it SIPp with the same
//! calls. On a cluster of its own, one node and one worker process, both started as a user would.

mod bed;
mod calls;
mod evidence;
mod held;
mod scrape;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::confine::Cores;
use crate::peer::sipp::Sipp;
use crate::report::{Aim, Finding, Report};
use bed::Bed;

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
}

impl Sizes {
    /// What is published.
    pub fn full(calls: Option<u32>) -> Self {
        Self {
            calls: calls.unwrap_or(1_000),
            buildup: Duration::from_secs(10),
            measured: Duration::from_secs(20),
        }
    }

    /// A look in passing.
    pub fn quick(calls: Option<u32>) -> Self {
        Self {
            calls: calls.unwrap_or(100),
            buildup: Duration::from_secs(3),
            measured: Duration::from_secs(6),
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
    let mut bed = Bed::start(program, directory, cores).await?;
    report.versions.insert("reeve", bed.version.clone());
    for each in Part::value_variants() {
        if part.is_none_or(|wanted| wanted == *each) {
            crate::say(&format!("sip {each:?}").to_lowercase());
            match each {
                Part::Held => held::run(&mut bed, sizes, report).await?,
            }
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
