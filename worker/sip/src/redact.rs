//! Takes credentials out of a message before it is shown to anybody: the digest's response, which a password can be guessed from.
//!
//! Only that value changes; everything else stays as it was on the wire.

/// What stands in its place.
const REDACTED: &[u8] = b"redacted";

/// The message without the responses of its credentials; `None`: it has none.
#[must_use]
pub fn redact(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut cuts = Vec::new();
    let mut credentials = false;
    let mut begin = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        // A line that begins with white space goes on with the header before it.
        let goes_on = matches!(line.first(), Some(b' ' | b'\t'));
        credentials = if goes_on {
            credentials
        } else {
            has_credentials(line)
        };
        if credentials {
            responses(line, |from, to| cuts.push((begin + from, begin + to)));
        }
        begin += line.len();
    }
    (!cuts.is_empty()).then(|| replaced(bytes, &cuts))
}

fn has_credentials(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let name = name.trim_ascii_end();
    name.len() < line.len()
        && (name.eq_ignore_ascii_case(b"Authorization") || name.eq_ignore_ascii_case(b"Proxy-Authorization"))
}

fn replaced(bytes: &[u8], cuts: &[(usize, usize)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut kept = 0;
    for (from, to) in cuts {
        out.extend_from_slice(&bytes[kept..*from]);
        out.extend_from_slice(REDACTED);
        kept = *to;
    }
    out.extend_from_slice(&bytes[kept..]);
    out
}

/// Where the values of `response` are, without their quotes.
fn responses(line: &[u8], mut found: impl FnMut(usize, usize)) {
    // What another value quotes is none of ours; where quotes do not pair nobody can tell, so that nothing is spared.
    let spared = line.iter().filter(|byte| **byte == b'"').count() % 2 == 0;
    let mut at = 0;
    while at < line.len() {
        if is_token(line[at]) {
            let end = past(line, at, is_token);
            let value = value_of(line, at, end);
            at = end;
            if let Some((from, to)) = value {
                found(from, to);
                at = to + usize::from(line.get(to) == Some(&b'"'));
            }
        } else if line[at] == b'"' && spared {
            at = end_of_quoted(line, at + 1) + 1;
        } else {
            at += 1;
        }
    }
}

/// The value, if the name is `response`.
fn value_of(line: &[u8], name: usize, end: usize) -> Option<(usize, usize)> {
    let space = |byte: u8| matches!(byte, b' ' | b'\t');
    if !line[name..end].eq_ignore_ascii_case(b"response") {
        return None;
    }
    let equals = past(line, end, space);
    if line.get(equals) != Some(&b'=') {
        return None;
    }
    let value = past(line, equals + 1, space);
    if line.get(value) == Some(&b'"') {
        return Some((value + 1, end_of_quoted(line, value + 1)));
    }
    let bare = |byte: u8| !matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n');
    Some((value, past(line, value, bare)))
}

/// Where the quote is that ends what begins here, or the line.
fn end_of_quoted(line: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = line.get(at) {
        match byte {
            b'"' | b'\r' | b'\n' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    line.len()
}

fn past(line: &[u8], from: usize, is: impl Fn(u8) -> bool) -> usize {
    let mut at = from.min(line.len());
    while line.get(at).is_some_and(|byte| is(*byte)) {
        at += 1;
    }
    at
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(text: &str) -> Option<String> {
        redact(text.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// Covers: R154.
    #[test]
    fn the_response_goes_and_nothing_else() {
        let before = "REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username=\"a\", response=\"0123\", nonce=\"response=9\"\r\n\
                      X: response=\"kept\"\r\n\r\nresponse=\"kept\"";
        let after = before.replace("0123", "redacted");
        assert_eq!(redacted(before), Some(after));
        assert_eq!(
            redacted("REGISTER sip:x SIP/2.0\r\nContact: response=\"1\"\r\n\r\n"),
            None
        );
    }

    #[test]
    fn however_it_is_written() {
        for (before, after) in [
            (
                "aUTHORIZATION : Digest RESPONSE = \"1\"\n",
                "aUTHORIZATION : Digest RESPONSE = \"redacted\"\n",
            ),
            (
                "proxy-authorization:Digest response=1,a=b",
                "proxy-authorization:Digest response=redacted,a=b",
            ),
            (
                "Authorization: Digest a=b,\r\n response=\"1\"\r\n",
                "Authorization: Digest a=b,\r\n response=\"redacted\"\r\n",
            ),
            (
                "Authorization: Digest response=\"1",
                "Authorization: Digest response=\"redacted",
            ),
            (
                "Authorization: Digest u=\"a, response=\"1\"",
                "Authorization: Digest u=\"a, response=\"redacted\"",
            ),
            (
                "Authorization: a response=\"1\", response=\"2\"",
                "Authorization: a response=\"redacted\", response=\"redacted\"",
            ),
        ] {
            assert_eq!(redacted(before).as_deref(), Some(after), "{before:?}");
        }
        for same in [
            "Authorization: Digest my-response=\"1\"",
            "Authorization: Digest u=\"response=1\"",
            "Authorization: Digest response",
            "Authorization",
            "WWW-Authenticate: Digest response=\"1\"",
        ] {
            assert_eq!(redacted(same), None, "{same:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = redact(&bytes);
            let mut line = b"Authorization: ".to_vec();
            line.extend(bytes);
            let once = redact(&line).unwrap_or(line);
            prop_assert_eq!(redact(&once).unwrap_or(once.clone()), once, "there is nothing left to redact");
        }

        #[test]
        fn everything_around_the_response_is_the_same(
            before in prop::collection::vec(any::<u8>(), 0..100),
            secret in "[0-9a-f]{32}",
            after in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let message = |response: &str| {
                let header = format!("\r\nAuthorization: Digest response=\"{response}\", qop=auth\r\n\r\n");
                [b"x".as_slice(), &before, header.as_bytes(), b"y", &after].concat()
            };
            let after_y = [b"y".as_slice(), &after].concat();
            // Credentials that chance made elsewhere are not the subject.
            let lower = |bytes: &[u8]| bytes.to_ascii_lowercase();
            prop_assume!(!lower(&before).windows(13).any(|part| part == b"authorization"));
            prop_assume!(!lower(&after_y).windows(13).any(|part| part == b"authorization"));
            prop_assert_eq!(redact(&message(&secret)), Some(message("redacted")));
        }
    }
}
