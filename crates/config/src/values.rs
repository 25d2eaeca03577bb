//! Kinds of values, and how each is read.

use std::{fmt::Display, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use bessemer_domain::{ByteSize, FailureClass, JobKind};
use glob::Pattern;
use toml::de::DeValue;

/// A value that a setting can have.
pub(crate) trait Setting: Sized {
    /// Reads it, or says what it has to be.
    fn read(value: &DeValue<'_>) -> Result<Self, String>;
}

impl Setting for bool {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| wrong(value, "`true` or `false`"))
    }
}

impl Setting for String {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_str().map(str::to_owned).ok_or_else(|| wrong(value, "a text in quotes"))
    }
}

impl Setting for PathBuf {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = String::read(value)?;
        if text.is_empty() { Err("is empty".to_owned()) } else { Ok(Self::from(text)) }
    }
}

macro_rules! whole_numbers {
    ($($name:ty),*) => {$(
        impl Setting for $name {
            fn read(value: &DeValue<'_>) -> Result<Self, String> {
                let wanted = || wrong(value, &format!("a whole number from {} on", Self::MIN));
                let number = value.as_integer().ok_or_else(wanted)?;
                Self::from_str_radix(number.as_str(), number.radix()).map_err(|_| wanted())
            }
        }
    )*};
}
whole_numbers!(u32, u64, i32);

impl Setting for f64 {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = match value {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) => number.as_str(),
            other => return Err(wrong(other, "a number")),
        };
        let number: Option<f64> = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| wrong(value, "a number"))
    }
}

impl Setting for Duration {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = value.as_str().ok_or_else(|| wrong(value, "a time such as `\"90s\"`"))?;
        duration(text).ok_or_else(|| {
            format!("`{text}` is not a time; write a number with ms, s, m, h or d, such as `90s`")
        })
    }
}

macro_rules! parsed {
    ($($name:ty),*) => {$(
        impl Setting for $name {
            fn read(value: &DeValue<'_>) -> Result<Self, String> {
                parse(value)
            }
        }
    )*};
}
parsed!(JobKind, FailureClass);

impl Setting for ByteSize {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        match value.as_integer() {
            Some(_) => u64::read(value).map(Self),
            None => parse(value),
        }
    }
}

impl Setting for SocketAddr {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = String::read(value)?;
        let wrong = |_| format!("`{text}` is not an address and a port, such as `127.0.0.1:1856`");
        text.parse().map_err(wrong)
    }
}

impl Setting for Pattern {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = String::read(value)?;
        Self::new(&text).map_err(|error| format!("`{text}` is not a pattern: {error}"))
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let values = value.as_array().ok_or_else(|| wrong(value, "a list in `[` and `]`"))?;
        values.iter().map(|value| T::read(value.get_ref())).collect()
    }
}

/// A text that has a form.
pub(crate) fn parse<T: FromStr<Err: Display>>(value: &DeValue<'_>) -> Result<T, String> {
    String::read(value)?.parse().map_err(|error: T::Err| error.to_string())
}

fn wrong(value: &DeValue<'_>, wanted: &str) -> String {
    let given = match value {
        DeValue::String(text) => format!("`{text}`"),
        DeValue::Integer(number) => format!("`{number}`"),
        DeValue::Float(number) => format!("`{number}`"),
        DeValue::Boolean(truth) => format!("`{truth}`"),
        DeValue::Datetime(instant) => format!("`{instant}`"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    };
    format!("is {given} and has to be {wanted}")
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|sign: char| !sign.is_ascii_digit() && sign != '.')?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1.5 h"), Some(Duration::from_mins(90)));
        assert_eq!(duration("2d"), Some(Duration::from_hours(48)));
        for wrong in ["", "90", "s", "-1s", "1w", "1e3s", "99999999999999999999d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
