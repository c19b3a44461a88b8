//! Processes (I13): none ends by itself, none panics, none grows without end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::story::Story;
use super::verdict::Finding;
use crate::event::What;

/// So many samples of one life of a process are compared: the middle of the first with the middle of the last.
const COMPARED: usize = 5;
/// A process may use twice what it did and so much more: state, logs and caches of a scenario are smaller.
const RSS_MORE_KIB: u64 = 256 * 1024;
const FILES_MORE: u64 = 256;
const DISK_MORE_KIB: u64 = 1024 * 1024;
/// Most lines of logs that are cited.
const CITED: usize = 20;

/// All of them. Logs are the files that processes write.
///
/// # Errors
/// A log cannot be read.
pub fn all(story: &Story<'_>, logs: &[PathBuf]) -> Result<Vec<Finding>> {
    Ok(vec![ends(story), panics(logs)?, expected(story), growth(story)])
}

fn ends(story: &Story<'_>) -> Finding {
    let mut finding = Finding::of("I13", "no process ends by itself");
    for event in story.events {
        finding.examined += usize::from(matches!(event.what, What::Started { .. }));
        if let What::Ended {
            process,
            expected: false,
            how,
        } = &event.what
        {
            let what = format!("{process} ended by itself at {} µs: {how}", event.at);
            finding.violations.push(what);
        }
    }
    finding
}

fn panics(logs: &[PathBuf]) -> Result<Finding> {
    let mut finding = Finding::of("I13", "nothing panics");
    for path in logs {
        finding.examined += 1;
        // A log of a process that was killed may end within a character.
        let text = std::fs::read(path).with_context(|| path.display().to_string())?;
        let text = String::from_utf8_lossy(&text);
        let lines = (1..).zip(text.lines());
        for (number, line) in lines.filter(|(_, line)| is_panic(line)) {
            let file = name(path);
            finding.violations.push(format!("{file}:{number}: {line}"));
        }
    }
    finding.violations.truncate(CITED);
    Ok(finding)
}

fn is_panic(line: &str) -> bool {
    line.contains("panicked at") || line.contains("stack overflow")
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What the driver of the scenario saw that the system must do under a fault.
fn expected(story: &Story<'_>) -> Finding {
    let mut finding = Finding::of("I13", "the system does under a fault what it must");
    for event in story.events {
        if let What::Expected { rule, met, seen } = &event.what {
            finding.examined += 1;
            if !met {
                let what = format!("{rule}, at {} µs: {seen}", event.at);
                finding.violations.push(what);
            }
        }
    }
    finding
}

type Sample = (u64, [u64; 3]);
const USES: [(&str, u64); 3] = [
    ("KiB of memory", RSS_MORE_KIB),
    ("open files", FILES_MORE),
    ("KiB on disk", DISK_MORE_KIB),
];

/// The middle of the first samples of a life of a process against the middle of the last: one sample alone says nothing.
fn growth(story: &Story<'_>) -> Finding {
    let mut finding = Finding::of("I13", "no process grows without end");
    let mut lives: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
    let mut most = [0; 3];
    for event in story.events {
        if let What::Started { process, .. } = &event.what
            && let Some(life) = lives.remove(process.as_str())
        {
            compare(process, &life, &mut finding);
        }
        if let What::Used {
            process,
            rss_kib,
            files,
            disk_kib,
        } = &event.what
        {
            let used = [*rss_kib, *files, *disk_kib];
            for (most, used) in most.iter_mut().zip(used) {
                *most = used.max(*most);
            }
            lives.entry(process).or_default().push((event.at, used));
        }
    }
    for (process, life) in lives {
        compare(process, &life, &mut finding);
    }
    let [rss, files, disk] = most;
    let note = format!("at most {rss} KiB of memory, {files} open files, {disk} KiB on disk");
    finding.notes.push(note);
    finding
}

fn compare(process: &str, life: &[Sample], finding: &mut Finding) {
    if life.len() < 2 * COMPARED {
        return;
    }
    finding.examined += 1;
    // A process that has just begun has not got what it needs: the first tenth is not looked at.
    let begun = &life[life.len() / 10..];
    for (at, (what, more)) in USES.iter().enumerate() {
        let middle = |samples: &[Sample]| {
            let mut values: Vec<u64> = samples.iter().map(|(_, used)| used[at]).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        let first = middle(&begun[..COMPARED]);
        let last = middle(&life[life.len() - COMPARED..]);
        if last > 2 * first + more {
            finding.violations.push(format!(
                "{process} used {first} {what} at {} µs and {last} at {} µs",
                begun[0].0,
                life[life.len() - 1].0
            ));
        }
    }
}

#[cfg(test)]
mod tests;
