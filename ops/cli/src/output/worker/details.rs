//! Everything about one worker, below its line.

use std::fmt::Write;

use comfy_table::Cell;
use reeve_proto::names::Named;
use reeve_proto::v1::{LivenessProfile, Worker, WorkerCapacity};

use super::drain::{drain_line, wait_lines};
use super::labels;
use crate::output::table::{Table, age, or_dash, until};

/// Widest label and two blanks.
const LABEL_WIDTH: usize = 12;

pub(super) fn details(worker: &Worker) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (label, value) in facts(worker) {
        let _ = writeln!(text, "{label:LABEL_WIDTH$}{value}");
    }
    if !worker.conditions.is_empty() {
        let _ = writeln!(text, "\n{}", conditions(worker));
    }
    if let Some(drain) = &worker.drain {
        let _ = writeln!(text, "\n{}", drain_line(worker, drain));
        for line in wait_lines(drain) {
            let _ = writeln!(text, "{line}");
        }
    }
    text.trim_end().to_owned()
}

fn facts(worker: &Worker) -> Vec<(&'static str, String)> {
    let capacity = worker.capacity.unwrap_or_default();
    let mut facts = vec![
        ("Capacity", capacity_text(capacity)),
        // Side by side, so that one sees whether a worker that was lost had too much to do (R112).
        (
            "Endpoints",
            format!("{} active of {}", worker.active_endpoints, capacity.total),
        ),
        ("Resources", resources(worker)),
        ("Heartbeats", heartbeats(worker)),
        ("Flaps", flaps(worker)),
    ];
    facts.push(("Profile", profile(worker)));
    // A ping worker shows the key of a caller instead.
    if worker.profile() != LivenessProfile::Ping {
        facts.push(("Token", token(worker)));
    }
    facts.push(("Labels", or_dash(&labels(worker)).to_owned()));
    if !worker.function_blocks.is_empty() {
        facts.push(("Functions", worker.function_blocks.join(", ")));
    }
    facts.push(("Created", format!("{} ago", age(worker.created_at.as_ref()))));
    if worker.deleted_at.is_some() {
        facts.push(("Deleted", format!("{} ago", age(worker.deleted_at.as_ref()))));
    }
    facts
}

fn capacity_text(capacity: WorkerCapacity) -> String {
    let limit = |limit: u32, none: &str| {
        if limit == 0 {
            none.to_owned()
        } else {
            limit.to_string()
        }
    };
    let sip = capacity.sip_total.map_or_else(String::new, |total| {
        format!("; of SIP {total}: {} reserved", capacity.sip_reserved)
    });
    format!(
        "{} endpoints: {} reserved, {} free (configured: {}, reported: {}){sip}",
        capacity.total,
        capacity.reserved,
        capacity.free,
        limit(capacity.configured, "no limit"),
        limit(capacity.reported, "not yet"),
    )
}

fn resources(worker: &Worker) -> String {
    worker.resources.map_or_else(
        || "not reported".to_owned(),
        |used| {
            format!(
                "CPU {} %, memory {} %, disk {} %",
                used.cpu_percent, used.memory_percent, used.disk_percent
            )
        },
    )
}

fn heartbeats(worker: &Worker) -> String {
    let mut text = match &worker.last_heard_at {
        None => "never heard by this node".to_owned(),
        Some(_) => format!("last heard {} ago", age(worker.last_heard_at.as_ref())),
    };
    let _ = write!(text, ", {} missed in a row", worker.missed_heartbeats);
    if !worker.session_node.is_empty() {
        let _ = write!(
            text,
            ", session {} on {}",
            worker.session_epoch, worker.session_node
        );
    }
    if let Some(skew_ms) = worker.clock_skew_ms {
        let direction = if skew_ms < 0 { "behind" } else { "ahead" };
        let _ = write!(text, ", its clock {} ms {direction}", skew_ms.unsigned_abs());
    }
    text
}

fn flaps(worker: &Worker) -> String {
    let flaps = worker.flaps.unwrap_or_default();
    format!("{} in the last hour, {} in all", flaps.last_hour, flaps.total)
}

fn profile(worker: &Worker) -> String {
    let mut text = match worker.profile() {
        LivenessProfile::Unspecified => "-".to_owned(),
        profile @ (LivenessProfile::Session | LivenessProfile::Ping) => profile.name().to_lowercase(),
    };
    if !worker.version.is_empty() {
        let _ = write!(text, ", version {}", worker.version);
    }
    if !worker.ip_address.is_empty() {
        let _ = write!(text, ", at {}", worker.ip_address);
    }
    text
}

fn token(worker: &Worker) -> String {
    match &worker.token_expires_at {
        None => "does not expire".to_owned(),
        Some(_) => format!("expires {}", until(worker.token_expires_at.as_ref())),
    }
}

fn conditions(worker: &Worker) -> String {
    let mut table = Table::new(&["CONDITION", "STATE", "REASON", "SINCE", "ACTOR", "MESSAGE"]);
    for condition in &worker.conditions {
        table.row(vec![
            Cell::new(&condition.r#type),
            Cell::new(or_dash(&condition.state)),
            Cell::new(or_dash(&condition.reason)),
            Cell::new(age(condition.since.as_ref())),
            Cell::new(or_dash(&condition.actor)),
            Cell::new(or_dash(&condition.message)),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use reeve_proto::v1::{WorkerCondition, WorkerFlaps, WorkerResources};

    use super::*;

    fn worker() -> Worker {
        Worker {
            name: "w1".into(),
            capacity: Some(WorkerCapacity {
                total: 100,
                reserved: 40,
                free: 60,
                configured: 200,
                reported: 100,
                sip_total: Some(50),
                sip_reserved: 20,
            }),
            active_endpoints: 39,
            missed_heartbeats: 2,
            session_node: "n3".into(),
            session_epoch: 7,
            resources: Some(WorkerResources {
                cpu_percent: 95,
                memory_percent: 34,
                disk_percent: 56,
            }),
            flaps: Some(WorkerFlaps {
                total: 12,
                last_hour: 3,
            }),
            clock_skew_ms: Some(-12),
            conditions: vec![WorkerCondition {
                r#type: "Health".into(),
                state: "Unhealthy".into(),
                reason: "CPU".into(),
                message: "CPU 95 %".into(),
                actor: "worker:w1".into(),
                since: None,
            }],
            ..Default::default()
        }
    }

    // Covers: R105, R112
    #[test]
    fn capacity_endpoints_and_flaps_are_side_by_side() {
        let text = details(&worker());
        for line in [
            "Capacity    100 endpoints: 40 reserved, 60 free (configured: 200, reported: 100); of SIP 50: 20 reserved",
            "Endpoints   39 active of 100",
            "Resources   CPU 95 %, memory 34 %, disk 56 %",
            "Heartbeats  never heard by this node, 2 missed in a row, session 7 on n3, its clock 12 ms behind",
            "Flaps       3 in the last hour, 12 in all",
            "Token       does not expire",
            "Health     Unhealthy  CPU     -      worker:w1  CPU 95 %",
        ] {
            assert!(
                text.lines().any(|shown| shown == line),
                "{line:?} is not in\n{text}"
            );
        }
    }

    #[test]
    fn a_ping_worker_has_no_token_and_says_what_it_can_do() {
        let text = details(&Worker {
            profile: LivenessProfile::Ping.into(),
            version: "2.1".into(),
            ip_address: "10.0.0.7".into(),
            function_blocks: vec!["tools/resize:1.2.0".into()],
            ..Default::default()
        });
        assert!(!text.contains("Token"), "{text}");
        assert!(
            text.contains("Profile     ping, version 2.1, at 10.0.0.7"),
            "{text}"
        );
        assert!(text.contains("Functions   tools/resize:1.2.0"), "{text}");
        assert!(text.contains("configured: no limit, reported: not yet"), "{text}");
    }
}
