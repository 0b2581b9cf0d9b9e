//! Converts text and numbers from clients for columns (docs/protocol.md, 14.2).

use std::borrow::Cow;

use chrono::{DateTime, Datelike, NaiveDate, Utc};

use super::{Timestamp, json::Raw};

/// A text field: a string is cleaned, a number or boolean becomes its JSON text, anything else `''`.
#[must_use]
pub fn text(value: Raw<'_>) -> Cow<'_, str> {
    if let Some(string) = value.string() {
        return string;
    }
    if value.number().is_some() || value.boolean().is_some() {
        Cow::Borrowed(value.as_str())
    } else {
        Cow::Borrowed("")
    }
}

/// The first `length` characters, and whether the text was cut.
#[must_use]
pub fn cut(text: Cow<'_, str>, length: usize) -> (String, bool) {
    // A character has at least one byte, so most texts need not be counted.
    if text.len() <= length {
        return (text.into_owned(), false);
    }
    match text.char_indices().nth(length) {
        Some((end, _)) => (text[..end].to_owned(), true),
        None => (text.into_owned(), false),
    }
}

/// A number field: an integer clamped to 0…2^63−1, a float truncated, a numeric string read; anything else is 0.
#[must_use]
pub fn integer(value: Raw<'_>) -> i64 {
    match (value.number(), value.string()) {
        (Some(number), _) => clamp(number),
        (None, Some(string)) => clamp(string.trim()),
        (None, None) => 0,
    }
}

fn clamp(text: &str) -> i64 {
    if let Ok(integer) = text.parse::<i64>() {
        return integer.max(0);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return i64::MAX;
    }
    // `as` saturates, which is the intended clamping.
    #[expect(clippy::cast_possible_truncation, reason = "saturating is the rule")]
    float(text).map_or(0, |float| float.max(0.0) as i64)
}

/// A number field with a fraction: finite and at least 0, anything else is 0.
#[must_use]
pub fn real(value: Raw<'_>) -> f64 {
    let number = match (value.number(), value.string()) {
        (Some(number), _) => float(number),
        (None, Some(string)) => float(string.trim()),
        (None, None) => None,
    };
    // Adding 0.0 turns -0.0 into 0.0.
    number.map_or(0.0, |number| number.max(0.0) + 0.0)
}

/// A finite number in JSON notation; other text that `f64` parses (`inf`, `nan`, `.5`) is not accepted.
fn float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|float: &f64| float.is_finite())
}

/// A date-time with an offset (RFC 3339), in the years 1 to 9999 UTC.
#[must_use]
pub fn moment(text: &str) -> Option<Timestamp> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    // Microseconds are the precision of both stores; this also moves a leap second into the next second.
    let moment = DateTime::<Utc>::from_timestamp_micros(moment.timestamp_micros())?;
    (1..=9999).contains(&moment.year()).then_some(moment)
}

/// A date `YYYY-MM-DD` in the years 1 to 9999.
#[must_use]
pub fn date(value: Raw<'_>) -> Option<NaiveDate> {
    let text = value.string()?;
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let date = shape.then(|| NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()).flatten()?;
    (1..=9999).contains(&date.year()).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json::Entries;

    fn with<T>(value: &str, read: impl Fn(Raw<'_>) -> T) -> T {
        let object = format!("{{\"a\":{value}}}");
        let (_, raw) = Entries::of_object(&object).unwrap().next_entry().unwrap().unwrap();
        read(raw)
    }

    #[test]
    fn texts_are_cleaned() {
        for (value, expected) in [
            (r#""a\n""#, "a\n"),
            ("1.50", "1.50"),
            ("true", "true"),
            ("null", ""),
            ("NaN", ""),
            ("-Infinity", ""),
            ("[1]", ""),
            ("{}", ""),
        ] {
            assert_eq!(with(value, |raw| text(raw).into_owned()), expected, "{value}");
        }
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("abc".into(), 3), ("abc".into(), false));
        assert_eq!(cut("ééé".into(), 3), ("ééé".into(), false));
        assert_eq!(cut("éééé".into(), 3), ("ééé".into(), true));
    }

    #[test]
    fn integers_are_clamped() {
        for (value, expected) in [
            ("7", 7),
            ("-7", 0),
            ("7.9", 7),
            ("-0.5", 0),
            ("1e3", 1000),
            ("1e30", i64::MAX),
            ("1e400", 0),
            ("99999999999999999999999", i64::MAX),
            ("-99999999999999999999999", 0),
            (r#"" 12 ""#, 12),
            (r#""12.7""#, 12),
            (r#""inf""#, 0),
            (r#""NaN""#, 0),
            (r#""+5""#, 5),
            (r#""x""#, 0),
            (r#""""#, 0),
            ("true", 0),
            ("null", 0),
            ("[1]", 0),
        ] {
            assert_eq!(with(value, integer), expected, "{value}");
        }
    }

    #[test]
    fn reals_are_finite_and_not_negative() {
        for (value, expected) in
            [("15.05", 15.05), ("15", 15.0), ("-1", 0.0), ("1e400", 0.0), (r#""2.5""#, 2.5), ("null", 0.0)]
        {
            assert!((with(value, real) - expected).abs() < f64::EPSILON, "{value}");
        }
        assert!(with("-0.0", real).is_sign_positive());
    }

    #[test]
    fn moments_need_an_offset_and_a_year_in_range() {
        let utc = |text: &str| moment(text).map(|moment| moment.to_rfc3339());
        assert_eq!(utc("2024-05-27T16:19:17.584-03:30").as_deref(), Some("2024-05-27T19:49:17.584+00:00"));
        assert_eq!(utc("2024-05-27T16:19:17Z").as_deref(), Some("2024-05-27T16:19:17+00:00"));
        for text in [
            "",
            "yesterday",
            "2024-05-27",
            "2024-05-27T16:19:17",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-01:00",
            "10000-01-01T00:00:00Z",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
        assert_eq!(utc("2016-12-31T23:59:60Z").as_deref(), Some("2017-01-01T00:00:00+00:00"));
    }

    #[test]
    fn dates_need_a_year_in_range() {
        assert_eq!(with(r#""2024-02-29""#, date), NaiveDate::from_ymd_opt(2024, 2, 29));
        for value in [
            r#""2023-02-29""#,
            r#""2024-2-29""#,
            r#""2024-02-29T00:00""#,
            r#""0000-01-01""#,
            "20240229",
            "null",
            r#""+024-01-01""#,
        ] {
            assert_eq!(with(value, date), None, "{value}");
        }
    }
}
