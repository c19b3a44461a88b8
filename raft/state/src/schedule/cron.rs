//! Cron expressions: minute, hour, day of the month, month, weekday; in UTC, where no hour is missing or doubled.
//!
//! Ours, and not a library's: the replicated state depends on what it means, so it must not change with an update.

use std::fmt;

use thiserror::Error;

use crate::time::Time;

const MINUTE: u64 = 60_000;
const DAY_MINUTES: u64 = 24 * 60;
/// Longest expression, in bytes.
const MAX_BYTES: usize = 128;
/// No day of the calendar is farther off: the 29th of February is missing once in eight years at most.
const FARTHEST_DAYS: u64 = 8 * 366;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Why a text is no cron expression: the field and the rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct CronError(String);

/// A cron expression.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cron {
    /// As it was written, with single blanks.
    text: String,
    /// A bit for each minute of the hour.
    minutes: u64,
    /// A bit for each hour of the day.
    hours: u64,
    /// A bit for each day of the month, from 1.
    days: u64,
    /// A bit for each month, from 1.
    months: u64,
    /// A bit for each weekday, Sunday is 0.
    weekdays: u64,
    /// Day of the month and weekday are both given: then one of the two is enough.
    either_day: bool,
}

/// A field of an expression.
struct Field {
    name: &'static str,
    first: u64,
    last: u64,
    /// Names that stand for `first`, `first + 1` and so on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        first: 0,
        last: 59,
        names: &[],
    },
    Field {
        name: "hour",
        first: 0,
        last: 23,
        names: &[],
    },
    Field {
        name: "day of the month",
        first: 1,
        last: 31,
        names: &[],
    },
    Field {
        name: "month",
        first: 1,
        last: 12,
        names: &MONTHS,
    },
    // 7 is Sunday too.
    Field {
        name: "weekday",
        first: 0,
        last: 7,
        names: &WEEKDAYS,
    },
];

impl Cron {
    /// Reads an expression of five fields.
    ///
    /// # Errors
    /// A field that cannot be read, or an expression that no day of the calendar fits.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        if text.len() > MAX_BYTES {
            return Err(CronError(format!("at most {MAX_BYTES} bytes")));
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = words.as_slice() else {
            let count = words.len();
            return Err(CronError(format!(
                "five fields are needed (minute, hour, day of the month, month, weekday), found {count}"
            )));
        };
        let [of_minutes, of_hours, of_days, of_months, of_weekdays] = &FIELDS;
        let week = of_weekdays.parse(weekdays)?;
        let cron = Self {
            text: words.join(" "),
            minutes: of_minutes.parse(minutes)?,
            hours: of_hours.parse(hours)?,
            days: of_days.parse(days)?,
            months: of_months.parse(months)?,
            // Bit 7 is Sunday, as bit 0 is.
            weekdays: (week | (week >> 7)) & 0x7f,
            either_day: *days != "*" && *weekdays != "*",
        };
        match cron.next_after(Time(0)) {
            Some(_) => Ok(cron),
            None => Err(CronError("no day of the calendar fits it".to_owned())),
        }
    }

    /// As it was written, with single blanks.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first minute after `after` that fits.
    pub(super) fn next_after(&self, after: Time) -> Option<Time> {
        let from = (after.0 / MINUTE).checked_add(1)?;
        let today = from / DAY_MINUTES;
        let days = (today..=today.checked_add(FARTHEST_DAYS)?).filter(|day| self.fits_day(*day));
        for day in days {
            let begin = if day == today { from % DAY_MINUTES } else { 0 };
            let found = (begin..DAY_MINUTES).find(|minute| self.fits_minute(*minute));
            if let Some(minute) = found {
                let minutes = day.checked_mul(DAY_MINUTES)?.checked_add(minute)?;
                return minutes.checked_mul(MINUTE).map(Time);
            }
        }
        None
    }

    /// Whether the expression names this very instant.
    pub(super) fn is_at(&self, at: Time) -> bool {
        let minutes = at.0 / MINUTE;
        at.0.is_multiple_of(MINUTE)
            && self.fits_minute(minutes % DAY_MINUTES)
            && self.fits_day(minutes / DAY_MINUTES)
    }

    fn fits_minute(&self, of_day: u64) -> bool {
        has(self.hours, of_day / 60) && has(self.minutes, of_day % 60)
    }

    /// `day` counts from 1970-01-01, which was a Thursday.
    fn fits_day(&self, day: u64) -> bool {
        let (month, of_month) = month_and_day(day);
        let (by_month, by_week) = (has(self.days, of_month), has(self.weekdays, (day % 7 + 4) % 7));
        let fits = if self.either_day {
            by_month || by_week
        } else {
            by_month && by_week
        };
        fits && has(self.months, month)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cron({})", self.text)
    }
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, CronError> {
        text.split(',')
            .try_fold(0, |bits, item| Ok(bits | self.item(item)?))
    }

    /// `*`, `*/n`, `a`, `a-b` or `a-b/n`.
    fn item(&self, text: &str) -> Result<u64, CronError> {
        let (range, step) = match text.split_once('/') {
            None => (text, 1),
            Some((range, step)) => (range, self.step(step, text)?),
        };
        let (from, to) = if range == "*" {
            (self.first, self.last)
        } else if let Some((from, to)) = range.split_once('-') {
            (self.value(from, text)?, self.end(to, text)?)
        } else if step == 1 && !text.contains('/') {
            let value = self.value(range, text)?;
            (value, value)
        } else {
            return Err(self.wrong(text, "a step needs `*` or a range before it"));
        };
        if from > to {
            return Err(self.wrong(text, "the range ends before it begins"));
        }
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        Ok((from..=to)
            .step_by(step)
            .fold(0, |bits, value| bits | (1 << value)))
    }

    fn step(&self, step: &str, item: &str) -> Result<u64, CronError> {
        match number(step) {
            Some(step) if (1..=self.last).contains(&step) => Ok(step),
            Some(_) | None => Err(self.wrong(item, &format!("the step must be from 1 to {}", self.last))),
        }
    }

    /// The end of a range, in which SUN comes after SAT.
    fn end(&self, text: &str, item: &str) -> Result<u64, CronError> {
        match self.value(text, item)? {
            0 if self.last == 7 && number(text).is_none() => Ok(7),
            value => Ok(value),
        }
    }

    fn value(&self, text: &str, item: &str) -> Result<u64, CronError> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let value = match named {
            Some(position) => u64::try_from(position).ok().map(|position| self.first + position),
            None => number(text),
        };
        value
            .filter(|value| (self.first..=self.last).contains(value))
            .ok_or_else(|| self.wrong(item, &format!("must be from {} to {}", self.first, self.last)))
    }

    fn wrong(&self, item: &str, rule: &str) -> CronError {
        CronError(format!("{}: {item:?}: {rule}", self.name))
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

const fn has(bits: u64, value: u64) -> bool {
    bits & (1 << value) != 0
}

/// Month and day of the month, both from 1, of the Gregorian calendar. Years are counted from March, so that a leap day is the last
/// of its year, and 400 years are a whole number of days.
pub(super) const fn month_and_day(since_1970: u64) -> (u64, u64) {
    // Days from the 1st of March of the year 0.
    let of_era = (since_1970 % 146_097 + 719_468) % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (month, day)
}
