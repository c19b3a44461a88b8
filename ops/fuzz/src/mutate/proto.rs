//! Changes of a protobuf message that keep it one: fields are changed, doubled, dropped, renumbered and swapped with those of another,
//! at any depth, and lengths are made right again.

use rand::Rng;
use rand::rngs::StdRng;

use super::number;

/// How deep fields are taken for messages.
const DEPTH: usize = 8;

/// One field as it stands on the wire.
#[derive(Clone, Debug)]
struct Field {
    number: u64,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(Vec<u8>),
}

/// Changes a message; bytes that are none are changed as bytes.
pub fn proto(rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
    match (parse(input), parse(other)) {
        (Some(fields), other_fields) if rng.random_bool(0.9) => {
            write(&change(rng, fields, &other_fields.unwrap_or_default(), 0))
        }
        _ => super::bytes(rng, input, other),
    }
}

fn change(rng: &mut StdRng, mut fields: Vec<Field>, other: &[Field], depth: usize) -> Vec<Field> {
    if fields.is_empty() {
        fields.push(invent(rng));
        return fields;
    }
    let at = rng.random_range(0..fields.len());
    // Most of what is interesting lies below.
    if depth < DEPTH
        && rng.random_bool(0.7)
        && let Value::Bytes(bytes) = &fields[at].value
        && let Some(inner) = parse(bytes).filter(|inner| !inner.is_empty())
    {
        let theirs = other.iter().find(|field| field.number == fields[at].number);
        let theirs = theirs.and_then(|field| match &field.value {
            Value::Bytes(bytes) => parse(bytes),
            Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) => None,
        });
        let inner = change(rng, inner, &theirs.unwrap_or_default(), depth + 1);
        fields[at].value = Value::Bytes(write(&inner));
        return fields;
    }
    match rng.random_range(0..7) {
        0 => {
            fields.remove(at);
        }
        1 => fields.insert(at, fields[at].clone()),
        2 => fields[at].number = rng.random_range(1..=100),
        3 => fields.insert(at, invent(rng)),
        4 if !other.is_empty() => fields[at] = other[rng.random_range(0..other.len())].clone(),
        5 => {
            let to = rng.random_range(0..fields.len());
            fields.swap(at, to);
        }
        _ => fields[at].value = value(rng, &fields[at].value),
    }
    fields
}

fn value(rng: &mut StdRng, value: &Value) -> Value {
    match value {
        Value::Varint(_) => Value::Varint(number(rng)),
        Value::Fixed64(_) => Value::Fixed64(number(rng).to_le_bytes()),
        Value::Fixed32(_) => {
            let [a, b, c, d, ..] = number(rng).to_le_bytes();
            Value::Fixed32([a, b, c, d])
        }
        Value::Bytes(bytes) => match rng.random_range(0..5) {
            0 => Value::Bytes(Vec::new()),
            1 => Value::Bytes(vec![b'x'; rng.random_range(1..400)]),
            2 => Value::Bytes(vec![rng.random(); 16]),
            3 => Value::Varint(number(rng)),
            _ => Value::Bytes(super::bytes(rng, bytes, &[])),
        },
    }
}

fn invent(rng: &mut StdRng) -> Field {
    let value = match rng.random_bool(0.6) {
        true => Value::Varint(number(rng)),
        false => Value::Bytes(vec![rng.random(); rng.random_range(0..32)]),
    };
    Field {
        number: rng.random_range(1..=40),
        value,
    }
}

fn parse(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut bytes)?),
            1 => Value::Fixed64(take(&mut bytes, 8)?.try_into().ok()?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Value::Bytes(take(&mut bytes, length)?.to_vec())
            }
            5 => Value::Fixed32(take(&mut bytes, 4)?.try_into().ok()?),
            _ => return None,
        };
        let number = key >> 3;
        fields.push(Field { number, value });
    }
    Some(fields)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(length)?;
    *bytes = tail;
    Some(head)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = *take(bytes, 1)? else { return None };
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn write(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Field { number, value } in fields {
        let mut key = |kind: u64| put_varint(&mut bytes, number << 3 | kind);
        match value {
            Value::Varint(value) => {
                key(0);
                put_varint(&mut bytes, *value);
            }
            Value::Fixed64(value) => {
                key(1);
                bytes.extend_from_slice(value);
            }
            Value::Bytes(value) => {
                key(2);
                put_varint(&mut bytes, value.len() as u64);
                bytes.extend_from_slice(value);
            }
            Value::Fixed32(value) => {
                key(5);
                bytes.extend_from_slice(value);
            }
        }
    }
    bytes
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use prost::Message;
    use rand::SeedableRng;
    use reeve_proto::v1;

    use super::*;

    #[test]
    fn a_message_comes_back_from_its_fields_and_most_changes_keep_it_a_message() {
        let group = v1::Group {
            name: "g".into(),
            endpoints: 300,
            ..Default::default()
        };
        let definition = v1::TestDefinition {
            name: "smoke".into(),
            groups: vec![group.clone(), group],
            ..Default::default()
        };
        let bytes = definition.encode_to_vec();
        assert_eq!(write(&parse(&bytes).unwrap()), bytes);
        let mut rng = StdRng::seed_from_u64(1);
        let readable =
            (0..1_000).filter(|_| v1::TestDefinition::decode(&*proto(&mut rng, &bytes, &bytes)).is_ok());
        assert!(readable.count() > 400);
    }
}
