//! `Retry-After` (RFC 9110 §10.2.3): seconds or a date.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// How long the answer asks to wait; `None` if it does not say, or if the time is over. How much of it
/// is believed is decided by what waits: a manager keeps it up to an hour.
///
/// A date is read against the `Date` of the same answer, so that a wrong clock on either side does
/// not matter, and against `now` where there is none.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // A century is more than any limit, and can still be added to a time.
        Duration::from_secs(text.parse().unwrap_or(u32::MAX).into())
    } else {
        let at = httpdate::parse_http_date(text).ok()?;
        let sent = headers.get(DATE).and_then(|date| date.to_str().ok());
        let sent = sent.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
        at.duration_since(sent).ok()?
    };
    Some(wait).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn read(pairs: &[(http::HeaderName, &str)], now: SystemTime) -> Option<Duration> {
        let headers =
            pairs.iter().map(|(name, text)| (name.clone(), text.parse().unwrap())).collect();
        retry_after(&headers, now)
    }

    #[test]
    fn seconds_and_dates_are_understood_and_nonsense_is_no_wish() {
        let table = [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("0", None),
            ("", None),
            ("-5", None),
            ("soon", None),
            ("99999999999999999999999999", Some(u32::MAX.into())),
            ("Thu, 01 Jan 1970 00:03:20 GMT", Some(100)),
            ("Thu, 01 Jan 1970 00:00:20 GMT", None),
        ];
        for (text, seconds) in table {
            let wait = read(&[(RETRY_AFTER, text)], at(100));
            assert_eq!(wait, seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(read(&[], at(100)), None);
    }

    #[test]
    fn a_date_counts_from_the_date_of_the_answer_not_from_a_wrong_clock() {
        let headers = [
            (RETRY_AFTER, "Thu, 01 Jan 1970 00:03:20 GMT"),
            (DATE, "Thu, 01 Jan 1970 00:03:00 GMT"),
        ];

        assert_eq!(read(&headers, at(999_999)), Some(Duration::from_secs(20)));
    }
}
