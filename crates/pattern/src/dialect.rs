//! Whose filter language a text is written in.

pub(crate) mod aws;

use std::fmt;
use std::str::FromStr;

use reflexarc_event::Diagnostic;

use crate::located::{Located, LocatedField};

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
pub(crate) fn check_field(field: &LocatedField, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    match dialect {
        Dialect::Reflexarc => {}
        Dialect::Aws => aws::check_field(field, found),
        Dialect::Alibaba => {}
    }
}

/// Says what in the whole tree, its fields aside, the dialect does not take.
pub(crate) fn check_tree(tree: &Located, dialect: Dialect, found: &mut Vec<Diagnostic>) {
    match dialect {
        Dialect::Reflexarc => {}
        Dialect::Aws => aws::check_tree(tree, found),
        Dialect::Alibaba => {}
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name).ok_or_else(|| UnknownDialect(name.to_owned()))
    }
}
