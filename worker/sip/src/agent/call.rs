//! A call that came about: from the answer to the farewell.

use std::time::{Duration, Instant};

use reeve_media::{Codec, Direction, Stream, Totals};
use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver, TransactionHandle};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Header, Request, StatusCode};
use tokio::time::{sleep_until, timeout};

use super::{Agent, HangUp, ordered};
use crate::desk::{Heard, Media};
use crate::ending::{Ending, Farewell, Warning, of_call};
use crate::plan::{Action, Deed};
use crate::sdp::{self, Agreed, Description, Local};

/// Longest time that the answer to a BYE may take: Timer F.
const BYE_LIMIT: Duration = Duration::from_secs(33);
/// Longest time that a change of a call may take.
const CHANGE_LIMIT: Duration = Duration::from_secs(10);
/// Longest time that the engine may take to say how it was.
const TOTALS_LIMIT: Duration = Duration::from_secs(1);
/// The share of its time after which a call may end without a warning.
const FULL_SHARE: f64 = 0.9;

/// One call.
pub(super) struct Call {
    pub dialog: InviteDialog,
    pub states: DialogStateReceiver,
    pub media: Media,
    pub ours: Ours,
    /// When the 2xx was sent or came.
    pub answered: Instant,
    /// When we hang up, if the other side does not.
    pub until: Instant,
    /// Whether the other side should have hung up by then.
    pub theirs_to_end: bool,
}

/// Our side of the description.
pub(super) struct Ours {
    pub session: u64,
    pub version: u64,
    pub direction: Direction,
    pub codecs: Vec<(u8, Codec)>,
    pub events: Option<u8>,
}

impl Ours {
    /// Everything that we speak.
    pub fn offer(codecs: &[Codec], session: u64) -> Self {
        let (codecs, events) = sdp::offered(codecs);
        Self {
            session,
            version: 1,
            direction: Direction::SendRecv,
            codecs,
            events,
        }
    }

    /// What was agreed.
    pub fn settle(&mut self, agreed: Agreed) {
        self.codecs = vec![(agreed.payload_type, agreed.codec)];
        self.events = agreed.events;
    }

    pub fn write(&self, media: &Media) -> Vec<u8> {
        let local = Local {
            rtp: media.session.local(),
            session: self.session,
            version: self.version,
            direction: self.direction,
            codecs: &self.codecs,
            events: self.events,
        };
        local.write()
    }
}

/// The header of a body that describes a session.
pub(super) fn described() -> Vec<Header> {
    vec![Header::ContentType("application/sdp".into())]
}

/// What ended a conversation.
enum End {
    Due,
    Theirs,
    Ordered(HangUp),
}

impl Agent {
    /// Starts the media of a call.
    pub(super) fn begin(&self, call: &mut Call, theirs: &Description, agreed: Agreed) {
        call.ours.settle(agreed);
        call.ours.direction = sdp::mirror(theirs.direction);
        call.media.session.direct(call.ours.direction);
        call.media.session.begin(Stream {
            remote_rtp: theirs.rtp,
            remote_rtcp: theirs.rtcp,
            codec: agreed.codec,
            payload_type: agreed.payload_type,
            dtmf_payload_type: agreed.events,
            source: self.plan.source.clone(),
            plc: self.plan.plc,
        });
        self.enter(Phase::Incall);
    }

    /// Talks until somebody hangs up, and says goodbye.
    pub(super) async fn converse(&mut self, mut call: Call, actions: &[Action]) -> Ending {
        let end = self.talk_on(&mut call, actions).await;
        self.enter(Phase::Disconnecting);
        call.media.session.end();
        let (farewell, order) = match end {
            End::Theirs => (Farewell::Theirs, None),
            End::Due => (self.bye(&call.dialog).await, None),
            End::Ordered(order) => (self.bye(&call.dialog).await, order),
        };
        match end {
            End::Theirs if call.answered.elapsed() < self.plan.duration.mul_f64(FULL_SHARE) => {
                self.warn(Warning::EarlyBye);
            }
            End::Due if call.theirs_to_end => self.warn(Warning::LateBye),
            End::Theirs | End::Due | End::Ordered(_) => {}
        }
        self.settle(&mut call.media).await;
        self.line.stack().dialogs().remove_dialog(&call.dialog.id());
        let ending = of_call(farewell, &self.warnings);
        match order {
            Some(outcome) if ending.outcome != Outcome::TeardownError => Ending::new(outcome, ending.detail),
            Some(_) | None => ending,
        }
    }

    async fn talk_on(&mut self, call: &mut Call, actions: &[Action]) -> End {
        let mut orders = self.orders.clone();
        let mut next = actions.iter();
        let mut action = next.next();
        loop {
            let acts_at = action
                .map(|action| call.answered + action.at)
                .filter(|at| *at < call.until);
            tokio::select! {
                biased;
                order = ordered(&mut orders) => return End::Ordered(order),
                state = call.states.recv() => match state {
                    Some(state) => {
                        if let Some(end) = self.moved(call, state).await {
                            return end;
                        }
                    }
                    None => return End::Theirs,
                },
                heard = call.media.heard.recv() => self.hear(heard),
                () = sleep_until(acts_at.unwrap_or(call.until).into()) => match action.filter(|_| acts_at.is_some()) {
                    Some(due) => {
                        self.act(call, &due.what).await;
                        action = next.next();
                    }
                    None => return End::Due,
                },
            }
        }
    }

    /// What the dialog became. `Some`: the call is over.
    async fn moved(&mut self, call: &mut Call, state: DialogState) -> Option<End> {
        match state {
            DialogState::Terminated(..) => return Some(End::Theirs),
            DialogState::Updated(_, request, handle) => self.renegotiate(call, &request, &handle).await,
            DialogState::Info(_, _, handle)
            | DialogState::Options(_, _, handle)
            | DialogState::Message(_, _, handle)
            | DialogState::Notify(_, _, handle) => {
                let _ = handle.reply(StatusCode::OK).await;
            }
            DialogState::Refer(_, _, handle) | DialogState::Publish(_, _, handle) => {
                let _ = handle.reply(StatusCode::NotImplemented).await;
            }
            DialogState::Calling(_)
            | DialogState::Trying(_)
            | DialogState::Early(..)
            | DialogState::WaitAck(..)
            | DialogState::Confirmed(..) => {}
        }
        None
    }

    /// The other side changes the session: hold, resume, another address.
    async fn renegotiate(&mut self, call: &mut Call, request: &Request, handle: &TransactionHandle) {
        call.ours.version += 1;
        let refused = match sdp::parse(&request.body) {
            Ok(theirs) => match sdp::agree(&theirs, &self.plan.codecs) {
                Ok(agreed) => {
                    call.ours.settle(agreed);
                    call.ours.direction = sdp::mirror(theirs.direction);
                    call.media.session.direct(call.ours.direction);
                    call.media.session.retarget(theirs.rtp, theirs.rtcp);
                    false
                }
                Err(_) => true,
            },
            // An offer is asked for, or nothing of the media changes (UPDATE).
            Err(sdp::Unusable::Missing) => false,
            Err(_) => true,
        };
        // The transaction may have ended meanwhile; there is nobody to answer then.
        let _ = if refused {
            handle.reply(StatusCode::NotAcceptableHere).await
        } else {
            let body = call.ours.write(&call.media);
            handle
                .respond(StatusCode::OK, Some(described()), Some(body))
                .await
        };
    }

    async fn act(&mut self, call: &mut Call, deed: &Deed) {
        let direction = match deed {
            Deed::Dtmf(digits) => {
                for digit in digits {
                    call.media.session.dtmf(*digit);
                }
                return;
            }
            Deed::Hold => Direction::SendOnly,
            Deed::Resume => Direction::SendRecv,
        };
        call.ours.version += 1;
        call.ours.direction = direction;
        let body = call.ours.write(&call.media);
        let asked = timeout(CHANGE_LIMIT, call.dialog.reinvite(Some(described()), Some(body))).await;
        let accepted = match asked {
            Ok(Ok(Some(response))) => (200..300).contains(&response.status_code.code()),
            Ok(Ok(None) | Err(_)) | Err(_) => false,
        };
        if accepted {
            call.media.session.direct(direction);
        } else {
            self.warn(Warning::ChangeRefused);
        }
    }

    fn hear(&mut self, heard: Option<Heard>) {
        match heard {
            Some(Heard::Interval(interval)) => self.tell(super::Update::Interval(interval)),
            Some(Heard::Ended(totals)) => self.totals = Some(totals),
            None => {}
        }
    }

    pub(super) async fn bye(&self, dialog: &InviteDialog) -> Farewell {
        // What came of it is read off the wire: the stack answers by itself when nobody else does.
        let _ = timeout(BYE_LIMIT, dialog.bye()).await;
        let codes = self.line.tap.codes();
        match (codes.bye, self.line.tap.times().bye_received) {
            (Some(code), _) => Farewell::Answered(code),
            (None, Some(_)) => Farewell::Theirs,
            (None, None) => Farewell::Unanswered,
        }
    }

    /// Waits for the engine's last word, and judges it.
    async fn settle(&mut self, media: &mut Media) {
        let last = async {
            while self.totals.is_none() {
                let Some(heard) = media.heard.recv().await else {
                    break;
                };
                self.hear(Some(heard));
            }
        };
        let _ = timeout(TOTALS_LIMIT, last).await;
        let found = self.totals.as_ref().map(judged).unwrap_or_default();
        self.warnings.extend(found);
        if self.line.tap.repeated() > 0 {
            self.warn(Warning::Retransmissions);
        }
    }
}

fn judged(totals: &Totals) -> Vec<Warning> {
    // A call shorter than that need not have had a report.
    let reported = totals.duration >= Duration::from_secs(6);
    let found = [
        (totals.one_way, Warning::OneWay),
        (totals.invalid_intervals > 0, Warning::GeneratorLate),
        (reported && !totals.rtcp_seen, Warning::NoRtcp),
        (totals.rtt_negative, Warning::NegativeRtt),
    ];
    found
        .into_iter()
        .filter_map(|(is, warning)| is.then_some(warning))
        .collect()
}
