//! The tree that both notations share.
//!
//! Equality ignores nothing but spans: the tree holds no spans, so that parse → print → parse can be compared.

use ipnet::IpNet;

use crate::{Decimal, Path};

/// A test of a whole event.
///
/// Semantics. An event is the set of its scalars, each with its path and with the array elements it lies in: on the way
/// to the scalar, every element that is itself an object or an array. A scalar that is directly an element is not tied to
/// that array, so `["a", "b"]` holds both at once, while `[["a"], ["b"]]` holds either. A value under a duplicate key
/// counts like any other, without being tied to the key's other values.
///
/// A conjunction holds if one choice of elements, the same for all of its fields, lets every field hold; different arrays
/// are chosen independently. `Any` holds if one branch does, inside that same choice. `Not` and [`Predicate::Missing`]
/// are judged last, within the choice that the other fields made: they hold if no further choice lets their inside hold.
/// An event that is not an object has no fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// Every one holds. Empty: always true.
    All(Vec<Node>),
    /// At least one holds. Empty: never.
    Any(Vec<Node>),
    /// It does not hold.
    Not(Box<Node>),
    /// One field meets one of its alternatives.
    Field(Field),
}

/// A path and the alternatives, any of which may be met by any value at that path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// Where to look.
    pub path: Path,
    /// What to look for; one of them must be met. Never empty in a parsed pattern.
    pub alternatives: Vec<Alternative>,
}

/// Tests that one and the same value meets together; never empty in a parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Alternative(pub Vec<Predicate>);

/// A test of one value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Predicate {
    /// There is no scalar at the path (`exists: false`, `is missing`).
    Missing,
    /// There is a scalar at the path, null included (`exists: true`, `exists`).
    Exists,
    /// JSON `null`.
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// A number of that exact value.
    Number(Decimal),
    /// A number between bounds, at least one of which is there.
    Range {
        /// The lower bound.
        lower: Option<Bound>,
        /// The upper bound.
        upper: Option<Bound>,
    },
    /// A string test by the exact characters. Where the test is [`TextOp::Equals`] and the text is an IP address, any
    /// spelling of that address is equal to it; inside `AnythingBut` only the characters count.
    Text(TextOp, Box<str>),
    /// A string test ignoring case: a pattern character accepts itself, its full lower-case and its full upper-case form.
    TextIgnoringCase(TextOp, Box<str>),
    /// A string that a wildcard matches as a whole.
    Wildcard {
        /// What must match.
        wildcard: Wildcard,
        /// Whether letters compare ignoring case.
        ignoring_case: bool,
    },
    /// A string that a regular expression matches as a whole.
    Regexp {
        /// What must match.
        regexp: Regexp,
        /// Whether letters compare ignoring case.
        ignoring_case: bool,
    },
    /// A string that is an address inside a network, its ends included; only within one address family. An IPv6 address
    /// that maps an IPv4 one (`::ffff:a00:1`) belongs to IPv4.
    Cidr(IpNet),
    /// A scalar is there and meets none of these (`anything-but`). Never holds [`Predicate::Missing`] or itself.
    AnythingBut(Vec<Predicate>),
}

/// How a text compares with a string value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextOp {
    /// The whole value.
    Equals,
    /// Its beginning.
    Prefix,
    /// Its end.
    Suffix,
    /// Anywhere in it.
    Contains,
}

/// One end of a numeric range.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bound {
    /// The number.
    pub value: Decimal,
    /// Whether the number itself lies inside.
    pub inclusive: bool,
}

/// A wildcard: literal pieces with a `*` (any characters, also none) between each two neighbours.
///
/// `a*b` has the pieces `a`, `b`; `*` has two empty pieces; a wildcard without star has one piece. Inner pieces are
/// never empty, because `**` is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wildcard {
    /// The pieces, escapes decoded.
    pub pieces: Box<[Box<str>]>,
}

/// A regular expression, as written; its size has been checked when it was parsed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Regexp(pub Box<str>);

/// Whether a key of the JSON notation is `$or`, `$and` or `$not` with further `$` before it, which stands for a field of
/// that name with one `$` less.
pub(crate) fn is_escaped_key(key: &str) -> bool {
    key.starts_with("$$") && matches!(key.trim_start_matches('$'), "or" | "and" | "not")
}

/// The key of the JSON notation for a field of that name.
pub(crate) fn escaped_key(key: &str) -> String {
    if matches!(key.trim_start_matches('$'), "or" | "and" | "not") && key.starts_with('$') {
        format!("${key}")
    } else {
        key.to_owned()
    }
}
