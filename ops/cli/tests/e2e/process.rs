//! Child processes that never outlive the test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reeve_proto::bearer::{Bearer, Connection};
use reeve_proto::v1;
use reeve_proto::v1::keys_client::KeysClient;
use tonic::transport::Endpoint;

/// The admin key of every cluster under test.
pub const ADMIN_KEY: &str = "cmk_00112233445566778899aabbccddeeff";

/// What nodes are told beside their flags.
pub fn node_env() -> [(&'static str, String); 1] {
    [("REEVE_BOOTSTRAP_KEY", ADMIN_KEY.to_owned())]
}

/// A connection to a node as an admin; `None` if it does not answer.
pub async fn connect(address: &str) -> Option<Connection> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    let channel = endpoint.connect().await.ok()?;
    Some(Bearer::new(ADMIN_KEY).ok()?.on(channel))
}

/// Whether a node takes our key: before the first key is committed nobody can call.
pub async fn takes_our_key(address: &str) -> Option<()> {
    KeysClient::new(connect(address).await?)
        .who_am_i(v1::WhoAmIRequest {})
        .await
        .ok()
        .map(|_| ())
}

/// The program under test.
pub const REEVE: &str = env!("CARGO_BIN_EXE_reeve");

/// A running `reeve`, killed when it is dropped.
pub struct Process {
    child: Child,
    pub log: PathBuf,
}

impl Process {
    /// Starts `reeve ARGS`; what it prints goes to `log`.
    pub fn start(log: &Path, args: &[String], env: &[(&str, String)]) -> Self {
        let out = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(REEVE);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out);
        // Nothing of the developer's shell may reach the program.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REEVE_")) {
            command.env_remove(name);
        }
        command.envs(env.iter().map(|(name, value)| (name, value)));
        Self {
            child: command.spawn().unwrap(),
            log: log.to_owned(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The exit code, once it ends by itself; 128 + signal if a signal ended it.
    pub fn exit_code(&mut self, deadline: Duration) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let status = until("the process ends", deadline, || self.child.try_wait().unwrap());
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }

    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until somebody takes datagrams at this port of the loopback address.
pub fn until_listened_at(port: u16) {
    let wanted = format!("0100007F:{port:04X} ");
    until("a peer listens", Duration::from_secs(30), || {
        let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
        sockets.contains(&wanted).then_some(())
    });
}

/// Waits for a condition; panics with its name if it does not come true in time.
pub fn until<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Lets real time pass: here silence itself is what is tested.
pub fn pass(time: Duration) {
    let end = Instant::now() + time;
    until("time passes", time * 2 + Duration::from_secs(30), || {
        (Instant::now() >= end).then_some(())
    });
}
