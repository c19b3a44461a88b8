//! What is looked at and how, and what keys change about it. Pure: no terminal, no clock but the instants it is given.

use std::time::Instant;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::reader::{Found, Snapshot};
use crate::client::short_reason;

/// One of the two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Workers,
    Runs,
}

/// What the workers are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkerSort {
    Name,
    /// What needs someone first.
    Status,
    /// The fullest first.
    Load,
    Cpu,
    Flaps,
    /// The most silent first.
    Heard,
}

/// What the runs are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunSort {
    Newest,
    /// Those that are going first.
    Status,
    Endpoints,
}

/// What goes on after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    Leave,
}

/// Everything that the screen depends on.
pub(super) struct View {
    /// What was found last.
    pub(super) snapshot: Snapshot,
    /// When that was; never, at first.
    pub(super) found_at: Option<Instant>,
    /// Why the last reading brought nothing.
    pub(super) trouble: Option<String>,
    pub(super) colours: bool,
    pub(super) focus: Pane,
    pub(super) worker_sort: WorkerSort,
    pub(super) run_sort: RunSort,
    /// Only lines with this text are shown; in lower case.
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) typing: bool,
    /// The line that is marked in each list; the screen keeps it within the list.
    pub(super) marked_worker: usize,
    pub(super) marked_run: usize,
    /// Lines of the focused list that fit on the screen, for page keys.
    pub(super) page: usize,
}

impl View {
    pub(super) fn new(colours: bool) -> Self {
        Self {
            snapshot: Snapshot::default(),
            found_at: None,
            trouble: None,
            colours,
            focus: Pane::Workers,
            worker_sort: WorkerSort::Name,
            run_sort: RunSort::Newest,
            filter: String::new(),
            typing: false,
            marked_worker: 0,
            marked_run: 0,
            page: 1,
        }
    }

    /// Takes what a reading brought. What was found before stays on the screen during an outage.
    pub(super) fn take(&mut self, found: Found) {
        match found {
            Ok(snapshot) => {
                self.snapshot = snapshot;
                self.found_at = Some(Instant::now());
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(short_reason(&error)),
        }
    }

    /// What a key does.
    pub(super) fn press(&mut self, key: KeyEvent) -> Next {
        if key.kind == KeyEventKind::Release {
            return Next::Go;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') {
                Next::Leave
            } else {
                Next::Go
            };
        }
        if self.typing {
            self.press_in_filter(key.code);
            return Next::Go;
        }
        self.press_in_list(key.code)
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "keys are not ours, and most do nothing"
    )]
    fn press_in_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(char) => self.filter.extend(char.to_lowercase()),
            _ => {}
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "keys are not ours, and most do nothing"
    )]
    fn press_in_list(&mut self, key: KeyCode) -> Next {
        let page = self.page.max(1);
        match key {
            KeyCode::Esc if !self.filter.is_empty() => self.filter.clear(),
            KeyCode::Char('q') | KeyCode::Esc => return Next::Leave,
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => {
                self.focus = match self.focus {
                    Pane::Workers => Pane::Runs,
                    Pane::Runs => Pane::Workers,
                };
            }
            KeyCode::Down => self.mark(|line| line.saturating_add(1)),
            KeyCode::Up => self.mark(|line| line.saturating_sub(1)),
            KeyCode::PageDown => self.mark(|line| line.saturating_add(page)),
            KeyCode::PageUp => self.mark(|line| line.saturating_sub(page)),
            KeyCode::Home => self.mark(|_| 0),
            KeyCode::End => self.mark(|_| usize::MAX),
            KeyCode::Char('s') => self.sort_next(),
            KeyCode::Char('/') => self.typing = true,
            _ => {}
        }
        Next::Go
    }

    fn mark(&mut self, step: impl Fn(usize) -> usize) {
        let line = match self.focus {
            Pane::Workers => &mut self.marked_worker,
            Pane::Runs => &mut self.marked_run,
        };
        *line = step(*line);
    }

    fn sort_next(&mut self) {
        match self.focus {
            Pane::Workers => {
                self.worker_sort = match self.worker_sort {
                    WorkerSort::Name => WorkerSort::Status,
                    WorkerSort::Status => WorkerSort::Load,
                    WorkerSort::Load => WorkerSort::Cpu,
                    WorkerSort::Cpu => WorkerSort::Flaps,
                    WorkerSort::Flaps => WorkerSort::Heard,
                    WorkerSort::Heard => WorkerSort::Name,
                };
            }
            Pane::Runs => {
                self.run_sort = match self.run_sort {
                    RunSort::Newest => RunSort::Status,
                    RunSort::Status => RunSort::Endpoints,
                    RunSort::Endpoints => RunSort::Newest,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CliError;

    fn press(view: &mut View, keys: &[KeyCode]) -> Next {
        let mut next = Next::Go;
        for key in keys {
            next = view.press(KeyEvent::new(*key, KeyModifiers::NONE));
        }
        next
    }

    #[test]
    fn q_escape_and_control_c_leave() {
        for key in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(press(&mut View::new(false), &[key]), Next::Leave, "{key:?}");
        }
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(View::new(false).press(control_c), Next::Leave);
    }

    #[test]
    fn tab_switches_the_list_that_arrows_and_sorting_are_about() {
        let mut view = View::new(false);
        press(&mut view, &[KeyCode::Down, KeyCode::Char('s')]);
        press(&mut view, &[KeyCode::Tab, KeyCode::End, KeyCode::Char('s')]);
        assert_eq!((view.marked_worker, view.marked_run), (1, usize::MAX));
        assert_eq!(
            (view.worker_sort, view.run_sort),
            (WorkerSort::Status, RunSort::Status)
        );
        press(&mut view, &[KeyCode::Tab, KeyCode::Up, KeyCode::Up]);
        assert_eq!((view.focus, view.marked_worker), (Pane::Workers, 0));
    }

    #[test]
    fn a_filter_takes_every_letter_and_escape_takes_it_back_before_it_leaves() {
        let mut view = View::new(false);
        let typed = "/Qs".chars().map(KeyCode::Char).collect::<Vec<_>>();
        assert_eq!(press(&mut view, &typed), Next::Go);
        assert_eq!((view.filter.as_str(), view.typing), ("qs", true));
        press(&mut view, &[KeyCode::Backspace, KeyCode::Enter]);
        assert_eq!((view.filter.as_str(), view.typing), ("q", false));
        assert_eq!(press(&mut view, &[KeyCode::Esc]), Next::Go);
        assert_eq!(view.filter, "");
        assert_eq!(press(&mut view, &[KeyCode::Esc]), Next::Leave);
    }

    #[test]
    fn what_was_found_stays_during_an_outage_which_is_said() {
        let mut view = View::new(false);
        view.take(Ok(Snapshot {
            address: "a:1".to_owned(),
            ..Default::default()
        }));
        view.take(Err(CliError::Unreachable(Vec::new())));
        assert_eq!(view.snapshot.address, "a:1");
        assert_eq!(view.trouble.as_deref(), Some("no node could be reached"));
        view.take(Ok(Snapshot::default()));
        assert_eq!(view.trouble, None);
    }
}
