//! Every `reeve …` that the documents quote is a command line that exists.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind;

use super::Cli;

/// README.md and the guides.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guides = std::fs::read_dir(root.join("docs/guides")).unwrap();
    let mut files: Vec<PathBuf> = guides.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.push(root.join("README.md"));
    files.sort();
    files
}

/// The words of each command line in a shell text: split where the shell would, without comments.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (Some(open), close) if open == close => quote = None,
            (Some(_), char) => word.get_or_insert_default().push(char),
            (None, '"' | '\'') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, '\\') if chars.peek() == Some(&'\n') => {
                chars.next();
            }
            (None, '#') if word.is_none() => while chars.next_if(|next| *next != '\n').is_some() {},
            (None, ' ' | '\t') => all.last_mut().unwrap().extend(word.take()),
            (None, '\n' | ';' | '&' | '|' | '(' | ')') => {
                all.last_mut().unwrap().extend(word.take());
                all.push(Vec::new());
            }
            (None, char) => word.get_or_insert_default().push(char),
        }
    }
    all.last_mut().unwrap().extend(word);
    all
}

/// Command lines of our program: `NAME=value reeve …` too, and what follows `$(`.
fn of_reeve(text: &str) -> Vec<Vec<String>> {
    let lines = commands(text).into_iter().filter_map(|words| {
        let begin = words.iter().position(|word| !word.contains('='))?;
        (words[begin] == "reeve").then(|| words[begin..].to_vec())
    });
    lines.collect()
}

/// Fenced blocks whole, and what stands between single backticks outside of them.
fn shell_texts(document: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for (index, part) in document.split("\n```").enumerate() {
        if index % 2 == 1 {
            // The rest of the fence's line names the language.
            let (_, block) = part.split_once('\n').unwrap_or_default();
            texts.push(block.to_owned());
        } else {
            let spans = part.split('`').skip(1).step_by(2);
            texts.extend(spans.map(|span| span.replace('\n', " ")));
        }
    }
    texts
}

#[test]
fn every_command_line_in_readme_and_guides_parses() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for file in documents() {
        let document = std::fs::read_to_string(&file).unwrap();
        for words in shell_texts(&document).iter().flat_map(|text| of_reeve(text)) {
            seen += 1;
            match Cli::try_parse_from(&words) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::DisplayHelp => {}
                Err(error) => {
                    let first = error.to_string();
                    let first = first.lines().next().unwrap_or_default().to_owned();
                    wrong.push(format!("{}: `{}`: {first}", file.display(), words.join(" ")));
                }
            }
        }
    }
    assert!(
        seen > 30,
        "only {seen} command lines were found: is the reader blind?"
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn command_lines_are_found_as_a_shell_would() {
    let document = "Try `reeve worker\nlist`, or `make demo`:\n\n```sh\n\
        export KEY=$(reeve key bootstrap -o name)   # the first, once\n\
        A=b reeve run start 'a b' && reeve run list | wc -l\n\
        reeve dev \\\n  --nodes 3\n```\nand `reeve top`.\n";
    let found: Vec<Vec<String>> = shell_texts(document)
        .iter()
        .flat_map(|text| of_reeve(text))
        .collect();
    let expected: [&[&str]; 6] = [
        &["reeve", "worker", "list"],
        &["reeve", "key", "bootstrap", "-o", "name"],
        &["reeve", "run", "start", "a b"],
        &["reeve", "run", "list"],
        &["reeve", "dev", "--nodes", "3"],
        &["reeve", "top"],
    ];
    assert_eq!(found, expected);
}
