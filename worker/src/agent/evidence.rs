//! The evidence's part of the loop: what is written down, what is told live, and what Closed waits for.

use std::time::Duration;

use reeve_proto::v1::session_request::Message as Request;

use super::session::{Session, Stage};
use super::{Agent, request};
use crate::clock::MonoMs;
use crate::evidence::Input;
use crate::executor::Event;
use crate::fleet::Note;

/// Closed gives capacity back, so it does not wait long for evidence; a run waits for neither.
const MOST_WAIT: Duration = Duration::from_secs(5);

impl Agent {
    /// Before anything is reported: the fleet has no word on what it notes here.
    pub(super) fn note_evidence(&mut self, now: MonoMs) {
        for note in self.fleet.take_notes() {
            match note {
                Note::Started(work, start) => {
                    // A start comes over a session, so that cluster time is known.
                    let offset_ms = self.cluster.offset_ms().unwrap_or_default();
                    self.recorder.put(Input::Begin {
                        work,
                        start,
                        offset_ms,
                    });
                }
                Note::Complete(key) if self.takes_evidence() => {
                    self.fleet.hold_closed(&key, now.after(MOST_WAIT));
                }
                Note::Complete(_) => {}
                Note::LetGo(key) => self.recorder.put(Input::End(key)),
            }
        }
    }

    /// What an executor says is evidence before it is anything else.
    pub(super) fn write_down(&self, event: &Event) {
        match event {
            Event::Prepared(..) => {}
            Event::Changed(key, at, changes) => {
                self.recorder
                    .put(Input::Changed(key.clone(), *at, changes.clone()));
            }
            Event::Sampled(key, samples) => self.recorder.put(Input::Sampled(key.clone(), samples.clone())),
            Event::Traced(key, traced) => self.recorder.put(Input::Traced(key.clone(), traced.clone())),
        }
    }

    /// The seconds that ended; what finds no room is not worth waiting.
    pub(super) fn tell_live(&mut self) {
        let seconds = self.recorder.seconds();
        let Some(session) = self.session.as_ref().filter(|session| session.evidence) else {
            return;
        };
        for second in seconds {
            if session.link.has_room() {
                session.link.send(request(Request::Live(second)));
            }
        }
    }

    /// Whether the node that we talk to knows evidence at all.
    fn takes_evidence(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.evidence)
    }

    /// Chunks, and what executors ask for, follow the session.
    pub(super) fn open_uploads(&self) {
        if let Some(Session {
            stage: Stage::Up(_),
            channel: Some(channel),
            ..
        }) = &self.session
        {
            self.fleet.executors().connected(channel, &self.config.token);
        }
        if let Some(Session {
            stage: Stage::Up(_),
            evidence: true,
            channel: Some(channel),
            ..
        }) = &self.session
        {
            self.uploader
                .connected(channel.clone(), self.config.token.clone());
        }
    }
}
