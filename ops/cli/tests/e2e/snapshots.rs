//! A node that was away for so long that the others have cut their logs.

use std::path::Path;

use crate::cluster::SOON;
use crate::nodes::Nodes;
use crate::process::until;

/// The database in force: a new one for each snapshot that came from another node.
fn database(dir: &Path, node: usize) -> String {
    let current = dir.join(format!("n{}/state/CURRENT", node + 1));
    std::fs::read_to_string(current).unwrap().trim().to_owned()
}

fn create(nodes: &Nodes, number: u64) {
    let name = format!("w-{number}");
    let output = nodes.reeve(&["worker", "create", "--name", &name, "--region", "eu"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_node_that_was_away_while_the_log_was_cut_gets_the_whole_state() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--snapshot-after-entries", "20", "--log-keep-entries", "5"];
    let mut nodes = Nodes::start(3, dir.path(), &flags, &[]);
    create(&nodes, 0);
    let away = (nodes.leader() + 1) % 3;
    let had = nodes.status(away).unwrap().last_log_index;
    nodes.kill(away);
    let left: Vec<_> = (0..3).filter(|node| *node != away).collect();
    let mut written = 0;
    until("both logs are cut", 2 * SOON, || {
        written += 1;
        create(&nodes, written);
        let cut = |node: &usize| {
            let purged = nodes.gauge(*node, "reeve_raft_purged_index");
            purged.is_some_and(|purged| purged > had as f64 + 5.0)
        };
        left.iter().all(cut).then_some(())
    });
    assert_eq!(database(dir.path(), away), "db-1");
    nodes.restart(away);
    until("all three have the same state", SOON, || {
        let all: Option<Vec<_>> = (0..3).map(|node| nodes.status(node)).collect();
        let all = all?;
        let same = all.iter().all(|status| {
            !status.state_hash.is_empty()
                && (status.last_applied_index, &status.state_hash)
                    == (all[0].last_applied_index, &all[0].state_hash)
        });
        same.then_some(())
    });
    assert_ne!(
        database(dir.path(), away),
        "db-1",
        "it came as a snapshot, not as entries"
    );
    // What was installed is there after another kill.
    nodes.kill(away);
    nodes.restart(away);
    let local = nodes.reeve_at(&nodes.grpc(away), &["-o", "json", "worker", "list", "--local"]);
    let local = String::from_utf8_lossy(&local.stdout).into_owned();
    assert!(local.contains(&format!("\"w-{written}\"")), "{local}");
}
