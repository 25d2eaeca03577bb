//! Sizes in bytes, as people write them.

use std::{fmt, str::FromStr};

/// A number of bytes. Written `64MiB` (1,048,576 bytes each), `6MB` (1,000,000 each) or plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// A size that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size; write a number with B, KB, MB, GB, KiB, MiB or GiB, such as `64MiB`")]
pub struct ParseByteSizeError(String);

const UNITS: [(&str, u64); 13] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("b", 1),
];

impl FromStr for ByteSize {
    type Err = ParseByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseByteSizeError(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(suffix, unit)| lower.strip_suffix(suffix).map(|digits| (digits, *unit)))
            .unwrap_or((lower.as_str(), 1));
        let digits = digits.trim();
        if let Ok(whole) = digits.parse::<u64>() {
            return whole.checked_mul(unit).map(ByteSize).ok_or_else(refuse);
        }
        let number: f64 = digits.parse().map_err(|_| refuse())?;
        let bytes = number * unit as f64;
        if !bytes.is_finite() || bytes < 0.0 || bytes > u64::MAX as f64 {
            return Err(refuse());
        }
        Ok(ByteSize(bytes as u64))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        let (scaled, unit) = match self.0 {
            0..1_000 => return write!(f, "{} B", self.0),
            1_000..1_000_000 => (bytes / 1e3, "KB"),
            1_000_000..1_000_000_000 => (bytes / 1e6, "MB"),
            _ => (bytes / 1e9, "GB"),
        };
        if scaled < 10.0 {
            write!(f, "{scaled:.1} {unit}")
        } else {
            write!(f, "{scaled:.0} {unit}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!("6MB".parse(), Ok(ByteSize(6_000_000)));
        assert_eq!("64 MiB".parse(), Ok(ByteSize(64 << 20)));
        assert_eq!("1.5gb".parse(), Ok(ByteSize(1_500_000_000)));
        assert_eq!("512".parse(), Ok(ByteSize(512)));
        assert_eq!("2g".parse(), Ok(ByteSize(2 << 30)));
        for wrong in ["", "MB", "-1MB", "1XB", "nan", "99999999999999999999TB"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_shown_with_two_digits_or_more() {
        assert_eq!(ByteSize(999).to_string(), "999 B");
        assert_eq!(ByteSize(1_500_000).to_string(), "1.5 MB");
        assert_eq!(ByteSize(123_000_000).to_string(), "123 MB");
    }
}
