//! Tokens of workers (I10): one that was replaced is refused by every node from the moment of the answer on, and the newest is
//! accepted by every node from that moment on. Cheap and for every history; the model of a worker says the same and more.
//!
//! A token goes by the request that made it. A request that is sent again makes no other one, so that it was applied before its first
//! answer, or, without any, at any time after its first call.

use std::collections::{BTreeMap, BTreeSet};

use super::verdict::Finding;
use crate::history::op::{F, Op, Res};

/// A request that gives a worker a token.
#[derive(Clone, Copy, Debug)]
struct Made {
    /// Not applied before, ns.
    called: u64,
    /// Applied by then; none: nobody knows.
    answered: Option<u64>,
    /// Every attempt proves that it was not applied.
    refused: bool,
}

type Requests<'a> = BTreeMap<&'a str, Made>;

/// Both rules.
pub fn all(ops: &[Op]) -> Vec<Finding> {
    let mut workers: BTreeMap<&str, Requests<'_>> = BTreeMap::new();
    for op in ops
        .iter()
        .filter(|op| matches!(op.f, F::CreateWorker | F::RegenerateToken))
    {
        let of = workers.entry(&op.k).or_default();
        let made = of.entry(&op.input.request).or_insert(Made {
            called: op.inv,
            answered: None,
            refused: true,
        });
        made.called = made.called.min(op.inv);
        made.refused &= op.res == Res::Fail;
        if op.res == Res::Ok {
            let earlier = made.answered.into_iter().chain(op.ret).min();
            made.answered = earlier;
        }
    }
    let mut revoked = Finding::of(
        "I10",
        "a token that was replaced is refused from then on, on every node",
    );
    let mut current = Finding::of("I10", "the newest token is accepted on every node");
    let mut nodes = BTreeSet::new();
    for op in ops.iter().filter(|op| op.f == F::UseToken && op.res == Res::Ok) {
        let (Some(requests), Some(token)) = (workers.get(op.k.as_str()), op.input.token.as_deref()) else {
            current
                .harness
                .push(format!("{} of a token that nobody made", line(op)));
            continue;
        };
        let Some(accepted) = op.out.accepted else { continue };
        match standing(requests, token, op) {
            Standing::Replaced(by) => {
                revoked.examined += 1;
                nodes.insert(op.node);
                if accepted {
                    revoked.violations.push(format!(
                        "{} was accepted on node {}, although {by} had replaced {token}",
                        line(op),
                        op.node
                    ));
                }
            }
            Standing::Newest => {
                current.examined += 1;
                if !accepted {
                    current.violations.push(format!(
                        "{} was refused on node {}, although {token} is the newest",
                        line(op),
                        op.node
                    ));
                }
            }
            Standing::Open => {}
        }
    }
    revoked.notes.push(format!("on {} nodes", nodes.len()));
    vec![revoked, current]
}

fn line(op: &Op) -> String {
    format!(
        "{:?} ({}) of {} by process {} (line {})",
        op.f,
        op.out.status.as_deref().unwrap_or_default(),
        op.k,
        op.p,
        op.seq + 1
    )
}

/// What is certain of a token during a call.
enum Standing<'a> {
    /// By this request, before the call.
    Replaced(&'a str),
    /// From before the call until after its answer.
    Newest,
    /// Neither.
    Open,
}

fn standing<'a>(requests: &Requests<'a>, token: &str, usage: &Op) -> Standing<'a> {
    let Some(answered) = requests.get(token).and_then(|made| made.answered) else {
        return Standing::Open;
    };
    let called = requests.get(token).map_or(0, |made| made.called);
    let others = || {
        let others = requests
            .iter()
            .filter(|(request, made)| **request != token && !made.refused);
        others.map(|(request, made)| (*request, *made))
    };
    let replaced = |(_, made): &(&str, Made)| {
        made.called > answered && made.answered.is_some_and(|answered| answered < usage.inv)
    };
    if let Some((by, _)) = others().find(replaced) {
        return Standing::Replaced(by);
    }
    let over = |(_, made): (&str, Made)| {
        let before = made.answered.is_some_and(|answered| answered < called);
        before || usage.ret.is_some_and(|ret| made.called > ret)
    };
    if answered < usage.inv && others().all(over) {
        Standing::Newest
    } else {
        Standing::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::op::{Input, Output};

    fn op(f: F, request: &str, (inv, ret): (u64, u64), res: Res) -> Op {
        Op {
            p: 0,
            seq: inv,
            f,
            k: "worker/w".to_owned(),
            input: Input {
                request: request.to_owned(),
                ..Input::default()
            },
            inv,
            ret: (res != Res::Info).then_some(ret),
            res,
            out: Output::default(),
            revision: None,
            node: 1,
        }
    }

    fn make(request: &str, at: (u64, u64), res: Res) -> Op {
        op(F::RegenerateToken, request, at, res)
    }

    fn shown(token: &str, at: (u64, u64), accepted: bool) -> Op {
        let mut shown = op(F::UseToken, "", at, Res::Ok);
        shown.input.token = Some(token.to_owned());
        shown.out.accepted = Some(accepted);
        shown
    }

    /// How many uses each rule looked at, and how many break it.
    fn judged(ops: &[Op]) -> [(usize, usize); 2] {
        let found = all(ops);
        [0, 1].map(|at| (found[at].examined, found[at].violations.len()))
    }

    /// Covers: R91, R92.
    #[test]
    fn what_was_replaced_is_refused_and_what_is_newest_is_accepted() {
        let made = [make("a", (1, 2), Res::Ok), make("b", (10, 20), Res::Ok)];
        let with = |shown| judged(&[made.as_slice(), &[shown]].concat());
        assert_eq!(with(shown("a", (21, 22), false)), [(1, 0), (0, 0)]);
        assert_eq!(with(shown("a", (21, 22), true)), [(1, 1), (0, 0)]);
        assert_eq!(with(shown("b", (21, 22), true)), [(0, 0), (1, 0)]);
        assert_eq!(with(shown("b", (21, 22), false)), [(0, 0), (1, 1)]);
        assert_eq!(with(shown("a", (3, 9), false)), [(0, 0), (1, 1)]);
        // While it is replaced both may be.
        for accepted in [true, false] {
            assert_eq!(with(shown("a", (3, 15), accepted)), [(0, 0); 2]);
            assert_eq!(with(shown("a", (19, 25), accepted)), [(0, 0); 2]);
            assert_eq!(with(shown("b", (12, 25), accepted)), [(0, 0); 2]);
        }
    }

    #[test]
    fn a_request_whose_end_nobody_knows_may_replace_a_token_at_any_time_after() {
        let made = [make("a", (1, 2), Res::Ok), make("b", (10, 0), Res::Info)];
        let with = |shown| judged(&[made.as_slice(), &[shown]].concat());
        for accepted in [true, false] {
            assert_eq!(with(shown("a", (50, 51), accepted)), [(0, 0); 2]);
        }
        assert_eq!(with(shown("a", (3, 9), false)), [(0, 0), (1, 1)]);
        // Sent again and answered, it was applied by then; refused with proof, never.
        let again = [
            make("a", (1, 2), Res::Ok),
            make("b", (10, 0), Res::Info),
            make("b", (20, 30), Res::Ok),
        ];
        let ops = [again.as_slice(), &[shown("a", (31, 32), true)]].concat();
        assert_eq!(judged(&ops), [(1, 1), (0, 0)]);
        let never = [make("a", (1, 2), Res::Ok), make("b", (10, 12), Res::Fail)];
        let ops = [never.as_slice(), &[shown("a", (31, 32), false)]].concat();
        assert_eq!(judged(&ops), [(0, 0), (1, 1)]);
    }

    #[test]
    fn a_token_that_was_made_at_the_same_time_replaces_nothing_for_certain() {
        let made = [make("a", (1, 20), Res::Ok), make("b", (2, 19), Res::Ok)];
        for accepted in [true, false] {
            let ops = [made.as_slice(), &[shown("a", (30, 31), accepted)]].concat();
            assert_eq!(judged(&ops), [(0, 0); 2]);
        }
    }
}
