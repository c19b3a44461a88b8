#![allow(clippy::unwrap_used)]

use super::*;

fn part(lines: &[String]) -> Vec<v1::RunTracePart> {
    let mut parts = Parts::default();
    for line in lines {
        parts.add(read_row(line.as_bytes()).unwrap(), true).unwrap();
    }
    parts.all()
}

fn message(seq: u32, raw: &[u8]) -> String {
    format!(
        "{{\"at\":1700000000123,\"group\":\"g\",\"endpoint\":7,\"seq\":{seq},\"us\":1500,\"wall_ns\":99,\"way\":\"sent\",\
         \"local\":\"10.0.0.1:5060\",\"remote\":\"[::1]:5070\",\"transport\":\"udp\",\"repeats\":2,\"truncated\":true,\
         \"redacted\":true,\"raw\":\"{}\"}}",
        BASE64_STANDARD.encode(raw)
    )
}

/// Covers: R154.
#[test]
fn a_row_is_a_message_or_the_end_of_an_endpoint() {
    let end = "{\"at\":1700000000456,\"group\":\"g\",\"endpoint\":7,\"detail\":\"INVITE: 486\",\"code\":486,\"dropped\":3}";
    let parts = part(&[message(4, b"\0\xffBYE"), end.to_owned()]);
    let [part] = &parts[..] else {
        panic!("{} parts", parts.len())
    };
    let first = &part.messages[0];
    assert_eq!((first.seq, first.endpoint, first.since_us), (4, 7, 1_500));
    assert_eq!(
        (first.raw.as_slice(), first.repeats),
        (b"\0\xffBYE".as_slice(), Some(2))
    );
    assert!(first.sent && first.truncated && first.redacted && first.late);
    let end = &part.endings[0];
    assert_eq!(
        (end.detail.as_str(), end.code, end.dropped),
        ("INVITE: 486", Some(486), 3)
    );
}

#[test]
fn parts_stay_below_what_a_message_may_be() {
    let lines: Vec<String> = (0..40).map(|seq| message(seq, &[b'x'; 64 * 1024])).collect();
    let parts = part(&lines);
    assert_eq!(parts.iter().map(|part| part.messages.len()).sum::<usize>(), 40);
    let most = parts.iter().map(prost::Message::encoded_len).max().unwrap();
    assert!(most < 1024 * 1024, "{most} bytes");
}

#[test]
fn bytes_that_are_no_base64_are_an_error_that_says_where() {
    let row: TraceRow<'_> = read_row(b"{\"raw\":\"*\"}").unwrap();
    let error = Parts::default().add(row, false).unwrap_err();
    assert!(error.starts_with("a row cannot be read: raw: "), "{error}");
}
