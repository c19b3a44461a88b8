//! What a stopped node has on disk: its log and its state, read without any of the node's own code but the messages.
//!
//! The log is `DATA/log`, a RocksDB: entries under `e` and their index as eight bytes, big end first; `m/vote`, `m/committed`,
//! `m/purged`. The state is `DATA/state/NAME`, where `DATA/state/CURRENT` says which: rows under a byte from 1 on for their table,
//! and under 0 `m` for what is true of the whole, `a` for what was applied last.

use std::path::Path;

use anyhow::{Context, Result, bail};
use prost::Message;
use prost::bytes::Bytes;
use reeve_proto::internal as wire;
use rocksdb::{DB, Direction, IteratorMode, Options};

/// What a node has on disk.
#[derive(Clone, Debug, Default)]
pub struct Dump {
    /// The node's name.
    pub name: String,
    /// The newest vote, by its term.
    pub term: u64,
    /// Up to where the log was cut.
    pub purged: Option<u64>,
    /// Up to where it knows the log to be committed.
    pub committed: Option<u64>,
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// How often the state was begun anew: 1 at first, one more for each snapshot that was installed.
    pub generation: u64,
    /// What the state is after.
    pub applied: u64,
    /// What is true of the state as a whole.
    pub meta: wire::Meta,
    /// The state's rows.
    pub rows: Vec<wire::Row>,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its position.
    pub index: u64,
    /// The term in which it entered the log.
    pub term: u64,
    /// The node that led then.
    pub leader: u64,
    /// What it holds.
    pub payload: Payload,
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// Nothing: a leader began.
    Blank,
    /// Another membership.
    Membership(wire::Membership),
    /// Commands under one stamp.
    Commands {
        /// Cluster time, ms.
        stamp_ms: u64,
        /// Each an encoded `Envelope`.
        envelopes: Vec<Bytes>,
    },
}

impl Dump {
    /// The id of each run, and the number of its status.
    pub fn run_statuses(&self) -> impl Iterator<Item = (String, u32)> {
        self.rows.iter().filter_map(|row| match &row.row {
            Some(wire::row::Row::Run(run)) => {
                let last = run.timeline.last().map_or(0, |entry| entry.status);
                Some((uuid(&run.id), last))
            }
            _ => None,
        })
    }
}

/// An id as the API writes it.
pub fn uuid(id: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in id.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Reads the data directory of a node that does not run.
///
/// # Errors
/// A database cannot be read, or holds what it should not.
pub fn read(name: &str, data: &Path) -> Result<Dump> {
    let mut dump = Dump {
        name: name.to_owned(),
        ..Dump::default()
    };
    read_log(&data.join("log"), &mut dump)?;
    let state = data.join("state");
    let current = state.join("CURRENT");
    let generation = std::fs::read_to_string(&current).with_context(|| current.display().to_string())?;
    let generation = generation.trim_end();
    let number = generation
        .strip_prefix("db-")
        .and_then(|number| number.parse().ok());
    dump.generation = number.with_context(|| format!("{} says {generation:?}", current.display()))?;
    read_state(&state.join(generation), &mut dump)?;
    Ok(dump)
}

fn open(path: &Path) -> Result<DB> {
    let mut options = Options::default();
    options.set_paranoid_checks(true);
    DB::open_for_read_only(&options, path, false).with_context(|| path.display().to_string())
}

fn get<M: Message + Default>(db: &DB, key: &[u8]) -> Result<Option<M>> {
    let bytes = db.get(key)?;
    Ok(bytes.map(|bytes| M::decode(bytes.as_slice())).transpose()?)
}

fn read_log(path: &Path, dump: &mut Dump) -> Result<()> {
    let db = open(path)?;
    let vote: Option<wire::Vote> = get(&db, b"m/vote")?;
    dump.term = vote.and_then(|vote| vote.leader).map_or(0, |leader| leader.term);
    dump.purged = get::<wire::LogId>(&db, b"m/purged")?.map(|id| id.index);
    dump.committed = get::<wire::LogId>(&db, b"m/committed")?.map(|id| id.index);
    for item in db.iterator(IteratorMode::From(b"e", Direction::Forward)) {
        let (key, value) = item?;
        let Some((b'e', index)) = key.split_first() else {
            break;
        };
        let index = u64::from_be_bytes(index.try_into().context("an entry's key is its index")?);
        let entry = entry(wire::RaftEntry::decode(Bytes::from(value))?)
            .with_context(|| format!("entry {index} of {}", path.display()))?;
        if entry.index != index {
            bail!("entry {index} of {} says it is {}", path.display(), entry.index);
        }
        dump.entries.push(entry);
    }
    Ok(())
}

fn entry(proto: wire::RaftEntry) -> Result<Entry> {
    use wire::raft_entry::Payload as Kind;
    let id = proto.log_id.context("no log id")?;
    let leader = id.leader.context("no leader")?;
    let payload = match proto.payload.context("no payload")? {
        Kind::Blank(_) => Payload::Blank,
        Kind::Membership(membership) => Payload::Membership(membership),
        Kind::Normal(bytes) => {
            let entry = wire::LogEntry::decode(bytes)?;
            Payload::Commands {
                stamp_ms: entry.stamp_ms,
                envelopes: entry.envelopes,
            }
        }
    };
    Ok(Entry {
        index: id.index,
        term: leader.term,
        leader: leader.node,
        payload,
    })
}

fn read_state(path: &Path, dump: &mut Dump) -> Result<()> {
    let db = open(path)?;
    dump.meta = get(&db, &[0, b'm'])?.unwrap_or_default();
    dump.applied = get::<wire::LogId>(&db, &[0, b'a'])?.map_or(0, |id| id.index);
    for item in db.iterator(IteratorMode::From(&[1], Direction::Forward)) {
        let (_, value) = item?;
        dump.rows.push(wire::Row::decode(Bytes::from(value))?);
    }
    Ok(())
}

/// An entry as lines for people: one for itself, one for each command.
pub fn show(entry: &Entry) -> Vec<String> {
    let head = format!("{} term {} by node {}", entry.index, entry.term, entry.leader);
    match &entry.payload {
        Payload::Blank => vec![format!("{head}: blank")],
        Payload::Membership(membership) => {
            let voters: Vec<&Vec<u64>> = membership.configs.iter().map(|set| &set.ids).collect();
            vec![format!("{head}: voters {voters:?}")]
        }
        Payload::Commands { stamp_ms, envelopes } => {
            let mut lines = vec![format!("{head} at {stamp_ms}: {} commands", envelopes.len())];
            for bytes in envelopes {
                lines.push(match wire::Envelope::decode(bytes.clone()) {
                    Ok(envelope) => format!("  {}", show_command(&envelope)),
                    Err(error) => format!("  unreadable: {error}"),
                });
            }
            lines
        }
    }
}

fn show_command(envelope: &wire::Envelope) -> String {
    let fence = envelope
        .fence_term
        .map_or_else(String::new, |term| format!(" fence {term}"));
    let request = envelope.request.as_ref().and_then(|tag| tag.key.as_ref());
    let request = request.map_or_else(String::new, |key| format!(" request {}", key.request_id));
    match &envelope.command {
        Some(command) => format!("{command:?}{fence}{request}"),
        None => format!("a command that this program does not know{fence}{request}"),
    }
}
