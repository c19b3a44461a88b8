//! `reeve top`: the cluster, its workers and its runs live on the whole terminal.
//!
//! A reader asks any node once a second; the screen is a pure function of what it last found and of the keys that were pressed.

mod keys;
mod reader;
mod rows;
mod screen;

use std::io::IsTerminal;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures::StreamExt;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use self::keys::{Next, View};
use self::reader::{Found, Reader};
use self::screen::draw;
use crate::args::GlobalArgs;
use crate::client::{Cluster, is_transient};
use crate::cmd::cluster::any_status;
use crate::error::CliError;
use crate::output::colours;

/// Ages on the screen grow although nothing new is found.
const REDRAW: Duration = Duration::from_secs(1);

pub(crate) async fn run(global: &GlobalArgs) -> Result<u8, CliError> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(CliError::message(
            "top needs a terminal; `reeve status` prints once, and `reeve worker list --watch -o jsonl` prints what changes",
        ));
    }
    let cluster = Cluster::for_waiting(global)?;
    // A wrong address or key is said plainly, before the screen is taken.
    let known = any_status(&cluster).await?;
    cluster.learn(known.members.into_iter().map(|member| member.grpc_addr));
    let (sender, found) = mpsc::channel(1);
    let reader = tokio::spawn(Reader::new(cluster).run(sender));
    let mut screen = Screen::take()?;
    let shown = show(&mut screen.terminal, found).await;
    reader.abort();
    drop(screen);
    shown.map(|()| 0)
}

/// Draws until someone leaves.
async fn show(terminal: &mut DefaultTerminal, mut found: mpsc::Receiver<Found>) -> Result<(), CliError> {
    let mut view = View::new(colours());
    let mut keys = EventStream::new();
    let mut terminated = signal(SignalKind::terminate())?;
    let mut tick = tokio::time::interval(REDRAW);
    loop {
        terminal.draw(|frame| draw(frame, &mut view))?;
        tokio::select! {
            read = found.recv() => match read {
                Some(Err(error)) if !is_transient(&error) => return Err(error),
                Some(read) => view.take(read),
                None => return Err(CliError::message("the reader ended")),
            },
            key = keys.next() => match key {
                Some(Ok(Event::Key(key))) => match view.press(key) {
                    Next::Go => {}
                    Next::Leave => return Ok(()),
                },
                // Only a reason to draw again: the size may have changed.
                Some(Ok(Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Paste(_) | Event::Resize(..))) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
            _ = tick.tick() => {}
            _ = terminated.recv() => return Ok(()),
        }
    }
}

/// The terminal while it is ours; given back however we leave. A panic gives it back by ratatui's hook.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn take() -> Result<Self, CliError> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                // It may have been taken half.
                let _ = ratatui::try_restore();
                Err(CliError::message(format!("the terminal cannot be used: {error}")))
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = ratatui::try_restore();
    }
}
