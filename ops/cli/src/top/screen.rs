//! From what was found to widgets: three blocks, of which the lists share the height.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState};
use reeve_proto::names::Named;
use reeve_proto::v1::{Member, RunStatus, WorkerStatus};

use super::keys::{Pane, View};
use super::rows::{Field, RUN_HEADINGS, WORKER_HEADINGS, run_rows, worker_rows};
use crate::output::{Colour, duration_text};

const KEYS: &str = "q quit   Tab other list   ↑↓ PgUp PgDn Home End scroll   s sort   / filter";
/// The heading of a list and its frame.
const LIST_FRAME: u16 = 3;

/// Draws everything; keeps the marked lines within their lists.
pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View) {
    let head = head(view);
    let height = u16::try_from(head.len()).unwrap_or(u16::MAX);
    let [top, workers, runs, foot] = Layout::vertical([
        Constraint::Length(height),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(head), top);
    draw_workers(frame, workers, view);
    draw_runs(frame, runs, view);
    frame.render_widget(Paragraph::new(foot_line(view)), foot);
}

/// Who answers, who leads, and the nodes.
fn head(view: &View) -> Vec<Line<'static>> {
    let status = &view.snapshot.status;
    let paint = |text: String, colour: Colour| Span::styled(text, style(view, Some(colour)));
    let mut first = vec![Span::styled(
        format!("reeve {}", status.cluster_id),
        Style::new().add_modifier(Modifier::BOLD),
    )];
    let leader = status
        .members
        .iter()
        .find(|member| member.node_id == status.leader_id);
    first.push(match leader {
        _ if view.found_at.is_none() => Span::raw("   reading …"),
        Some(leader) => paint(format!("   leader {}", leader.name), Colour::Green),
        None => paint("   no leader".to_owned(), Colour::Red),
    });
    let sessions: u32 = status.members.iter().map(|member| member.workers).sum();
    first.push(Span::raw(format!(
        "   term {}   revision {}   {} nodes   {sessions} sessions   ",
        status.term,
        status.revision,
        status.members.len()
    )));
    first.push(answering(view));
    let mut lines = vec![Line::from(first)];
    lines.extend(status.members.iter().map(|member| node_line(view, member)));
    lines
}

/// Which node answers, or that none does and since when.
fn answering(view: &View) -> Span<'static> {
    let age = view.found_at.map(|found| found.elapsed());
    match (&view.trouble, age) {
        (None, None) => Span::raw(""),
        (None, Some(_)) => Span::raw(format!(
            "{} ({}) answers",
            view.snapshot.status.node_name, view.snapshot.address
        )),
        (Some(why), age) => {
            let since = age.map_or_else(String::new, |age| format!(" since {}", duration_text(age)));
            Span::styled(
                format!("no node answers{since}: {why}"),
                style(view, Some(Colour::Red)).add_modifier(Modifier::BOLD),
            )
        }
    }
}

/// A node with its workers, to compare flapping by (R108).
fn node_line(view: &View, member: &Member) -> Line<'static> {
    let leads = member.leader || member.node_id == view.snapshot.status.leader_id;
    let (word, colour) = if leads {
        ("leader", Some(Colour::Green))
    } else if member.reachable || member.node_id == view.snapshot.status.node_id {
        ("follower", None)
    } else {
        ("silent", Some(Colour::Red))
    };
    let flapping = (member.flapping_workers > 0).then_some(Colour::Yellow);
    Line::from(vec![
        Span::raw(format!("  {:<12}", member.name)),
        Span::styled(format!("{word:<10}"), style(view, colour)),
        Span::raw(format!("{:>7} workers  ", member.workers)),
        Span::styled(
            format!(
                "{:>5} flapping, {} flaps in the last hour",
                member.flapping_workers, member.flaps_last_hour
            ),
            style(view, flapping),
        ),
    ])
}

fn draw_workers(frame: &mut Frame<'_>, area: Rect, view: &mut View) {
    let rows = worker_rows(&view.snapshot.workers, view.worker_sort, &view.filter);
    let statuses = view.snapshot.workers.iter().map(|worker| worker.status());
    let counts = counts(statuses.collect::<Vec<WorkerStatus>>());
    let more = if view.snapshot.more_workers {
        " (first ones only)"
    } else {
        ""
    };
    let title = format!(" Workers {counts}{more}, by {:?} ", view.worker_sort);
    let (marked, page) = draw_list(
        frame,
        area,
        view,
        Pane::Workers,
        title,
        &WORKER_HEADINGS,
        &rows,
        view.marked_worker,
    );
    view.marked_worker = marked;
    if view.focus == Pane::Workers {
        view.page = page;
    }
}

fn draw_runs(frame: &mut Frame<'_>, area: Rect, view: &mut View) {
    let rows = run_rows(&view.snapshot.runs, view.run_sort, &view.filter);
    let statuses = view.snapshot.runs.iter().map(|run| run.status());
    let title = format!(
        " Latest runs {}, by {:?} ",
        counts(statuses.collect::<Vec<RunStatus>>()),
        view.run_sort
    );
    let (marked, page) = draw_list(
        frame,
        area,
        view,
        Pane::Runs,
        title,
        &RUN_HEADINGS,
        &rows,
        view.marked_run,
    );
    view.marked_run = marked;
    if view.focus == Pane::Runs {
        view.page = page;
    }
}

/// `5: ONLINE 3, ERROR 2`.
fn counts<S: Named + PartialEq>(statuses: Vec<S>) -> String {
    let parts: Vec<String> = S::all()
        .into_iter()
        .map(|status| (status, statuses.iter().filter(|other| **other == status).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| format!("{} {count}", status.name()))
        .collect();
    if parts.is_empty() {
        "0".to_owned()
    } else {
        format!("{}: {}", statuses.len(), parts.join(", "))
    }
}

/// Draws one list; the line that is marked in it, and how many fit.
#[allow(clippy::too_many_arguments, reason = "one place that draws both lists")]
fn draw_list<const N: usize>(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View,
    pane: Pane,
    title: String,
    headings: &[&'static str; N],
    rows: &[[Field; N]],
    marked: usize,
) -> (usize, usize) {
    let focused = view.focus == pane;
    let marked = marked.min(rows.len().saturating_sub(1));
    let page = usize::from(area.height.saturating_sub(LIST_FRAME)).max(1);
    // Only what can be seen is laid out: a fleet has thousands.
    let begin = (marked + 1).saturating_sub(page);
    let seen = rows
        .get(begin..(begin + page).min(rows.len()))
        .unwrap_or_default();
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let header = headings
        .iter()
        .map(|heading| Cell::new(aligned(heading.trim_start_matches('#'), heading, Style::new())));
    let lines = seen.iter().map(|row| {
        let cells = row.iter().zip(headings);
        Row::new(
            cells.map(|((text, colour), heading)| Cell::new(aligned(text, heading, style(view, *colour)))),
        )
    });
    let table = Table::new(lines, widths(headings, seen))
        .header(Row::new(header).style(Style::new().add_modifier(Modifier::DIM)))
        .column_spacing(2)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(
            Block::new()
                .borders(Borders::TOP)
                .title(title)
                .title_style(if focused { bold } else { Style::new() }),
        );
    let selected = (focused && !rows.is_empty()).then_some(marked - begin.min(marked));
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(selected));
    (marked, page)
}

fn aligned(text: &str, heading: &str, style: Style) -> Text<'static> {
    let alignment = if heading.starts_with('#') {
        Alignment::Right
    } else {
        Alignment::Left
    };
    Text::styled(text.to_owned(), style).alignment(alignment)
}

/// As wide as the widest field that is seen.
fn widths<const N: usize>(headings: &[&str; N], rows: &[[Field; N]]) -> Vec<Constraint> {
    headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let fields = rows.iter().filter_map(|row| row.get(column));
            let widest = fields
                .map(|(text, _)| text.chars().count())
                .chain([heading.trim_start_matches('#').len()])
                .max();
            Constraint::Length(u16::try_from(widest.unwrap_or_default()).unwrap_or(u16::MAX))
        })
        .collect()
}

fn foot_line(view: &View) -> Line<'static> {
    if view.typing {
        return Line::from(format!(
            "filter: {}▏  Enter keeps it, Esc takes it back",
            view.filter
        ));
    }
    if view.filter.is_empty() {
        return Line::from(KEYS);
    }
    Line::from(format!("filter: {}   Esc takes it back   {KEYS}", view.filter))
}

fn style(view: &View, colour: Option<Colour>) -> Style {
    match colour {
        Some(colour) if view.colours => Style::new().fg(colour.on_screen()),
        Some(_) | None => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;
    use ratatui::style::Color;
    use reeve_proto::v1::{
        EndpointCounts, EndpointPhase, GetStatusResponse, PhaseCount, Run, Worker, WorkerCapacity,
        WorkerFlaps, WorkerKind, WorkerResources,
    };

    use super::super::reader::Snapshot;
    use super::*;
    use crate::error::CliError;

    const SIZE: (u16, u16) = (120, 24);

    fn worker(name: &str, status: WorkerStatus, kind: WorkerKind, region: &str) -> Worker {
        Worker {
            name: name.to_owned(),
            status: status.into(),
            kind: kind.into(),
            region: region.to_owned(),
            session_node: "n1".to_owned(),
            active_endpoints: 39,
            capacity: Some(WorkerCapacity {
                total: 100,
                ..Default::default()
            }),
            resources: Some(WorkerResources {
                cpu_percent: 12,
                memory_percent: 34,
                disk_percent: 56,
            }),
            missed_heartbeats: 1,
            flaps: Some(WorkerFlaps {
                total: 9,
                last_hour: 4,
            }),
            ..Default::default()
        }
    }

    fn snapshot() -> Snapshot {
        let member = |id: u64, workers, flapping_workers| Member {
            node_id: id,
            name: format!("n{id}"),
            reachable: true,
            workers,
            flapping_workers,
            flaps_last_hour: flapping_workers * 2,
            ..Default::default()
        };
        Snapshot {
            address: "127.0.0.1:50052".to_owned(),
            status: GetStatusResponse {
                cluster_id: "lab".to_owned(),
                node_id: 1,
                node_name: "n1".to_owned(),
                leader_id: 2,
                term: 7,
                members: vec![member(1, 3, 2), member(2, 2, 0)],
                ..Default::default()
            },
            workers: vec![
                worker("w1", WorkerStatus::Online, WorkerKind::UserOwned, "eu-west"),
                worker("w2", WorkerStatus::Offline, WorkerKind::Cloud, "us-east"),
                worker("w3", WorkerStatus::Draining, WorkerKind::UserOwned, "eu-west"),
                worker("w4", WorkerStatus::Error, WorkerKind::UserOwned, "eu-west"),
                worker("w5", WorkerStatus::Unreachable, WorkerKind::UserOwned, "eu-west"),
            ],
            runs: vec![Run {
                id: "0190".to_owned(),
                test_name: "smoke".to_owned(),
                status: RunStatus::Running.into(),
                endpoints: Some(EndpointCounts {
                    total: 200,
                    by_phase: vec![
                        PhaseCount {
                            phase: EndpointPhase::Incall.into(),
                            count: 120,
                        },
                        PhaseCount {
                            phase: EndpointPhase::Closed.into(),
                            count: 80,
                        },
                    ],
                    ..Default::default()
                }),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn shown(view: &mut View) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn lines(buffer: &Buffer) -> Vec<String> {
        (0..SIZE.1)
            .map(|y| {
                let cells = (0..SIZE.0).map(|x| buffer[(x, y)].symbol());
                cells.collect::<String>().trim_end().to_owned()
            })
            .collect()
    }

    /// The line that has the words, and where in it they begin.
    fn find(buffer: &Buffer, words: &str) -> (u16, u16) {
        let lines = lines(buffer);
        let found = lines.iter().enumerate().find_map(|(y, line)| {
            let x = line.find(words)?;
            Some((line[..x].chars().count(), y))
        });
        let (x, y) = found.unwrap_or_else(|| panic!("{words:?} is not in\n{}", lines.join("\n")));
        (u16::try_from(x).unwrap(), u16::try_from(y).unwrap())
    }

    fn words(buffer: &Buffer, begin: &str) -> Vec<String> {
        let (_, y) = find(buffer, begin);
        let lines = lines(buffer);
        lines[usize::from(y)]
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    // Covers: R4, R81, R88, R112
    #[test]
    fn cluster_workers_and_runs_are_on_one_screen() {
        let mut view = View::new(true);
        view.take(Ok(snapshot()));
        let screen = shown(&mut view);
        let head = lines(&screen)[0].clone();
        assert_eq!(
            head,
            "reeve lab   leader n2   term 7   revision 0   2 nodes   5 sessions   n1 (127.0.0.1:50052) answers"
        );
        assert_eq!(
            words(&screen, "follower")[..4],
            ["n1", "follower", "3", "workers"]
        );
        find(&screen, "2 flapping, 4 flaps in the last hour");
        assert_eq!(
            words(&screen, "w1 "),
            [
                "w1",
                "ONLINE",
                "user-owned",
                "eu-west",
                "n1",
                "39/100",
                "12%",
                "34%",
                "56%",
                "1",
                "4",
                "-"
            ]
        );
        assert_eq!(words(&screen, "w2 ")[1..4], ["OFFLINE", "cloud", "us-east"]);
        assert_eq!(
            words(&screen, "smoke "),
            [
                "smoke", "RUNNING", "80/200", "-", "INCALL", "120", "CLOSED", "80", "0190"
            ]
        );
    }

    // Covers: R8, R15, R25, R38
    #[test]
    fn statuses_are_in_their_colours_unless_colours_are_not_wanted() {
        let wanted = [
            ("ONLINE  ", Color::Green),
            ("OFFLINE  ", Color::DarkGray),
            ("DRAINING  ", Color::Yellow),
            ("ERROR  ", Color::Red),
            ("UNREACHABLE  ", Color::Yellow),
        ];
        for colours in [true, false] {
            let mut view = View::new(colours);
            view.take(Ok(snapshot()));
            let screen = shown(&mut view);
            for (status, colour) in wanted {
                let at = find(&screen, status);
                let expected = if colours { colour } else { Color::Reset };
                assert_eq!(screen[at].fg, expected, "{status}, colours: {colours}");
            }
        }
    }

    #[test]
    fn an_outage_is_said_and_what_was_known_stays() {
        let mut view = View::new(true);
        find(&shown(&mut view), "reading …");
        view.take(Ok(snapshot()));
        view.take(Err(CliError::message("connection refused")));
        let screen = shown(&mut view);
        find(&screen, "no node answers since");
        find(&screen, "connection refused");
        find(&screen, "w1 ");
        let mut leaderless = snapshot();
        leaderless.status.leader_id = 0;
        view.take(Ok(leaderless));
        find(&shown(&mut view), "no leader");
    }

    #[test]
    fn a_long_list_scrolls_so_that_the_marked_line_is_seen() {
        let mut view = View::new(true);
        let mut many = snapshot();
        many.workers = (0..500)
            .map(|n| worker(&format!("w{n:03}"), WorkerStatus::Online, WorkerKind::Cloud, "eu"))
            .collect();
        view.take(Ok(many));
        find(&shown(&mut view), "w000");
        view.marked_worker = usize::MAX;
        let screen = shown(&mut view);
        assert_eq!(view.marked_worker, 499, "kept within the list");
        let (x, y) = find(&screen, "w499");
        assert!(screen[(x, y)].modifier.contains(Modifier::REVERSED));
        assert!(!lines(&screen).iter().any(|line| line.contains("w000")));
    }

    #[test]
    fn a_tiny_terminal_is_no_reason_to_panic() {
        for (width, height) in [(1, 1), (10, 3), (300, 2)] {
            let mut view = View::new(true);
            view.take(Ok(snapshot()));
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, &mut view)).unwrap();
        }
    }
}
