//! Kamailio 5.6: the proxy of the demo, which asks for credentials.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use reeve_testkit::{Child, on_path, until};

use super::sipp::free_port;

const TEMPLATE: &str = include_str!("../../../ops/demo/sip/kamailio.cfg");
const START: Duration = Duration::from_secs(20);

/// A process of Kamailio and its children. They end with it.
pub struct Kamailio {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Kamailio {
    /// Starts it for this realm, where every account has this password; `None`: it is not installed.
    ///
    /// # Errors
    /// It is installed, and does not start.
    pub async fn start(
        folder: &Path,
        before: &[String],
        domain: &str,
        password: &str,
    ) -> Result<Option<Self>> {
        // Debian has it where only root's PATH looks.
        let beside = Path::new("/usr/sbin/kamailio");
        let Some(program) = on_path("kamailio").or_else(|| beside.is_file().then(|| beside.to_owned()))
        else {
            return Ok(None);
        };
        let port = free_port(5_100..9_900)?;
        let file = folder.join("kamailio.cfg");
        let text = TEMPLATE
            .replace("@PORT@", &port.to_string())
            .replace("@DOMAIN@", domain)
            .replace("@PASSWORD@", password);
        std::fs::write(&file, text)?;
        let runtime = folder.join("kamailio");
        std::fs::create_dir_all(&runtime)?;
        let mut words = before.to_vec();
        words.push(program.display().to_string());
        let mut command = Command::new(words.remove(0));
        // Transactions of some seconds at the highest rate must fit into its memory.
        command
            .args(words)
            .args(["-DD", "-E", "-m", "512", "-M", "16", "-f"])
            .arg(&file);
        command.arg("-Y").arg(&runtime);
        let child = Child::spawn("kamailio", command, &folder.join("kamailio.log"))?;
        let wanted = format!("0100007F:{port:04X} ");
        until(START, "Kamailio listens", || async {
            std::fs::read_to_string("/proc/net/udp").is_ok_and(|sockets| sockets.contains(&wanted))
        })
        .await?;
        Ok(Some(Self { child, port }))
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its children end with it, if it is asked.
        let _ = self.child.terminate(Duration::from_secs(5));
    }
}
