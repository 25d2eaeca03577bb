//! Durations as ISO 8601 writes them: `P30D`, `PT1H30M`, `P1DT12H`, `P2W`. The SDK's documentation
//! leaves the `P` out at times, and so may others.

/// A duration in milliseconds. A month is 30 days and a year 365.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let rest = text.strip_prefix(['P', 'p']).unwrap_or(text);
    let (days, times) = match rest.split_once(['T', 't']) {
        Some((days, times)) if !times.is_empty() => (days, times),
        Some(_) => return None,
        None => (rest, ""),
    };
    if days.is_empty() && times.is_empty() {
        return None;
    }
    let days =
        sum(days, &[('Y', 365 * 86_400), ('M', 30 * 86_400), ('W', 7 * 86_400), ('D', 86_400)])?;
    let times = sum(times, &[('H', 3_600), ('M', 60), ('S', 1)])?;
    Some((days + times) as u64)
}

/// The sum of numbers with units, in milliseconds.
fn sum(text: &str, units: &[(char, u32)]) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
        let number: f64 = rest[..end].replace(',', ".").parse().ok()?;
        let unit = rest[end..].chars().next()?.to_ascii_uppercase();
        let (_, seconds) = units.iter().find(|(name, _)| *name == unit)?;
        total += number * f64::from(*seconds) * 1_000.0;
        rest = &rest[end + 1..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_iso_has_them() {
        const HOUR: u64 = 3_600_000;
        for (text, expected) in [
            ("P30D", 720 * HOUR),
            ("p30d", 720 * HOUR),
            ("PT1H30M", HOUR * 3 / 2),
            ("P1DT12H", 36 * HOUR),
            ("P2W", 14 * 24 * HOUR),
            ("PT0.5S", 500),
            ("T4m", 240_000),
            ("30d", 720 * HOUR),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for wrong in ["", "P", "PT", "P1H", "PT1D", "PD", "P1", "P-", "PT5"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
