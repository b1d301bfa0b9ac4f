//! How long something lives, from whatever a service says about it.
//!
//! RFC 6749 §5.1 has `expires_in`, a number of seconds. Services have it as a text, in fractions,
//! in milliseconds, as a point in time, or only under another name. The rule:
//!
//! - `expires_in` counts if it can be read; else the first of the other members that can.
//! - A number below 10⁹ is a lifetime in seconds (10⁹ s are 31 years). One below 10¹¹ is a point in
//!   time in seconds since 1970, one below 10¹⁴ in milliseconds. In `expires_in`, a point that is
//!   more than a day in the past is taken for a lifetime after all, and so are larger numbers.
//! - A text is a number, or a date of RFC 3339 (without a zone: UTC) or of RFC 9110 §5.6.7.
//! - A point in time is compared with the `Date` of the same answer, so that the clocks of the two
//!   hosts do not matter, and with the time of the request where there is none. One that is over
//!   leaves a second.
//! - Zero, negative and unreadable values say nothing: a service that says 0 means no end.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value;

/// How long something lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Seconds(u64),
    Until(SystemTime),
    /// A number of seconds where a lifetime is expected, large enough to be a point in time.
    Either(u64, SystemTime),
}

impl Lifetime {
    /// The value of `expires_in`; `divisor` is how many of its units make a second.
    pub(crate) fn expected(value: &Value, divisor: u64) -> Option<Self> {
        let Some(number) = seconds(value, divisor) else { return date(value) };
        Some(point(number).map_or(Self::Seconds(number), |at| Self::Either(number, at)))
    }

    /// The value of a member that is meant to be a point in time.
    pub(crate) fn point(value: &Value) -> Option<Self> {
        let Some(number) = seconds(value, 1) else { return date(value) };
        Some(point(number).map_or(Self::Seconds(number), Self::Until))
    }

    /// What is left of it, seen from `now` on the clock of the service.
    pub(crate) fn left(self, now: SystemTime) -> Duration {
        let until = |at: SystemTime| at.duration_since(now).unwrap_or_default().max(SHORTEST);
        match self {
            Self::Seconds(number) => Duration::from_secs(number),
            Self::Until(at) => until(at),
            Self::Either(_, at) if at.checked_add(DAY).is_some_and(|end| end > now) => until(at),
            Self::Either(number, _) => Duration::from_secs(number),
        }
    }
}

/// A lifetime in whole seconds. Zero, negative and unreadable ones are unknown.
pub(crate) fn seconds(value: &Value, divisor: u64) -> Option<u64> {
    let (whole, fraction) = match value {
        Value::Number(number) => (number.as_u64(), number.as_f64()),
        Value::String(text) => (text.trim().parse().ok(), text.trim().parse().ok()),
        _ => (None, None),
    };
    if let Some(whole) = whole {
        return (whole > 0).then(|| (whole / divisor).max(1));
    }
    let fraction = fraction.filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)?;
    Some((fraction as u64 / divisor).max(1)) // the conversion stops at the ends of its range
}

fn point(number: u64) -> Option<SystemTime> {
    let since = match number {
        FIRST_POINT..FIRST_MILLIS => Duration::from_secs(number),
        FIRST_MILLIS..FIRST_NONSENSE => Duration::from_millis(number),
        _ => return None,
    };
    SystemTime::UNIX_EPOCH.checked_add(since)
}

fn date(value: &Value) -> Option<Lifetime> {
    let text = value.as_str()?.trim();
    let with_zone = DateTime::parse_from_rfc3339(text).ok().map(|date| date.to_utc());
    let in_utc = || ZONELESS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let at = match with_zone.or_else(|| in_utc().map(|date| date.and_utc())) {
        Some(date) => SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(u64::try_from(date.timestamp()).ok()?))?,
        None => httpdate::parse_http_date(text).ok()?,
    };
    Some(Lifetime::Until(at))
}

/// Forms of dates that say no zone.
const ZONELESS: &[&str] = &["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
const FIRST_POINT: u64 = 1_000_000_000; // seconds: 2001
const FIRST_MILLIS: u64 = 100_000_000_000; // milliseconds: 1973
const FIRST_NONSENSE: u64 = 100_000_000_000_000; // milliseconds: 5138
const SHORTEST: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_893_456_000; // 2030-01-01

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn left(lifetime: Option<Lifetime>) -> Option<u64> {
        lifetime.map(|lifetime| lifetime.left(now()).as_secs())
    }

    #[test]
    fn a_point_in_time_is_told_from_a_lifetime_by_its_size() {
        let table = [
            ("3600", Some(3_600)),
            ("999999999", Some(999_999_999)),
            ("1893459600", Some(3_600)),
            ("\"1893459600\"", Some(3_600)),
            ("1893459600.7", Some(3_600)),
            ("1893459600000", Some(3_600)),
            ("1893455999", Some(1)),
            ("1500000000", Some(1_500_000_000)), // 2017, or 47 years
            ("\"2030-01-01T01:00:00Z\"", Some(3_600)),
            ("\"2030-01-01T02:00:00.5+01:00\"", Some(3_600)),
            ("\"2030-01-01T01:00:00\"", Some(3_600)),
            ("\"2030-01-01 01:00:00\"", Some(3_600)),
            ("\"Tue, 01 Jan 2030 01:00:00 GMT\"", Some(3_600)),
            ("\"soon\"", None),
            ("0", None),
            ("-1893459600", None),
            ("null", None),
        ];
        for (json, seconds) in table {
            let value = serde_json::from_str(json).unwrap();
            assert_eq!(left(Lifetime::expected(&value, 1)), seconds, "{json}");
        }
    }

    #[test]
    fn a_point_that_is_over_leaves_a_second_where_a_point_is_meant() {
        let past = Value::from(1_500_000_000_u64);

        assert_eq!(left(Lifetime::point(&past)), Some(1));
        assert_eq!(left(Lifetime::point(&Value::from("2017-07-14T02:40:00Z"))), Some(1));
        assert_eq!(left(Lifetime::point(&Value::from(3_600))), Some(3_600));
    }

    #[test]
    fn milliseconds_that_are_a_point_in_time_are_one_too() {
        let at = Value::from(1_893_459_600_000_u64);

        assert_eq!(left(Lifetime::expected(&at, 1_000)), Some(3_600));
    }
}
