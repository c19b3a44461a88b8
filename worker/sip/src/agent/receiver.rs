//! The called side: it waits for its call, rings, and answers.

use std::time::{Duration, Instant};

use reeve_proto::response::{Answer, Request};
use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::StatusCode;
use rsipstack::transaction::transaction::Transaction;
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout};

use super::call::{Call, Ours, described};
use super::{Agent, HangUp, ordered, stopped};
use crate::desk::Media;
use crate::ending::Ending;
use crate::sdp::{self, Agreed, Description, Unusable};

/// How long after its time a call is hung up that the caller does not end.
const OVERTIME: Duration = Duration::from_secs(5);
/// Longest time for the ACK: the stack gives up after 32 s, but never begins to wait if the answer cannot be sent.
const UNACKNOWLEDGED: Duration = Duration::from_secs(34);
/// So long a final response that is not acknowledged may be repeated after its call is over.
const REPEATED: Duration = Duration::from_secs(35);

/// What came of ringing.
enum Rang {
    Out,
    Cancelled,
    Ordered(HangUp),
}

impl Agent {
    /// Waits for its call until `until`.
    pub(super) async fn receive(&mut self, ring: Duration, until: Instant, media: Media) -> Ending {
        let mut orders = self.orders.clone();
        let invite = tokio::select! {
            biased;
            order = ordered(&mut orders) => return stopped(order),
            invite = self.calls.recv() => invite,
            () = sleep_until(until.into()) => None,
        };
        let Some(invite) = invite else {
            let ending = Ending::new(Outcome::Timeout, "no call came");
            return ending.after(Request::Invite, Answer::NoneCame);
        };
        // Everybody else who calls meanwhile is told that the line is busy.
        let (_, nobody) = mpsc::unbounded_channel();
        let calls = std::mem::replace(&mut self.calls, nobody);
        let busy = tokio::spawn(busy(calls));
        let ending = self.pick_up(invite, ring, media).await;
        busy.abort();
        ending
    }

    async fn pick_up(&mut self, mut invite: Transaction, ring: Duration, media: Media) -> Ending {
        let dialogs = self.line.stack().dialogs().clone();
        let (sender, mut states) = dialogs.new_dialog_state_channel();
        let contact = Some(self.line.contact());
        let mut dialog = match dialogs.get_or_create_server_invite(&invite, sender, None, contact) {
            Ok(dialog) => dialog,
            Err(error) => return Ending::new(Outcome::CallFailed, format!("INVITE: {error}")),
        };
        let offer = invite.original.body.clone();
        let _way_back = self.line.stack().reach_back(&invite.original).await;
        let mut handled = dialog.clone();
        let mut handling = tokio::spawn(async move { handled.handle(&mut invite).await });
        let ending = self.picked_up(&mut dialog, &mut states, ring).await;
        let ending = match ending {
            Some(ending) => ending,
            None => self.answer(dialog, states, &offer, media).await,
        };
        tokio::spawn(async move {
            if timeout(REPEATED, &mut handling).await.is_err() {
                handling.abort();
            }
        });
        ending
    }

    /// Rings. `None`: it is to be answered.
    async fn picked_up(
        &mut self,
        dialog: &mut InviteDialog,
        states: &mut DialogStateReceiver,
        ring: Duration,
    ) -> Option<Ending> {
        let _ = dialog.ringing(None, None);
        self.enter(Phase::Ringing);
        let ending = match self.ring(states, ring).await {
            Rang::Out => return None,
            Rang::Cancelled => Ending::new(Outcome::CallFailed, "the caller gave up before it was answered")
                .after(Request::Invite, Answer::Cancelled),
            Rang::Ordered(order) => {
                self.enter(Phase::Disconnecting);
                let _ = dialog.reject(Some(StatusCode::TemporarilyUnavailable), None);
                stopped(order)
            }
        };
        forget(dialog, self.line.stack().dialogs());
        Some(ending)
    }

    async fn ring(&mut self, states: &mut DialogStateReceiver, ring: Duration) -> Rang {
        let mut orders = self.orders.clone();
        let out = sleep(ring);
        tokio::pin!(out);
        loop {
            tokio::select! {
                biased;
                order = ordered(&mut orders) => return Rang::Ordered(order),
                state = states.recv() => match state {
                    Some(DialogState::Terminated(..)) | None => return Rang::Cancelled,
                    Some(_) => {}
                },
                () = &mut out => return Rang::Out,
            }
        }
    }

    async fn answer(
        &mut self,
        mut dialog: InviteDialog,
        states: DialogStateReceiver,
        offer: &[u8],
        media: Media,
    ) -> Ending {
        let settled = self.settled(offer);
        let (offered, mut ours) = match settled {
            Ok(settled) => settled,
            Err(why) => {
                let code = if why == Unusable::NoCodec || why == Unusable::NoAudio {
                    StatusCode::NotAcceptableHere
                } else {
                    StatusCode::BadRequest
                };
                let _ = dialog.reject(Some(code), None);
                forget(&mut dialog, self.line.stack().dialogs());
                return Ending::new(Outcome::NegotiationFailed, format!("offer: {why}"));
            }
        };
        self.enter(Phase::Negotiating);
        ours.session = media.session.id().0;
        if let Some((theirs, agreed)) = &offered {
            ours.settle(*agreed);
            ours.direction = sdp::mirror(theirs.direction);
        }
        let _ = dialog.accept(Some(described()), Some(ours.write(&media)));
        let answered = Instant::now();
        let call = Call {
            dialog,
            states,
            media,
            ours,
            answered,
            until: answered + self.plan.duration + OVERTIME,
            theirs_to_end: true,
        };
        self.acknowledged(call, offered).await
    }

    /// What is agreed by an offer; nothing yet if there is none, and ours goes out instead.
    #[allow(clippy::type_complexity)]
    fn settled(&self, offer: &[u8]) -> Result<(Option<(Description, Agreed)>, Ours), Unusable> {
        let ours = Ours::offer(&self.plan.codecs, 0);
        match sdp::parse(offer) {
            Ok(theirs) => {
                let agreed = sdp::agree(&theirs, &self.plan.codecs)?;
                Ok((Some((theirs, agreed)), ours))
            }
            Err(Unusable::Missing) => Ok((None, ours)),
            Err(why) => Err(why),
        }
    }

    /// Waits for the ACK, and talks.
    async fn acknowledged(&mut self, mut call: Call, offered: Option<(Description, Agreed)>) -> Ending {
        // An order to hang up is obeyed in the call: there is no other way to end one that is answered.
        let limit = call.answered + UNACKNOWLEDGED;
        loop {
            let state = tokio::select! {
                state = call.states.recv() => state,
                () = sleep_until(limit.into()) => None,
            };
            match state {
                Some(DialogState::Confirmed(..)) => break,
                Some(DialogState::Terminated(..)) | None => {
                    let dialogs = self.line.stack().dialogs().clone();
                    forget(&mut call.dialog, &dialogs);
                    let why = if self.line.tap.times().bye_received.is_some() {
                        Ending::new(
                            Outcome::CallFailed,
                            "the caller hung up before it acknowledged the answer",
                        )
                    } else {
                        Ending::new(Outcome::Timeout, "ACK: none came").after(Request::Ack, Answer::NoneCame)
                    };
                    return why;
                }
                Some(_) => {}
            }
        }
        let settled = offered.map_or_else(|| self.answer_of_ack(&call), Ok);
        match settled {
            Ok((theirs, agreed)) => {
                self.begin(&mut call, &theirs, agreed);
                self.converse(call, &[]).await
            }
            Err(why) => {
                self.enter(Phase::Disconnecting);
                self.bye(&call.dialog).await;
                let dialogs = self.line.stack().dialogs().clone();
                forget(&mut call.dialog, &dialogs);
                Ending::new(Outcome::NegotiationFailed, format!("ACK: {why}"))
            }
        }
    }

    /// The answer to an offer of ours comes with the ACK.
    fn answer_of_ack(&self, call: &Call) -> Result<(Description, Agreed), Unusable> {
        let body = call
            .dialog
            .last_remote_ack()
            .map(|ack| ack.body)
            .unwrap_or_default();
        let theirs = sdp::parse(&body)?;
        let agreed = sdp::agree(&theirs, &self.plan.codecs)?;
        Ok((theirs, agreed))
    }
}

async fn busy(mut calls: mpsc::UnboundedReceiver<Transaction>) {
    while let Some(mut invite) = calls.recv().await {
        let _ = invite.reply(StatusCode::BusyHere).await;
    }
}

fn forget(dialog: &mut InviteDialog, dialogs: &rsipstack::dialog::dialog_layer::DialogLayer) {
    dialogs.remove_dialog(&dialog.id());
}
