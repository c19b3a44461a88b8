//! Quality figures: numbers in the document, thousandths on the wire.

use super::FieldViolation;
use super::document::{QualityDocument, RangeText};
use crate::v1;

/// The most that stands in a document; what each figure may be is for the cluster to judge.
const MOST: f64 = 1e6;

pub(super) fn to_wire(
    path: &str,
    quality: &QualityDocument,
    violations: &mut Vec<FieldViolation>,
) -> v1::SimQuality {
    let mut figure = |name: &str, text: &Option<RangeText>| {
        let text = text.as_ref()?;
        match range(&text.0) {
            Ok(range) => Some(range),
            Err(rule) => {
                violations.push(FieldViolation::new(format!("{path}.{name}"), rule));
                None
            }
        }
    };
    v1::SimQuality {
        mos: figure("mos", &quality.mos),
        jitter_ms: figure("jitter_ms", &quality.jitter_ms),
        rtt_ms: figure("rtt_ms", &quality.rtt_ms),
        fraction_lost: figure("fraction_lost", &quality.fraction_lost),
    }
}

fn range(text: &str) -> Result<v1::MilliRange, String> {
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let milli = |part: &str| {
        let number: Option<f64> = part.trim().parse().ok();
        number
            .filter(|number| (0.0..=MOST).contains(number))
            .map(|number| (number * 1_000.0).round() as u32)
            .ok_or_else(|| format!("{text:?} is not a number or a range such as 3.8..4.4, from 0 to {MOST}"))
    };
    let range = v1::MilliRange {
        min_milli: milli(min)?,
        max_milli: milli(max)?,
    };
    if range.min_milli > range.max_milli {
        return Err(format!("{text:?} begins above its end"));
    }
    Ok(range)
}

impl From<&v1::SimQuality> for QualityDocument {
    fn from(quality: &v1::SimQuality) -> Self {
        let text = |range: &Option<v1::MilliRange>| {
            let range = range.as_ref()?;
            let number = |milli: u32| (f64::from(milli) / 1_000.0).to_string();
            let (min, max) = (number(range.min_milli), number(range.max_milli));
            Some(super::document::DurationText(if min == max {
                min
            } else {
                format!("{min}..{max}")
            }))
        };
        Self {
            mos: text(&quality.mos),
            jitter_ms: text(&quality.jitter_ms),
            rtt_ms: text(&quality.rtt_ms),
            fraction_lost: text(&quality.fraction_lost),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_number_or_a_range_and_comes_back_as_it_was_written() {
        let document: QualityDocument = serde_json::from_str(
            r#"{"mos":"3.8..4.4","jitter_ms":5,"rttMs":"40.5","fraction_lost":"0..0.002"}"#,
        )
        .unwrap();
        let mut violations = Vec::new();
        let wire = to_wire("q", &document, &mut violations);
        assert_eq!(violations, Vec::new());
        let range = |min_milli, max_milli| Some(v1::MilliRange { min_milli, max_milli });
        assert_eq!(wire.mos, range(3_800, 4_400));
        assert_eq!(wire.jitter_ms, range(5_000, 5_000));
        assert_eq!(wire.rtt_ms, range(40_500, 40_500));
        assert_eq!(wire.fraction_lost, range(0, 2));
        let again = QualityDocument::from(&wire);
        assert_eq!(again, document);
    }

    #[test]
    fn a_bad_figure_is_named() {
        for bad in ["x", "4..3", "-1", "1..", "nan", "2000000"] {
            let document = QualityDocument {
                mos: Some(super::super::document::DurationText(bad.to_owned())),
                ..QualityDocument::default()
            };
            let mut violations = Vec::new();
            to_wire("q", &document, &mut violations);
            assert_eq!(violations.len(), 1, "{bad}");
            assert_eq!(violations[0].field, "q.mos");
        }
    }
}
