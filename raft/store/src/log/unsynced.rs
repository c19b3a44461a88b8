//! The mutant `no-fsync-vote`: votes in a file of their own that is never synced. In the log's own file the next entry would sync the vote
//! with it, and the bug would not show.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use prost::Message;

use crate::codec::Wire;
use crate::types::Vote;

const FILE: &str = "VOTE";

/// Written in place: cutting the file off first would make ext4 write it out at once.
pub(super) fn save_vote(log: &Path, vote: &Vote) -> io::Result<()> {
    let bytes = vote.to_proto().encode_length_delimited_to_vec();
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(log.join(FILE))?;
    file.write_all(&bytes)
}

/// None: it never voted, or lost what it wrote.
pub(super) fn read_vote(log: &Path) -> io::Result<Option<Vote>> {
    let bytes = match std::fs::read(log.join(FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let proto = <Vote as Wire>::Proto::decode_length_delimited(bytes.as_slice());
    Ok(proto.ok().and_then(|proto| Vote::from_proto(proto).ok()))
}
