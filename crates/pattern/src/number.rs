//! Numbers by their exact decimal value.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A decimal number of any size. `300`, `300.0` and `3e2` are equal; `-0` equals `0`; nothing is rounded.
///
/// An exponent beyond ±10^15 is taken as ±10^15: no real event holds one, and it keeps every comparison cheap.
#[derive(Debug, Clone)]
pub struct Decimal {
    negative: bool,
    /// Significant digits without leading or trailing zeros; empty for zero.
    digits: Box<[u8]>,
    /// The power of ten of the first digit, plus one: the value is `0.d1d2d3… × 10^magnitude`.
    magnitude: i64,
    text: Box<str>,
}

impl Decimal {
    const FARTHEST: i64 = 1_000_000_000_000_000;

    /// Reads the text of a JSON number; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = text
            .strip_prefix('-')
            .map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let well_formed = !whole.is_empty()
            && (whole == "0" || !whole.starts_with('0'))
            && whole
                .bytes()
                .chain(fraction.bytes())
                .all(|digit| digit.is_ascii_digit());
        if !well_formed {
            return None;
        }
        let all = whole
            .bytes()
            .chain(fraction.bytes())
            .map(|digit| digit - b'0');
        let leading = all.clone().take_while(|&digit| digit == 0).count();
        let mut digits: Vec<u8> = all.skip(leading).collect();
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let zero = digits.is_empty();
        let shift = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
        let magnitude = if zero {
            0
        } else {
            (exponent + shift).clamp(-Self::FARTHEST, Self::FARTHEST)
        };
        Some(Self {
            negative: negative && !zero,
            digits: digits.into(),
            magnitude,
            text: text.into(),
        })
    }

    /// The text it was read from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it lies below zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// The significant digits (values 0–9, without leading or trailing zeros) and the magnitude: the absolute value
    /// is `0.d1d2d3… × 10^magnitude`. Zero has no digits and magnitude 0. Equal numbers have equal parts.
    pub fn parts(&self) -> (&[u8], i64) {
        (&self.digits, self.magnitude)
    }

    /// Whether a double holds exactly this number: the shortest decimal of the nearest double is this one.
    pub(crate) fn fits_double(&self) -> bool {
        let nearest: f64 = self.text.parse().unwrap_or(f64::NAN);
        nearest.is_finite()
            && Self::parse(&format!("{nearest:e}")).is_some_and(|exact| exact == *self)
    }

    fn compare_absolute(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self
                .magnitude
                .cmp(&other.magnitude)
                .then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_absolute(other),
            (true, true) => other.compare_absolute(self),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.negative, &self.digits, self.magnitude).hash(state);
    }
}

/// The text it was read from.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn exponent(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let size = digits.bytes().fold(0i64, |sum, digit| {
        (sum * 10 + i64::from(digit - b'0')).min(Decimal::FARTHEST)
    });
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
    }

    #[test]
    fn one_value_has_many_spellings() {
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
    fn numbers_are_in_order() {
        let ascending = [
            "-1e400", "-300", "-2.5", "-1e-400", "0", "1e-400", "0.1", "0.11", "0.2", "1", "10",
            "1e400",
        ];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn what_json_does_not_call_a_number_is_refused() {
        for text in [
            "", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1.e2", "0x1", "NaN", "1 ", "1_0",
            "１",
        ] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn exponents_without_bound_cost_nothing() {
        let huge = format!("1e{}", "9".repeat(1000));
        assert!(number(&huge) > number("1e400"));
        assert!(number(&huge.replace("1e", "1e-")) > number("0"));
    }
}
