//! Numbers as bytes whose order is the order of the numbers, so that equality, hashing and ranges need no arithmetic.
//!
//! A sign byte, then for anything but zero the magnitude (the power of ten, big-endian, shifted to be positive) and the
//! significant digits, one a byte. Negative numbers have every byte inverted and a closing byte above all others, so
//! that more digits mean less. Two numbers are equal exactly when their bytes are.

/// Beyond this power of ten exponents are taken as equal, as `Decimal` takes them.
const FARTHEST: i64 = 1_000_000_000_000_000;

const NEGATIVE: u8 = 0;
const ZERO: u8 = 1;
const POSITIVE: u8 = 2;

/// Appends the form of the number that `text` spells; `text` is a valid JSON number.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let (negative, unsigned) = text
        .strip_prefix(b"-")
        .map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&unsigned[..at], read_exponent(&unsigned[at + 1..])),
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
    // Leading zeros may reach beyond the dot, which is itself no digit.
    let shift = if leading > whole {
        -distance(leading - whole - 1)
    } else {
        distance(whole - leading)
    };
    let magnitude = (exponent + shift).clamp(-FARTHEST, FARTHEST);
    let inverted = if negative { 0xff } else { 0 };
    out.push(if negative { NEGATIVE } else { POSITIVE });
    out.extend(
        (magnitude + FARTHEST)
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
        out.push(0xff);
    }
}

fn read_exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    let size = digits.iter().fold(0i64, |sum, digit| {
        (sum * 10 + i64::from(digit - b'0')).min(FARTHEST)
    });
    if negative { -size } else { size }
}

fn distance(digits: usize) -> i64 {
    i64::try_from(digits).unwrap_or(FARTHEST).min(FARTHEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Decimal;

    fn encoded(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        encode(text.as_bytes(), &mut out);
        out
    }

    proptest! {
        #[test]
        fn orders_as_decimal_does(
            one in r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
            other in r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
        ) {
            let decimals = (Decimal::parse(&one).expect("a number"), Decimal::parse(&other).expect("a number"));
            prop_assert_eq!(encoded(&one).cmp(&encoded(&other)), decimals.0.cmp(&decimals.1), "{} {}", one, other);
        }
    }

    #[test]
    fn spellings_of_one_number_are_one() {
        for text in ["300", "300.0", "3e2", "0.3E+3", "3000e-1"] {
            assert_eq!(encoded(text), encoded("300"), "{text}");
        }
        assert_eq!(encoded("-0"), encoded("0.000e5"));
        assert_eq!(
            encoded("1e99999999999999999999"),
            encoded("1e88888888888888888888")
        );
        assert_ne!(encoded("9007199254740993"), encoded("9007199254740992"));
    }
}
