//! Linearizability: Wing and Gong's search with Lowe's memory of what was tried, as Porcupine does it, and three refinements.
//!
//! - An operation whose end is not known (`ret` is none) is optional: it may take effect at any time after its call, or never.
//! - The memory holds whole sets of operations, not hashes of them, so that a verdict is exact. Of the operations that must take effect,
//!   only the words between the first that is open and the last that is done are held.
//! - There is a deadline, and a verdict for it: not knowing is not passing.
//!
//! A history is checked for one object at a time, which is sound because linearizability is local.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::time::Instant;

/// What the object would do if calls came one after the other.
pub trait Model {
    /// The object's state.
    type State: Clone + Eq + Hash + Debug;
    /// A call with its answer.
    type Op: Debug;

    /// The state before any call.
    fn begin(&self) -> Self::State;

    /// The state after a call that gave this answer; none if it could not have given it.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;
}

/// A call with its times.
#[derive(Clone, Debug)]
pub struct Entry<O> {
    /// The call with its answer.
    pub op: O,
    /// When it was made.
    pub call: u64,
    /// When it was answered; none: it need not have taken effect, and may at any time after the call.
    pub ret: Option<u64>,
}

/// What is known of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order.
    Ok,
    /// There is none.
    Illegal(Explanation),
    /// It was not found out in time.
    Unknown,
}

/// How far an order was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The longest order that was found, as positions in what was checked.
    pub longest: Vec<usize>,
    /// The state after it.
    pub state: String,
    /// A call that was answered before any other could be, and could not take effect after this order.
    pub stuck: Option<usize>,
}

/// How many steps are taken between two looks at the clock.
const STEPS_PER_LOOK: u32 = 4_096;

/// Looks for an order of the entries that the model accepts and that keeps to real time.
pub fn check<M: Model>(model: &M, entries: &[Entry<M::Op>], deadline: Instant) -> Verdict {
    Search::new(model, entries).run(deadline)
}

/// A node of the list of calls and answers.
#[derive(Clone, Copy)]
struct Node {
    previous: usize,
    next: usize,
    entry: usize,
    /// Of a call: where its answer is; 0: it has none. Of an answer: [`ANSWER`].
    answer: usize,
}

const HEAD: usize = 0;
const ANSWER: usize = usize::MAX;

/// Sets of calls that took effect, each with the state after them.
type Tried<S> = HashSet<(Box<[u64]>, S), BuildHasherDefault<Mix>>;

struct Search<'a, M: Model> {
    model: &'a M,
    entries: &'a [Entry<M::Op>],
    nodes: Vec<Node>,
    /// Number of each entry among those that must take effect, or among those that need not.
    number: Vec<u32>,
    done: Done,
    /// How many that must take effect have not yet.
    open: usize,
    state: M::State,
    stack: Vec<(usize, M::State)>,
    tried: Tried<M::State>,
    best: Explanation,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, entries: &'a [Entry<M::Op>]) -> Self {
        // Calls before answers at the same time: they overlap.
        let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(entries.len() * 2);
        for (position, entry) in entries.iter().enumerate() {
            events.push((entry.call, false, position));
            events.extend(entry.ret.map(|ret| (ret, true, position)));
        }
        events.sort_unstable();
        let end = events.len() + 1;
        let mut nodes = Vec::with_capacity(end + 1);
        let head = Node {
            previous: HEAD,
            next: 1,
            entry: usize::MAX,
            answer: ANSWER,
        };
        nodes.push(head);
        let mut call_of = vec![HEAD; entries.len()];
        let mut number = vec![0; entries.len()];
        let (mut required, mut optional) = (0u32, 0u32);
        for (place, (_, is_answer, entry)) in (1..).zip(events) {
            nodes.push(Node {
                previous: place - 1,
                next: place + 1,
                entry,
                answer: if is_answer { ANSWER } else { 0 },
            });
            if is_answer {
                nodes[call_of[entry]].answer = place;
                continue;
            }
            call_of[entry] = place;
            let counter = if entries[entry].ret.is_some() {
                &mut required
            } else {
                &mut optional
            };
            number[entry] = *counter;
            *counter += 1;
        }
        nodes.push(Node {
            previous: end - 1,
            next: end,
            ..head
        });
        Self {
            model,
            entries,
            nodes,
            number,
            done: Done::new(required as usize),
            open: required as usize,
            state: model.begin(),
            stack: Vec::new(),
            tried: HashSet::default(),
            best: Explanation::default(),
        }
    }

    fn run(mut self, deadline: Instant) -> Verdict {
        let mut at = self.nodes[HEAD].next;
        let mut steps = 0;
        while self.open > 0 {
            steps += 1;
            if steps == STEPS_PER_LOOK {
                steps = 0;
                if Instant::now() >= deadline {
                    return Verdict::Unknown;
                }
            }
            let node = self.nodes[at];
            if node.answer != ANSWER {
                at = if self.advance(at) {
                    self.nodes[HEAD].next
                } else {
                    node.next
                };
                continue;
            }
            // An answer whose call has not taken effect: something before was wrong.
            self.note(at);
            match self.back() {
                Some(next) => at = next,
                None => return Verdict::Illegal(self.best),
            }
        }
        Verdict::Ok
    }

    /// Lets a call take effect next, if it can and that was not tried before.
    fn advance(&mut self, at: usize) -> bool {
        let entry = self.nodes[at].entry;
        let Some(next) = self.model.step(&self.state, &self.entries[entry].op) else {
            return false;
        };
        let required = self.entries[entry].ret.is_some();
        self.done.insert(required, self.number[entry]);
        if !self.tried.insert((self.done.key(), next.clone())) {
            self.done.remove(required, self.number[entry]);
            return false;
        }
        self.open -= usize::from(required);
        self.stack.push((at, std::mem::replace(&mut self.state, next)));
        self.lift(at);
        true
    }

    /// Takes the last call back; where to go on.
    fn back(&mut self) -> Option<usize> {
        let (at, state) = self.stack.pop()?;
        self.state = state;
        let entry = self.nodes[at].entry;
        let required = self.entries[entry].ret.is_some();
        self.done.remove(required, self.number[entry]);
        self.open += usize::from(required);
        self.unlift(at);
        Some(self.nodes[at].next)
    }

    /// Keeps the longest order, once it is known to lead nowhere.
    fn note(&mut self, at: usize) {
        let first = self.best.stuck.is_none();
        if !first && self.stack.len() <= self.best.longest.len() {
            return;
        }
        let longest = self.stack.iter().map(|(call, _)| self.nodes[*call].entry);
        self.best = Explanation {
            longest: longest.collect(),
            state: format!("{:?}", self.state),
            stuck: Some(self.nodes[at].entry),
        };
    }

    fn lift(&mut self, call: usize) {
        self.unlink(call);
        let answer = self.nodes[call].answer;
        if answer != 0 {
            self.unlink(answer);
        }
    }

    fn unlift(&mut self, call: usize) {
        let answer = self.nodes[call].answer;
        if answer != 0 {
            self.relink(answer);
        }
        self.relink(call);
    }

    fn unlink(&mut self, at: usize) {
        let Node { previous, next, .. } = self.nodes[at];
        self.nodes[previous].next = next;
        self.nodes[next].previous = previous;
    }

    fn relink(&mut self, at: usize) {
        let Node { previous, next, .. } = self.nodes[at];
        self.nodes[previous].next = at;
        self.nodes[next].previous = at;
    }
}

/// Which calls have taken effect.
struct Done {
    /// Of those that must.
    required: Vec<u64>,
    /// The first word that is not full.
    low: usize,
    /// One more than the last word that is not empty.
    high: usize,
    /// Of those that need not, in order: they are few.
    optional: Vec<u32>,
}

impl Done {
    fn new(required: usize) -> Self {
        Self {
            required: vec![0; required / 64 + 1],
            low: 0,
            high: 0,
            optional: Vec::new(),
        }
    }

    fn insert(&mut self, required: bool, number: u32) {
        if !required {
            let place = self.optional.partition_point(|kept| *kept < number);
            self.optional.insert(place, number);
            return;
        }
        let word = number as usize / 64;
        self.required[word] |= 1 << (number % 64);
        self.high = self.high.max(word + 1);
        while self.required.get(self.low) == Some(&u64::MAX) {
            self.low += 1;
        }
    }

    fn remove(&mut self, required: bool, number: u32) {
        if !required {
            self.optional.retain(|kept| *kept != number);
            return;
        }
        let word = number as usize / 64;
        self.required[word] &= !(1 << (number % 64));
        self.low = self.low.min(word);
        while self.high > 0 && self.required[self.high - 1] == 0 {
            self.high -= 1;
        }
    }

    /// Tells any two sets apart: how many words are full, the words that are not, and the optional ones.
    fn key(&self) -> Box<[u64]> {
        let high = self.high.max(self.low);
        let mut key = Vec::with_capacity(2 + high - self.low + self.optional.len());
        key.push(self.low as u64);
        key.push(high as u64);
        key.extend_from_slice(&self.required[self.low..high]);
        key.extend(self.optional.iter().map(|number| u64::from(*number)));
        key.into_boxed_slice()
    }
}

/// A fast hash of words. Keys are compared in full, so that it need not be a strong one.
#[derive(Default)]
struct Mix(u64);

impl Mix {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.add(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.add(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.add(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.add(value as u64);
    }
}

#[cfg(test)]
mod tests;
