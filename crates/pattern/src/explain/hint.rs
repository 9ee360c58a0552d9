//! What the author of a pattern may have overlooked.

use std::fmt;

use super::location::Location;

/// A likely reason for a surprise, as data; `Display` says it in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// There is nothing at the path, but the same key stands somewhere else.
    OtherPath(Location),
    /// There is nothing at the path, but it leads somewhere when the case of its keys is ignored.
    KeyCase(Location),
    /// There is nothing at the path, but the object where its last key is missing has one of a similar name.
    SimilarKey(Location),
    /// The path leads to an object, and tests look at scalars; these are keys in it.
    IsObject(Vec<String>),
    /// The path leads to an empty array or object, which counts as missing.
    EmptyContainer,
    /// The value is of another type than the test.
    TypeMismatch {
        /// The type that the test looks for: "a number".
        expected: &'static str,
        /// The type of the value.
        actual: &'static str,
    },
    /// Absence is asked for, and the value is `null`, which is a value.
    NullIsNotMissing,
    /// `null` is asked for, and there is no value.
    MissingIsNotNull,
    /// The value differs only in case.
    ValueCase,
    /// The value differs only in white space at its ends.
    SurroundingWhitespace,
    /// The value is a string, but not an IP address.
    NotAnAddress,
    /// `anything-but` needs a value, and there is none.
    AnythingButNeedsValue,
    /// `anything-but` is met by any element of an array that differs, although another element is excluded.
    AnythingButAnyElement,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherPath(location) => write!(f, "the event has {location}"),
            Self::KeyCase(location) => write!(f, "keys are compared with their case; the event has {location}"),
            Self::SimilarKey(location) => write!(f, "there is no such key; the event has {location}"),
            Self::IsObject(keys) if keys.is_empty() => {
                f.write_str("this is an object, and a test looks at single values")
            }
            Self::IsObject(keys) => {
                write!(f, "this is an object, and a test looks at single values; it holds {}", keys.join(", "))
            }
            Self::EmptyContainer => f.write_str("an empty array or object counts as missing"),
            Self::TypeMismatch { expected, actual } => write!(f, "the test is for {expected}, but the value is {actual}"),
            Self::NullIsNotMissing => f.write_str("null is a value; `== null` looks for it"),
            Self::MissingIsNotNull => f.write_str("there is no value, which is not null; `is missing` looks for that"),
            Self::ValueCase => f.write_str("it differs only in case; add `ignoring case`"),
            Self::SurroundingWhitespace => f.write_str("it differs only in white space at its ends"),
            Self::NotAnAddress => f.write_str("the value is not an IP address"),
            Self::AnythingButNeedsValue => {
                f.write_str("`!=` and `not in` need a value; `not (…)` also holds where there is none")
            }
            Self::AnythingButAnyElement => f.write_str(
                "one element that differs is enough for `!=` and `not in`; `not (…)` denies it for every element",
            ),
        }
    }
}
