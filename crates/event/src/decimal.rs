//! Numbers by their exact decimal value.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::ParseError;

/// A decimal number of any size. `300`, `300.0` and `3e2` are equal; `-0` equals `0`; nothing is
/// rounded.
///
/// An exponent beyond ±10^15 counts as ±10^15: no real event has one, and it keeps every comparison
/// cheap.
///
/// ```
/// use reflexarc_event::Decimal;
///
/// assert_eq!("300".parse::<Decimal>()?, "3e2".parse()?);
/// let larger: Decimal = "9007199254740993".parse()?;
/// assert!(larger > "9007199254740992".parse()?);
/// # Ok::<(), reflexarc_event::ParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Decimal {
    text: Box<str>,
    /// See [`Decimal::write_sort_key`]; equality, order and hash are those of these bytes.
    sort_key: Box<[u8]>,
}

/// Exponents beyond this power of ten are taken as this one.
const MAX_MAGNITUDE: i64 = 1_000_000_000_000_000;

// The first byte of a sort key.
const NEGATIVE: u8 = 0;
const ZERO: u8 = 1;
const POSITIVE: u8 = 2;
/// Where the digits begin in the sort key of a number that is not zero: after the sign and the
/// magnitude.
const DIGITS: usize = 1 + size_of::<i64>();
/// Ends the key of a negative number; above every inverted digit, of which the largest is `!1`.
const NEGATIVE_END: u8 = 0xff;

impl Decimal {
    /// Appends bytes whose order is the order of the numbers, and which are equal if and only if
    /// the numbers are; so an index can compare, hash and search numbers without arithmetic. `text`
    /// must be a valid JSON number.
    // A number is 0.d1d2d3… × 10^magnitude. The key is the sign, then for anything but zero the
    // magnitude (big-endian, shifted to be positive) and one byte for each significant digit:
    //
    //     -25     0  !(magnitude 2)  !3 !6  255
    //       0     1
    //     2.5     2   magnitude 1     3  6
    //      25     2   magnitude 2     3  6
    //
    // Digits are stored plus one, so that a number sorts before a longer one that begins alike.
    // Negative numbers have every byte inverted and a last byte above all others: more digits
    // mean less.
    #[inline]
    pub fn write_sort_key(text: &[u8], out: &mut Vec<u8>) {
        let (negative, unsigned) = text
            .strip_prefix(b"-")
            .map_or((false, text), |rest| (true, rest));
        let exponent_mark = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, exponent) = match exponent_mark {
            Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..])),
            None => (unsigned, 0),
        };
        let whole = mantissa
            .iter()
            .position(|&byte| byte == b'.')
            .unwrap_or(mantissa.len());
        let zero_or_dot = |byte: &&u8| matches!(byte, b'0' | b'.');
        let leading = mantissa.iter().take_while(zero_or_dot).count();
        let trailing = mantissa[leading..]
            .iter()
            .rev()
            .take_while(zero_or_dot)
            .count();
        let significant = &mantissa[leading..mantissa.len() - trailing];
        if significant.is_empty() {
            out.push(ZERO);
            return;
        }
        // `leading` counts the dot if the first digit is after it: "0.05" has leading 3 and
        // whole 1, and is 0.5 × 10^-1.
        let shift = if leading > whole {
            -saturated(leading - whole - 1)
        } else {
            saturated(whole - leading)
        };
        let magnitude = (exponent + shift).clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE);
        let inverted = if negative { 0xff } else { 0 };
        out.push(if negative { NEGATIVE } else { POSITIVE });
        out.extend(
            (magnitude + MAX_MAGNITUDE)
                .to_be_bytes()
                .map(|byte| byte ^ inverted),
        );
        out.extend(
            significant
                .iter()
                .filter(|&&byte| byte != b'.')
                .map(|byte| (byte - b'0' + 1) ^ inverted),
        );
        if negative {
            out.push(NEGATIVE_END);
        }
    }

    /// The text that was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is less than zero.
    pub fn is_negative(&self) -> bool {
        self.sort_key[0] == NEGATIVE
    }

    /// The significant digits (values 0–9, without leading or trailing zeros) and the magnitude:
    /// the absolute value is `0.d1d2d3… × 10^magnitude`. Zero has no digits and magnitude 0. Equal
    /// numbers have equal parts.
    ///
    /// ```
    /// use reflexarc_event::Decimal;
    ///
    /// // -25 is -0.25 × 10².
    /// let number: Decimal = "-25.0".parse()?;
    /// assert_eq!(number.parts(), (vec![2, 5], 2));
    /// assert!(number.is_negative());
    /// # Ok::<(), reflexarc_event::ParseError>(())
    /// ```
    pub fn parts(&self) -> (Vec<u8>, i64) {
        let Some((magnitude, digits)) = self.sort_key[1..].split_first_chunk() else {
            return (Vec::new(), 0);
        };
        let (digits, inverted) = match digits.split_last() {
            Some((_, digits)) if self.is_negative() => (digits, 0xff),
            _ => (digits, 0),
        };
        let magnitude = i64::from_be_bytes(magnitude.map(|byte| byte ^ inverted));
        let digits = digits.iter().map(|byte| (byte ^ inverted) - 1);
        (digits.collect(), magnitude - MAX_MAGNITUDE)
    }

    /// Whether a double has exactly this value: the shortest decimal of the nearest double is this
    /// number.
    ///
    /// ```
    /// use reflexarc_event::Decimal;
    ///
    /// assert!("0.1".parse::<Decimal>()?.fits_double());
    /// assert!(!"9007199254740993".parse::<Decimal>()?.fits_double());
    /// # Ok::<(), reflexarc_event::ParseError>(())
    /// ```
    pub fn fits_double(&self) -> bool {
        let nearest: f64 = self.text.parse().unwrap_or(f64::NAN);
        nearest.is_finite()
            && format!("{nearest:e}")
                .parse::<Self>()
                .is_ok_and(|exact| exact == *self)
    }
}

/// Parses the text of a JSON number.
impl FromStr for Decimal {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if !is_json_number(text) {
            return Err(ParseError::new(
                "number",
                "a JSON number, such as -2.5e3",
                text,
            ));
        }
        let mut sort_key = Vec::with_capacity(DIGITS + text.len() + 1);
        Self::write_sort_key(text.as_bytes(), &mut sort_key);
        Ok(Self {
            text: text.into(),
            sort_key: sort_key.into(),
        })
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sort_key.cmp(&other.sort_key)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.sort_key == other.sort_key
    }
}

impl Eq for Decimal {}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sort_key.hash(state);
    }
}

/// The text that was parsed.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['-', '+']).unwrap_or(text)))
}

fn parse_exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    let size = digits.iter().fold(0i64, |sum, digit| {
        (sum * 10 + i64::from(digit - b'0')).min(MAX_MAGNITUDE)
    });
    if negative { -size } else { size }
}

fn saturated(digits: usize) -> i64 {
    i64::try_from(digits)
        .unwrap_or(MAX_MAGNITUDE)
        .min(MAX_MAGNITUDE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal {
        text.parse()
            .unwrap_or_else(|_| panic!("{text} is a number"))
    }

    #[test]
    fn spellings_of_one_value_are_equal() {
        for spelling in ["300", "300.0", "3e2", "3.0E+2", "0.3e3", "3000e-1"] {
            assert_eq!(number(spelling), number("300"), "{spelling}");
            assert_eq!(
                number(spelling).parts(),
                number("300").parts(),
                "{spelling}"
            );
            assert_eq!(number(spelling).as_str(), spelling);
        }
        for zero in ["0", "-0", "0.0", "-0e5", "0e-999999999999999999999"] {
            assert_eq!(number(zero), number("0"), "{zero}");
        }
    }

    #[test]
    fn digits_beyond_a_double_are_kept() {
        assert!(number("9007199254740993") > number("9007199254740992"));
        assert_eq!(number("9007199254740993"), number("9007199254740993.0"));
        assert!(number("1.0000000000000001") > number("1"));
        assert_eq!(number("1e400"), number("10e399"));
        assert!(number("1e-400") > number("0"));
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        let ascending = [
            "-1e400", "-300", "-2.5", "-1e-400", "0", "1e-400", "0.1", "0.11", "0.2", "1", "10",
            "1e400",
        ];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn text_that_is_not_a_json_number_is_rejected() {
        for text in [
            "", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1.e2", "0x1", "NaN", "1 ", "1_0",
            "１",
        ] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn huge_exponents_are_clamped() {
        let huge = format!("1e{}", "9".repeat(1000));
        assert!(number(&huge) > number("1e400"));
        assert!(number(&huge.replace("1e", "1e-")) > number("0"));
        assert_eq!(number(&huge), number("1e88888888888888888888"));
    }

    #[test]
    fn parts_are_digits_and_magnitude() {
        for (text, digits, magnitude) in [
            ("0", &[][..], 0),
            ("-0.0e7", &[], 0),
            ("25", &[2, 5], 2),
            ("-25.0", &[2, 5], 2),
            ("0.0050", &[5], -2),
            ("-1e-400", &[1], -399),
            ("100", &[1], 3),
        ] {
            assert_eq!(number(text).parts(), (digits.to_vec(), magnitude), "{text}");
            let negative = text.starts_with('-') && !digits.is_empty();
            assert_eq!(number(text).is_negative(), negative, "{text}");
        }
    }

    /// The value times 10^110 as an integer of 220 digits, so that texts compare as numbers do.
    fn written_out(text: &str) -> (bool, String) {
        let unsigned = text.trim_start_matches('-');
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: i64 = exponent.parse().unwrap();
        let zeros = 110 + exponent - i64::try_from(fraction.len()).unwrap();
        let integer = format!(
            "{whole}{fraction}{}",
            "0".repeat(usize::try_from(zeros).unwrap())
        );
        let digits = format!("{integer:0>220}");
        let negative = text.starts_with('-') && digits.contains(|digit| digit != '0');
        (negative, digits)
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_digits_written_out(
            one in r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
            other in r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
        ) {
            let expected = match (written_out(&one), written_out(&other)) {
                ((true, a), (true, b)) => b.cmp(&a),
                ((false, a), (false, b)) => a.cmp(&b),
                ((negative, _), _) => if negative { Ordering::Less } else { Ordering::Greater },
            };
            prop_assert_eq!(number(&one).cmp(&number(&other)), expected, "{} {}", one, other);
        }
    }
}
