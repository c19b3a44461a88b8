//! The session's part of the loop: opening it, what the node says, heartbeats, and what its end leads to.

use std::time::Duration;

use reeve_proto::v1::session_request::Message as Request;
use reeve_proto::v1::session_response::Message as Response;
use reeve_proto::v1::{DrainNotice, Heartbeat, HeartbeatAck, Hello, Offer, Welcome};
use tracing::{debug, info};

use super::heartbeat::Heartbeats;
use super::session::{Session, Stage};
use super::{Agent, request};
use crate::args::token_in;
use crate::cause::{Cause, CauseKind};
use crate::clock::MonoMs;
use crate::config::is_address;
use crate::error::WorkerError;
use crate::executor::AssignmentKey;
use crate::http::Problem;
use crate::link::{Link, LinkEvent};

impl Agent {
    pub(super) fn open(&mut self) {
        let Some(node) = self.nodes.next(&mut self.random) else {
            return;
        };
        debug!(node, "connecting");
        self.attempts += 1;
        let hello = Hello {
            token: self.config.token.reveal().to_owned(),
            incarnation: self.incarnation.clone(),
            capacity: self.capacity.0,
            sip_capacity: self.capacity.1,
            health: Some(self.resources()),
            held: self.fleet.hello(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            wall_ms: wall_ms(),
            draining: self.drain.is_some(),
            attempt: self.attempts,
        };
        let link = Link::open(node, request(Request::Hello(hello)), &self.config.reconnect);
        self.session = Some(Session {
            link,
            stage: Stage::Opening,
            told_drain: self.drain.is_some(),
            channel: None,
            evidence: false,
        });
    }

    pub(super) fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected(channel) => {
                if let Some(session) = &mut self.session {
                    session.channel = Some(channel);
                }
            }
            LinkEvent::Message(message) => self.on_message(*message),
            LinkEvent::Ended(cause) => self.on_end(cause),
        }
    }

    fn on_message(&mut self, message: Response) {
        let now = self.clock.now();
        match message {
            Response::Welcome(welcome) => self.on_welcome(welcome, now),
            Response::HeartbeatAck(ack) => self.on_heartbeat_ack(ack, now),
            Response::Offer(offer) => self.on_offer(offer),
            Response::Start(start) => {
                self.cluster.told(start.cluster_time_ms, now);
                self.fleet.start(&start, &self.cluster, now);
            }
            Response::Stop(stop) => self.fleet.stop(&stop),
            Response::ReportAck(ack) => self.fleet.acknowledged(&ack, now),
            Response::DrainAck(_) => {
                if let Some(drain) = &mut self.drain {
                    drain.confirmed = true;
                }
            }
            Response::DrainNotice(notice) => self.on_drain_notice(&notice),
            Response::UndrainNotice(_) => {
                info!("the cluster's drain was taken back");
                self.notice.taken_back();
            }
            Response::Leave(leave) => {
                if self.notice.complete() {
                    let held = self.fleet.len();
                    info!(reason = %leave.reason, held, "the drain is complete: told to leave");
                }
            }
        }
    }

    fn on_offer(&mut self, offer: Offer) {
        if let Some(session) = &self.session {
            let key = AssignmentKey::new(&offer.run_id, offer.epoch);
            self.observer.offered(&session.link.node, &key, offer.endpoints);
        }
        self.fleet.offer(offer);
    }

    /// Nothing changes for what is held: the node gives nothing new, and says Stop at the deadline.
    fn on_drain_notice(&mut self, notice: &DrainNotice) {
        if self.notice.drains(notice) {
            let (active, then_leave) = (self.fleet.active_endpoints(), notice.leave);
            let remaining = Duration::from_millis(notice.remaining_ms);
            info!(active, ?remaining, then_leave, reason = %notice.reason, "the cluster drains this worker");
        }
    }

    fn on_welcome(&mut self, welcome: Welcome, now: MonoMs) {
        let Some(session) = &mut self.session else { return };
        let node = &session.link.node;
        info!(node, worker = %welcome.worker_name, id = %welcome.worker_id, epoch = welcome.session_epoch, "session stands");
        self.observer.session(node);
        {
            let mut shown = self.shown.lock();
            shown.node = Some(node.clone());
            shown.worker_id = Some(welcome.worker_id);
            shown.problem = None;
        }
        let interval = Duration::from_millis(u64::from(welcome.heartbeat_interval_ms));
        session.stage = Stage::Up(Heartbeats::new(interval, now));
        session.evidence = welcome.evidence;
        // The Hello of this stream said so, if it did.
        if let Some(drain) = self.drain.as_mut().filter(|_| session.told_drain) {
            drain.confirmed = true;
        }
        self.config.reconnect = self
            .limits
            .within(Duration::from_millis(u64::from(welcome.down_after_ms)));
        self.cluster.welcome(welcome.cluster_time_ms, now);
        self.nodes.announce(
            welcome
                .nodes
                .into_iter()
                .filter(|node| is_address(node))
                .collect(),
        );
        if welcome.report_interval_ms > 0 {
            self.report_interval = Duration::from_millis(u64::from(welcome.report_interval_ms));
        }
        self.fleet.resume(&welcome.resumed);
        self.told.clear();
        self.notice.new_session();
        self.open_uploads();
    }

    fn on_heartbeat_ack(&mut self, ack: HeartbeatAck, now: MonoMs) {
        let Some(Session {
            link,
            stage: Stage::Up(heartbeats),
            ..
        }) = &mut self.session
        else {
            return;
        };
        self.observer.acked(&link.node, ack.seq);
        heartbeats.answered(ack.seq);
        // Only now: a node that says Welcome and breaks at once must not be asked in a tight loop.
        self.backoff.reset();
        self.skew.tell(ack.clock_skew_ms);
        if let Some(round_trip) = self
            .cluster
            .acknowledged(MonoMs(ack.sent_ms), ack.cluster_time_ms, now)
        {
            self.telemetry.answered(round_trip);
        }
    }

    fn on_end(&mut self, cause: Cause) {
        let Some(session) = self.session.take() else {
            return;
        };
        self.uploader.disconnected();
        let now = self.clock.now();
        let node = &session.link.node;
        if session.is_up() {
            self.observer.ended(node, cause.kind.label());
        } else {
            self.observer.refused(node, cause.kind.label());
        }
        self.telemetry.disconnected(cause.kind);
        {
            let mut shown = self.shown.lock();
            shown.node = None;
            shown.problem = Some(Problem::new(node, cause.kind));
        }
        self.over = match cause.kind {
            // Nodes say so only of another process: a stream that this one replaced itself just ends.
            CauseKind::Superseded => Some(WorkerError::Superseded),
            CauseKind::WorkerDeleted => Some(WorkerError::Deleted),
            CauseKind::Dns
            | CauseKind::Refused
            | CauseKind::TimedOut
            | CauseKind::Silent
            | CauseKind::Broken
            | CauseKind::NoLeader
            | CauseKind::Leaving
            | CauseKind::Overloaded
            | CauseKind::TokenRejected
            | CauseKind::TokenExpired
            | CauseKind::KeyRejected
            | CauseKind::RoleTooLow
            | CauseKind::NameTaken
            | CauseKind::Other => None,
        };
        let (limits, random) = (&self.config.reconnect, &mut self.random);
        let wait = if cause.kind.is_refusal() {
            self.backoff.after_refusal(limits, random)
        } else {
            self.backoff.after_fault(limits, random)
        };
        self.retry_at = now.after(wait);
        cause.log(node, wait, self.told.is_news(cause.kind, now));
        if matches!(cause.kind, CauseKind::TokenRejected | CauseKind::TokenExpired) {
            self.look_for_a_new_token(now);
        }
    }

    /// A token was regenerated while endpoints run: with the new one this process keeps them, a new process would not (D5b).
    fn look_for_a_new_token(&mut self, now: MonoMs) {
        let found = self.config.token_file.as_deref().and_then(token_in);
        if let Some(token) = found.filter(|token| *token != self.config.token) {
            info!("the configuration file holds another token: trying that one");
            self.config.token = token;
            self.backoff.reset();
            self.retry_at = now;
        }
    }

    pub(super) fn beat(&mut self, now: MonoMs) {
        let resources = self.resources();
        let active_endpoints = self.fleet.active_endpoints();
        let Some(Session {
            link,
            stage: Stage::Up(heartbeats),
            ..
        }) = &mut self.session
        else {
            return;
        };
        if heartbeats.is_silent(now) {
            return self.on_end(Cause::new(CauseKind::Silent, "no answer to a heartbeat"));
        }
        if !heartbeats.is_due(now) {
            return;
        }
        // One that finds no room in the queue counts as sent: a node that does not read is as silent as one that does
        // not answer.
        let seq = heartbeats.sent(now, &mut self.random);
        self.observer.beat(&link.node, seq);
        let heartbeat = Heartbeat {
            seq,
            sent_ms: now.0,
            wall_ms: wall_ms(),
            health: Some(resources),
            active_endpoints,
        };
        link.send(request(Request::Heartbeat(heartbeat)));
        self.telemetry.heartbeats.increment(1);
    }
}

/// The wall clock, for display only.
fn wall_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
