//! Changes of a JSON document that keep it one.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Map, Number, Value, json};

/// Texts at which things tend to break, and words that definitions are made of.
const TEXTS: [&str; 34] = [
    "",
    " ",
    "0s",
    "-1s",
    "20s",
    "1h",
    "876000h",
    "99999999999999999999h",
    "1ns",
    "200ms..800ms",
    "800ms..200ms",
    "..",
    "1m30s",
    "P1D",
    "NaN",
    "1e400",
    "null",
    "\u{0}",
    "é漢\u{1f600}",
    "../../etc/passwd",
    "a b\nc",
    "sim",
    "sip",
    "SUCCESS",
    "TIMEOUT",
    "ONLINE",
    "ADMIN",
    "user_owned",
    "0190a6e0-0000-7000-8000-000000000000",
    "00000000-0000-0000-0000-000000000000",
    "cmk_00000000000000000000000000000abc",
    "pkg/name:1.2.3",
    "http://127.0.0.1:1/",
    "*/5 * * * *",
];

/// Names of fields, so that more than those of the seed are tried.
const NAMES: [&str; 24] = [
    "name",
    "duration",
    "buildup",
    "queueTimeout",
    "queue_timeout",
    "maxExecution",
    "groups",
    "endpoints",
    "region",
    "worker",
    "labels",
    "executor",
    "sim",
    "setup",
    "outcomes",
    "requestId",
    "capacity",
    "kind",
    "role",
    "ttlS",
    "reason",
    "deadline",
    "force",
    "project",
];

/// Changes a document; text that is none is changed as bytes.
pub fn json(rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(input) else {
        return super::bytes(rng, input, other);
    };
    if rng.random_bool(0.1) {
        return super::bytes(rng, input, other);
    }
    let other = serde_json::from_slice(other).unwrap_or(Value::Null);
    change(rng, &mut value, &other);
    serde_json::to_vec(&value).unwrap_or_default()
}

fn change(rng: &mut StdRng, value: &mut Value, other: &Value) {
    let deeper = rng.random_bool(0.75);
    match value {
        Value::Object(map) if deeper && !map.is_empty() => {
            let at = rng.random_range(0..map.len());
            if let Some((name, inner)) = map.iter_mut().nth(at) {
                let theirs = other.get(name).unwrap_or(&Value::Null);
                change(rng, inner, theirs);
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => {
            let at = rng.random_range(0..items.len());
            change(rng, &mut items[at], other.get(0).unwrap_or(&Value::Null));
        }
        Value::Object(map) => object(rng, map),
        Value::Array(items) => match rng.random_range(0..3) {
            0 => items.clear(),
            1 => items.extend(items.clone().into_iter().take(64)),
            _ => items.push(leaf(rng)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            *value = match rng.random_bool(0.1) {
                true => other.clone(),
                false => leaf(rng),
            };
        }
    }
}

fn object(rng: &mut StdRng, map: &mut Map<String, Value>) {
    let name = NAMES.choose(rng).copied().unwrap_or_default().to_owned();
    match rng.random_range(0..3) {
        0 => {
            map.insert(name, leaf(rng));
        }
        1 => {
            let gone = map.keys().nth(rng.random_range(0..=map.len())).cloned();
            gone.map(|gone| map.remove(&gone));
        }
        _ => {
            let moved = map.keys().nth(rng.random_range(0..=map.len())).cloned();
            if let Some(value) = moved.and_then(|moved| map.remove(&moved)) {
                map.insert(name, value);
            }
        }
    }
}

fn leaf(rng: &mut StdRng) -> Value {
    let number = super::number(rng);
    match rng.random_range(0..12) {
        0 => Value::Null,
        1 => Value::Bool(rng.random()),
        2 => json!({}),
        3 => json!([]),
        4 => json!({ NAMES.choose(rng).copied().unwrap_or_default(): number }),
        5 => Number::from_f64(f64::from_bits(number)).map_or(Value::Null, Value::Number),
        6 => json!(number.cast_signed()),
        7 => json!(number),
        8 => json!("x".repeat(rng.random_range(0..300))),
        9 => json!(1.0 / f64::from(rng.random_range(1..9_u32))),
        _ => json!(TEXTS.choose(rng)),
    }
}
