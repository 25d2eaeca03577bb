//! Times on the command line: how long ago, or when.

use chrono::{NaiveDate, NaiveDateTime};

/// Milliseconds since 1970 of `10m`, `2h`, `2026-11-21`, `2026-11-21T17:00[:00][Z]`.
pub(super) fn parse(text: &str, now_millis: u64) -> Result<u64, String> {
    ago(text).map(|ago| now_millis.saturating_sub(ago)).or_else(|| instant(text)).ok_or_else(|| {
        format!("`{text}` is no time: say `30s`, `10m`, `2h`, `3d` or `2026-11-21T17:00` (UTC)")
    })
}

fn ago(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds * 1000)
}

fn instant(text: &str) -> Option<u64> {
    let text = text.trim_end_matches('Z').replace(' ', "T");
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let time = formats.iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok());
    let time =
        time.or_else(|| NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    u64::try_from(time.and_utc().timestamp_millis()).ok()
}

/// An instant for people, in UTC.
pub(super) fn written(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(chrono::DateTime::from_timestamp_millis);
    time.map_or_else(String::new, |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let now = 1_000_000_000;
        assert_eq!(parse("10m", now), Ok(now - 600_000));
        assert_eq!(parse("2d", now), Ok(now - 172_800_000));
        assert_eq!(parse("9999999d", now), Ok(0));
        for same in
            ["1970-01-02", "1970-01-02T00:00", "1970-01-02 00:00:00", "1970-01-02T00:00:00.000Z"]
        {
            assert_eq!(parse(same, now), Ok(86_400_000), "{same}");
        }
        for wrong in ["", "m", "ten", "10", "10w", "1970-13-01", "é"] {
            assert!(parse(wrong, now).unwrap_err().contains(&format!("`{wrong}`")), "{wrong}");
        }
        assert_eq!(written(86_400_005), "1970-01-02T00:00:00.005Z");
    }
}
