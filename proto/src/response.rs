//! How a request of a SIP endpoint was answered, as it is counted and shown: `INVITE 486`, `REGISTER no response`.

use std::fmt;
use std::str::FromStr;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// To be registered.
    Register,
    /// A call.
    Invite,
    /// That the answer was seen.
    Ack,
    /// The end of a call.
    Bye,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// This final response, from the wire.
    Code(u16),
    /// Nothing came in time.
    NoResponse,
    /// It rang, or was tried, for too long.
    NotAnswered,
    /// It could not be sent.
    NotSent,
    /// There is no connection to where it was to go.
    NoConnection,
    /// Where it was to go has no address.
    NoAddress,
    /// Nobody asked, although somebody was to.
    NoneCame,
    /// Whoever asked gave up.
    Cancelled,
}

/// A request and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Response {
    /// What was asked for.
    pub request: Request,
    /// What came of it.
    pub answer: Answer,
}

impl Response {
    /// Of these two.
    #[must_use]
    pub const fn new(request: Request, answer: Answer) -> Self {
        Self { request, answer }
    }
}

const REQUESTS: [(Request, &str); 4] = [
    (Request::Register, "REGISTER"),
    (Request::Invite, "INVITE"),
    (Request::Ack, "ACK"),
    (Request::Bye, "BYE"),
];
const WORDS: [(Answer, &str); 7] = [
    (Answer::NoResponse, "no response"),
    (Answer::NotAnswered, "not answered"),
    (Answer::NotSent, "not sent"),
    (Answer::NoConnection, "no connection"),
    (Answer::NoAddress, "no address"),
    (Answer::NoneCame, "none came"),
    (Answer::Cancelled, "cancelled"),
];

fn name<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    let known = names.iter().find(|(known, _)| known == value);
    known.map_or("", |(_, name)| name)
}

fn named<T: Copy>(names: &[(T, &str)], text: &str) -> Option<T> {
    let known = names.iter().find(|(_, name)| *name == text);
    known.map(|(value, _)| *value)
}

impl fmt::Display for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = name(&REQUESTS, &self.request);
        if let Answer::Code(code) = self.answer {
            return write!(formatter, "{request} {code}");
        }
        write!(formatter, "{request} {}", name(&WORDS, &self.answer))
    }
}

/// It is no request and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

impl FromStr for Response {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let (request, answer) = text.split_once(' ').ok_or(Unknown)?;
        let code = || {
            let code = answer.parse().ok().filter(|code| (200..=699).contains(code))?;
            Some(Answer::Code(code))
        };
        Ok(Self {
            request: named(&REQUESTS, request).ok_or(Unknown)?,
            answer: named(&WORDS, answer).or_else(code).ok_or(Unknown)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let codes = (200..700).map(Answer::Code);
        for answer in WORDS.iter().map(|(answer, _)| *answer).chain(codes) {
            for (request, _) in REQUESTS {
                let response = Response::new(request, answer);
                assert_eq!(response.to_string().parse(), Ok(response));
            }
        }
        let busy = Response::new(Request::Invite, Answer::Code(486));
        assert_eq!(busy.to_string(), "INVITE 486");
    }

    #[test]
    fn what_is_none_is_not_read() {
        for text in [
            "",
            "INVITE",
            "INVITE 99",
            "INVITE 180",
            "INVITE 199",
            "INVITE 700",
            "INVITE 999",
            "INVITE 1000",
            "INVITE maybe",
            "invite 486",
            "INVITE  486",
        ] {
            assert_eq!(text.parse::<Response>(), Err(Unknown), "{text}");
        }
    }
}
