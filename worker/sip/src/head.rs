//! The few lines of a SIP message that say whose it is and what it is, read from the bytes as they are.
//!
//! Nothing is refused here: a trace keeps rubbish too. What is not there or cannot be read is empty.

/// What a message says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// The first line.
    pub start: &'a str,
    /// Which call or registration it belongs to.
    pub call_id: &'a str,
    /// The number in CSeq.
    pub cseq: Option<u32>,
    /// The method in CSeq: that of the request, in a response too.
    pub method: &'a str,
    /// The branch of the topmost Via, which names the transaction.
    pub branch: &'a str,
    /// The tag in From: that of whoever sent the request, in a response too.
    pub from_tag: &'a str,
    /// Whether To has a tag: the message belongs to a dialog, if only an early one.
    pub to_tag: bool,
}

/// Longest part of a message that is searched: headers of a sane message are shorter.
const SEARCHED_BYTES: usize = 64 * 1024;

impl<'a> Head<'a> {
    /// Reads what is there.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(SEARCHED_BYTES)];
        let mut head = Self::default();
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() && number > 0 {
                break;
            }
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            if number == 0 {
                head.start = line;
            } else if let Some((name, value)) = line.split_once(':') {
                head.header(name.trim(), value.trim());
            }
        }
        head
    }

    fn header(&mut self, name: &str, value: &'a str) {
        let is =
            |long: &str, short: &str| name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
        if is("Call-ID", "i") {
            self.call_id = value;
        } else if is("CSeq", "") && self.method.is_empty() {
            let (number, method) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
            self.cseq = number.parse().ok();
            self.method = method.trim();
        } else if is("Via", "v") && self.branch.is_empty() {
            self.branch = parameter(value, "branch").unwrap_or_default();
        } else if is("From", "f") {
            self.from_tag = tag(value).unwrap_or_default();
        } else if is("To", "t") {
            self.to_tag = tag(value).is_some();
        }
    }

    /// The status of a response; `None`: a request, or rubbish.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let rest = self.start.strip_prefix("SIP/2.0 ")?;
        let code: u16 = rest.get(..3)?.parse().ok()?;
        (100..700).contains(&code).then_some(code)
    }

    /// The method of a request; `None`: a response, or rubbish.
    #[must_use]
    pub fn request(&self) -> Option<&'a str> {
        let (method, rest) = self.start.split_once(' ')?;
        let whole = rest.ends_with(" SIP/2.0") && !method.is_empty();
        (whole && method.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(method)
    }

    /// The user part of the request's URI, if it has one.
    #[must_use]
    pub fn request_user(&self) -> Option<&'a str> {
        let uri = self.request().and_then(|_| self.start.split(' ').nth(1))?;
        let (_, rest) = uri.split_once(':')?;
        let (user, _) = rest.split_once('@')?;
        Some(user.split_once(':').map_or(user, |(user, _)| user))
    }
}

/// Of an address: parameters of the URI in it are not its own.
fn tag(address: &str) -> Option<&str> {
    let after_uri = address.rsplit_once('>').map_or(address, |(_, rest)| rest);
    parameter(after_uri, "tag")
}

fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let mut parameters = value
        .split(';')
        .skip(1)
        .filter_map(|part| part.trim().split_once('='));
    parameters.find_map(|(key, value)| {
        let first = value.split([',', ' ', '>']).next().unwrap_or(value);
        key.trim().eq_ignore_ascii_case(name).then_some(first.trim())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INVITE: &str = "INVITE sip:e7@10.0.0.2:5070;transport=udp SIP/2.0\r\n\
        Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKproxy;rport\r\n\
        Via: SIP/2.0/UDP 10.0.0.1:5080;branch=z9hG4bKcaller\r\n\
        From: \"a\" <sip:a@example.org>;tag=1\r\nt: <sip:b@example.org;tag=uri>\r\n\
        i: abc@host\r\nCSeq: 7 INVITE\r\nContent-Length: 4\r\n\r\nVia: x;branch=no";

    #[test]
    fn a_request_says_whose_it_is() {
        let head = Head::of(INVITE.as_bytes());
        assert_eq!(head.request(), Some("INVITE"));
        assert_eq!(head.request_user(), Some("e7"));
        assert_eq!(
            (head.call_id, head.cseq, head.method),
            ("abc@host", Some(7), "INVITE")
        );
        assert_eq!(head.branch, "z9hG4bKproxy", "the topmost");
        assert_eq!(head.from_tag, "1");
        assert!(!head.to_tag, "a parameter of the URI is not the tag");
        assert_eq!(head.status(), None);
    }

    #[test]
    fn a_response_has_a_status_and_the_method_of_its_request() {
        let text = "SIP/2.0 180 Ringing\r\nTo: <sip:b@x>;tag=9\r\nCSeq: 2 INVITE\r\nCall-ID: q\r\n\r\n";
        let head = Head::of(text.as_bytes());
        assert_eq!(
            (head.status(), head.method, head.to_tag),
            (Some(180), "INVITE", true)
        );
        assert_eq!((head.request(), head.request_user()), (None, None));
    }

    #[test]
    fn lines_that_end_without_a_carriage_return_are_read_too() {
        let head = Head::of(b"BYE sip:x@y SIP/2.0\nCall-ID: q\nCSeq: 3 BYE\n\n");
        assert_eq!(
            (head.request(), head.call_id, head.cseq),
            (Some("BYE"), "q", Some(3))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let head = Head::of(&bytes);
            let _ = (head.status(), head.request(), head.request_user());
        }

        #[test]
        fn a_message_cut_anywhere_is_read_without_a_panic(at in 0..INVITE.len()) {
            let head = Head::of(&INVITE.as_bytes()[..at]);
            let _ = (head.status(), head.request(), head.request_user());
        }
    }
}
