//! Reading WAV files: 8 kHz, one channel, 16-bit PCM or G.711.

use thiserror::Error;

use crate::clip::Clip;
use crate::g711;

/// Samples a second that are read.
const RATE: u32 = 8_000;
/// Format tags.
const PCM: u16 = 1;
const ALAW: u16 = 6;
const ULAW: u16 = 7;
/// The real tag is in the extension.
const EXTENSIBLE: u16 = 0xfffe;

/// Why a file is not played.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WavError {
    /// It does not begin as WAV files do.
    #[error("not a WAV file: it does not begin with RIFF and WAVE")]
    NotWav,
    /// A part is missing or cut off.
    #[error("the WAV file has no complete {0:?} chunk")]
    Missing(&'static str),
    /// Neither PCM nor G.711.
    #[error("the WAV file's format is {0}: only 1 (PCM), 6 (A-law) and 7 (µ-law) are played")]
    Format(u16),
    /// Not 8 kHz.
    #[error("the WAV file has {0} samples a second: only 8000 are played")]
    Rate(u32),
    /// Not one channel.
    #[error("the WAV file has {0} channels: only 1 is played")]
    Channels(u16),
    /// Not the bits of its format.
    #[error("the WAV file has {bits} bits a sample: format {format} is played with {wanted}")]
    Bits {
        /// What it has.
        bits: u16,
        /// Its format.
        format: u16,
        /// What it must have.
        wanted: u16,
    },
    /// There is nothing to play.
    #[error("the WAV file has no samples")]
    Empty,
}

/// Reads a file's bytes.
///
/// # Errors
/// What is wrong with it; see [`WavError`].
pub fn read(bytes: &[u8]) -> Result<Clip, WavError> {
    let chunks = match (bytes.get(..4), bytes.get(8..12)) {
        (Some(b"RIFF"), Some(b"WAVE")) => &bytes[12..],
        _ => return Err(WavError::NotWav),
    };
    let format = chunk(chunks, *b"fmt ").ok_or(WavError::Missing("fmt "))?;
    let tag = tag(format)?;
    let data = chunk(chunks, *b"data").ok_or(WavError::Missing("data"))?;
    let samples: Vec<i16> = match tag {
        PCM => data
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect(),
        ALAW => data.iter().copied().map(g711::decode_alaw).collect(),
        _ => data.iter().copied().map(g711::decode_ulaw).collect(),
    };
    if samples.is_empty() {
        return Err(WavError::Empty);
    }
    Ok(Clip::new(samples))
}

/// The format tag, once everything about the format is as it must be.
fn tag(format: &[u8]) -> Result<u16, WavError> {
    let missing = WavError::Missing("fmt ");
    let u16_at = |at: usize| {
        let pair = format.get(at..at + 2)?;
        Some(u16::from_le_bytes([pair[0], pair[1]]))
    };
    let (Some(mut tag), Some(channels), Some(low), Some(high), Some(bits)) =
        (u16_at(0), u16_at(2), u16_at(4), u16_at(6), u16_at(14))
    else {
        return Err(missing);
    };
    if tag == EXTENSIBLE {
        tag = u16_at(24).ok_or(missing)?;
    }
    let wanted = match tag {
        PCM => 16,
        ALAW | ULAW => 8,
        other => return Err(WavError::Format(other)),
    };
    let rate = u32::from(low) | u32::from(high) << 16;
    if rate != RATE {
        return Err(WavError::Rate(rate));
    }
    if channels != 1 {
        return Err(WavError::Channels(channels));
    }
    if bits != wanted {
        return Err(WavError::Bits {
            bits,
            format: tag,
            wanted,
        });
    }
    Ok(tag)
}

/// The body of the first chunk of this name. Of a recording that was broken off, what there is of the last chunk.
fn chunk(mut chunks: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    loop {
        let (head, rest) = chunks.split_at_checked(8)?;
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let size = usize::try_from(size).ok()?;
        if head[..4] == name {
            return Some(&rest[..size.min(rest.len())]);
        }
        // Chunks begin at even offsets.
        chunks = rest.get(size.checked_next_multiple_of(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut format = Vec::new();
        format.extend(tag.to_le_bytes());
        format.extend(channels.to_le_bytes());
        format.extend(rate.to_le_bytes());
        format.extend((rate * 2).to_le_bytes());
        format.extend(2_u16.to_le_bytes());
        format.extend(bits.to_le_bytes());
        with_format(&format, data)
    }

    fn with_format(format: &[u8], data: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
        // Others are passed over, odd ones with their padding.
        for (name, body) in [(b"LIST", &[1, 2, 3][..]), (b"fmt ", format), (b"data", data)] {
            file.extend(name);
            file.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
            file.extend(body);
            file.extend(vec![0; body.len() % 2]);
        }
        file
    }

    #[test]
    fn pcm_and_both_laws_are_read() {
        let pcm = read(&file(1, 1, 8_000, 16, &[1, 0, 0xff, 0xff])).unwrap();
        assert_eq!(pcm.samples(), [1, -1]);
        let ulaw = read(&file(7, 1, 8_000, 8, &[0xff, 0x00, 0xce])).unwrap();
        assert_eq!(ulaw.samples(), [0, -32_124, g711::decode_ulaw(0xce)]);
        let alaw = read(&file(6, 1, 8_000, 8, &[0xd5, 0x2a])).unwrap();
        assert_eq!(alaw.samples(), [8, -32_256]);
    }

    #[test]
    fn the_extensible_format_names_the_real_one_further_on() {
        let mut format = Vec::from([0xfe, 0xff, 1, 0, 0x40, 0x1f, 0, 0, 0, 0, 0, 0, 2, 0, 16, 0]);
        format.extend([22, 0, 16, 0, 0, 0, 0, 0, 1, 0]);
        format.extend([0; 14]);
        assert_eq!(read(&with_format(&format, &[2, 0])).unwrap().samples(), [2]);
        assert_eq!(
            read(&with_format(&format[..20], &[2, 0])).unwrap_err(),
            WavError::Missing("fmt ")
        );
    }

    #[test]
    fn a_broken_off_recording_is_played_as_far_as_it_goes() {
        let mut file = file(1, 1, 8_000, 16, &[1, 0, 2, 0]);
        file.pop();
        assert_eq!(read(&file).unwrap().samples(), [1]);
    }

    #[test]
    fn what_is_not_played_is_named() {
        let data = [0, 0];
        let bits = |bits, format, wanted| WavError::Bits { bits, format, wanted };
        for (file, error) in [
            (b"ID3".to_vec(), WavError::NotWav),
            (b"RIFF\0\0\0\0AVI LIST".to_vec(), WavError::NotWav),
            (b"RIFF\0\0\0\0WAVE".to_vec(), WavError::Missing("fmt ")),
            (with_format(&[1, 0], &data), WavError::Missing("fmt ")),
            (file(3, 1, 8_000, 32, &data), WavError::Format(3)),
            (file(1, 1, 44_100, 16, &data), WavError::Rate(44_100)),
            (file(1, 2, 8_000, 16, &data), WavError::Channels(2)),
            (file(1, 1, 8_000, 8, &data), bits(8, 1, 16)),
            (file(7, 1, 8_000, 16, &data), bits(16, 7, 8)),
            (file(1, 1, 8_000, 16, &[]), WavError::Empty),
        ] {
            assert_eq!(read(&file).unwrap_err(), error);
        }
        let mut no_data = file(1, 1, 8_000, 16, &[]);
        no_data.truncate(no_data.len() - 8);
        assert_eq!(read(&no_data).unwrap_err(), WavError::Missing("data"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cut in 0..80_usize,
            flip in any::<(prop::sample::Index, u8)>(),
        ) {
            let _ = read(&bytes);
            let mut file = file(1, 1, 8_000, 16, &[1, 0, 2, 0, 3, 0]);
            let at = flip.0.index(file.len());
            file[at] ^= flip.1;
            file.truncate(file.len() - cut.min(file.len()));
            let _ = read(&file);
        }
    }
}
