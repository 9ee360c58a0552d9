//! Parses a text in either notation into the spanned tree. Only this module uses pest.

mod anything_but;
pub(crate) mod argument;
pub(crate) mod cidr;
mod connective_key;
mod expression;
mod foreign;
mod json;
mod json_help;
mod leaf;
mod leaf_operator;
mod numeric;
mod objects;
mod operator;
mod operator_key;
mod operator_names;
mod overrides;
mod recovery;
mod scan;
mod string_literal;
mod syntax_error;
mod value_tests;
mod wrapper;

use std::collections::HashSet;

use pest_derive::Parser;
use reflexarc_diagnostic::{Code, Diagnostic, Fix, Span};

use self::foreign::Place;
use crate::spanned::SpannedNode;
use crate::{Dialect, PatternLimits};

/// The grammar of both notations.
#[derive(Parser)]
#[grammar = "grammar.pest"]
struct Grammar;

/// The result of parsing a text.
pub(crate) struct Parsed {
    /// `None` if a part of the text could not be parsed; then there is at least one error.
    pub(crate) tree: Option<SpannedNode>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Whether the text is in JSON notation.
    pub(crate) is_json: bool,
    /// The spans of the comments, in order.
    pub(crate) comments: Vec<Span>,
}

/// Parses a text: JSON notation if it starts with `{`, otherwise an expression (an error in the
/// dialects of AWS and Alibaba Cloud, which have JSON notation only).
pub(crate) fn parse(source: &str, dialect: Dialect, limits: &PatternLimits) -> Parsed {
    let scan = match scan::scan(source, dialect, limits) {
        Ok(scan) => scan,
        Err(mut diagnostics) => {
            for found in &mut diagnostics {
                if found
                    .fix
                    .as_ref()
                    .is_some_and(|fix| !closes(source, fix, dialect, limits))
                {
                    found.fix = None;
                }
            }
            return Parsed {
                tree: None,
                diagnostics,
                is_json: false,
                comments: Vec::new(),
            };
        }
    };
    let mut builder = TreeBuilder::new(source, dialect, limits);
    builder.diagnostics = scan.errors;
    let tree = match (scan.is_json, dialect) {
        (true, _) => builder.json(&source[..scan.end]),
        (false, Dialect::Reflexarc) => {
            let before = builder.diagnostics.len();
            let tree = builder.expression(source);
            if builder.diagnostics.len() > before {
                builder.report_by_condition(&scan.comments, before);
            }
            tree
        }
        (false, _) => {
            builder.reject_expression();
            None
        }
    };
    // The scan has bounded the nesting of the text. The tree of an expression can be deeper in JSON
    // notation (`a == 1 and (b == 2 or …)` nests two levels per parenthesis there), and every
    // accepted pattern must be printable in both notations and parse again.
    if let Some(tree) = tree.as_ref().filter(|tree| tree.depth() > limits.depth) {
        let message = format!("pattern is nested more than {} levels deep", limits.depth);
        builder
            .error(Code::TOO_DEEP, tree.span.clone(), message)
            .help =
            Some("levels are counted in JSON notation, where `and` and `or` take two each".into());
    }
    Parsed {
        tree,
        diagnostics: builder.diagnostics,
        is_json: scan.is_json,
        comments: scan.comments,
    }
}

/// Whether a fix that adds or removes brackets gives a text that can be parsed, and no bracket
/// would fit elsewhere as well.
// `(a == 1 or b == 2 and c == 3` can be closed before or after the `and`.
fn closes(source: &str, fix: &Fix, dialect: Dialect, limits: &PatternLimits) -> bool {
    let is_expression = !source.trim_start().starts_with('{');
    if is_expression && has_both_connectives(source) {
        return false;
    }
    // A bracket that is too much is removed only at the end, where it closes nothing.
    let is_removal = fix.replacement.is_empty();
    if is_removal && !source[fix.span.end..].trim().is_empty() {
        return false;
    }
    let mut closed = source.to_owned();
    closed.replace_range(fix.span.clone(), &fix.replacement);
    // At most once more: all brackets are added together.
    let is_stopped = |found: &Diagnostic| {
        matches!(
            found.code,
            Code::SYNTAX | Code::UNCLOSED | Code::INVALID_STRING | Code::TOO_DEEP
        )
    };
    match scan::scan(&closed, dialect, limits) {
        Ok(_) => {
            let parsed = parse(&closed, dialect, limits);
            !parsed.diagnostics.iter().any(is_stopped)
        }
        Err(_) => false,
    }
}

/// Whether an expression has `and` as well as `or`, in any spelling.
fn has_both_connectives(text: &str) -> bool {
    let tokens = foreign::tokens(text, &[]);
    let connectives = || tokens.iter().filter(|token| foreign::is_connective(token));
    let is_or = |token: &foreign::Token| token.is_word("or") || token.text.starts_with('|');
    connectives().any(is_or) && !connectives().all(is_or)
}

/// Builds the spanned tree of one text from the grammar's pairs and collects diagnostics.
///
/// Its methods return `None` for a part with an error and continue with the next part, so that one
/// run reports every error of the text.
struct TreeBuilder<'s> {
    source: &'s str,
    dialect: Dialect,
    limits: &'s PatternLimits,
    diagnostics: Vec<Diagnostic>,
    /// The start of each key for which "constrained twice" has been reported. Expanding `$or`
    /// visits the same key once per combination.
    overridden: HashSet<usize>,
    /// Where the operators stand that are being parsed, in JSON notation.
    place: Place,
}

impl<'s> TreeBuilder<'s> {
    fn new(source: &'s str, dialect: Dialect, limits: &'s PatternLimits) -> Self {
        Self {
            source,
            dialect,
            limits,
            diagnostics: Vec::new(),
            overridden: HashSet::new(),
            place: Place::Alternative,
        }
    }

    /// Reports an error; the caller may add help to the returned diagnostic.
    fn error(&mut self, code: Code, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::error(code, span, message))
    }

    fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.diagnostics.push(diagnostic);
        self.diagnostics
            .last_mut()
            .expect("a diagnostic was pushed one line above")
    }

    fn reject_expression(&mut self) {
        let start = self.source.len() - self.source.trim_start().len();
        let span = start..self.source.trim_end().len();
        let message = format!("{} supports JSON notation only", self.dialect.title());
        let help = format!(
            "start with `{{`; `reflexarc export --dialect {}` converts the expression of a rule",
            self.dialect
        );
        self.error(Code::NOTATION, span, message).help = Some(help);
    }
}
