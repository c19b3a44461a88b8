//! A trace as a ladder diagram.

use std::collections::BTreeSet;
use std::fmt::Write;

use reeve_proto::trace::start_line;
use reeve_proto::v1::{RunTracePart, TraceEnding};

use super::Timed;

/// Between the lines of two addresses.
const SPACING: usize = 44;
/// Before the line of the first one: the time and the message's number.
const MARGIN: usize = 20;
/// More lines than these are not read side by side: then every endpoint has its own diagram.
const MOST_LINES: usize = 5;

/// Who a line of the diagram is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Line<'a> {
    /// An endpoint, at its address: those of one worker share one.
    Endpoint(&'a str, u32, &'a str),
    /// Somebody else.
    Other(&'a str),
}

impl Line<'_> {
    fn name(&self) -> String {
        match self {
            Self::Endpoint(group, endpoint, address) => format!("{group}/{endpoint} {address}"),
            Self::Other(address) => (*address).to_owned(),
        }
    }
}

/// The diagram of all messages, in one or in one for each endpoint, and how the endpoints ended.
pub(crate) fn ladder(trace: &RunTracePart) -> String {
    let all = Timed::all(&trace.messages);
    let mut text = String::new();
    if all.is_empty() && trace.endings.is_empty() {
        text.push_str("no messages so far\n");
    }
    if lines(&all).len() <= MOST_LINES {
        diagram(&mut text, &all);
        endings(&mut text, &trace.endings, |_| true);
        return text;
    }
    let messages = trace
        .messages
        .iter()
        .map(|message| (message.group.as_str(), message.endpoint));
    let ended = trace
        .endings
        .iter()
        .map(|ending| (ending.group.as_str(), ending.endpoint));
    let endpoints: BTreeSet<(&str, u32)> = messages.chain(ended).collect();
    for (group, endpoint) in endpoints {
        let own = trace
            .messages
            .iter()
            .filter(|message| (message.group.as_str(), message.endpoint) == (group, endpoint));
        diagram(&mut text, &Timed::all(&own.cloned().collect::<Vec<_>>()));
        endings(&mut text, &trace.endings, |ending| {
            (ending.group.as_str(), ending.endpoint) == (group, endpoint)
        });
        text.push('\n');
    }
    text
}

/// Endpoints first, in the order of their names.
fn lines<'a>(all: &[Timed<'a>]) -> Vec<Line<'a>> {
    let lines: BTreeSet<Line<'_>> = all.iter().flat_map(|timed| [own(timed), other(timed)]).collect();
    lines.into_iter().collect()
}

fn own<'a>(timed: &Timed<'a>) -> Line<'a> {
    let message = timed.message;
    Line::Endpoint(&message.group, message.endpoint, &message.local)
}

fn other<'a>(timed: &Timed<'a>) -> Line<'a> {
    Line::Other(&timed.message.remote)
}

fn diagram(text: &mut String, all: &[Timed<'_>]) {
    let Some(first) = all.first() else { return };
    let lines = lines(all);
    let mut heading = " ".repeat(MARGIN);
    for line in &lines {
        let _ = write!(heading, "{:<SPACING$}", shortened(&line.name(), SPACING - 2));
    }
    let _ = writeln!(text, "{}", heading.trim_end());
    for timed in all {
        let place = |line: &Line<'_>| lines.iter().position(|known| known == line).unwrap_or_default();
        let (own, other) = (place(&own(timed)), place(&other(timed)));
        let (from, to) = if timed.message.sent {
            (own, other)
        } else {
            (other, own)
        };
        let us = timed.at_us.saturating_sub(first.at_us);
        let number = format!("#{}", timed.message.seq);
        let time = format!("{:>4}.{:06}  {number:<5}", us / 1_000_000, us % 1_000_000);
        let label = start_line(&timed.message.raw);
        let row = arrow(lines.len(), (from, to), &label);
        let _ = writeln!(
            text,
            "{time:<MARGIN$}{}",
            format!("{row}{}", remarks(timed)).trim_end()
        );
    }
}

/// The lines of all, and an arrow between two of them with a text in it.
fn arrow(lines: usize, (from, to): (usize, usize), label: &str) -> String {
    let mut row = vec![' '; (lines - 1) * SPACING + 1];
    for line in 0..lines {
        row[line * SPACING] = '|';
    }
    let (left, right) = (from.min(to) * SPACING + 1, from.max(to) * SPACING);
    let room = right.saturating_sub(left);
    let text = format!(" {} ", shortened(label, room.saturating_sub(6)));
    row[left..right].fill('-');
    let begin = left + room.saturating_sub(text.chars().count()) / 2;
    for (place, letter) in row[begin..right].iter_mut().zip(text.chars()) {
        *place = letter;
    }
    if from < to {
        row[right - 1] = '>';
    } else {
        row[left] = '<';
    }
    row.into_iter().collect()
}

/// Control characters would change how the terminal shows the rest.
fn shortened(text: &str, most: usize) -> String {
    let plain = |letter: char| if letter.is_control() { '.' } else { letter };
    if text.chars().count() <= most {
        return text.chars().map(plain).collect();
    }
    let begin = text.chars().take(most.saturating_sub(2)).map(plain);
    begin.chain("..".chars()).collect()
}

fn remarks(timed: &Timed<'_>) -> String {
    let message = timed.message;
    let mut remarks = String::new();
    if let Some(seq) = message.repeats {
        let _ = write!(remarks, "  retransmission of #{seq}");
    }
    for (applies, remark) in [(message.truncated, "cut off"), (message.late, "late")] {
        if applies {
            let _ = write!(remarks, "  {remark}");
        }
    }
    remarks
}

fn endings(text: &mut String, endings: &[TraceEnding], wanted: impl Fn(&TraceEnding) -> bool) {
    let mut wanted: Vec<_> = endings.iter().filter(|ending| wanted(ending)).collect();
    wanted.sort_by_key(|ending| (ending.group.as_str(), ending.endpoint));
    for ending in wanted {
        let _ = write!(text, "{}/{} ended", ending.group, ending.endpoint);
        if let Some(code) = ending.code {
            let _ = write!(text, " with {code}");
        }
        if !ending.detail.is_empty() {
            let _ = write!(text, ": {}", shortened(&ending.detail, 500));
        }
        if ending.dropped > 0 {
            let _ = write!(text, " ({} messages more were not kept)", ending.dropped);
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::tests::message;

    fn refused() -> RunTracePart {
        let mut messages = vec![
            message(0, 0, 0, true, "INVITE sip:bob@lab.example SIP/2.0\r\n"),
            message(0, 1, 500, true, "INVITE sip:bob@lab.example SIP/2.0\r\n"),
            message(0, 2, 510, false, "SIP/2.0 486 Busy Here\r\n"),
        ];
        messages[1].repeats = Some(0);
        let ending = TraceEnding {
            group: "callers".to_owned(),
            detail: "INVITE: 486".to_owned(),
            code: Some(486),
            dropped: 2,
            ..TraceEnding::default()
        };
        RunTracePart {
            messages,
            endings: vec![ending],
            gaps: Vec::new(),
        }
    }

    /// Covers: R154.
    #[test]
    fn messages_are_arrows_between_addresses_in_order_of_time() {
        let expected = "                    callers/0 10.0.0.1:40000                    10.0.0.5:5060\n   \
            0.000000  #0     |--- INVITE sip:bob@lab.example SIP/2.0 --->|\n   \
            0.500000  #1     |--- INVITE sip:bob@lab.example SIP/2.0 --->|  retransmission of #0\n   \
            0.510000  #2     |<--------- SIP/2.0 486 Busy Here ----------|\n\
            callers/0 ended with 486: INVITE: 486 (2 messages more were not kept)\n";
        assert_eq!(ladder(&refused()), expected);
    }

    #[test]
    fn many_endpoints_have_a_diagram_each() {
        let mut trace = refused();
        for endpoint in 1..8 {
            trace
                .messages
                .push(message(endpoint, 0, 3, true, "BYE sip:x SIP/2.0"));
        }
        let text = ladder(&trace);
        assert_eq!(text.matches("10.0.0.5:5060").count(), 8);
        assert_eq!(text.matches(" BYE sip:x ").count(), 7);
    }

    #[test]
    fn what_came_from_the_wire_cannot_move_the_cursor_and_long_lines_are_cut() {
        let mut trace = refused();
        trace.messages[0].raw = format!("INVITE \u{1b}[2J{} SIP/2.0", "x".repeat(200)).into_bytes();
        let text = ladder(&trace);
        assert!(
            !text.contains('\u{1b}') && text.contains("INVITE .[2Jx"),
            "{text}"
        );
        assert!(text.lines().all(|line| line.chars().count() < 100), "{text}");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert_eq!(ladder(&RunTracePart::default()), "no messages so far\n");
    }
}
