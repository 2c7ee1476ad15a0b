//! The spellings of a time: `today`, `7d`, `<30d`, `2026-11-01`, `>=2026-11-01`, `2026-11-01..2026-11-05`. Days are those of the zone of `now`.

use chrono::{
    DateTime, Datelike as _, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc,
};

use super::When;
use crate::{message::Timestamp, suggest::did_you_mean};

const RIGHT: &str = "write today, month, year, an age such as 7d or >12h, a day, or a comparison with one such as >=2026-11-01";

/// The years that RFC 3339 can write: a time in another one could not be told and read again.
const YEARS: std::ops::RangeInclusive<i32> = 0..=9999;

/// Splits `>=` and its like off the front.
pub(super) fn comparison(text: &str) -> (&'static str, &str) {
    for sign in [">=", "<=", ">", "<", "="] {
        if let Some(rest) = text.strip_prefix(sign) {
            return (sign, rest);
        }
    }
    ("", text)
}

/// Reads one value. `never`: whether it may be without a time, so that `none` and `yes` mean something.
pub(super) fn parse<Tz: TimeZone>(
    text: &str,
    never: bool,
    now: &DateTime<Tz>,
) -> Result<When, String> {
    let wrong = || {
        let more = if never { ", none or yes" } else { "" };
        let words = ["today", "month", "year", "none", "yes"];
        let near = match now.date_naive().pred_opt() {
            Some(day) if text.eq_ignore_ascii_case("yesterday") => format!("; that day was {day}"),
            _ => did_you_mean(text, words.into_iter().take(if never { 5 } else { 3 })),
        };
        format!("`{text}` is no time{near} ({RIGHT}{more})")
    };
    let zone = now.timezone();
    let today = now.date_naive();
    let lower = text.to_lowercase();
    let span = match lower.as_str() {
        "none" if never => return Ok(When::Never),
        "yes" if never => return Ok(When::Any),
        "none" | "yes" => return Err(format!("every receiver has this time: {RIGHT}")),
        "today" => day_span(today),
        "month" => month_span(today),
        "year" => year_span(today),
        _ => match text.split_once("..") {
            Some((from, until)) => {
                let (from, _) = point(from, &zone).ok_or_else(wrong)?;
                let until = match instant(until) {
                    Some(until) => until,
                    None => point(until, &zone).ok_or_else(wrong)?.1,
                };
                if until < from {
                    return Err(format!("`{text}` ends before it begins"));
                }
                return Ok(When::Between(Some(from), Some(until)));
            }
            None => return compared(text, now).ok_or_else(wrong),
        },
    };
    let (from, until) = span.ok_or_else(wrong)?;
    between(from, until, &zone)
        .map(|(from, until)| When::Between(Some(from), Some(until)))
        .ok_or_else(wrong)
}

fn compared<Tz: TimeZone>(text: &str, now: &DateTime<Tz>) -> Option<When> {
    let (sign, rest) = comparison(text);
    if let Some(age) = age(rest) {
        let then = now.clone().checked_sub_signed(age)?;
        let then = told(then.with_timezone(&Utc))?;
        return Some(match sign {
            // Younger than that; a bare age means "within the last …".
            "" | "=" | "<" | "<=" => When::Between(Some(then), None),
            _ => When::Between(None, Some(then)),
        });
    }
    let (begin, end) = point(rest, &now.timezone())?;
    Some(match sign {
        "" | "=" => When::Between(Some(begin), Some(end)),
        ">=" => When::Between(Some(begin), None),
        ">" => When::Between(Some(end), None),
        "<=" => When::Between(None, Some(end)),
        _ => When::Between(None, Some(begin)),
    })
}

/// `30d`: a number and one of `s`, `m`, `h`, `d`, `w`, `y`.
fn age(text: &str) -> Option<TimeDelta> {
    let unit = text.chars().last()?;
    let number = text.strip_suffix(unit)?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        'y' => 365 * 24 * 60 * 60,
        _ => return None,
    };
    let age = TimeDelta::try_seconds(number.parse::<i64>().ok()?.checked_mul(seconds)?)?;
    (age <= TimeDelta::days(1000 * 365)).then_some(age)
}

/// RFC 3339.
fn instant(text: &str) -> Option<Timestamp> {
    told(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc))
}

/// An instant that can be written and read again.
fn told(instant: Timestamp) -> Option<Timestamp> {
    YEARS.contains(&instant.year()).then_some(instant)
}

/// A year, a month, a day, or an instant (RFC 3339), as its first moment and the first moment after it.
fn point<Tz: TimeZone>(text: &str, zone: &Tz) -> Option<(Timestamp, Timestamp)> {
    if let Some(instant) = instant(text) {
        let after = instant.checked_add_signed(TimeDelta::nanoseconds(1))?;
        return Some((instant, told(after)?));
    }
    let numbers: Vec<u32> = text
        .split('-')
        .zip([4, 2, 2])
        .map(|(part, length)| {
            let sound = part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
            sound.then(|| part.parse().ok()).flatten()
        })
        .collect::<Option<_>>()?;
    let date =
        |year: u32, month, day| NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day);
    let (from, until) = match (numbers.as_slice(), text.len()) {
        (&[year], 4) => year_span(date(year, 1, 1)?)?,
        (&[year, month], 7) => month_span(date(year, month, 1)?)?,
        (&[year, month, day], 10) => day_span(date(year, month, day)?)?,
        _ => return None,
    };
    between(from, until, zone)
}

fn day_span(day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    Some((day, day.checked_add_days(Days::new(1))?))
}

fn month_span(day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    let first = day.with_day(1)?;
    Some((first, first.checked_add_months(Months::new(1))?))
}

fn year_span(day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    let first = NaiveDate::from_ymd_opt(day.year(), 1, 1)?;
    Some((first, first.checked_add_months(Months::new(12))?))
}

fn between<Tz: TimeZone>(
    from: NaiveDate,
    until: NaiveDate,
    zone: &Tz,
) -> Option<(Timestamp, Timestamp)> {
    Some((begin_of(from, zone)?, begin_of(until, zone)?))
}

/// The first moment of a day: midnight, or when the clocks skip midnight the first quarter of an hour that exists.
fn begin_of<Tz: TimeZone>(day: NaiveDate, zone: &Tz) -> Option<Timestamp> {
    let midnight = day.and_time(NaiveTime::MIN);
    (0..24 * 4)
        .filter_map(|quarters| midnight.checked_add_signed(TimeDelta::minutes(15 * quarters)))
        .find_map(|local| zone.from_local_datetime(&local).earliest())
        .and_then(|begin| told(begin.with_timezone(&Utc)))
}
