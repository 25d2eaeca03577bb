//! JSON numbers, read in one pass: most are exact without a second look at their digits.

use super::{Scanner, SyntaxError};

/// A number as it stands in the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a> {
    text: &'a [u8],
    negative: bool,
    /// The digits without point and exponent, if `digits` fit.
    mantissa: u64,
    /// The value is `mantissa * 10^exponent`.
    exponent: i64,
    digits: usize,
    integer: bool,
}

/// The powers of ten that a float64 holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// So many digits always fit into a `u64`.
const MOST_DIGITS: usize = 19;

impl<'a> Number<'a> {
    pub(crate) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Whether it is written without point and exponent.
    pub(crate) fn is_integer(&self) -> bool {
        self.integer
    }

    /// The nearest float64; infinite if the number is out of range.
    #[inline]
    pub(crate) fn to_f64(self) -> f64 {
        // Clinger's fast path: both factors are exact, so one rounding gives the nearest float.
        if self.digits <= MOST_DIGITS && self.mantissa <= 1 << 53 && self.exponent.abs() <= 22 {
            let power = EXACT_POWERS[self.exponent.unsigned_abs() as usize];
            let mantissa = self.mantissa as f64;
            let value = if self.exponent < 0 { mantissa / power } else { mantissa * power };
            return if self.negative { -value } else { value };
        }
        parse_f64(self.text).unwrap_or(f64::INFINITY)
    }

    /// The float64 as a float32; infinite if the number is out of range.
    #[inline]
    pub(crate) fn to_f32(self) -> f32 {
        if self.digits > MOST_DIGITS || self.exponent.abs() > 22 {
            return self.to_f64() as f32;
        }
        // Two roundings: at most two units away from the nearest float64.
        let power = EXACT_POWERS[self.exponent.unsigned_abs() as usize];
        let mantissa = self.mantissa as f64;
        let near = if self.exponent < 0 { mantissa / power } else { mantissa * power };
        // The bits that a float32 drops. Unless they are about half of its last one, or it has no
        // such exponent, the neighbours of `near` have the same float32.
        let dropped = near.to_bits() & 0x1FFF_FFFF;
        let is_safe = dropped.abs_diff(0x1000_0000) > 8 && (1e-37..1e38).contains(&near);
        if !is_safe {
            return self.to_f64() as f32;
        }
        let value = near as f32;
        if self.negative { -value } else { value }
    }

    /// The value, if it is a whole number in range, however it is written (`3`, `3.0`, `3e2`).
    pub(crate) fn to_i128(self) -> Option<i128> {
        if self.digits > MOST_DIGITS {
            let text = std::str::from_utf8(self.text).ok()?;
            return if self.integer { text.parse().ok() } else { whole(self.to_f64()) };
        }
        let magnitude = i128::from(self.mantissa);
        let value = if magnitude == 0 {
            0
        } else if self.exponent >= 0 {
            let power = 10_i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
            magnitude.checked_mul(power)?
        } else {
            let power = 10_i128.checked_pow(u32::try_from(-self.exponent).ok()?)?;
            if magnitude % power != 0 {
                return None;
            }
            magnitude / power
        };
        Some(if self.negative { -value } else { value })
    }
}

/// The number that eight ASCII digits, the first in the lowest byte, stand for.
#[inline]
fn eight_digits(text: u64) -> Option<u64> {
    let values = text.wrapping_sub(0x3030_3030_3030_3030);
    let is_digits =
        (values | text.wrapping_add(0x4646_4646_4646_4646)) & 0x8080_8080_8080_8080 == 0;
    // Pairs, then fours, then all eight.
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    let eight = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF;
    is_digits.then_some(eight)
}

/// A float without a fraction, as an integer.
fn whole(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() < 1e30).then_some(value as i128)
}

/// What Rust reads as a float: also `.5`, `+1`, `NaN`, `inf`.
pub(crate) fn parse_f64(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl<'a> Scanner<'a> {
    /// Takes a number.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Number<'a>, SyntaxError> {
        self.peek();
        let start = self.at;
        let negative = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let whole_from = self.at;
        let mut mantissa = self.digits(0)?;
        let mut digits = self.at - whole_from;
        if digits > 1 && self.bytes[whole_from] == b'0' {
            self.at = whole_from + 1;
            return Err(self.error("expected a number without leading zeros"));
        }
        let (mut exponent, mut integer) = (0, true);
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            integer = false;
            let from = self.at;
            mantissa = self.digits(mantissa)?;
            digits += self.at - from;
            exponent = -((self.at - from) as i64);
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            integer = false;
            exponent += self.exponent()?;
        }
        Ok(Number { text: self.since(start), negative, mantissa, exponent, digits, integer })
    }

    /// Takes one or more digits and adds them to the mantissa, which wraps around if they are many.
    #[inline]
    fn digits(&mut self, mut mantissa: u64) -> Result<u64, SyntaxError> {
        let rest = &self.bytes[self.at..];
        let mut taken = 0;
        while let Some(chunk) = rest[taken..].first_chunk::<8>()
            && let Some(eight) = eight_digits(u64::from_le_bytes(*chunk))
        {
            mantissa = mantissa.wrapping_mul(100_000_000).wrapping_add(eight);
            taken += 8;
        }
        while let Some(digit @ b'0'..=b'9') = rest.get(taken) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            taken += 1;
        }
        self.at += taken;
        if taken == 0 { Err(self.error("expected a digit")) } else { Ok(mantissa) }
    }

    /// Takes what follows `e`.
    fn exponent(&mut self) -> Result<i64, SyntaxError> {
        let sign = self.bytes.get(self.at).copied();
        self.at += usize::from(matches!(sign, Some(b'+' | b'-')));
        let from = self.at;
        let mut exponent = 0_i64;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            // Beyond this, only zero and infinity are left.
            exponent = (exponent * 10 + i64::from(digit - b'0')).min(1 << 40);
            self.at += 1;
        }
        if self.at == from {
            return Err(self.error("expected a digit"));
        }
        Ok(if sign == Some(b'-') { -exponent } else { exponent })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number<'_> {
        Scanner::new(text.as_bytes()).number().expect(text)
    }

    #[test]
    fn whole_numbers_are_found_however_written() {
        assert_eq!(number("3").to_i128(), Some(3));
        assert_eq!(number("-3.0").to_i128(), Some(-3));
        assert_eq!(number("2.5e3").to_i128(), Some(2500));
        assert_eq!(number("2.5").to_i128(), None);
        assert_eq!(number("0e99999999999").to_i128(), Some(0));
        assert_eq!(number("1e99999999999").to_i128(), None);
        assert_eq!(number("18446744073709551615").to_i128(), Some(i128::from(u64::MAX)));
        assert_eq!(number("100000000000000000000.5").to_i128(), Some(100_000_000_000_000_000_000));
    }

    #[test]
    fn floats_out_of_range_are_infinite() {
        assert!(number("1e999").to_f64().is_infinite());
        assert!(number("1e-999").to_f64().abs() < f64::MIN_POSITIVE);
        assert!(number("-0.0").to_f64().is_sign_negative());
    }

    proptest! {
        #[test]
        fn floats_are_the_nearest(text in "-?(0|[1-9][0-9]{0,21})(\\.[0-9]{1,21})?([eE][+-]?[0-9]{1,3})?") {
            let expected: f64 = text.parse().expect("a float");
            prop_assert_eq!(number(&text).to_f64().to_bits(), expected.to_bits());
            prop_assert_eq!(number(&text).to_f32().to_bits(), (expected as f32).to_bits());
        }

        #[test]
        fn float32s_round_from_the_float64(single in any::<f32>(), step in -3_i64..=3) {
            prop_assume!(single.is_finite());
            // About halfway to the next float32, where rounding is at its hardest.
            let half = f64::from(single).to_bits().wrapping_add(0x1000_0000).wrapping_add_signed(step);
            for value in [f64::from_bits(half), f64::from(single)] {
                let text = format!("{value:?}");
                prop_assert_eq!(number(&text).to_f32().to_bits(), (value as f32).to_bits(), "{}", text);
            }
        }

        #[test]
        fn digits_are_read_eight_at_once(text in "[0-9]{8}", other in any::<[u8; 8]>()) {
            let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            prop_assert_eq!(eight_digits(word(text.as_bytes())), text.parse().ok());
            let digits = other.iter().all(u8::is_ascii_digit);
            prop_assert_eq!(eight_digits(word(&other)).is_some(), digits);
        }

        #[test]
        fn any_float_reads_back(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            let text = serde_json::to_string(&value).expect("JSON");
            prop_assert_eq!(number(&text).to_f64().to_bits(), value.to_bits());
        }
    }
}
