//! One spelling for all values that filters take for equal.

use reflexarc_event::{Decimal, Json, parse_address};

/// Longer numbers are written with an exponent, so that `1e1000000` has not a million digits.
const MAX_PLAIN_DIGITS: i64 = 40;

/// The value in the spelling that every value has which `==` takes for equal: numbers by value, IP
/// addresses by address, other texts by their characters. `None` for null, arrays and objects,
/// which are no keys.
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::canonical_scalar;
///
/// let canonical = |text: &str| canonical_scalar(&Json::parse(text).unwrap());
/// assert_eq!(canonical("1.0"), canonical("1"));
/// assert_eq!(canonical(r#""2001:DB8:0::1""#), canonical(r#""2001:db8::1""#));
/// assert_ne!(canonical(r#""1""#), canonical("1"));
/// assert_eq!(canonical("null"), None);
/// ```
pub fn canonical_scalar(value: &Json) -> Option<Json> {
    Some(match value {
        Json::Null | Json::Array(_) | Json::Object(_) => return None,
        Json::Bool(truth) => Json::Bool(*truth),
        // Every number of an event is valid; one made otherwise stays as it is.
        Json::Number(text) => match text.parse::<Decimal>() {
            Ok(number) => Json::Number(plain(&number).into()),
            Err(_) => value.clone(),
        },
        Json::String(text) => Json::String(match parse_address(text) {
            Some(address) => address.to_string(),
            None => text.clone(),
        }),
    })
}

/// The shortest plain spelling: `25`, `0.5`, `-120`; with an exponent beyond [`MAX_PLAIN_DIGITS`].
fn plain(number: &Decimal) -> String {
    let (digits, magnitude) = number.parts();
    // Zero has no digits; -0 equals 0.
    if digits.is_empty() {
        return "0".to_owned();
    }
    let sign = if number.is_negative() { "-" } else { "" };
    let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let text: String = digits
        .iter()
        .map(|digit| char::from(b'0' + digit))
        .collect();
    // The value is 0.DIGITS × 10^magnitude. Digits 25: magnitude 2 is 25, 4 is 2500, 1 is 2.5,
    // -1 is 0.025.
    if magnitude >= count && magnitude <= MAX_PLAIN_DIGITS {
        let zeros = usize::try_from(magnitude - count).unwrap_or_default();
        return format!("{sign}{text}{}", "0".repeat(zeros));
    }
    match usize::try_from(magnitude) {
        Ok(point @ 1..) if magnitude < count => {
            format!("{sign}{}.{}", &text[..point], &text[point..])
        }
        Ok(0) => format!("{sign}0.{text}"),
        _ => format!("{sign}{text}e{}", magnitude.saturating_sub(count)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::{CompiledPredicate, Scalar};
    use crate::{Predicate, TextOp};

    fn canonical(text: &str) -> String {
        let value = canonical_scalar(&Json::parse(text).expect("valid JSON"));
        value.expect("a scalar").to_string()
    }

    #[test]
    fn usual_spellings_stay_as_they_are() {
        for text in [
            "0",
            "7",
            "-120",
            "0.5",
            "12345678901234567890",
            "2.25",
            r#""eni-1""#,
            "true",
        ] {
            assert_eq!(canonical(text), text);
        }
    }

    #[test]
    fn equal_numbers_have_one_spelling() {
        for (text, spelling) in [
            ("1.0", "1"),
            ("-0", "0"),
            ("0e9", "0"),
            ("1e2", "100"),
            ("2.50e1", "25"),
            ("250e-4", "25e-3"),
            ("5E-1", "0.5"),
            ("1e400", "1e400"),
            ("10e399", "1e400"),
        ] {
            assert_eq!(canonical(text), spelling, "{text}");
        }
    }

    /// Whether `a == b` holds in a filter.
    fn equals(a: &Json, b: &Json) -> bool {
        let predicate = match b {
            Json::Bool(truth) => Predicate::Bool(*truth),
            Json::Number(text) => Predicate::Number(text.parse().expect("a number")),
            Json::String(text) => Predicate::Text(TextOp::Equals, text.as_str().into()),
            _ => panic!("no scalar"),
        };
        CompiledPredicate::new(&predicate).matches(&Scalar::of(a).expect("a scalar"))
    }

    fn scalar() -> impl Strategy<Value = Json> {
        // Few different values in many spellings, so that equal ones meet.
        prop_oneof![
            any::<bool>().prop_map(Json::Bool),
            "-?(0|[1-3])(\\.[0-2]{1,2})?([eE][+-]?[0-2])?"
                .prop_map(|text| Json::Number(text.into())),
            "(10|010)\\.0\\.0\\.0?[12]|::[fF]{4}:(a|0a|A)00:[12]|2001:(db8|DB8):(0:)?:1"
                .prop_map(Json::String),
            "[a1]{0,2}".prop_map(Json::String),
        ]
    }

    proptest! {
        #[test]
        fn values_share_a_spelling_exactly_if_they_are_equal(a in scalar(), b in scalar()) {
            let same = canonical_scalar(&a) == canonical_scalar(&b);
            prop_assert_eq!(same, equals(&a, &b), "{} and {}", a, b);
        }
    }
}
