//! The colours of statuses, the same in tables and on the live screen.

use std::io::IsTerminal;

/// What a colour says. Green is well, grey is at rest, yellow is in between, red is wrong, blue is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Green,
    Grey,
    Yellow,
    Red,
    Blue,
}

impl Colour {
    /// A status in its colour: green ONLINE, grey OFFLINE, yellow DRAINING, red ERROR (R8, R15, R25, R38).
    pub(crate) fn of(status: &str) -> Option<Self> {
        match status {
            "ONLINE" | "COMPLETED" | "SUCCESS" => Some(Self::Green),
            "OFFLINE" | "DELETED" => Some(Self::Grey),
            "DRAINING" | "UNREACHABLE" | "CANNOT_RUN_FOR_NOW" | "COMPLETED_WITH_WARNINGS" => {
                Some(Self::Yellow)
            }
            "ERROR"
            | "FAILED"
            | "REGISTRATION_FAILED"
            | "CALL_FAILED"
            | "NEGOTIATION_FAILED"
            | "TIMEOUT"
            | "OSERROR"
            | "TEARDOWN_ERROR" => Some(Self::Red),
            "RUNNING" => Some(Self::Blue),
            _ => None,
        }
    }

    /// For tables.
    pub(crate) fn in_table(self) -> comfy_table::Color {
        match self {
            Self::Green => comfy_table::Color::Green,
            Self::Grey => comfy_table::Color::DarkGrey,
            Self::Yellow => comfy_table::Color::Yellow,
            Self::Red => comfy_table::Color::Red,
            Self::Blue => comfy_table::Color::Cyan,
        }
    }

    /// For the live screen.
    pub(crate) fn on_screen(self) -> ratatui::style::Color {
        match self {
            Self::Green => ratatui::style::Color::Green,
            Self::Grey => ratatui::style::Color::DarkGray,
            Self::Yellow => ratatui::style::Color::Yellow,
            Self::Red => ratatui::style::Color::Red,
            Self::Blue => ratatui::style::Color::Cyan,
        }
    }
}

/// Colours are for terminals, and not for those who set NO_COLOR.
pub(crate) fn colours() -> bool {
    wanted(
        std::io::stdout().is_terminal(),
        std::env::var_os("NO_COLOR").as_deref(),
    )
}

fn wanted(terminal: bool, no_color: Option<&std::ffi::OsStr>) -> bool {
    terminal && no_color.is_none_or(std::ffi::OsStr::is_empty)
}

#[cfg(test)]
mod tests {
    use reeve_proto::names::Named;
    use reeve_proto::v1::{RunStatus, WorkerStatus};

    use super::*;

    // Covers: R8, R15, R25, R38
    #[test]
    fn worker_statuses_have_the_colours_of_the_sources() {
        for (status, colour) in [
            (WorkerStatus::Online, Colour::Green),
            (WorkerStatus::Offline, Colour::Grey),
            (WorkerStatus::Draining, Colour::Yellow),
            (WorkerStatus::Error, Colour::Red),
            (WorkerStatus::Unreachable, Colour::Yellow),
            (WorkerStatus::Deleted, Colour::Grey),
        ] {
            assert_eq!(Colour::of(status.name()), Some(colour), "{status:?}");
        }
    }

    #[test]
    fn what_a_run_ended_in_is_coloured_and_waiting_is_not() {
        for (status, colour) in [
            (RunStatus::Pending, None),
            (RunStatus::Queued, None),
            (RunStatus::Running, Some(Colour::Blue)),
            (RunStatus::Completed, Some(Colour::Green)),
            (RunStatus::Failed, Some(Colour::Red)),
            (RunStatus::CannotRunForNow, Some(Colour::Yellow)),
        ] {
            assert_eq!(Colour::of(status.name()), colour, "{status:?}");
        }
    }

    #[test]
    fn colours_are_for_terminals_and_not_with_no_color() {
        assert!(wanted(true, None));
        assert!(wanted(true, Some("".as_ref())));
        assert!(!wanted(true, Some("1".as_ref())));
        assert!(!wanted(false, None));
    }
}
