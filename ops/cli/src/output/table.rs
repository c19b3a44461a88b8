//! Aligned columns, coloured only on a terminal.

use std::time::Duration;

use comfy_table::{Attribute, Cell, CellAlignment, Table as Grid, presets};
use jiff::{SignedDuration, Timestamp};

use super::colour::{Colour, colours};

/// A table without borders whose columns line up.
pub(crate) struct Table {
    grid: Grid,
    numeric: Vec<bool>,
}

impl Table {
    /// A table with these headings; one that begins with `#` heads a column of numbers, aligned to the right.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self::coloured(headings, colours())
    }

    fn coloured(headings: &[&str], colours: bool) -> Self {
        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING);
        if colours {
            // Whether there is a terminal was decided already.
            grid.enforce_styling();
        } else {
            grid.force_no_tty();
        }
        let numeric: Vec<bool> = headings.iter().map(|heading| heading.starts_with('#')).collect();
        let cells = headings.iter().zip(&numeric).map(|(heading, numeric)| {
            let cell = Cell::new(heading.trim_start_matches('#')).add_attribute(Attribute::Dim);
            if *numeric {
                cell.set_alignment(CellAlignment::Right)
            } else {
                cell
            }
        });
        grid.set_header(cells.collect::<Vec<_>>());
        for (index, column) in grid.column_iter_mut().enumerate() {
            // Flush with the left edge, two blanks between columns.
            column.set_padding((0, 2));
            if numeric.get(index).copied().unwrap_or_default() {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self { grid, numeric }
    }

    /// Adds a line; there is one cell for each heading.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.numeric.len(), "a cell for each heading");
        self.grid.add_row(cells);
    }

    /// The table as text, without blanks at the ends of lines.
    pub(crate) fn render(&self) -> String {
        self.grid
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// A status in its colour.
pub(crate) fn status_cell(status: &str) -> Cell {
    coloured_cell(status, Colour::of(status))
}

/// Text in a colour, if it has one.
pub(crate) fn coloured_cell(text: &str, colour: Option<Colour>) -> Cell {
    match colour {
        Some(colour) => Cell::new(text).fg(colour.in_table()),
        None => Cell::new(text),
    }
}

/// `1.2s`, `3m05s`, `2h04m`, `3d`: for people, so the small end is dropped.
pub(crate) fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long ago, or `-`.
pub(crate) fn age(time: Option<&prost_types::Timestamp>) -> String {
    let Some(then) = timestamp(time) else {
        return "-".to_owned();
    };
    let age = Timestamp::now().duration_since(then).max(SignedDuration::ZERO);
    duration_text(age.unsigned_abs())
}

/// An instant that is to come, for people: the time, and how far off it is; `-` if there is none.
pub(super) fn until(time: Option<&prost_types::Timestamp>) -> String {
    let Some(then) = timestamp(time) else {
        return "-".to_owned();
    };
    let left = then.duration_since(Timestamp::now());
    let distance = duration_text(left.unsigned_abs());
    let distance = if left.is_negative() {
        format!("{distance} ago")
    } else {
        format!("in {distance}")
    };
    format!("{then:.0} ({distance})")
}

/// An instant to the second; `-` if there is none.
pub(super) fn instant(time: Option<&prost_types::Timestamp>) -> String {
    timestamp(time).map_or_else(|| "-".to_owned(), |time| format!("{time:.0}"))
}

/// Whether an instant has passed; one that is not set never does.
pub(super) fn is_past(time: Option<&prost_types::Timestamp>) -> bool {
    timestamp(time).is_some_and(|time| time <= Timestamp::now())
}

/// The time between two instants, if both are known and in order.
pub(super) fn between(
    from: Option<&prost_types::Timestamp>,
    to: Option<&prost_types::Timestamp>,
) -> Option<Duration> {
    Duration::try_from(timestamp(to)?.duration_since(timestamp(from)?)).ok()
}

fn timestamp(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    let time = time?;
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// `-` where there is nothing to show.
pub(crate) fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn columns_line_up_without_borders_or_trailing_blanks() {
        let mut table = Table::new(&["NAME", "#COUNT", "REGION"]);
        table.row(vec![Cell::new("a"), Cell::new(5), Cell::new("eu")]);
        table.row(vec![Cell::new("longer"), Cell::new(12_345), Cell::new("us-east")]);
        assert_eq!(
            table.render(),
            "NAME    COUNT  REGION\n\
             a           5  eu\n\
             longer  12345  us-east"
        );
    }

    // Covers: R8, R15, R25, R38
    #[test]
    fn a_status_is_written_in_its_colour_only_for_a_terminal() {
        let written = |status: &str, colours| {
            let mut table = Table::coloured(&["STATUS"], colours);
            table.row(vec![status_cell(status)]);
            table.render().lines().last().unwrap().to_owned()
        };
        // Colours of the terminal's palette: 8 is grey, 9 red, 10 green, 11 yellow.
        for (status, number) in [("ONLINE", 10), ("OFFLINE", 8), ("DRAINING", 11), ("ERROR", 9)] {
            let coloured = written(status, true);
            assert!(
                coloured.starts_with(&format!("\u{1b}[38;5;{number}m{status}")),
                "{coloured:?}"
            );
            assert_eq!(written(status, false), status);
        }
    }

    #[test]
    fn durations_are_short() {
        for (millis, text) in [
            (40, "0.0s"),
            (1_250, "1.2s"),
            (65_000, "1m05s"),
            (7_440_000, "2h04m"),
            (259_200_000, "3d"),
        ] {
            assert_eq!(duration_text(Duration::from_millis(millis)), text);
        }
    }
}
