//! From text to the located tree. pest and its rules are known only in here.

mod anything_but;
pub(crate) mod argument;
pub(crate) mod cidr;
mod expression;
mod json;
mod leaf;
mod numeric;
mod objects;
mod operator;
mod overrides;
mod scan;
mod string_literal;
mod syntax_error;
mod value_tests;

use std::collections::HashSet;

use pest_derive::Parser;
use reflexarc_diagnostic::{Code, Diagnostic, Span};

use crate::spanned::SpannedNode;
use crate::{Dialect, PatternLimits};

/// The shape of both notations.
#[derive(Parser)]
#[grammar = "grammar.pest"]
struct Grammar;

/// What became of a text: a tree, unless a part of it could not be read; and everything there is to say about it.
pub(crate) struct Parsed {
    pub(crate) tree: Option<SpannedNode>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Whether it is in JSON notation.
    pub(crate) is_json: bool,
    /// Where its comments stand, in order.
    pub(crate) comments: Vec<Span>,
}

/// Reads a text in its notation: JSON if it begins with `{`, or if the dialect knows nothing else.
pub(crate) fn parse(source: &str, dialect: Dialect, limits: &PatternLimits) -> Parsed {
    let scan = match scan::scan(source, dialect, limits) {
        Ok(scan) => scan,
        Err(diagnostics) => {
            return Parsed {
                tree: None,
                diagnostics,
                is_json: false,
                comments: Vec::new(),
            };
        }
    };
    let mut reader = TreeBuilder {
        source,
        dialect,
        limits,
        diagnostics: scan.remarks,
        overridden: HashSet::new(),
    };
    let tree = match (scan.is_json, dialect) {
        (true, _) => reader.json(&source[..scan.end]),
        (false, Dialect::Reflexarc) => reader.expression(source),
        (false, _) => {
            let whole = source.len() - source.trim_start().len()..source.trim_end().len();
            reader
                .error(
                    Code::NOTATION,
                    whole,
                    format!("a pattern of {} is a JSON object", dialect.title()),
                )
                .help = Some(
                "begin with `{`; `reflexarc export` turns an expression into JSON notation".into(),
            );
            None
        }
    };
    if let Some(tree) = tree.as_ref().filter(|tree| tree.depth() > limits.depth) {
        let message = format!("the pattern nests more than {} levels deep", limits.depth);
        reader
            .error(Code::TOO_DEEP, tree.span.clone(), message)
            .help = Some("levels are counted as in JSON notation, where a join takes two".into());
    }
    Parsed {
        tree,
        diagnostics: reader.diagnostics,
        is_json: scan.is_json,
        comments: scan.comments,
    }
}

/// One text being read, and what there is to say about it so far.
struct TreeBuilder<'s> {
    source: &'s str,
    dialect: Dialect,
    limits: &'s PatternLimits,
    diagnostics: Vec<Diagnostic>,
    /// Where the keys stand of which it has been said that a later one wins.
    overridden: HashSet<usize>,
}

impl TreeBuilder<'_> {
    fn error(&mut self, code: Code, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Diagnostic::error(code, span, message))
    }

    fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.diagnostics.push(diagnostic);
        self.diagnostics
            .last_mut()
            .expect("it was pushed a line above")
    }
}
