//! The nodes of the cluster, as each of them sees itself.

use comfy_table::Cell;
use reeve_proto::json::{ClusterStatusJson, MemberJson};
use reeve_proto::names::name_of;
use reeve_proto::v1::{GetStatusResponse, Member, MemberRole};
use serde::Serialize;

use super::colour::Colour;
use super::table::{Table, coloured_cell};

/// A member and what it says about itself, if it could be asked.
pub(crate) struct NodeView {
    pub(crate) member: Member,
    /// The error text where it could not be asked.
    pub(crate) status: Result<GetStatusResponse, String>,
}

/// `reeve cluster status -o json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterJson {
    cluster_id: String,
    leader_id: u64,
    nodes: Vec<NodeJson>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeJson {
    member: MemberJson,
    reachable: bool,
    lag: Option<u64>,
    status: Option<ClusterStatusJson>,
    error: Option<String>,
}

/// The leader as the highest term knows it; 0 if nobody does.
pub(crate) fn leader_of(views: &[NodeView]) -> u64 {
    let answers = views.iter().filter_map(|view| view.status.as_ref().ok());
    answers
        .max_by_key(|status| (status.term, status.leader_id != 0))
        .map_or(0, |status| status.leader_id)
}

/// Entries of the longest log that a node has not applied.
fn lag(views: &[NodeView], view: &NodeView) -> Option<u64> {
    let status = view.status.as_ref().ok()?;
    let last = views
        .iter()
        .filter_map(|view| view.status.as_ref().ok())
        .map(|status| status.last_log_index)
        .max()?;
    Some(last.saturating_sub(status.last_applied_index))
}

/// The document for `-o json`.
pub(crate) fn cluster_json(views: &[NodeView]) -> ClusterJson {
    let cluster_id = views
        .iter()
        .find_map(|view| view.status.as_ref().ok())
        .map_or_else(String::new, |status| status.cluster_id.clone());
    let nodes = views.iter().map(|view| NodeJson {
        member: MemberJson::from(&view.member),
        reachable: view.status.is_ok(),
        lag: lag(views, view),
        status: view.status.as_ref().ok().map(ClusterStatusJson::from),
        error: view.status.as_ref().err().cloned(),
    });
    ClusterJson {
        cluster_id,
        leader_id: leader_of(views),
        nodes: nodes.collect(),
    }
}

/// What a node that leads, or else one that answers, says of each member: only there do workers and flaps count (R108).
fn members_of(views: &[NodeView]) -> &[Member] {
    let answers = || views.iter().filter_map(|view| view.status.as_ref().ok());
    let leader = leader_of(views);
    answers()
        .find(|status| status.node_id == leader)
        .or_else(|| answers().next())
        .map_or(&[], |status| &status.members)
}

/// One line per node; `wide` adds the workers that are connected there and how many of them flap, to compare nodes by (R108).
pub(crate) fn cluster_table(views: &[NodeView], wide: bool) -> String {
    let leader = leader_of(views);
    let members = members_of(views);
    let mut headings = vec![
        "#ID",
        "NAME",
        "ROLE",
        "STATE",
        "#TERM",
        "#APPLIED",
        "#REVISION",
        "#LAG",
        "#SESSIONS",
        "REACHABLE",
        "GRPC",
    ];
    if wide {
        headings.extend(["#WORKERS", "#FLAPPING", "#FLAPS/H"]);
    }
    let mut table = Table::new(&headings);
    for view in views {
        let member = &view.member;
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let status = view.status.as_ref().ok();
        let state = match status {
            None => Cell::new("-"),
            Some(_) if member.node_id == leader => coloured_cell("leader", Some(Colour::Green)),
            Some(status) if status.leader_id == 0 => coloured_cell("no leader", Some(Colour::Yellow)),
            Some(_) => Cell::new("follower"),
        };
        let reachable = if status.is_some() {
            Cell::new("yes")
        } else {
            coloured_cell("no", Some(Colour::Red))
        };
        let mut cells = vec![
            Cell::new(member.node_id),
            Cell::new(&member.name),
            Cell::new(name_of::<MemberRole>(member.role)),
            state,
            Cell::new(number(status.map(|status| status.term))),
            Cell::new(number(status.map(|status| status.last_applied_index))),
            Cell::new(number(status.map(|status| status.revision))),
            Cell::new(number(lag(views, view))),
            Cell::new(number(status.map(|status| u64::from(status.sessions)))),
            reachable,
            Cell::new(&member.grpc_addr),
        ];
        if wide {
            let known = members.iter().find(|known| known.node_id == member.node_id);
            cells.extend(flap_cells(known.unwrap_or(member)));
        }
        table.row(cells);
    }
    table.render()
}

fn flap_cells(member: &Member) -> [Cell; 3] {
    let alarming = |count: u32| {
        let colour = (count > 0).then_some(Colour::Yellow);
        coloured_cell(&count.to_string(), colour)
    };
    [
        Cell::new(member.workers),
        alarming(member.flapping_workers),
        alarming(member.flaps_last_hour),
    ]
}

/// One line per member, as one node knows them.
pub(crate) fn member_table(members: &[Member]) -> String {
    let mut table = Table::new(&[
        "#ID", "NAME", "ROLE", "LEADER", "HEARD", "#MATCHED", "RAFT", "GRPC", "HTTP",
    ]);
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    for member in members {
        table.row(vec![
            Cell::new(member.node_id),
            Cell::new(&member.name),
            Cell::new(name_of::<MemberRole>(member.role)),
            Cell::new(yes(member.leader)),
            Cell::new(yes(member.reachable)),
            Cell::new(
                member
                    .matched_index
                    .map_or_else(|| "-".to_owned(), |index| index.to_string()),
            ),
            Cell::new(&member.raft_addr),
            Cell::new(&member.grpc_addr),
            Cell::new(&member.http_addr),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn view(id: u64, status: Result<(u64, u64, u64), &str>) -> NodeView {
        NodeView {
            member: Member {
                node_id: id,
                name: format!("n{id}"),
                role: MemberRole::Voter.into(),
                ..Default::default()
            },
            status: status
                .map_err(str::to_owned)
                .map(|(term, leader, applied)| GetStatusResponse {
                    node_id: id,
                    term,
                    leader_id: leader,
                    last_applied_index: applied,
                    last_log_index: applied,
                    ..Default::default()
                }),
        }
    }

    #[test]
    fn the_leader_is_that_of_the_highest_term_and_lag_counts_from_the_longest_log() {
        let views = [
            view(1, Ok((2, 1, 90))),
            view(2, Ok((3, 2, 100))),
            view(3, Err("connection refused")),
        ];
        let text = cluster_table(&views, false);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[1][..8],
            ["1", "n1", "VOTER", "follower", "2", "90", "0", "10"]
        );
        assert_eq!(
            lines[2][..8],
            ["2", "n2", "VOTER", "leader", "3", "100", "0", "0"]
        );
        assert_eq!(lines[3][3..], ["-", "-", "-", "-", "-", "-", "no"]);
        let json = serde_json::to_value(cluster_json(&views)).unwrap();
        assert_eq!(json["leaderId"], 2);
        assert_eq!(json["nodes"][2]["error"], "connection refused");
    }

    // Covers: R108
    #[test]
    fn wide_lets_one_compare_flapping_between_nodes_as_the_leader_counts_it() {
        let mut views = [view(1, Ok((3, 2, 90))), view(2, Ok((3, 2, 90)))];
        let member = |id, workers, flapping_workers, flaps_last_hour| Member {
            node_id: id,
            workers,
            flapping_workers,
            flaps_last_hour,
            ..Default::default()
        };
        views[0].status.as_mut().unwrap().members = vec![member(1, 0, 0, 0), member(2, 0, 0, 0)];
        views[1].status.as_mut().unwrap().members = vec![member(1, 70, 40, 210), member(2, 71, 1, 1)];
        let text = cluster_table(&views, true);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert!(lines[0].ends_with("WORKERS  FLAPPING  FLAPS/H"), "{text}");
        assert!(lines[1].ends_with("70        40      210"), "{text}");
        assert!(lines[2].ends_with("71         1        1"), "{text}");
    }

    #[test]
    fn without_a_leader_it_says_so() {
        let views = [view(1, Ok((2, 0, 90)))];
        assert_eq!(leader_of(&views), 0);
        assert!(cluster_table(&views, false).contains("no leader"));
    }
}
