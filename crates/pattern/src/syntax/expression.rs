//! Expression notation: conditions joined by `and`, `or`, `not` and parentheses.

use pest::Parser as _;
use pest::iterators::Pair;
use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};

use super::argument::Comparison;
use super::json::{ValueKind, is_literal, span_of};
use super::{Grammar, Rule, TreeBuilder, string_literal, syntax_error};
use crate::keywords::is_keyword;
use crate::spanned::{SpannedAlternative, SpannedField, SpannedNode, SpannedPredicate};
use crate::{Decimal, Path};

/// `and` or `or`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connective {
    And,
    Or,
}

impl TreeBuilder<'_> {
    /// Parses a text in expression notation.
    pub(super) fn expression(&mut self, text: &str) -> Option<SpannedNode> {
        if self.is_quoted(text) {
            return None;
        }
        match Grammar::parse(Rule::expression, text) {
            Ok(mut pairs) => self.tests(pairs.next()?.into_inner().next()?),
            Err(error) => {
                let diagnostic = syntax_error::diagnostic(text, &error);
                self.push(diagnostic);
                None
            }
        }
    }

    /// The connective. Anything other than `and` and `or` is reported, and parsing continues as if
    /// it were the closest of the two, by default `and`. `is_only` tells that it joins just two
    /// conditions.
    pub(super) fn connective(&mut self, pair: &Pair<'_, Rule>, is_only: bool) -> Connective {
        let (word, span) = (pair.as_str(), span_of(pair));
        let lower = word.to_lowercase();
        let (meant, help) = match lower.as_str() {
            "and" if word == "and" => return Connective::And,
            "or" if word == "or" => return Connective::Or,
            "&&" | "&" => (Some("and"), None),
            "||" | "|" => (Some("or"), None),
            "andnot" | "and_not" | "&&!" | "&!" | "butnot" => (Some("and not"), None),
            "ornot" | "or_not" | "||!" | "|!" => (Some("or not"), None),
            // `a == 1 unless b == 2 or c == 3` excepts both.
            "unless" | "except" if is_only => (Some("and not"), None),
            "unless" | "except" => (None, Some("write the exceptions as `and not (…)`")),
            "nor" => (None, Some("write `not (… or …)`")),
            "nand" => (None, Some("write `not (… and …)`")),
            "xor" | "^" => (None, Some("write `(a and not b) or (b and not a)`")),
            other => (nearest(other, ["and", "or"]), None),
        };
        let error = Diagnostic::error(
            Code::UNKNOWN_CONNECTIVE,
            span.clone(),
            format!("expected `and` or `or`, found `{word}`"),
        );
        let fix = meant.map(|meant| self.spaced(&span, meant));
        self.push(match (meant, fix) {
            (Some(meant), Some(fix)) if meant.eq_ignore_ascii_case(word) => error
                .with_help("keywords are lower case")
                .with_fix(span, fix),
            (Some(meant), Some(fix)) => error
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(span, fix),
            _ => {
                error.with_help(help.unwrap_or(
                    "join conditions with `and` or `or`, and put strings in double quotes",
                ))
            }
        });
        if meant.is_some_and(|meant| meant.starts_with("or")) {
            Connective::Or
        } else {
            Connective::And
        }
    }

    /// Reports a negation that is not spelled `not`, such as `!`.
    pub(super) fn check_negation(&mut self, pair: &Pair<'_, Rule>) {
        if pair.as_str() != "not" {
            let span = span_of(pair);
            let fix = if pair.as_str() == "!" { "not " } else { "not" };
            let fix = self.spaced(&span, fix);
            self.push(
                Diagnostic::error(
                    Code::SYNTAX,
                    span.clone(),
                    format!("expected `not`, found `{}`", pair.as_str()),
                )
                .with_fix(span, fix),
            );
        }
    }

    // The grammar gives a flat list, `a and b or c and d`. Splitting it at each `or` makes `and`
    // bind tighter: `(a and b) or (c and d)`.
    fn tests(&mut self, pair: Pair<'_, Rule>) -> Option<SpannedNode> {
        let span = span_of(&pair);
        let mut alternatives: Vec<Vec<SpannedNode>> = vec![Vec::new()];
        let mut complete = true;
        let parts = pair.into_inner();
        let is_only = parts.len() == 3;
        for part in parts {
            if part.as_rule() == Rule::connective {
                if self.connective(&part, is_only) == Connective::Or {
                    alternatives.push(Vec::new());
                }
                continue;
            }
            match (self.unary(part), alternatives.last_mut()) {
                (Some(test), Some(conjunction)) => conjunction.push(test),
                _ => complete = false,
            }
        }
        // After the loop, so that every condition is built and its errors are reported.
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
                    self.check_negation(&part);
                    negations.push(span_of(&part).start);
                }
                Rule::group => inner = self.tests(part.into_inner().next()?),
                Rule::range => inner = self.comparison_chain(part),
                _ => inner = self.test(part),
            }
        }
        if negations.len() > self.limits.depth {
            let message = format!("more than {} consecutive `not`s", self.limits.depth);
            self.error(Code::TOO_DEEP, span, message);
            return None;
        }
        // From the inside out: in `not not a == 1` the second `not` gets the inner node, and each
        // span starts at its own `not`.
        let mut tree = inner?;
        for start in negations.into_iter().rev() {
            tree = SpannedNode::not(start..span.end, tree);
        }
        Some(tree)
    }

    /// A path and the conditions on its value.
    fn test(&mut self, pair: Pair<'_, Rule>) -> Option<SpannedNode> {
        let span = span_of(&pair);
        let mut parts = pair.into_inner();
        let (path, conditions) = (parts.next()?, parts.next()?);
        let mut predicates = conditions.clone().into_inner();
        let is_symbol = predicates
            .find(|part| part.as_rule() == Rule::predicate)
            .and_then(|predicate| predicate.into_inner().next())
            .is_some_and(|operator| operator.as_rule() == Rule::symbol);
        let (key, path) = self.path(path, is_symbol);
        // `is missing` alone: what follows a keyword is no condition on it.
        if !is_symbol && is_keyword(&self.source[key.clone()]) {
            return None;
        }
        let alternatives = self.value_unary(conditions);
        let alternatives = alternatives?;
        Some(SpannedNode::field(
            span,
            SpannedField {
                path: path?,
                key,
                alternatives,
            },
        ))
    }

    /// `0 < path <= 5` or `0 < path`: a comparison with the number on the left.
    fn comparison_chain(&mut self, pair: Pair<'_, Rule>) -> Option<SpannedNode> {
        let span = span_of(&pair);
        let mut parts = pair.into_inner();
        let low = self.number(&parts.next()?);
        let symbol = parts.next()?;
        let (key, path) = self.path(parts.next()?, true);
        let Some(first) = Comparison::parse(symbol.as_str()) else {
            let help = format!("write the path first: `{} == 5`", &self.source[key]);
            let message = format!("expected `<` or `<=`, found `{}`", symbol.as_str());
            self.error(Code::SYNTAX, span_of(&symbol), message).help = Some(help);
            return None;
        };
        // Read from the path: `0 < p` is `p > 0`. Then a lower bound on the left needs an upper
        // bound on the right, and `5 > p > 0` is accepted as well as `0 < p < 5`.
        let first = first.swapped();
        let predicate = match parts.next() {
            None => first.predicate(low?),
            Some(symbol) => {
                let second = Comparison::parse(symbol.as_str())
                    .filter(|second| second.is_lower() != first.is_lower());
                let Some(second) = second else {
                    let expected = if first.is_lower() {
                        "`<` or `<=`"
                    } else {
                        "`>` or `>=`"
                    };
                    let message = format!("expected {expected}, found `{}`", symbol.as_str());
                    self.error(Code::INVALID_RANGE, span_of(&symbol), message)
                        .help = Some("write ranges as `0 < path <= 5`".into());
                    return None;
                };
                let operand = parts.next()?.into_inner().next()?;
                let value = self.value(operand);
                let ValueKind::Number(high) = value.kind else {
                    if !matches!(value.kind, ValueKind::Invalid) {
                        let message = format!("expected a number, found {}", value.type_name());
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
        let number = pair.as_str().parse().ok();
        if number.is_none() {
            let message = format!("invalid number `{}`", pair.as_str());
            self.error(Code::INVALID_LITERAL, span_of(pair), message)
                .help = Some("put a path key that starts with a digit in double quotes".into());
        }
        number
    }

    /// The span of a path, and the path unless one of its keys is invalid. `is_compared` tells that
    /// an operator such as `==` follows.
    fn path(&mut self, pair: Pair<'_, Rule>, is_compared: bool) -> (Span, Option<Path>) {
        let span = span_of(&pair);
        let is_alone = pair.clone().into_inner().len() == 1;
        let mut keys = Vec::new();
        let mut complete = true;
        for part in pair.into_inner() {
            let key_span = span_of(&part);
            let key = part.as_str();
            if key.starts_with('"') {
                match string_literal::decode(self.source, &key_span) {
                    Ok(key) => keys.push(key),
                    Err(errors) => {
                        self.diagnostics.extend(errors);
                        complete = false;
                    }
                }
                continue;
            }
            // The grammar accepts keywords as keys, in order to suggest quotes: `in == 1`. The key
            // is kept, so that parsing continues with the conditions on it.
            if is_keyword(key) {
                let message = format!("expected a path, found keyword `{key}`");
                let error = Diagnostic::error(Code::RESERVED_KEY, key_span.clone(), message)
                    .with_help("put a keyword in double quotes to use it as a path key");
                // `exists a`, `starts with "x"`: the word is meant as an operator.
                let is_key = !is_alone || is_compared && !is_literal(key);
                self.push(if is_key {
                    error.with_fix(key_span, format!("\"{key}\""))
                } else {
                    error
                });
            }
            keys.push(key.to_owned());
        }
        (span, complete.then(|| Path::from_keys(keys)))
    }
}
