//! A look at the log's newest file before RocksDB opens it.
//!
//! RocksDB takes a record whose length leads past the end of the file for the torn end of the last write and drops it, and
//! everything after it, without a word. That is right after a power cut, and wrong when the length itself is damaged: entries
//! that were acknowledged would be gone. The difference can be seen: after a torn write there is no sound record any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// RocksDB's log format: records do not cross blocks of this size.
const BLOCK: usize = 32 * 1024;
/// Masked CRC-32C (4), length (2), type (1).
const HEADER: usize = 7;
/// Full, first, middle and last pieces of a record.
const TYPES: std::ops::RangeInclusive<u8> = 1..=4;
/// How far behind a broken record a sound one is looked for; many records fit into it.
const LOOK_AHEAD: usize = 8 * BLOCK;

/// The first file of the log in which sound records follow a broken one, and where it broke.
pub(super) fn broken_in_the_middle(directory: &Path) -> io::Result<Option<(PathBuf, usize)>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log")
            && let Some(at) = break_before_sound_records(&fs::read(&path)?)
        {
            return Ok(Some((path, at)));
        }
    }
    Ok(None)
}

/// Where a record's length leads out of its block or the file although sound records follow.
fn break_before_sound_records(file: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at + HEADER <= file.len() {
        let rest_of_block = BLOCK - at % BLOCK;
        if rest_of_block < HEADER || file[at..at + HEADER] == [0; HEADER] {
            // Too short for a record, or space that was never written: the next block.
            at += rest_of_block;
            continue;
        }
        let end = at + HEADER + length(file, at);
        if end > file.len() || end > at + rest_of_block {
            return sound_record_after(file, at).then_some(at);
        }
        at = end;
    }
    None
}

fn sound_record_after(file: &[u8], at: usize) -> bool {
    let last = file.len().saturating_sub(HEADER).min(at + LOOK_AHEAD);
    (at + 1..=last).any(|candidate| is_sound(file, candidate))
}

fn is_sound(file: &[u8], at: usize) -> bool {
    let end = at + HEADER + length(file, at);
    if !TYPES.contains(&file[at + 6]) || end > file.len() || HEADER + length(file, at) > BLOCK - at % BLOCK {
        return false;
    }
    let stored = u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
    masked(crc32c::crc32c(&file[at + 6..end])) == stored
}

fn length(file: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([file[at + 4], file[at + 5]]))
}

/// RocksDB stores checksums so, because those of data that hold checksums are weak.
const fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rocksdb::{DB, WriteOptions};

    use super::*;

    /// A log file of RocksDB's own with 50 records, and where each of them begins.
    fn written() -> (Vec<u8>, Vec<usize>) {
        let dir = tempfile::tempdir().unwrap();
        let db = DB::open_default(dir.path()).unwrap();
        let mut options = WriteOptions::default();
        options.set_sync(true);
        for number in 0..50u8 {
            db.put_opt([number], [number; 200], &options).unwrap();
        }
        let log = fs::read_dir(dir.path()).unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            path.extension()
                .is_some_and(|extension| extension == "log")
                .then_some(path)
        });
        let file = fs::read(log.unwrap()).unwrap();
        let mut begins = Vec::new();
        let mut at = 0;
        while at + HEADER <= file.len() && length(&file, at) > 0 {
            assert!(is_sound(&file, at), "our reading of the format is RocksDB's");
            begins.push(at);
            at += HEADER + length(&file, at);
        }
        assert_eq!(begins.len(), 50);
        (file, begins)
    }

    #[test]
    fn a_damaged_length_before_sound_records_is_found_wherever_it_is() {
        let (file, begins) = written();
        assert_eq!(break_before_sound_records(&file), None);
        for begin in &begins[..49] {
            let mut broken = file.clone();
            broken[begin + 5] ^= 0xff;
            assert_eq!(break_before_sound_records(&broken), Some(*begin));
        }
    }

    #[test]
    fn a_torn_end_is_no_damage() {
        let (file, begins) = written();
        for cut in begins[49] + 1..file.len() {
            assert_eq!(break_before_sound_records(&file[..cut]), None, "cut at {cut}");
        }
    }
}
