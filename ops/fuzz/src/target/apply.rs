//! Commands that decode, applied one after the other to a state: none panics, a refused one changes nothing, and the invariants hold.
//! An input is a chain of commands, each with its length before it.

use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;
use reeve_state::command::EntryMeta;
use reeve_state::time::Time;
use reeve_state::{State, invariant};
use reeve_store::decode_envelope;

use super::Target;
use crate::mutate;

/// Commands of one input.
const MOST: usize = 24;

#[derive(Default)]
pub struct Apply;

impl Target for Apply {
    fn name(&self) -> &'static str {
        "apply"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let commands = super::golden_commands();
        let mut seeds: Vec<Vec<u8>> = commands
            .iter()
            .map(|one| join(std::slice::from_ref(one)))
            .collect();
        seeds.push(join(&commands));
        seeds
    }

    fn mutate(&self, rng: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
        let (mut commands, others) = (split(input), split(other));
        let at = rng.random_range(0..=commands.len());
        let theirs = others
            .get(rng.random_range(0..=others.len()))
            .cloned()
            .unwrap_or_default();
        match rng.random_range(0..5) {
            0 if at < commands.len() => {
                commands.remove(at);
            }
            1 => commands.insert(at, theirs),
            2 if at < commands.len() => commands.insert(at, commands[at].clone()),
            _ if at < commands.len() => commands[at] = mutate::proto(rng, &commands[at], &theirs),
            _ => commands.extend(others),
        }
        commands.truncate(MOST);
        join(&commands)
    }

    fn run(&mut self, input: &[u8]) -> String {
        let mut state = State::default();
        let mut signature = String::new();
        for (index, bytes) in (1..).zip(split(input)) {
            let Ok(envelope) = decode_envelope(&Bytes::from(bytes)) else {
                continue;
            };
            let before = state.clone();
            let entry = EntryMeta {
                term: 1,
                index,
                stamp: Time(index * 1_000),
            };
            let step = reeve_state::apply(&mut state, &entry, &envelope);
            let wrong: Vec<_> = invariant::check(&state)
                .into_iter()
                .chain(invariant::check_step(&before, &state))
                .collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", envelope.command.name());
            if step.applied.result.is_err() {
                assert!(step.changes.is_empty(), "a refused command changes nothing");
            }
            let answer = match &step.applied.result {
                Ok(_) => "ok".to_owned(),
                Err(refusal) => format!("{refusal:?}")
                    .chars()
                    .take_while(|char| char.is_alphanumeric())
                    .collect(),
            };
            signature = format!(
                "{} {answer} after {}",
                envelope.command.name(),
                state.meta().revision.0.min(9)
            );
        }
        signature
    }
}

fn split(mut input: &[u8]) -> Vec<Vec<u8>> {
    let mut commands = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (command, rest) = rest.split_at(length);
        commands.push(command.to_vec());
        input = rest;
    }
    commands
}

fn join(commands: &[Vec<u8>]) -> Vec<u8> {
    let mut joined = Vec::new();
    for command in commands {
        let length = u16::try_from(command.len()).unwrap_or(u16::MAX);
        joined.extend_from_slice(&length.to_be_bytes());
        joined.extend_from_slice(&command[..usize::from(length)]);
    }
    joined
}
