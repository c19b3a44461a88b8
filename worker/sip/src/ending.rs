//! How an endpoint ended: from what happened to outcome and detail. Pure; the table of the guide is this file.

use std::fmt;

use reeve_proto::response::{Answer, Request, Response};
use reeve_proto::v1::EndpointOutcome as Outcome;

use crate::tap::{Codes, Times};

/// How an endpoint ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// For everyone who counts.
    pub outcome: Outcome,
    /// For whoever asks why.
    pub detail: String,
    /// The request that it ended with, where that failed.
    pub failed: Option<Response>,
}

impl Ending {
    /// With this outcome and these words.
    pub fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self {
            outcome,
            detail: detail.into(),
            failed: None,
        }
    }

    /// And this request failed.
    #[must_use]
    pub fn after(self, request: Request, answer: Answer) -> Self {
        Self {
            failed: Some(Response::new(request, answer)),
            ..self
        }
    }
}

/// How a registration failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unregistered {
    /// Challenged again after credentials were sent: a wrong password.
    Challenged(u16),
    /// Another realm asks than the account is for.
    OtherRealm,
    /// It asks for more than a registration lives, twice.
    TooBrief,
    /// Any other final response.
    Refused(u16),
    /// 2xx, but our contact is not among those it names.
    NotOurs,
    /// Nothing came for 32 s.
    Silence,
    /// There is no connection to it, for this reason.
    Unreachable(String),
    /// Its name has no address.
    Unknown,
}

impl Unregistered {
    /// REGISTRATION_FAILED, whatever it was (R163).
    #[must_use]
    pub fn ending(self) -> Ending {
        let detail = match &self {
            Self::Challenged(code) => format!("registrar: {code} again after credentials were sent"),
            Self::OtherRealm => "registrar: it asks for credentials of another realm".to_owned(),
            Self::TooBrief => "registrar: 423 again with the interval that it asked for".to_owned(),
            Self::Refused(code) => format!("registrar: {code}"),
            Self::NotOurs => "registrar: 2xx without our contact".to_owned(),
            Self::Silence => "registrar: no response".to_owned(),
            Self::Unreachable(why) => format!("registrar: {why}"),
            Self::Unknown => "registrar: its name has no address".to_owned(),
        };
        let answer = match self {
            Self::Challenged(code) | Self::Refused(code) => Answer::Code(code),
            Self::OtherRealm => Answer::Code(401),
            Self::TooBrief => Answer::Code(423),
            Self::NotOurs => Answer::Code(200),
            Self::Silence => Answer::NoResponse,
            Self::Unreachable(_) => Answer::NoConnection,
            Self::Unknown => Answer::NoAddress,
        };
        Ending::new(Outcome::RegistrationFailed, detail).after(Request::Register, answer)
    }
}

/// What ended an attempt to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// This final response, from the wire.
    Code(u16),
    /// Nothing at all came for 32 s.
    Silence,
    /// We gave up, because it rang for too long, or was tried for too long.
    Unanswered,
    /// There is no connection to whoever is called, for this reason.
    Unreachable(String),
    /// It could not be sent.
    Unsent,
}

impl Refused {
    /// CALL_FAILED, NEGOTIATION_FAILED or TIMEOUT (R164, R165).
    #[must_use]
    pub fn ending(self) -> Ending {
        let answer = match self {
            Self::Code(code) => Answer::Code(code),
            Self::Silence => Answer::NoResponse,
            Self::Unanswered => Answer::NotAnswered,
            Self::Unreachable(_) => Answer::NoConnection,
            Self::Unsent => Answer::NotSent,
        };
        self.reason().after(Request::Invite, answer)
    }

    fn reason(self) -> Ending {
        match self {
            Self::Code(code @ (415 | 488 | 606)) => {
                Ending::new(Outcome::NegotiationFailed, format!("INVITE: {code}"))
            }
            Self::Code(code @ (401 | 407)) => Ending::new(
                Outcome::CallFailed,
                format!("INVITE: {code} again after credentials were sent"),
            ),
            Self::Code(code @ 300..=399) => {
                Ending::new(Outcome::CallFailed, format!("INVITE: {code} is not followed"))
            }
            Self::Code(code) => Ending::new(Outcome::CallFailed, format!("INVITE: {code}")),
            Self::Silence => Ending::new(Outcome::Timeout, "INVITE: no response"),
            Self::Unanswered => Ending::new(Outcome::Timeout, "INVITE: not answered in time"),
            Self::Unreachable(why) => Ending::new(Outcome::CallFailed, format!("INVITE: {why}")),
            Self::Unsent => Ending::new(Outcome::Oserror, "INVITE: it could not be sent"),
        }
    }
}

/// How the requests of an endpoint were answered: at most one answer for each kind of request. `calls`: whether it calls, because an answer
/// to the call of somebody else is counted there.
#[must_use]
pub fn responses(times: &Times, codes: &Codes, calls: bool, ending: &Ending) -> Vec<Response> {
    let is_2xx = |code: &u16| code / 100 == 2;
    // Farewell and refresh are registrations too, and may be answered otherwise.
    let registered = times.registered.map(|_| Answer::Code(200));
    let answered = times.answered.filter(|_| calls);
    let answered = answered.map(|_| Answer::Code(codes.invite.filter(is_2xx).unwrap_or(200)));
    let bye = times.bye_sent.and(codes.bye).map(Answer::Code);
    let went = [
        (Request::Register, registered),
        (Request::Invite, answered),
        (Request::Bye, bye),
    ];
    let went = went
        .into_iter()
        .filter_map(|(request, answer)| Some(Response::new(request, answer?)))
        .filter(|went| ending.failed.is_none_or(|failed| failed.request != went.request));
    went.chain(ending.failed).collect()
}

/// What was not as it should be in a call that came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// Messages were sent more than once.
    Retransmissions,
    /// BYE was answered with 481.
    ByeUnknown,
    /// The other side hung up before nine tenths of the time.
    EarlyBye,
    /// The other side did not hang up in time, so this one did.
    LateBye,
    /// A re-INVITE of ours was not accepted.
    ChangeRefused,
    /// A whole second without a packet.
    OneWay,
    /// This generator did not keep time: its quality figures of that time are not published.
    GeneratorLate,
    /// No RTCP report came.
    NoRtcp,
    /// A round trip below zero was worked out from reports.
    NegativeRtt,
    /// It was told to hang up before it was in its call.
    Stopped,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Retransmissions => "retransmissions",
            Self::ByeUnknown => "481 to BYE",
            Self::EarlyBye => "the other side hung up early",
            Self::LateBye => "the other side did not hang up in time",
            Self::ChangeRefused => "hold or resume was not accepted",
            Self::OneWay => "a second without a packet",
            Self::GeneratorLate => "the generator was late",
            Self::NoRtcp => "no RTCP",
            Self::NegativeRtt => "a negative round trip",
            Self::Stopped => "stopped before its call",
        })
    }
}

/// How the farewell of a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Our BYE was answered with this code.
    Answered(u16),
    /// Our BYE was not answered for 32 s.
    Unanswered,
    /// The other side said BYE first.
    Theirs,
}

/// How a call ended that came about (table of sip.md).
#[must_use]
pub fn of_call(farewell: Farewell, warnings: &[Warning]) -> Ending {
    let mut warnings = warnings.to_vec();
    match farewell {
        Farewell::Unanswered => {
            let ending = Ending::new(Outcome::TeardownError, "BYE: no response");
            return ending.after(Request::Bye, Answer::NoResponse);
        }
        Farewell::Answered(481) => warnings.push(Warning::ByeUnknown),
        Farewell::Answered(code @ 400..) => {
            return Ending::new(Outcome::TeardownError, format!("BYE: {code}"));
        }
        Farewell::Answered(_) | Farewell::Theirs => {}
    }
    warnings.sort_unstable();
    warnings.dedup();
    if warnings.is_empty() {
        return Ending::new(Outcome::Success, String::new());
    }
    let words: Vec<String> = warnings.iter().map(Warning::to_string).collect();
    Ending::new(Outcome::CompletedWithWarnings, words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: R163.
    #[test]
    fn whatever_goes_wrong_with_a_registration_is_a_failed_registration() {
        let all = [
            Unregistered::Challenged(401),
            Unregistered::OtherRealm,
            Unregistered::TooBrief,
            Unregistered::Refused(403),
            Unregistered::NotOurs,
            Unregistered::Silence,
            Unregistered::Unreachable("no connection".to_owned()),
            Unregistered::Unknown,
        ];
        for one in all {
            let ending = one.ending();
            assert_eq!(ending.outcome, Outcome::RegistrationFailed);
            assert!(ending.detail.starts_with("registrar: "), "{}", ending.detail);
        }
    }

    /// Covers: R158.
    #[test]
    fn each_request_of_an_endpoint_is_counted_once_with_what_it_ended_with() {
        let now = Some(std::time::Instant::now());
        let names = |times: &Times, codes: &Codes, calls, ending: &Ending| {
            let responses = responses(times, codes, calls, ending);
            let names: Vec<String> = responses.iter().map(Response::to_string).collect();
            names.join(", ")
        };
        let registered = Times {
            register: now,
            registered: now,
            ..Times::default()
        };
        let called = Times {
            answered: now,
            bye_sent: now,
            ..registered
        };
        // The farewell to the registrar was refused.
        let codes = Codes {
            register: Some(503),
            invite: Some(202),
            bye: Some(200),
        };
        let success = of_call(Farewell::Answered(200), &[]);
        let all = "REGISTER 200, INVITE 202, BYE 200";
        assert_eq!(names(&called, &codes, true, &success), all);
        assert_eq!(names(&called, &codes, false, &success), "REGISTER 200, BYE 200");
        let busy = Refused::Code(486).ending();
        assert_eq!(
            names(&registered, &codes, true, &busy),
            "REGISTER 200, INVITE 486"
        );
        let silent = of_call(Farewell::Unanswered, &[]);
        let silence = "REGISTER 200, INVITE 202, BYE no response";
        assert_eq!(names(&called, &codes, true, &silent), silence);
        let nothing = Times::default();
        for (unregistered, name) in [
            (Unregistered::Silence, "REGISTER no response"),
            (Unregistered::Challenged(407), "REGISTER 407"),
            (Unregistered::Unknown, "REGISTER no address"),
        ] {
            let ending = unregistered.ending();
            assert_eq!(names(&nothing, &Codes::default(), true, &ending), name);
        }
        for (refused, name) in [
            (Refused::Silence, "INVITE no response"),
            (Refused::Unanswered, "INVITE not answered"),
            (Refused::Unsent, "INVITE not sent"),
        ] {
            assert_eq!(names(&nothing, &Codes::default(), true, &refused.ending()), name);
        }
    }

    /// Covers: R164, R165.
    #[test]
    fn every_final_response_to_invite_has_its_outcome() {
        for code in 300..700 {
            let expected = match code {
                415 | 488 | 606 => Outcome::NegotiationFailed,
                _ => Outcome::CallFailed,
            };
            let ending = Refused::Code(code).ending();
            assert_eq!(ending.outcome, expected, "{code}");
            assert!(ending.detail.contains(&code.to_string()));
        }
        assert_eq!(Refused::Silence.ending().outcome, Outcome::Timeout);
        assert_eq!(Refused::Unanswered.ending().outcome, Outcome::Timeout);
        assert_eq!(Refused::Unsent.ending().outcome, Outcome::Oserror);
        let unreachable = Refused::Unreachable("no connection".to_owned());
        assert_eq!(unreachable.ending().outcome, Outcome::CallFailed);
    }

    #[test]
    fn a_call_is_a_success_only_if_nothing_was_wrong_with_it() {
        assert_eq!(
            of_call(Farewell::Answered(200), &[]),
            Ending::new(Outcome::Success, "")
        );
        assert_eq!(of_call(Farewell::Theirs, &[]), Ending::new(Outcome::Success, ""));
        let warned = of_call(Farewell::Answered(481), &[Warning::OneWay, Warning::OneWay]);
        assert_eq!(warned.outcome, Outcome::CompletedWithWarnings);
        assert_eq!(warned.detail, "481 to BYE, a second without a packet");
        for farewell in [
            Farewell::Answered(500),
            Farewell::Answered(408),
            Farewell::Unanswered,
        ] {
            assert_eq!(
                of_call(farewell, &[Warning::OneWay]).outcome,
                Outcome::TeardownError
            );
        }
    }
}
