//! Known bugs: only a program that is built with them has them, it has the one that is asked for, and what shows when nodes freeze and
//! leaders change.

use crate::cluster::SOON;
use crate::process::Process;

/// How a node ends that is asked to be this mutant, and what it says.
fn ends(name: &str) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data").display().to_string();
    let args = ["node", "--id", "1", "--data-dir", &data].map(str::to_owned);
    let env = [("REEVE_MUTANT", name.to_owned())];
    let mut node = Process::start(&dir.path().join("log"), &args, &env);
    let code = node.exit_code(SOON);
    assert!(!std::path::Path::new(&data).exists(), "it touched nothing");
    (code, node.printed())
}

#[cfg(not(feature = "mutants"))]
#[test]
fn a_program_without_mutants_does_not_start_as_one() {
    let (code, printed) = ends("no-fence");
    assert_eq!(code, 1, "{printed}");
    assert!(
        printed.contains("REEVE_MUTANT=no-fence") && printed.contains("without the feature mutants"),
        "{printed}"
    );
}

#[test]
fn a_mutant_that_there_is_not_is_refused_by_name() {
    let (code, printed) = ends("no-such-bug");
    assert_eq!(code, 1, "{printed}");
    assert!(
        printed.contains("REEVE_MUTANT=no-such-bug: there is no such mutant"),
        "{printed}"
    );
}

#[cfg(feature = "mutants")]
mod bites {
    use std::time::Duration;

    use nix::sys::signal::Signal;
    use reeve_proto::v1::WorkerStatus;

    use crate::cluster::{Cluster, DOWN_AFTER_MS, SOON, definition};
    use crate::process::{pass, until};
    use crate::witness::Witness;

    fn cluster(mutant: &'static str, workers: usize) -> Cluster {
        let mut cluster = Cluster::start_with(3, workers, &[("REEVE_MUTANT", mutant)]);
        for node in 0..3 {
            let printed = cluster.node(node).printed();
            assert!(
                printed.contains("THIS NODE HAS A KNOWN BUG") && printed.contains(mutant),
                "{printed}"
            );
        }
        cluster
    }

    #[test]
    fn mutant_offline_local_clock_gives_up_healthy_workers_when_the_frozen_leader_wakes() {
        let mut cluster = cluster("offline-local-clock", 0);
        let leader = cluster.leader();
        let other = (0..3).find(|node| *node != leader).unwrap();
        for name in ["a", "b", "c"] {
            cluster.create_worker(name);
            let address = cluster.grpc(other);
            cluster.start_worker_at(name, &address);
            cluster.until_worker(name, "ONLINE");
        }
        let witness = Witness::at(&cluster, other);
        cluster.node(leader).signal(Signal::SIGSTOP);
        pass(Duration::from_millis(DOWN_AFTER_MS) + Duration::from_secs(3));
        assert!(
            witness
                .statuses()
                .values()
                .all(|statuses| !statuses.contains(&WorkerStatus::Offline))
        );
        cluster.node(leader).signal(Signal::SIGCONT);
        // Not each of them: one that changed its node meanwhile has a session that the sleeper does not know.
        until("a healthy worker is given up", SOON, || {
            let given_up = |statuses: &Vec<WorkerStatus>| statuses.contains(&WorkerStatus::Offline);
            witness.statuses().values().any(given_up).then_some(())
        });
    }

    /// Leadership goes to this node.
    fn lead(cluster: &Cluster, node: usize) {
        cluster.json(&["cluster", "transfer-leader", &(node + 1).to_string()]);
        until("it leads", SOON, || (cluster.leader() == node).then_some(()));
    }

    #[test]
    fn mutant_no_fence_lets_a_leader_act_for_a_term_that_is_over() {
        let mut cluster = cluster("no-fence", 1);
        cluster.apply(&definition("smoke", 10, 1));
        let first = cluster.leader();
        lead(&cluster, (first + 1) % 3);
        lead(&cluster, first);
        let id = cluster.start_run("smoke");
        cluster.until_run(&id, &["COMPLETED"]);
        let printed = cluster.node(first).printed();
        let began = printed.matches("reconciler leads").count();
        assert_eq!(
            began, 1,
            "it plans for its first term, which it never noticed the end of: {printed}"
        );
        assert!(
            printed.contains("every endpoint is CLOSED"),
            "and gets through: {printed}"
        );
    }
}
