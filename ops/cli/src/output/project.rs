//! Projects as lines.

use comfy_table::Cell;
use reeve_proto::json::{ProjectJson, format_time};
use reeve_proto::v1::Project;

use super::Resource;
use super::colour::Colour;
use super::table::{Table, age, coloured_cell};

impl Resource for Project {
    type Json = ProjectJson;

    fn id(&self) -> &str {
        &self.name
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        let mut headings = vec![
            "NAME",
            "SUBSCRIPTION",
            "#ENDPOINTS",
            "#RUNS",
            "#CREDITS LEFT",
            "#RESERVED",
        ];
        if wide {
            headings.extend(["#PER RUN", "#SPENT", "AGE", "#REVISION"]);
        }
        Table::new(&headings)
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let usage = self.usage.unwrap_or_default();
        let (state, colour) = if self.subscription_active {
            ("active", Colour::Green)
        } else {
            ("inactive", Colour::Grey)
        };
        let mut cells = vec![
            Cell::new(&self.name),
            coloured_cell(state, Some(colour)),
            Cell::new(of_limit(usage.endpoints, self.max_concurrent_endpoints)),
            Cell::new(of_limit(usage.runs, self.max_concurrent_runs)),
            Cell::new(counted(self.credits_left)),
            Cell::new(usage.credits_reserved),
        ];
        if wide {
            cells.extend([
                Cell::new(counted(self.max_run_endpoints.map(u64::from))),
                Cell::new(self.credits_spent),
                Cell::new(age(self.created_at.as_ref())),
                Cell::new(self.revision),
            ]);
        }
        table.row(cells);
    }

    fn details(&self) -> String {
        let Some(last) = &self.last_adjustment else {
            return String::new();
        };
        let at = last.at.as_ref().and_then(format_time).unwrap_or_default();
        format!(
            "Credits last changed {at} by {}: {} ({} left then)",
            last.actor,
            last.reason,
            counted(last.left)
        )
    }
}

/// `480/500`, or `480` where there is no limit.
fn of_limit(used: u64, limit: Option<u32>) -> String {
    match limit {
        Some(limit) => format!("{used}/{limit}"),
        None => used.to_string(),
    }
}

fn counted(number: Option<u64>) -> String {
    number.map_or_else(|| "unlimited".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use reeve_proto::v1::{CreditAdjustment, ProjectUsage};

    use super::*;

    fn words(project: &Project) -> Vec<String> {
        let mut table = Project::table(false);
        project.row(false, &mut table);
        let text = table.render();
        let line = text.lines().nth(1).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_used_stands_beside_what_is_allowed() {
        let free = Project {
            name: "default".into(),
            subscription_active: true,
            ..Default::default()
        };
        assert_eq!(words(&free), ["default", "active", "0", "0", "unlimited", "0"]);
        let bound = Project {
            name: "red".into(),
            max_concurrent_endpoints: Some(500),
            max_concurrent_runs: Some(3),
            credits_left: Some(0),
            usage: Some(ProjectUsage {
                runs: 2,
                endpoints: 480,
                credits_reserved: 60,
            }),
            last_adjustment: Some(CreditAdjustment {
                actor: "ann".into(),
                reason: "monthly".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(words(&bound), ["red", "inactive", "480/500", "2/3", "0", "60"]);
        assert!(bound.details().contains("by ann: monthly (unlimited left then)"));
    }
}
