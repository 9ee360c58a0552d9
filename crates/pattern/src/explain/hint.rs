//! Hints: likely reasons for an unexpected result.

use std::fmt;

use super::location::Location;
use crate::Path;
use crate::print::expression;

/// A likely reason for an unexpected result. `Display` gives a message.
///
/// ```
/// use reflexarc_event::Json;
/// use reflexarc_pattern::Pattern;
/// use reflexarc_pattern::explain::{Hint, Test, explain};
///
/// let pattern: Pattern = r#"result == "failed""#.parse()?;
/// let explanation = explain(pattern.node(), &Json::parse(r#"{"result": "failed "}"#)?);
/// let Test::Field(test) = explanation.root.test else { panic!("a field") };
/// assert_eq!(test.hints, [Hint::SurroundingWhitespace]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// The field is missing, but the event has a value with the same key at another location.
    OtherPath(Location),
    /// The field is missing, but the event has a value at the same path with other letter case.
    KeyCase(Location),
    /// The field is missing, but its object has a key with a similar name.
    SimilarKey(Location),
    /// The event was converted before it was matched, and the field is at this path now.
    MovedTo(Path),
    /// The event was converted before it was matched, and the field was removed.
    Removed,
    /// The event was converted before it was matched, and had this value, as JSON.
    ConvertedFrom(String),
    /// The value is an object, and conditions compare scalars; these are its first keys.
    IsObject(Vec<String>),
    /// The value is an empty array or object, which counts as missing.
    EmptyContainer,
    /// The value has a different type than the condition.
    TypeMismatch {
        /// The type that the condition requires, with its article: "a number".
        expected: &'static str,
        /// The type of the value.
        actual: &'static str,
    },
    /// The condition requires a missing field, and the value is `null`.
    NullIsNotMissing,
    /// The condition requires `null`, and the field is missing.
    MissingIsNotNull,
    /// The value differs only in case.
    ValueCase,
    /// The value differs only in leading or trailing white space.
    SurroundingWhitespace,
    /// The value is a string, but not an IP address.
    NotAnAddress,
    /// `anything-but` requires a value, and the field is missing.
    AnythingButNeedsValue,
    /// `anything-but` is met by one element of an array, although it excludes another.
    AnythingButAnyElement,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const OBJECT: &str = "the value is an object, and conditions compare single values";
        match self {
            Self::OtherPath(location) => write!(f, "the event has a value at {location}"),
            Self::KeyCase(location) => {
                write!(
                    f,
                    "keys are case-sensitive; the event has a value at {location}"
                )
            }
            Self::SimilarKey(location) => write!(f, "unknown key; did you mean {location}?"),
            Self::MovedTo(path) => write!(
                f,
                "the event is converted to the native form, in which this field is {}",
                expression::path(path)
            ),
            Self::Removed => {
                f.write_str("the event is converted to the native form, which lacks this field")
            }
            Self::ConvertedFrom(value) => write!(
                f,
                "the event has {value} here, but rules see the canonical value"
            ),
            Self::IsObject(keys) if keys.is_empty() => f.write_str(OBJECT),
            Self::IsObject(keys) => write!(f, "{OBJECT}; its keys are {}", keys.join(", ")),
            Self::EmptyContainer => f.write_str("an empty array or object counts as missing"),
            Self::TypeMismatch { expected, actual } => {
                write!(f, "expected {expected}, found {actual}")
            }
            Self::NullIsNotMissing => f.write_str("null is a value; use `== null` to match it"),
            Self::MissingIsNotNull => {
                f.write_str("a missing field is not null; use `is missing` to match it")
            }
            Self::ValueCase => f.write_str("the value differs only in case; add `ignoring case`"),
            Self::SurroundingWhitespace => {
                f.write_str("the value differs only in leading or trailing white space")
            }
            Self::NotAnAddress => f.write_str("the value is not an IP address"),
            Self::AnythingButNeedsValue => f.write_str(
                "`!=` and `not in` require a value; `not (…)` also matches a missing field",
            ),
            Self::AnythingButAnyElement => f.write_str(
                "one differing element is enough for `!=` and `not in`; \
                 `not (…)` excludes every element",
            ),
        }
    }
}
