//! Whose filter language a text is written in.

pub(crate) mod alibaba;
pub(crate) mod aws;
mod complexity;
pub(crate) mod export;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use reflexarc_diagnostic::{Diagnostic, Severity, Span};

use crate::spanned::{SpannedField, SpannedNode};
use crate::{Path, normal};

/// Whose filter language a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// Everything this crate knows, in both notations.
    #[default]
    Reflexarc,
    /// What AWS EventBridge accepts: JSON notation.
    Aws,
    /// What Alibaba Cloud EventBridge accepts: JSON notation.
    Alibaba,
}

/// A name that is no dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no dialect; there are `reflexarc`, `aws` and `alibaba`")]
pub struct UnknownDialect(pub String);

impl Dialect {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::Reflexarc, Self::Aws, Self::Alibaba];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reflexarc => "reflexarc",
            Self::Aws => "aws",
            Self::Alibaba => "alibaba",
        }
    }

    /// The name in a sentence.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Reflexarc => "reflexarc",
            Self::Aws => "AWS EventBridge",
            Self::Alibaba => "Alibaba Cloud EventBridge",
        }
    }
}

/// Says what in one field the dialect does not take.
pub(crate) fn check_field(field: &SpannedField, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    match dialect {
        Dialect::Reflexarc => {}
        Dialect::Aws => aws::check_field(field, found),
        Dialect::Alibaba => alibaba::check_field(field, found),
    }
}

/// Says what in the whole tree, its fields aside, the dialect does not take.
pub(crate) fn check_tree(tree: &SpannedNode, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    match dialect {
        Dialect::Reflexarc => {}
        Dialect::Aws => aws::check_tree(tree, found),
        Dialect::Alibaba => alibaba::check_tree(tree, found),
    }
}

/// Says everything that keeps the tree from the dialect, and where its service answers differently.
pub(crate) fn check(tree: &SpannedNode, dialect: Dialect) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if dialect == Dialect::Alibaba && tree.to_node() == normal::always() {
        return found;
    }
    for field in tree.fields() {
        check_field(field, dialect, &mut found);
    }
    check_tree(tree, dialect, &mut found);
    match dialect {
        Dialect::Reflexarc => {}
        Dialect::Aws => aws::compare(tree, &mut found),
        Dialect::Alibaba => alibaba::compare(tree, &mut found),
    }
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

/// The paths that more than one of the parts constrain, each with the place of the later one.
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
