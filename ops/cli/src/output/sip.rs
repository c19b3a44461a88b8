//! Registrars, accounts and media files as lines.

use comfy_table::Cell;
use reeve_proto::definition::format_duration;
use reeve_proto::json::{AccountPoolJson, MediaFileJson, RegistrarJson, SipAccountJson};
use reeve_proto::names::name_of;
use reeve_proto::v1::{AccountPool, MediaFile, Registrar, SipAccount, SipTransport};

use super::Resource;
use super::table::{Table, age, or_dash};

impl Resource for Registrar {
    type Json = RegistrarJson;

    fn id(&self) -> &str {
        &self.name
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        let mut headings = vec!["NAME", "DOMAIN", "WHERE", "TRANSPORT"];
        if wide {
            headings.extend(["PROXY", "PROJECT", "AGE", "#REVISION"]);
        }
        Table::new(&headings)
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let host = if self.host.is_empty() {
            &self.domain
        } else {
            &self.host
        };
        let place = match self.port {
            0 => host.clone(),
            port => format!("{host}:{port}"),
        };
        let mut cells = vec![
            Cell::new(&self.name),
            Cell::new(&self.domain),
            Cell::new(place),
            Cell::new(name_of::<SipTransport>(self.transport)),
        ];
        if wide {
            cells.extend([
                Cell::new(or_dash(&self.outbound_proxy)),
                Cell::new(&self.project),
                Cell::new(age(self.created_at.as_ref())),
                Cell::new(self.revision),
            ]);
        }
        table.row(cells);
    }
}

impl Resource for SipAccount {
    type Json = SipAccountJson;

    fn id(&self) -> &str {
        &self.username
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        let mut headings = vec!["USERNAME", "SECRET", "REALM", "IN USE BY RUN"];
        if wide {
            headings.extend(["POOL", "PROJECT", "AGE", "#REVISION"]);
        }
        Table::new(&headings)
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let mut cells = vec![
            Cell::new(&self.username),
            Cell::new(if self.has_secret { "sealed" } else { "-" }),
            Cell::new(or_dash(&self.realm)),
            Cell::new(or_dash(&self.used_by_run)),
        ];
        if wide {
            cells.extend([
                Cell::new(&self.pool),
                Cell::new(&self.project),
                Cell::new(age(self.updated_at.as_ref())),
                Cell::new(self.revision),
            ]);
        }
        table.row(cells);
    }
}

impl Resource for AccountPool {
    type Json = AccountPoolJson;

    fn id(&self) -> &str {
        &self.name
    }

    fn revision(&self) -> u64 {
        0
    }

    fn table(wide: bool) -> Table {
        let mut headings = vec!["POOL", "#ACCOUNTS", "#IN USE"];
        if wide {
            headings.push("PROJECT");
        }
        Table::new(&headings)
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let mut cells = vec![
            Cell::new(&self.name),
            Cell::new(self.accounts),
            Cell::new(self.in_use),
        ];
        if wide {
            cells.push(Cell::new(&self.project));
        }
        table.row(cells);
    }
}

impl Resource for MediaFile {
    type Json = MediaFileJson;

    fn id(&self) -> &str {
        &self.name
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        let mut headings = vec!["NAME", "PLAYS", "#BYTES"];
        if wide {
            headings.extend(["SHA-256", "PROJECT", "AGE", "#REVISION"]);
        }
        Table::new(&headings)
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let plays = self.duration.as_ref().map(format_duration).unwrap_or_default();
        let mut cells = vec![Cell::new(&self.name), Cell::new(plays), Cell::new(self.bytes)];
        if wide {
            cells.extend([
                Cell::new(&self.sha256),
                Cell::new(&self.project),
                Cell::new(age(self.created_at.as_ref())),
                Cell::new(self.revision),
            ]);
        }
        table.row(cells);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<R: Resource>(row: &R) -> Vec<String> {
        let mut table = R::table(false);
        row.row(false, &mut table);
        let text = table.render();
        let line = text.lines().nth(1).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn an_account_shows_who_uses_it_and_never_its_secret() {
        let mut account = SipAccount {
            username: "1001".into(),
            has_secret: true,
            ..Default::default()
        };
        assert_eq!(words(&account), ["1001", "sealed", "-", "-"]);
        account.used_by_run = "run-1".into();
        assert_eq!(words(&account), ["1001", "sealed", "-", "run-1"]);
    }

    #[test]
    fn a_registrar_shows_where_requests_go() {
        let registrar = Registrar {
            name: "lab".into(),
            domain: "lab.example".into(),
            host: "10.0.0.1".into(),
            port: 5_070,
            transport: SipTransport::Tcp.into(),
            ..Default::default()
        };
        assert_eq!(words(&registrar), ["lab", "lab.example", "10.0.0.1:5070", "TCP"]);
    }
}
