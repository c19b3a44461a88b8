//! Media files: checked, stored on most nodes by their hash, and handed to workers.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use reeve_state::State;
use reeve_state::id::TokenHash;
use reeve_store::{Consistency, ReadError};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tonic::Status;

use crate::context::Context;
use crate::error::ApiError;

/// How long a worker's question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Samples a second.
const RATE: u32 = 8_000;

/// The name of its object.
pub fn path(sha256: &[u8; 32]) -> String {
    format!("media/{}.wav", crate::api::to_hex(*sha256))
}

/// SHA-256 of its bytes.
pub fn hash(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// How long a WAV file plays, milliseconds.
///
/// # Errors
/// The rule that it breaks.
pub fn check(data: &[u8]) -> Result<u64, String> {
    let mut rest = data
        .strip_prefix(b"RIFF")
        .and_then(|rest| rest.get(4..))
        .and_then(|rest| rest.strip_prefix(b"WAVE"))
        .ok_or("is not a WAV file: it does not begin with RIFF and WAVE")?;
    let mut bytes_per_sample = None;
    while let Some((id, chunk, after)) = next_chunk(rest) {
        match id {
            b"fmt " => bytes_per_sample = Some(format(chunk)?),
            b"data" => {
                let size = bytes_per_sample.ok_or("its data come before its format")?;
                let samples = chunk.len() as u64 / size;
                if samples == 0 {
                    return Err("has no sound in it".to_owned());
                }
                return Ok(samples * 1_000 / u64::from(RATE));
            }
            _ => {}
        }
        rest = after;
    }
    Err("has no sound in it: there is no data chunk".to_owned())
}

/// Name, content and what follows; a last chunk that is cut off ends where the file does.
fn next_chunk(rest: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (id, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let (chunk, rest) = rest.split_at(length.min(rest.len()));
    // Chunks begin at even places.
    let padding = (length % 2).min(rest.len());
    Some((id, chunk, rest.get(padding..).unwrap_or_default()))
}

/// Bytes of a sample.
fn format(chunk: &[u8]) -> Result<u64, String> {
    let word = |at: usize| {
        chunk
            .get(at..at + 2)
            .and_then(|two| two.try_into().ok())
            .map(u16::from_le_bytes)
    };
    let (Some(code), Some(channels), Some(bits)) = (word(0), word(2), word(14)) else {
        return Err("its format is cut off".to_owned());
    };
    let rate = chunk
        .get(4..8)
        .and_then(|four| four.try_into().ok())
        .map(u32::from_le_bytes);
    let size = match (code, bits) {
        (1, 16) => 2,
        (6 | 7, 8) => 1,
        _ => {
            return Err(format!(
                "must be 16 bit PCM (1), PCMA (6) or PCMU (7), found format {code} with {bits} bits"
            ));
        }
    };
    if channels != 1 {
        return Err(format!("must have one channel, found {channels}"));
    }
    match rate {
        Some(RATE) => Ok(size),
        Some(other) => Err(format!("must have {RATE} samples a second, found {other}")),
        None => Err("its format is cut off".to_owned()),
    }
}

/// Stores a file here and on the other members; most have to hold it before anyone is told of it.
pub async fn spread(context: &Context, sha256: [u8; 32], data: Bytes) -> Result<(), ApiError> {
    let evidence = &context.evidence;
    let own = evidence.objects().put(&path(&sha256), data.clone()).await;
    let own = match own {
        Ok(stored) => stored.is_ok(),
        Err(error) => {
            tracing::warn!(%error, "a media file cannot be stored");
            false
        }
    };
    let others = evidence.peers().others(&context.store);
    let members = others.len() + 1;
    let copies = others.iter().map(|member| {
        let peers = evidence.peers();
        let data = data.clone();
        async move { peers.put_media(&context.store, member.id, sha256, data).await }
    });
    let mut held = usize::from(own);
    for copy in join_all(copies).await {
        match copy {
            Ok(()) => held += 1,
            Err(error) => tracing::warn!(%error, "a media file was not copied"),
        }
    }
    let needed = members / 2 + 1;
    if held < needed {
        return Err(ApiError::TooFewCopies {
            held,
            needed,
            members,
        });
    }
    Ok(())
}

/// A file for a worker: from this node's store, else from one that has it, and then it is here too.
pub async fn for_worker(context: &Context, token: Option<TokenHash>, sha256: &[u8]) -> Result<Bytes, Status> {
    let sha256: [u8; 32] = sha256
        .try_into()
        .map_err(|_| Status::invalid_argument("sha256: must be 32 bytes"))?;
    let token = token.ok_or_else(|| Status::unauthenticated("the token is not one"))?;
    known(context, token).await?;
    let path = path(&sha256);
    let objects = context.evidence.objects();
    if let Ok(data) = objects.get(&path).await
        && hash(&data) == sha256
    {
        return Ok(data);
    }
    for member in context.evidence.peers().others(&context.store) {
        let answer = context
            .evidence
            .peers()
            .get_object(&context.store, member.id, &path)
            .await;
        if let Ok(data) = answer
            && hash(&data) == sha256
        {
            if let Err(error) = objects.put(&path, data.clone()).await {
                tracing::warn!(path, %error, "a media file cannot be stored");
            }
            return Ok(data);
        }
    }
    Err(Status::not_found("no node that answers has this media file"))
}

/// Only workers get files: one that this node does not know, the cluster is asked for.
async fn known(context: &Context, token: TokenHash) -> Result<(), Status> {
    let knows = |state: &State| state.worker_by_token(token).is_some();
    if knows(&context.store.local()) {
        return Ok(());
    }
    let read = context
        .store
        .read(Consistency::Linearizable, Instant::now() + PATIENCE);
    match read.await {
        Ok(state) if knows(&state) => Ok(()),
        Ok(_) => Err(Status::unauthenticated("the token is not valid")),
        Err(ReadError::Unavailable { reason }) => Err(Status::unavailable(reason.name())),
        Err(ReadError::Fatal(_)) => Err(Status::unavailable("this node has failed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(code: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        file.extend(code.to_le_bytes());
        file.extend(channels.to_le_bytes());
        file.extend(rate.to_le_bytes());
        file.extend((rate * 2).to_le_bytes());
        file.extend(2_u16.to_le_bytes());
        file.extend(bits.to_le_bytes());
        // An odd chunk that nobody needs, with its padding.
        file.extend(b"LIST\x03\0\0\0abc\0");
        file.extend(b"data");
        file.extend(u32::try_from(data.len()).unwrap_or_default().to_le_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn a_second_of_each_form_is_a_second_long() {
        assert_eq!(check(&wav(1, 1, 8_000, 16, &[0; 16_000])), Ok(1_000));
        assert_eq!(check(&wav(6, 1, 8_000, 8, &[0; 8_000])), Ok(1_000));
        assert_eq!(check(&wav(7, 1, 8_000, 8, &[0; 8_000])), Ok(1_000));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        for (file, words) in [
            (Vec::new(), "not a WAV"),
            (b"ID3 and so on".to_vec(), "not a WAV"),
            (wav(1, 2, 8_000, 16, &[0; 4]), "one channel, found 2"),
            (wav(1, 1, 44_100, 16, &[0; 4]), "found 44100"),
            (wav(1, 1, 8_000, 8, &[0; 4]), "found format 1 with 8 bits"),
            (wav(85, 1, 8_000, 0, &[0; 4]), "found format 85"),
            (wav(7, 1, 8_000, 8, &[]), "no sound"),
            (b"RIFF\0\0\0\0WAVE".to_vec(), "no data chunk"),
            (b"RIFF\0\0\0\0WAVEdata\x01\0\0\0x".to_vec(), "before its format"),
            (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0x".to_vec(), "cut off"),
        ] {
            let rule = check(&file).err().unwrap_or_default();
            assert!(rule.contains(words), "{words:?} is not in {rule:?}");
        }
    }

    #[test]
    fn no_cut_breaks_the_reader() {
        let file = wav(7, 1, 8_000, 8, &[0; 80]);
        for length in 0..file.len() {
            let _ = check(&file[..length]);
        }
    }
}
