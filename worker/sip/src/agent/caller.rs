//! The calling side, up to the answer.

use std::time::{Duration, Instant};

use reeve_proto::v1::{EndpointOutcome as Outcome, EndpointPhase as Phase};
use rsipstack::dialog::DialogId;
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver};
use rsipstack::dialog::invitation::InviteOption;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Response, Uri};
use rsipstack::transport::SipAddr;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until, timeout};

use super::call::{Call, Ours};
use super::{Agent, HangUp, ordered, stopped};
use crate::desk::Media;
use crate::ending::{Ending, Refused};
use crate::plan::Action;
use crate::register::{address_of_record, credentials, routes};
use crate::sdp;
use crate::tap::Fault;

/// Timer B: after this the stack gives up an INVITE that nobody answers. A little more, so that it speaks first.
const SILENCE: Duration = Duration::from_secs(34);
/// Longest time for the 487 after a CANCEL, or for the end of a call that was answered meanwhile.
const CANCELLED: Duration = Duration::from_secs(8);
/// So often the tap is asked for what the stack does by itself.
const LOOKS_AGAIN: Duration = Duration::from_millis(20);

type Inviting = JoinHandle<rsipstack::Result<(DialogId, Option<Response>)>>;

/// What came of an INVITE.
enum Outcomes {
    Final(rsipstack::Result<(DialogId, Option<Response>)>),
    Unanswered,
    Ordered(HangUp),
}

impl Agent {
    /// Calls, and talks if somebody answers.
    pub(super) async fn call(
        &mut self,
        target: &str,
        answer_timeout: Duration,
        actions: &[Action],
        media: Media,
    ) -> Ending {
        let Ok(callee) = Uri::try_from(target) else {
            return Ending::new(Outcome::CallFailed, format!("{target:?} is no SIP URI"));
        };
        let ours = Ours::offer(&self.plan.codecs, media.session.id().0);
        let (sender, mut states) = self.line.stack().dialogs().new_dialog_state_channel();
        let next_hop = match self.line.stack().reach(self.plan.registrar.next_hop).await {
            Ok(next_hop) => next_hop,
            Err(error) => return Ending::new(Outcome::Oserror, format!("INVITE: {error}")),
        };
        let _way = self.line.stack().hold(self.plan.registrar.next_hop);
        let _route = self.line.stack().routes().add(&callee, next_hop.clone());
        let option = self.invitation(callee, next_hop, ours.write(&media));
        let (dialog, mut inviting) = match self.line.stack().dialogs().do_invite_async(option, sender) {
            Ok(invited) => invited,
            Err(error) => return Ending::new(Outcome::CallFailed, format!("INVITE: {error}")),
        };
        self.enter(Phase::Calling);
        match self.await_final(&mut inviting, &mut states, answer_timeout).await {
            Outcomes::Final(Ok((_, Some(response)))) if response.status_code.code() / 100 == 2 => {
                let call = Call {
                    dialog,
                    states,
                    media,
                    ours,
                    answered: self.line.tap.times().answered.unwrap_or_else(Instant::now),
                    until: Instant::now(),
                    theirs_to_end: false,
                };
                self.answered(call, &response, actions).await
            }
            Outcomes::Final(result) => self.refused(&result).ending(),
            Outcomes::Unanswered => {
                self.give_up(&dialog, inviting).await;
                Refused::Unanswered.ending()
            }
            Outcomes::Ordered(order) => {
                self.give_up(&dialog, inviting).await;
                stopped(order)
            }
        }
    }

    fn invitation(&self, callee: Uri, next_hop: SipAddr, offer: Vec<u8>) -> InviteOption {
        let registrar = &self.plan.registrar;
        InviteOption {
            caller: address_of_record(registrar, &self.plan.account.username),
            callee,
            destination: Some(next_hop),
            offer: Some(offer),
            contact: self.line.contact(),
            credential: Some(credentials(&self.plan.account)),
            call_id: Some(self.line.call_id()),
            route_set: routes(registrar),
            ..InviteOption::default()
        }
    }

    /// Waits for a final response, and says when it rings.
    async fn await_final(
        &mut self,
        inviting: &mut Inviting,
        states: &mut DialogStateReceiver,
        answer_timeout: Duration,
    ) -> Outcomes {
        let mut orders = self.orders.clone();
        let mut limit = Instant::now() + SILENCE.max(answer_timeout);
        let mut rang = false;
        loop {
            tokio::select! {
                biased;
                order = ordered(&mut orders) => return Outcomes::Ordered(order),
                Some(state) = states.recv() => {
                    if let DialogState::Early(..) | DialogState::Trying(..) = state
                        && !rang
                        && self.line.tap.times().ringing.is_some()
                    {
                        rang = true;
                        limit = Instant::now() + answer_timeout;
                        self.enter(Phase::Ringing);
                    }
                }
                done = &mut *inviting => return match done {
                    Ok(result) => Outcomes::Final(result),
                    Err(error) => Outcomes::Final(Err(rsipstack::Error::Error(error.to_string()))),
                },
                () = sleep_until(limit.into()) => return Outcomes::Unanswered,
            }
        }
    }

    /// What a final response means that is no answer; only what was on the wire counts as the other side's word.
    fn refused(&self, result: &rsipstack::Result<(DialogId, Option<Response>)>) -> Refused {
        let wire = self.line.tap.codes().invite;
        let code = match result {
            Ok((_, Some(response))) => Some(response.status_code.code()),
            Ok((_, None)) | Err(_) => None,
        };
        match (code, wire, self.line.tap.why_unsent("INVITE")) {
            (Some(code), Some(seen), _) if code == seen => Refused::Code(code),
            // The INVITE, or the one with credentials that should have followed a challenge.
            (_, _, Some(unsent)) => match unsent.fault {
                Fault::Ours => Refused::Unsent,
                Fault::Theirs => Refused::Unreachable(unsent.why),
                Fault::Silence => Refused::Silence,
            },
            // A 2xx that the stack could not use, or a challenge that it could not answer.
            (None, Some(seen), None) => Refused::Code(seen),
            (_, _, None) if self.line.tap.times().invite.is_none() => Refused::Unsent,
            (_, _, None) => Refused::Silence,
        }
    }

    /// Cancels, and waits until the other side knows. An answer that was under way meanwhile is hung up.
    async fn give_up(&mut self, dialog: &InviteDialog, inviting: Inviting) {
        self.enter(Phase::Disconnecting);
        // Dropping the task of the INVITE would cancel it too, but not wait for the 487.
        let cancelled = timeout(CANCELLED, async {
            let _ = dialog.cancel().await;
            inviting.await
        });
        if let Ok(Ok(Ok((_, Some(response))))) = cancelled.await
            && response.status_code.code() / 100 == 2
        {
            if matches!(dialog.state(), DialogState::Terminated(..)) {
                // It was cancelled, so the stack hangs up by itself.
                let hung_up = async {
                    while self.line.tap.codes().bye.is_none() {
                        sleep(LOOKS_AGAIN).await;
                    }
                };
                let _ = timeout(CANCELLED, hung_up).await;
            } else {
                self.bye(dialog).await;
            }
        }
        self.line.stack().dialogs().remove_dialog(&dialog.id());
    }

    async fn answered(&mut self, mut call: Call, response: &Response, actions: &[Action]) -> Ending {
        self.enter(Phase::Negotiating);
        let settled = sdp::parse(&response.body)
            .and_then(|theirs| sdp::agree(&theirs, &self.plan.codecs).map(|agreed| (theirs, agreed)));
        match settled {
            Ok((theirs, agreed)) => {
                self.begin(&mut call, &theirs, agreed);
                call.until = call.answered + self.plan.duration;
                self.converse(call, actions).await
            }
            Err(why) => {
                self.enter(Phase::Disconnecting);
                self.bye(&call.dialog).await;
                self.line.stack().dialogs().remove_dialog(&call.dialog.id());
                Ending::new(Outcome::NegotiationFailed, format!("2xx: {why}"))
            }
        }
    }
}
