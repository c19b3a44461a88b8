//! Reads a definition, of a test or a probe, from a YAML or JSON file.

use std::io::Read;
use std::path::Path;

use reeve_proto::definition::{self, FieldViolation};
use reeve_proto::v1::TestDefinition;
use serde::de::DeserializeOwned;

use crate::client::without_number;
use crate::error::CliError;

/// Far above any real definition; a guard against the wrong file.
const MAX_BYTES: u64 = 1 << 20;

/// How the reader of the REST API reads a document.
type FromJson<T> = fn(&[u8]) -> Result<T, Vec<FieldViolation>>;

/// Reads a test definition from the file, or from stdin for `-`.
pub(crate) fn load(path: &Path) -> Result<TestDefinition, CliError> {
    load_as::<definition::DefinitionDocument, _>(path, definition::from_json)
}

/// Reads a document of any kind from the file, or from stdin for `-`.
pub(crate) fn load_as<D, T>(path: &Path, from_json: FromJson<T>) -> Result<T, CliError>
where
    D: DeserializeOwned + TryInto<T, Error = Vec<FieldViolation>>,
{
    let stdin = path == Path::new("-");
    let file = if stdin {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    let unreadable =
        |error: std::io::Error| CliError::message(format!("{file}: {}", without_number(&error.to_string())));
    let mut bytes = Vec::new();
    let reader: Box<dyn Read> = if stdin {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).map_err(unreadable)?)
    };
    reader
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CliError::message(format!(
            "{file}: larger than 1 MiB, which no definition is"
        )));
    }
    let source = String::from_utf8(bytes).map_err(|_| {
        CliError::message(format!(
            "{file}: not a text file; a definition is YAML or JSON in UTF-8"
        ))
    })?;
    parse_as::<D, T>(&source, from_json).map_err(|violations| CliError::Definition { file, violations })
}

/// A test definition from its text.
pub(crate) fn parse(source: &str) -> Result<TestDefinition, Vec<FieldViolation>> {
    parse_as::<definition::DefinitionDocument, _>(source, definition::from_json)
}

/// JSON is read by the reader of the REST API, so that both say the same about the same document.
fn parse_as<D, T>(source: &str, from_json: FromJson<T>) -> Result<T, Vec<FieldViolation>>
where
    D: DeserializeOwned + TryInto<T, Error = Vec<FieldViolation>>,
{
    if source.trim_start().starts_with('{') {
        return from_json(source.as_bytes());
    }
    if source.trim().is_empty() {
        return Err(vec![FieldViolation::new("", "the document is empty")]);
    }
    // The reader may wrap what the closure returns, so the field path is handed out beside it.
    let mut violation = None;
    let document =
        serde_saphyr::with_deserializer_from_str(
            source,
            |deserializer| match serde_path_to_error::deserialize::<_, D>(deserializer) {
                Ok(document) => Ok(document),
                Err(error) => {
                    let path = error.path().to_string();
                    violation = Some(path.trim_end_matches('?').trim_end_matches('.').to_owned());
                    Err(error.into_inner())
                }
            },
        );
    match document {
        Ok(document) => document.try_into(),
        Err(error) => {
            let field = violation.unwrap_or_default();
            Err(vec![FieldViolation::new(field, first_lines(&error))])
        }
    }
}

/// The message with its line, without the picture of the source around it.
fn first_lines(error: &serde_saphyr::Error) -> String {
    let error = error.without_snippet();
    let text = in_plain_words(error.to_string());
    let text = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned();
    match error.location() {
        Some(location) if !text.contains("line ") => {
            format!("{text} (line {}, column {})", location.line(), location.column())
        }
        Some(_) | None => text,
    }
}

/// What the reader says is for programmers; people want to know what to write instead.
fn in_plain_words(text: String) -> String {
    [
        (", set DuplicateKeyPolicy in Options if acceptable", ""),
        ("invalid u32", "must be a whole number from 0 to 4294967295"),
        ("invalid f64", "must be a number"),
        (
            "expected mapping start",
            "must be fields, written as `name: value`",
        ),
        ("expected sequence start", "must be a list, each item after a `-`"),
        (
            "multiple YAML documents detected; use from_str_multiple or from_str_multiple_with_options",
            "only one definition per file; `---` begins a second one",
        ),
        (
            "mapping values are not allowed in this context",
            "`:` is not expected here; is the line indented like its neighbours?",
        ),
        ("found a tab", "found a tab; indent with blanks"),
    ]
    .into_iter()
    .fold(text, |text, (said, meant)| text.replace(said, meant))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const SMOKE: &str = "
name: smoke
duration: 20s            # how long each endpoint stays in its call
buildup: 5s
queue_timeout: 5s
max_execution: 2m
groups:
  - name: callers
    endpoints: 200
    region: eu-west
    executor: sim
    sim: { setup: 200ms..800ms, outcomes: { SUCCESS: 0.97, CALL_FAILED: 0.03 } }
";

    #[test]
    fn yaml_and_json_say_the_same() {
        let json = r#"{"name":"smoke","duration":"20s","buildup":"5s","queueTimeout":"5s","maxExecution":"2m",
            "groups":[{"name":"callers","endpoints":200,"region":"eu-west","executor":"sim",
            "sim":{"setup":"200ms..800ms","outcomes":{"SUCCESS":0.97,"CALL_FAILED":0.03}}}]}"#;
        assert_eq!(parse(SMOKE).unwrap(), parse(json).unwrap());
    }

    #[test]
    fn bad_yaml_is_refused_with_field_and_line() {
        let table = [
            (
                "name: t\nduration: 1s\ngroups:\n  - name: g\n    endponts: 3\n",
                "groups[0].endponts",
                "line 5",
            ),
            (
                "name: t\nduration: 1s\ngroups:\n  - name: g\n    endpoints: many\n",
                "groups[0].endpoints",
                "line 5",
            ),
            (
                "name: t\nduration: 20\ngroups: [{name: g, endpoints: 1}]\n",
                "duration",
                "no unit",
            ),
            ("name: t\nname: u\n", "", "duplicate mapping key: name at line 2"),
            (
                "name: t\nduration: 1s\ngroups:\n- {name: g, endpoints: 99999999999}\n",
                "groups[0].endpoints",
                "a whole number from 0 to 4294967295",
            ),
            ("name: t\ngroups: 5\n", "groups", "must be a list"),
            ("- 1\n", "", "`name: value`"),
            ("name: t\n---\nname: u\n", "", "only one definition per file"),
            ("name: t\n\tduration: 1s\n", "", "indent with blanks"),
            (
                "name: t\ngroups:\n- name: g\n   endpoints: 3\n",
                "groups[0]",
                "indented like its neighbours",
            ),
            ("", "", "empty"),
            ("- 1\n- 2\n", "", ""),
            ("name: [", "name", ""),
        ];
        for (source, field, words) in table {
            let violations = parse(source).unwrap_err();
            assert!(
                violations
                    .iter()
                    .any(|v| v.field == field && v.description.contains(words)),
                "{source:?}: wanted {field:?} {words:?}; got {violations:?}"
            );
        }
    }

    #[test]
    fn what_is_no_definition_at_all_is_refused_before_it_is_read_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.yaml");
        for (content, words) in [
            (vec![b'a'; 2 << 20], "larger than 1 MiB"),
            (vec![0xff, 0xfe, 0], "not a text file"),
        ] {
            std::fs::write(&file, content).unwrap();
            let error = load(&file).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("x.yaml"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Path::new("/nonexistent/x.yaml")).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/x.yaml: "), "{error}");
    }
}
