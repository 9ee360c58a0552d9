//! Hints: likely reasons for an unexpected result.

use std::fmt;
use std::net::IpAddr;

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
    /// The value is an array of objects; these are the paths of their first keys.
    ElementsAreObjects(Vec<String>),
    /// The value is an empty array or object, which counts as missing.
    EmptyContainer,
    /// A value on the way to the path has no keys.
    NoKeys {
        /// Where it is.
        location: Location,
        /// What it is, with its article: "a string".
        actual: &'static str,
    },
    /// A text on the way to the path is JSON that has a value there.
    JsonInText(Location),
    /// A key of the path is an operator, a connective or part of a request, and was taken as a key.
    SyntaxAsKey {
        /// Which key it is.
        message: String,
        /// What to write in JSON notation.
        help: String,
        /// The condition that is meant, as an expression, if it is evident.
        condition: Option<String>,
    },
    /// The path has an index of an array; without it, there are values at this path.
    NoIndex(String),
    /// The path means the length of the value at this path.
    NoLength(String),
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
    /// A condition close to this one matches the event.
    WouldMatch {
        /// Why this one does not.
        reason: &'static str,
        /// The other condition, as an expression.
        condition: String,
    },
    /// The texts are equal in the same Unicode normalization.
    Normalization,
    /// One text has a character that is invisible, or looks like one in the other text.
    SpecialCharacter {
        /// The character.
        character: char,
        /// What it looks like; `None` if it is invisible.
        looks_like: Option<char>,
        /// Whether it is in the value, and not in the condition.
        in_value: bool,
    },
    /// The value is the same time in another spelling.
    SameTime,
    /// The value is a string, but not an IP address.
    NotAnAddress,
    /// The value is an address of the network with something after it: a port, a prefix length.
    AddressWith(&'static str),
    /// The value is an address outside the network, whose first and last address these are.
    OutsideNetwork(IpAddr, IpAddr),
    /// The value is the address that is excluded, in another spelling.
    SameAddress,
    /// The value is an address of the other family than the network.
    OtherAddressFamily,
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
            Self::ElementsAreObjects(paths) => write!(
                f,
                "the elements of the array are objects; their values are at {}",
                paths.join(", ")
            ),
            Self::EmptyContainer => f.write_str("an empty array or object counts as missing"),
            Self::NoKeys { location, actual } => {
                write!(f, "{location} is {actual} and has no keys")
            }
            Self::JsonInText(location) => write!(
                f,
                "{location} is a text that contains JSON; a filter does not look into texts"
            ),
            Self::SyntaxAsKey {
                message,
                help,
                condition,
            } => {
                write!(f, "{message}; {help}")?;
                match condition {
                    Some(condition) => write!(f, " (as an expression: `{condition}`)"),
                    None => Ok(()),
                }
            }
            Self::NoIndex(path) => write!(
                f,
                "a path has no index; the values of all elements are at {path}"
            ),
            Self::NoLength(path) => write!(
                f,
                "{path} has no length in a filter; use `{path} exists`, or count in the script"
            ),
            Self::WouldMatch { reason, condition } => {
                write!(f, "{reason}; `{condition}` would match")
            }
            Self::Normalization => f.write_str(
                "the texts look the same and differ in Unicode normalization, \
                 such as `é` as one or as two characters",
            ),
            Self::SpecialCharacter {
                character,
                looks_like,
                in_value,
            } => special_character(f, *character, *looks_like, *in_value),
            Self::SameTime => f.write_str(
                "the value is the same time in another format; filters compare the text",
            ),
            Self::AddressWith(other) => write!(f, "the value is an address with {other}"),
            Self::OutsideNetwork(first, last) => {
                write!(f, "the address is outside {first} to {last}")
            }
            Self::OtherAddressFamily => f.write_str(
                "the address is of the other IP version than the network; they never match",
            ),
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
            Self::SameAddress => f.write_str("the value is the same address in another spelling"),
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

fn special_character(
    f: &mut fmt::Formatter<'_>,
    character: char,
    looks_like: Option<char>,
    in_value: bool,
) -> fmt::Result {
    let place = if in_value { "value" } else { "condition" };
    let code = u32::from(character);
    match looks_like {
        Some(other) => write!(
            f,
            "the {place} has U+{code:04X}, which looks like `{other}`"
        ),
        None => write!(f, "the {place} has the invisible character U+{code:04X}"),
    }
}
