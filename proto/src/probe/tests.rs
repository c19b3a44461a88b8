#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const MOS: &str = r#"{"name":"fra","test":"call","every":"5m","thresholds":[
    {"metric":"mos","warning":3.5,"critical":2.5},
    {"metric":"setup_time_ms","statistic":"p95","direction":"lower_is_better","critical":800}]}"#;

fn violations(json: &str) -> Vec<(String, String)> {
    let found = from_json(json.as_bytes()).expect_err(json);
    found
        .into_iter()
        .map(|one| (one.field, one.description))
        .collect()
}

// Covers: R218, R234
#[test]
fn a_document_says_everything_and_comes_back() {
    let definition = from_json(MOS.as_bytes()).unwrap();
    assert_eq!(
        (definition.name.as_str(), definition.test.as_str()),
        ("fra", "call")
    );
    assert_eq!(definition.schedule, Some(Schedule::EveryMinutes(5)));
    let mos = &definition.thresholds[0];
    assert_eq!(
        (mos.warning_milli, mos.critical_milli),
        (Some(3_500), Some(2_500))
    );
    assert_eq!((mos.statistic, mos.direction), (0, 0), "left to the server");
    let setup = &definition.thresholds[1];
    assert_eq!(setup.statistic(), v1::Statistic::P95);
    assert_eq!(setup.direction(), v1::Direction::LowerIsBetter);
    // What the server shows can be applied again.
    let shown = v1::ProbeDefinition {
        thresholds: vec![v1::Threshold {
            statistic: v1::Statistic::Mean.into(),
            direction: v1::Direction::HigherIsBetter.into(),
            ..mos.clone()
        }],
        ..definition.clone()
    };
    let text = serde_json::to_vec(&ProbeDocument::from(&shown)).unwrap();
    assert_eq!(from_json(&text).unwrap(), shown);
    let cron = from_json(br#"{"name":"n","test":"t","cron":"0 * * * *"}"#).unwrap();
    assert_eq!(cron.schedule, Some(Schedule::Cron("0 * * * *".to_owned())));
}

#[test]
fn every_bad_field_is_named() {
    let found = violations(
        r#"{"every":"5","thresholds":[{"warning":1.2345,"statistic":"p42","direction":"up"},{"metric":"mos","critical":1e12}]}"#,
    );
    let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "name",
            "test",
            "every",
            "thresholds[0].warning",
            "thresholds[0].metric",
            "thresholds[0].statistic",
            "thresholds[0].direction",
            "thresholds[1].critical"
        ]
    );
    let words = |field: &str| found.iter().find(|one| one.0 == field).unwrap().1.clone();
    assert!(words("every").contains("no unit"));
    assert!(words("thresholds[0].warning").contains("three decimals"));
    assert!(words("thresholds[0].statistic").contains("MEAN, P50"));
    for (json, field) in [
        (r#"{"name":"n","test":"t"}"#, "every"),
        (
            r#"{"name":"n","test":"t","every":"5m","cron":"* * * * *"}"#,
            "every",
        ),
        (r#"{"name":"n","test":"t","every":"90s"}"#, "every"),
        (r#"{"nam":"n"}"#, "nam"),
        (r#"{"thresholds":[{"warning":"x"}]}"#, "thresholds[0].warning"),
        ("{", ""),
        ("{} x", ""),
    ] {
        let found = violations(json);
        assert!(found.iter().any(|one| one.0 == field), "{json}: {found:?}");
    }
}

#[test]
fn thresholds_are_read_from_a_line() {
    let threshold = |text: &str| parse_threshold(text).unwrap();
    let mos = threshold("mos: warn 3.5, crit 2.5");
    assert_eq!((mos.metric.as_str(), mos.statistic, mos.direction), ("mos", 0, 0));
    assert_eq!(
        (mos.warning_milli, mos.critical_milli),
        (Some(3_500), Some(2_500))
    );
    let setup = threshold(" setup_time_ms  P95 lower : CRITICAL 800 ");
    assert_eq!(setup.statistic(), v1::Statistic::P95);
    assert_eq!(setup.direction(), v1::Direction::LowerIsBetter);
    assert_eq!((setup.warning_milli, setup.critical_milli), (None, Some(800_000)));
    assert_eq!(threshold("x higher p50: warn -0.125").warning_milli, Some(-125));
    for (text, words) in [
        ("mos warn 3", "`:` is missing"),
        (": warn 3", "the metric is missing"),
        ("mos:", "is not a limit"),
        ("mos: warn", "is not a limit"),
        ("mos: warn 3, warn 4", "twice"),
        ("mos: alarm 3", "neither warn nor crit"),
        ("mos: warn x", "not a number"),
        ("mos: warn NaN", "must be a number"),
        ("mos: warn 1e300", "must be a number"),
        ("mos: warn 0.0001", "three decimals"),
        ("mos p42: warn 3", "MEAN, P50"),
        ("mos p50 p95: warn 3", "twice"),
        ("mos: warn 3 4", "is not a limit"),
    ] {
        let error = parse_threshold(text).expect_err(text);
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn intervals_are_whole_minutes() {
    assert_eq!(parse_every("5m"), Ok(5));
    assert_eq!(parse_every("1h"), Ok(60));
    assert_eq!(parse_every("60m"), Ok(60));
    for wrong in ["5", "90s", "1ms", "x", "", "999999999999999h"] {
        assert!(parse_every(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn thousandths_are_exact() {
    for milli in [
        0,
        1,
        -1,
        3_500,
        -125,
        999_999_999_999,
        123_456_789_012,
        i64::from(i32::MAX),
    ] {
        assert_eq!(to_milli(from_milli(milli)), Ok(milli));
    }
}
