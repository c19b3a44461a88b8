//! Covers: R218
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn probe(n: u8) -> ProbeId {
    ProbeId::from_bytes([n; 16])
}

/// 2026-11-26 00:00 UTC, a Thursday.
const THURSDAY: u64 = 1_795_651_200_000;

fn cron(text: &str) -> Cron {
    Cron::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The slots of an expression from `THURSDAY` on, in minutes from it.
fn slots(text: &str, count: usize) -> Vec<u64> {
    let cron = cron(text);
    let mut after = Time(THURSDAY - 1);
    (0..count)
        .map(|_| {
            let slot = cron.next_after(after).unwrap_or_else(|| panic!("{text} ends"));
            assert!(cron.is_at(slot), "{text}: {slot:?}");
            after = slot;
            (slot.0 - THURSDAY) / MINUTE
        })
        .collect()
}

#[test]
fn intervals_are_those_of_the_source() {
    let minutes: Vec<u32> = (0..=120)
        .filter(|n| Interval::from_minutes(*n).is_some())
        .collect();
    assert_eq!(minutes, [5, 15, 30, 60]);
}

#[test]
fn slots_of_an_interval_are_evenly_apart_and_strictly_after() {
    for interval in Interval::ALL {
        let schedule = Schedule::Every(interval);
        for n in 0..50 {
            let first = schedule.next_after(Time(THURSDAY), probe(n)).unwrap_or_default();
            assert!(first.0 > THURSDAY && first.0 <= THURSDAY + interval.span().0);
            assert!(schedule.is_slot(first, probe(n)));
            assert!(!schedule.is_slot(Time(first.0 + 1), probe(n)));
            assert_eq!(schedule.next_after(Time(first.0 - 1), probe(n)), Some(first));
            let second = schedule.next_after(first, probe(n)).unwrap_or_default();
            assert_eq!(second.since(first), interval.span());
            assert_eq!(schedule.due(second, probe(n)), second);
        }
    }
}

#[test]
fn a_hundred_probes_of_one_schedule_do_not_fire_together() {
    let ids = || (0..100u8).map(probe);
    let every = Schedule::Every(Interval::Five);
    let mut starts: Vec<Time> = ids()
        .filter_map(|id| every.next_after(Time(THURSDAY), id))
        .collect();
    starts.sort_unstable();
    let most = |times: &[Time], window: u64| {
        times
            .iter()
            .map(|from| {
                times
                    .iter()
                    .filter(|at| at.0 >= from.0 && at.0 < from.0 + window)
                    .count()
            })
            .max()
    };
    // Evenly spread they would be 3 s apart; chance may put some of them closer.
    assert!(most(&starts, 10_000) <= Some(12), "{:?}", most(&starts, 10_000));
    let hourly = Schedule::Cron(cron("0 * * * *"));
    let slot = Time(THURSDAY + HOUR);
    let due: Vec<Time> = ids().map(|id| hourly.due(slot, id)).collect();
    assert!(due.iter().all(|due| due.since(slot) < CRON_SPREAD));
    assert!(most(&due, 1_000) <= Some(12), "{:?}", most(&due, 1_000));
}

#[test]
fn the_same_probe_is_due_at_the_same_instant_everywhere() {
    // Pinned: slots would move in a cluster whose nodes disagree.
    let every = Schedule::Every(Interval::Sixty);
    let pinned = [1, 2, 3].map(|n| every.next_after(Time(0), probe(n)).map(|at| at.0 / 1_000));
    assert_eq!(pinned, [Some(3_582), Some(1_683), Some(2_659)]);
}

#[test]
fn expressions_name_their_minutes() {
    let day = 24 * 60;
    let table: [(&str, &[u64]); 14] = [
        ("* * * * *", &[0, 1, 2]),
        ("*/15 * * * *", &[0, 15, 30, 45, 60]),
        ("5,10-12 * * * *", &[5, 10, 11, 12, 65]),
        ("0 9-17/4 * * *", &[540, 780, 1_020, day + 540]),
        ("30 6 * * MON-FRI", &[390, day + 390, 4 * day + 390]),
        ("0 0 * * 0", &[3 * day, 10 * day]),
        ("0 0 * * 7", &[3 * day, 10 * day]),
        ("0 0 * * sat-sun", &[2 * day, 3 * day, 9 * day]),
        ("0 0 1 * *", &[5 * day, 36 * day]),
        ("0 0 1 jan *", &[36 * day]),
        // Both days are given: one of the two is enough.
        ("0 0 1 * FRI", &[day, 5 * day, 8 * day]),
        ("0 0 31 * *", &[35 * day, 66 * day]),
        // 2028 is the next leap year.
        ("0 0 29 2 *", &[460 * day]),
        ("  59   23 *  * * ", &[day - 1, 2 * day - 1]),
    ];
    for (text, expected) in table {
        assert_eq!(slots(text, expected.len()), expected, "{text}");
    }
}

#[test]
fn an_expression_is_kept_as_it_was_written() {
    assert_eq!(cron(" 0  9 * *\tMON ").as_str(), "0 9 * * MON");
}

#[test]
fn wrong_expressions_name_the_field_and_the_rule() {
    let table = [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("60 * * * *", "minute: \"60\": must be from 0 to 59"),
        ("* 24 * * *", "hour: \"24\": must be from 0 to 23"),
        ("* * 0 * *", "day of the month: \"0\": must be from 1 to 31"),
        ("* * * 13 *", "month: \"13\": must be from 1 to 12"),
        ("* * * * 8", "weekday: \"8\": must be from 0 to 7"),
        ("* * * * MAY", "weekday: \"MAY\""),
        ("*/0 * * * *", "the step must be from 1 to 59"),
        ("5/15 * * * *", "a step needs `*` or a range before it"),
        ("30-10 * * * *", "the range ends before it begins"),
        ("1,,2 * * * *", "minute: \"\""),
        ("-1 * * * *", "minute: \"-1\""),
        ("+1 * * * *", "minute: \"+1\""),
        ("99999999999999999999 * * * *", "minute"),
        ("0 0 30 2 *", "no day of the calendar fits it"),
        ("0 0 31 2,4,6,9,11 *", "no day of the calendar fits it"),
        ("@hourly", "five fields"),
    ];
    for (text, words) in table {
        let error = match Cron::parse(text) {
            Ok(cron) => panic!("{text:?} is taken as {cron:?}"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(words), "{text:?}: {error}");
    }
    assert!(Cron::parse(&"1,".repeat(100)).is_err());
}

#[test]
fn the_end_of_time_is_no_slot() {
    let every = Schedule::Every(Interval::Five);
    assert_eq!(every.next_after(Time(u64::MAX), probe(1)), None);
    assert_eq!(cron("* * * * *").next_after(Time(u64::MAX)), None);
    // A century that is no leap year: from 2096 to 2104.
    let year_2097 = Time(4_007_836_800_000);
    assert!(cron("0 0 29 2 *").next_after(year_2097).is_some());
    assert!(THURSDAY.is_multiple_of(DAY));
}

/// Month and day of a day since 1970, counted day by day: slow, and plainly right.
fn calendar(since_1970: u64) -> (u64, u64) {
    let mut left = since_1970;
    for year in 1970.. {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if leap { 29 } else { 28 };
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(lengths) {
            if left < length {
                return (month, left + 1);
            }
            left -= length;
        }
    }
    unreachable!("years have no end")
}

#[test]
fn the_calendar_is_the_gregorian_one() {
    for day in 0..200_000 {
        assert_eq!(cron::month_and_day(day), calendar(day), "{day}");
    }
}

/// A field of an expression and the values that it names, worked out apart.
fn field(first: u64, last: u64) -> impl Strategy<Value = (String, Vec<u64>)> {
    let all: Vec<u64> = (first..=last).collect();
    let value = first..=last;
    prop_oneof![
        3 => Just(("*".to_owned(), all.clone())),
        2 => value.clone().prop_map(|value| (value.to_string(), vec![value])),
        2 => (value.clone(), value.clone()).prop_map(|(a, b)| {
            let (from, to) = (a.min(b), a.max(b));
            (format!("{from}-{to}"), (from..=to).collect())
        }),
        2 => (value.clone(), 1..=last).prop_map(move |(from, step)| {
            let values = (from..=last).filter(|value| (value - from).is_multiple_of(step)).collect();
            (format!("{from}-{last}/{step}"), values)
        }),
        1 => (value.clone(), value).prop_map(|(a, b)| (format!("{a},{b}"), vec![a, b])),
    ]
}

proptest! {
    #[test]
    fn the_next_slot_is_the_first_minute_that_fits(
        (minute, minutes) in field(0, 59),
        (hour, hours) in field(0, 23),
        (day, days) in field(1, 28),
        (month, months) in field(1, 12),
        (weekday, weekdays) in field(0, 6),
        from in 0..4_000_000_000_000u64,
    ) {
        let text = format!("{minute} {hour} {day} {month} {weekday}");
        let cron = cron(&text);
        let either = day != "*" && weekday != "*";
        let fits = |since: u64| {
            let (of_day, since_1970) = (since % 1_440, since / 1_440);
            let (of_year, of_month) = calendar(since_1970);
            let by_month = day == "*" || days.contains(&of_month);
            let by_week = weekdays.contains(&((since_1970 + 4) % 7));
            let on_day = if either { by_month || by_week } else { by_month && by_week };
            minutes.contains(&(of_day % 60)) && hours.contains(&(of_day / 60)) && months.contains(&of_year) && on_day
        };
        let next = cron.next_after(Time(from)).unwrap();
        prop_assert!(next.0 > from && next.0.is_multiple_of(MINUTE) && fits(next.0 / MINUTE), "{} {:?}", text, next);
        prop_assert!(cron.is_at(next));
        // Nothing was passed over, as far as one can look in a test.
        let first = from / MINUTE + 1;
        for since in first..(next.0 / MINUTE).min(first + 2_000) {
            prop_assert!(!fits(since), "{} {} before {:?}", text, since, next);
        }
    }

    #[test]
    fn any_text_is_refused_or_read_and_comes_back(text in "[0-9A-Za-z*/,\\- \u{0}é]{0,40}") {
        if let Ok(cron) = Cron::parse(&text) {
            prop_assert_eq!(Cron::parse(cron.as_str()), Ok(cron.clone()));
            let next = cron.next_after(Time(0));
            prop_assert!(next.is_some_and(|next| cron.is_at(next)));
        }
    }

    #[test]
    fn slots_of_any_schedule_go_forward(bytes in any::<[u8; 16]>(), which in 0..6usize, from in any::<u64>()) {
        let probe = ProbeId::from_bytes(bytes);
        let schedule = match Interval::ALL.get(which) {
            Some(interval) => Schedule::Every(*interval),
            None => Schedule::Cron(cron(["* * * * *", "0 0 29 2 *"][which - 4])),
        };
        if let Some(next) = schedule.next_after(Time(from), probe) {
            prop_assert!(next.0 > from && schedule.is_slot(next, probe) && schedule.due(next, probe) >= next);
        }
    }
}
