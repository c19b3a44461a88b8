//! A real `reeve-worker` process, its log and its status page.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;

use super::until;

const PROGRAM: &str = env!("CARGO_BIN_EXE_reeve-worker");
/// Joins cgroups, then becomes the program.
const JOIN: &str =
    r#"for group in $GROUPS_TO_JOIN; do echo $$ > "$group/cgroup.procs" || exit 99; done; exec "$0" "$@""#;

const RESOLVE: &str = r#"mount --bind "$RESOLV_CONF" /etc/resolv.conf && exec "$0" "$@""#;

/// The state in the kernel's tables.
const LISTENING: &str = "0A";

pub struct WorkerProcess {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl WorkerProcess {
    /// Starts it with a status page on a port of its own choice. Nothing but these variables reaches it.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_in(&[], arguments, environment)
    }

    /// The same, in these cgroups.
    pub fn start_in(groups: &[PathBuf], arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let groups: Vec<&str> = groups.iter().filter_map(|group| group.to_str()).collect();
        let mut command = Command::new("sh");
        command
            .args(["-c", JOIN])
            .env("GROUPS_TO_JOIN", OsStr::new(&groups.join(" ")));
        Self::run(command, arguments, environment)
    }

    /// The same, with another `/etc/resolv.conf`, which no other process sees. Needs root.
    pub fn start_with_resolver(file: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", RESOLVE]).env("RESOLV_CONF", file);
        Self::run(command, arguments, environment)
    }

    fn run(mut command: Command, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        command
            .args([PROGRAM, "--http-addr", "127.0.0.1:0"])
            .args(arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("REEVE_")) {
                command.env_remove(name);
            }
        }
        command
            .env("RUST_LOG", "info,reeve_worker=debug")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let written = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                written.lock().push(line);
            }
        });
        Self { child, lines }
    }

    /// The lines of its log so far that hold the text.
    pub fn log(&self, text: &str) -> Vec<String> {
        let lines = self.lines.lock();
        lines.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// Waits until the log holds the text; gives the first such line.
    pub async fn logs(&self, text: &str) -> String {
        until(text, || !self.log(text).is_empty()).await;
        self.log(text).swap_remove(0)
    }

    /// `GET /healthz`; waits until it is served.
    pub async fn status(&self) -> serde_json::Value {
        let line = self.logs("health and metrics addr=").await;
        let addr = line.rsplit_once('=').unwrap().1.to_owned();
        let answer = tokio::task::spawn_blocking(move || get(&addr)).await.unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// Waits, at most so long, until the status page satisfies the condition; gives that page.
    pub async fn shows(
        &self,
        what: &str,
        within: Duration,
        condition: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let deadline = std::time::Instant::now() + within;
        loop {
            let status = self.status().await;
            if condition(&status) {
                return status;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "not in time: {what}: {status}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Local addresses, as the kernel writes them, of the TCP sockets on which it listens.
    pub fn listens_on(&self) -> Vec<String> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let links = std::fs::read_dir(process.join("fd")).unwrap();
        let sockets: Vec<String> = links
            .filter_map(|entry| {
                std::fs::read_link(entry.ok()?.path())
                    .ok()?
                    .to_str()
                    .map(str::to_owned)
            })
            .collect();
        let mut found = Vec::new();
        for table in ["net/tcp", "net/tcp6"] {
            for line in std::fs::read_to_string(process.join(table))
                .unwrap_or_default()
                .lines()
            {
                let fields: Vec<&str> = line.split_whitespace().collect();
                if fields.len() > 9
                    && fields[3] == LISTENING
                    && sockets.contains(&format!("socket:[{}]", fields[9]))
                {
                    found.push(fields[1].to_owned());
                }
            }
        }
        found
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the end of the process", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(addr: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(
        stream,
        "GET /healthz HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}
