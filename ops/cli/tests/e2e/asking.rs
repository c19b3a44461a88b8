//! What is asked of a cluster by its own program, as a user asks it.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cluster::{Cluster, SOON};
use crate::process::{ADMIN_KEY, Process, REEVE, until};

/// What a command printed, and how it ended.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Cluster {
    /// Runs `reeve ARGS` against all nodes.
    pub fn reeve(&self, args: &[&str]) -> Ran {
        self.reeve_at(&self.addresses(), args)
    }

    pub fn reeve_at(&self, addresses: &str, args: &[&str]) -> Ran {
        self.reeve_as(Some(ADMIN_KEY), addresses, args)
    }

    /// Runs `reeve ARGS` with this key, or with none.
    pub fn reeve_as(&self, key: Option<&str>, addresses: &str, args: &[&str]) -> Ran {
        let output = Command::new(REEVE)
            .args(args)
            .env("REEVE_ADDR", addresses)
            .env_remove("REEVE_API_KEY")
            .envs(key.map(|key| ("REEVE_API_KEY", key)))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts `reeve ARGS` against all nodes and lets it run.
    pub fn spawn_reeve(&self, name: &str, args: &[&str]) -> Process {
        self.spawn_reeve_as(ADMIN_KEY, name, args)
    }

    pub fn spawn_reeve_as(&self, key: &str, name: &str, args: &[&str]) -> Process {
        let env = [
            ("REEVE_ADDR", self.addresses()),
            ("REEVE_API_KEY", key.to_owned()),
        ];
        let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Process::start(&self.log(name), &args, &env)
    }

    /// Runs `reeve ARGS`, which must be refused; what it said.
    pub fn refused(&self, args: &[&str]) -> String {
        let ran = self.reeve(args);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (1, ""),
            "reeve {args:?}: {}",
            ran.stderr
        );
        ran.stderr
    }

    /// Runs `reeve -o json ARGS`, which must succeed.
    pub fn json(&self, args: &[&str]) -> Value {
        self.json_at(&self.addresses(), args)
    }

    pub fn json_at(&self, addresses: &str, args: &[&str]) -> Value {
        let ran = self.reeve_at(addresses, &[&["-o", "json"], args].concat());
        assert_eq!(ran.code, 0, "reeve {args:?}: {}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", ran.stdout))
    }

    /// Writes a definition and applies it.
    pub fn apply(&self, yaml: &str) -> Value {
        let file = self.dir.path().join("definition.yaml");
        std::fs::write(&file, yaml).unwrap();
        self.json(&["test", "apply", "-f", file.to_str().unwrap()])
    }

    pub fn start_run(&self, test: &str) -> String {
        self.json(&["run", "start", test])["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub fn run(&self, id: &str) -> Value {
        self.json(&["run", "get", id])
    }

    /// Waits until the run is in one of these statuses and gives it.
    pub fn until_run(&self, id: &str, statuses: &[&str]) -> Value {
        until(&format!("run {id} is {statuses:?}"), SOON, || {
            let run = self.run(id);
            statuses.contains(&run["status"].as_str().unwrap()).then_some(run)
        })
    }

    /// Waits until at least `count` endpoints are in the phase.
    pub fn until_phase(&self, id: &str, phase: &str, count: u64) {
        until(&format!("{count} endpoints are {phase}"), SOON, || {
            let run = self.run(id);
            (run["endpoints"]["byPhase"][phase].as_u64().unwrap_or(0) >= count).then_some(())
        });
    }

    pub fn worker(&self, name: &str) -> Value {
        self.json(&["worker", "get", name])
    }

    pub fn until_worker(&self, name: &str, status: &str) -> Value {
        until(&format!("worker {name} is {status}"), SOON, || {
            let worker = self.worker(name);
            (worker["status"] == status).then_some(worker)
        })
    }

    /// None of these secrets is in what any process printed.
    pub fn assert_never_printed(&self, secrets: &[&str]) {
        let logs = std::fs::read_dir(self.dir.path()).unwrap();
        let logs = logs.map(|entry| entry.unwrap().path());
        let logs: Vec<_> = logs
            .filter(|path| path.extension().is_some_and(|end| end == "log"))
            .collect();
        assert!(!logs.is_empty());
        for log in logs {
            let printed = std::fs::read_to_string(&log).unwrap();
            for secret in secrets {
                // Without its prefix too.
                let hex = secret.rsplit('_').next().unwrap();
                assert!(!printed.contains(hex), "a secret in {}", log.display());
            }
        }
    }
}
