//! Histories of a register that are linearizable because they are made in a linear order, and how one of them is spoilt: to test and to
//! time the checker with.

use super::wgl::{Entry, Model};

/// A register that holds the value that was written last; 0 before.
#[derive(Clone, Copy, Debug)]
pub struct Register;

/// A call of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterOp {
    /// Writes a value.
    Write(u64),
    /// Read this value.
    Read(u64),
}

impl Model for Register {
    type State = u64;
    type Op = RegisterOp;

    fn begin(&self) -> u64 {
        0
    }

    fn step(&self, state: &u64, op: &RegisterOp) -> Option<u64> {
        match op {
            RegisterOp::Write(value) => Some(*value),
            RegisterOp::Read(value) => (value == state).then_some(*state),
        }
    }
}

/// A small generator (splitmix64), so that the same seed gives the same history in any build.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below a bound, which is above 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What a history is to be like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many calls.
    pub ops: usize,
    /// How many clients at once.
    pub clients: usize,
    /// How many writes in a thousand have an unknown end.
    pub info_per_mille: u64,
}

/// Calls of one register, half of them writes of values that no other writes.
pub fn register(random: &mut Random, shape: Shape) -> Vec<Entry<RegisterOp>> {
    let mut free_at = vec![0u64; shape.clients.max(1)];
    // When each takes effect, and its times.
    let mut planned = Vec::with_capacity(shape.ops);
    for _ in 0..shape.ops {
        let client = random.below(free_at.len() as u64) as usize;
        let call = free_at[client] + 1 + random.below(50);
        let effect = call + random.below(100);
        let ret = effect + random.below(100);
        free_at[client] = ret;
        planned.push((effect, call, ret));
    }
    planned.sort_unstable();
    let mut held = 0;
    let mut entries = Vec::with_capacity(planned.len());
    for (value, (_, call, ret)) in (1..).zip(planned) {
        if random.below(2) == 0 {
            entries.push(Entry {
                op: RegisterOp::Read(held),
                call,
                ret: Some(ret),
            });
            continue;
        }
        let info = random.below(1_000) < shape.info_per_mille;
        // Half of those whose end is not known never happen.
        if !info || random.below(2) == 0 {
            held = value;
        }
        entries.push(Entry {
            op: RegisterOp::Write(value),
            call,
            ret: (!info).then_some(ret),
        });
    }
    entries
}

/// Lets one read see what was written long before. False: there is no such read.
pub fn stale_read(random: &mut Random, entries: &mut [Entry<RegisterOp>]) -> bool {
    let reads: Vec<usize> = (entries.len() / 2..entries.len())
        .filter(|at| matches!(entries[*at].op, RegisterOp::Read(_)))
        .collect();
    let writes: Vec<u64> = entries[..entries.len() / 4]
        .iter()
        .filter(|entry| entry.ret.is_some())
        .filter_map(|entry| match entry.op {
            RegisterOp::Write(value) => Some(value),
            RegisterOp::Read(_) => None,
        })
        .collect();
    if reads.is_empty() || writes.is_empty() {
        return false;
    }
    let read = reads[random.below(reads.len() as u64) as usize];
    let value = writes[random.below(writes.len() as u64) as usize];
    entries[read].op = RegisterOp::Read(value);
    true
}
