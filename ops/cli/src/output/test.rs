//! Tests as lines.

use comfy_table::Cell;
use reeve_proto::definition::format_duration;
use reeve_proto::json::TestJson;
use reeve_proto::v1::Test;

use super::Resource;
use super::table::{Table, age};

impl Resource for Test {
    type Json = TestJson;

    fn id(&self) -> &str {
        &self.id
    }

    fn table(wide: bool) -> Table {
        if wide {
            Table::new(&[
                "NAME",
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
        let mut cells = vec![
            Cell::new(&self.name),
            Cell::new(self.version),
            Cell::new(endpoints),
            Cell::new(duration),
        ];
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
}
