//! A test in namespaces of its own: network, mounts and processes, which die with it however it ends, so that nothing can leak.

use std::process::Command;

/// Says to the test that it is inside.
const INSIDE: &str = "REEVE_SIP_SANDBOX";

/// True: go on, this is the sandbox. False: it ran in one, or cannot here, which is said.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
pub fn entered(test: &str, tools: &[&str]) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        run("ip", "link set lo up");
        return true;
    }
    if let Some(why) = obstacle(tools) {
        eprintln!("skipped: {why}");
        return false;
    }
    let mut command = Command::new("unshare");
    command.args(["-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let output = command.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

fn obstacle(tools: &[&str]) -> Option<String> {
    let made = Command::new("unshare").args(["-n", "true"]).output();
    if !made.is_ok_and(|made| made.status.success()) {
        return Some("network namespaces need root".to_owned());
    }
    let missing = |tool: &&&str| {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {tool}")])
            .output();
        !found.is_ok_and(|found| found.status.success())
    };
    let tool = tools.iter().find(missing)?;
    Some(format!("{tool} is not installed: ops/bootstrap sip"))
}

/// Runs a command of words, which must succeed.
pub fn run(program: &str, words: &str) -> String {
    let output = Command::new(program).args(words.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {words}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
