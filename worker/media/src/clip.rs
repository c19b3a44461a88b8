//! Sound to send: encoded once, shared by all calls that play it.

use std::f64::consts::TAU;
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use crate::g711;
use crate::stream::{Codec, SAMPLE_RATE};

/// Frequency of the tone, Hz.
const TONE_HZ: f64 = 1_000.0;
/// Amplitude of the tone: -10 dBm0, as test tones have.
const TONE_AMPLITUDE: f64 = 7_200.0;

/// The tone of one second, for all calls.
static TONE: LazyLock<Arc<Clip>> = LazyLock::new(|| {
    let sample = |n: u32| TONE_AMPLITUDE * (TAU * TONE_HZ * f64::from(n) / f64::from(SAMPLE_RATE)).sin();
    let samples: Vec<i16> = (0..SAMPLE_RATE).map(|n| sample(n).round() as i16).collect();
    Arc::new(Clip::new(samples))
});

/// What a call sends.
#[derive(Clone, Debug, Default)]
pub enum Source {
    /// 1 kHz.
    #[default]
    Tone,
    /// A clip, round and round. Calls that play the same one share its encoded form.
    Clip(Arc<Clip>),
}

impl Source {
    /// The bytes to play in this codec. Encodes when it is asked for the first time.
    #[must_use]
    pub fn encoded(&self, codec: Codec) -> Arc<[u8]> {
        match self {
            Self::Tone => TONE.encoded(codec),
            Self::Clip(clip) => clip.encoded(codec),
        }
    }
}

/// Sound at 8 kHz.
pub struct Clip {
    samples: Arc<[i16]>,
    pcmu: OnceLock<Arc<[u8]>>,
    pcma: OnceLock<Arc<[u8]>>,
}

impl Clip {
    /// Of these samples, one channel, 8 kHz. Without any it is silence.
    #[must_use]
    pub fn new(samples: impl Into<Arc<[i16]>>) -> Self {
        let samples = samples.into();
        Self {
            samples: if samples.is_empty() {
                Arc::new([0; 160])
            } else {
                samples
            },
            pcmu: OnceLock::new(),
            pcma: OnceLock::new(),
        }
    }

    /// The samples.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    fn encoded(&self, codec: Codec) -> Arc<[u8]> {
        let (cell, encode): (_, fn(i16) -> u8) = match codec {
            Codec::Pcmu => (&self.pcmu, g711::encode_ulaw),
            Codec::Pcma => (&self.pcma, g711::encode_alaw),
        };
        cell.get_or_init(|| self.samples.iter().copied().map(encode).collect())
            .clone()
    }
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clip of {} samples", self.samples.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tone_crosses_zero_two_thousand_times_a_second_at_its_level() {
        let samples = TONE.samples();
        // It starts at zero; from then on every fourth sample is one.
        let changes = samples
            .windows(2)
            .filter(|pair| (pair[0] < 0) != (pair[1] < 0))
            .count();
        assert!((1_998..=2_000).contains(&changes), "{changes}");
        assert_eq!(samples.iter().max(), Some(&7_200));
        assert_eq!(samples.iter().min(), Some(&-7_200));
    }

    #[test]
    fn a_clip_is_encoded_once_for_each_codec() {
        let source = Source::Clip(Arc::new(Clip::new(vec![0, 1_000, -1_000])));
        let first = source.encoded(Codec::Pcmu);
        assert_eq!(&*first, [0xff, 0xce, 0x4e]);
        assert!(Arc::ptr_eq(&first, &source.clone().encoded(Codec::Pcmu)));
        assert_eq!(&*source.encoded(Codec::Pcma), [0xd5, 0xfa, 0x7a]);
    }

    #[test]
    fn a_clip_without_samples_is_silence() {
        let source = Source::Clip(Arc::new(Clip::new(Vec::new())));
        assert!(source.encoded(Codec::Pcmu).iter().all(|byte| *byte == 0xff));
    }
}
