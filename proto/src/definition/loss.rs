//! The policy on lost workers, as people write it and as it goes over the wire.

use super::FieldViolation;
use super::document::{FailAboveDocument, WorkerLossDocument};
use crate::v1::OnWorkerLoss;
use crate::v1::on_worker_loss::Policy;

const FIELD: &str = "on_worker_loss";

/// Parts per million in one per cent.
const PER_CENT: u32 = 10_000;

pub(super) fn to_wire(
    document: WorkerLossDocument,
    violations: &mut Vec<FieldViolation>,
) -> Option<OnWorkerLoss> {
    let (policy, above_ppm) = match document {
        WorkerLossDocument::Word(word) if word.eq_ignore_ascii_case("continue") => (Policy::Continue, 0),
        WorkerLossDocument::Word(word) if word.eq_ignore_ascii_case("fail") => (Policy::Fail, 0),
        WorkerLossDocument::Word(word) => {
            let rule = format!("{word:?} is not one of continue, fail, failAbove: with a share such as 20%");
            violations.push(FieldViolation::new(FIELD, rule));
            return None;
        }
        WorkerLossDocument::Above(above) => match parse_percent(&above.fail_above) {
            Some(ppm) => (Policy::FailAbove, ppm),
            None => {
                let rule = format!(
                    "{:?} is not a share; write it in per cent with at most four decimals, for example 20%",
                    above.fail_above
                );
                violations.push(FieldViolation::new(format!("{FIELD}.fail_above"), rule));
                return None;
            }
        },
    };
    Some(OnWorkerLoss {
        policy: policy.into(),
        above_ppm,
    })
}

/// `None` for what is the default anyway.
pub(super) fn from_wire(loss: &OnWorkerLoss) -> Option<WorkerLossDocument> {
    match loss.policy() {
        Policy::Unspecified | Policy::Continue => None,
        Policy::Fail => Some(WorkerLossDocument::Word("fail".to_owned())),
        Policy::FailAbove => Some(WorkerLossDocument::Above(FailAboveDocument {
            fail_above: format_percent(loss.above_ppm),
        })),
    }
}

/// `20%` or `12.5 %`, up to 100%, as parts per million.
fn parse_percent(text: &str) -> Option<u32> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str, most: usize| {
        !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(whole, 3) || !digits(part, 4) {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let part: u32 = format!("{part:0<4}").parse().ok()?;
    Some(whole * PER_CENT + part).filter(|ppm| *ppm <= 100 * PER_CENT)
}

fn format_percent(ppm: u32) -> String {
    let (whole, part) = (ppm / PER_CENT, ppm % PER_CENT);
    if part == 0 {
        return format!("{whole}%");
    }
    let part = format!("{part:04}");
    format!("{whole}.{}%", part.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_written_in_per_cent() {
        for (text, ppm) in [
            ("20%", 200_000),
            ("0%", 0),
            ("12.5%", 125_000),
            ("0.0001%", 1),
            ("100%", 1_000_000),
            ("99.9999%", 999_999),
        ] {
            assert_eq!(parse_percent(text), Some(ppm), "{text}");
            assert_eq!(format_percent(ppm), text);
        }
        assert_eq!(parse_percent(" 20 % "), Some(200_000));
        for text in [
            "", "%", "20", "-1%", "+1%", "101%", "1e1%", "0.00001%", ".5%", "5.%", "NaN%", "1000%", "२%",
        ] {
            assert_eq!(parse_percent(text), None, "{text}");
        }
    }
}
