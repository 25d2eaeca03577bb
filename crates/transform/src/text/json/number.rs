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
    digits: u32,
    integer: bool,
}

/// The powers of ten that a float64 holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// So many digits always fit into a `u64`.
const MOST_DIGITS: u32 = 19;

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
        let mut number =
            Number { text: &[], negative, mantissa: 0, exponent: 0, digits: 0, integer: true };
        let whole_from = self.at;
        self.digits(&mut number)?;
        if self.at - whole_from > 1 && self.bytes[whole_from] == b'0' {
            self.at = whole_from + 1;
            return Err(self.error("expected a number without leading zeros"));
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            number.integer = false;
            let from = self.at;
            self.digits(&mut number)?;
            number.exponent = -((self.at - from) as i64);
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            number.integer = false;
            number.exponent += self.exponent()?;
        }
        number.text = self.since(start);
        Ok(number)
    }

    /// Takes one or more digits into the mantissa.
    #[inline]
    fn digits(&mut self, number: &mut Number<'a>) -> Result<(), SyntaxError> {
        let from = self.at;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            number.mantissa =
                number.mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            // Leading zeros carry nothing.
            number.digits += u32::from(number.digits > 0 || *digit != b'0');
            self.at += 1;
        }
        if self.at == from { Err(self.error("expected a digit")) } else { Ok(()) }
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
        }

        #[test]
        fn any_float_reads_back(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            let text = serde_json::to_string(&value).expect("JSON");
            prop_assert_eq!(number(&text).to_f64().to_bits(), value.to_bits());
        }
    }
}
