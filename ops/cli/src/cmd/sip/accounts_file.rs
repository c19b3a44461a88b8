//! Accounts from a file: lines of commas, or a YAML or JSON list. Nothing that is said of a bad one repeats a secret.

use std::io::Read;
use std::path::Path;

use reeve_proto::v1::NewSipAccount;
use serde::Deserialize;

use crate::client::without_number;
use crate::error::CliError;

/// Far above 10,000 accounts; a guard against the wrong file.
const MAX_BYTES: u64 = 16 << 20;

/// One of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    username: String,
    secret: Option<String>,
    realm: Option<String>,
}

/// Reads the file, or stdin for `-`.
pub(super) fn load(path: &Path) -> Result<Vec<NewSipAccount>, CliError> {
    let stdin = path == Path::new("-");
    let file = if stdin {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    let fail = |why: String| CliError::message(format!("{file}: {why}"));
    let unreadable = |error: std::io::Error| fail(without_number(&error.to_string()));
    let reader: Box<dyn Read> = if stdin {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).map_err(unreadable)?)
    };
    let mut text = String::new();
    let read = reader
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if read as u64 > MAX_BYTES {
        return Err(fail(
            "larger than 16 MiB, which no list of accounts is".to_owned(),
        ));
    }
    let csv = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let accounts = if csv { parse_csv(&text) } else { parse_list(&text) }.map_err(fail)?;
    if accounts.is_empty() {
        return Err(fail("there is no account in it".to_owned()));
    }
    Ok(accounts)
}

fn parse_csv(text: &str) -> Result<Vec<NewSipAccount>, String> {
    let mut accounts = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end_matches('\r');
        let heading = number == 1 && line.to_ascii_lowercase().starts_with("username");
        if line.trim().is_empty() || heading {
            continue;
        }
        let mut parts = line.split(',');
        let (username, secret, realm) = (parts.next(), parts.next(), parts.next());
        if parts.next().is_some() || line.contains('"') {
            return Err(format!(
                "line {number}: must be USERNAME,SECRET,REALM without quotes; write a YAML list for secrets with commas or quotes"
            ));
        }
        accounts.push(NewSipAccount {
            username: username.unwrap_or_default().trim().to_owned(),
            secret: secret.filter(|secret| !secret.is_empty()).map(str::to_owned),
            realm: realm.unwrap_or_default().trim().to_owned(),
        });
    }
    Ok(accounts)
}

fn parse_list(text: &str) -> Result<Vec<NewSipAccount>, String> {
    let entries: Vec<Entry> = serde_saphyr::from_str(text).map_err(|_| {
        // The reader's own words would repeat what stands there.
        "is not a list of {username, secret, realm}, each a text: write numbers in quotes".to_owned()
    })?;
    let accounts = entries.into_iter().map(|entry| NewSipAccount {
        username: entry.username,
        secret: entry.secret,
        realm: entry.realm.unwrap_or_default(),
    });
    Ok(accounts.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn account(username: &str, secret: Option<&str>, realm: &str) -> NewSipAccount {
        NewSipAccount {
            username: username.to_owned(),
            secret: secret.map(str::to_owned),
            realm: realm.to_owned(),
        }
    }

    #[test]
    fn lines_and_lists_say_the_same() {
        let expected = [
            account("1001", Some("s3cret"), ""),
            account("1002", None, "lab"),
            account("1003", None, ""),
        ];
        let csv = "Username,Secret,Realm\n1001,s3cret\r\n1002,,lab\n\n1003\n";
        assert_eq!(parse_csv(csv).unwrap(), expected);
        let yaml = "- {username: \"1001\", secret: s3cret}\n- {username: \"1002\", realm: lab}\n- username: \"1003\"\n";
        assert_eq!(parse_list(yaml).unwrap(), expected);
        let json = r#"[{"username":"1001","secret":"s3cret"},{"username":"1002","realm":"lab"},{"username":"1003"}]"#;
        assert_eq!(parse_list(json).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let quoted = parse_csv("1001,\"s3,cret\"\n").unwrap_err();
        assert!(quoted.contains("line 1") && !quoted.contains("s3"), "{quoted}");
        let many = parse_csv("\n1001,a,b,c\n").unwrap_err();
        assert!(many.contains("line 2"), "{many}");
        for bad in ["- {username: \"1\", password: s3cret}", "s3cret", "{s3cret: 1}"] {
            let why = parse_list(bad).unwrap_err();
            assert!(!why.contains("s3cret"), "{why}");
        }
    }
}
