//! A known bug of our own: a line of a history that was not kept. Checkers that do not miss it would not miss a write that the system lost.

use super::random::Random;
use crate::history::op::{F, Op, Res};

/// Takes out an acknowledged write that somebody saw, and closes the gap in the numbers of the lines. `None`: there is no such write.
pub fn lose_line(histories: &mut [Vec<Op>], seed: u64) -> Option<Op> {
    let candidates: Vec<(usize, usize)> = histories
        .iter()
        .enumerate()
        .flat_map(|(writer, ops)| (0..ops.len()).map(move |at| (writer, at)))
        .filter(|(writer, at)| only_word_of_what_was_seen(histories, &histories[*writer][*at]))
        .collect();
    let most = u64::try_from(candidates.len()).ok().filter(|count| *count > 0)?;
    let chosen = usize::try_from(Random(seed).below(most)).ok()?;
    let (writer, at) = *candidates.get(chosen)?;
    let ops = histories.get_mut(writer)?;
    let lost = ops.remove(at);
    for (seq, op) in (0..).zip(ops) {
        op.seq = seq;
    }
    Some(lost)
}

/// Values are written once, but a request may have been sent twice: then the other line explains what was seen.
fn only_word_of_what_was_seen(histories: &[Vec<Op>], op: &Op) -> bool {
    let others = || {
        let same = move |other: &&Op| other.k == op.k && (other.p, other.seq) != (op.p, op.seq);
        histories.iter().flatten().filter(same)
    };
    op.f == F::ApplyTest
        && op.res == Res::Ok
        && op.input.value.is_some()
        && others().any(|other| other.f == F::GetTest && other.out.value == op.input.value)
        && !others().any(|other| other.f.mutates() && other.input.value == op.input.value)
}
