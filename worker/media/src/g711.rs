//! G.711: 16-bit samples to bytes by µ-law and A-law, and back. The top 14 (µ) or 13 (A) bits count.

/// Added to a magnitude before its segment is sought.
const BIAS: i32 = 0x84;
/// The largest magnitude that µ-law can say.
const CLIP: i32 = 32_635;

/// One sample by µ-law.
#[must_use]
pub fn encode_ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    // Bit 7 to 14 of the magnitude is the highest that is set.
    let segment = 24 - magnitude.leading_zeros();
    let mantissa = magnitude >> (segment + 3) & 0x0f;
    !(sign | low(segment as i32) << 4 | low(mantissa))
}

/// One sample from µ-law.
#[must_use]
pub fn decode_ulaw(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = ((i16::from(byte & 0x0f) << 3) + 0x84) << (byte >> 4 & 7);
    if byte & 0x80 == 0 {
        magnitude - 0x84
    } else {
        0x84 - magnitude
    }
}

/// One sample by A-law.
#[must_use]
pub fn encode_alaw(sample: i16) -> u8 {
    // -1 has the magnitude 0: the lowest negative value of a segment belongs to it.
    let (sign, magnitude) = if sample < 0 {
        (0, -(i32::from(sample) + 1))
    } else {
        (0x80, i32::from(sample))
    };
    let magnitude = magnitude >> 4;
    let code = if magnitude < 32 {
        magnitude
    } else {
        let segment = 28 - magnitude.leading_zeros() as i32;
        segment << 4 | magnitude >> (segment - 1) & 0x0f
    };
    (sign | low(code)) ^ 0x55
}

/// One sample from A-law.
#[must_use]
pub fn decode_alaw(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let segment = byte >> 4 & 7;
    let mantissa = i16::from(byte & 0x0f) << 4;
    let magnitude = match segment {
        0 => mantissa + 8,
        above => (mantissa + 0x108) << (above - 1),
    };
    if byte & 0x80 == 0 { -magnitude } else { magnitude }
}

/// The lowest byte.
fn low(value: i32) -> u8 {
    value.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulaw_gives_the_codes_of_the_standard() {
        for (sample, code) in [
            (0, 0xff),
            (-1, 0x7f),
            (8, 0xfe),
            (32_767, 0x80),
            (-32_768, 0x00),
            (1_000, 0xce),
            (-1_000, 0x4e),
        ] {
            assert_eq!(encode_ulaw(sample), code, "{sample}");
        }
    }

    #[test]
    fn alaw_gives_the_codes_of_the_standard() {
        for (sample, code) in [
            (0, 0xd5),
            (-1, 0x55),
            (32_767, 0xaa),
            (-32_768, 0x2a),
            (1_000, 0xfa),
            (-1_000, 0x7a),
        ] {
            assert_eq!(encode_alaw(sample), code, "{sample}");
        }
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for code in 0..=u8::MAX {
            // Of two zeros, µ-law encodes one.
            if code != 0x7f {
                assert_eq!(encode_ulaw(decode_ulaw(code)), code, "µ {code:#x}");
            }
            assert_eq!(encode_alaw(decode_alaw(code)), code, "A {code:#x}");
        }
    }

    #[test]
    fn no_sample_is_off_by_more_than_half_a_step_of_its_segment() {
        for sample in i16::MIN..=i16::MAX {
            let magnitude = i32::from(sample).abs();
            for (name, back) in [
                ("µ", decode_ulaw(encode_ulaw(sample))),
                ("A", decode_alaw(encode_alaw(sample))),
            ] {
                let error = (i32::from(back) - i32::from(sample)).abs();
                // Steps are 1/16 to 1/32 of the value, and at least 16; at the very top µ-law clips.
                assert!(
                    error <= magnitude / 32 + 9 || magnitude > CLIP,
                    "{name} {sample}: {back}"
                );
            }
        }
    }
}
