//! Rows of a chunk: JSON lines, gzip.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use reeve_state::record::METRICS;
use serde::Deserialize;

/// Most bytes that a chunk may unpack to; a worker's own chunks stay far below.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
/// Longest line: a SIP message of 64 KiB in base64, and what is said of it.
const MOST_LINE_BYTES: u64 = 128 * 1024;

/// A row has a field for each metric; serde's `flatten` would say it shorter and take longer.
macro_rules! row {
    ($($metric:ident),* $(,)?) => {
        /// One row: figures, or a change of phase.
        #[derive(Debug, Deserialize)]
        pub struct Row<'a> {
            /// Cluster time, Unix milliseconds.
            pub at: i64,
            /// The group.
            #[serde(borrow)]
            pub group: Cow<'a, str>,
            /// Index within the group.
            pub endpoint: u32,
            /// Of a change.
            #[serde(borrow)]
            pub phase: Option<Cow<'a, str>>,
            /// Of a change to CLOSED.
            #[serde(borrow)]
            pub outcome: Option<Cow<'a, str>>,
            /// How requests of the endpoint were answered; names that are none are left out where they are counted.
            #[serde(default)]
            pub responses: Vec<Cow<'a, str>>,
            $($metric: Option<f64>,)*
        }

        impl Row<'_> {
            /// Its figures, by metric.
            pub fn figures(&self) -> impl Iterator<Item = (&'static str, f64)> {
                let figures: [_; METRICS.len()] = [$((stringify!($metric), self.$metric),)*];
                figures
                    .into_iter()
                    .filter_map(|(metric, value)| Some((metric, value?)))
            }
        }
    };
}

row! {
    setup_time_ms, call_duration_ms, start_lateness_ms, mos, jitter_ms, rtt_ms, fraction_lost, r_factor, packets_lost, packets_due,
    packets_sent, packets_received, duplicate_packets, out_of_order_packets, late_packets, send_lateness_ms, generator_late,
    register_time_ms, trying_time_ms, auth_time_ms, pdd_ms, call_setup_time_ms, ring_time_ms, asr, ner, seer,
    call_lateness_ms,
}

/// A row from its line.
pub fn read_row<'a, R: Deserialize<'a>>(line: &'a [u8]) -> Result<R, String> {
    serde_json::from_slice(line).map_err(|error| format!("a row cannot be read: {error}"))
}

/// Calls `take` with each line, until it gives an error. The error says what is wrong with the chunk; lines before it were taken.
pub fn for_each_line(data: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
    let mut lines = BufReader::new(MultiGzDecoder::new(data).take(MOST_BYTES));
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut lines).take(MOST_LINE_BYTES).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(format!("it cannot be unpacked: {error}")),
        }
        take(&line)?;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    fn for_each_row(data: &[u8], mut take: impl FnMut(&Row<'_>)) -> Result<(), String> {
        for_each_line(data, |line| read_row(line).map(|row| take(&row)))
    }

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_row_knows_every_metric_of_the_state_and_no_other() {
        let figures: Vec<String> = METRICS.iter().map(|metric| format!("\"{metric}\":1")).collect();
        let text = format!(
            "{{\"at\":5,\"group\":\"g\",\"endpoint\":7,\"other\":1,{}}}\n",
            figures.join(",")
        );
        let mut known = Vec::new();
        for_each_row(&packed(&text), |row| {
            known.extend(row.figures().map(|(metric, _)| metric))
        })
        .unwrap();
        assert_eq!(known, METRICS);
    }

    #[test]
    fn rows_come_back_with_their_figures_and_fields_that_are_not_known_are_left_out() {
        let text = "{\"at\":5,\"group\":\"a \\\"b\\\"\",\"endpoint\":7,\"mos\":4.12,\"rtt_ms\":3,\"simulated\":true}\n\
                    {\"at\":6,\"group\":\"g\",\"endpoint\":8,\"phase\":\"CLOSED\",\"outcome\":\"SUCCESS\"}\n";
        // Two packets behind each other are one file.
        let data = [packed(text), packed(text)].concat();
        let mut seen = Vec::new();
        for_each_row(&data, |row| {
            seen.push((
                row.at,
                row.group.to_string(),
                row.endpoint,
                row.figures().collect::<Vec<_>>(),
            ));
        })
        .unwrap();
        assert_eq!(seen.len(), 4);
        assert_eq!(
            seen[0],
            (5, "a \"b\"".to_owned(), 7, vec![("mos", 4.12), ("rtt_ms", 3.0)])
        );
        assert_eq!(seen[1].3, []);
    }

    #[test]
    fn a_chunk_that_is_none_says_why() {
        assert!(
            for_each_row(b"hello", |_| ())
                .unwrap_err()
                .starts_with("it cannot be unpacked")
        );
        assert!(
            for_each_row(&packed("{}\n"), |_| ())
                .unwrap_err()
                .starts_with("a row cannot be read")
        );
        let whole = packed("{\"at\":6,\"group\":\"g\",\"endpoint\":8}\n");
        assert!(
            for_each_row(&whole[..whole.len() - 9], |_| ()).is_err(),
            "cut off"
        );
    }
}
