//! The times of a call, as everybody means them (R159–R161). What did not happen is `None`, never 0.

use std::time::{Duration, Instant};

use crate::tap::{Codes, Times};

/// The times of a call. A challenge counts: the clock starts at the first INVITE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// An INVITE was sent, or came: this endpoint was in an attempt to call.
    pub seized: bool,
    /// INVITE to 100.
    pub trying: Option<Duration>,
    /// INVITE to the INVITE with credentials.
    pub auth: Option<Duration>,
    /// Post-dial delay: INVITE to the first 101–199 with a To tag (R159).
    pub pdd: Option<Duration>,
    /// Set-up: INVITE to 2xx (R160).
    pub setup: Option<Duration>,
    /// Ring: the first 101–199 to 2xx (R161).
    pub ring: Option<Duration>,
    /// 2xx to the first BYE.
    pub duration: Option<Duration>,
    /// REGISTER to 2xx.
    pub register: Option<Duration>,
    /// The final response to INVITE that was on the wire.
    pub code: Option<u16>,
}

impl Figures {
    /// From what was on the wire.
    #[must_use]
    pub fn of(times: &Times, codes: &Codes) -> Self {
        let bye = match (times.bye_sent, times.bye_received) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self {
            seized: times.invite.is_some(),
            trying: between(times.invite, times.trying),
            auth: between(times.invite, times.invite_again),
            pdd: between(times.invite, times.ringing),
            setup: between(times.invite, times.answered),
            ring: between(times.ringing, times.answered),
            duration: between(times.answered, bye),
            register: between(times.register, times.registered),
            code: codes.invite,
        }
    }
}

fn between(from: Option<Instant>, to: Option<Instant>) -> Option<Duration> {
    to?.checked_duration_since(from?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: R159, R160, R161.
    #[test]
    fn times_are_differences_of_what_was_on_the_wire() {
        let begin = Instant::now();
        let at = |ms| Some(begin + Duration::from_millis(ms));
        let ms = |ms| Some(Duration::from_millis(ms));
        let times = Times {
            register: at(0),
            registered: at(5),
            invite: at(1_000),
            invite_again: at(1_010),
            trying: at(1_012),
            ringing: at(1_100),
            answered: at(3_100),
            bye_sent: at(9_000),
            bye_received: at(8_100),
            ..Times::default()
        };
        let codes = Codes {
            invite: Some(200),
            ..Codes::default()
        };
        let expected = Figures {
            seized: true,
            trying: ms(12),
            auth: ms(10),
            pdd: ms(100),
            setup: ms(2_100),
            ring: ms(2_000),
            duration: ms(5_000),
            register: ms(5),
            code: Some(200),
        };
        assert_eq!(Figures::of(&times, &codes), expected);
    }

    #[test]
    fn what_did_not_happen_has_no_time() {
        let begin = Instant::now();
        let times = Times {
            invite: Some(begin),
            answered: Some(begin),
            ..Times::default()
        };
        let figures = Figures::of(&times, &Codes::default());
        assert_eq!(
            (figures.pdd, figures.ring),
            (None, None),
            "no 18x: no post-dial delay, not one of 0"
        );
        assert_eq!(figures.setup, Some(Duration::ZERO));
        assert_eq!(
            Figures::of(&Times::default(), &Codes::default()),
            Figures::default()
        );
    }
}
