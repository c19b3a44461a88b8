//! SIPp 3.6 (Debian's `sip-tester`): the other side of our calls, and a caller to compare ours with.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reeve_testkit::{Child, on_path, until};

const CALLEE: &str = include_str!("scenario/callee.xml");
const CALLER: &str = include_str!("scenario/caller.xml");
const DIGEST: &str = include_str!("scenario/digest.xml");
const OFFER: &str = include_str!("scenario/offer.sdp");
/// Bursts must fit.
const BUFFER_BYTES: &str = "4194304";
/// Where SIPp begins to look for ports for the RTP of its calls: above those of the worker, which is still there.
const MEDIA: std::ops::Range<u16> = 36_000..40_000;
/// A second of sound, over and over.
const SOUND_BYTES: usize = 8_000;
const START: Duration = Duration::from_secs(10);

/// What a SIPp as callee does with RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rtp {
    /// It sends back what comes.
    Echo,
    /// The answer names this port, where somebody else listens.
    Elsewhere(u16),
    /// The answer says that there is to be none.
    None,
}

/// What a SIPp as caller does.
#[derive(Clone, Debug)]
pub struct CallerSpec {
    /// Where its requests go.
    pub to: u16,
    /// Whom it calls.
    pub target: String,
    /// How many calls.
    pub calls: u32,
    /// How many begin in a second.
    pub per_second: u32,
    /// From answer to BYE.
    pub duration: Duration,
    /// Whether it sends RTP.
    pub rtp: bool,
    /// The password, if a proxy asks for one.
    pub password: Option<&'static str>,
}

/// A process of SIPp.
pub struct Sipp {
    child: Child,
    /// Where it listens.
    pub port: u16,
    statistics: PathBuf,
    counts: PathBuf,
}

impl Sipp {
    /// Whether it is installed, and its version as it says it.
    pub fn version() -> Option<String> {
        on_path("sipp")?;
        let output = Command::new("sipp").arg("-v").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("SIPp v"))?;
        Some(line.trim_start_matches("SIPp v").trim_end_matches('.').to_owned())
    }

    /// One that answers every call. `before` stands before its command.
    ///
    /// # Errors
    /// It does not start.
    pub async fn callee(folder: &Path, name: &str, before: &[String], rtp: Rtp) -> Result<Self> {
        let (media, direction) = match rtp {
            Rtp::Echo => ("[media_port]".to_owned(), "sendrecv"),
            Rtp::Elsewhere(port) => (port.to_string(), "sendrecv"),
            Rtp::None => ("[media_port]".to_owned(), "inactive"),
        };
        let scenario = CALLEE
            .replace("@MEDIA@", &media)
            .replace("@DIRECTION@", direction);
        let mut arguments = Vec::new();
        if rtp == Rtp::Echo {
            arguments.push("-rtp_echo".to_owned());
        }
        // Below the ports of the callers' RTP.
        arguments.extend(["-mp".to_owned(), free_port(10_000..16_000)?.to_string()]);
        let sipp = Self::spawn(folder, name, before, &scenario, arguments)?;
        let wanted = format!("0100007F:{:04X} ", sipp.port);
        until(START, "SIPp listens", || async {
            std::fs::read_to_string("/proc/net/udp").is_ok_and(|sockets| sockets.contains(&wanted))
        })
        .await?;
        Ok(sipp)
    }

    /// One that calls. `before` stands before its command.
    ///
    /// # Errors
    /// It does not start.
    pub fn caller(folder: &Path, name: &str, before: &[String], spec: &CallerSpec) -> Result<Self> {
        let sound = folder.join("sound.ul");
        let bytes: Vec<u8> = (0..SOUND_BYTES).map(|at| (at % 251) as u8).collect();
        std::fs::write(&sound, bytes)?;
        let play = format!(
            "<nop><action><exec rtp_stream=\"{},-1,0,PCMU/8000\"/></action></nop>",
            sound.display()
        );
        let digest = spec
            .password
            .map_or(String::new(), |password| DIGEST.replace("@PASSWORD@", password));
        let scenario = CALLER
            .replace("@DIGEST@", &digest)
            .replace("@PLAY@", if spec.rtp { &play } else { "" })
            .replace("@OFFER@", OFFER.trim_end())
            .replace("@TARGET@", &spec.target);
        let arguments = [
            ("-r", spec.per_second.to_string()),
            ("-m", spec.calls.to_string()),
            ("-l", spec.calls.to_string()),
            ("-d", spec.duration.as_millis().to_string()),
            ("-mp", free_port(MEDIA)?.to_string()),
        ];
        let mut arguments: Vec<String> = arguments
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect();
        arguments.push(format!("127.0.0.1:{}", spec.to));
        Self::spawn(folder, name, before, &scenario, arguments)
    }

    fn spawn(
        folder: &Path,
        name: &str,
        before: &[String],
        scenario: &str,
        arguments: Vec<String>,
    ) -> Result<Self> {
        let file = folder.join(format!("{name}.xml"));
        std::fs::write(&file, scenario)?;
        let port = free_port(5_100..9_900)?;
        let statistics = folder.join(format!("{name}.csv"));
        let mut words = before.to_vec();
        words.push("sipp".to_owned());
        let mut command = Command::new(words.remove(0));
        command.args(words).current_dir(folder).arg("-sf").arg(&file);
        command.args(["-i", "127.0.0.1", "-p", &port.to_string()]);
        command.args(["-mi", "127.0.0.1", "-buff_size", BUFFER_BYTES]);
        command.args(["-nostdin", "-skip_rlimit", "-trace_stat", "-fd", "1", "-stf"]);
        command.arg(&statistics).arg("-trace_counts");
        command.args(arguments);
        let child = Child::spawn(name, command, &folder.join(format!("{name}.log")))?;
        // SIPp names that file by itself.
        let counts = folder.join(format!("{name}_{}_counts.csv", child.pid()));
        Ok(Self {
            child,
            port,
            statistics,
            counts,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// What it has counted so far: at most a second old.
    pub fn so_far(&self) -> Counted {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        Counted::of(&read(&self.statistics), &read(&self.counts))
    }

    /// Waits until it has made all its calls. `look` is called meanwhile, about ten times a second.
    ///
    /// # Errors
    /// It does not end within the limit.
    pub async fn ended(&mut self, limit: Duration, mut look: impl FnMut(u32)) -> Result<Counted> {
        let deadline = Instant::now() + limit;
        while self.child.ended().is_none() {
            look(self.pid());
            if Instant::now() > deadline {
                bail!("SIPp does not end; see {}", self.child.log().display());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(self.so_far())
    }
}

/// What SIPp counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Calls that there are now.
    pub current: u64,
    /// Calls that went as its scenario says.
    pub successful: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Messages that it sent again.
    pub sent_again: u64,
    /// Messages that came again.
    pub came_again: u64,
}

impl Counted {
    /// From the last lines of its two files.
    fn of(statistics: &str, counts: &str) -> Self {
        let (statistics, counts) = (last(statistics), last(counts));
        let of = |name: &str| statistics.get(name).copied().unwrap_or(0);
        // Of messages that it receives; those that it sends have such columns too.
        let again = counts.keys().filter_map(|name| name.strip_suffix("_Recv"));
        let again = again.filter_map(|message| counts.get(&*format!("{message}_Retrans")));
        Self {
            current: of("CurrentCall"),
            successful: of("SuccessfulCall(C)"),
            failed: of("FailedCall(C)"),
            sent_again: of("Retransmissions(C)"),
            came_again: again.sum(),
        }
    }
}

/// Numbers of the last complete line by the names of the first.
fn last(text: &str) -> BTreeMap<&str, u64> {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut lines = complete.lines();
    let (Some(names), Some(values)) = (lines.next(), lines.next_back()) else {
        return BTreeMap::new();
    };
    names
        .split(';')
        .zip(values.split(';'))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect()
}

/// A port that was free a moment ago, below those of RTP.
///
/// # Errors
/// There is none.
pub fn free_port(range: std::ops::Range<u16>) -> Result<u16> {
    // Not from the lowest each time: who was told a port before may not have taken it yet.
    let from = range.start + u16::try_from(crate::numbers::fresh() % 200)? * 4;
    (from..range.end)
        .step_by(4)
        // SIPp takes the ports above its own for RTCP and video.
        .find(|port| (*port..port + 4).all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()))
        .context("no free port for UDP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_last_complete_line() {
        let statistics =
            "CurrentCall;SuccessfulCall(C);FailedCall(C);Retransmissions(C);\n5;1;0;0;\n2;7;1;3;\n9;9";
        let counts =
            "CurrentTime;1_INVITE_Recv;1_INVITE_Retrans;2_180_Sent;3_200_Sent;3_200_Retrans;\nx;9;2;9;9;3;\n";
        let expected = Counted {
            current: 2,
            successful: 7,
            failed: 1,
            sent_again: 3,
            came_again: 2,
        };
        assert_eq!(Counted::of(statistics, counts), expected);
        assert_eq!(Counted::of("", ""), Counted::default());
    }
}
