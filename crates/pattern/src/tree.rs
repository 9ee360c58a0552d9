//! The tree of a pattern, the same for both notations.
//!
//! It has no spans, so trees are compared by meaning: parse → print → parse is the identity.

use ipnet::IpNet;

use crate::{Decimal, Path};

/// A condition on a whole event.
///
/// Semantics. An event is the set of its scalars, each with its path and with the array elements
/// that contain it: on the way to the scalar, every element that is itself an object or an array. A
/// scalar that is directly an element is not tied to that array, so `["a", "b"]` has both values at
/// once, while `[["a"], ["b"]]` has one or the other. A value under a duplicate key counts like any
/// other and is not tied to the other values of that key.
///
/// A conjunction holds if one choice of elements, the same for all its fields, makes every field
/// hold; different arrays are chosen independently. `Any` holds if one branch does under that same
/// choice. `Not` and [`Predicate::Missing`] are evaluated last, under the choice that the other
/// fields made: they hold if no extension of that choice makes their content hold. An event that is
/// not an object has no fields.
///
/// ```
/// use reflexarc_pattern::{Node, Pattern};
///
/// let pattern: Pattern = r#"a == "x" and not (b exists)"#.parse()?;
/// let Node::All(parts) = pattern.node() else { panic!("a conjunction") };
/// assert!(matches!(&parts[0], Node::Field(field) if field.path.as_str() == "a"));
/// assert!(matches!(&parts[1], Node::Not(_)));
/// # Ok::<(), reflexarc_pattern::PatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// All of them hold. Empty: always true.
    All(Vec<Node>),
    /// At least one holds. Empty: always false.
    Any(Vec<Node>),
    /// It does not hold.
    Not(Box<Node>),
    /// A value of one field satisfies one of its alternatives.
    Field(Field),
}

/// A path and alternatives: the field holds if any value at the path satisfies any alternative.
///
/// ```
/// use reflexarc_pattern::{Node, Pattern};
///
/// let pattern: Pattern = r#"content.result in ["failed", "unknown"]"#.parse()?;
/// let Node::Field(field) = pattern.node() else { panic!("a field") };
/// assert_eq!(field.path.segments().collect::<Vec<_>>(), ["content", "result"]);
/// assert_eq!(field.alternatives.len(), 2);
/// # Ok::<(), reflexarc_pattern::PatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The path of the values.
    pub path: Path,
    /// The accepted values. Never empty in a parsed pattern.
    pub alternatives: Vec<Alternative>,
}

/// Predicates that one value must satisfy together; never empty in a parsed pattern.
///
/// ```
/// use reflexarc_pattern::{Node, Pattern, Predicate};
///
/// let pattern: Pattern = "a (> 5 or is missing)".parse()?;
/// let Node::Field(field) = pattern.node() else { panic!("a field") };
/// assert!(matches!(field.alternatives[0].0[..], [Predicate::Range { .. }]));
/// assert!(field.alternatives[1].is_missing());
/// # Ok::<(), reflexarc_pattern::PatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Alternative(pub Vec<Predicate>);

impl Alternative {
    /// Whether a field without any value satisfies it: it consists of [`Predicate::Missing`] alone.
    pub fn is_missing(&self) -> bool {
        // An alternative without predicates holds for every value, not for missing ones; `all`
        // alone would accept it.
        !self.0.is_empty() && self.0.iter().all(|one| *one == Predicate::Missing)
    }
}

/// A condition on one value.
///
/// ```
/// use reflexarc_pattern::{Node, Pattern, Predicate, TextOp};
///
/// let pattern: Pattern = r#"a starts with "eni-""#.parse()?;
/// let Node::Field(field) = pattern.node() else { panic!("a field") };
/// assert_eq!(field.alternatives[0].0, [Predicate::Text(TextOp::Prefix, "eni-".into())]);
/// # Ok::<(), reflexarc_pattern::PatternError>(())
/// ```
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
    /// A number within bounds, at least one of which is present.
    Range {
        /// The lower bound.
        lower: Option<Bound>,
        /// The upper bound.
        upper: Option<Bound>,
    },
    /// A string compared by exact characters. If the operator is [`TextOp::Equals`] and the text is
    /// an IP address ([`reflexarc_event::parse_address`]), every spelling of that address is equal
    /// to it.
    Text(TextOp, Box<str>),
    /// A string compared ignoring case: a pattern character accepts itself, its full lower-case
    /// form and its full upper-case form. An address is compared as without ignoring case.
    TextIgnoringCase(TextOp, Box<str>),
    /// A string that a wildcard matches as a whole.
    Wildcard {
        /// The wildcard.
        wildcard: Wildcard,
        /// Whether case is ignored.
        ignoring_case: bool,
    },
    /// A string that a regular expression matches as a whole.
    Regexp {
        /// The regular expression.
        regexp: Regexp,
        /// Whether case is ignored.
        ignoring_case: bool,
    },
    /// A string that is an address of the network, first and last address included; only within
    /// one address family. An IPv4-mapped IPv6 address (`::ffff:a00:1`) belongs to IPv4, and a
    /// network of such addresses is the IPv4 network ([`reflexarc_event::unmapped_network`]).
    Cidr(IpNet),
    /// There is a scalar, and it satisfies none of these (`anything-but`). Never contains
    /// [`Predicate::Missing`] or another `AnythingBut`.
    AnythingBut(Vec<Predicate>),
}

/// Which part of a string value a text is compared with.
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
    /// Whether the number itself is in the range.
    pub inclusive: bool,
}

/// A wildcard: literal pieces with a `*` (any number of characters) between two neighbours.
///
/// `a*b` has the pieces `a` and `b`; `*` has two empty pieces; a wildcard without a star has one
/// piece. Inner pieces are never empty, because `**` is invalid.
///
/// ```
/// use reflexarc_pattern::{Node, Pattern, Predicate};
///
/// let pattern: Pattern = r#"a like "i-*-b*""#.parse()?;
/// let Node::Field(field) = pattern.node() else { panic!("a field") };
/// let Predicate::Wildcard { wildcard, .. } = &field.alternatives[0].0[0] else {
///     panic!("a wildcard")
/// };
/// assert_eq!(wildcard.pieces.len(), 3);
/// assert_eq!(&*wildcard.pieces[1], "-b");
/// # Ok::<(), reflexarc_pattern::PatternError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wildcard {
    /// The pieces, with escapes decoded.
    pub pieces: Box<[Box<str>]>,
}

/// The text of a regular expression; the parser checked its syntax and size.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Regexp(pub Box<str>);

/// Whether a key of the JSON notation is `$or`, `$and` or `$not` with more `$` before it: the
/// escaped form of a field of that name with one `$` less.
pub(crate) fn is_escaped_key(key: &str) -> bool {
    key.starts_with("$$") && matches!(key.trim_start_matches('$'), "or" | "and" | "not")
}

/// The key in JSON notation for a field of that name, escaped if it would read as an operator.
pub(crate) fn escaped_key(key: &str) -> String {
    if matches!(key.trim_start_matches('$'), "or" | "and" | "not") && key.starts_with('$') {
        format!("${key}")
    } else {
        key.to_owned()
    }
}
