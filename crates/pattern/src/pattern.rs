//! A pattern: what [`crate::naive`] and the matcher work from, and its way from and to text.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reflexarc_event::Event;

use crate::{
    Dialect, Matcher, Node, PatternLimits, Scratch, dialect, lints, naive, normal, print, syntax,
};

/// A filter that was read from text, or made from a tree.
#[derive(Debug, Clone)]
pub struct Pattern {
    node: Node,
    source: Box<str>,
    dialect: Dialect,
    is_json: bool,
    has_comments: bool,
    warnings: Box<[Diagnostic]>,
    /// Built for the first event; none where it would take too much. Clones share it.
    matcher: Arc<OnceLock<Option<Matcher>>>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Pattern {
    /// Reads a text in either notation: JSON if it begins with `{`, otherwise an expression.
    ///
    /// # Errors
    /// With every fault of the text, in its order, or the first hundred; spans are bytes of `text`. Warnings are among
    /// them.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, Vec<Diagnostic>> {
        let mut reading = syntax::parse(text, dialect, &PatternLimits::DEFAULT);
        reading
            .diagnostics
            .extend(reading.tree.iter().flat_map(lints::warnings));
        arrange(&mut reading.diagnostics);
        let failed = reading
            .diagnostics
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error);
        match reading.tree {
            Some(tree) if !failed => Ok(Self {
                node: tree.to_node(),
                source: text.into(),
                dialect,
                is_json: reading.is_json,
                has_comments: !reading.comments.is_empty(),
                warnings: reading.diagnostics.into(),
                matcher: Arc::default(),
            }),
            _ => Err(reading.diagnostics),
        }
    }

    /// The pattern of a tree, which is brought into normal form: joins inside joins of the same kind are opened, and
    /// an empty one becomes a field at the empty path that always or never holds.
    pub fn from_node(node: Node) -> Self {
        let node = normal::of(node);
        let source = print::expression::print(&node).into();
        Self {
            node,
            source,
            dialect: Dialect::Reflexarc,
            is_json: false,
            has_comments: false,
            warnings: Box::default(),
            matcher: Arc::default(),
        }
    }

    /// The JSON notation of the tree, in the reflexarc dialect. Parsed it gives the same tree.
    pub fn to_json(&self) -> String {
        print::json::print(&self.node)
    }

    /// The expression notation of the tree. Parsed it gives the same tree.
    pub fn to_expression(&self) -> String {
        print::expression::print(&self.node)
    }

    /// The text of [`Pattern::source`] in canonical form, in its own notation, with its comments. A text in JSON notation
    /// that constrains a path twice, so that a part of it would be lost, stays as it is, unless it has comments: then its
    /// own order and nesting are kept.
    pub fn format(&self) -> String {
        if !self.is_json && !self.has_comments {
            return self.to_expression();
        }
        let reading = syntax::parse(&self.source, self.dialect, &PatternLimits::DEFAULT);
        let formatted = match reading.tree {
            Some(_) if self.is_json && self.has_comments => {
                print::json_comments::print(&self.source, &reading.comments)
            }
            Some(_) if self.is_json => {
                let loses = reading
                    .diagnostics
                    .iter()
                    .any(|warning| warning.code == Code::PATH_TWICE);
                (!loses).then(|| self.to_json())
            }
            Some(tree) => Some(print::expression_comments::print(
                &tree,
                &self.source,
                &reading.comments,
            )),
            None => None,
        };
        formatted.unwrap_or_else(|| self.source.trim().to_owned())
    }

    /// What keeps the pattern from a dialect (errors), and where that service would answer differently (warnings), in
    /// the order of [`Pattern::source`], into which the spans point. For the dialect reflexarc: [`Pattern::warnings`],
    /// and hints about tests that are easily mistaken. The first hundred of them, errors before all else.
    pub fn check(&self, dialect: Dialect) -> Vec<Diagnostic> {
        let reading = syntax::parse(&self.source, self.dialect, &PatternLimits::DEFAULT);
        let Some(tree) = reading.tree else {
            return Vec::new();
        };
        let mut found = match dialect {
            Dialect::Reflexarc => [
                reading.diagnostics,
                lints::warnings(&tree),
                lints::hints(&tree),
            ]
            .concat(),
            other => dialect::check(&tree, other),
        };
        arrange(&mut found);
        found
    }

    /// The JSON notation for the service of a dialect.
    ///
    /// # Errors
    /// With what [`Pattern::check`] finds, if an error is among it.
    pub fn export(&self, dialect: Dialect) -> Result<String, Vec<Diagnostic>> {
        if dialect == Dialect::Reflexarc {
            return Ok(self.to_json());
        }
        let found = self.check(dialect);
        if found
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
        {
            return Err(found);
        }
        Ok(dialect::export::export(&self.node, dialect))
    }

    /// Whether the event matches. For many patterns build a [`Matcher`] of them all.
    pub fn matches(&self, event: &Event) -> bool {
        let matcher = self
            .matcher
            .get_or_init(|| Matcher::build([&self.node]).ok());
        match matcher {
            Some(matcher) => SCRATCH.with_borrow_mut(|scratch| matcher.has_match(event, scratch)),
            None => naive::matches(&self.node, event.tree()),
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

    /// Whether [`Pattern::source`] is in JSON notation.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether there are comments in [`Pattern::source`].
    pub fn has_comments(&self) -> bool {
        self.has_comments
    }

    /// The dialect it was read in.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }
}

/// Sorts by place, drops what is said twice of one place, and keeps as many as one reads, errors before all else.
fn arrange(diagnostics: &mut Vec<Diagnostic>) {
    let place = |diagnostic: &Diagnostic| (diagnostic.span.start, diagnostic.span.end);
    diagnostics.sort_by_key(|diagnostic| (place(diagnostic), diagnostic.severity, diagnostic.code));
    diagnostics.dedup_by(|later, earlier| later.code == earlier.code && later.span == earlier.span);
    let most = PatternLimits::DEFAULT.diagnostics;
    let Some(others) = diagnostics
        .len()
        .checked_sub(most)
        .filter(|&others| others > 0)
    else {
        return;
    };
    diagnostics
        .sort_by_key(|diagnostic| (diagnostic.severity != Severity::Error, place(diagnostic)));
    diagnostics.truncate(most);
    diagnostics.sort_by_key(place);
    let end = diagnostics.last().map_or(0, |last| last.span.end);
    let message = format!("{others} more diagnostics are not shown");
    diagnostics.push(Diagnostic::hint(Code::MORE, end..end, message));
}
