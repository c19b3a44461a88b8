//! Shares of outcomes: fractions of 1 in the document, parts per million on the wire.

use std::collections::BTreeMap;

use super::FieldViolation;
use crate::names::Named;
use crate::v1::{EndpointOutcome, OutcomeShare};

const MILLION: u32 = 1_000_000;
/// How far from 1 the sum of the shares may be.
const TOLERANCE: f64 = 1e-6;

/// Shares in parts per million that sum to exactly one million, in the order of the outcomes' numbers.
pub(super) fn to_ppm(
    field: &str,
    shares: &BTreeMap<String, f64>,
    violations: &mut Vec<FieldViolation>,
) -> Vec<OutcomeShare> {
    let before = violations.len();
    let mut known = BTreeMap::new();
    for (name, share) in shares {
        let field = format!("{field}.{name}");
        let Some(outcome) = EndpointOutcome::from_name(name) else {
            let expected = EndpointOutcome::expected();
            violations.push(FieldViolation::new(
                field,
                format!("is not an outcome; expected one of {expected}"),
            ));
            continue;
        };
        if !(0.0..=1.0).contains(share) {
            violations.push(FieldViolation::new(
                field,
                format!("{share} is not a share between 0 and 1"),
            ));
        } else if known.insert(outcome as i32, *share).is_some() {
            violations.push(FieldViolation::new(field, "is named twice"));
        }
    }
    if shares.is_empty() || violations.len() > before {
        return Vec::new();
    }
    let sum: f64 = known.values().sum();
    if (sum - 1.0).abs() > TOLERANCE {
        violations.push(FieldViolation::new(
            field,
            format!("the shares sum to {sum:.6} and must sum to 1"),
        ));
        return Vec::new();
    }
    exact(known)
}

/// Rounds each share and gives what rounding left over to the largest.
fn exact(shares: BTreeMap<i32, f64>) -> Vec<OutcomeShare> {
    let mut result: Vec<OutcomeShare> = shares
        .into_iter()
        .map(|(outcome, share)| OutcomeShare {
            outcome,
            share_ppm: (share * f64::from(MILLION)).round() as u32,
        })
        .collect();
    let sum: u32 = result.iter().map(|share| share.share_ppm).sum();
    if let Some(largest) = result.iter_mut().max_by_key(|share| share.share_ppm) {
        // The rest is at most one part per share, so the largest stays positive.
        largest.share_ppm = (largest.share_ppm + MILLION).saturating_sub(sum);
    }
    result
}

/// The document's form of the shares.
pub(super) fn to_fractions(shares: &[OutcomeShare]) -> BTreeMap<String, f64> {
    shares
        .iter()
        .map(|share| {
            (
                share.outcome().name().to_owned(),
                f64::from(share.share_ppm) / f64::from(MILLION),
            )
        })
        .collect()
}
