//! Callers' keys as lines; never their secrets.

use comfy_table::Cell;
use reeve_proto::json::KeyJson;
use reeve_proto::names::name_of;
use reeve_proto::v1::{Key, Role};

use super::Resource;
use super::colour::Colour;
use super::table::{Table, age, coloured_cell, is_past, or_dash, until};

impl Resource for Key {
    type Json = KeyJson;

    fn id(&self) -> &str {
        &self.id
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        let mut headings = vec!["NAME", "ROLE", "PROJECT", "STATE", "AGE", "EXPIRES", "ID"];
        if wide {
            headings.push("#REVISION");
        }
        Table::new(&headings)
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let (state, colour) = state(self);
        let mut cells = vec![
            Cell::new(&self.name),
            Cell::new(name_of::<Role>(self.role)),
            Cell::new(or_dash(&self.project)),
            coloured_cell(state, Some(colour)),
            Cell::new(age(self.created_at.as_ref())),
            Cell::new(match &self.expires_at {
                None => "never".to_owned(),
                Some(_) => until(self.expires_at.as_ref()),
            }),
            Cell::new(&self.id),
        ];
        if wide {
            cells.push(Cell::new(self.revision));
        }
        table.row(cells);
    }
}

/// Whether calls with the key are taken.
fn state(key: &Key) -> (&'static str, Colour) {
    if key.revoked_at.is_some() {
        ("revoked", Colour::Grey)
    } else if is_past(key.expires_at.as_ref()) {
        ("expired", Colour::Grey)
    } else {
        ("in force", Colour::Green)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_force_until_it_is_revoked_or_expires() {
        let long_ago = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
        let key = Key {
            name: "ops".into(),
            role: Role::Operator.into(),
            ..Default::default()
        };
        let revoked = Key {
            revoked_at: long_ago,
            ..key.clone()
        };
        let expired = Key {
            expires_at: long_ago,
            ..key.clone()
        };
        for (key, words) in [(&key, "in force"), (&revoked, "revoked"), (&expired, "expired")] {
            let mut table = Key::table(true);
            key.row(true, &mut table);
            let text = table.render();
            assert!(text.contains("ops   OPERATOR") && text.contains(words), "{text}");
        }
    }
}
