//! What holds across nodes: looked at while everything runs.

use std::collections::BTreeMap;

use crate::cluster::Cluster;

/// After every tick: who leads, and whether a node had to stop.
pub(crate) fn glance(cluster: &Cluster) {
    for seat in &cluster.seats {
        let Some(context) = seat.context() else { continue };
        let leadership = *context.store.leadership().borrow();
        let fatal = context.store.fatal().borrow().clone();
        let mut eye = cluster.eye.lock();
        if leadership.leader == Some(seat.id) {
            eye.leads(seat.id, leadership.term);
        }
        if let Some(fault) = fatal {
            eye.broken("no node has to stop", format!("{}: {fault}", seat.host()));
        }
    }
}

/// Now and then: logs match, and states are what their logs lead to.
pub(crate) fn compare(cluster: &Cluster) {
    logs_match(cluster);
    for seat in &cluster.seats {
        let Some(context) = seat.context() else { continue };
        let (index, state) = context.store.local_with_index();
        let mut eye = cluster.eye.lock();
        let expected = eye.after_entry(index).map(|state| *state.meta());
        if expected.is_some_and(|expected| expected != *state.meta()) {
            let detail = format!(
                "{} at entry {index}: {:?}, expected {expected:?}",
                seat.host(),
                state.meta()
            );
            eye.broken("a state is what its log leads to", detail);
        }
    }
}

/// Whether every row of every node is what the log leads to.
pub(crate) fn compare_rows(cluster: &Cluster) {
    for seat in &cluster.seats {
        let Some(context) = seat.context() else { continue };
        let (index, state) = context.store.local_with_index();
        let mut eye = cluster.eye.lock();
        let differs = eye
            .after_entry(index)
            .is_some_and(|expected| !expected.rows().eq(state.rows()));
        if differs {
            let detail = format!("{} at entry {index}", seat.host());
            eye.broken("equal states at equal index", detail);
        }
        for violation in reeve_state::invariant::check(&state) {
            eye.broken(violation.law, format!("{}: {}", seat.host(), violation.detail));
        }
    }
}

/// What a log has at an index: the leader who proposed it, term first, and what it says.
type Entry = ((u64, u64), String);

/// Leaders follow each other in every log in the order of their ids, and if two logs have an entry of one leader at an index, they are
/// equal up to there.
fn logs_match(cluster: &Cluster) {
    let logs: Vec<BTreeMap<u64, Entry>> = cluster
        .seats
        .iter()
        .map(|seat| {
            let entries = seat.disk.entries().into_iter();
            entries
                .map(|(index, leader, what)| (index, (leader, what)))
                .collect()
        })
        .collect();
    for (number, log) in logs.iter().enumerate() {
        if !log.values().map(|(leader, _)| leader).is_sorted() {
            let law = "leaders follow each other in the order of their ids";
            cluster
                .eye
                .lock()
                .broken(law, format!("in the log of n{}", number + 1));
        }
    }
    for (number, one) in logs.iter().enumerate() {
        for (more, other) in logs[number + 1..].iter().enumerate() {
            let common = one.iter().rev().filter_map(|(index, mine)| {
                let theirs = other.get(index)?;
                Some((index, mine, theirs))
            });
            let mut agreed = false;
            for (index, mine, theirs) in common {
                agreed |= mine.0 == theirs.0;
                if agreed && mine != theirs {
                    let detail = format!(
                        "entry {index}: n{} has {mine:?}, n{} has {theirs:?}",
                        number + 1,
                        number + more + 2
                    );
                    cluster.eye.lock().broken("logs match", detail);
                    return;
                }
            }
        }
    }
}
