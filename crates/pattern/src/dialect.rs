//! Dialects: the filter languages of AWS and Alibaba Cloud EventBridge beside our own.

// A dialect decides what the parser accepts, which patterns are portable (`check`) and how a
// pattern is written for the service (`export`).

pub(crate) mod alibaba;
pub(crate) mod aws;
mod complexity;
pub(crate) mod export;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use reflexarc_diagnostic::{Diagnostic, Severity, Span};
use reflexarc_event::parse_address;

use crate::spanned::{SpannedField, SpannedNode};
use crate::{Path, Predicate, TextOp, normal};

/// A filter language.
///
/// ```
/// use reflexarc_pattern::Dialect;
///
/// assert_eq!("aws".parse::<Dialect>()?, Dialect::Aws);
/// assert_eq!(Dialect::default().name(), "reflexarc");
/// # Ok::<(), reflexarc_pattern::UnknownDialect>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// The full language, in both notations.
    #[default]
    Reflexarc,
    /// The language of AWS EventBridge: JSON notation only.
    Aws,
    /// The language of Alibaba Cloud EventBridge: JSON notation only.
    Alibaba,
}

/// The error for a name that is not a dialect.
///
/// ```
/// use reflexarc_pattern::{Dialect, UnknownDialect};
///
/// assert_eq!("azure".parse::<Dialect>(), Err(UnknownDialect("azure".to_owned())));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown dialect `{0}`; expected `reflexarc`, `aws` or `alibaba`")]
pub struct UnknownDialect(pub String);

impl Dialect {
    /// Every dialect, the default first.
    pub const ALL: [Self; 3] = [Self::Reflexarc, Self::Aws, Self::Alibaba];

    /// The name as an argument: `reflexarc`, `aws` or `alibaba`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reflexarc => "reflexarc",
            Self::Aws => "aws",
            Self::Alibaba => "alibaba",
        }
    }

    /// The name in a message.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Reflexarc => "reflexarc",
            Self::Aws => "AWS EventBridge",
            Self::Alibaba => "Alibaba Cloud EventBridge",
        }
    }
}

/// Reports what the dialect does not support in one field.
pub(crate) fn check_field(field: &SpannedField, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    match dialect {
        Dialect::Reflexarc => {}
        Dialect::Aws => aws::check_field(field, found),
        Dialect::Alibaba => alibaba::check_field(field, found),
    }
}

/// Reports what the dialect does not support in the tree outside of its fields: paths and
/// connectives.
pub(crate) fn check_tree(tree: &SpannedNode, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    match dialect {
        Dialect::Reflexarc => {}
        Dialect::Aws => aws::check_tree(tree, found),
        Dialect::Alibaba => alibaba::check_tree(tree, found),
    }
}

/// Everything about a pattern that is not portable: errors where the service rejects it, warnings
/// where the service accepts it but matches different events.
pub(crate) fn check(tree: &SpannedNode, dialect: Dialect) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    // The pattern `{}` of Alibaba Cloud: a condition on the empty path here, which the checks of
    // paths would reject.
    if dialect == Dialect::Alibaba && tree.to_node() == normal::always() {
        return found;
    }
    for field in tree.fields() {
        check_field(field, dialect, &mut found);
    }
    check_tree(tree, dialect, &mut found);
    match dialect {
        Dialect::Reflexarc => {}
        Dialect::Aws => aws::warn_differences(tree, &mut found),
        Dialect::Alibaba => alibaba::warn_differences(tree, &mut found),
    }
    // The length is that of the exported text, which exists only if the pattern is portable.
    if dialect == Dialect::Aws
        && found
            .iter()
            .all(|diagnostic| diagnostic.severity != Severity::Error)
    {
        let exported = export::export(&tree.to_node(), dialect);
        found.extend(aws::check_length(&exported, tree.span.clone()));
    }
    found
}

/// Whether the predicate compares whole strings with an IPv6 address. Services that compare its
/// characters miss its other spellings. IPv4 addresses have only one that is in use.
fn compares_ipv6(predicate: &Predicate) -> bool {
    match predicate {
        Predicate::Text(TextOp::Equals, text)
        | Predicate::TextIgnoringCase(TextOp::Equals, text) => {
            parse_address(text).is_some_and(|address| address.is_ipv6())
        }
        Predicate::AnythingBut(excluded) => excluded.iter().any(compares_ipv6),
        _ => false,
    }
}

/// The paths that are constrained by more than one of the parts, each with the span of the second.
fn shared_paths(parts: &[SpannedNode]) -> Vec<(&Path, Span)> {
    let mut first: BTreeMap<&Path, usize> = BTreeMap::new();
    let mut shared: BTreeMap<&Path, Span> = BTreeMap::new();
    for (at, part) in parts.iter().enumerate() {
        for field in part.fields() {
            if *first.entry(&field.path).or_insert(at) != at {
                shared
                    .entry(&field.path)
                    .or_insert_with(|| field.key.clone());
            }
        }
    }
    shared.into_iter().collect()
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.name() == name)
            .ok_or_else(|| UnknownDialect(name.to_owned()))
    }
}
