//! Timestamps between seconds since 1970 and the forms that protocols have.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde_json::{Number, Value};

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub(crate) enum TimestampFormat {
    /// Seconds since 1970, as a number.
    #[serde(rename = "unixTimestamp")]
    Epoch,
    /// `2015-08-30T12:36:00Z`.
    #[serde(rename = "iso8601")]
    Iso8601,
    /// `Sun, 30 Aug 2015 12:36:00 GMT`.
    #[serde(rename = "rfc822")]
    HttpDate,
}

/// Reads any of the forms, to seconds.
pub(crate) fn parse(text: &str) -> Option<Value> {
    if let Ok(seconds) = text.parse::<f64>() {
        return number(seconds);
    }
    let offset = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text));
    let naive = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok();
    let day = || format!("{text}T00:00:00Z").parse::<DateTime<Utc>>().ok();
    let time = offset.map(|time| time.with_timezone(&Utc)).ok();
    let time = time.or_else(|| naive().map(|naive| naive.and_utc())).or_else(day)?;
    match time.timestamp_subsec_millis() {
        0 => Some(Value::from(time.timestamp())),
        _ => number(time.timestamp_millis() as f64 / 1000.0),
    }
}

/// The instant that `text` names in any of the forms, in seconds since 1970.
pub fn timestamp_seconds(text: &str) -> Option<f64> {
    parse(text)?.as_f64()
}

fn number(seconds: f64) -> Option<Value> {
    if seconds.fract() == 0.0 && seconds.abs() < 9.0e15 {
        return Some(Value::from(seconds as i64));
    }
    Number::from_f64(seconds).map(Value::Number)
}

/// Writes `seconds` as text; `None` if no calendar has them.
pub(crate) fn text(seconds: f64, format: TimestampFormat) -> Option<String> {
    let time = DateTime::<Utc>::from_timestamp_millis((seconds * 1000.0).round() as i64)?;
    Some(match format {
        TimestampFormat::Epoch => Value::from(seconds).to_string(),
        TimestampFormat::HttpDate => time.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        TimestampFormat::Iso8601 => {
            let whole = time.timestamp_subsec_millis() == 0;
            let precision = if whole { SecondsFormat::Secs } else { SecondsFormat::Millis };
            time.to_rfc3339_opts(precision, true)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        for (text, seconds) in [
            ("1440938160", 1_440_938_160.0),
            ("1440938160.5", 1_440_938_160.5),
            ("2015-08-30T12:36:00Z", 1_440_938_160.0),
            ("2015-08-30T14:36:00.500+02:00", 1_440_938_160.5),
            ("2015-08-30T12:36:00", 1_440_938_160.0),
            ("2015-08-30", 1_440_892_800.0),
            ("Sun, 30 Aug 2015 12:36:00 GMT", 1_440_938_160.0),
        ] {
            assert_eq!(parse(text).and_then(|value| value.as_f64()), Some(seconds), "{text}");
        }
        for wrong in ["", "yesterday", "2015-13-01", "NaN", "inf"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_form_is_written() {
        let seconds = 1_440_938_160.5;
        let iso = text(seconds, TimestampFormat::Iso8601);
        assert_eq!(iso.as_deref(), Some("2015-08-30T12:36:00.500Z"));
        let http = text(seconds, TimestampFormat::HttpDate);
        assert_eq!(http.as_deref(), Some("Sun, 30 Aug 2015 12:36:00 GMT"));
        assert_eq!(text(seconds, TimestampFormat::Epoch).as_deref(), Some("1440938160.5"));
        assert_eq!(text(1.0e300, TimestampFormat::Iso8601), None);
    }
}
