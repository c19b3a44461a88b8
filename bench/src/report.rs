//! What was found: one line for each figure, with the peer beside it and the goal it is held against.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::load::Series;
use crate::machine::Machine;

/// What a figure is held against (performance goals P1 to P8).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// At least so many times the peer's figure.
    TimesPeerAtLeast(f64),
    /// At most this share of the peer's figure.
    TimesPeerAtMost(f64),
    /// At most this, in the figure's unit.
    AtMost(f64),
    /// At least this, in the figure's unit.
    AtLeast(f64),
    /// Neither below the one nor above the other, in the figure's unit.
    Between(f64, f64),
}

impl Aim {
    /// Whether it is reached; `None` without a peer to compare with.
    fn met(self, ours: f64, peer: Option<f64>) -> Option<bool> {
        match self {
            Self::TimesPeerAtLeast(times) => peer.map(|peer| ours >= times * peer),
            Self::TimesPeerAtMost(times) => peer.map(|peer| ours <= times * peer),
            Self::AtMost(most) => Some(ours <= most),
            Self::AtLeast(least) => Some(ours >= least),
            Self::Between(least, most) => Some((least..=most).contains(&ours)),
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::TimesPeerAtLeast(times) => format!("≥ {times} × peer"),
            Self::TimesPeerAtMost(times) => format!("≤ {times} × peer"),
            Self::AtMost(most) => format!("≤ {} {unit}", number(most)),
            Self::AtLeast(least) => format!("≥ {} {unit}", number(least)),
            Self::Between(least, most) => format!("{} to {} {unit}", number(least), number(most)),
        }
    }
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The goal it belongs to, `P1` to `P8`.
    pub goal: &'static str,
    /// What was done.
    pub case: String,
    /// What was measured.
    pub measure: String,
    /// Its unit.
    pub unit: &'static str,
    /// Ours; `None` if we could not be measured, then the remarks say why.
    pub reeve: Option<f64>,
    /// With whom it is compared.
    pub peer_name: &'static str,
    /// Theirs.
    pub peer: Option<f64>,
    /// Ours divided by theirs.
    pub ratio: Option<f64>,
    /// What it is held against.
    pub aim: Option<Aim>,
    /// Whether that is reached.
    pub met: Option<bool>,
}

impl Finding {
    /// A figure of ours alone.
    pub fn new(
        goal: &'static str,
        case: impl Into<String>,
        measure: impl Into<String>,
        unit: &'static str,
    ) -> Self {
        Self {
            goal,
            case: case.into(),
            measure: measure.into(),
            unit,
            reeve: None,
            peer_name: "",
            peer: None,
            ratio: None,
            aim: None,
            met: None,
        }
    }

    /// Our figure.
    #[must_use]
    pub fn reeve(mut self, value: Option<f64>) -> Self {
        self.reeve = value;
        self.judged()
    }

    /// The peer's figure.
    #[must_use]
    pub fn peer(mut self, name: &'static str, value: Option<f64>) -> Self {
        (self.peer_name, self.peer) = (name, value);
        self.judged()
    }

    /// The goal.
    #[must_use]
    pub fn aim(mut self, aim: Option<Aim>) -> Self {
        self.aim = aim;
        self.judged()
    }

    fn judged(mut self) -> Self {
        let both = self.reeve.zip(self.peer);
        self.ratio = both
            .filter(|(_, peer)| *peer > 0.0)
            .map(|(ours, peer)| ours / peer);
        self.met = self
            .aim
            .zip(self.reeve)
            .and_then(|(aim, ours)| aim.met(ours, self.peer));
        self
    }
}

/// The rounds of load behind some figures.
#[derive(Clone, Debug, Serialize)]
pub struct Recorded {
    /// Who was measured.
    pub system: &'static str,
    /// The goal it belongs to.
    pub goal: &'static str,
    /// What was done.
    pub case: String,
    /// In the order in which they ran.
    pub rounds: Vec<Series>,
}

/// Everything that one invocation found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was asked for.
    pub experiment: String,
    /// When it began, RFC 3339.
    pub date: String,
    /// The machine.
    pub machine: Machine,
    /// Who was measured, with version; a peer that is not installed is said to be missing.
    pub versions: BTreeMap<&'static str, String>,
    /// How long and how often.
    pub settings: BTreeMap<&'static str, String>,
    /// The figures.
    pub findings: Vec<Finding>,
    /// Single samples, by name, milliseconds.
    pub samples_ms: BTreeMap<String, Vec<f64>>,
    /// The rounds of load.
    pub series: Vec<Recorded>,
    /// What a reader must know beside the figures.
    pub remarks: Vec<String>,
}

impl Report {
    /// An empty one.
    pub fn new(experiment: &str, machine: Machine) -> Self {
        Self {
            experiment: experiment.to_owned(),
            date: jiff::Timestamp::now()
                .round(jiff::Unit::Second)
                .unwrap_or_default()
                .to_string(),
            machine,
            versions: BTreeMap::new(),
            settings: BTreeMap::new(),
            findings: Vec::new(),
            samples_ms: BTreeMap::new(),
            series: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Writes `DATE-EXPERIMENT.json`.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn save(&self, directory: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        let file = directory.join(format!("{}-{}.json", self.date.replace(':', ""), self.experiment));
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
        Ok(file)
    }

    /// The table and the remarks, for people.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn print(&self, out: &mut impl Write, coloured: bool) -> Result<()> {
        let machine = &self.machine;
        writeln!(
            out,
            "\n{}, {} cores, kernel {}; fdatasync {:.0} µs mean, {:.0} µs p99; load average {:.1} before, {:.1} after",
            machine.cpu,
            machine.cores,
            machine.kernel,
            machine.fdatasync_mean_us,
            machine.fdatasync_p99_us,
            machine.load_average,
            machine.load_average_at_end,
        )?;
        for (name, version) in &self.versions {
            writeln!(out, "{name}: {version}")?;
        }
        writeln!(out, "{}", self.table(coloured))?;
        for remark in &self.remarks {
            writeln!(out, "· {remark}")?;
        }
        Ok(())
    }

    fn table(&self, coloured: bool) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header([
            "GOAL", "CASE", "MEASURE", "REEVE", "PEER", "", "RATIO", "AIM", "MET",
        ]);
        for finding in &self.findings {
            table.add_row(row(finding, coloured));
        }
        table
    }
}

fn row(finding: &Finding, coloured: bool) -> Vec<Cell> {
    let figure = |value: Option<f64>| {
        let text = value.map_or("–".to_owned(), |value| {
            format!("{} {}", number(value), finding.unit)
        });
        Cell::new(text).set_alignment(CellAlignment::Right)
    };
    let (word, colour) = match finding.met {
        Some(true) => ("yes", Color::Green),
        Some(false) => ("NO", Color::Red),
        None => ("", Color::Reset),
    };
    let met = Cell::new(word);
    vec![
        Cell::new(finding.goal),
        Cell::new(&finding.case),
        Cell::new(&finding.measure),
        figure(finding.reeve),
        figure(finding.peer),
        Cell::new(finding.peer_name),
        Cell::new(finding.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))),
        Cell::new(finding.aim.map_or(String::new(), |aim| aim.text(finding.unit))),
        if coloured { met.fg(colour) } else { met },
    ]
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throughput(ours: Option<f64>, peer: Option<f64>) -> Finding {
        Finding::new("P1", "64 clients", "throughput", "ops/s")
            .reeve(ours)
            .peer("etcd", peer)
            .aim(Some(Aim::TimesPeerAtLeast(2.0)))
    }

    #[test]
    fn a_ratio_is_ours_by_theirs_and_judged_by_the_aim() {
        assert_eq!(throughput(Some(200.0), Some(100.0)).met, Some(true));
        let missed = throughput(Some(199.0), Some(100.0));
        assert_eq!((missed.ratio, missed.met), (Some(1.99), Some(false)));
    }

    #[test]
    fn nothing_is_judged_without_both_figures() {
        assert_eq!(throughput(Some(200.0), None).met, None);
        assert_eq!(throughput(None, Some(100.0)).met, None);
        assert_eq!(throughput(Some(1.0), Some(0.0)).ratio, None);
    }

    #[test]
    fn latencies_are_judged_the_other_way_round() {
        let finding = Finding::new("P1", "", "p99", "ms")
            .reeve(Some(4.0))
            .peer("etcd", Some(8.0));
        assert_eq!(
            finding.clone().aim(Some(Aim::TimesPeerAtMost(0.5))).met,
            Some(true)
        );
        assert_eq!(
            finding.clone().aim(Some(Aim::TimesPeerAtMost(0.4))).met,
            Some(false)
        );
        assert_eq!(finding.aim(Some(Aim::AtMost(3.9))).met, Some(false));
    }

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!([1234.5, 12.34, 1.234].map(number), ["1234", "12.3", "1.23"]);
    }
}
