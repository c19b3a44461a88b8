//! Facts about the machine, without which no figure means anything.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, read_to_string};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

const SYNCS: usize = 300;
/// Load average from which a machine counts as not idle.
const BUSY: f64 = 0.5;
const SYNC_BYTES: usize = 512;

/// The machine and its disk.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// As the processor names itself.
    pub cpu: String,
    /// Threads that run at once.
    pub cores: usize,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// Processes that ran or waited when the measurements began, mean over a minute: above 0 the machine was not idle.
    pub load_average: f64,
    /// The same when they ended, our own load included.
    pub load_average_at_end: f64,
    /// Mean time of one append of 512 bytes and fdatasync on the disk that everyone used, microseconds.
    pub fdatasync_mean_us: f64,
    /// 99 % of them took at most this, microseconds.
    pub fdatasync_p99_us: f64,
}

impl Machine {
    /// Looks, and tries the disk under `directory`.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn look(directory: &Path) -> Result<Self> {
        let mut syncs = sync_times(directory)?;
        syncs.sort();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let total: Duration = syncs.iter().sum();
        let p99 = syncs[(syncs.len() - 1) * 99 / 100];
        Ok(Self {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism()?.get(),
            memory_bytes: kib(&field("/proc/meminfo", "MemTotal")) * 1_024,
            kernel: read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            load_average: load_average(),
            load_average_at_end: 0.0,
            fdatasync_mean_us: micros(total) / f64::from(u32::try_from(syncs.len())?),
            fdatasync_p99_us: micros(p99),
        })
    }
}

impl Machine {
    /// Says so if something else was running when the measurements began.
    pub fn remark(&self, remarks: &mut Vec<String>) {
        if self.load_average >= BUSY {
            let load = self.load_average;
            remarks.push(format!(
                "the machine was not idle (load average {load:.1} at the start): trust ratios, not figures"
            ));
        }
    }
}

/// Mean number of processes that ran or waited in the last minute.
pub fn load_average() -> f64 {
    let text = read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
}

/// Resident memory of a process, bytes; `None` if it is gone.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let path = format!("/proc/{pid}/status");
    Path::new(&path)
        .exists()
        .then(|| kib(&field(&path, "VmRSS")) * 1_024)
}

/// The most resident memory that a process has ever had, bytes; `None` if it is gone.
pub fn peak_resident_bytes(pid: u32) -> Option<u64> {
    let path = format!("/proc/{pid}/status");
    Path::new(&path)
        .exists()
        .then(|| kib(&field(&path, "VmHWM")) * 1_024)
}

/// CPU time of the threads of a process that run now, by their names; threads of one name are one.
pub fn cpu_of_threads(pid: u32) -> BTreeMap<String, Duration> {
    let mut times = BTreeMap::new();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    for task in tasks.flatten() {
        let read = |file: &str| read_to_string(task.path().join(file)).unwrap_or_default();
        // Nanoseconds on a processor come first.
        let nanos = read("schedstat")
            .split(' ')
            .next()
            .and_then(|text| text.parse().ok());
        *times.entry(read("comm").trim().to_owned()).or_default() += Duration::from_nanos(nanos.unwrap_or(0));
    }
    times
}

/// UDP datagrams that this machine has sent since it started, by all processes.
pub fn datagrams_sent() -> Option<u64> {
    datagrams(&read_to_string("/proc/net/snmp").ok()?)
}

/// A line of names and one of values.
fn datagrams(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let mut pairs = names.split(' ').zip(values.split(' '));
    pairs.find(|(name, _)| *name == "OutDatagrams")?.1.parse().ok()
}

/// CPU time that a process has used, user and system; `None` if it is gone.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    /// Clock ticks a second that Linux reports in, on every architecture that we run on.
    const TICKS: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything: state is the first field, utime the twelfth, stime the thirteenth.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS))
}

/// Value of the first line `NAME: VALUE` of a file of /proc; empty if there is none.
fn field(path: &str, name: &str) -> String {
    let text = read_to_string(path).unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(key, _)| key.trim() == name);
    found
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}

fn kib(text: &str) -> u64 {
    let number = text.split_whitespace().next();
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn sync_times(directory: &Path) -> Result<Vec<Duration>> {
    let path = directory.join("fdatasync.probe");
    let mut file: File = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let before = Instant::now();
        file.write_all(&[0; SYNC_BYTES])?;
        file.sync_data()?;
        times.push(before.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(times)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_machine_says_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let machine = Machine::look(directory.path()).unwrap();
        assert!(machine.cores > 0 && machine.memory_bytes > 0 && !machine.kernel.is_empty());
        assert!(machine.fdatasync_mean_us > 0.0 && machine.fdatasync_p99_us > 0.0);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn datagrams_are_found_by_the_name_of_their_column() {
        let snmp = "Ip: A B\nIp: 1 2\nUdp: InDatagrams NoPorts InErrors OutDatagrams\nUdp: 5 6 7 8\n";
        assert_eq!(datagrams(snmp), Some(8));
        assert_eq!(datagrams("Tcp: A\nTcp: 1\n"), None);
    }

    #[test]
    fn threads_have_names_and_times() {
        let times = cpu_of_threads(std::process::id());
        assert!(times.values().any(|time| !time.is_zero()), "{times:?}");
        // In this order: it may grow between the two looks.
        let resident = resident_bytes(std::process::id());
        assert!(peak_resident_bytes(std::process::id()) >= resident);
    }

    #[test]
    fn this_process_has_memory_and_one_that_does_not_exist_has_none() {
        assert!(resident_bytes(std::process::id()).unwrap() > 100_000);
        assert_eq!(resident_bytes(u32::MAX), None);
        assert!(cpu_time(std::process::id()).is_some());
        assert_eq!(cpu_time(u32::MAX), None);
    }
}
