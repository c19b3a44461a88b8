//! The evidence of a run as it was exported: read from the objects' own files, not asked of a node.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::prelude::{BASE64_STANDARD, Engine};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

/// A packet that was sent this much late, or later, makes its second invalid, ms.
pub const LATE_MS: f64 = 20.0;

/// One row of a second of a call, or of a call as a whole.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Row {
    /// Cluster time, Unix milliseconds.
    pub at: i64,
    /// Of the definition.
    pub group: String,
    /// Within its group.
    pub endpoint: u32,
    pub mos: Option<f64>,
    pub r_factor: Option<f64>,
    pub jitter_ms: Option<f64>,
    pub rtt_ms: Option<f64>,
    pub fraction_lost: Option<f64>,
    pub packets_lost: Option<f64>,
    pub packets_due: Option<f64>,
    pub packets_sent: Option<f64>,
    pub packets_received: Option<f64>,
    pub send_lateness_ms: Option<f64>,
    pub generator_late: Option<f64>,
    pub call_setup_time_ms: Option<f64>,
}

impl Row {
    /// Whether it is about a second of media.
    pub fn is_interval(&self) -> bool {
        self.packets_due.is_some()
    }

    /// Whether the worker says that it did not keep time.
    pub fn says_late(&self) -> bool {
        self.generator_late.is_some_and(|late| late > 0.0)
    }

    /// Whether a packet was missed or late in it, by its own numbers.
    pub fn was_late(&self) -> bool {
        self.packets_sent < self.packets_due || self.send_lateness_ms.is_some_and(|late| late > LATE_MS)
    }

    /// How many quality figures it has.
    pub fn quality(&self) -> usize {
        let all = [
            self.mos,
            self.r_factor,
            self.jitter_ms,
            self.rtt_ms,
            self.fraction_lost,
            self.packets_lost,
        ];
        all.iter().flatten().count()
    }
}

/// Everything that was exported of one run.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Figures.
    pub rows: Vec<Row>,
    /// Why endpoints ended as they did, and how many; an empty reason is a success.
    pub details: BTreeMap<String, u32>,
    /// From which port endpoints send RTP, by group and endpoint: what their first message offered.
    pub ports: BTreeMap<(String, u32), u16>,
}

impl Evidence {
    /// The seconds of media that ended within these bounds, cluster time in milliseconds.
    pub fn between(&self, from: i64, until: i64) -> Vec<&Row> {
        let intervals = self.rows.iter().filter(|row| row.is_interval());
        intervals.filter(|row| (from..until).contains(&row.at)).collect()
    }

    /// All seconds of media.
    pub fn intervals(&self) -> Vec<&Row> {
        self.between(i64::MIN, i64::MAX)
    }
}

/// Figures of rows that have them.
pub fn figures(rows: &[&Row], figure: fn(&Row) -> Option<f64>) -> Vec<f64> {
    rows.iter().filter_map(|row| figure(row)).collect()
}

/// Their sum.
pub fn sum(rows: &[&Row], figure: fn(&Row) -> Option<f64>) -> f64 {
    figures(rows, figure).iter().sum()
}

/// Which share of the rows say that the generator was late, per cent; `None` without rows.
pub fn late_share(rows: &[&Row]) -> Option<f64> {
    let late = rows.iter().filter(|row| row.says_late()).count();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand rows")]
    let share = late as f64 / rows.len() as f64 * 100.0;
    (!rows.is_empty()).then_some(share)
}

/// Reads all chunks under the folder of a run.
///
/// # Errors
/// A chunk cannot be read.
pub fn read(folder: &Path) -> Result<Evidence> {
    let mut evidence = Evidence::default();
    for chunk in chunks(folder)? {
        let file = chunk
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let traces = file.starts_with("trace-");
        if !traces && !file.starts_with("metrics-") {
            continue;
        }
        let text = File::open(&chunk).with_context(|| chunk.display().to_string())?;
        for line in BufReader::new(MultiGzDecoder::new(text)).lines() {
            let line = line.with_context(|| chunk.display().to_string())?;
            if !traces {
                evidence.rows.push(serde_json::from_str(&line)?);
            } else if !line.contains("\"raw\":") {
                let ending: Ending = serde_json::from_str(&line)?;
                *evidence.details.entry(ending.detail).or_default() += 1;
            } else if line.contains("\"seq\":0,") {
                let first: First = serde_json::from_str(&line)?;
                if let Some(port) = first.audio() {
                    evidence.ports.insert((first.group, first.endpoint), port);
                }
            }
        }
    }
    Ok(evidence)
}

#[derive(Deserialize)]
struct Ending {
    #[serde(default)]
    detail: String,
}

/// The first message of an endpoint.
#[derive(Deserialize)]
struct First {
    group: String,
    endpoint: u32,
    raw: String,
}

impl First {
    fn audio(&self) -> Option<u16> {
        let bytes = BASE64_STANDARD.decode(&self.raw).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("m=audio "))?;
        line.split(' ').next()?.parse().ok()
    }
}

/// In the order in which they were written, those of one assignment after those of another.
fn chunks(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(chunks(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort_by_key(|path| (path.parent().map(Path::to_owned), number(path)));
    Ok(found)
}

/// `metrics-12.jsonl.gz`: 12.
fn number(chunk: &Path) -> u32 {
    let name = chunk.file_name().unwrap_or_default().to_string_lossy();
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn chunk(folder: &Path, name: &str, lines: &[&str]) {
        std::fs::create_dir_all(folder).unwrap();
        let mut gzip = GzEncoder::new(File::create(folder.join(name)).unwrap(), Compression::fast());
        for line in lines {
            writeln!(gzip, "{line}").unwrap();
        }
        gzip.finish().unwrap();
    }

    #[test]
    fn rows_and_reasons_are_read_from_every_assignment() {
        let folder = tempfile::tempdir().unwrap();
        chunk(
            &folder.path().join("0"),
            "metrics-0.jsonl.gz",
            &[r#"{"at":5,"group":"a","endpoint":1,"packets_due":50,"packets_sent":49,"generator_late":1}"#],
        );
        chunk(
            &folder.path().join("1"),
            "metrics-0.jsonl.gz",
            &[
                r#"{"at":9,"group":"a","endpoint":2,"packets_due":50,"packets_sent":50,"mos":4.4,"send_lateness_ms":20.1}"#,
            ],
        );
        chunk(
            &folder.path().join("1"),
            "trace-0.jsonl.gz",
            &[
                r#"{"at":1,"group":"a","endpoint":2,"seq":0,"raw":"SU5WSVRFCm09YXVkaW8gMTY0MDAgUlRQL0FWUCAwCg=="}"#,
                r#"{"at":1,"group":"a","endpoint":2,"detail":"INVITE: 486","code":486}"#,
            ],
        );
        let evidence = read(folder.path()).unwrap();
        let order = chunks(folder.path()).unwrap();
        assert_eq!(
            order.iter().map(|path| number(path)).collect::<Vec<_>>(),
            [0, 0, 0]
        );
        assert_eq!(number(Path::new("a1/metrics-12.jsonl.gz")), 12);
        assert_eq!(evidence.ports, [(("a".to_owned(), 2), 16_400)].into());
        assert_eq!(evidence.details, [("INVITE: 486".to_owned(), 1)].into());
        let all = evidence.intervals();
        assert_eq!((all.len(), late_share(&all)), (2, Some(50.0)));
        assert!(all.iter().all(|row| row.was_late()), "missed, and late");
        let last = evidence.between(6, 10);
        assert_eq!((last.len(), last[0].quality()), (1, 1));
    }
}
