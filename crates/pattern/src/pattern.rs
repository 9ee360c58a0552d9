//! A pattern: what [`crate::naive`] and the matcher work from, and its way from and to text.

use reflexarc_event::{Diagnostic, Severity};

use crate::{Dialect, Limits, Node, syntax};

/// A filter that was read from text, or made from a tree.
#[derive(Debug, Clone)]
pub struct Pattern {
    node: Node,
    source: Box<str>,
    dialect: Dialect,
    warnings: Box<[Diagnostic]>,
}

impl Pattern {
    /// Reads a text in either notation: JSON if it begins with `{`, otherwise an expression.
    ///
    /// # Errors
    /// With every fault of the text, in its order; spans are bytes of `text`. Warnings are among them.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, Vec<Diagnostic>> {
        let mut reading = syntax::read(text, dialect, &Limits::DEFAULT);
        reading.diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end, diagnostic.severity));
        let failed = reading.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        match reading.tree {
            Some(tree) if !failed => {
                Ok(Self { node: tree.to_node(), source: text.into(), dialect, warnings: reading.diagnostics.into() })
            }
            _ => Err(reading.diagnostics),
        }
    }

    /// What it asks for.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// What the author may want to know about it: warnings and hints, in the order of the text.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The dialect it was read in.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }
}
