//! A chunk in the making: lines, compressed once they are many.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reeve_proto::v1::EvidenceKind;

use crate::clock::MonoMs;
use crate::executor::AssignmentKey;

/// Lines wait uncompressed up to here: a compressor costs more memory than most assignments have evidence.
const PLAIN_BYTES: usize = 256 * 1024;
/// A chunk is closed before it could grow beyond what a node takes, 2 MiB.
const CLOSE_AT_BYTES: usize = 3 * 512 * 1024;

/// Lines so far.
enum Lines {
    Plain(Vec<u8>),
    Compressed(Box<GzEncoder<Vec<u8>>>),
}

/// Takes lines until it is closed.
pub struct Writer {
    lines: Lines,
    rows: u64,
    first_at_ms: i64,
    last_at_ms: i64,
    /// When the first line came, on our own clock.
    pub opened: MonoMs,
}

/// A chunk that is to be uploaded.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Of which assignment.
    pub key: AssignmentKey,
    /// What it holds.
    pub kind: EvidenceKind,
    /// Counts the assignment's chunks of this kind from 0.
    pub seq: u32,
    /// How many rows.
    pub rows: u64,
    /// Cluster time of the first row.
    pub first_at_ms: i64,
    /// Cluster time of the last row.
    pub last_at_ms: i64,
    /// Nothing of this kind follows.
    pub last: bool,
    /// How many kinds of chunks the assignment has: as many last ones come.
    pub streams: u8,
    /// Rows that were given up before it.
    pub dropped: u64,
    /// JSON lines, gzip.
    pub data: Vec<u8>,
}

impl Writer {
    pub fn new(now: MonoMs) -> Self {
        Self {
            lines: Lines::Plain(Vec::new()),
            rows: 0,
            first_at_ms: i64::MAX,
            last_at_ms: i64::MIN,
            opened: now,
        }
    }

    /// Adds a line, which `write` puts at the end of what it gets.
    pub fn line(&mut self, at_ms: i64, write: impl FnOnce(&mut Vec<u8>)) {
        match &mut self.lines {
            Lines::Plain(lines) => {
                write(lines);
                if lines.len() >= PLAIN_BYTES {
                    self.lines = Lines::Compressed(Box::new(compressed(lines)));
                }
            }
            Lines::Compressed(encoder) => {
                let mut line = Vec::with_capacity(128);
                write(&mut line);
                // Compressing into memory does not fail.
                let _ = encoder.write_all(&line);
            }
        }
        self.rows += 1;
        self.first_at_ms = self.first_at_ms.min(at_ms);
        self.last_at_ms = self.last_at_ms.max(at_ms);
    }

    /// Whether nothing more fits.
    pub fn is_full(&self) -> bool {
        match &self.lines {
            Lines::Plain(_) => false,
            Lines::Compressed(encoder) => encoder.get_ref().len() >= CLOSE_AT_BYTES,
        }
    }

    /// The chunk; its number and what was dropped before it are the caller's to say.
    pub fn close(self, key: AssignmentKey, kind: EvidenceKind, now_ms: i64) -> Chunk {
        let encoder = match self.lines {
            Lines::Plain(lines) => compressed(&lines),
            Lines::Compressed(encoder) => *encoder,
        };
        let (first_at_ms, last_at_ms) = if self.rows == 0 {
            (now_ms, now_ms)
        } else {
            (self.first_at_ms, self.last_at_ms)
        };
        Chunk {
            key,
            kind,
            seq: 0,
            rows: self.rows,
            first_at_ms,
            last_at_ms,
            last: false,
            streams: 0,
            dropped: 0,
            data: encoder.finish().unwrap_or_default(),
        }
    }
}

fn compressed(lines: &[u8]) -> GzEncoder<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let _ = encoder.write_all(lines);
    encoder
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;

    use super::*;

    fn text(chunk: &Chunk) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(chunk.data.as_slice())
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    fn closed(writer: Writer) -> Chunk {
        writer.close(AssignmentKey::new("r", 1), EvidenceKind::Metrics, 77)
    }

    #[test]
    fn few_lines_and_many_come_back_as_they_were_written() {
        let mut writer = Writer::new(MonoMs(0));
        writer.line(5, |line| line.extend_from_slice(b"a\n"));
        writer.line(3, |line| line.extend_from_slice(b"b\n"));
        let chunk = closed(writer);
        assert_eq!(text(&chunk), "a\nb\n");
        assert_eq!((chunk.rows, chunk.first_at_ms, chunk.last_at_ms), (2, 3, 5));
        let mut writer = Writer::new(MonoMs(0));
        let mut expected = String::new();
        for n in 0..100_000 {
            let line = format!("{n} line\n");
            writer.line(n, |out| out.extend_from_slice(line.as_bytes()));
            expected.push_str(&line);
        }
        assert!(text(&closed(writer)) == expected);
    }

    #[test]
    fn a_chunk_is_full_before_it_exceeds_what_a_node_takes() {
        let mut writer = Writer::new(MonoMs(0));
        let mut draw = 1u64;
        while !writer.is_full() {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            writer.line(0, |line| line.extend_from_slice(format!("{draw:x}\n").as_bytes()));
        }
        let size = closed(writer).data.len();
        assert!((1 << 20..2 << 20).contains(&size), "{size}");
    }

    #[test]
    fn an_empty_chunk_happened_now() {
        let chunk = closed(Writer::new(MonoMs(0)));
        assert_eq!((chunk.rows, chunk.first_at_ms, chunk.last_at_ms), (0, 77, 77));
        assert_eq!(text(&chunk), "");
    }
}
