//! Every fault bites and heals, seen from outside. What this machine cannot do is skipped, and said to be.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

#[test]
fn every_injector_works_or_says_why_not() {
    let output = Command::new(env!("CARGO_BIN_EXE_reeve-chaos"))
        .args(["faults", "--self-test"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{complaints}");
    // Killing, stopping and proxies need no rights at all.
    let last = printed.lines().last().unwrap();
    let passed: u32 = last.split(' ').next().unwrap().parse().unwrap();
    assert!(passed >= 6, "{printed}");
    assert!(last.contains(" 0 failed"), "{printed}");
}
