//! Webhooks and what is on its way to them as lines; never a secret.

use comfy_table::Cell;
use reeve_proto::json::{DeliveryJson, WebhookJson};
use reeve_proto::names::name_of;
use reeve_proto::v1::{Delivery, DeliveryStatus, Webhook, WebhookStatus};

use super::Resource;
use super::colour::Colour;
use super::table::{Table, age, coloured_cell, or_dash, until};

impl Resource for Webhook {
    type Json = WebhookJson;

    fn id(&self) -> &str {
        &self.id
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        let mut headings = vec![
            "NAME",
            "STATUS",
            "EVENTS",
            "#PENDING",
            "#DEAD",
            "#DELIVERED",
            "AGE",
            "URL",
            "ID",
        ];
        if wide {
            headings.extend(["PROJECT", "TEST", "#OVERFLOWED", "#FORGOTTEN", "#REVISION"]);
        }
        Table::new(&headings)
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let events = if self.events.is_empty() {
            "all".to_owned()
        } else {
            self.events.join(",")
        };
        let mut cells = vec![
            Cell::new(or_dash(&self.name)),
            coloured_cell(
                name_of::<WebhookStatus>(self.status),
                Some(webhook_colour(self.status)),
            ),
            Cell::new(events),
            Cell::new(self.pending),
            Cell::new(self.dead),
            Cell::new(self.delivered),
            Cell::new(age(self.created_at.as_ref())),
            Cell::new(&self.url),
            Cell::new(&self.id),
        ];
        if wide {
            cells.extend([
                Cell::new(or_dash(&self.project)),
                Cell::new(or_dash(&self.test_id)),
                Cell::new(self.overflowed),
                Cell::new(self.forgotten),
                Cell::new(self.revision),
            ]);
        }
        table.row(cells);
    }

    fn details(&self) -> String {
        let mut lines = Vec::new();
        if self.status() == WebhookStatus::Gone {
            lines.push(
                "The receiver answered 410: nothing is sent or kept until `reeve webhook resume`.".to_owned(),
            );
        }
        if self.overflowed > 0 {
            lines.push(format!(
                "{} events were not kept, because too many were on their way.",
                self.overflowed
            ));
        }
        if self.previous_secret_until.is_some() {
            lines.push(format!(
                "Messages are signed with the secret before the current one too, {}.",
                until(self.previous_secret_until.as_ref())
            ));
        }
        lines.join("\n")
    }
}

fn webhook_colour(status: i32) -> Colour {
    match WebhookStatus::try_from(status) {
        Ok(WebhookStatus::Active) => Colour::Green,
        Ok(WebhookStatus::Paused) => Colour::Yellow,
        Ok(WebhookStatus::Gone) => Colour::Red,
        Ok(WebhookStatus::Unspecified) | Err(_) => Colour::Grey,
    }
}

impl Resource for Delivery {
    type Json = DeliveryJson;

    fn id(&self) -> &str {
        &self.message_id
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn table(wide: bool) -> Table {
        let mut headings = vec![
            "#SEQ",
            "STATUS",
            "TYPE",
            "CHANGE",
            "#ATTEMPTS",
            "NEXT",
            "LAST",
            "OBJECT",
        ];
        if wide {
            headings.extend(["#SEQUENCE", "MESSAGE"]);
        }
        Table::new(&headings)
    }

    fn row(&self, wide: bool, table: &mut Table) {
        let change = match (self.from.as_str(), self.to.as_str()) {
            ("", "") => "-".to_owned(),
            ("", to) => to.to_owned(),
            (from, to) => format!("{from} → {to}"),
        };
        let last = match (self.last_error.as_str(), self.last_http_status) {
            ("", 0) => "-".to_owned(),
            ("", status) => status.to_string(),
            (error, _) => error.to_owned(),
        };
        let mut cells = vec![
            Cell::new(self.seq),
            coloured_cell(
                name_of::<DeliveryStatus>(self.status),
                Some(delivery_colour(self.status)),
            ),
            Cell::new(&self.r#type),
            Cell::new(change),
            Cell::new(self.attempts),
            Cell::new(match &self.next_attempt_at {
                None => "-".to_owned(),
                Some(_) => until(self.next_attempt_at.as_ref()),
            }),
            Cell::new(last),
            Cell::new(or_dash(&self.object_id)),
        ];
        if wide {
            cells.extend([Cell::new(self.sequence), Cell::new(&self.message_id)]);
        }
        table.row(cells);
    }
}

fn delivery_colour(status: i32) -> Colour {
    match DeliveryStatus::try_from(status) {
        Ok(DeliveryStatus::Delivered) => Colour::Green,
        Ok(DeliveryStatus::Pending) => Colour::Yellow,
        Ok(DeliveryStatus::Dead) => Colour::Red,
        Ok(DeliveryStatus::Unspecified) | Err(_) => Colour::Grey,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_shows_what_it_is_told_and_how_it_fares() {
        let webhook = Webhook {
            name: "pager".into(),
            status: WebhookStatus::Gone.into(),
            url: "https://a.test".into(),
            overflowed: 7,
            ..Default::default()
        };
        let mut table = Webhook::table(true);
        webhook.row(true, &mut table);
        let text = table.render();
        assert!(
            text.contains("pager") && text.contains("GONE") && text.contains("all"),
            "{text}"
        );
        let details = webhook.details();
        assert!(
            details.contains("410") && details.contains("7 events were not kept"),
            "{details}"
        );
    }

    #[test]
    fn a_delivery_shows_the_change_and_what_went_wrong() {
        let delivery = Delivery {
            seq: 3,
            r#type: "run.status_changed".into(),
            from: "QUEUED".into(),
            to: "RUNNING".into(),
            status: DeliveryStatus::Pending.into(),
            last_http_status: 500,
            last_error: "answered 500".into(),
            ..Default::default()
        };
        let mut table = Delivery::table(false);
        delivery.row(false, &mut table);
        let text = table.render();
        assert!(
            text.contains("QUEUED → RUNNING") && text.contains("answered 500"),
            "{text}"
        );
    }
}
