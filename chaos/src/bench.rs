//! How long the checker of linearizability takes, on the histories of the design's table.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::checker::random::{Random, Register, RegisterOp, Shape, register, stale_read};
use crate::checker::wgl::{Entry, Verdict, check};

/// After so long there is no verdict.
const LIMIT: Duration = Duration::from_secs(20);

/// Times each line of the table.
///
/// # Errors
/// The result cannot be written.
pub fn run(out: &mut impl Write) -> Result<()> {
    let lines: [(&str, usize, usize, usize, u64, bool); 9] = [
        ("1k ops, 1 key, 8 clients", 1, 1_000, 8, 0, false),
        ("10k ops, 1 key, 8 clients", 1, 10_000, 8, 0, false),
        ("10k ops, 1 key, 2 % info", 1, 10_000, 8, 20, false),
        ("10k ops, 100 keys", 100, 100, 8, 0, false),
        ("100k ops, 1,000 keys, 2 % info", 1_000, 100, 8, 20, false),
        ("1M ops, 10k keys, 2 % info", 10_000, 100, 8, 20, false),
        ("10k ops, 100 keys, 1 stale read", 100, 100, 8, 0, true),
        ("10k ops, 1 key, 0.5 % info, 1 stale read", 1, 10_000, 8, 5, true),
        ("10k ops, 1 key, 32 clients", 1, 10_000, 32, 0, false),
    ];
    for (name, keys, ops, clients, info_per_mille, stale) in lines {
        let mut random = Random(1);
        let shape = Shape {
            ops,
            clients,
            info_per_mille,
        };
        let mut histories: Vec<Vec<Entry<RegisterOp>>> =
            (0..keys).map(|_| register(&mut random, shape)).collect();
        if stale {
            stale_read(&mut random, &mut histories[keys / 2]);
        }
        let begun = Instant::now();
        let verdicts = histories
            .iter()
            .map(|history| check(&Register, history, begun + LIMIT));
        let word = verdicts.fold("Ok", |worst, verdict| match verdict {
            Verdict::Ok => worst,
            Verdict::Illegal(_) => "Illegal",
            Verdict::Unknown => "Unknown",
        });
        let took = begun.elapsed();
        writeln!(out, "{name:<42} {word:<8} {took:>10.1?}")?;
    }
    Ok(())
}
