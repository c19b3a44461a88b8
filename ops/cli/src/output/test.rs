//! Tests as lines.

use comfy_table::Cell;
use reeve_proto::definition::format_duration;
use reeve_proto::json::TestJson;
use reeve_proto::v1::group::Executor;
use reeve_proto::v1::{Callee, Selector, Test};

use super::Resource;
use super::table::{Table, age, or_dash};

impl Resource for Test {
    type Json = TestJson;

    fn id(&self) -> &str {
        &self.id
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        if wide {
            Table::new(&[
                "NAME",
                "PROJECT",
                "#VERSION",
                "#ENDPOINTS",
                "DURATION",
                "#GROUPS",
                "ID",
                "UPDATED",
                "#REVISION",
            ])
        } else {
            Table::new(&["NAME", "#VERSION", "#ENDPOINTS", "DURATION", "UPDATED", "ID"])
        }
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let definition = self.definition.clone().unwrap_or_default();
        let endpoints: u64 = definition
            .groups
            .iter()
            .map(|group| u64::from(group.endpoints))
            .sum();
        let duration = definition
            .duration
            .as_ref()
            .map_or_else(|| "-".to_owned(), format_duration);
        let updated = age(self.updated_at.as_ref().or(self.created_at.as_ref()));
        let mut cells = vec![Cell::new(&self.name)];
        if wide {
            cells.push(Cell::new(&self.project));
        }
        cells.extend([Cell::new(self.version), Cell::new(endpoints), Cell::new(duration)]);
        if wide {
            cells.extend([
                Cell::new(definition.groups.len()),
                Cell::new(&self.id),
                Cell::new(updated),
                Cell::new(self.revision),
            ]);
        } else {
            cells.extend([Cell::new(updated), Cell::new(&self.id)]);
        }
        table.row(cells);
    }

    fn details(&self) -> String {
        let Some(definition) = &self.definition else {
            return String::new();
        };
        let mut table = Table::new(&["GROUP", "#ENDPOINTS", "WORKERS", "EXECUTOR", "CALLS"]);
        for group in &definition.groups {
            table.row(vec![
                Cell::new(&group.name),
                Cell::new(group.endpoints),
                Cell::new(workers(group.selector.as_ref())),
                Cell::new(match group.executor {
                    Some(Executor::Sim(_)) => "sim",
                    Some(Executor::Sip(_)) => "sip",
                    None => "-",
                }),
                Cell::new(or_dash(group.callee.as_ref().map_or("", whom))),
            ]);
        }
        table.render()
    }
}

/// The group that is called, or the URI.
fn whom(callee: &Callee) -> &str {
    if callee.group.is_empty() {
        &callee.uri
    } else {
        &callee.group
    }
}

/// Which workers may take a group, as the definition says it.
fn workers(selector: Option<&Selector>) -> String {
    let Some(selector) = selector else {
        return "any".to_owned();
    };
    let named = [("worker", &selector.worker_id), ("region", &selector.region)];
    let mut parts: Vec<String> = named
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(field, value)| format!("{field}={value}"))
        .collect();
    parts.extend(
        selector
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}")),
    );
    if parts.is_empty() {
        "any".to_owned()
    } else {
        parts.join(",")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_test_shows_its_groups_and_the_workers_they_want() {
        let yaml = "
name: t
duration: 1s
groups:
- {name: a, endpoints: 10, region: eu, labels: {disk: ssd}}
- {name: b, endpoints: 5, callee: {group: a}}
";
        let test = Test {
            definition: Some(crate::definition_file::parse(yaml).unwrap()),
            ..Default::default()
        };
        let lines: Vec<String> = test.details().lines().map(str::to_owned).collect();
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["a", "10", "region=eu,disk=ssd", "sim", "-"]
        );
        assert_eq!(
            lines[2].split_whitespace().collect::<Vec<_>>(),
            ["b", "5", "any", "sim", "a"]
        );
    }
}
