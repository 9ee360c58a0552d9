//! The expression notation: tests joined by `and`, `or`, `not` and parentheses.

use pest::Parser as _;
use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::argument::Comparison;
use super::json::{ValueKind, span_of};
use super::{Grammar, Rule, TreeBuilder, string_literal, syntax_error};
use crate::keywords::is_keyword;
use crate::spanned::{SpannedAlternative, SpannedField, SpannedNode, SpannedPredicate};
use crate::{Decimal, Path, Predicate};
use reflexarc_diagnostic::nearest;

/// What joins two tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connective {
    And,
    Or,
}

impl TreeBuilder<'_> {
    /// Reads a text in expression notation.
    pub(super) fn expression(&mut self, text: &str) -> Option<SpannedNode> {
        match Grammar::parse(Rule::expression, text) {
            Ok(mut pairs) => self.tests(pairs.next()?.into_inner().next()?),
            Err(error) => {
                let diagnostic = syntax_error::diagnostic(text, &error);
                self.push(diagnostic);
                None
            }
        }
    }

    /// Which of `and` and `or` stands there; something else is an error and counts as `and`.
    pub(super) fn connective(&mut self, pair: &Pair<'_, Rule>) -> Connective {
        let (word, span) = (pair.as_str(), span_of(pair));
        let meant = match word {
            "and" => return Connective::And,
            "or" => return Connective::Or,
            "&&" | "&" => Some("and"),
            "||" | "|" => Some("or"),
            other => nearest(other, ["and", "or"]),
        };
        let error = Diagnostic::error(
            Code::NOT_A_JOIN,
            span.clone(),
            format!("expected `and` or `or`, found `{word}`"),
        );
        self.push(match meant {
            Some(meant) if meant.eq_ignore_ascii_case(word) => error
                .with_help("words of the language are written in small letters")
                .with_fix(span, meant),
            Some(meant) => error
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(span, meant),
            None => error.with_help("join tests by `and` or `or`, and put text in double quotes"),
        });
        if meant == Some("or") {
            Connective::Or
        } else {
            Connective::And
        }
    }

    /// How many `not`s stand there; `!` is an error and counts.
    pub(super) fn negation(&mut self, pair: &Pair<'_, Rule>) {
        if pair.as_str() != "not" {
            let span = span_of(pair);
            self.push(
                Diagnostic::error(
                    Code::SYNTAX,
                    span.clone(),
                    format!("expected `not`, found `{}`", pair.as_str()),
                )
                .with_fix(span, if pair.as_str() == "!" { "not " } else { "not" }),
            );
        }
    }

    fn tests(&mut self, pair: Pair<'_, Rule>) -> Option<SpannedNode> {
        let span = span_of(&pair);
        let mut alternatives: Vec<Vec<SpannedNode>> = vec![Vec::new()];
        let mut complete = true;
        for part in pair.into_inner() {
            if part.as_rule() == Rule::connective {
                if self.connective(&part) == Connective::Or {
                    alternatives.push(Vec::new());
                }
                continue;
            }
            match (self.unary(part), alternatives.last_mut()) {
                (Some(test), Some(conjunction)) => conjunction.push(test),
                _ => complete = false,
            }
        }
        if !complete {
            return None;
        }
        let branches = alternatives.into_iter().map(|parts| {
            let span = match (parts.first(), parts.last()) {
                (Some(first), Some(last)) => first.span.start..last.span.end,
                _ => span.clone(),
            };
            SpannedNode::all(span, parts)
        });
        let branches = branches.collect();
        Some(SpannedNode::any(span, branches))
    }

    fn unary(&mut self, pair: Pair<'_, Rule>) -> Option<SpannedNode> {
        let span = span_of(&pair);
        let mut negations = Vec::new();
        let mut inner = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::negation => {
                    self.negation(&part);
                    negations.push(span_of(&part).start);
                }
                Rule::group => inner = self.tests(part.into_inner().next()?),
                Rule::range => inner = self.comparison_chain(part),
                _ => inner = self.test(part),
            }
        }
        if negations.len() > self.limits.depth {
            let message = format!(
                "more than {} `not`s on top of each other",
                self.limits.depth
            );
            self.error(Code::TOO_DEEP, span, message);
            return None;
        }
        let mut tree = inner?;
        for start in negations.into_iter().rev() {
            tree = SpannedNode::not(start..span.end, tree);
        }
        Some(tree)
    }

    /// `path` and the tests of its value.
    fn test(&mut self, pair: Pair<'_, Rule>) -> Option<SpannedNode> {
        let span = span_of(&pair);
        let mut parts = pair.into_inner();
        let (key, path) = self.path(parts.next()?);
        let alternatives = self.value_unary(parts.next()?)?;
        Some(SpannedNode::field(
            span,
            SpannedField {
                path: path?,
                key,
                alternatives,
            },
        ))
    }

    /// `0 < path <= 5`: a path with a number before it, and perhaps one behind.
    fn comparison_chain(&mut self, pair: Pair<'_, Rule>) -> Option<SpannedNode> {
        let span = span_of(&pair);
        let mut parts = pair.into_inner();
        let low = self.number(&parts.next()?);
        let sign = parts.next()?;
        let (key, path) = self.path(parts.next()?);
        let Some(first) = Comparison::parse(sign.as_str()) else {
            let place = span_of(&sign);
            let help = format!("the path comes first: `{} == 5`", &self.source[key]);
            self.error(
                Code::SYNTAX,
                place,
                format!("expected `<` or `<=`, found `{}`", sign.as_str()),
            )
            .help = Some(help);
            return None;
        };
        let first = first.mirrored();
        let predicate = match parts.next() {
            None => {
                let bound = first.bound(low?);
                if first.is_lower() {
                    Predicate::Range {
                        lower: Some(bound),
                        upper: None,
                    }
                } else {
                    Predicate::Range {
                        lower: None,
                        upper: Some(bound),
                    }
                }
            }
            Some(sign) => {
                let second = Comparison::parse(sign.as_str())
                    .filter(|second| second.is_lower() != first.is_lower());
                let Some(second) = second else {
                    let expected = if first.is_lower() {
                        "`<` or `<=`"
                    } else {
                        "`>` or `>=`"
                    };
                    let message = format!("expected {expected}, found `{}`", sign.as_str());
                    self.error(Code::BAD_RANGE, span_of(&sign), message).help =
                        Some("a range reads `0 < path <= 5`".into());
                    return None;
                };
                let operand = parts.next()?.into_inner().next()?;
                let value = self.value(operand);
                let ValueKind::Number(high) = value.kind else {
                    if !matches!(value.kind, ValueKind::Broken) {
                        let message = format!("expected a number, found {}", value.name());
                        self.error(Code::WRONG_ARGUMENT, value.span, message);
                    }
                    return None;
                };
                let (one, other) = (first.bound(low?), second.bound(high));
                let (lower, upper) = if first.is_lower() {
                    (one, other)
                } else {
                    (other, one)
                };
                self.range(lower, upper, &span)?
            }
        };
        let alternative = SpannedAlternative {
            span: span.clone(),
            predicates: vec![SpannedPredicate {
                span: span.clone(),
                predicate,
            }],
        };
        Some(SpannedNode::field(
            span,
            SpannedField {
                path: path?,
                key,
                alternatives: vec![alternative],
            },
        ))
    }

    fn number(&mut self, pair: &Pair<'_, Rule>) -> Option<Decimal> {
        let number = Decimal::parse(pair.as_str());
        if number.is_none() {
            let message = format!("`{}` is no number", pair.as_str());
            self.error(Code::BAD_LITERAL, span_of(pair), message).help = Some(
                "a path whose first key begins with a digit needs quotes around that key".into(),
            );
        }
        number
    }

    /// The path, and where it stands.
    fn path(&mut self, pair: Pair<'_, Rule>) -> (Span, Option<Path>) {
        let span = span_of(&pair);
        let mut keys = Vec::new();
        let mut complete = true;
        for part in pair.into_inner() {
            let place = span_of(&part);
            let written = part.as_str();
            if written.starts_with('"') {
                match string_literal::decode(self.source, &place) {
                    Ok(key) => keys.push(key),
                    Err(faults) => {
                        self.diagnostics.extend(faults);
                        complete = false;
                    }
                }
                continue;
            }
            if is_keyword(written) {
                let message = format!("`{written}` is a word of the language");
                self.push(
                    Diagnostic::error(Code::RESERVED_KEY, place.clone(), message)
                        .with_help("as a key of a path it needs double quotes")
                        .with_fix(place, format!("\"{written}\"")),
                );
            }
            keys.push(written.to_owned());
        }
        (span, complete.then(|| Path::from_keys(keys)))
    }
}
